//! A partition for each day of arrival, made ahead.

use crate::support::{TestDatabase, arrived, begin, event, execute, partition, step};
use archive_store::{ArchiveBatch, Fence};
use pipeline::WriteError;
use pipeline::sink::{Span, Step};
use std::time::Duration;

const PARTITIONS: &str = "SELECT inhrelid::regclass FROM pg_inherits \
     WHERE inhparent = 'leaderboard.game_score'::regclass ORDER BY inhrelid::regclass::text";

fn arriving(from: i64, days: &[&str]) -> Step<ArchiveBatch> {
    let mut batch = ArchiveBatch::default();
    for (day, offset) in days.iter().zip(from..) {
        batch.add_event(arrived(0, offset, day), &event("a"));
    }
    let to = from + i64::try_from(days.len()).unwrap();
    Step { batch, spans: vec![Span { partition: partition(0), from, to }], records: days.len() as u64 }
}

#[tokio::test]
async fn today_and_tomorrow_are_there_from_the_start() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let made = database.values(PARTITIONS).await;
    let expected = database
        .values(
            "SELECT to_char((now() AT TIME ZONE 'UTC')::date + d, '\"leaderboard.game_score_\"YYYYMMDD') \
             FROM generate_series(0, 1) d",
        )
        .await;
    assert_eq!(made, expected);
}

#[tokio::test]
async fn each_row_lies_in_the_partition_of_its_day() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let days = ["1970-01-01T00:00:00", "2026-11-20T23:59:59.999", "2026-11-21T00:00:00"];
    store.write(&[arriving(0, &days)]).await.unwrap();
    let rows = database
        .values("SELECT tableoid::regclass || ' ' || arrived_on FROM leaderboard.game_score ORDER BY kafka_offset")
        .await;
    assert_eq!(
        rows,
        [
            "leaderboard.game_score_19700101 1970-01-01",
            "leaderboard.game_score_20261120 2026-11-20",
            "leaderboard.game_score_20261121 2026-11-21",
        ]
    );
    assert!(database.values(PARTITIONS).await.contains(&"leaderboard.game_score_20261122".to_owned()));
    let keys = "SELECT count(*) FROM pg_index WHERE indrelid = 'leaderboard.game_score_20261121'::regclass";
    assert_eq!(database.value(keys).await, "2");
}

#[tokio::test]
async fn a_new_day_waits_for_no_reader() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let mut reader = database.connect().await;
    execute(&mut reader, "BEGIN; SELECT count(*) FROM leaderboard.game_score").await;
    let chain = [arriving(0, &["2031-01-01"])];
    tokio::time::timeout(Duration::from_secs(4), store.write(&chain)).await.unwrap().unwrap();
    execute(&mut reader, "ROLLBACK").await;
}

#[tokio::test]
async fn a_partition_that_was_dropped_is_made_again() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    store.write(&[step(0, 0, &[Ok(event("a"))])]).await.unwrap();
    let mut connection = database.connect().await;
    execute(&mut connection, "DROP TABLE leaderboard.game_score_20261121").await;
    let chain = [step(0, 1, &[Ok(event("a"))])];
    let outcome = store.write(&chain).await;
    assert!(matches!(outcome, Err(WriteError::Unavailable(_))), "{outcome:?}");
    store.write(&chain).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_may_make_the_same_days() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let make = async || {
        let mut connection = database.connect().await;
        for day in 0..50 {
            execute(&mut connection, &format!("SELECT leaderboard.ensure_day(date '2040-01-01' + {day})"))
                .await;
        }
    };
    tokio::join!(make(), make());
    assert_eq!(database.values(PARTITIONS).await.len(), 52);
}
