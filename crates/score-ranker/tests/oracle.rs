//! The sink on a real Redis, held against the oracle: whatever the boards, the events, the batches
//! and the order of partitions, every view stands as it must, double by double, and is answered for as
//! it stands.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use archive_store::{History, Portion};
use board_generators::{Logged, PARTITIONS, PLAYERS};
use board_store::{BoardStore, Fence, Reader, RedisSettings, Row};
use boards::order::total_of;
use boards::{BoardSet, Oracle, RankMode, Ranking, Standing, View};
use contracts::dead_letter::DeadLetter;
use contracts::{EventTime, Notice, PlayerId, Score, Version};
use futures_util::future::join_all;
use pipeline::sink::{LogBounds, Span, Step};
use pipeline::{Partition, Record, Sink};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use recovery::rebuild::DeadLetters;
use redis::aio::ConnectionManager;
use score_ranker::{RankSink, Surroundings};
use std::collections::BTreeMap;

const CASES: u32 = 10_000;
/// Each waits for Redis most of its time.
const THREADS: u32 = 4;

/// Nothing beside the stores: no dead letters are expected, no archive is there.
struct Alone;

struct NoHistory;

impl DeadLetters for Alone {
    async fn bury(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        anyhow::bail!("unexpected: {letters:?}")
    }
}

impl History for NoHistory {
    fn offsets(&self) -> &BTreeMap<i32, i64> {
        unreachable!("there is none")
    }

    async fn next(&mut self) -> anyhow::Result<Option<Portion>> {
        Ok(None)
    }
}

impl Surroundings for Alone {
    type History = NoHistory;

    fn notify(&self, _: &Notice) {}

    async fn published(&self, boards: &[String]) -> anyhow::Result<Vec<Version>> {
        Ok(vec![Version { epoch: 0, version: 0 }; boards.len()])
    }

    async fn history(&self, _: BTreeMap<i32, i64>) -> Option<anyhow::Result<NoHistory>> {
        None
    }

    fn token(&self) -> String {
        "me".to_owned()
    }

    fn now(&self) -> EventTime {
        EventTime::UNIX_EPOCH
    }
}

fn partition(record: &Logged) -> Partition {
    Partition { topic: 0, number: record.partition }
}

struct Live {
    runtime: tokio::runtime::Runtime,
    connection: ConnectionManager,
}

impl Live {
    /// `None` where there is no Redis: said aloud, and a failure where one is required.
    fn new() -> Option<Self> {
        let Ok(url) = std::env::var("RANKSTREAM_TEST_REDIS") else {
            assert!(
                std::env::var_os("RANKSTREAM_TEST_REQUIRED").is_none(),
                "RANKSTREAM_TEST_REDIS is not set, but required"
            );
            eprintln!("SKIPPED: RANKSTREAM_TEST_REDIS is not set");
            return None;
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = RedisSettings { redis_url: url.parse().unwrap() };
        let connection = runtime.block_on(async { settings.connect().unwrap() });
        Some(Self { runtime, connection })
    }

    fn redis<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.runtime.block_on(command.query_async(&mut self.connection.clone())).unwrap()
    }

    /// What a new sink makes of the log, taken in batches of these sizes.
    fn rank(&self, boards: &BoardSet, log: &[&Logged], batches: &[usize]) {
        let topics = score_ranker::TOPICS.map(|topic| topic.name.to_owned()).to_vec();
        let sink = RankSink::new(topics, boards.clone(), &self.connection, Alone, Fence::On);
        let partitions: Vec<_> = (0..PARTITIONS).map(|number| Partition { topic: 0, number }).collect();
        let bounds = |partition: &Partition| {
            let high = log.iter().filter(|record| self::partition(record) == *partition).count();
            LogBounds { partition: *partition, low: 0, high: i64::try_from(high).unwrap() }
        };
        let bounds: Vec<_> = partitions.iter().map(bounds).collect();
        let mut next = self.runtime.block_on(sink.open(&partitions, &bounds)).unwrap();
        let mut rest = log;
        let mut sizes = batches.iter().cycle();
        while !rest.is_empty() {
            let (records, others) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            rest = others;
            let mut step = Step { batch: score_ranker::Batch::default(), spans: Vec::new(), records: 0 };
            let from = next.clone();
            for record in records {
                assert_eq!(next.insert(partition(record), record.offset + 1), Some(record.offset));
                let event = sink.decode(&Record {
                    partition: partition(record),
                    offset: record.offset,
                    timestamp_ms: Some(record.arrived_ms),
                    key: None,
                    payload: Some(record.payload.as_bytes()),
                });
                sink.fold(&mut step.batch, event);
            }
            let moved = next.iter().filter(|(partition, to)| from[partition] < **to);
            step.spans = moved
                .map(|(partition, to)| Span { partition: *partition, from: from[partition], to: *to })
                .collect();
            self.runtime.block_on(sink.write(vec![step])).unwrap();
        }
    }

    /// Every view of every board stands as the oracle says, and there is no other.
    fn compare(&self, oracle: &Oracle) -> Result<(), TestCaseError> {
        let mut expected: BTreeMap<String, Vec<String>> =
            oracle.boards().iter().map(|board| (board.name.clone(), Vec::new())).collect();
        for (name, window, standings) in oracle.views() {
            let (index, value) = oracle.boards().find(&name).unwrap();
            let board = &oracle.boards()[index];
            let view =
                View { value: value.map(Into::into), window: board.window_of_id(window).unwrap().into() };
            let (key, suffix) = key(&board.name, &view);
            expected.get_mut(&board.name).unwrap().extend((!suffix.is_empty()).then(|| suffix.clone()));
            let rows: Vec<(String, String)> = self.redis(&["ZREVRANGE", &key, "0", "-1", "WITHSCORES"]);
            let found: Vec<(String, u64)> = rows
                .into_iter()
                .map(|(player, score)| (player, score.parse::<f64>().unwrap().to_bits()))
                .collect();
            let stands = |row: boards::Standing| {
                let double = standings.sorted_set_score(row.player.as_str()).unwrap();
                (row.player.to_string(), double.to_bits())
            };
            let rows: Vec<_> = standings.top(usize::MAX).into_iter().map(stands).collect();
            prop_assert_eq!(&found, &rows, "{} in {}", name, window);
            if board.dense_ranks {
                let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
                for (_, double) in rows {
                    *counts.entry(total_of(f64::from_bits(double))).or_default() += 1;
                }
                let beside = |what: &str| {
                    let colon = if suffix.is_empty() { "" } else { ":" };
                    format!("{{{}}}:{what}{colon}{suffix}", board.name)
                };
                let found: BTreeMap<i64, u64> = self.redis(&["HGETALL", &beside("counts")]);
                prop_assert_eq!(&found, &counts, "how many have each total in {} in {}", name, window);
                let found: Vec<i64> = self.redis(&["ZRANGE", &beside("totals"), "0", "-1"]);
                prop_assert_eq!(found, counts.into_keys().collect::<Vec<_>>(), "the totals of {}", name);
            }
        }
        for (board, mut expected) in expected {
            let mut found: Vec<String> = self.redis(&["SMEMBERS", &format!("{{{board}}}:views")]);
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected, "the views of {}", board);
        }
        Ok(())
    }

    /// Every question about every view is answered as the oracle says.
    fn compare_reads(&self, oracle: &Oracle) -> Result<(), TestCaseError> {
        for (name, window, standings) in oracle.views() {
            let (index, value) = oracle.boards().find(&name).unwrap();
            let board = &oracle.boards()[index];
            let store = BoardStore::with_connection(self.connection.clone(), board.clone());
            let view =
                View { value: value.map(Into::into), window: board.window_of_id(window).unwrap().into() };
            let asked = Asked { store: &store, view: &view, ranking: standings.ranking() };
            self.runtime.block_on(asked.compare())?;
        }
        Ok(())
    }

    fn remove(&self, prefix: &str) {
        let pattern = |before: &str| format!("{before}{prefix}*");
        for pattern in [pattern(""), pattern("{")] {
            let keys: Vec<String> = self.redis(&["KEYS", &pattern]);
            for key in &keys {
                let _: i64 = self.redis(&["DEL", key]);
            }
        }
    }
}

/// A view that is asked about, and its places as the oracle has them.
struct Asked<'a> {
    store: &'a BoardStore,
    view: &'a View,
    ranking: Ranking,
}

impl Asked<'_> {
    fn reader(&self) -> Reader<'_> {
        self.store.view(self.view)
    }

    fn row(&self, Standing { rank, player, total }: &Standing) -> (u64, String, Score) {
        (*rank, player.to_string(), self.store.board().score(*total))
    }

    fn rows(&self, rows: &[Standing]) -> Vec<(u64, String, Score)> {
        rows.iter().map(|row| self.row(row)).collect()
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        let found = |rows: &[Row]| -> Vec<(u64, String, Score)> {
            rows.iter().map(|row| (row.rank, row.player.to_string(), row.score)).collect()
        };
        let players = u64::try_from(self.ranking.players()).unwrap();
        let asked: Vec<PlayerId> =
            PLAYERS.iter().chain(&["nobody"]).map(|id| PlayerId::new(*id).unwrap()).collect();
        for mode in RankMode::ALL {
            let all = self.ranking.page(mode, 0, usize::MAX);
            let first = self.reader().page(2, None, mode).await.unwrap().unwrap();
            prop_assert_eq!(first.players, players);
            let mut rows = first.found.rows;
            if let (true, Some(last)) = (first.found.has_more, rows.last()) {
                let rest = self.reader().page(100, Some(&last.cursor()), mode).await.unwrap().unwrap();
                prop_assert!(!rest.found.has_more);
                rows.extend(rest.found.rows);
            }
            prop_assert_eq!(found(&rows), self.rows(&all), "{:?} {:?}", self.view, mode);

            let places = self.reader().places(&asked, mode).await.unwrap().unwrap().found;
            for (player, place) in asked.iter().zip(places) {
                let place = place.map(|place| (place.rank, player.to_string(), place.score));
                let expected = self.ranking.place(mode, player.as_str()).map(|row| self.row(&row));
                prop_assert_eq!(place, expected);
            }
            let sizes = [1, 2, 3, 9].into_iter().cycle().skip(all.len());
            let around = asked.iter().zip(sizes).map(async |(player, size)| {
                let rows = self.reader().around(player, size, mode).await.unwrap().unwrap().found;
                (found(&rows), self.ranking.around(mode, player.as_str(), size).unwrap_or_default())
            });
            for (rows, expected) in join_all(around).await {
                prop_assert_eq!(rows, self.rows(&expected));
            }
        }
        self.compare_totals().await
    }

    async fn compare_totals(&self) -> Result<(), TestCaseError> {
        let score = |units: i64| self.store.board().score(units);
        let buckets = self.reader().distribution(3).await.unwrap().unwrap().found;
        let buckets: Vec<_> = buckets.iter().map(|bucket| (bucket.from, bucket.to, bucket.players)).collect();
        let expected = self.ranking.distribution(3).into_iter();
        let expected: Vec<_> =
            expected.map(|bucket| (score(bucket.from), score(bucket.to - 1), bucket.players)).collect();
        prop_assert_eq!(buckets, expected, "{:?}", self.view);
        let best = self.ranking.page(RankMode::Ordinal, 0, 1)[0].total;
        for units in [best, best + 1, best - 1] {
            let found = self.reader().rank_of(units).await.unwrap().unwrap().found;
            let expected = self.ranking.rank_of_score(units);
            let ranks = (found.ordinal, found.competition, found.dense, found.players_at);
            let expected = (expected.ordinal, expected.competition, Some(expected.dense), expected.players);
            prop_assert_eq!(ranks, expected);
        }
        Ok(())
    }
}

/// The key of a view (a contract), and what the board's list of views calls it.
fn key(board: &str, view: &View) -> (String, String) {
    let value =
        view.value.as_deref().map(|value| format!("v:{}", value.replace('%', "%25").replace(':', "%3A")));
    let window = (&*view.window.id != "all").then(|| format!("w:{}", view.window.id));
    let suffix = value.into_iter().chain(window).collect::<Vec<_>>().join(":");
    let key = if suffix.is_empty() { board.to_owned() } else { format!("{{{board}}}:{suffix}") };
    (key, suffix)
}

#[test]
fn every_view_stands_as_the_oracle_says_whatever_the_batches_and_the_order_of_partitions() {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| run_cases(CASES / THREADS));
        }
    });
}

fn run_cases(cases: u32) {
    let Some(live) = Live::new() else { return };
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let prefix = format!("test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let batches = || prop::collection::vec(1..12usize, 1..4);
    let strategy =
        (board_generators::boards(&prefix), board_generators::logs(39), batches(), batches(), any::<bool>());
    runner
        .run(&strategy, |(boards, log, batches, others, reversed)| {
            let mut oracle = Oracle::new(boards.clone());
            for record in &log {
                oracle.apply(&record.event(), record.arrival()).unwrap();
            }
            // A case before may have failed.
            live.remove(&prefix);
            live.rank(&boards, &log.iter().collect::<Vec<_>>(), &batches);
            live.compare(&oracle)?;
            live.compare_reads(&oracle)?;
            live.remove(&prefix);
            // Again, one partition after the other.
            let mut again: Vec<_> = log.iter().collect();
            again.sort_by_key(|record| if reversed { -record.partition } else { record.partition });
            live.rank(&boards, &again, &others);
            live.compare(&oracle)?;
            live.remove(&prefix);
            Ok(())
        })
        .unwrap();
}
