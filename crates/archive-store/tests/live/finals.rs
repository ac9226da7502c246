//! Final standings: kept once, as they were.

use crate::support::{TestDatabase, time};
use archive_store::{ArchiveStore, Fence, FinalRow, FinalWindow};
use contracts::{PlayerId, Score, Version};

fn window(board: &str) -> FinalWindow {
    FinalWindow {
        board: board.to_owned(),
        window: "2026-W47".to_owned(),
        start: time("2026-11-16T00:00:00.000001"),
        end: time("2026-11-23"),
        version: Version { epoch: 3, version: 700 },
        decimals: 1,
    }
}

fn row(player: &str, units: i64) -> FinalRow {
    let player = PlayerId::new(player).unwrap();
    FinalRow { sorted_set_score: units as f64 + 0.123, player, score: Score::new(units, 1) }
}

async fn kept(store: &ArchiveStore, board: &str) -> Option<(FinalWindow, Vec<FinalRow>)> {
    store.final_standings(board, "2026-W47").await.unwrap()
}

#[tokio::test]
async fn standings_are_kept_once_and_come_back_as_they_were() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    let board = "goals-by-team:L'Équipe \\ 🎯";
    let rows = vec![row("b'c", 25), row("é", -3), row("a", -30)];
    assert!(!store.has_final(board, "2026-W47").await.unwrap());
    assert!(store.keep_final(&window(board), &rows).await.unwrap());
    assert!(!store.keep_final(&FinalWindow { decimals: 0, ..window(board) }, &rows[1..]).await.unwrap());
    assert!(store.has_final(board, "2026-W47").await.unwrap());
    assert_eq!(kept(&store, board).await, Some((window(board), rows)));
    assert_eq!(kept(&store, "goals-by-team").await, None);
    assert!(store.keep_final(&window("empty"), &[]).await.unwrap());
    assert_eq!(kept(&store, "empty").await, Some((window("empty"), Vec::new())));
}

#[tokio::test]
async fn whoever_is_erased_is_erased_in_final_standings_too() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    store.keep_final(&window("b"), &[row("p", 5), row("q", 4)]).await.unwrap();
    let erased = store.erase(&PlayerId::new("p").unwrap()).await.unwrap();
    let (_, rows) = kept(&store, "b").await.unwrap();
    let players: Vec<_> = rows.iter().map(|row| &row.player).collect();
    assert_eq!(players, [&erased.pseudonym, &PlayerId::new("q").unwrap()]);
}
