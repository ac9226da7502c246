//! Golden samples of what is on the wire. Samples are added, never edited: a change that breaks
//! one breaks somebody's producer or page.

#![allow(clippy::unwrap_used, reason = "tests")]

use contracts::event::with_event_id;
use contracts::{EventTime, Notice, PlayerId, Score, ScoreEvent, Snapshot};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn arrived_at() -> EventTime {
    EventTime::parse_iso("2026-11-21T12:00:00Z", "arrived_at").unwrap()
}

#[test]
fn plain_event_of_the_first_producers_is_read() {
    let event = ScoreEvent::decode(Some(include_bytes!("wire/event-plain.json")), arrived_at()).unwrap();
    assert_eq!(event.player.as_str(), "42");
    assert_eq!(event.score, Score::new(5, 0));
    assert_eq!(event.created_at.to_string(), "2026-11-21T12:00:00.123456Z");
}

#[test]
fn full_event_is_read_whole_and_written_back() {
    let sample = include_str!("wire/event-full.json").trim_end();
    let event = ScoreEvent::decode(Some(sample.as_bytes()), arrived_at()).unwrap();
    assert_eq!(event.event_id.as_deref(), Some("e-1"));
    assert_eq!(event.nickname.as_deref(), Some("Zoë 🎯"));
    assert_eq!(event.tags, BTreeMap::from([("country".into(), "MT".into())]));
    assert_eq!(event.unknown, BTreeMap::from([("steam".into(), "[76561197960287930123,1.50]".into())]));
    assert_eq!(String::from_utf8(event.encode()).unwrap(), sample);
}

#[test]
fn notice_sample_is_read_and_written_back() {
    let sample = include_str!("wire/notice.json").trim_end();
    let notice: Notice = serde_json::from_str(sample).unwrap();
    assert_eq!(serde_json::to_string(&notice).unwrap(), sample);
}

#[test]
fn snapshot_samples_are_read_and_written_back() {
    for sample in [include_str!("wire/snapshot.json"), include_str!("wire/snapshot-rebuilding.json")] {
        let snapshot: Snapshot = serde_json::from_str(sample).unwrap();
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), sample.trim_end());
    }
}

fn any_event() -> impl Strategy<Value = ScoreEvent> {
    let name = "[^\\p{Cc}]{1,20}";
    (
        name,
        (-1_000_000_000i64..1_000_000_000, 0..=4u8),
        -2_000_000_000_000_000i64..1_795_000_000_000_000,
        proptest::option::of(name),
        proptest::option::of(name),
        proptest::collection::btree_map(name, name, 0..4),
        proptest::collection::btree_map("x-[^\\p{Cc}]{1,10}", Just("[1,{\"a\":null}]".to_owned()), 0..3),
    )
        .prop_map(|(player, (units, scale), micros, event_id, nickname, tags, unknown)| ScoreEvent {
            player: PlayerId::new(player).unwrap(),
            score: Score::new(units, scale),
            created_at: EventTime::from_micros(micros).unwrap(),
            event_id: event_id.filter(|id| id.len() <= 64).map(Into::into),
            nickname: nickname.map(Into::into),
            tags,
            unknown,
        })
}

proptest! {
    #[test]
    fn every_event_survives_the_wire(event in any_event()) {
        prop_assert_eq!(ScoreEvent::decode(Some(&event.encode()), arrived_at()), Ok(event));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ScoreEvent::decode(Some(&bytes), arrived_at());
    }

    #[test]
    fn no_damage_to_a_good_event_makes_the_decoder_panic(
        event in any_event(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = event.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = ScoreEvent::decode(Some(&bytes), arrived_at());
    }
}

#[test]
fn event_gets_an_id_and_keeps_its_bytes() {
    for (payload, expected) in [
        (r#"{"score":5,"user_id":42}"#, r#"{"score":5,"user_id":42,"event_id":"a\"b"}"#),
        (
            "{ \"x\" : [1.50, {}],\"user_id\":42 ,\"score\":5 }\n",
            "{ \"x\" : [1.50, {}],\"user_id\":42 ,\"score\":5 ,\"event_id\":\"a\\\"b\"}\n",
        ),
        (
            r#"{"event\u005fid": null, "score":5,"user_id":42}"#,
            r#"{"event\u005fid": "a\"b", "score":5,"user_id":42}"#,
        ),
    ] {
        let made = with_event_id(payload.as_bytes(), "a\"b");
        assert_eq!(String::from_utf8(made.clone()).unwrap(), expected);
        let event = ScoreEvent::decode(Some(&made), arrived_at()).unwrap();
        assert_eq!(event.event_id.as_deref(), Some("a\"b"));
        let without = ScoreEvent::decode(Some(payload.as_bytes()), arrived_at()).unwrap();
        assert_eq!(ScoreEvent { event_id: None, ..event }, without);
    }
}
