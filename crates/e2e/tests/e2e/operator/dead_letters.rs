//! Dead letters: listed, shown, and sent again.

use super::{answer, boardctl, ended, letters_are, listed, text};
use crate::truth::{board_in_redis, every_offset_is_archived_once, top_is};
use contracts::dead_letter::{Coordinates, DeadLetter, STAGE_RANK};
use contracts::replay::{REPLAYED_FROM, ReplayMark, ReplayStep};
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ};
use contracts::{EventTime, Refusal, RefusalClass};
use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, until};
use pipeline::scan::{Scan, extents};
use pipeline::{AckProducer, Message};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

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
    until("both count once", PATIENCE, async || {
        let mut board = board_in_redis(&stack);
        // Who was first depends on how fast the test is.
        board.sort();
        if board == [("p0".into(), 1), ("p1".into(), 1)] { Ok(()) } else { Err(format!("{board:?}")) }
    })
    .await;
    let left = listed(&stack, &[]);
    assert_eq!((left.len(), text(&left[0], "state")), (1, "in_doubt"));
    assert_eq!(log_length(&stack), 2);
}
