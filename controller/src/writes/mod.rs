//! Writing over HTTP: scores and nicknames, into Kafka.
//!
//! What it promises: nothing is acknowledged before Kafka has; nothing is accepted that a sink
//! would refuse; a write with an `Idempotency-Key` counts once, however often it is sent and
//! whatever dies in between (`idempotency`). It decides nothing else: a score that is accepted
//! goes the way of every other.
//!
//! A write that was begun is carried out to its end, also when its client has gone.

mod applied;
mod batch;
mod body;
mod idempotency;
mod log;
mod profile;
mod scores;

pub use log::{Entry, KafkaLog, Log};

pub(crate) use batch::Rejected;

use crate::access::Gate;
use crate::problem::{Kind, Problem};
use applied::Applied;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use board_store::BoardStore;
use boards::{BoardSet, View};
use contracts::EventTime;
use contracts::topics::Topic;
use log::Room;
use pipeline::producer::Ends;
use service::{Clock, Stop};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Says that an answer was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// How long writes that are in work may go on when we are stopping, after connections had their time:
/// less than the process has in all.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// What writes are held to.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    /// How many events may wait for Kafka's acknowledgement; those over a KiB count once more for
    /// each further KiB.
    pub events_in_flight: u32,
    /// How many bytes a request may bring.
    pub body_bytes: usize,
    /// How long a client waits for Kafka's acknowledgement before it is told that there is none.
    pub acknowledged: Duration,
    /// How long a client waits for its write to be on the board.
    pub applied: Duration,
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self {
            events_in_flight: 20_000,
            body_bytes: 1024 * 1024,
            acknowledged: Duration::from_secs(5),
            applied: Duration::from_secs(2),
        }
    }
}

/// The writing side of the API. Clones share it.
#[derive(Clone)]
pub struct Writes(Arc<Shared>);

struct Shared {
    log: Box<dyn Log>,
    boards: BoardSet,
    store: BoardStore,
    applied: Applied,
    room: Room,
    in_work: TaskTracker,
    limits: WriteLimits,
    clock: Clock,
}

impl Writes {
    /// Writes into `log` what `boards` take. `store` is that of the default board.
    #[must_use]
    pub fn new(
        log: impl Log,
        boards: BoardSet,
        store: BoardStore,
        limits: WriteLimits,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Shared {
            log: Box::new(log),
            boards,
            applied: Applied::new(store.clone()),
            store,
            room: Room::new(limits.events_in_flight),
            in_work: TaskTracker::new(),
            limits,
            clock,
        }))
    }

    /// Sees to those who wait for their writes to be on the board, until `stop`.
    pub async fn look(&self, stop: &Stop) {
        self.0.applied.look(stop).await;
    }

    /// Waits for the writes that are in work, for a while. Called when no more come.
    pub async fn drain(&self) {
        self.0.in_work.close();
        if timeout(DRAIN_LIMIT, self.0.in_work.wait()).await.is_err() {
            debug!(writes = self.0.in_work.len(), "writes were left without Kafka's acknowledgement");
        }
    }

    /// How many bytes a request may bring.
    pub(crate) fn body_bytes(&self) -> usize {
        self.0.limits.body_bytes
    }

    pub(crate) fn routes(self, gate: Gate) -> OpenApiRouter {
        let body_bytes = self.body_bytes();
        OpenApiRouter::new()
            .routes(routes!(scores::send))
            .routes(routes!(profile::name))
            .layer(DefaultBodyLimit::max(body_bytes))
            .layer(middleware::from_fn_with_state(gate, crate::access::admit))
            .with_state(self)
    }
}

impl Shared {
    fn now(&self) -> EventTime {
        EventTime::from_micros(self.clock.now_micros()).unwrap_or(EventTime::UNIX_EPOCH)
    }

    /// What is shown of the default board at present.
    fn usual_view(&self) -> View {
        View { value: None, window: self.boards.default_board().usual_window(self.now()).0 }
    }

    /// Appends to the log; its room is free again when the log is done with it.
    async fn append(
        &self,
        topic: &Topic,
        entries: Vec<Entry>,
        room: OwnedSemaphorePermit,
    ) -> Result<Ends, Problem> {
        let ends = self.log.append(topic, &entries).await;
        drop(room);
        ends.map_err(|error| {
            metrics::counter!("controller_writes_unacknowledged_total").increment(1);
            debug!(%error, topic = topic.name, "a write was not acknowledged");
            not_acknowledged()
        })
    }

    /// Carries the work out to its end, and waits for that, but not longer than clients do.
    async fn answer<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
        limit: Duration,
    ) -> Result<T, Problem> {
        match timeout(limit, self.in_work.spawn(work)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                error!(%error, "a write was broken off");
                Err(not_acknowledged())
            }
            Err(_) => Err(not_acknowledged()),
        }
    }
}

/// What is said when nobody knows whether Kafka has it.
fn not_acknowledged() -> Problem {
    let detail = "Kafka has not acknowledged it in time: it may have been taken, or may be yet. \
                  A retry with the same `Idempotency-Key` counts once";
    Problem::new(Kind::NotAcknowledged, detail).may_have_been_taken(true)
}

/// An answer to a write, as it can be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reply {
    status: StatusCode,
    /// JSON.
    body: String,
    replayed: bool,
}

impl Reply {
    fn new(status: StatusCode, body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_string(body).expect("answers have text as keys and no NaN");
        Self { status, body, replayed: false }
    }

    /// The form in which Redis keeps it.
    fn to_remember(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.body)
    }

    fn remembered(text: &str) -> Option<Self> {
        let (status, body) = text.split_once(' ')?;
        let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
        Some(Self { status, body: body.to_owned(), replayed: true })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, kind, self.body).into_response();
        if self.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
