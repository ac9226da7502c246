//! What an operator does with `boardctl` on a running system.

mod dead_letters;

use crate::truth::{archive_agrees, board_in_redis, every_offset_is_archived_once, top_is};
use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, Viewer, until};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::process::Command;

/// How a command ended, and what it said.
struct Said {
    code: Option<i32>,
    json: Value,
    errors: String,
}

fn ended(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Said { code: output.status.code(), json, errors }
}

fn boardctl(stack: &Stack, arguments: &[&str]) -> Said {
    ended(stack.command("boardctl").arg("--json").args(arguments))
}

/// The answer of a command that must succeed.
fn answer(stack: &Stack, arguments: &[&str]) -> Value {
    let said = boardctl(stack, arguments);
    assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.errors);
    said.json
}

fn listed(stack: &Stack, filter: &[&str]) -> Vec<Value> {
    answer(stack, &[&["dead-letters", "list"], filter].concat()).as_array().unwrap().clone()
}

async fn letters_are(stack: &Stack, count: usize) -> Vec<Value> {
    until("the dead letters", PATIENCE, async || match listed(stack, &[]) {
        letters if letters.len() == count => Ok(letters),
        letters => Err(format!("{letters:?}, wanted {count}")),
    })
    .await
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member}: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_those_of_the_stores_and_say_who_is_away() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let records: Vec<_> = (0..50u8)
        .map(|user| (vec![user], Some(format!(r#"{{"score":1,"user_id":{user}}}"#).into_bytes())))
        .collect();
    stack.produce(&records).await;
    let offsets = until("no lag", PATIENCE, async || {
        let offsets = answer(&stack, &["offsets"]);
        let partitions = offsets["partitions"].as_array().unwrap().clone();
        let caught_up = partitions.iter().all(|row| {
            let archived = row["topic"] == "player-profile" || row["archive_lag"] == 0;
            row["board_lag"] == 0 && archived
        });
        if caught_up { Ok(offsets) } else { Err(offsets.to_string()) }
    })
    .await;
    let partitions = offsets["partitions"].as_array().unwrap();
    let sum = |member: &str| partitions.iter().filter_map(|row| row[member].as_i64()).sum::<i64>();
    assert_eq!((partitions.len(), sum("log_end"), sum("archive_offset")), (12, 50, 50));
    for row in partitions {
        let field = format!("{}/{}", text(row, "topic"), row["partition"]);
        let stored: i64 = stack.redis(&["HGET", "{game-score}:offsets", &field]);
        assert_eq!(row["board_offset"], stored, "{field}");
    }
    let board = &offsets["boards"][0];
    assert_eq!((&board["epoch"], &board["rebuilding"]), (&1.into(), &false.into()));

    // Whoever is away is named; the others are shown.
    let nowhere = format!("127.0.0.1:{}", free_ports::kept());
    let (redis, postgres) = (format!("redis://{nowhere}"), format!("postgres://nobody@{nowhere}/none"));
    for (setting, value, silent, heard) in [
        ("REDIS_URL", &redis, "board_lag", "archive_lag"),
        ("POSTGRES_URL", &postgres, "archive_lag", "board_lag"),
        ("KAFKA_BROKERS", &nowhere, "log_end", "board_offset"),
    ] {
        let said = ended(stack.command("boardctl").args(["--json", "offsets"]).env(setting, value));
        assert_eq!(said.code, Some(1), "{setting}: {}", said.json);
        let problems = said.json["problems"].to_string();
        assert!(problems.contains(setting), "{setting}: {problems}");
        let row = said.json["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["topic"] == "game-score")
            .unwrap();
        assert!(row[silent].is_null() && !row[heard].is_null(), "{setting}: {row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_player_is_gone_by_name_and_the_books_stay() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let postgres = stack.postgres().await;
    let event = |user: &str, score: i64, id: &str| {
        let payload = format!(
            r#"{{"score":{score},"user_id":"{user}","event_id":"{user}-{id}","nickname":"Nick {user}","mail":"{user}@x"}}"#
        );
        (user.as_bytes().to_vec(), Some(payload.into_bytes()))
    };
    stack.produce(&[event("anna", 5, "1"), event("anna", 2, "2"), event("bert", 9, "1")]).await;
    stack.produce(&[(b"anna".to_vec(), Some(br#"{"user_id":"anna","score":"x"}"#.to_vec()))]).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    top_is(&stack, &[("bert", 9), ("anna", 7)]).await;
    letters_are(&stack, 1).await;
    let sums = async || -> (Option<String>, i64, i64) {
        let sum = sqlx::query_scalar("SELECT sum(score)::text FROM analytics.scores").fetch_one(&postgres);
        let (good, refused) = stack.archived(&postgres).await;
        (sum.await.unwrap(), good, refused)
    };
    until("everything is archived", PATIENCE, async || match sums().await {
        (Some(sum), 3, 1) if sum == "16" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let double: String = stack.redis(&["ZSCORE", "game-score", "anna"]);

    let said = boardctl(&stack, &["erase-player", "anna"]);
    assert_eq!((said.code, said.errors.contains("--yes")), (Some(2), true), "{}", said.errors);
    let dry = answer(&stack, &["erase-player", "anna", "--dry-run"]);
    assert_eq!((&dry["archived_events"], &dry["archived_refused_records"]), (&2.into(), &1.into()));
    assert_eq!(
        (&dry["on_board"], &dry["had_nickname"], &dry["pseudonym"]),
        (&true.into(), &true.into(), &Value::Null)
    );
    top_is(&stack, &[("bert", 9), ("anna", 7)]).await;

    let erased = answer(&stack, &["erase-player", "anna", "--yes"]);
    let pseudonym = text(&erased, "pseudonym").to_owned();
    assert_eq!((&erased["archived_events"], &erased["caught_up"]), (&2.into(), &true.into()), "{erased}");
    // Frame, API, Redis, SQL.
    let board = [("bert".to_owned(), 9), (pseudonym.clone(), 7)];
    let frame = viewer.expect(PATIENCE, |frame| frame.rows() == board).await;
    assert!(!frame.text.contains("anna"), "{}", frame.text);
    let page = top_is(&stack, &[("bert", 9), (&pseudonym, 7)]).await;
    assert_eq!(page["entries"][1]["nickname"], format!("user-{pseudonym}"));
    assert_eq!(stack.get("/v1/boards/game-score/players/anna").0, 404);
    assert_eq!(board_in_redis(&stack), board);
    assert_eq!(stack.redis::<String>(&["ZSCORE", "game-score", &pseudonym]), double);
    assert_eq!(stack.redis::<i64>(&["EXISTS", "player:anna"]), 0);
    assert!(!stack.redis::<String>(&["GET", "game-score-cache"]).contains("anna"));
    let named = async || -> i64 {
        let named = "SELECT (SELECT count(*) FROM leaderboard.game_score g WHERE g::text LIKE '%anna%') + \
             (SELECT count(*) FROM leaderboard.refused_record r \
              WHERE r::text LIKE '%anna%' OR position('anna'::bytea IN payload || record_key) > 0)";
        sqlx::query_scalar(named).fetch_one(&postgres).await.unwrap()
    };
    assert_eq!(named().await, 0);
    assert_eq!(sums().await, (Some("16".to_owned()), 3, 1));
    archive_agrees(&stack, &postgres).await;
    every_offset_is_archived_once(&postgres).await;

    // The log still names her, and yet all three agree; nothing but the name differs.
    let verified = |named_again: [u64; 2]| {
        let report = answer(&stack, &["verify"]);
        assert_eq!(text(&report, "verdict"), "right", "{report:#}");
        let named = [&report["archive"]["compared"], &report["boards"][0]];
        let named = named.map(|part| part["named_again"].as_u64().unwrap());
        assert_eq!(named, named_again, "{report:#}");
    };
    verified([0, 0]);

    // Again: harmless.
    let again = answer(&stack, &["erase-player", "anna", "--yes"]);
    assert_eq!((text(&again, "pseudonym"), &again["archived_events"]), (pseudonym.as_str(), &0.into()));
    assert_eq!((board_in_redis(&stack), stack.redis::<i64>(&["EXISTS", "player:anna"])), (board.to_vec(), 0));
    // What comes later is a new player, until it is done again.
    stack.produce(&[event("anna", 4, "3")]).await;
    top_is(&stack, &[("bert", 9), (&pseudonym, 7), ("anna", 4)]).await;
    until("the archive has it, too", PATIENCE, async || match sums().await {
        (_, 4, 1) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    verified([1, 1]);
    let joined = answer(&stack, &["erase-player", "anna", "--yes"]);
    assert_eq!((text(&joined, "pseudonym"), &joined["caught_up"]), (pseudonym.as_str(), &true.into()));
    top_is(&stack, &[(&pseudonym, 11), ("bert", 9)]).await;
    assert_eq!((named().await, sums().await), (0, (Some("20".to_owned()), 4, 1)));
    archive_agrees(&stack, &postgres).await;
    verified([0, 0]);
    // A wrong score under a pseudonym is a difference all the same.
    let hers = format!("UPDATE leaderboard.game_score SET score = score + 1 WHERE user_id = '{pseudonym}'");
    sqlx::query(AssertSqlSafe(hers)).execute(&postgres).await.unwrap();
    let () = stack.redis(&["ZADD", "game-score", "1", "anna"]);
    let said = boardctl(&stack, &["verify"]);
    assert_eq!(said.code, Some(1));
    for difference in ["score is 6, must be 5", "is 12, must be 11"] {
        assert!(said.json["differences"].to_string().contains(difference), "{difference}: {}", said.json);
    }
}
