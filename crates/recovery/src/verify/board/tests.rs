//! Boards on a real Redis, filled as the archive fills them, against a fold of the same events.

use super::*;
use crate::rebuild::{DeadLetters, Order, fill};
use crate::verify::fold::Scored;
use archive_store::{History, KeptWindow, Place, Portion};
use board_generators::Logged;
use board_store::{Begin, RedisSettings, Seen};
use boards::changes::day_of;
use boards::{Arrival, BoardSet, Oracle};
use contracts::dead_letter::DeadLetter;
use contracts::{EventTime, ScoreEvent};
use pipeline::KafkaSettings;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseError, TestRunner};
use redis::aio::ConnectionManager;

const CASES: u32 = 500;

/// No dead letters are expected.
struct NoLetters;

impl DeadLetters for NoLetters {
    async fn bury(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        anyhow::ensure!(letters.is_empty(), "unexpected: {letters:?}");
        Ok(())
    }
}

type Events = Vec<(Place, ScoreEvent)>;

/// An archive that has these events.
struct Archived {
    offsets: BTreeMap<i32, i64>,
    events: Option<Events>,
}

impl History for Archived {
    fn offsets(&self) -> &BTreeMap<i32, i64> {
        &self.offsets
    }

    fn kept_windows(&self) -> &[KeptWindow] {
        &[]
    }

    async fn next(&mut self) -> anyhow::Result<Option<Portion>> {
        Ok(self.events.take().map(Portion::Events))
    }
}

struct Live {
    runtime: tokio::runtime::Runtime,
    connection: ConnectionManager,
    prefix: String,
}

/// Where a finding is: kind, board, window, player.
type Found = (Kind, String, String, Option<String>);

impl Live {
    /// `None` where there is no Redis.
    fn new() -> Option<Self> {
        let url = test_servers::redis()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = RedisSettings { redis_url: url.parse().unwrap() };
        let connection = runtime.block_on(async { settings.connect().unwrap() });
        let prefix = format!("test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        Some(Self { runtime, connection, prefix })
    }

    fn redis<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.runtime.block_on(command.query_async(&mut self.connection.clone())).unwrap()
    }

    fn store(&self, board: &Board) -> BoardStore {
        BoardStore::with_connection(self.connection.clone(), board.clone())
    }

    /// Begins every board with the events.
    fn fill(&self, boards: &BoardSet, events: &Events) {
        let ends = events.iter().map(|(place, _)| (place.partition, place.offset + 1));
        let mut offsets: BTreeMap<i32, i64> = BTreeMap::new();
        for (partition, end) in ends {
            let known = offsets.entry(partition).or_default();
            *known = end.max(*known);
        }
        let log: Vec<Begin> = offsets
            .iter()
            .map(|(partition, end)| Begin { field: format!("game-score/{partition}"), low: 0, high: *end })
            .collect();
        for board in boards {
            let mut history = Archived { offsets: offsets.clone(), events: Some(events.clone()) };
            let order = Order {
                boards,
                topic: "game-score",
                token: "me".to_owned(),
                wanting: None,
                now: EventTime::MIN,
                seen: &Seen::default(),
                log: &log,
            };
            let store = self.store(board);
            self.runtime.block_on(fill(&store, &mut history, &NoLetters, order, |_| {})).unwrap();
        }
    }

    /// What is said of the board at `index`, that has these events.
    fn compare(&self, boards: &BoardSet, index: usize, events: &Events) -> (BoardPart, Vec<Found>) {
        let (part, findings) = self.try_compare(boards, index, events).unwrap();
        let found = findings.into_vec().into_iter().flat_map(|finding| {
            let at = |difference: Difference| match difference.at {
                At::Player { board, window, player } => (finding.kind, board, window, Some(player)),
                At::View { board, window } => (finding.kind, board, window, None),
                At::Record { record } => panic!("{record}"),
            };
            finding.first.into_iter().map(at).collect::<Vec<_>>()
        });
        (part, found.collect())
    }

    fn try_compare(
        &self,
        boards: &BoardSet,
        index: usize,
        events: &Events,
    ) -> Result<(BoardPart, Findings), Broken> {
        // Nothing is appended, so it is not read.
        let kafka = KafkaSettings {
            kafka_brokers: "127.0.0.1:1".to_owned(),
            topic_prefix: String::new(),
            kafka_security_protocol: "plaintext".to_owned(),
            kafka_sasl_mechanism: None,
            kafka_sasl_username: None,
            kafka_sasl_password: None,
            kafka_ssl_ca_location: None,
            kafka_session_timeout_ms: 6000,
        };
        let log =
            Log { kafka, topic: "game-score".to_owned(), boards: boards.clone(), erased: Arc::default() };
        let store = self.store(&boards[index]);
        self.runtime.block_on(async {
            let (page, coverage) = stands(&store).await?;
            let (fold, mut reader) = (Fold::new(boards, index, coverage), Reader::new(boards));
            for (place, event) in events {
                fold.take(&mut reader, Scored { place: *place, event, forgotten: None });
            }
            let comparison = Comparison::new(&store, &log, Arc::new(fold), page.epoch, page.offsets, false);
            comparison.run(&Progress::default()).await
        })
    }

    fn remove(&self) {
        let prefix = &self.prefix;
        for pattern in [format!("{prefix}*"), format!("{{{prefix}*")] {
            for key in self.redis::<Vec<String>>(&["KEYS", &pattern]) {
                let _: i64 = self.redis(&["DEL", &key]);
            }
        }
    }
}

/// An event of the team, at that time of the first day of 2020.
fn event(player: &str, score: i64, time: &str, team: &str, offset: i64) -> (Place, ScoreEvent) {
    let arrived_at = EventTime::parse_iso("2020-01-01T23:00:00Z", "t").unwrap();
    let text = format!(
        r#"{{"user_id":"{player}","score":{score},"created_at":"2020-01-01T{time}Z","tags":{{"team":"{team}"}}}}"#
    );
    let event = ScoreEvent::decode(Some(text.as_bytes()), arrived_at).unwrap();
    (Place { partition: 0, offset, arrived_at }, event)
}

fn events() -> Events {
    let events = [
        ("a", 5, "10:00:00", "reds"),
        ("a", 7, "11:00:00", "blue:s"),
        ("b", 5, "10:30:00", "reds"),
        ("b", 2, "11:30:00", "reds"),
        ("c", 9, "10:45:00", "blue:s"),
        ("d", 4, "10:50:00", "greens"),
    ];
    let event = |((player, score, time, team), offset)| event(player, score, time, team, offset);
    events.into_iter().zip(0..).map(event).collect()
}

/// A board for each kind of tampering to be done on.
fn boards(prefix: &str) -> BoardSet {
    let forever = "allowed_lateness = \"forever\"";
    let text = format!(
        "[[board]]\nname = \"{prefix}-sum\"\nwindows = [\"all\", \"hour\"]\n{forever}\n\
         [[board]]\nname = \"{prefix}-best\"\naggregate = \"best\"\norder = \"asc\"\nwindows = [\"all\", \"hour\"]\n\
         match = {{ team = \"{{team}}\" }}\nmax_values = 2\n{forever}\n\
         [[board]]\nname = \"{prefix}-last\"\naggregate = \"last\"\nwindows = [\"day\"]\n{forever}\n\
         [[board]]\nname = \"{prefix}-old\"\nwindows = [\"hour\"]\nallowed_lateness = \"1d\"\n"
    );
    BoardSet::parse(&text).unwrap()
}

#[test]
fn tampering_is_named_in_every_kind_of_view() {
    let Some(live) = Live::new() else { return };
    let (boards, events) = (boards(&live.prefix), events());
    live.fill(&boards, &events);
    let said = |index: usize| live.compare(&boards, index, &events);
    for (index, numbers) in [(3, 10), (6, 9), (1, 4), (2, 6)].into_iter().enumerate() {
        let (part, found) = said(index);
        assert_eq!(found, [], "untouched");
        assert_eq!((part.views, part.players, part.compared), (numbers.0, numbers.1, numbers.1), "{index}");
    }
    assert_eq!(said(1).0.values_without_room, 1);

    let p = &live.prefix;
    let hour = "2020-01-01T10+0000";
    let views = [
        (0, format!("{p}-sum"), "all", format!("{p}-sum"), String::new()),
        (0, format!("{p}-sum"), hour, format!("{{{p}-sum}}:w:{hour}"), format!("w:{hour}")),
        (1, format!("{p}-best:reds"), "all", format!("{{{p}-best}}:v:reds"), "v:reds".to_owned()),
        (
            1,
            format!("{p}-best:reds"),
            hour,
            format!("{{{p}-best}}:v:reds:w:{hour}"),
            format!("v:reds:w:{hour}"),
        ),
        (
            2,
            format!("{p}-last"),
            "2020-01-01",
            format!("{{{p}-last}}:w:2020-01-01"),
            "w:2020-01-01".to_owned(),
        ),
        (3, format!("{p}-old"), hour, format!("{{{p}-old}}:w:{hour}"), format!("w:{hour}")),
    ];
    for (index, board, window, key, name) in &views {
        let expect = |kinds: &[(Kind, Option<&str>)]| {
            let must: Vec<Found> = kinds
                .iter()
                .map(|(kind, player)| {
                    (*kind, board.clone(), (*window).to_owned(), player.map(ToOwned::to_owned))
                })
                .collect();
            assert_eq!(said(*index).1, must, "{key}");
        };
        let put = |player: &str, double: f64| {
            let _: i64 = live.redis(&["ZADD", key, &double.to_string(), player]);
        };
        let stands: f64 = live.redis(&["ZSCORE", key, "b"]);
        put("b", stands - 1.0);
        expect(&[(Kind::WrongTotal, Some("b"))]);
        // Once the 2^-36 of a step, so that only the order among equals is another.
        put("b", stands + 2f64.powi(-36));
        expect(&[(Kind::WrongReachTime, Some("b"))]);
        let _: i64 = live.redis(&["ZREM", key, "b"]);
        expect(&[(Kind::MissingPlayer, Some("b"))]);
        put("stranger", 3.25);
        expect(&[(Kind::MissingPlayer, Some("b")), (Kind::UnknownPlayer, Some("stranger"))]);
        put("b", stands);
        expect(&[(Kind::UnknownPlayer, Some("stranger"))]);
        let _: i64 = live.redis(&["ZREM", key, "stranger"]);
        if name.is_empty() {
            continue;
        }
        let list = format!("{{{}}}:views", boards[*index].name);
        let _: i64 = live.redis(&["SREM", &list, name]);
        // Of the last board the window may be gone by its age.
        let missing = [(Kind::MissingView, None)];
        let unless_gone: &[_] = if *index == 3 { &[] } else { &missing };
        expect(unless_gone);
        let _: bool = live.redis(&["RENAME", key, &format!("{p}-aside")]);
        expect(unless_gone);
        let _: i64 = live.redis(&["SADD", &list, name]);
        expect(&missing);
        let _: bool = live.redis(&["RENAME", &format!("{p}-aside"), key]);
        expect(&[]);
    }

    // Views that must not be there.
    for (index, name, board, window) in [
        (0, "w:2020-01-02T00+0000", format!("{p}-sum"), "2020-01-02T00+0000"),
        (0, "w:2020-01-02", format!("{p}-sum"), "w:2020-01-02"),
        (1, "v:yellows", format!("{p}-best:yellows"), "all"),
        (1, "v:greens", format!("{p}-best:greens"), "all"),
    ] {
        let list = format!("{{{}}}:views", boards[index].name);
        let _: i64 = live.redis(&["SADD", &list, name]);
        assert_eq!(said(index).1, [(Kind::UnknownView, board, window.to_owned(), None)]);
        let _: i64 = live.redis(&["SREM", &list, name]);
    }

    // The double is right, and yet a later event might be taken for an older one.
    let newest = format!("{{{p}-last}}:newest:w:2020-01-01");
    let stands: String = live.redis(&["HGET", &newest, "a"]);
    for wrong in [stands.replace('1', "2"), "nothing".to_owned()] {
        let _: i64 = live.redis(&["HSET", &newest, "a", &wrong]);
        let at = (Kind::WrongNewestEvent, format!("{p}-last"), "2020-01-01".to_owned(), Some("a".to_owned()));
        assert_eq!(said(2).1, [at]);
    }
    live.remove();
}

#[test]
fn a_window_that_is_gone_by_its_age_is_no_difference() {
    let Some(live) = Live::new() else { return };
    let (boards, events) = (boards(&live.prefix), events());
    live.fill(&boards, &events);
    let dropped = live.store(&boards[3]);
    let window = boards[3].window_of_id("2020-01-01T10+0000").unwrap();
    let view = View { value: None, window: window.into() };
    let dropped = live.runtime.block_on(async {
        let begun = dropped.stands().await.unwrap().unwrap().begun;
        dropped.drop_view(begun, &view).await.unwrap()
    });
    assert!(dropped);
    let (part, found) = live.compare(&boards, 3, &events);
    assert_eq!((part.views, part.gone_views, part.compared, found), (1, 1, 2, vec![]));
    live.remove();
}

#[test]
fn random_boards_are_right_and_a_row_that_is_changed_is_named() {
    let Some(live) = Live::new() else { return };
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, ..ProptestConfig::default() });
    let strategy =
        (board_generators::boards(&live.prefix), board_generators::logs(39), any::<Index>(), 0..3usize);
    let of_archive = |log: &[Logged]| -> Events {
        let event = |record: &Logged| {
            let Arrival { at, partition, offset } = record.arrival();
            (Place { partition, offset, arrived_at: at }, record.event())
        };
        let mut events: Events = log.iter().map(event).collect();
        events.sort_by_key(|(place, _)| (day_of(place.arrived_at), place.partition, place.offset));
        events
    };
    runner
        .run(&strategy, |(boards, log, chosen, kind)| {
            let events = of_archive(&log);
            live.remove();
            live.fill(&boards, &events);
            for index in 0..boards.iter().len() {
                prop_assert_eq!(live.compare(&boards, index, &events).1, []);
            }
            let mut oracle = Oracle::new(boards.clone());
            for (Place { partition, offset, arrived_at: at }, event) in &events {
                let arrival = Arrival { at: *at, partition: *partition, offset: *offset };
                oracle.apply(event, arrival).map_err(|refusal| TestCaseError::fail(refusal.message))?;
            }
            let rows: Vec<_> = oracle
                .views()
                .flat_map(|(board, window, standings)| {
                    let top = standings.top(usize::MAX).into_iter();
                    top.map(move |row| (board.clone(), window, row.player.as_str().to_owned()))
                })
                .collect();
            if rows.is_empty() {
                return Ok(());
            }
            let (name, window, player) = chosen.get(&rows);
            let (index, value) = boards.find(name).unwrap();
            let view = value.map(|value| format!("v:{}", value.replace('%', "%25").replace(':', "%3A")));
            let parts = view.into_iter().chain((*window != "all").then(|| format!("w:{window}")));
            let key = match parts.collect::<Vec<_>>().join(":") {
                name if name.is_empty() => boards[index].name.clone(),
                name => format!("{{{}}}:{name}", boards[index].name),
            };
            let kind = match kind {
                0 => {
                    let _: String = live.redis(&["ZINCRBY", &key, "1", player]);
                    Kind::WrongTotal
                }
                1 => {
                    let _: i64 = live.redis(&["ZADD", &key, "1.5", "somebody"]);
                    Kind::UnknownPlayer
                }
                _ => {
                    let _: i64 = live.redis(&["ZADD", &key, "1.5", "somebody"]);
                    let _: i64 = live.redis(&["ZREM", &key, player]);
                    Kind::MissingPlayer
                }
            };
            let found = live.compare(&boards, index, &events).1;
            let stranger =
                (Kind::UnknownPlayer, name.clone(), (*window).to_owned(), Some("somebody".to_owned()));
            let changed = (kind, name.clone(), (*window).to_owned(), Some(player.clone()));
            let expected = match kind {
                Kind::WrongTotal => vec![changed],
                Kind::UnknownPlayer => vec![stranger],
                _ => vec![changed, stranger],
            };
            prop_assert_eq!(found, expected);
            Ok(())
        })
        .unwrap();
    live.remove();
}
