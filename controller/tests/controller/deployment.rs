//! Some boards in a real Redis, with a controller that shows them, after events of a test's own.

use crate::rest::redis;
use crate::support::{Answer, Controller, Setup, TestArchive};
use archive_store::{FinalRow, FinalWindow};
use board_store::{Begin, BoardStore, Fence, RedisSettings, Seen, Write};
use boards::effects::Effect;
use boards::rules::Order;
use boards::{Arrival, BoardSet, Changes, Oracle, Standing, View, WindowCache};
use contracts::{EventTime, ScoreEvent, Version};
use controller::writes::WriteLimits;
use serde_json::{Value, json};
use service::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// What stands for the deployment's own prefix in a file of boards.
const PREFIX: &str = "TEST";

/// Who, how much, when, with which tags, and how many seconds later it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    player: String,
    score: String,
    created_at: String,
    pub(crate) tags: Vec<(&'static str, String)>,
    later: i64,
}

pub(crate) fn played(player: &str, score: &str, created_at: &str) -> Played {
    let (player, score, created_at) = (player.to_owned(), score.to_owned(), created_at.to_owned());
    Played { player, score, created_at, tags: Vec::new(), later: 0 }
}

impl Played {
    pub(crate) fn tagged(mut self, tag: &'static str, value: &str) -> Self {
        self.tags.push((tag, value.to_owned()));
        self
    }

    /// So many seconds.
    pub(crate) fn late(self, seconds: i64) -> Self {
        Self { later: seconds, ..self }
    }

    /// In the log's only partition.
    fn event(&self, offset: i64) -> (ScoreEvent, Arrival) {
        let created_at = at(&self.created_at);
        let arrived_at = created_at.saturating_add_seconds(self.later);
        let tags: serde_json::Map<_, _> =
            self.tags.iter().map(|(tag, value)| ((*tag).to_owned(), value.as_str().into())).collect();
        let payload = format!(
            r#"{{"user_id":{},"score":{},"created_at":"{created_at}","tags":{}}}"#,
            json!(self.player),
            self.score,
            Value::Object(tags)
        );
        let event = ScoreEvent::decode(Some(payload.as_bytes()), arrived_at).unwrap();
        (event, Arrival { at: arrived_at, partition: 0, offset })
    }
}

pub(crate) fn a_prefix() -> String {
    format!("test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

pub(crate) fn at(text: &str) -> EventTime {
    EventTime::parse_iso(text, "t").unwrap()
}

/// Some boards in Redis, a controller that shows them, and what they must be. Removed at the end.
pub(crate) struct Deployment {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) controller: Controller,
    pub(crate) oracle: Oracle,
    /// What the controller's clock shows, in microseconds.
    now: Arc<AtomicI64>,
}

impl Deployment {
    /// `None` where there is no Redis.
    pub(crate) async fn start(file: &str, log: &[Played], now: &str) -> Option<Self> {
        Self::with_archive(file, log, now, None).await
    }

    /// With an archive of past windows.
    pub(crate) async fn with_archive(
        file: &str,
        log: &[Played],
        now: &str,
        archive: Option<TestArchive>,
    ) -> Option<Self> {
        let prefix = a_prefix();
        let set = BoardSet::parse(&file.replace(PREFIX, &prefix)).unwrap();
        let events: Vec<_> = (0..).zip(log).map(|(offset, played)| played.event(offset)).collect();
        Self::of(prefix, set, &events, at(now), archive).await
    }

    /// With these boards, whose names begin with the prefix, after these events.
    pub(crate) async fn of(
        prefix: String,
        set: BoardSet,
        log: &[(ScoreEvent, Arrival)],
        now: EventTime,
        archive: Option<TestArchive>,
    ) -> Option<Self> {
        let url = test_servers::redis()?;
        let mut oracle = Oracle::new(set.clone());
        let mut windows = WindowCache::new(&set);
        let mut changes = vec![Changes::default(); set.iter().len()];
        let mut ends = BTreeMap::from([(0, 0)]);
        for (event, arrival) in log {
            // What no board takes is no concern of these tests.
            let _ = oracle.apply(event, *arrival);
            ends.insert(arrival.partition, arrival.offset + 1);
            set.visit_effects(event, *arrival, &mut windows, |effect| {
                if let Effect::Counts { board, value, windows, change } = effect {
                    changes[board].add_in(value, windows, &event.player, change);
                }
            });
        }
        let redis = RedisSettings { redis_url: url.parse().unwrap() };
        let connection = redis.connect().unwrap();
        let spans: Vec<_> =
            ends.iter().map(|(partition, end)| (format!("game-score/{partition}"), 0, *end)).collect();
        let begin =
            |(field, low, high): &(String, i64, i64)| Begin { field: field.clone(), low: *low, high: *high };
        let begins: Vec<_> = spans.iter().map(begin).collect();
        for (board, changes) in set.iter().zip(&changes) {
            let store = BoardStore::with_connection(connection.clone(), board.clone());
            store.open(&Seen::default(), &begins).await.unwrap();
            let write = Write { changes, spans: &spans, stages: None, newest: None };
            store.apply(Fence::On, 1, &[write]).await.unwrap();
        }
        let now = Arc::new(AtomicI64::new(now.micros()));
        let clock = {
            let now = Arc::clone(&now);
            Clock::new(move || now.load(Ordering::Relaxed))
        };
        let redis_url = url.clone();
        // No ranker applies anything here.
        let write_limits = WriteLimits { applied: Duration::from_millis(20), ..WriteLimits::default() };
        let setup = Setup { boards: set, clock, redis_url, archive, write_limits, ..Setup::default() };
        let controller = Controller::start(setup).await;
        Some(Self { url, prefix, controller, oracle, now })
    }

    pub(crate) fn it_is(&self, now: &str) {
        self.now.store(at(now).micros(), Ordering::Relaxed);
    }

    /// Takes a view out of Redis.
    pub(crate) fn lose(&self, suffix: &str, view: &str) {
        redis(&self.url, &["DEL", &format!("{{{}{suffix}}}:{view}", self.prefix)]);
    }

    /// Asks for what is below the path of the board `TEST` and `suffix`.
    pub(crate) async fn get(&self, suffix: &str, below: &str) -> Answer {
        let name = encoded(&format!("{}{suffix}", self.prefix));
        self.controller.get(&format!("/v1/boards/{name}{below}")).await
    }

    pub(crate) async fn json(&self, suffix: &str, below: &str) -> Value {
        let answer = self.get(suffix, below).await;
        assert_eq!(answer.status, 200, "{suffix} {below}: {}", answer.body);
        answer.json()
    }

    /// The players of a page, best first.
    pub(crate) async fn players(&self, suffix: &str, below: &str) -> Vec<String> {
        let page = self.json(suffix, below).await;
        let players = page["entries"].as_array().unwrap().iter();
        players.map(|entry| entry["user_id"].as_str().unwrap().to_owned()).collect()
    }

    /// Takes the windows that are over out of Redis and keeps their standings, as the ranker does: how many.
    pub(crate) fn keep_what_is_over(&self, archive: &TestArchive) -> usize {
        let mut kept = 0;
        for (name, window, standings) in self.oracle.views() {
            let (index, value) = self.oracle.boards().find(&name).unwrap();
            let board = &self.oracle.boards()[index];
            let window: Arc<_> = board.window_of_id(window).unwrap().into();
            if board.final_at(&window).is_none() {
                continue;
            }
            let row = |row: Standing| FinalRow {
                sorted_set_score: standings.sorted_set_score(row.player.as_str()).unwrap(),
                score: board.score(row.total),
                player: row.player,
            };
            let rows = standings.top(usize::MAX).into_iter().map(row).collect();
            let of = FinalWindow {
                board: name.clone(),
                window: window.id.to_string(),
                start: window.start,
                end: window.end,
                version: Version { epoch: 1, version: 1 },
                decimals: board.decimals,
                lowest_first: board.order == Order::Asc,
                rules: None,
            };
            archive.keep(of, rows);
            let key = board_store::sorted_set(&board.name, &View { value: value.map(Into::into), window });
            redis(&self.url, &["DEL", &key]);
            let listed = key.split_once("}:").unwrap().1;
            redis(&self.url, &["SREM", &format!("{{{}}}:views", board.name), listed]);
            kept += 1;
        }
        kept
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let script = "for _, pattern in ipairs(ARGV) do for _, key in ipairs(redis.call('KEYS', pattern)) do \
                      redis.call('DEL', key) end end";
        let prefix = &self.prefix;
        redis(&self.url, &["EVAL", script, "0", &format!("{prefix}*"), &format!("{{{prefix}*")]);
    }
}

/// For any place in a path or query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// A board of each kind: every aggregate, both orders, both ways to break ties, decimals, windows of
/// every kind in several zones, values.
pub(crate) const EVERY_KIND: &str = r#"
[[board]]
name = "TEST"
windows = ["all", "day", "hour"]
timezone = "Europe/Berlin"
decimals = 1

[[board]]
name = "TEST-golf"
aggregate = "best"
order = "asc"
windows = ["week", "month"]
timezone = "Asia/Kathmandu"
decimals = 2
allowed_lateness = "forever"

[[board]]
name = "TEST-team"
match = { team = "{team}" }
aggregate = "count"
tie_break = "player_id"
windows = ["all", "day"]
timezone = "America/St_Johns"

[[board]]
name = "TEST-last"
match = { ranked = "yes" }
aggregate = "last"
order = "asc"
decimals = 1
windows = []
allowed_lateness = "2d"

[[board.season]]
name = "autumn"
start = 2026-10-25T00:30:00Z
end = 2026-10-25T02:00:00Z

[[board.season]]
name = "late-autumn"
start = 2026-10-25T01:00:00Z
end = 2026-10-26T00:00:00Z
"#;

/// Values of its board that is per value.
pub(crate) const TEAMS: [&str; 5] = ["reds", "the blues", "50%:s", "🎯", "שלום"];
