//! What a batch costs Redis, counted by a server of the test's own.

use crate::{Alone, Live};
use boards::BoardSet;
use pipeline::sink::{LogBounds, Span, Step};
use pipeline::{Partition, Record, Sink as _};
use redis::aio::ConnectionManager;
use score_ranker::RankSink;
use test_servers::OwnRedis;

const SCORES: Partition = Partition { topic: 0, number: 0 };

/// Every event counts in five windows of `many`, in two windows of its team, and on `plain`.
const BOARDS: &str = r#"
[[board]]
name = "plain"

[[board]]
name = "many"
windows = ["all", "hour", "day", "week", "month"]
dense_ranks = true

[[board]]
name = "team"
aggregate = "last"
match = { team = "{team}" }
windows = ["all", "day"]
"#;

/// A sink on a server, whose log only grows.
struct Ranked<'a> {
    live: &'a Live,
    sink: RankSink<Alone, ConnectionManager>,
    offset: i64,
}

impl<'a> Ranked<'a> {
    fn new(live: &'a Live, boards: &str) -> Self {
        let sink = live.sink(&BoardSet::parse(boards).unwrap());
        let log = [LogBounds { partition: SCORES, low: 0, high: 0 }];
        live.runtime.block_on(sink.open(&[SCORES], &log)).unwrap();
        Self { live, sink, offset: 0 }
    }

    /// A batch with a point for each of these players.
    fn write(&mut self, players: impl Iterator<Item = u64>) {
        let mut step = Step { batch: score_ranker::Batch::default(), spans: Vec::new(), records: 0 };
        let from = self.offset;
        for player in players {
            let payload = format!(r#"{{"score":1,"user_id":{player},"tags":{{"team":"t{}"}}}}"#, player % 2);
            let event = self.sink.decode(&Record {
                partition: SCORES,
                offset: self.offset,
                timestamp_ms: Some(1_700_000_000_000 + self.offset / 100),
                key: None,
                payload: Some(payload.as_bytes()),
            });
            self.sink.fold(&mut step.batch, event);
            self.offset += 1;
        }
        step.spans = vec![Span { partition: SCORES, from, to: self.offset }];
        self.live.runtime.block_on(self.sink.write(vec![step])).unwrap();
    }
}

#[test]
fn batch_is_one_script_call_for_each_board_whatever_its_windows() {
    if test_servers::redis().is_none() {
        return;
    }
    let server = OwnRedis::start(&[]);
    let live = Live::at(&server.url());
    let mut ranked = Ranked::new(&live, BOARDS);
    let mut calls_of_a_batch = || {
        let calls = || ["evalsha", "eval", "fcall"].map(|command| server.calls(command)).iter().sum::<u64>();
        let before = calls();
        ranked.write(0..100);
        calls() - before
    };
    assert_eq!([calls_of_a_batch(), calls_of_a_batch(), calls_of_a_batch()], [3; 3]);
    let views: [u64; 3] =
        ["plain", "many", "team"].map(|board| live.redis(&["SCARD", &format!("{{{board}}}:views")]));
    assert_eq!(views, [0, 4, 4], "all time of all players is not listed");
    let month: Vec<(String, f64)> = live.redis(&["ZRANGE", "{many}:w:2023-11", "0", "-1", "WITHSCORES"]);
    assert!(month.len() == 100 && month.iter().all(|(_, score)| score.floor() == 3.0), "{month:?}");
}

/// As large as a batch gets, on a board of a million players with a window beside.
#[test]
#[ignore = "a measurement: cargo test --release -p score-ranker --test live -- --ignored --nocapture largest"]
fn largest_batch_keeps_redis_from_others_for_so_long() {
    const PLAYERS: u64 = 2_000 * BATCH;
    const BATCH: u64 = 512;
    const BATCHES: u64 = 500;
    assert!(test_servers::redis().is_some());
    for dense in [false, true] {
        let server = OwnRedis::start(&[]);
        let live = Live::at(&server.url());
        let rules = format!("[[board]]\nname = \"b\"\nwindows = [\"all\", \"day\"]\ndense_ranks = {dense}\n");
        let mut ranked = Ranked::new(&live, &rules);
        for first in (0..PLAYERS / BATCH).map(|batch| batch * BATCH) {
            ranked.write(first..first + BATCH);
        }
        let mut micros: Vec<u64> = (0..BATCHES)
            .map(|batch| {
                // The first call of a chain brings the script.
                let before = server.micros("eval");
                // Spread over all, so that none is near another in the sorted sets.
                let player = |number: u64| number.wrapping_mul(2_654_435_761) % PLAYERS;
                ranked.write((0..BATCH).map(|number| player(batch * BATCH + number)));
                server.micros("eval") - before
            })
            .collect();
        micros.sort_unstable();
        let at = |part: usize| micros[(micros.len() - 1) * part / 100];
        let ranks = if dense { ", with dense ranks" } else { "" };
        println!("{BATCH} players in two views{ranks}: p50 {}, p99 {}, max {} us", at(50), at(99), at(100));
    }
}
