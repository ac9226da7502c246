//! What an operator does with `boardctl` on a running system.

use crate::truth::{archive_agrees, board_in_redis, every_offset_is_archived_once, top_is};
use contracts::dead_letter::{Coordinates, DeadLetter, STAGE_RANK};
use contracts::replay::{REPLAYED_FROM, ReplayMark, ReplayStep};
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ};
use contracts::{EventTime, Refusal, RefusalClass};
use e2e::infra::free_port;
use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, Viewer, until};
use pipeline::scan::{Scan, extents};
use pipeline::{AckProducer, Message};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

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

fn log_length(stack: &Stack) -> i64 {
    let kafka = stack.kafka();
    extents(&kafka, &kafka.topic(&GAME_SCORE)).unwrap().values().map(|extent| extent.to).sum()
}

fn micros_now() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap()
}

/// A producer that can send headers.
fn producer(stack: &Stack) -> AckProducer {
    AckProducer::new(&stack.kafka(), "e2e-operator", Duration::ZERO, pipeline::producer::Ack).unwrap()
}

/// A record as it was refused long ago, that would count today: one point for `player`.
fn letter(stack: &Stack, player: &str, offset: i64) -> DeadLetter {
    let topic = stack.kafka().topic(&GAME_SCORE);
    DeadLetter {
        coordinates: Coordinates { topic, partition: 0, offset: 1_000_000 + offset },
        record_key: Some(player.into()),
        payload: Some(format!(r#"{{"score":1,"user_id":"{player}"}}"#).into_bytes()),
        timestamp_ms: Some(1_795_262_400_000),
        refusal: Refusal::of_record(RefusalClass::NotJson, "a rule that is gone"),
    }
}

async fn bury(stack: &Stack, producer: &AckProducer, letters: &[DeadLetter]) {
    let topic = stack.kafka().topic(&GAME_SCORE_DLQ);
    for letter in letters {
        let (key, headers) = (letter.coordinates.key(), letter.headers(STAGE_RANK));
        let payload = letter.payload.as_deref();
        let message = Message { topic: &topic, key: key.as_bytes(), payload, headers: &headers };
        producer.send_all(&[message]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_lists_shows_and_replays_dead_letters_each_once() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    // Refused now, and right in a few seconds.
    let future = micros_now() + 604_000_000;
    let created_at = EventTime::from_micros(future).unwrap();
    let early = format!(r#"{{"score":5,"user_id":9,"created_at":"{created_at}"}}"#).into_bytes();
    let wrong = br#"{"score":"five","user_id":8}"#.to_vec();
    stack.produce(&[(b"9".to_vec(), Some(early.clone()))]).await;
    stack.produce(&[(Vec::new(), Some(b"\xff\xfe".to_vec())), (b"8".to_vec(), Some(wrong.clone()))]).await;
    let letters = letters_are(&stack, 3).await;

    // Filters.
    for (filter, count) in [
        (&["--class", "wrong_type"][..], 1),
        (&["--class", "wrong_type", "--class", "not_utf8"], 2),
        (&["--field", "score"], 1),
        (&["--since", "1h"], 3),
        (&["--until", "1h"], 0),
        (&["--limit", "2"], 2),
        (&["--class", "empty"], 0),
    ] {
        assert_eq!(listed(&stack, filter).len(), count, "{filter:?}");
    }
    for (arguments, reason) in [
        (&["dead-letters", "list", "--class", "no_such"][..], "--class"),
        (&["dead-letters", "list", "--since", "yesterday"], "--since"),
        (&["dead-letters", "show", "here"], "TOPIC/PARTITION/OFFSET"),
        (&["dead-letters", "show", "game-score/0/77"], "game-score/0/77"),
        (&["dead-letters", "replay"], "--yes"),
    ] {
        let said = boardctl(&stack, arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.errors);
        assert!(said.errors.contains(reason), "{arguments:?}: {}", said.errors);
    }

    // The bytes.
    let of_class = |class: &str| letters.iter().find(|letter| letter["class"] == class).unwrap().clone();
    let shown = answer(&stack, &["dead-letters", "show", text(&of_class("wrong_type"), "coordinates")]);
    assert_eq!(text(&shown, "payload").as_bytes(), wrong);
    assert_eq!((text(&shown, "key"), text(&shown, "field")), ("8", "score"));
    let binary = of_class("not_utf8");
    // Without the prefix, too.
    let short = format!("game-score/{}/{}", binary["partition"], binary["offset"]);
    let shown = answer(&stack, &["dead-letters", "show", &short]);
    assert_eq!((text(&shown, "payload_base64"), &shown["key"]), ("//4=", &Value::Null));

    // Looking changes nothing.
    let dry = answer(&stack, &["dead-letters", "replay", "--dry-run"]);
    assert_eq!((dry["letters"].as_array().unwrap().len(), &dry["replayed"]), (3, &0.into()));
    assert_eq!((log_length(&stack), listed(&stack, &[])), (3, letters.clone()));

    // What a rule refused counts when the rule lets it, once.
    until("the event is not too far in the future", PATIENCE, async || {
        if micros_now() > future - 600_000_000 { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let early_letter = of_class("too_far_in_future");
    let replay = &["dead-letters", "replay", "--class", "too_far_in_future", "--yes"];
    assert_eq!(answer(&stack, replay)["replayed"], 1);
    top_is(&stack, &[("9", 5)]).await;
    assert_eq!(answer(&stack, replay)["replayed"], 0);
    let coordinates = text(&early_letter, "coordinates");
    let named = answer(&stack, &["dead-letters", "replay", coordinates, "--yes"]);
    assert_eq!(named["replayed"], 0);
    assert!(text(&named["skipped"][0], "why").contains("--again"), "{named}");
    assert_eq!(log_length(&stack), 4);
    // The key and the value are as they were, and a header says where they are from.
    let kafka = stack.kafka();
    let begins = BTreeMap::from_iter((0..6).map(|partition| (partition, 0)));
    let ends = extents(&kafka, &kafka.topic(&GAME_SCORE)).unwrap();
    let ends = ends.into_iter().map(|(partition, extent)| (partition, extent.to)).collect();
    let mut replayed = Vec::new();
    Scan::new(&kafka, "e2e-replayed", &kafka.topic(&GAME_SCORE), begins)
        .unwrap()
        .read_to(&ends, |record| {
            if let Some(from) = record.header(REPLAYED_FROM) {
                replayed.push((
                    from.to_vec(),
                    record.key().map(<[u8]>::to_vec),
                    record.payload().map(<[u8]>::to_vec),
                ));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(replayed, [(coordinates.into(), Some(b"9".to_vec()), Some(early))]);
    // Twice only on purpose.
    assert_eq!(answer(&stack, &["dead-letters", "replay", coordinates, "--again", "--yes"])["replayed"], 1);
    top_is(&stack, &[("9", 10)]).await;

    // What is still bad is refused again, under its new coordinates; at the rate asked for.
    let begun = Instant::now();
    assert_eq!(answer(&stack, &["dead-letters", "replay", "--rate", "1", "--yes"])["replayed"], 2);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    let again = letters_are(&stack, 2).await;
    let keys =
        |letters: &[Value]| letters.iter().map(|l| text(l, "coordinates").to_owned()).collect::<Vec<_>>();
    assert!(keys(&again).iter().all(|key| !keys(&letters).contains(key)), "{again:?}");
    assert_eq!(listed(&stack, &["--again"]).len(), 5);
    let postgres = stack.postgres().await;
    until("everything is archived", PATIENCE, async || match stack.archived(&postgres).await {
        (2, 5) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    every_offset_is_archived_once(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letter_replayed_by_two_operators_at_once_counts_once() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let letters: Vec<DeadLetter> = (0..120).map(|offset| letter(&stack, "p", offset)).collect();
    bury(&stack, &producer(&stack), &letters).await;
    // One twice, as after a crash.
    bury(&stack, &producer(&stack), &letters[..1]).await;
    assert_eq!(listed(&stack, &[]).len(), 120);
    let replay = || {
        let mut command = stack.command("boardctl");
        command.args(["--json", "dead-letters", "replay", "--rate", "40", "--yes"]);
        std::thread::spawn(move || ended(&mut command))
    };
    let runs = [replay(), replay()].map(|run| run.join().unwrap());
    let replayed: i64 = runs.iter().map(|said| said.json["replayed"].as_i64().unwrap()).sum();
    assert_eq!(replayed, 120, "{}{}", runs[0].json, runs[1].json);
    top_is(&stack, &[("p", 120)]).await;
    assert_eq!((log_length(&stack), listed(&stack, &[]).len()), (120, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_that_was_cut_off_is_finished_without_counting_twice() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let producer = producer(&stack);
    let letters: Vec<DeadLetter> =
        (0..3).map(|offset| letter(&stack, &format!("p{offset}"), offset)).collect();
    bury(&stack, &producer, &letters).await;
    // A run began all three: one's record was sent, one's was not, and one it may still be sending.
    let kafka = stack.kafka();
    let (scores, dead) = (kafka.topic(&GAME_SCORE), kafka.topic(&GAME_SCORE_DLQ));
    let now_ms = micros_now() / 1000;
    for (letter, at_ms) in letters.iter().zip([0, 0, now_ms]) {
        let log_ends = (0..6).map(|partition| (partition, 0)).collect();
        let step = ReplayStep::Started { after: None, log_ends };
        let headers = ReplayMark { run: "cut-off".into(), at_ms, step }.headers();
        let key = letter.coordinates.key();
        let mark = Message { topic: &dead, key: key.as_bytes(), payload: None, headers: &headers };
        producer.send_all(&[mark]).await.unwrap();
    }
    let headers = [(REPLAYED_FROM, letters[0].coordinates.key().into_bytes())];
    let payload = letters[0].payload.as_deref();
    let record = Message { topic: &scores, key: b"p0", payload, headers: &headers };
    producer.send_all(&[record]).await.unwrap();
    assert!(listed(&stack, &[]).iter().all(|letter| letter["state"] == "in_doubt"));

    let said = answer(&stack, &["dead-letters", "replay", "--yes"]);
    assert_eq!(said["replayed"], 1, "{said}");
    let skipped: BTreeMap<&str, &str> = said["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skipped| (text(skipped, "coordinates"), text(skipped, "why")))
        .collect();
    assert!(skipped[letters[0].coordinates.key().as_str()].contains("had sent it"), "{said}");
    assert!(skipped[letters[2].coordinates.key().as_str()].contains("try again in"), "{said}");
    top_is(&stack, &[("p1", 1), ("p0", 1)].map(|(name, total)| (name, total))).await;
    let left = listed(&stack, &[]);
    assert_eq!((left.len(), text(&left[0], "state")), (1, "in_doubt"));
    assert_eq!(log_length(&stack), 2);
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
    assert_eq!((&offsets["board"]["epoch"], &offsets["board"]["rebuilding"]), (&1.into(), &false.into()));

    // Whoever is away is named; the others are shown.
    let nowhere = format!("127.0.0.1:{}", free_port());
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

    // Again: harmless.
    let again = answer(&stack, &["erase-player", "anna", "--yes"]);
    assert_eq!((text(&again, "pseudonym"), &again["archived_events"]), (pseudonym.as_str(), &0.into()));
    assert_eq!((board_in_redis(&stack), stack.redis::<i64>(&["EXISTS", "player:anna"])), (board.to_vec(), 0));
    // What comes later is a new player, until it is done again.
    stack.produce(&[event("anna", 4, "3")]).await;
    top_is(&stack, &[("bert", 9), (&pseudonym, 7), ("anna", 4)]).await;
    let joined = answer(&stack, &["erase-player", "anna", "--yes"]);
    assert_eq!((text(&joined, "pseudonym"), &joined["caught_up"]), (pseudonym.as_str(), &true.into()));
    top_is(&stack, &[(&pseudonym, 11), ("bert", 9)]).await;
    assert_eq!((named().await, sums().await), (0, (Some("20".to_owned()), 4, 1)));
    archive_agrees(&stack, &postgres).await;
}
