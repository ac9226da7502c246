//! Held against the oracle: whatever the boards, the events, the batches
//! and the order of partitions, every view stands as it must, double by double, and is answered for as
//! it stands.

use crate::Live;
use board_generators::{Logged, PARTITIONS, PLAYERS};
use board_store::{BoardStore, Reader, Row, sorted_set};
use boards::order::total_of;
use boards::{BoardSet, Oracle, RankMode, Ranking, Standing, View};
use contracts::{PlayerId, Score};
use futures_util::future::join_all;
use pipeline::sink::{LogBounds, Span, Step};
use pipeline::{Partition, Record, Sink as _};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

const CASES: u32 = 10_000;
/// Each waits for Redis most of its time.
const THREADS: u32 = 4;

fn partition(record: &Logged) -> Partition {
    Partition { topic: 0, number: record.partition }
}

impl Live {
    /// What a new sink makes of the log, taken in batches of these sizes; of a `backlog`, or as it comes.
    fn rank(&self, boards: &BoardSet, log: &[&Logged], batches: &[usize], backlog: bool) {
        let sink = self.sink(boards);
        let partitions: Vec<_> = (0..PARTITIONS).map(|number| Partition { topic: 0, number }).collect();
        let bounds = |partition: &Partition| {
            let records = log.iter().filter(|record| self::partition(record) == *partition).count();
            // What is there already is ranked beside what readers see; what comes later, where they see it.
            let high = if backlog { i64::try_from(records).unwrap() } else { 0 };
            LogBounds { partition: *partition, low: 0, high }
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
            let (key, suffix) = (sorted_set(&board.name, &view), listed_as(&view));
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

/// What the board's list of views calls a view (a contract); nothing for that of all players for all
/// time.
fn listed_as(view: &View) -> String {
    let value =
        view.value.as_deref().map(|value| format!("v:{}", value.replace('%', "%25").replace(':', "%3A")));
    let window = (&*view.window.id != "all").then(|| format!("w:{}", view.window.id));
    value.into_iter().chain(window).collect::<Vec<_>>().join(":")
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
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
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
            live.rank(&boards, &log.iter().collect::<Vec<_>>(), &batches, false);
            live.compare(&oracle)?;
            live.compare_reads(&oracle)?;
            live.remove(&prefix);
            // Again, one partition after the other.
            let mut again: Vec<_> = log.iter().collect();
            again.sort_by_key(|record| if reversed { -record.partition } else { record.partition });
            live.rank(&boards, &again, &others, true);
            live.compare(&oracle)?;
            live.remove(&prefix);
            Ok(())
        })
        .unwrap();
}
