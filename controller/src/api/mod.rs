//! The boards over REST. Every request costs one round trip to Redis for the ranks and at most
//! one more, whatever the number of rows.
//!
//! A board that is being rebuilt, or that Redis has lost, is answered for by what viewers were
//! last shown, or not at all: never by half a board.

mod answers;
mod cursor;
pub(crate) mod parameters;

use crate::access::{Gate, admit};
use crate::live::Newest;
use crate::problem::{Kind, Problem, ReadProblems};
use answers::{PageAnswer, PlayerAnswer};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use board_store::{BoardStore, Rows, StoreError};
use contracts::{SnapshotEntry, Version};
use metrics::counter;
use parameters::{Query, TopQuery, bad_path, known};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, error};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long one read may take. Longer than that, and the client is better told.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// The board that can be asked about.
pub struct Api {
    /// The board as it is.
    pub store: BoardStore,
    /// What viewers were last shown of it.
    pub newest: Newest,
}

impl Api {
    pub(crate) fn routes(self, gate: Gate) -> OpenApiRouter {
        OpenApiRouter::new()
            .routes(routes!(top))
            .routes(routes!(player))
            .layer(from_fn_with_state(gate, admit))
            .with_state(Arc::new(self))
    }

    fn board(&self, name: &str) -> Result<&BoardStore, Problem> {
        if self.store.board().name != name {
            return Err(Problem::new(Kind::UnknownBoard, format!("there is no board `{name}`")));
        }
        Ok(&self.store)
    }

    /// Where the board stood when viewers were last shown it; before everything if they were not.
    fn shown_version(&self) -> Version {
        self.newest.borrow().as_ref().map_or(Version { epoch: 0, version: 0 }, |frame| frame.version())
    }
}

/// A page from the top.
#[utoipa::path(get, path = "/v1/boards/{board}/top", tag = "boards", security((), ("key" = [])),
    params(
        ("board" = String, Path, example = "game-score", description = "The board's name"),
        ("limit" = Option<u8>, Query, nullable = false, minimum = 1, maximum = 100, description = "How many rows; 10 unless said"),
        ("cursor" = Option<String>, Query, nullable = false, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = PageAnswer), ReadProblems))]
async fn top(
    State(api): State<Arc<Api>>,
    path: Result<Path<String>, PathRejection>,
    query: Query,
) -> Result<Json<PageAnswer>, Problem> {
    let Path(name) = path.map_err(|rejection| bad_path(&rejection))?;
    let store = api.board(&name)?;
    let TopQuery { limit, after } = TopQuery::read(&query)?;
    // Taken before the read: what is shown while it runs may well be newer than what it finds.
    let shown = api.shown_version();
    let page = read(store.page(limit, after.as_ref())).await?;
    let answer = match page {
        Some(page) if page.state != Rows::Unfit && page.version >= shown => {
            let names = read(store.names(page.rows.iter().map(|row| &row.player))).await?;
            PageAnswer::of_page(&name, &page, names)
        }
        _ => match (&*api.newest.borrow(), page) {
            (Some(frame), _) if after.is_none() => PageAnswer::of_last_good(&name, &frame.snapshot, limit),
            (None, None) => PageAnswer::of_nothing(&name),
            _ => return Err(rebuilding(&name)),
        },
    };
    Ok(Json(answer))
}

/// Where a player stands.
#[utoipa::path(get, path = "/v1/boards/{board}/players/{id}", tag = "boards", security((), ("key" = [])),
    params(
        ("board" = String, Path, example = "game-score", description = "The board's name"),
        ("id" = String, Path, example = "42", description = "The player's id, percent-encoded"),
    ),
    responses((status = 200, body = PlayerAnswer), ReadProblems))]
async fn player(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Query,
) -> Result<Json<PlayerAnswer>, Problem> {
    let Path((name, id)) = path.map_err(|rejection| bad_path(&rejection))?;
    let store = api.board(&name)?;
    known(&query, [])?;
    let player = parameters::player(&id)?;
    let shown = api.shown_version();
    let standing = read(store.standing(&player)).await?;
    let nobody = || Problem::new(Kind::UnknownPlayer, format!("player `{player}` is not on board `{name}`"));
    match standing {
        // Nobody can be found on a board that is not there.
        None if shown == (Version { epoch: 0, version: 0 }) => Err(nobody()),
        Some(standing) if standing.state != Rows::Unfit && standing.version >= shown => {
            let (rank, score) = standing.place.ok_or_else(nobody)?;
            let nickname = read(store.names([&player])).await?.pop().flatten();
            let entry = SnapshotEntry::new(rank, &player, score, nickname);
            Ok(Json(PlayerAnswer::new(&name, entry, &standing)))
        }
        _ => Err(rebuilding(&name)),
    }
}

fn rebuilding(board: &str) -> Problem {
    Problem::new(Kind::BoardRebuilding, format!("board `{board}` is being rebuilt and soon back"))
}

/// What a store's failure means to a client.
async fn read<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    let away = || {
        counter!("controller_read_failures_total").increment(1);
        Err(Problem::new(Kind::BoardUnavailable, "the store of the boards does not answer"))
    };
    match timeout(READ_LIMIT, reading).await {
        Ok(Ok(found)) => Ok(found),
        // The check `redis` says so once; here it would be said for every request.
        Ok(Err(StoreError::Redis(error))) => {
            debug!(%error, "a read failed");
            away()
        }
        Ok(Err(error)) => {
            error!(%error, "a read found what cannot be");
            Err(Problem::new(Kind::Internal, "the stored board cannot be understood"))
        }
        Err(_) => away(),
    }
}
