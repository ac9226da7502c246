//! The load generator against the whole system: what it says about itself is so.

use contracts::topics::GAME_SCORE;
use e2e::stack::{PATIENCE, WRITER};
use e2e::{Infra, Stack, until};
use score_generator::load::faults::Malformed;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Runs the generator to its good end. Its report.
fn load(stack: &Stack, arguments: &[&str]) -> Value {
    let report = stack.dir().join("load.json");
    let mut command = stack.command("score-generator");
    command.args(["load", "--no-progress", "--max-behind", "1h", "--api", &stack.url()]).args(arguments);
    let output = command.arg("--report").arg(&report).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap()
}

/// The sum of all totals on the board.
fn total(stack: &Stack) -> i64 {
    let rows: Vec<(String, f64)> = stack.redis(&["ZRANGE", "game-score", "0", "-1", "WITHSCORES"]);
    #[expect(clippy::cast_possible_truncation, reason = "the total is the integer part")]
    let whole = |(_, stored): (String, f64)| stored.floor() as i64;
    rows.into_iter().map(whole).sum()
}

/// What the events that a plain run prints come to.
fn printed_total(mut generator: Command, arguments: &[&str]) -> i64 {
    let output = generator.args(["load", "--print", "--rate", "0"]).args(arguments).output().unwrap();
    let events = String::from_utf8(output.stdout).unwrap();
    let score = |line| serde_json::from_str::<Value>(line).unwrap()["score"].as_i64().unwrap();
    events.lines().map(score).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_generator_ends_where_its_kind_says() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let records = &load(
        &stack,
        &[
            &["--seed", "7", "--rate", "0", "--count", "5000", "--players", "50", "--event-ids"][..],
            &["--duplicates", "0.1", "--late", "0.1", "--out-of-order", "0.1"],
            &["--malformed", "0.1", "--oversize", "0.002", "--future", "0.05"],
        ]
        .concat(),
    )["records"];
    let count = |of: &Value| of.as_i64().unwrap();

    let mut refused: BTreeMap<String, i64> = BTreeMap::new();
    let classes =
        Malformed::ALL.map(|malformed| (serde_json::to_value(malformed).unwrap(), malformed.refusal()));
    for (name, class) in classes {
        *refused.entry(class.to_string()).or_default() +=
            count(&records["malformed"][name.as_str().unwrap()]);
    }
    refused.insert("too_large".into(), count(&records["oversize"]));
    refused.insert("too_far_in_future".into(), count(&records["future"]));
    assert!(refused.values().all(|count| *count > 0), "{refused:?}");
    let counting = ["good", "late", "out_of_order"].iter().map(|kind| count(&records[kind])).sum::<i64>();
    let taken = counting + count(&records["duplicates"]);

    let postgres = stack.postgres().await;
    let wanted = (taken, refused.values().sum());
    until("the archive has all", PATIENCE, async || match stack.archived(&postgres).await {
        both if both == wanted => Ok(()),
        other => Err(format!("{other:?}, wanted {wanted:?}")),
    })
    .await;
    let found: Vec<(String, i64)> =
        sqlx::query_as("SELECT class, count(*) FROM leaderboard.refused_record GROUP BY class")
            .fetch_all(&postgres)
            .await
            .unwrap();
    assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), refused);
    // A duplicate counts once with its first.
    let (once, sum): (i64, i64) = sqlx::query_as("SELECT count(*), sum(score)::bigint FROM analytics.scores")
        .fetch_one(&postgres)
        .await
        .unwrap();
    assert_eq!(once, counting);
    until("the board has all", PATIENCE, async || match total(&stack) {
        total if total == sum => Ok(()),
        other => Err(format!("{other}, wanted {sum}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backlog_is_drained_when_the_board_has_all_of_it_and_not_before() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    let made = ["--seed", "3", "--players", "500"];
    let report = load(&stack, &[&made[..], &["--backlog", "50000"]].concat());
    // Looked at once: nothing is waited for here.
    let marks: Vec<String> = stack.redis(&["ZRANGE", "game-score", "0", "-1"]);
    let marks = marks.iter().filter(|player| player.starts_with("drain-")).count();
    let sum = printed_total(stack.command("score-generator"), &[&made[..], &["--count", "50000"]].concat());
    assert_eq!(total(&stack), sum + i64::try_from(marks).unwrap());
    assert!(marks >= usize::try_from(GAME_SCORE.partitions).unwrap(), "{marks}");
    assert!(report["drain"]["events_per_second"].as_f64().unwrap() > 0.0, "{report}");

    // Control: where nobody ranks, nothing is drained.
    stack.program("score-ranker").kill();
    let output = stack
        .command("score-generator")
        .args(["load", "--backlog", "10", "--drain-limit", "1s", "--api", &stack.url()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("did not have everything in time"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn load_over_http_counts_as_load_over_kafka_does() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let made = ["--seed", "5", "--players", "500", "--count", "20000"];
    let http = ["--rate", "0", "--target", "http", "--api-key", WRITER, "--http-batch", "1000"];
    let report = load(&stack, &[&made[..], &http].concat());
    assert_eq!(report["acknowledged"], 20_000);
    let sum = printed_total(stack.command("score-generator"), &made);
    until("the board has all", PATIENCE, async || match total(&stack) {
        total if total == sum => Ok(()),
        other => Err(format!("{other}, wanted {sum}")),
    })
    .await;
}
