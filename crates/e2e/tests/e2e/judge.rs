//! The generator as judge: right when all is right, and by name what is not.

use e2e::{Infra, Service, Stack};
use pipeline::scan::extents;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::path::PathBuf;

/// A run of 1,500 events of 200 players with a judge: exit code, what it said, its JSON.
fn judged(stack: &Stack, flags: &[&str]) -> (Option<i32>, String, Value) {
    let report = stack.dir().join("judged.json");
    let _ = std::fs::remove_file(&report);
    let output = stack
        .command("score-generator")
        .args([
            "load",
            "--rate",
            "500",
            "--count",
            "1500",
            "--players",
            "200",
            "--judge",
            "--api",
            &stack.url(),
        ])
        .args(["--viewers", "3", "--report"])
        .arg(&report)
        .args(flags)
        .output()
        .unwrap();
    let report = std::fs::read(report).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, report.unwrap_or_default())
}

fn file(stack: &Stack, name: &str) -> (PathBuf, String) {
    let path = stack.dir().join(name);
    let argument = path.display().to_string();
    (path, argument)
}

#[tokio::test(flavor = "multi_thread")]
async fn judge_is_right_and_names_what_is_falsified() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let postgres = stack.postgres().await;

    let ((html, html_argument), (csv, csv_argument), (hdr, hdr_argument)) =
        (file(&stack, "run.html"), file(&stack, "run.csv"), file(&stack, "run.hdr"));
    let (code, said, report) = judged(
        &stack,
        &[
            "--settle",
            "60s",
            "--edge",
            "3",
            "--seed",
            "7",
            "--start",
            "now",
            "--html",
            &html_argument,
            "--csv",
            &csv_argument,
            "--hdr",
            &hdr_argument,
            "--fail-if",
            "differences>0",
            "--fail-if",
            "ack.p99>1min",
        ],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("judge     RIGHT: board game-score, window all, "), "{said}");
    let judge = &report["judge"];
    assert_eq!((report["sent"].as_i64(), judge["verdict"].as_str()), (Some(1500), Some("right")));
    let log = &judge["log"];
    assert_eq!([log["records"].as_i64(), log["found"].as_i64()], [Some(1503); 2], "{report:#}");
    assert_eq!(judge["compared"]["archive_rows"].as_i64(), Some(1503));
    // Each of three viewers is timed by itself.
    let (timed, samples) = (judge["timed_events"].as_i64(), judge["frame"]["samples"].as_i64());
    assert!(timed > Some(100) && samples <= timed.map(|timed| 3 * timed), "{report:#}");
    assert_eq!((judge["lone_events"].as_i64(), judge["edge"]["samples"].as_i64()), (Some(3), Some(9)));
    assert!(judge["stages"].as_array().unwrap().iter().all(|stage| stage["samples"].as_i64() > Some(0)));
    let rows = std::fs::read_to_string(csv).unwrap();
    let sent: u64 =
        rows.lines().skip(1).map(|row| row.split(',').nth(2).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sent, 1500, "{rows}");
    let intervals = std::fs::read_to_string(hdr).unwrap();
    assert!(["Tag=ack,", "Tag=frame,", "Tag=edge,"].iter().all(|tag| intervals.contains(tag)), "{intervals}");
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("Everything compared is right") && !page.contains("<script"));

    // A condition that holds fails the run, and all is told.
    let (code, said, _) = judged(&stack, &["--settle", "60s", "--fail-if", "rate>1"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("failed    rate>1: it was ") && said.contains("RIGHT"), "{said}");

    // Behind the ranker's back, in Redis and in Postgres.
    let _: f64 = stack.redis(&["ZINCRBY", "game-score", "1000", "7"]);
    let _: f64 = stack.redis(&["ZINCRBY", "game-score", "1", "a stranger"]);
    let partition: i32 = sqlx::query_scalar(AssertSqlSafe(
        "DELETE FROM leaderboard.game_score WHERE (kafka_partition, kafka_offset) = \
         (SELECT kafka_partition, min(kafka_offset) FROM leaderboard.game_score GROUP BY 1 ORDER BY 1 LIMIT 1) \
         RETURNING kafka_partition"
            .to_owned(),
    ))
    .fetch_one(&postgres)
    .await
    .unwrap();
    let (code, said, report) = judged(&stack, &["--settle", "3s"]);
    assert_eq!(code, Some(4), "{said}");
    let differences = &report["judge"]["differences"];
    let names = |of: &str, expected: &str, found: &str| {
        differences["first"].as_array().unwrap().iter().any(|difference| {
            let is = |member: &str, text: &str| difference[member].as_str().unwrap().contains(text);
            is("of", of) && is("expected", expected) && is("found", found)
        })
    };
    assert!(names("all of it", "players", ""), "{report:#}");
    assert!(names(&format!("partition {partition}"), "rows", "events and 0 refused records"), "{report:#}");
    // Whoever stood where it stands now stands below.
    assert!(names("ordinal rank", " at rank ", "player 7 at rank "), "{report:#}");
    assert!(differences["total"].as_i64() >= Some(3) && said.contains("differs   board: "), "{said}");

    // What retention has taken cannot be judged, and nothing is sent then.
    let (kafka, topic) = (stack.kafka(), stack.kafka().topic(&contracts::topics::GAME_SCORE));
    let log = tokio::task::spawn_blocking(move || extents(&kafka, &topic)).await.unwrap().unwrap();
    let below = log.iter().map(|(partition, extent)| (*partition, extent.to / 2)).collect();
    pipeline::admin::delete_records(&stack.kafka(), &contracts::topics::GAME_SCORE, &below).await.unwrap();
    let (code, said, report) = judged(&stack, &[]);
    assert_eq!((code, report), (Some(1), Value::Null), "{said}");
    assert!(said.contains("what came before is gone"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_of_every_kind_are_judged_in_their_usual_window() {
    let Some(infra) = Infra::from_env() else { return };
    for (rules, timed) in [
        (
            "aggregate = \"count\"\nwindows = [\"day\"]\nallowed_lateness = \"forever\"\ndense_ranks = true",
            true,
        ),
        ("aggregate = \"best\"\norder = \"asc\"\ntie_break = \"player_id\"", false),
        // Totals only rise there, too, but do not say which events they have seen.
        ("aggregate = \"best\"", false),
    ] {
        let mut stack = Stack::bare(&infra).await;
        let (path, boards) = file(&stack, "boards.toml");
        std::fs::write(path, format!("[[board]]\nname = \"one\"\n{rules}\n")).unwrap();
        for service in Service::ALL {
            stack.spawn(service, service.program(), &[("BOARDS_FILE", &boards)]);
        }
        for service in Service::ALL {
            stack.ready(service.program()).await;
        }
        if rules.contains("windows") {
            // In January: nothing of it is in the window that would be compared.
            let seeded = ["--settle", "1s", "--boards-file", &boards, "--seed", "7"];
            let (code, said, _) = judged(&stack, &seeded);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("the run's events do not count in 20"), "{said}");
        }
        let (code, said, report) = judged(&stack, &["--settle", "60s", "--boards-file", &boards]);
        assert_eq!(code, Some(0), "{said}");
        let judge = &report["judge"];
        assert_eq!((judge["board"].as_str(), judge["frame"].is_object()), (Some("one"), timed), "{report:#}");
        assert_eq!(judge["untimed"].is_null(), timed, "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_is_said_before_anything_is_sent() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::bare(&infra).await;
    for (flags, code, says) in [
        (&["--fail-if", "lag>5s"][..], 2, "needs --judge"),
        (&["--judge", "--print"], 2, "nothing is sent"),
        (&["--judge", "--count", "20000001"], 2, "more than 20000000 events"),
        (&["--judge", "--count", "1", "--edge", "1", "--viewers", "0"], 1, "--edge needs --viewers"),
        (&["--judge", "--count", "1"], 1, "the archive cannot be judged"),
    ] {
        let output = stack.command("score-generator").arg("load").args(flags).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(says), "{flags:?}: {said}");
    }
    let (kafka, topic) = (stack.kafka(), stack.kafka().topic(&contracts::topics::GAME_SCORE));
    let log = tokio::task::spawn_blocking(move || extents(&kafka, &topic)).await.unwrap().unwrap();
    assert_eq!(log.values().map(|extent| extent.to).sum::<i64>(), 0);
}
