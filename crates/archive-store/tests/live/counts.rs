//! Counts and sums of rows.

use crate::support::{TestDatabase, begin, event, step};
use archive_store::Fence;
use archive_store::RefusedRecord;
use archive_store::audit::{OffsetRange, PlayerTally, RowCounts};
use contracts::{PlayerId, Refusal, RefusalClass, Score, ScoreEvent};
use std::collections::BTreeMap;

#[tokio::test]
async fn rows_and_players_are_added_up_within_the_offsets() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 2).await;
    let scored = |player: &str, units, decimals| {
        Ok(ScoreEvent { score: Score::new(units, decimals), ..event(player) })
    };
    let refusal = Refusal::of_record(RefusalClass::NotJson, "no");
    let refused = Err(RefusedRecord { refusal, key: None, payload: None });
    let largest = 999_999_999_999_999_999;
    store
        .write(&[
            step(0, 0, &[scored("a", 1, 1), scored("a", -7, 9), scored("b", 5, 0), refused]),
            step(1, 0, &[scored("c", largest, 0), scored("c", largest, 0), scored("a", 100, 0)]),
        ])
        .await
        .unwrap();

    let mut audit = store.audit("game-score").await.unwrap();
    let range = |partition, from, to| OffsetRange { partition, from, to };
    let (all, part) = ([range(0, 0, 4), range(1, 0, 3)], [range(0, 1, 4), range(1, 0, 2)]);
    assert_eq!(
        audit.row_counts(&all).await.unwrap(),
        BTreeMap::from([(0, RowCounts { events: 3, refused: 1 }), (1, RowCounts { events: 3, refused: 0 })])
    );
    assert_eq!(
        audit.row_counts(&part).await.unwrap(),
        BTreeMap::from([(0, RowCounts { events: 2, refused: 1 }), (1, RowCounts { events: 2, refused: 0 })])
    );
    let tallies = audit.player_tallies(&part, &["a", "c", "nobody"]).await.unwrap();
    let of = |player: &str| tallies.get(&PlayerId::new(player).unwrap()).copied();
    assert_eq!(of("a"), Some(PlayerTally { events: 1, sum_units: -7 }));
    let sum_units = 2 * i128::from(largest) * 1_000_000_000;
    assert_eq!(of("c"), Some(PlayerTally { events: 2, sum_units }));
    assert_eq!((of("b"), of("nobody")), (None, None), "one was not asked for, the other has nothing");
    let tallies = audit.player_tallies(&all, &["a"]).await.unwrap();
    assert_eq!(
        tallies.into_values().collect::<Vec<_>>(),
        [PlayerTally { events: 3, sum_units: 100_099_999_993 }]
    );
    assert!(audit.row_counts(&[]).await.unwrap().is_empty());
}
