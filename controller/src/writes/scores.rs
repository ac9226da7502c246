//! `POST /v1/scores`.

use super::batch::{Accepted, Batch, Rejected};
use super::body::JsonBody;
use super::idempotency::{self, Standing, WriteName};
use super::{Entry, Reply, Shared, Writes};
use crate::access::Caller;
use crate::api::parameters::known;
use crate::problem::{Problem, ProblemBody, WriteProblems};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use board_store::Place;
use bytes::Bytes;
use contracts::topics::GAME_SCORE;
use contracts::{PlayerId, Score};
use metrics::counter;
use pipeline::producer::Ends;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use utoipa::ToSchema;

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScoresTaken)]
pub(super) struct Taken {
    /// How many Kafka has taken. Each counts once.
    accepted: usize,
    /// Those that cannot count, and why.
    rejected: Vec<Rejected>,
    /// With `wait=applied`: whether the board has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    applied: Option<bool>,
    /// With `wait=applied`, once the board has them: where their players stand on the default
    /// board, in its usual window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    results: Option<Vec<Placed>>,
}

/// Where the player of an event stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventResult)]
struct Placed {
    /// The event's place in the request, from 0.
    index: usize,
    /// Its player.
    user_id: String,
    /// The player's total now; `null` for one who is not on the board.
    #[schema(value_type = Option<f64>)]
    score: Option<Score>,
    /// The player's rank now, from 1.
    rank: Option<u64>,
}

/// One score event. Members that are not listed are kept in the archive.
#[derive(ToSchema)]
#[schema(as = ScoreEvent)]
#[expect(dead_code, reason = "only described")]
pub(super) struct Event {
    /// How much; what it does is the board's rule.
    #[schema(example = 5)]
    score: f64,
    /// Who: text of 1 to 128 bytes without control characters, or an integer. 42 and "42" are the
    /// same player.
    #[schema(value_type = UserId, example = 42)]
    user_id: (),
    /// When, in ISO 8601; UTC unless it says otherwise. Absent: when Kafka gets it.
    #[schema(example = "2026-11-21T12:00:00.123456")]
    created_at: Option<String>,
    /// The same id from the same player counts once, on the same UTC day and the next. 1 to 64
    /// bytes.
    event_id: Option<String>,
    /// What the player wants to be called from now on: 1 to 128 bytes.
    nickname: Option<String>,
    /// What boards may match on.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    tags: Option<()>,
}

/// A player's id.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
#[serde(untagged)]
pub(super) enum UserId {
    /// The same as its digits.
    Number(i64),
    /// Any text.
    Text(String),
}

/// An event, or an array of up to 1,000.
#[derive(ToSchema)]
#[schema(as = ScoreEvents)]
#[expect(dead_code, reason = "only described")]
#[serde(untagged)]
pub(super) enum Events {
    /// One.
    One(Event),
    /// Up to 1,000.
    Many(Vec<Event>),
}

/// Sends scores.
///
/// Answers when Kafka has acknowledged every accepted event. With an `Idempotency-Key` the request
/// may be sent again until there is an answer: each event counts once. Without one, an event that
/// has no `event_id` counts as often as it is sent.
#[utoipa::path(post, path = "/v1/scores", tag = "writing", security(("key" = [])),
    params(
        ("wait" = Option<String>, Query, nullable = false, pattern = "^applied$",
            description = "`applied`: answer when the default board has the events, or after two seconds"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$",
            description = "Names the write: 1 to 255 visible ASCII characters, for 24 hours"),
    ),
    request_body(content = Events),
    responses(
        (status = 202, description = "All events are taken", body = Taken,
            headers(("Idempotent-Replayed" = String, description = "`true` for an answer that was given before"))),
        (status = 207, description = "Some events are taken", body = Taken,
            headers(("Idempotent-Replayed" = String, description = "`true` for an answer that was given before"))),
        (status = 409, description = "The `Idempotency-Key` came with another body, or its write is being done; \
            then there is `Retry-After`", body = ProblemBody, content_type = "application/problem+json"),
        WriteProblems,
    ))]
pub(super) async fn send(
    State(Writes(writes)): State<Writes>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Reply, Problem> {
    let wait = match known(query.as_deref(), ["wait"])? {
        [None] => false,
        [Some("applied")] => true,
        [Some(_)] => return Err(Problem::of_field("wait", "must be `applied`")),
    };
    let name = WriteName::of(&headers, &caller.name)?;
    let batch = Batch::read(&body, &writes.boards, writes.now(), name.as_ref())?;
    counter!("controller_events_rejected_total").increment(batch.rejected.len() as u64);
    if batch.accepted.is_empty() {
        return Err(batch.all_rejected());
    }
    let room = writes.room.take(batch.weight())?;
    let limits = writes.limits;
    let limit = if wait { limits.acknowledged + limits.applied } else { limits.acknowledged };
    let write = Write { batch, name, body, wait, room };
    let work = write.carry_out(Arc::clone(&writes));
    writes.answer(work, limit).await
}

/// A write that can be done.
struct Write {
    batch: Batch,
    name: Option<WriteName>,
    body: Bytes,
    wait: bool,
    room: OwnedSemaphorePermit,
}

impl Write {
    async fn carry_out(self, writes: Arc<Shared>) -> Result<Reply, Problem> {
        let Self { batch, name, body, wait, room } = self;
        let claim = match &name {
            None => None,
            Some(name) => match idempotency::claim(&writes.store, name, &body).await? {
                Standing::New(claim) => claim,
                Standing::Answered(reply) => return Ok(reply),
            },
        };
        let entry = |event: &Accepted| Entry {
            key: event.player.as_str().to_owned(),
            payload: event.payload.clone(),
        };
        let entries = batch.accepted.iter().map(entry).collect();
        let appended = writes.append(&GAME_SCORE, entries, room).await;
        let ends = match (appended, &claim) {
            (Ok(ends), _) => ends,
            (Err(problem), None) => return Err(problem),
            (Err(problem), Some(claim)) => {
                idempotency::release(&writes.store, claim).await;
                return Err(problem);
            }
        };
        counter!("controller_events_accepted_total").increment(batch.accepted.len() as u64);
        let results = if wait { Some(placed(&writes, &ends, &batch.accepted).await) } else { None };
        let status = if batch.rejected.is_empty() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
        let taken = Taken {
            accepted: batch.accepted.len(),
            rejected: batch.rejected,
            applied: results.as_ref().map(Option::is_some),
            results: results.flatten(),
        };
        let reply = Reply::new(status, &taken);
        if let Some(claim) = claim {
            idempotency::remember(&writes.store, &claim, &reply).await;
        }
        Ok(reply)
    }
}

/// Where the players of the events stand, once the board has them; `None` if that takes too long.
async fn placed(writes: &Shared, ends: &Ends, events: &[Accepted]) -> Option<Vec<Placed>> {
    let players: Vec<PlayerId> = events.iter().map(|event| event.player.clone()).collect();
    let usual = || writes.usual_view();
    let places =
        timeout(writes.limits.applied, writes.applied.places(ends, &players, usual)).await.ok()??;
    let placed = |(event, place): (&Accepted, Option<Place>)| Placed {
        index: event.index,
        user_id: event.player.as_str().to_owned(),
        score: place.map(|place| place.score),
        rank: place.map(|place| place.rank),
    };
    Some(events.iter().zip(places).map(placed).collect())
}
