//! What the controller is measured against: the server that one would write first. It asks the
//! same Redis for the same rows, with a command for each thing and each name, and adds a score by
//! itself. It leaves out all else: no log, no version, no rebuild, no ties, no limits, no cache, no
//! problem that says why.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

#[derive(Clone)]
struct Naive {
    redis: MultiplexedConnection,
    board: String,
}

#[derive(Serialize)]
struct Entry {
    rank: usize,
    score: f64,
    user_id: String,
    nickname: String,
}

#[derive(Deserialize)]
struct Score {
    score: f64,
    user_id: u64,
}

type Answer<T> = Result<Json<T>, StatusCode>;

pub(crate) async fn run(address: &str, url: &str, board: String) -> anyhow::Result<()> {
    let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let router = Router::new()
        .route("/v1/boards/{board}/top", get(top))
        .route("/v1/boards/{board}/players/{id}", get(player))
        .route("/v1/boards/{board}/players/{id}/around", get(around))
        .route("/v1/boards/{board}/players", get(players))
        .route("/v1/scores", post(submit))
        .with_state(Naive { redis, board });
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn top(State(naive): State<Naive>, Query(query): Query<HashMap<String, String>>) -> Answer<Vec<Entry>> {
    let limit: usize = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(10);
    naive.rows(0, limit).await.map(Json).map_err(failed)
}

async fn player(State(naive): State<Naive>, Path((_, id)): Path<(String, String)>) -> Answer<Entry> {
    let found = naive.entries(&[id]).await.map_err(failed)?;
    found.into_iter().next().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn around(State(naive): State<Naive>, Path((_, id)): Path<(String, String)>) -> Answer<Vec<Entry>> {
    let mut rank = redis::cmd("ZREVRANK");
    let rank: Option<usize> =
        rank.arg(&naive.board).arg(id).query_async(&mut naive.redis.clone()).await.map_err(failed)?;
    let start = rank.ok_or(StatusCode::NOT_FOUND)?.saturating_sub(4);
    naive.rows(start, 10).await.map(Json).map_err(failed)
}

async fn players(
    State(naive): State<Naive>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Vec<Entry>> {
    let ids: Vec<String> = query["ids"].split(',').map(str::to_owned).collect();
    naive.entries(&ids).await.map(Json).map_err(failed)
}

async fn submit(State(naive): State<Naive>, Json(Score { score, user_id }): Json<Score>) -> Answer<Entry> {
    let id = user_id.to_string();
    let mut add = redis::pipe();
    add.zincr(&naive.board, &id, score).zrevrank(&naive.board, &id);
    let (score, rank): (f64, usize) = add.query_async(&mut naive.redis.clone()).await.map_err(failed)?;
    Ok(Json(entry(rank + 1, score, id, None)))
}

impl Naive {
    async fn rows(&self, start: usize, count: usize) -> redis::RedisResult<Vec<Entry>> {
        let mut redis = self.redis.clone();
        let mut command = redis::cmd("ZREVRANGE");
        command.arg(&self.board).arg(start).arg(start + count - 1).arg("WITHSCORES");
        let rows: Vec<(String, f64)> = command.query_async(&mut redis).await?;
        let mut names = redis::pipe();
        for (player, _) in &rows {
            names.hget(format!("player:{player}"), "nickname");
        }
        let names: Vec<Option<String>> = names.query_async(&mut redis).await?;
        let rows = rows.into_iter().zip(names).zip(start + 1..);
        Ok(rows.map(|(((player, score), name), rank)| entry(rank, score, player, name)).collect())
    }

    async fn entries(&self, ids: &[String]) -> redis::RedisResult<Vec<Entry>> {
        let mut asked = redis::pipe();
        for id in ids {
            asked.zrevrank(&self.board, id).zscore(&self.board, id);
            asked.hget(format!("player:{id}"), "nickname");
        }
        type Found = (Option<usize>, Option<f64>, Option<String>);
        let values: Vec<redis::Value> = asked.query_async(&mut self.redis.clone()).await?;
        let mut entries = Vec::new();
        for (id, found) in ids.iter().zip(values.chunks_exact(3)) {
            let found: Found = redis::from_redis_value(redis::Value::Array(found.to_vec()))?;
            if let (Some(rank), Some(score), name) = found {
                entries.push(entry(rank + 1, score, id.clone(), name));
            }
        }
        Ok(entries)
    }
}

fn entry(rank: usize, score: f64, user_id: String, name: Option<String>) -> Entry {
    let nickname = name.unwrap_or_else(|| format!("user-{user_id}"));
    Entry { rank, score: score.floor(), user_id, nickname }
}

fn failed(_: redis::RedisError) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
