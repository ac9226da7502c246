//! Rows and offsets change together, once.

use crate::support::{TestDatabase, arrived, begin, event, execute, is_fenced, partition, position, step};
use archive_store::{ArchiveBatch, ArchiveStore, Fence};
use pipeline::WriteError;
use pipeline::sink::{LogBounds, Span, Step};
use std::time::Duration;

const ROWS: &str = "SELECT count(*) FROM leaderboard.game_score";

#[tokio::test]
async fn replayed_write_leaves_one_row() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let chain = [step(0, 0, &[Ok(event("a"))])];
    store.write(&chain).await.unwrap();
    let outcome = store.write(&chain).await;
    assert!(is_fenced(&outcome), "{outcome:?}");
    assert_eq!(database.value(ROWS).await, "1");
    assert_eq!(position(&store, 0).await, 1);
    // And goes on after the refusal.
    store.write(&[step(0, 1, &[Ok(event("a"))])]).await.unwrap();
    assert_eq!(database.value(ROWS).await, "2");
}

#[tokio::test]
async fn without_the_fence_the_primary_key_still_refuses_a_replay() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::Off);
    begin(&store, 1).await;
    let chain = [step(0, 0, &[Ok(event("a"))])];
    store.write(&chain).await.unwrap();
    let outcome = store.write(&chain).await;
    assert!(matches!(outcome, Err(WriteError::Impossible(_))), "{outcome:?}");
    assert_eq!((position(&store, 0).await, database.value(ROWS).await.as_str()), (1, "1"));
}

#[tokio::test]
async fn a_gap_is_refused() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let outcome = store.write(&[step(0, 1, &[Ok(event("a"))])]).await;
    assert!(is_fenced(&outcome), "{outcome:?}");
    assert_eq!(database.value(ROWS).await, "0");
}

#[tokio::test]
async fn one_partition_elsewhere_refuses_the_whole_write() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 2).await;
    let outcome = store.write(&[step(0, 0, &[Ok(event("a"))]), step(1, 5, &[Ok(event("b"))])]).await;
    assert!(is_fenced(&outcome), "{outcome:?}");
    assert_eq!(database.value(ROWS).await, "0");
    assert_eq!((position(&store, 0).await, position(&store, 1).await), (0, 0));
}

#[tokio::test]
async fn beginning_leaves_known_partitions_alone() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    store.write(&[step(0, 0, &[Ok(event("a"))])]).await.unwrap();
    let log = [0, 1].map(|number| LogBounds { partition: partition(number), low: 7, high: 9 });
    store.open(&log.iter().map(|bounds| bounds.partition).collect::<Vec<_>>(), &log).await.unwrap();
    assert_eq!((position(&store, 0).await, position(&store, 1).await), (1, 7));
    assert_eq!(store.positions(&[partition(1)]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_exactly_one_wins_each_span() {
    const ROUNDS: i64 = 100;
    let Some(database) = TestDatabase::migrated().await else { return };
    begin(&database.store(Fence::On), 3).await;
    // Each knows the three partitions in another order.
    let round = |order: [i32; 3], offset: i64| {
        let mut batch = ArchiveBatch::default();
        for number in order {
            batch.add_event(arrived(number, offset, "2026-11-21T12:00:01"), &event("a"));
        }
        let spans = order.map(|number| Span { partition: partition(number), from: offset, to: offset + 1 });
        [Step { batch, spans: spans.into(), records: 3 }]
    };
    let wins = async |store: ArchiveStore, order: [i32; 3]| {
        let mut wins = 0;
        for offset in 0..ROUNDS {
            match store.write(&round(order, offset)).await {
                Ok(()) => wins += 1,
                // Refused as it should be, once the other was there before.
                Err(WriteError::Fenced(_)) if position(&store, 0).await > offset => {}
                Err(error) => panic!("offset {offset}: {error}"),
            }
        }
        wins
    };
    let (one, other) =
        tokio::join!(wins(database.store(Fence::On), [0, 1, 2]), wins(database.store(Fence::On), [2, 1, 0]));
    assert_eq!(one + other, ROUNDS);
    assert_eq!(database.value(ROWS).await, (3 * ROUNDS).to_string());
}

/// Leaves rows at offset 1, so that a write over it fails after the offsets were advanced.
async fn write_that_fails_halfway(database: &TestDatabase, fence: Fence) -> (Result<(), WriteError>, i64) {
    let store = database.store(fence);
    begin(&store, 1).await;
    store.write(&[step(0, 0, &[Ok(event("a")), Ok(event("a"))])]).await.unwrap();
    let mut connection = database.connect().await;
    execute(&mut connection, "UPDATE leaderboard.consumer_offset SET next_offset = 1").await;
    let outcome = store.write(&[step(0, 1, &[Ok(event("b")), Ok(event("b")), Ok(event("b"))])]).await;
    (outcome, position(&store, 0).await)
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing_behind() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let (outcome, position) = write_that_fails_halfway(&database, Fence::On).await;
    assert!(matches!(outcome, Err(WriteError::Impossible(_))), "{outcome:?}");
    assert_eq!((position, database.value(ROWS).await.as_str()), (1, "2"));
}

#[tokio::test]
async fn negative_control_without_the_fence_a_write_that_fails_loses_its_rows() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let (outcome, position) = write_that_fails_halfway(&database, Fence::AtMostOnce).await;
    assert!(outcome.is_err());
    // Everything up to offset 4 is said to be there, and only two rows are.
    assert_eq!((position, database.value(ROWS).await.as_str()), (4, "2"));
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_next_write_connects_anew() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'rankstream'",
    )
    .await;
    let chain = [step(0, 0, &[Ok(event("a"))])];
    let outcome = store.write(&chain).await;
    assert!(matches!(outcome, Err(WriteError::Unavailable(_))), "{outcome:?}");
    assert_eq!(position(&store, 0).await, 0);
    store.write(&chain).await.unwrap();
    assert_eq!(database.value(ROWS).await, "1");
}

#[tokio::test]
async fn a_writer_that_stalls_holds_the_others_up_only_for_a_while() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let mut stalled = database.connect().await;
    execute(&mut stalled, "BEGIN; UPDATE leaderboard.consumer_offset SET next_offset = 1").await;
    let chain = [step(0, 0, &[Ok(event("a"))])];
    let outcome = tokio::time::timeout(Duration::from_secs(20), store.write(&chain)).await.unwrap();
    assert!(matches!(outcome, Err(WriteError::Unavailable(_))), "{outcome:?}");
    execute(&mut stalled, "ROLLBACK").await;
    store.write(&chain).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_not_available() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://nobody@127.0.0.1:{port}/none").parse().unwrap();
    let store = ArchiveStore::new(&url, vec!["game-score".to_owned()]).unwrap();
    assert!(matches!(store.migrate().await, Err(WriteError::Unavailable(_))));
    assert!(matches!(store.positions(&[]).await, Err(WriteError::Unavailable(_))));
}
