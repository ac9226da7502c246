//! Producers and pages of the plain form work unchanged; so do clients that are not ours.

use crate::truth::top_is;
use e2e::{Infra, Stack, Viewer};
use std::io::Write as _;
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread")]
async fn plain_events_under_any_key_count() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let plain = |score: i64, user: i64| {
        format!(r#"{{"score": {score}, "user_id": {user}, "created_at": "2026-01-21T12:00:00.123456"}}"#)
            .into_bytes()
    };
    let keys: [&[u8]; 5] = [b"42", b"", b"\xff\x00", b"null", b"another player"];
    let records: Vec<_> = keys.iter().map(|key| (key.to_vec(), Some(plain(5, 42)))).collect();
    stack.produce(&records).await;
    stack.produce(&[(b"7".to_vec(), Some(plain(-3, 7)))]).await;
    top_is(&stack, &[("42", 25), ("7", -3)]).await;

    // What a page that knows only these two members sees.
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let frame = viewer.expect(e2e::stack::PATIENCE, |frame| frame.rows().len() == 2).await;
    let frame: serde_json::Value = serde_json::from_str(&frame.text).unwrap();
    assert!(frame["current_time_ms"].is_f64());
    assert_eq!(frame["user_list"][0]["rank"], 1);
    assert_eq!(frame["user_list"][0]["score"], 25);
    assert_eq!(frame["user_list"][0]["nickname"], "user-42");
    // And what someone with redis-cli sees.
    let cli = Command::new("redis-cli")
        .args(["-p", &stack.redis_port().to_string(), "ZREVRANGE", "game-score", "0", "9", "WITHSCORES"])
        .output()
        .unwrap();
    let lines: Vec<String> = String::from_utf8(cli.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!((lines[0].as_str(), lines[2].as_str(), lines.len()), ("42", "7", 4));
    assert_eq!(
        (lines[1].parse::<f64>().unwrap().floor(), lines[3].parse::<f64>().unwrap().floor()),
        (25.0, -3.0)
    );
}

/// Kafka's own Java client, from the jars of the local broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_not_ours_writes_events_and_reads_snapshots() {
    let Some(infra) = Infra::from_env() else { return };
    let Some(jars) = test_servers::variable("RANKSTREAM_TEST_KAFKA_JARS") else { return };
    let stack = Stack::start(&infra).await;
    let source = stack.dir().join("Plain.java");
    std::fs::File::create(&source).unwrap().write_all(include_bytes!("Plain.java")).unwrap();
    let kafka = stack.kafka();
    let output = Command::new("java")
        .args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", &format!("{jars}/*")])
        .arg(&source)
        .args([
            &kafka.kafka_brokers,
            &kafka.topic(&contracts::topics::GAME_SCORE),
            &kafka.topic(&contracts::topics::LEADERBOARD),
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let (key, snapshot) = text.lines().last().unwrap().split_once('\t').unwrap();
    assert_eq!(key, "game-score");
    let snapshot: serde_json::Value = serde_json::from_str(snapshot).unwrap();
    assert_eq!(snapshot["user_list"][0]["user_id"], "42");
    assert_eq!(snapshot["user_list"][0]["score"], 15);
}
