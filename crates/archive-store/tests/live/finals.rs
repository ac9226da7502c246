//! Final standings: kept once, as they were.

use crate::support::{TestDatabase, execute, time};
use archive_store::{ArchiveStore, Fence, FinalRow, FinalStandings, FinalWindow};
use contracts::{PlayerId, Score, Version};
use std::time::Duration;

fn window(board: &str) -> FinalWindow {
    FinalWindow {
        board: board.to_owned(),
        window: "2026-W47".to_owned(),
        start: time("2026-11-16T00:00:00.000001"),
        end: time("2026-11-23"),
        version: Version { epoch: 3, version: 700 },
        decimals: 1,
        lowest_first: true,
        rules: Some("aggregate=sum".to_owned()),
    }
}

fn row(player: &str, units: i64) -> FinalRow {
    let player = PlayerId::new(player).unwrap();
    FinalRow { sorted_set_score: units as f64 + 0.123, player, score: Score::new(units, 1) }
}

async fn kept(store: &ArchiveStore, board: &str) -> FinalStandings {
    store.final_standings(board, "2026-W47", 3).await.unwrap()
}

async fn players(store: &ArchiveStore, board: &str) -> Vec<String> {
    let FinalStandings::Kept(_, rows) = kept(store, board).await else { panic!("{board} is not kept") };
    rows.iter().map(|row| row.player.to_string()).collect()
}

#[tokio::test]
async fn standings_are_kept_once_and_come_back_as_they_were() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    let board = "goals-by-team:L'Équipe \\ 🎯";
    let rows = vec![row("b'c", 25), row("é", -3), row("a", -30)];
    assert!(!store.has_final(&window(board)).await.unwrap());
    assert!(store.keep_final(&window(board), &rows).await.unwrap());
    assert!(!store.keep_final(&FinalWindow { decimals: 0, ..window(board) }, &rows[1..]).await.unwrap());
    assert!(store.has_final(&window(board)).await.unwrap());
    assert_eq!(kept(&store, board).await, FinalStandings::Kept(window(board), rows));
    assert_eq!(kept(&store, "goals-by-team").await, FinalStandings::NotKept);
    assert!(store.keep_final(&window("empty"), &[]).await.unwrap());
    assert_eq!(kept(&store, "empty").await, FinalStandings::Kept(window("empty"), Vec::new()));
    let many: Vec<FinalRow> = ["a", "b", "c", "d"].map(|player| row(player, 1)).into();
    assert!(store.keep_final(&window("many"), &many).await.unwrap());
    assert_eq!(kept(&store, "many").await, FinalStandings::TooMany(4));
}

#[tokio::test]
async fn window_that_was_extended_is_another_and_takes_the_place_of_the_first() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    let (first, extended) = (window("cup"), FinalWindow { end: time("2026-11-30"), ..window("cup") });
    let other = FinalWindow { window: "2026-W48".to_owned(), ..window("cup") };
    for kept in [&first, &other, &window("other")] {
        assert!(store.keep_final(kept, &[row("early", 5)]).await.unwrap());
    }
    assert!(!store.has_final(&extended).await.unwrap());
    let rows = vec![row("late", 7), row("early", 6)];
    assert!(store.keep_final(&extended, &rows).await.unwrap());
    assert!(!store.keep_final(&extended, &rows).await.unwrap());
    assert_eq!(kept(&store, "cup").await, FinalStandings::Kept(extended, rows));
    // Nothing else went.
    assert!(store.has_final(&other).await.unwrap());
    assert_eq!(players(&store, "other").await, ["early"]);
}

#[tokio::test]
async fn standings_that_were_kept_before_know_their_order() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    let keep = |board: &'static str, scores: [i64; 3]| {
        let (sign, store) = (if board == "asc" { -1 } else { 1 }, &store);
        let rows = scores
            .map(|units| FinalRow { sorted_set_score: (sign * units) as f64 + 0.875, ..row("p", units) });
        async move { store.keep_final(&window(board), &rows).await.unwrap() }
    };
    assert!(keep("asc", [-5, 0, 1]).await && keep("desc", [1, 0, -5]).await);
    let mut connection = database.connect().await;
    // As before the migration.
    execute(&mut connection, "ALTER TABLE leaderboard.final_window DROP COLUMN lowest_first").await;
    execute(&mut connection, include_str!("../../migrations/0006_final_order.sql")).await;
    let orders =
        database.values("SELECT board || ' ' || lowest_first FROM leaderboard.final_window ORDER BY 1");
    assert_eq!(orders.await, ["asc true", "desc false"]);
}

#[tokio::test]
async fn connection_that_the_server_has_closed_is_not_used_again() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    assert_eq!(kept(&store, "b").await, FinalStandings::NotKept);
    // One of a migration may be on its way out.
    let ended = "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(database.values(ended).await, ["true"], "one connection was kept");
    assert_eq!(kept(&store, "b").await, FinalStandings::NotKept);
}

#[tokio::test]
async fn whoever_is_erased_is_erased_in_final_standings_too() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    store.keep_final(&window("b"), &[row("p", 5), row("q", 4)]).await.unwrap();
    let erased = store.erase(&PlayerId::new("p").unwrap()).await.unwrap();
    assert_eq!(players(&store, "b").await, [erased.pseudonym.as_str(), "q"]);
    // Also in what was read from Redis before, and is kept only now.
    store.keep_final(&window("late"), &[row("p", 5), row("q", 4)]).await.unwrap();
    assert_eq!(players(&store, "late").await, [erased.pseudonym.as_str(), "q"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_and_keeping_never_pass_each_other() {
    let Some(database) = TestDatabase::migrated().await else { return };
    // The salt is there from then on.
    database.store(Fence::On).erase(&PlayerId::new("first").unwrap()).await.unwrap();
    let mut erasing = database.connect().await;
    let begun = "BEGIN; INSERT INTO leaderboard.erased_player (pseudonym, id_digest, erased_at) \
         SELECT 'erased-p', sha256(salt || convert_to('p', 'UTF8')), now() FROM leaderboard.erasure_salt";
    execute(&mut erasing, begun).await;
    // Whoever keeps gets no farther than to know who is erased.
    let mut holding = database.connect().await;
    execute(&mut holding, "BEGIN; LOCK TABLE leaderboard.final_window").await;
    let store = database.store(Fence::On);
    let keeping = tokio::spawn(async move {
        store.keep_final(&window("b"), &[row("p", 5)]).await.unwrap();
        store
    });
    let waits = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let still = async {
        while database.value(waits).await == "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), still).await.unwrap();
    let renamed = "UPDATE leaderboard.final_standing SET user_id = 'erased-p' WHERE user_id = 'p'; COMMIT";
    execute(&mut erasing, renamed).await;
    execute(&mut holding, "COMMIT").await;
    let store = keeping.await.unwrap();
    assert_eq!(players(&store, "b").await, ["erased-p"]);
}
