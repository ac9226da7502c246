//! `boardctl verify` is right while traffic flows, and names whatever was tampered with.

use crate::truth::drained;
use contracts::topics::GAME_SCORE;
use e2e::stack::PATIENCE;
use e2e::{Infra, Program, Service, Stack, until};
use pipeline::scan::extents;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

/// Boards of every kind: sums, the lowest best, and last scores per value of a tag.
const BOARDS: &str = r#"
[[board]]
name = "game-score"
windows = ["all", "day"]
allowed_lateness = "forever"

[[board]]
name = "fastest"
aggregate = "best"
order = "asc"
windows = ["month"]
allowed_lateness = "forever"

[[board]]
name = "country"
aggregate = "last"
match = { country = "{country}" }
"#;
const NAMES: [&str; 3] = ["game-score", "fastest", "country"];

/// A deployment with these boards, and nobody who shows them.
async fn started(infra: &Infra) -> Stack {
    let mut stack = Stack::bare(infra).await;
    std::fs::write(boards_file(&stack), BOARDS).unwrap();
    let file = boards_file(&stack);
    for service in [Service::Ranker, Service::Archiver] {
        stack.spawn(service, service.program(), &[("BOARDS_FILE", file.to_str().unwrap())]);
        stack.ready(service.program()).await;
    }
    stack
}

fn boards_file(stack: &Stack) -> PathBuf {
    stack.dir().join("boards.toml")
}

fn boardctl(stack: &Stack, arguments: &[&str]) -> Output {
    let mut command = stack.command("boardctl");
    command.env("BOARDS_FILE", boards_file(stack)).args(arguments).output().unwrap()
}

/// What it says: exit code and report.
pub(crate) fn verify(stack: &Stack, flags: &[&str]) -> (i32, Value) {
    let output = boardctl(stack, &[&["verify", "--json"], flags].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&output.stderr).into_owned()));
    (output.status.code().unwrap(), report)
}

/// (kind, where) of each difference that it names.
pub(crate) fn named(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let at = |difference: &Value| match (&difference["record"], &difference["player"]) {
        (Value::String(record), _) => record.clone(),
        (_, player) => {
            let view = format!("{}/{}", text(&difference["board"]), text(&difference["window"]));
            player.as_str().map_or(view.clone(), |player| format!("{view}/{player}"))
        }
    };
    report["differences"]
        .as_array()
        .unwrap_or_else(|| panic!("{report}"))
        .iter()
        .flat_map(|finding| {
            let kind = text(&finding["kind"]);
            finding["first"].as_array().unwrap().iter().map(move |one| (kind.clone(), at(one)))
        })
        .collect()
}

/// Events of some players, some with an id that comes again under another key, some refused.
fn records(count: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let record = |index: usize| {
        let (player, key) = (index % 50, (index % 7).to_string().into_bytes());
        let payload = match index % 10 {
            0 => format!(r#"{{"score":0.5,"user_id":{player}}}"#),
            // Which of the same ones comes first in the log is nobody's to say: they are the same in all.
            1 | 2 => format!(
                r#"{{"score":3,"user_id":{player},"event_id":"{}","created_at":"2026-01-02T00:00:00"}}"#,
                index % 20
            ),
            3 => format!(r#"{{"score":-2,"user_id":{player},"tags":{{"country":"MT","b":"é"}},"x":1.50}}"#),
            4 => format!(r#"{{"score":0,"user_id":{player},"nickname":"n"}}"#),
            _ => format!(
                r#"{{"score":5,"user_id":{player},"created_at":"2026-01-01T00:00:{:02}"}}"#,
                index % 60
            ),
        };
        (key, Some(payload.into_bytes()))
    };
    (0..count).map(record).collect()
}

/// Waits until the archive and every board have all that is in the log.
async fn caught_up(stack: &Stack, postgres: &PgPool) {
    let (kafka, topic) = (stack.kafka(), stack.kafka().topic(&GAME_SCORE));
    let log = tokio::task::spawn_blocking(move || extents(&kafka, &topic)).await.unwrap().unwrap();
    let end: i64 = log.values().map(|extent| extent.to).sum();
    until("all are at the log's end", PATIENCE, async || {
        let archived: i64 =
            sqlx::query_scalar("SELECT sum(next_offset)::bigint FROM leaderboard.consumer_offset")
                .fetch_one(postgres)
                .await
                .unwrap();
        let ranked = NAMES.map(|board| -> i64 {
            let fields: BTreeMap<String, i64> = stack.redis(&["HGETALL", &format!("{{{board}}}:offsets")]);
            let scores = fields.iter().filter(|(field, _)| field.starts_with("game-score/"));
            scores.map(|(_, offset)| offset).sum()
        });
        if archived == end && ranked == [end; 3] {
            Ok(())
        } else {
            Err(format!("{archived}, {ranked:?} of {end}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_is_right_while_traffic_flows() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = started(&infra).await;
    stack.produce(&records(1000)).await;
    caught_up(&stack, &stack.postgres().await).await;
    let mut load = Program::start(
        "load",
        stack.dir(),
        stack.command("score-generator").args([
            "load",
            "--rate",
            "2000",
            "--count",
            "20000",
            "--players",
            "3000",
            "--event-ids",
            // Whether the machine keeps up is not asked here.
            "--max-behind",
            "1h",
        ]),
    );
    let mut looks = 0;
    while load.is_running() {
        let (code, report) = verify(&stack, &[]);
        assert_eq!((code, &report["verdict"]), (0, &"right".into()), "{report:#}");
        for (board, name) in NAMES.into_iter().enumerate() {
            let board = &report["boards"][board];
            assert_eq!(
                (&board["board"], board["read_again"].as_array().map(Vec::len)),
                (&name.into(), Some(0))
            );
        }
        looks += 1;
    }
    assert!(load.wait(PATIENCE).success(), "{}", load.log());
    assert!(looks >= 3, "{looks} looks are too few to mean anything");

    caught_up(&stack, &stack.postgres().await).await;
    let (code, report) = verify(&stack, &[]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(
        (report["log"]["records"].as_i64(), report["log"]["refused"].as_i64()),
        (Some(21_000), Some(100))
    );
    let archive = &report["archive"]["compared"];
    assert_eq!((archive["events"].as_i64(), archive["refused"].as_i64()), (Some(20_900), Some(100)));
    for (board, players) in [(0, 2000), (1, 1000), (2, 5)] {
        let board = &report["boards"][board];
        assert!(
            board["players"].as_i64() >= Some(players) && board["players"] == board["compared"],
            "{report:#}"
        );
    }
    assert_eq!(report["boards"][2]["views"].as_i64(), Some(1), "{report:#}");
    let (code, report) = verify(&stack, &["--board", "country"]);
    assert_eq!((code, report["boards"].as_array().map(Vec::len)), (0, Some(1)), "{report:#}");
    assert_eq!(report["boards"][0]["board"], "country");

    // Boards that were lost and rebuilt are right again, under their new epochs.
    let () = stack.redis(&["FLUSHALL"]);
    let (code, report) = verify(&stack, &[]);
    assert_eq!(code, 2, "{report:#}");
    let why = report["boards"][2]["not_compared"].as_str().unwrap();
    assert!(why.contains("knows nothing of board country"), "{report:#}");
    stack.produce(&records(10)).await;
    caught_up(&stack, &stack.postgres().await).await;
    let (code, report) = verify(&stack, &[]);
    let epochs = [0, 1, 2].map(|board| report["boards"][board]["epoch"].as_i64());
    assert_eq!((code, epochs), (0, [Some(2); 3]), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tampering_is_named() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = started(&infra).await;
    let postgres = stack.postgres().await;
    stack.produce(&records(1000)).await;
    caught_up(&stack, &postgres).await;
    assert_eq!(verify(&stack, &[]).0, 0);

    for view in [
        ("game-score", "", "game-score/all", "7"),
        ("game-score", "w:2026-01-01", "game-score/2026-01-01", "7"),
        ("fastest", "w:2026-01", "fastest/2026-01", "7"),
        ("country", "v:MT", "country:MT/all", "13"),
    ] {
        tampering_with_a_view_is_named(&stack, view);
    }
    archive_tampering_is_named(&stack, &postgres).await;

    let (code, report) = verify(&stack, &[]);
    assert_eq!(code, 0, "all was put back: {report:#}");
    // For people: the same in words.
    let () = stack.redis(&["ZADD", "game-score", "1.5", "stranger"]);
    let output = boardctl(&stack, &["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("game-score in all, player stranger: is there with 1") && text.contains("DIFFERENT in"),
        "{text}"
    );
}

fn tampering_with_a_view_is_named(stack: &Stack, (board, name, view, player): (&str, &str, &str, &str)) {
    let key = if name.is_empty() { board.to_owned() } else { format!("{{{board}}}:{name}") };
    let expect = |differences: &[(&str, &str)]| {
        let (code, report) = verify(stack, &[]);
        let at = |who: &str| if who.is_empty() { view.to_owned() } else { format!("{view}/{who}") };
        let expected: Vec<_> = differences.iter().map(|(kind, who)| ((*kind).to_owned(), at(who))).collect();
        assert_eq!((code, named(&report)), (1, expected), "{report:#}");
    };
    let put = |player: &str, score: f64| {
        let () = stack.redis(&["ZADD", &key, &score.to_string(), player]);
    };
    let stands: f64 = stack.redis(&["ZSCORE", &key, player]);
    put(player, stands + 1.0);
    expect(&[("wrong_total", player)]);
    // Once the 2^-36 of a step, so that only the order among equals is another.
    let step = if stands.fract() > 0.5 { -2f64.powi(-36) } else { 2f64.powi(-36) };
    put(player, stands + step);
    expect(&[("wrong_reach_time", player)]);
    let () = stack.redis(&["ZREM", &key, player]);
    expect(&[("missing_player", player)]);
    // As many players as there must be.
    put("stranger", 3.25);
    expect(&[("missing_player", player), ("unknown_player", "stranger")]);
    put(player, stands);
    expect(&[("unknown_player", "stranger")]);
    let () = stack.redis(&["ZREM", &key, "stranger"]);
    if !name.is_empty() {
        let list = format!("{{{board}}}:views");
        let () = stack.redis(&["SREM", &list, name]);
        expect(&[("missing_view", "")]);
        let () = stack.redis(&["RENAME", &key, &format!("{{{board}}}:aside")]);
        expect(&[("missing_view", "")]);
        let () = stack.redis(&["RENAME", &format!("{{{board}}}:aside"), &key]);
        let () = stack.redis(&["SADD", &list, name]);
    }
}

async fn archive_tampering_is_named(stack: &Stack, postgres: &PgPool) {
    let run = async |statement: &str| {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(postgres).await.unwrap();
    };
    let topic = stack.kafka().topic(&GAME_SCORE);
    let (partition, offset): (i32, i64) = sqlx::query_as(
        "SELECT kafka_partition, kafka_offset FROM leaderboard.game_score WHERE tags IS NOT NULL \
         ORDER BY kafka_offset LIMIT 1 OFFSET 1",
    )
    .fetch_one(postgres)
    .await
    .unwrap();
    let (refused_partition, refused_offset): (i32, i64) = sqlx::query_as(
        "SELECT kafka_partition, kafka_offset FROM leaderboard.refused_record ORDER BY kafka_offset LIMIT 1 OFFSET 1",
    )
    .fetch_one(postgres)
    .await
    .unwrap();
    let row = format!("kafka_partition = {partition} AND kafka_offset = {offset}");
    let refused = format!("kafka_partition = {refused_partition} AND kafka_offset = {refused_offset}");
    let at = format!("{topic}/{partition}/{offset}");
    let refused_at = format!("{topic}/{refused_partition}/{refused_offset}");
    let moved_at = format!("{topic}/{partition}/{}", offset + 1_000_000);

    run("CREATE TABLE public.events AS TABLE leaderboard.game_score; \
         CREATE TABLE public.refused AS TABLE leaderboard.refused_record")
    .await;
    let columns = "kafka_partition, kafka_offset, arrived_at, created_at, user_id, score, event_id, nickname, tags, extra";
    let cases: [(String, Vec<(&str, &str)>); 9] = [
        (format!("DELETE FROM leaderboard.game_score WHERE {row}"), vec![("missing_row", &at)]),
        (
            format!("UPDATE leaderboard.game_score SET score = score + 1 WHERE {row}"),
            vec![("different_row", &at)],
        ),
        (
            format!(
                "UPDATE leaderboard.game_score SET tags = '{{\"country\": \"IT\", \"b\": \"é\"}}' WHERE {row}"
            ),
            vec![("different_row", &at)],
        ),
        (
            format!(
                "UPDATE leaderboard.game_score SET created_at = created_at + interval '1 us' WHERE {row}"
            ),
            vec![("different_row", &at)],
        ),
        (
            format!("UPDATE leaderboard.game_score SET kafka_offset = kafka_offset + 1000000 WHERE {row}"),
            vec![("missing_row", &at), ("extra_row", &moved_at)],
        ),
        // The key holds a row to one a day: twice is on two days, or as an event and as refused.
        (
            format!(
                "INSERT INTO leaderboard.game_score (arrived_on, {columns}) SELECT arrived_on + 1, {columns} FROM leaderboard.game_score WHERE {row}"
            ),
            vec![("row_twice", &at)],
        ),
        (
            format!(
                "UPDATE leaderboard.refused_record SET kafka_partition = {partition}, kafka_offset = {offset} WHERE {refused}"
            ),
            vec![("missing_row", &refused_at), ("row_twice", &at)],
        ),
        (
            format!("DELETE FROM leaderboard.refused_record WHERE {refused}"),
            vec![("missing_row", &refused_at)],
        ),
        (
            format!("UPDATE leaderboard.refused_record SET payload = 'other' WHERE {refused}"),
            vec![("different_row", &refused_at)],
        ),
    ];
    for (statement, expected) in cases {
        run(&statement).await;
        let (code, report) = verify(stack, &[]);
        let expected: Vec<_> =
            expected.iter().map(|(kind, at)| ((*kind).to_owned(), (*at).to_owned())).collect();
        assert_eq!((code, named(&report)), (1, expected), "{statement}: {report:#}");
        run("BEGIN; DELETE FROM leaderboard.game_score; DELETE FROM leaderboard.refused_record; \
             INSERT INTO leaderboard.game_score SELECT * FROM public.events; \
             INSERT INTO leaderboard.refused_record SELECT * FROM public.refused; COMMIT")
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_no_longer_has_is_taken_from_the_archive() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = started(&infra).await;
    let postgres = stack.postgres().await;
    stack.produce(&records(1000)).await;
    drained(&stack, &postgres, 900, 0, Duration::from_secs(30)).await;
    caught_up(&stack, &postgres).await;
    let (kafka, topic) = (stack.kafka(), stack.kafka().topic(&GAME_SCORE));
    let log = tokio::task::spawn_blocking(move || extents(&kafka, &topic)).await.unwrap().unwrap();
    let below = log.iter().map(|(partition, extent)| (*partition, extent.to / 2)).collect();
    pipeline::admin::delete_records(&stack.kafka(), &GAME_SCORE, &below).await.unwrap();

    let (code, report) = verify(&stack, &[]);
    assert_eq!(code, 0, "{report:#}");
    let gone: i64 = below.values().sum();
    let archive = &report["archive"]["compared"];
    assert_eq!(archive["older"]["offsets"].as_i64(), Some(gone), "{report:#}");
    assert_eq!(archive["older"]["rows"].as_i64(), Some(gone), "{report:#}");
    assert_eq!(report["log"]["records"].as_i64(), Some(1000 - gone));
    let from_archive = |board: usize| report["boards"][board]["from_archive"].as_i64().unwrap();
    assert!(from_archive(0) > gone / 2 && from_archive(0) < gone, "refused records are none: {report:#}");
    assert_eq!([from_archive(1), from_archive(2)], [from_archive(0); 2], "all are read for all boards");

    // The archive alone knows of these, so a wrong total there shows on the board.
    let player: String = sqlx::query_scalar(
        "UPDATE leaderboard.game_score SET score = score + 1 WHERE (kafka_partition, kafka_offset) = \
         (SELECT kafka_partition, min(kafka_offset) FROM leaderboard.game_score WHERE event_id IS NULL \
          GROUP BY 1 ORDER BY 2 LIMIT 1) RETURNING user_id",
    )
    .fetch_one(&postgres)
    .await
    .unwrap();
    let (code, report) = verify(&stack, &[]);
    let wrong = ("wrong_total".to_owned(), format!("game-score/all/{player}"));
    assert_eq!((code, named(&report).contains(&wrong)), (1, true), "{report:#}");
    // Tags decide where an event counts, and whose it was is of no matter.
    let moved = "UPDATE leaderboard.game_score SET tags = '{\"country\": \"IT\"}' WHERE (kafka_partition, kafka_offset) = \
                 (SELECT kafka_partition, min(kafka_offset) FROM leaderboard.game_score WHERE tags IS NOT NULL \
                  GROUP BY 1 ORDER BY 2 LIMIT 1)";
    sqlx::query(moved).execute(&postgres).await.unwrap();
    let (_, report) = verify(&stack, &["--board", "country"]);
    assert!(named(&report).contains(&("missing_view".to_owned(), "country:IT/all".to_owned())), "{report:#}");
}
