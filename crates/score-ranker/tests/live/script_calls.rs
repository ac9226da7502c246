//! What a batch costs Redis, counted by a server of the test's own.

use crate::Live;
use boards::BoardSet;
use pipeline::sink::{LogBounds, Span, Step};
use pipeline::{Partition, Record, Sink as _};
use test_servers::OwnRedis;

const SCORES: Partition = Partition { topic: 0, number: 0 };
const PLAYERS: i64 = 100;

/// Every event counts in five windows of `many`, in two values' windows of `team`, and on `plain`.
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

#[test]
fn batch_is_one_script_call_for_each_board_whatever_its_windows() {
    if test_servers::redis().is_none() {
        return;
    }
    let server = OwnRedis::start(&[]);
    let live = Live::at(&server.url());
    let sink = live.sink(&BoardSet::parse(BOARDS).unwrap());
    let log = [LogBounds { partition: SCORES, low: 0, high: 0 }];
    live.runtime.block_on(sink.open(&[SCORES], &log)).unwrap();
    let calls = || server.calls("evalsha") + server.calls("eval") + server.calls("fcall");
    let batch = |from: i64| {
        let mut step = Step { batch: score_ranker::Batch::default(), spans: Vec::new(), records: 0 };
        for offset in from..from + PLAYERS {
            let payload = format!(
                r#"{{"score":1,"user_id":{},"tags":{{"team":"t{}"}}}}"#,
                offset % PLAYERS,
                offset % 2
            );
            let event = sink.decode(&Record {
                partition: SCORES,
                offset,
                timestamp_ms: Some(1_700_000_000_000 + offset),
                key: None,
                payload: Some(payload.as_bytes()),
            });
            sink.fold(&mut step.batch, event);
        }
        step.spans = vec![Span { partition: SCORES, from, to: from + PLAYERS }];
        let before = calls();
        live.runtime.block_on(sink.write(vec![step])).unwrap();
        calls() - before
    };
    // The first may have to send the scripts.
    batch(0);
    assert_eq!([batch(PLAYERS), batch(2 * PLAYERS)], [3, 3]);
    let views: [u64; 3] =
        ["plain", "many", "team"].map(|board| live.redis(&["SCARD", &format!("{{{board}}}:views")]));
    assert_eq!(views, [0, 4, 4], "all time of all players is not listed");
    let monthly: u64 = live.redis(&["ZCARD", "{many}:w:2023-11"]);
    assert_eq!(monthly, u64::try_from(PLAYERS).unwrap());
}
