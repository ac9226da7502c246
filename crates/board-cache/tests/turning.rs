//! Windows that turn, on a real Redis: what two publishers show, whatever their clocks say.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use board_cache::{Outlet, Publisher};
use board_store::{Begin, BoardStore, Connection, Fence, RedisSettings, Seen, Write};
use boards::{BoardSet, Change, Changes, Reached};
use contracts::{EventTime, PlayerId, Snapshot, Version};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use service::Clock;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const CASES: u32 = 200;
const DAY: i64 = 86_400;
/// 2026-11-20T00:00:00Z.
const FIRST_DAY: i64 = 1_795_132_800;
const FIELD: &str = "game-score/0";

/// The topic, in memory.
#[derive(Clone, Default)]
struct Topic(Arc<Mutex<Vec<Snapshot>>>);

impl Outlet for Topic {
    async fn send(&self, _: &str, payload: &str) -> anyhow::Result<()> {
        self.0.lock().unwrap().push(serde_json::from_str(payload)?);
        Ok(())
    }
}

/// A clock that the test sets, in seconds since the Unix epoch.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn at(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds)))
    }

    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let hand = Arc::clone(&self.0);
        Clock::new(move || hand.load(Ordering::Relaxed) * 1_000_000)
    }
}

struct Live<C: Connection> {
    url: String,
    runtime: tokio::runtime::Runtime,
    store: BoardStore<C>,
    topic: Topic,
}

/// A board by these rules on a Redis of the tests; `None` where there is none.
fn live(rules: &str) -> Option<Live<impl Connection>> {
    let url = test_servers::redis()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let name = format!("test-{}", uuid::Uuid::new_v4());
    let set = BoardSet::parse(&format!("[[board]]\nname = \"{name}\"\n{rules}")).unwrap();
    let settings = RedisSettings { redis_url: url.parse().unwrap() };
    let connection = runtime.block_on(async { settings.connect().unwrap() });
    let store = BoardStore::with_connection(connection, set.default_board().clone());
    let log = [Begin { field: FIELD.to_owned(), low: 0, high: 0 }];
    runtime.block_on(store.open(&Seen::default(), &log)).unwrap();
    Some(Live { url, runtime, store, topic: Topic::default() })
}

impl<C: Connection> Live<C> {
    fn publisher(&self, hand: &Hand) -> Publisher<C, Topic> {
        let mut publisher = Publisher::new(self.store.clone(), self.topic.clone(), hand.clock());
        self.published().into_iter().for_each(|snapshot| publisher.take(snapshot));
        publisher
    }

    /// Looks, for as long as it is told to look again.
    fn look(&self, publisher: &mut Publisher<C, Topic>) {
        for _ in 0..5 {
            if !self.runtime.block_on(publisher.look()).unwrap() {
                return;
            }
        }
        panic!("it is never done");
    }

    fn has_moved(&self, publisher: &Publisher<C, Topic>) -> bool {
        self.runtime.block_on(publisher.has_moved()).unwrap()
    }

    /// The event at this place in the log gives `player` a point at that second.
    fn score(&self, offset: i64, player: &str, second: i64) {
        let at = EventTime::from_micros(second * 1_000_000).unwrap();
        let mut changes = Changes::default();
        let windows: Vec<_> = self.store.board().windows_at(at).into_iter().map(Arc::new).collect();
        let change = Change::of(1, Reached::at(at));
        changes.add_in(None, &windows, &PlayerId::new(player).unwrap(), change);
        let spans = [(FIELD.to_owned(), offset, offset + 1)];
        let write = Write { changes: &changes, spans: &spans, stages: None, newest: None };
        self.runtime.block_on(self.store.apply(Fence::On, 1, &[write])).unwrap();
    }

    fn published(&self) -> Vec<Snapshot> {
        self.topic.0.lock().unwrap().clone()
    }

    /// The window, the first row and where the board stood, of the newest snapshot.
    fn newest(&self) -> (String, Option<String>, Version) {
        let newest = self.published().pop().unwrap();
        let first = newest.user_list.first().map(|row| row.user_id.clone());
        (newest.window, first, newest.version)
    }
}

/// Removes the board, without a client: only board-store knows one.
impl<C: Connection> Drop for Live<C> {
    fn drop(&mut self) {
        let (script, name) = (
            "for _, pattern in ipairs(ARGV) do for _, key in ipairs(redis.call('KEYS', pattern)) do \
             redis.call('DEL', key) end end",
            &self.store.board().name,
        );
        let words = ["EVAL", script, "0", &format!("{name}*"), &format!("{{{name}}}*")];
        let mut command = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| command += &format!("${}\r\n{word}\r\n", word.len()));
        let address = self.url.trim_start_matches("redis://").split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(command.as_bytes()).unwrap();
        let mut reply = [0; 3];
        stream.read_exact(&mut reply).unwrap();
    }
}

#[test]
fn window_that_turns_is_shown_anew_though_nothing_happened() {
    let Some(live) = live("windows = [\"day\"]\n") else { return };
    let hand = Hand::at(FIRST_DAY + 60);
    let mut publisher = live.publisher(&hand);
    live.score(0, "a", FIRST_DAY + 30);
    live.look(&mut publisher);
    let (window, first, before) = live.newest();
    assert_eq!((window.as_str(), first.as_deref()), ("2026-11-20", Some("a")));
    assert!(!live.has_moved(&publisher));
    hand.set(FIRST_DAY + DAY);
    assert!(live.has_moved(&publisher));
    live.look(&mut publisher);
    let (window, first, after) = live.newest();
    assert_eq!((window.as_str(), first), ("2026-11-21", None));
    assert!(before < after && !live.has_moved(&publisher));
    assert_eq!(live.published().len(), 2);
    // Once turned, another publisher has nothing to add.
    let mut other = live.publisher(&hand);
    live.look(&mut other);
    assert_eq!(live.published().len(), 2);
}

#[test]
fn season_that_ends_gives_way_to_the_one_that_is_still_on_and_the_last_one_stays() {
    let seasons = "windows = []\n\
        [[board.season]]\nname = \"long\"\nstart = 2026-11-20\nend = 2026-11-24\n\
        [[board.season]]\nname = \"cup\"\nstart = 2026-11-21\nend = 2026-11-22\n";
    let Some(live) = live(seasons) else { return };
    let hand = Hand::at(FIRST_DAY);
    let mut publisher = live.publisher(&hand);
    let mut versions = Vec::new();
    for (day, season) in [(-1, "long"), (0, "long"), (1, "cup"), (2, "long"), (9, "long")] {
        hand.set(FIRST_DAY + day * DAY);
        live.look(&mut publisher);
        let (window, _, version) = live.newest();
        assert_eq!(window, season, "day {day}");
        versions.push(version);
    }
    assert!(versions.is_sorted());
}

/// What happens next: an event, or a look of one of the two.
#[derive(Clone, Copy, Debug)]
enum Step {
    Score { player: u8 },
    Look { second: bool },
    Pass { seconds: i64 },
}

#[test]
fn two_publishers_never_flap_whatever_their_clocks_say() {
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, ..ProptestConfig::default() });
    let step = prop_oneof![
        (0..3u8).prop_map(|player| Step::Score { player }),
        any::<bool>().prop_map(|second| Step::Look { second }),
        any::<bool>().prop_map(|second| Step::Look { second }),
        (1..3000i64).prop_map(|seconds| Step::Pass { seconds }),
    ];
    if test_servers::redis().is_none() {
        return;
    }
    let strategy = (prop::collection::vec(step, 1..40), -4000..4000i64);
    runner
        .run(&strategy, |(steps, skew)| {
            let live = live("windows = [\"hour\"]\n").unwrap();
            let (mut now, mut offset) = (FIRST_DAY, 0);
            let hands = [Hand::at(now), Hand::at(now + skew)];
            let mut publishers = hands.each_ref().map(|hand| live.publisher(hand));
            let mut read = [0; 2];
            for step in steps {
                match step {
                    Step::Score { player } => {
                        live.score(offset, &player.to_string(), now);
                        offset += 1;
                    }
                    Step::Look { second } => {
                        let index = usize::from(second);
                        for snapshot in live.published().into_iter().skip(read[index]) {
                            publishers[index].take(snapshot);
                            read[index] += 1;
                        }
                        live.look(&mut publishers[index]);
                    }
                    Step::Pass { seconds } => now += seconds,
                }
                hands[0].set(now);
                hands[1].set(now + skew);
            }
            // What a viewer gets, who takes only what is newer.
            let mut windows = BTreeMap::new();
            for snapshot in live.published() {
                let window = windows.entry(snapshot.version).or_insert_with(|| snapshot.window.clone());
                prop_assert_eq!(&*window, &snapshot.window, "two windows at one version");
            }
            let shown: Vec<_> = windows.into_values().collect();
            prop_assert!(shown.is_sorted(), "a window that was over came back: {:?}", shown);
            Ok(())
        })
        .unwrap();
}
