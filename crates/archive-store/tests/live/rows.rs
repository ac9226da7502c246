//! What comes back is what was written.

use crate::support::{TestDatabase, begin, event, step, time};
use archive_store::{Fence, RefusedRecord};
use contracts::score::MAX_SCALE;
use contracts::{EventTime, PlayerId, Refusal, RefusalClass, Score, ScoreEvent};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sqlx::Row as _;
use std::collections::BTreeMap;

/// Text as ids and names may be: anything but control characters.
fn name(max_chars: usize) -> impl Strategy<Value = String> {
    let any =
        proptest::collection::vec(any::<char>().prop_filter("control", |c| !c.is_control()), 1..=max_chars);
    prop_oneof![any.prop_map(String::from_iter), r#"[ -~]{1,32}"#, Just(r#"a\.\N"'{},	"#.replace('\t', " "))]
}

fn events() -> impl Strategy<Value = ScoreEvent> {
    let first = time("0001-01-01").micros();
    let last = time("9999-12-30T21:59:59.999999Z").micros();
    let units =
        prop_oneof![any::<i64>(), -100_000_000i64..100_000_000, Just(0), Just(i64::MIN), Just(i64::MAX)];
    let unknown = prop_oneof![
        Just("null".to_owned()),
        Just(r#"{"a": [1.50, 1e308, 1e-20000, "\ud83d\ude00 \\ \""]}"#.to_owned()),
        name(8).prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    (
        (name(32), units, 0..=MAX_SCALE, first..=last),
        (proptest::option::of(name(16)), proptest::option::of(name(32))),
        (
            proptest::collection::btree_map(name(8), name(16), 0..4),
            proptest::collection::btree_map(name(8), unknown, 0..3),
        ),
    )
        .prop_map(|((player, units, scale, created_at), (event_id, nickname), (tags, unknown))| {
            ScoreEvent {
                player: PlayerId::new(player).unwrap(),
                score: Score::new(units, scale),
                created_at: EventTime::from_micros(created_at).unwrap(),
                event_id: event_id.map(Into::into),
                nickname: nickname.map(Into::into),
                tags,
                unknown,
            }
        })
}

#[tokio::test]
async fn every_event_comes_back_exactly() {
    const EVENTS: usize = 3_000;
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let mut runner = TestRunner::deterministic();
    let strategy = events();
    let written: Vec<ScoreEvent> =
        (0..EVENTS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let records: Vec<_> = written.iter().cloned().map(Ok).collect();
    store.write(&[step(0, 0, &records)]).await.unwrap();

    let rows = sqlx::query(
        "SELECT user_id, score::text, (extract(epoch FROM created_at) * 1000000)::bigint, event_id, nickname, \
         tags, extra::text, (extract(epoch FROM arrived_at) * 1000)::bigint, arrived_on::text \
         FROM leaderboard.game_score ORDER BY kafka_offset",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(rows.len(), EVENTS);
    for (row, event) in rows.iter().zip(&written) {
        assert_eq!(row.get::<&str, _>(0), event.player.as_str());
        assert_eq!(row.get::<&str, _>(1), event.score.to_string());
        assert_eq!(row.get::<i64, _>(2), event.created_at.micros());
        assert_eq!(row.get::<Option<&str>, _>(3), event.event_id.as_deref());
        assert_eq!(row.get::<Option<&str>, _>(4), event.nickname.as_deref());
        let tags: Option<sqlx::types::Json<BTreeMap<String, String>>> = row.get(5);
        assert_eq!(tags.map(|tags| tags.0), Some(event.tags.clone()).filter(|tags| !tags.is_empty()));
        assert_eq!(row.get::<Option<&str>, _>(6).is_some(), !event.unknown.is_empty());
        for (member, value) in &event.unknown {
            let member = serde_json::to_string(member).unwrap();
            assert!(row.get::<&str, _>(6).contains(&format!("{member}:{value}")));
        }
        assert_eq!(row.get::<i64, _>(7), time("2026-11-21T12:00:01").micros() / 1000);
        assert_eq!(row.get::<&str, _>(8), "2026-11-21");
    }
}

#[tokio::test]
async fn the_first_and_the_last_year_and_1916_survive() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let times =
        ["0001-01-01T00:00:00Z", "1916-07-02", "1969-12-31T23:59:59.999999Z", "9999-12-30T21:59:59.999999Z"];
    let records = times.map(|text| Ok(ScoreEvent { created_at: time(text), ..event("a") }));
    store.write(&[step(0, 0, &records)]).await.unwrap();
    let rows = database
        .values("SELECT created_at AT TIME ZONE 'UTC' FROM leaderboard.game_score ORDER BY kafka_offset")
        .await;
    assert_eq!(
        rows,
        [
            "0001-01-01 00:00:00",
            "1916-07-02 00:00:00",
            "1969-12-31 23:59:59.999999",
            "9999-12-30 21:59:59.999999",
        ]
    );
}

#[tokio::test]
async fn scores_add_up_exactly() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let records = vec![Ok(ScoreEvent { score: Score::new(1, 1), ..event("a") }); 1_000];
    store.write(&[step(0, 0, &records)]).await.unwrap();
    assert_eq!(database.value("SELECT sum(score) FROM analytics.scores").await, "100.0");
}

#[tokio::test]
async fn refused_records_are_kept_untouched_beside_the_events() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let payload: Vec<u8> = (0..=255).collect();
    let refused = |refusal, key: Option<&[u8]>, payload| {
        Err(RefusedRecord { refusal, key: key.map(<[u8]>::to_vec), payload })
    };
    let nul = Refusal::of_field(RefusalClass::InvalidValue, "a\0b".to_owned(), "holds the character U+0000");
    let empty = Refusal::of_record(RefusalClass::Empty, "the record has no value");
    let records = [
        Ok(event("a")),
        refused(nul, Some(b"\0key"), Some(payload)),
        refused(empty, None, None),
        Ok(event("b")),
    ];
    store.write(&[step(0, 0, &records)]).await.unwrap();
    let all = "SELECT kafka_offset FROM leaderboard.game_score \
               UNION ALL SELECT kafka_offset FROM leaderboard.refused_record ORDER BY 1";
    assert_eq!(database.values(all).await, ["0", "1", "2", "3"]);
    let rows = sqlx::query(
        "SELECT class, field, message, record_key, payload FROM leaderboard.refused_record ORDER BY kafka_offset",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(rows[0].get::<&str, _>(0), "invalid_value");
    assert_eq!(rows[0].get::<&str, _>(1), "a\u{2400}b");
    assert_eq!(rows[0].get::<&str, _>(2), "`a\u{2400}b` holds the character U+0000");
    assert_eq!(rows[0].get::<&[u8], _>(3), b"\0key");
    assert_eq!(rows[0].get::<&[u8], _>(4), (0..=255).collect::<Vec<u8>>());
    assert_eq!(rows[1].get::<Option<&str>, _>(1), None);
    assert_eq!(rows[1].get::<Option<&[u8]>, _>(4), None);
}
