//! Holding a deployment against what is known.

use boards::Standings;
use e2e::stack::PATIENCE;
use e2e::{Stack, until};
use sqlx::{PgPool, Row as _};
use std::time::Duration;

/// (player, total) of a board in Redis, best first, as anyone's client sees it.
pub fn board_in_redis(stack: &Stack) -> Vec<(String, i64)> {
    let rows: Vec<(String, f64)> = stack.redis(&["ZREVRANGE", "game-score", "0", "-1", "WITHSCORES"]);
    #[expect(clippy::cast_possible_truncation, reason = "totals are far below 2^53")]
    rows.into_iter().map(|(player, score)| (player, score.floor() as i64)).collect()
}

/// (player, total) as the oracle has it, best first.
pub fn board_of(oracle: &Standings) -> Vec<(String, i64)> {
    oracle.top(usize::MAX).into_iter().map(|row| (row.player.to_string(), row.total)).collect()
}

/// Waits until ranker and archiver have taken `records` good records worth `total` points.
pub async fn drained(stack: &Stack, postgres: &PgPool, records: i64, total: i64, limit: Duration) {
    until("everything is archived and ranked", limit, async || {
        let archived = stack.archived(postgres).await.0;
        let ranked: i64 = board_in_redis(stack).iter().map(|(_, total)| total).sum();
        // More would be as wrong as less; it is waited for all the same, and then compared.
        if archived >= records && ranked >= total {
            return Ok(());
        }
        Err(format!("{archived} of {records} archived, {ranked} of {total} ranked"))
    })
    .await;
}

/// The archive's own standings and the board agree in every row and in their order.
pub async fn archive_agrees(stack: &Stack, postgres: &PgPool) {
    let rows = sqlx::query("SELECT user_id, score::bigint AS total FROM analytics.standings ORDER BY rank")
        .fetch_all(postgres)
        .await
        .unwrap();
    let by_sql: Vec<(String, i64)> = rows.iter().map(|row| (row.get("user_id"), row.get("total"))).collect();
    assert_eq!(by_sql, board_in_redis(stack));
}

/// No record is in the archive twice or missing: as many rows as offsets, good and refused.
pub async fn every_offset_is_archived_once(postgres: &PgPool) {
    let query = "SELECT (SELECT sum(next_offset) FROM leaderboard.consumer_offset)::bigint AS offsets, \
                 (SELECT count(*) FROM leaderboard.game_score) + \
                 (SELECT count(*) FROM leaderboard.refused_record) AS rows, \
                 (SELECT count(*) FROM (SELECT DISTINCT kafka_partition, kafka_offset \
                 FROM leaderboard.game_score) AS one) + \
                 (SELECT count(*) FROM leaderboard.refused_record) AS places";
    let row = sqlx::query(query).fetch_one(postgres).await.unwrap();
    let (offsets, rows, places): (i64, i64, i64) = (row.get("offsets"), row.get("rows"), row.get("places"));
    assert_eq!((offsets, offsets), (rows, places));
}

/// Waits until the controller's top is `rows`, then returns the reply.
pub async fn top_is(stack: &Stack, rows: &[(&str, i64)]) -> serde_json::Value {
    until("the API shows the top", PATIENCE, async || {
        let (status, page) = stack.get(&format!("/v1/boards/game-score/top?limit={}", rows.len()));
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        let shown: Vec<(String, i64)> = entries
            .iter()
            .map(|row| (row["user_id"].as_str().unwrap().to_owned(), row["score"].as_i64().unwrap()))
            .collect();
        let wanted: Vec<(String, i64)> =
            rows.iter().map(|(name, total)| ((*name).to_owned(), *total)).collect();
        if status == 200 && shown == wanted { Ok(page) } else { Err(format!("{status}: {page}")) }
    })
    .await
}
