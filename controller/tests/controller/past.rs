//! Windows that are over, in Redis and in the archive, over HTTP.

use crate::deployment::{Deployment, at, played};
use crate::rest::redis;
use crate::support::{ANY_BOARD, TestArchive, until};
use archive_store::{FinalRow, FinalWindow};
use contracts::{PlayerId, Score, Version};
use serde_json::{Value, json};

/// A cup of one day, final an hour after its end, and gone a day after that.
const CUP: &str = "[[board]]\nname = \"TEST\"\nwindows = [\"all\"]\ngrace = \"1d\"\nallowed_lateness = \"1h\"\n\
                   [[board.season]]\nname = \"cup\"\nstart = 2026-11-01\nend = 2026-11-02\n";
const FINAL: &str = "2026-11-02T01:00:00Z";
const GONE: &str = "2026-11-03T01:00:00Z";

fn cup() -> FinalWindow {
    FinalWindow {
        board: ANY_BOARD.to_owned(),
        window: "cup".to_owned(),
        start: at("2026-11-01"),
        end: at("2026-11-02"),
        version: Version { epoch: 1, version: 1 },
        decimals: 0,
        lowest_first: false,
        rules: None,
    }
}

fn row(player: &str, sorted_set_score: f64, score: Score) -> FinalRow {
    FinalRow { sorted_set_score, player: PlayerId::new(player).unwrap(), score }
}

async fn start(now: &str, archive: &TestArchive) -> Option<Deployment> {
    let log = [played("a", "1", "2026-11-01T12:00:00Z")];
    Deployment::with_archive(CUP, &log, now, Some(archive.clone())).await
}

/// As the ranker has it when a window has left Redis.
fn lose_the_cup(url: &str, prefix: &str) {
    redis(url, &["DEL", &format!("{{{prefix}}}:w:cup")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_looked_up_while_a_past_window_is_read() {
    let archive = TestArchive::default();
    let Some(deployment) = start(GONE, &archive).await else { return };
    archive.keep(cup(), vec![row("a", 1.5, Score::new(1, 0))]);
    archive.answers.send_replace(false);
    let present = async {
        until(|| archive.asked() == 1).await;
        assert_eq!(deployment.json("", "/players/a").await["window"], "all");
        archive.answers.send_replace(true);
    };
    let (past, ()) = tokio::join!(deployment.json("", "/players/a?window=cup"), present);
    assert_eq!((&past["window"], &past["rank"]), (&"cup".into(), &1.into()));
    // It is remembered.
    assert_eq!(deployment.players("", "/top?window=cup").await, ["a"]);
    assert_eq!(archive.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn window_that_leaves_redis_is_never_found_empty() {
    for now in [FINAL, GONE] {
        let archive = TestArchive::default();
        let Some(deployment) = start(now, &archive).await else { return };
        // Nothing is kept of it yet, and Redis has it.
        assert_eq!(deployment.players("", "/top?window=cup").await, ["a"], "{now}");
        // It is kept, and leaves Redis, after it was looked for in the archive.
        if now == GONE {
            let (kept, url, prefix) = (archive.clone(), deployment.url.clone(), deployment.prefix.clone());
            archive.meanwhile(move || {
                kept.keep(cup(), vec![row("a", 1.5, Score::new(1, 0))]);
                lose_the_cup(&url, &prefix);
            });
        } else {
            archive.keep(cup(), vec![row("a", 1.5, Score::new(1, 0))]);
            lose_the_cup(&deployment.url, &deployment.prefix);
        }
        assert_eq!(deployment.json("", "/players/a?window=cup").await["rank"], 1, "{now}");
        assert_eq!(deployment.players("", "/top?window=cup&limit=9").await, ["a"], "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn window_in_which_nobody_played_is_empty() {
    let archive = TestArchive::default();
    let Some(deployment) = Deployment::with_archive(CUP, &[], GONE, Some(archive)).await else { return };
    let page = deployment.json("", "/top?window=cup").await;
    assert_eq!((&page["players"], &page["entries"]), (&0.into(), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_standings_are_read_by_the_rules_of_their_time() {
    let archive = TestArchive::default();
    // The lowest was the best, and there was one decimal.
    let rows = vec![
        row("first", 0.5, Score::new(0, 0)),
        row("second", -25.0 + 0.5, Score::new(25, 1)),
        row("third", -30.0 + 0.5, Score::new(3, 0)),
    ];
    archive.keep(FinalWindow { decimals: 1, lowest_first: true, ..cup() }, rows);
    let rules = CUP.replace("grace", "decimals = 2\ngrace");
    let Some(deployment) = Deployment::with_archive(&rules, &[], GONE, Some(archive)).await else { return };
    let page = deployment.json("", "/top?window=cup").await;
    let entries = page["entries"].as_array().unwrap().iter();
    let entries: Vec<(&Value, f64)> =
        entries.map(|entry| (&entry["user_id"], entry["score"].as_f64().unwrap())).collect();
    assert_eq!(entries, [(&json!("first"), 0.0), (&json!("second"), 2.5), (&json!("third"), 3.0)]);
    assert_eq!(deployment.json("", "/players/second?window=cup").await["score"], 2.5);
    let spread = deployment.json("", "/distribution?window=cup&buckets=1").await;
    assert_eq!(spread["buckets"], json!([{"from": 0, "to": 3, "count": 3}]));
    // Places of scores, also of some between those that there could be.
    for (score, ordinal, competition, players_at) in [
        ("2.5", 3, 2, 1),
        ("2.49", 2, 2, 0),
        ("2.51", 3, 3, 0),
        ("-0.01", 1, 1, 0),
        ("3.01", 4, 4, 0),
        ("9000000", 4, 4, 0),
    ] {
        let found = deployment.json("", &format!("/rank-of?window=cup&score={score}")).await;
        let ranks = json!({"ordinal": ordinal, "competition": competition, "dense": competition});
        assert_eq!((&found["ranks"], &found["players_at"]), (&ranks, &players_at.into()), "{score}");
        assert_eq!(found["score"].to_string(), score);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn season_that_was_extended_is_not_answered_as_it_was_kept_before() {
    let archive = TestArchive::default();
    let Some(deployment) = start(GONE, &archive).await else { return };
    // As it would have been half a day earlier.
    let before = FinalWindow { end: at("2026-11-01T12:00:00"), ..cup() };
    archive.keep(before, vec![row("early", 1.5, Score::new(1, 0))]);
    assert_eq!(deployment.players("", "/top?window=cup").await, ["a"]);
    // Where nothing is known of the extended one, what there is is better than an empty board.
    lose_the_cup(&deployment.url, &deployment.prefix);
    assert_eq!(deployment.players("", "/top?window=cup&limit=9").await, ["early"]);
}
