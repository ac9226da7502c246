//! What a call costs: the simulator makes millions.

use board_store::{Begin, BoardStore, Fence, Seen, Write};
use boards::changes::{Change, Changes};
use boards::{BoardSet, RankMode, Reached};
use contracts::{EventTime, PlayerId, Stages};
use simulator::redis::Redis;
use std::time::Instant;

const CALLS: u32 = 20_000;

fn measure<T>(what: &str, mut call: impl FnMut() -> T) {
    for _ in 0..CALLS / 10 {
        std::hint::black_box(call());
    }
    let begin = Instant::now();
    for _ in 0..CALLS {
        std::hint::black_box(call());
    }
    eprintln!("{what}: {:.1} µs", begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
}

#[test]
#[ignore = "a measurement: cargo test --release -p simulator cost -- --ignored --nocapture"]
fn cost_of_a_call() {
    let redis = Redis::default();
    let store = BoardStore::with_connection(redis.connect(0), BoardSet::default().default_board().clone());
    let begin = |partition: i32| Begin { field: format!("game-score/{partition}"), low: 0, high: 0 };
    let log = [begin(0), begin(1)];
    redis.serve(store.open(&Seen::default(), &log)).unwrap();
    let mut changes = Changes::default();
    for player in 0..3 {
        let reached = Reached::at(EventTime::from_micros(1_700_000_000_000_000).unwrap());
        changes.add(&PlayerId::new(format!("player-{player}")).unwrap(), Change::of(5, reached));
    }
    let stages = Stages { created_ms: 1.5, in_kafka_ms: 2e12, applied_ms: 3.25, published_ms: 0.0 };
    let mut next = 0;
    let mut apply = || {
        let spans =
            [("game-score/0".to_owned(), next, next + 5), ("game-score/1".to_owned(), next, next + 5)];
        next += 5;
        let write = Write { changes: &changes, spans: &spans, stages: Some(stages), newest: None };
        redis.serve(store.apply(Fence::On, 1, &[write])).unwrap().version
    };
    measure("apply, 3 players, 2 partitions", &mut apply);
    let version = apply();
    measure("open, 2 partitions", || redis.serve(store.open(&Seen::default(), &log)).unwrap());
    measure("page, 3 rows", || redis.serve(store.all_time().page(10, None, RankMode::Ordinal)).unwrap());
    let text = format!(r#"{{"epoch":1,"version":{},"rebuilding":false}}"#, version.version);
    measure("publish, a small snapshot", || redis.serve(store.publish(&text, version, false)).unwrap());
    measure("version, one HMGET", || redis.serve(store.version()).unwrap());
    measure("copy of the keyspace", || redis.with_server(|server| server.keyspace().clone()));
}
