//! The scripts on a real server, held against the oracle.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "live/erase.rs"]
mod erase;
#[path = "live/idempotency.rs"]
mod idempotency;
#[path = "live/reads.rs"]
mod reads;
#[path = "live/torn.rs"]
mod torn;
#[path = "live/values.rs"]
mod values;

use board_store::{
    Begin, BoardStore, Fence, Opened, Page, Reading, RedisSettings, Row, Rows, Seen, Source, Stand,
    StoreError, Write,
};
use boards::changes::{Change, Changes, Identified};
use boards::{Board, BoardSet, RankMode, Reached, Scope, Standings, View};
use contracts::{EventTime, PlayerId, Stages, Version};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A board of its own for each test, removed when the test ends, however it ends.
struct TestBoard {
    runtime: tokio::runtime::Runtime,
    url: String,
    store: BoardStore,
}

impl TestBoard {
    /// `None` where there is no Redis.
    fn new() -> Option<Self> {
        let url = test_servers::redis()?;
        let board = Board {
            name: format!("test-{}", uuid::Uuid::new_v4()),
            ..BoardSet::default().default_board().clone()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let settings = RedisSettings { redis_url: url.parse().unwrap() };
        let store = runtime.block_on(async { BoardStore::new(&settings, board).unwrap() });
        Some(Self { runtime, url, store })
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn begin(&self) {
        self.open(&Seen::default(), &[begin(0, 0), begin(1, 0)]);
    }

    fn open(&self, seen: &Seen, log: &[Begin]) -> Stand {
        match self.block_on(self.store.open(seen, log)).unwrap() {
            Opened::Stands(stand) => stand,
            other => panic!("{other:?}"),
        }
    }

    fn stands(&self) -> Stand {
        self.block_on(self.store.stands()).unwrap().unwrap()
    }

    fn apply(&self, changes: &Changes, spans: &[(i32, i64, i64)]) -> Result<Version, StoreError> {
        let spans: Vec<_> = spans.iter().map(|&(partition, from, to)| (field(partition), from, to)).collect();
        let stages = Stages { created_ms: 1.5, in_kafka_ms: 2.0, applied_ms: 3.25, published_ms: 0.0 };
        let write = Write { changes, spans: &spans, stages: Some(stages), newest: None };
        let begun = self.block_on(self.store.stands())?.map_or(0, |stand| stand.begun);
        self.block_on(self.store.apply(Fence::On, begun, &[write])).map(|applied| applied.version)
    }

    fn redis<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let mut connection = redis::Client::open(self.url.as_str()).unwrap().get_connection().unwrap();
        command.query(&mut connection).unwrap()
    }

    fn page(&self) -> Reading<Page> {
        self.block_on(self.store.all_time().page(10, None, RankMode::Ordinal)).unwrap().unwrap()
    }

    /// (player, total), best first, read page by page.
    fn rows(&self, page: usize) -> Vec<(String, i64)> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let read = self.store.all_time().page(page, cursor.as_ref(), RankMode::Ordinal);
            let read = self.block_on(read).unwrap().unwrap().found;
            for row in &read.rows {
                assert_eq!(row.rank, u64::try_from(rows.len()).unwrap() + 1);
                rows.push((row.player.to_string(), row.score.units()));
            }
            if !read.has_more {
                return rows;
            }
            cursor = read.rows.last().map(Row::cursor);
        }
    }
}

impl Drop for TestBoard {
    fn drop(&mut self) {
        let name = &self.store.board().name;
        for pattern in
            [name.clone(), format!("{{{name}}}:*"), format!("{name}-cache"), format!("player:{name}*")]
        {
            let keys: Vec<String> = self.redis(redis::cmd("KEYS").arg(pattern));
            if !keys.is_empty() {
                let _: i64 = self.redis(redis::cmd("DEL").arg(keys));
            }
        }
    }
}

fn field(partition: i32) -> String {
    format!("game-score/{partition}")
}

fn begin(partition: i32, high: i64) -> Begin {
    Begin { field: field(partition), low: 0, high }
}

fn seen_at(version: Version) -> Seen {
    Seen { version: Some(version), ..Seen::default() }
}

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}

fn second(second: i64) -> Reached {
    Reached::at(EventTime::from_micros(second * 1_000_000).unwrap())
}

fn changes(list: &[(&str, i64, i64)]) -> Changes {
    let mut changes = Changes::default();
    for &(name, units, at) in list {
        changes.add(&player(name), Change::of(units, second(at)));
    }
    changes
}

#[test]
fn replayed_batch_is_refused_and_changes_nothing() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let batch = changes(&[("a", 5, 1), ("b", 7, 2)]);
    board.apply(&batch, &[(0, 0, 3)]).unwrap();
    for spans in [[(0, 0, 3)], [(0, 2, 4)], [(0, 4, 5)]] {
        let refused = board.apply(&batch, &spans);
        assert!(matches!(refused, Err(StoreError::Fenced(_))), "{spans:?}: {refused:?}");
    }
    // One stale partition refuses the whole batch.
    assert!(matches!(board.apply(&batch, &[(0, 0, 3), (1, 0, 3)]), Err(StoreError::Fenced(_))));
    assert_eq!(board.rows(10), [("b".to_owned(), 7), ("a".to_owned(), 5)]);
    let opened = board.stands();
    assert_eq!(opened.version, Version { epoch: 1, version: 1 });
    assert_eq!(opened.offsets, [(field(0), 3), (field(1), 0)].into());
}

#[test]
fn with_the_fence_off_a_replayed_batch_counts_twice() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let batch = changes(&[("a", 5, 1)]);
    let spans = [(field(0), 0, 3)];
    for _ in 0..2 {
        let write = Write { changes: &batch, spans: &spans, stages: None, newest: None };
        board.block_on(board.store.apply(Fence::Off, 1, &[write])).unwrap();
    }
    assert_eq!(board.rows(10), [("a".to_owned(), 10)]);
}

#[test]
fn a_chain_after_a_refused_write_is_refused_whole() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let batch = changes(&[("a", 1, 1)]);
    let spans = [[(field(0), 0, 1)], [(field(0), 5, 6)], [(field(0), 6, 7)]];
    let writes: Vec<_> =
        spans.iter().map(|spans| Write { changes: &batch, spans, stages: None, newest: None }).collect();
    assert!(matches!(board.block_on(board.store.apply(Fence::On, 1, &writes)), Err(StoreError::Fenced(_))));
    assert_eq!(board.rows(10), [("a".to_owned(), 1)]);
}

#[test]
fn batch_without_changes_moves_offsets_but_no_version() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    assert_eq!(board.apply(&Changes::default(), &[(0, 0, 9)]).unwrap(), Version { epoch: 1, version: 0 });
    assert_eq!(board.stands().offsets[&field(0)], 9);
}

#[test]
fn same_id_counts_once_within_two_days_even_in_one_batch_and_from_another_partition() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let mut oracle = Standings::default();
    // The days on which "x" arrives, batch by batch.
    let batches = [vec![10, 10], vec![11], vec![9], vec![13, 20], vec![8]];
    for (offset, days) in (0..).zip(batches) {
        let mut batch = changes(&[("a", 100, 1)]);
        for day in days {
            batch.add_identified(Identified {
                player: player("a"),
                event_id: "x".into(),
                arrival_day: day,
                scope: Scope::all_time(),
                change: Change::of(1, second(day)),
            });
        }
        oracle.apply_changes(&batch);
        board.apply(&batch, &[(0, offset, offset + 1)]).unwrap();
        assert_eq!(board.rows(10), [("a".to_owned(), oracle.total("a").unwrap())]);
    }
}

#[test]
fn emptied_redis_is_noticed_by_the_next_batch_and_rebuilt_under_a_new_epoch() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let batch = changes(&[("a", 5, 1)]);
    let seen = board.apply(&batch, &[(0, 0, 2)]).unwrap();
    // Everything but the sorted set that readers look at is lost.
    let name = board.store.board().name.clone();
    let _: i64 =
        board.redis(redis::cmd("DEL").arg(format!("{{{name}}}:state")).arg(format!("{{{name}}}:offsets")));
    assert!(matches!(board.apply(&batch, &[(0, 2, 3)]), Err(StoreError::Fenced(_))));
    assert_eq!(board.block_on(board.store.stands()).unwrap(), None);
    let stand = board.open(&seen_at(seen), &[begin(0, 3), begin(1, 0)]);
    assert_eq!((stand.version.epoch, stand.offsets[&field(0)]), (2, 0));

    // Half rebuilt: readers still see the old rows, and that they are old.
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    let page = board.page();
    assert_eq!((page.state, page.version.epoch), (Rows::LastGood, 2));
    assert_eq!(board.rows(10), [("a".to_owned(), 5)]);

    // Whole: the rebuilt board takes its place.
    board.apply(&changes(&[("b", 9, 3)]), &[(0, 2, 3)]).unwrap();
    assert_eq!(board.page().state, Rows::Current);
    assert_eq!(board.rows(10), [("b".to_owned(), 9), ("a".to_owned(), 5)]);
}

#[test]
fn board_behind_what_was_seen_gets_a_new_epoch() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    let open = |seen: Version| board.open(&seen_at(seen), &[begin(0, 2), begin(1, 0)]).version;
    assert_eq!(open(Version { epoch: 1, version: 1 }), Version { epoch: 1, version: 1 });
    assert_eq!(open(Version { epoch: 1, version: 2 }).epoch, 2);
    assert_eq!(open(Version { epoch: 7, version: 0 }).epoch, 8);
}

#[test]
fn what_viewers_may_have_outgrown_is_confirmed_only_under_a_new_epoch() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    let confirm = |read: Version, shown| board.block_on(board.store.confirm(read, shown)).unwrap();
    let now = board.stands().version;
    assert!(confirm(now, now));
    assert!(!confirm(Version { epoch: now.epoch - 1, ..now }, now), "read before the epoch began");
    assert!(!confirm(now, Version { version: now.version + 1, ..now }));
    let raised = board.stands().version;
    assert_eq!(raised.epoch, now.epoch + 1);
    assert!(confirm(raised, now));
    // Another process of the server, which may have lost its tail.
    let state = format!("{{{}}}:state", board.store.board().name);
    let _: i64 = board.redis(redis::cmd("HSET").arg(state).arg("server").arg("another"));
    assert!(!confirm(raised, raised));
    let raised = board.stands().version;
    assert_eq!(raised.epoch, now.epoch + 2);
    assert!(confirm(raised, raised));
}

#[test]
fn redis_without_its_tail_shows_nothing_until_it_has_caught_up() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    // Versions tell nothing here: another ranker has gone on. The stored offset tells.
    let seen = Seen { offsets: [(field(0), 4)].into(), ..seen_at(Version { epoch: 1, version: 1 }) };
    let stand = board.open(&seen, &[begin(0, 5), begin(1, 0)]);
    assert_eq!((stand.version.epoch, stand.offsets[&field(0)]), (2, 2));
    assert_eq!(board.page().state, Rows::Unfit);
    board.apply(&changes(&[("a", 1, 1)]), &[(0, 2, 4)]).unwrap();
    assert_eq!(board.page().state, Rows::Unfit);
    board.apply(&changes(&[("a", 1, 1)]), &[(0, 4, 5)]).unwrap();
    assert_eq!(board.page().state, Rows::Current);
    assert_eq!(board.rows(10), [("a".to_owned(), 7)]);
}

#[test]
fn foreign_key_and_other_rules_are_refused() {
    let Some(board) = TestBoard::new() else { return };
    let name = board.store.board().name.clone();
    let _: i64 = board.redis(redis::cmd("ZADD").arg(&name).arg(1).arg("x"));
    let refused = || {
        let opened = board.block_on(board.store.open(&Seen::default(), &[begin(0, 0)]));
        matches!(opened, Err(StoreError::Foreign(_)))
    };
    assert!(refused());
    let _: i64 = board.redis(redis::cmd("DEL").arg(&name));
    board.begin();
    assert!(!refused());
    let _: i64 = board.redis(redis::cmd("HSET").arg(format!("{{{name}}}:state")).arg("rules").arg("best"));
    assert!(refused());
}

#[test]
fn board_that_the_log_does_not_reach_back_to_is_filled_beside_what_readers_see() {
    let Some(board) = TestBoard::new() else { return };
    let late = |low| [Begin { field: field(0), low, high: 9 }];
    // A board that never was needs what came before the log, unless nothing has it.
    let empty = [Begin { field: field(0), low: 7, high: 7 }];
    let opened = board.block_on(board.store.open(&Seen::default(), &empty)).unwrap();
    assert_eq!(opened, Opened::History { epoch: 0 });
    let opened = board.block_on(board.store.open_from_log(&Seen::default(), &empty)).unwrap();
    assert!(matches!(opened, Opened::Stands(_)));
    board.apply(&changes(&[("old", 5, 1)]), &[(0, 7, 8)]).unwrap();
    let open = |low| board.block_on(board.store.open(&Seen::default(), &late(low))).unwrap();
    assert!(matches!(open(8), Opened::Stands(_)));
    // One that the log has left behind does not go on.
    assert_eq!(open(9), Opened::History { epoch: 1 });

    let rebuild = |token: &str, wanting| {
        let source = Source::Archive { token: token.to_owned() };
        board.block_on(board.store.rebuild(&source, wanting, &Seen::default(), &late(9))).unwrap()
    };
    assert!(rebuild("a", Some(7)).is_none(), "it stands elsewhere than thought");
    let mut filling = rebuild("a", Some(1)).unwrap();
    assert_eq!(open(9), Opened::Filling);
    assert!(rebuild("b", None).is_none(), "someone fills it");
    let rows = [("a", 3), ("b", 2)].map(|(who, at)| (player(who), Change::of(12, second(at))));
    board.block_on(board.store.fill_rows(&mut filling, &View::all_time(), &rows)).unwrap();
    let ids = board_store::IdSet { day: 10, ids: vec![(player("a"), "x".into())] };
    board.block_on(board.store.fill_ids(&mut filling, &ids)).unwrap();
    assert_eq!(board.page().state, Rows::LastGood);
    assert_eq!(board.rows(10), [("old".to_owned(), 5)]);
    // Nobody writes meanwhile.
    assert!(matches!(board.apply(&changes(&[("a", 1, 1)]), &[(0, 8, 9)]), Err(StoreError::Fenced(_))));

    board.block_on(board.store.filled(filling, &[(field(0), 8)].into())).unwrap();
    assert_eq!(board.page().state, Rows::LastGood, "the log goes farther than the archive");
    let mut batch = changes(&[("b", -1, 4)]);
    batch.add_identified(Identified {
        player: player("a"),
        event_id: "x".into(),
        arrival_day: 11,
        scope: Scope::all_time(),
        change: Change::of(100, second(5)),
    });
    board.apply(&batch, &[(0, 8, 9)]).unwrap();
    assert_eq!(board.page().state, Rows::Current);
    assert_eq!(board.rows(10), [("a".to_owned(), 12), ("b".to_owned(), 11)]);
}

#[test]
fn a_filler_that_was_replaced_or_lost_a_portion_is_refused() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let name = board.store.board().name.clone();
    let rebuild = |token: &str| {
        let source = Source::Archive { token: token.to_owned() };
        board.block_on(board.store.rebuild(&source, None, &Seen::default(), &[begin(0, 0)])).unwrap().unwrap()
    };
    let fill = |filling: &mut board_store::Filling| {
        board.block_on(board.store.fill_rows(
            filling,
            &View::all_time(),
            &[(player("a"), Change::of(1, second(1)))],
        ))
    };
    let mut first = rebuild("first");
    fill(&mut first).unwrap();
    // It has given no sign of life for too long.
    let _: i64 = board.redis(redis::cmd("DEL").arg(format!("{{{name}}}:lease")));
    let opened = board.block_on(board.store.open(&Seen::default(), &[begin(0, 0)])).unwrap();
    assert!(matches!(opened, Opened::History { .. }));
    let mut second_filler = rebuild("second");
    assert!(matches!(fill(&mut first), Err(StoreError::Fenced(_))));
    fill(&mut second_filler).unwrap();
    // Redis came back without the last portion.
    let _: i64 = board.redis(redis::cmd("HSET").arg(format!("{{{name}}}:state")).arg("filling").arg(0));
    assert!(matches!(fill(&mut second_filler), Err(StoreError::Fenced(_))));
    let end = board.block_on(board.store.filled(second_filler, &[(field(0), 0)].into()));
    assert!(matches!(end, Err(StoreError::Fenced(_))));
}

#[test]
fn board_that_is_asked_to_is_rebuilt_from_the_log_though_ids_were_seen() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let mut batch = changes(&[("b", 1, 1)]);
    batch.add_identified(Identified {
        player: player("a"),
        event_id: "x".into(),
        arrival_day: 0,
        scope: Scope::all_time(),
        change: Change::of(3, second(1)),
    });
    board.apply(&batch, &[(0, 0, 2)]).unwrap();
    let log = [begin(0, 2), begin(1, 0)];
    board.block_on(board.store.rebuild(&Source::Log, None, &Seen::default(), &log)).unwrap().unwrap();
    assert_eq!(board.page().state, Rows::LastGood);
    assert_eq!(board.stands().version, Version { epoch: 2, version: 0 });
    board.apply(&batch, &[(0, 0, 2)]).unwrap();
    assert_eq!(board.page().state, Rows::Current);
    assert_eq!(board.rows(10), [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    // A batch from before the rebuild has nothing to say any more, wherever it begins.
    let spans = [(field(0), 2, 3)];
    let write = Write { changes: &batch, spans: &spans, stages: None, newest: None };
    assert!(matches!(board.block_on(board.store.apply(Fence::On, 1, &[write])), Err(StoreError::Fenced(_))));
}

#[test]
fn snapshot_is_cached_once_and_never_replaces_a_newer_one() {
    let Some(board) = TestBoard::new() else { return };
    let publish = |epoch, version, rebuilding| {
        let text = format!(r#"{{"epoch":{epoch},"version":{version},"rebuilding":{rebuilding}}}"#);
        board.block_on(board.store.publish(&text, Version { epoch, version }, rebuilding)).unwrap()
    };
    assert!(publish(1, 5, false));
    assert!(!publish(1, 5, false));
    assert!(!publish(1, 4, false));
    assert!(publish(2, 0, true));
    assert!(publish(2, 0, false));
    assert!(!publish(1, 99, false));
    let newest = r#"{"epoch":2,"version":0,"rebuilding":false}"#;
    assert_eq!(board.block_on(board.store.cached()).unwrap().as_deref(), Some(newest));
}

#[test]
fn newest_name_stands_whatever_the_order() {
    let Some(board) = TestBoard::new() else { return };
    let who = player(&format!("{}-p", board.store.board().name));
    let give = |nickname: Option<&str>, given_ms| {
        let change =
            board_store::NameChange { player: who.clone(), nickname: nickname.map(Into::into), given_ms };
        board.block_on(board.store.give_names(&[change.clone(), change])).unwrap();
    };
    let name = || board.block_on(board.store.names([&who])).unwrap().remove(0);
    assert_eq!(name(), None);
    give(Some("Zoë 🎯"), 10);
    give(Some("older"), 9);
    assert_eq!(name().as_deref(), Some("Zoë 🎯"));
    give(None, 11);
    give(Some("older"), 10);
    assert_eq!(name(), None);
}

/// An event as the property test deals with it: player, units, second, event id, partition.
type Dealt = (usize, i64, i64, Option<u8>, i32);

fn dealt() -> impl Strategy<Value = Dealt> {
    let units = prop_oneof![-20..20i64, Just(0), -300_000..300_000i64, Just(1_000_000_000)];
    (0..12usize, units, -5_000_000_000..3_000_000_000i64, proptest::option::weighted(0.2, 0..4u8), 0..2i32)
}

#[test]
fn redis_stands_as_the_oracle_does_whatever_the_batches() {
    let Some(_) = TestBoard::new() else { return };
    let mut runner = TestRunner::new(ProptestConfig { cases: 64, ..ProptestConfig::default() });
    let strategy = (proptest::collection::vec(dealt(), 1..80), 1..12usize, 1..6usize);
    runner
        .run(&strategy, |(events, batch_size, page)| {
            let board = TestBoard::new().unwrap();
            board.begin();
            let mut oracle = Standings::default();
            let mut next = [0i64; 2];
            for chunk in events.chunks(batch_size) {
                let mut batch = Changes::default();
                let from = next;
                for &(who, units, at, event_id, partition) in chunk {
                    let who = player(
                        ["a", "b", "c/d", "e f", "é", "🎯", "10", "9", "B", "~", "a\u{301}", "אב"][who],
                    );
                    let change = Change::of(units, second(at));
                    match event_id {
                        None => batch.add(&who, change),
                        Some(id) => batch.add_identified(Identified {
                            player: who,
                            event_id: format!("e{}", id / 2).into(),
                            arrival_day: i64::from(id % 2) * 2,
                            scope: Scope::all_time(),
                            change,
                        }),
                    }
                    next[usize::try_from(partition).unwrap()] += 1;
                }
                oracle.apply_changes(&batch);
                let spans: Vec<_> = (0..2usize)
                    .filter(|&p| from[p] < next[p])
                    .map(|p| (i32::try_from(p).unwrap(), from[p], next[p]))
                    .collect();
                board.apply(&batch, &spans).unwrap();
            }
            let expected: Vec<_> =
                oracle.top(usize::MAX).into_iter().map(|row| (row.player.to_string(), row.total)).collect();
            prop_assert_eq!(board.rows(page), expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn stages_of_the_newest_event_come_back() {
    let Some(board) = TestBoard::new() else { return };
    let page = || board.block_on(board.store.all_time().page(10, None, RankMode::Ordinal)).unwrap();
    assert_eq!(page(), None);
    assert_eq!(board.block_on(board.store.version()).unwrap(), None);
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    let page = page().unwrap();
    let stages = Stages { created_ms: 1.5, in_kafka_ms: 2.0, applied_ms: 3.25, published_ms: 0.0 };
    assert_eq!((page.found.stages, page.players, page.found.has_more), (Some(stages), 1, false));
    assert_eq!(board.block_on(board.store.version()).unwrap(), Some(page.version));
}

#[test]
fn board_that_begins_with_a_backlog_is_shown_when_it_has_caught_up() {
    let Some(board) = TestBoard::new() else { return };
    board.open(&Seen::default(), &[Begin { field: field(0), low: 0, high: 2 }]);
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 1)]).unwrap();
    assert_eq!((board.page().state, board.rows(10)), (Rows::Unfit, Vec::new()));
    board.apply(&changes(&[("b", 7, 2)]), &[(0, 1, 2)]).unwrap();
    assert_eq!(board.page().state, Rows::Current);
    assert_eq!(board.rows(10), [("b".to_owned(), 7), ("a".to_owned(), 5)]);
}

#[test]
fn newest_arrival_is_known_also_of_events_that_are_not_for_the_board() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let apply = |offset: i64, newest: Option<i64>| {
        let newest = newest.map(|at| EventTime::from_millis(at).unwrap());
        let (changes, spans) = (Changes::default(), [(field(0), offset, offset + 1)]);
        let write = Write { changes: &changes, spans: &spans, stages: None, newest };
        board.block_on(board.store.apply(Fence::On, board.stands().begun, &[write])).unwrap();
        board.block_on(board.store.newest_arrival()).unwrap().map(|at| at.to_millis_f64())
    };
    assert_eq!(apply(0, None), None);
    assert_eq!(apply(1, Some(5_000)), Some(5_000.0));
    assert_eq!(apply(2, Some(4_000)), Some(5_000.0), "of another partition");
    assert_eq!(apply(3, Some(6_000)), Some(6_000.0));
}
