//! Every kind of bad record, with its stated outcome. The same table is sent through the real
//! pipeline by the whole-system tests.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests; the table is shared")]

use contracts::RefusalClass as Class;
use contracts::{EventTime, ScoreEvent};

mod bad_records;

fn arrived_at() -> EventTime {
    EventTime::parse_iso("2026-11-21T12:00:00Z", "arrived_at").unwrap()
}

#[test]
fn every_bad_record_is_refused_with_its_class_and_field() {
    let records = bad_records::bad_records();
    assert!(records.len() >= 30);
    for record in records {
        let refusal = ScoreEvent::decode(record.payload.as_deref(), arrived_at()).expect_err(record.name);
        assert_eq!(
            (refusal.class, refusal.field.as_deref()),
            (record.class, record.field),
            "{}",
            record.name
        );
    }
}

#[test]
fn unusual_but_good_records_are_taken() {
    for (payload, player, score) in [
        (r#"{"score":5,"user_id":42,"created_at":"2026-11-21T12:00:00.123456"}"#, "42", "5"),
        (r#"{"score":5,"user_id":"42"}"#, "42", "5"),
        (r#" { "user_id" : -7 , "score" : -5.50e0 } "#, "-7", "-5.5"),
        (
            r#"{"score":0,"user_id":"a/b c\u00e9 🎯 שלום","created_at":null,"nickname":null,"tags":null}"#,
            "a/b cé 🎯 שלום",
            "0",
        ),
        (
            r#"{"score":1,"\u0075ser_id":18446744073709551616,"x":{"deep":[1,2,3]}}"#,
            "18446744073709551616",
            "1",
        ),
        (r#"{"score":1,"user_id":"u","created_at":"2026-11-21T12:10:00Z"}"#, "u", "1"),
    ] {
        let event = ScoreEvent::decode(Some(payload.as_bytes()), arrived_at()).expect(payload);
        assert_eq!((event.player.as_str(), event.score.to_string().as_str()), (player, score));
    }
}

#[test]
fn arrival_stands_in_for_an_absent_time() {
    let event = ScoreEvent::decode(Some(br#"{"score":1,"user_id":1}"#), arrived_at()).unwrap();
    assert_eq!(event.created_at, arrived_at());
}

#[test]
fn future_limit_is_exact() {
    let decode = |time: &str| {
        ScoreEvent::decode(
            Some(format!(r#"{{"score":1,"user_id":1,"created_at":"{time}"}}"#).as_bytes()),
            arrived_at(),
        )
    };
    assert!(decode("2026-11-21T12:10:00Z").is_ok());
    assert_eq!(decode("2026-11-21T12:10:00.000001Z").unwrap_err().class, Class::TooFarInFuture);
}
