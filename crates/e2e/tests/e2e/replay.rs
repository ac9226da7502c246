//! Real input: 110 years of international football goals.

use crate::truth::{
    archive_agrees, board_in_redis, board_of, drained, every_offset_is_archived_once, top_is,
};
use e2e::goals::{self, GOALS, REFUSED, REPLAY, SCORERS, TOP_TEN};
use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, Viewer};

#[tokio::test(flavor = "multi_thread")]
async fn replayed_goals_end_in_the_known_top_ten_everywhere() {
    let (Some(infra), Some(file)) = (Infra::from_env(), goals::file()) else { return };
    let stack = Stack::start(&infra).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let report = stack.dir().join("report.json");
    let output = stack
        .command("score-generator")
        .arg("replay")
        .arg(&file)
        .args(REPLAY)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{summary}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["sent"].as_i64(), Some(GOALS), "{report}");
    let refused = report["refused"].as_array().map(Vec::len);
    let counted = report["refused"].as_u64().or(report["rows_refused"].as_u64());
    assert!(refused == Some(REFUSED) || counted == Some(REFUSED as u64), "{report}");

    // On the websocket, in the API, in Redis and by SQL.
    let wanted: Vec<(String, i64)> =
        TOP_TEN.iter().map(|(name, goals)| ((*name).to_owned(), *goals)).collect();
    let frame = viewer.expect(PATIENCE, |frame| frame.rows() == wanted).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, GOALS, GOALS, PATIENCE).await;
    assert_eq!(frame.snapshot().players, SCORERS);
    let page = top_is(&stack, &TOP_TEN).await;
    assert_eq!((page["players"].as_u64(), &page["has_more"]), (Some(SCORERS), &true.into()));
    let top_in_redis: Vec<String> = stack.redis(&["ZREVRANGE", "game-score", "0", "9"]);
    assert_eq!(top_in_redis, TOP_TEN.map(|(name, _)| name.to_owned()));
    archive_agrees(&stack, &postgres).await;
    every_offset_is_archived_once(&postgres).await;
    assert_eq!(stack.archived(&postgres).await, (GOALS, 0));
    let plain: i64 =
        sqlx::query_scalar("SELECT count(*) FROM game_score_redis").fetch_one(&postgres).await.unwrap();
    assert_eq!(plain, GOALS);
    let first: String = sqlx::query_scalar("SELECT min(created_at)::text FROM game_score_redis")
        .fetch_one(&postgres)
        .await
        .unwrap();
    assert_eq!(first, "1916-07-02 00:00:00");

    // Equal scores stand in the order of who got there first: all 14,853 rows.
    assert_eq!(board_in_redis(&stack), board_of(&goals::oracle(&file)));
}
