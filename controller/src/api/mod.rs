//! The boards over REST. Every request costs one round trip to Redis for the ranks and at most
//! one more for names that are not known here, whatever the number of rows.
//!
//! A board that is being rebuilt, or that Redis has lost, is answered for by what viewers were
//! last shown, or not at all: never by half a board. No answer is older than what viewers had been
//! shown when it was asked for.

mod about;

mod rows;

mod players;

mod totals;

mod answers;
mod cursor;
pub(crate) mod parameters;

pub(crate) mod boards;
pub(crate) mod follows;
mod names;
mod past;
mod prepared;
mod together;
mod window;

use crate::access::{Gate, admit};
use crate::live::Newest;
use ::boards::BoardSet;
use axum::middleware::from_fn_with_state;
use board_store::BoardStore;
use boards::Boards;
pub use follows::Follows;
pub use past::Archive;
use past::PastWindows;
use prepared::PreparedAnswers;
use service::Clock;
use std::sync::Arc;
use together::Together;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What answers requests about the boards.
pub struct Api {
    boards: Arc<Boards>,
    answers: PreparedAnswers,
    together: Together,
    follows: Follows,
}

impl Api {
    /// An API that reads the boards of `set`, and what must run for it to answer, which ends when the
    /// API is gone. For each board, in their order, `stores` has its store, and `newest` what viewers
    /// are shown of it, if there are any; `archive` has the windows that have left Redis.
    pub fn new(
        set: BoardSet,
        stores: Vec<BoardStore>,
        newest: Vec<Option<Newest>>,
        archive: Option<Box<dyn Archive>>,
        clock: Clock,
    ) -> (Self, impl Future<Output = ()>) {
        let boards = Arc::new(Boards::new(set, stores, newest, PastWindows::new(archive), clock));
        let (together, reading) = Together::new(Arc::clone(&boards));
        let follows = Follows::new(Arc::clone(&boards));
        (Self { boards, answers: PreparedAnswers::none_yet(), together, follows }, reading)
    }

    /// What viewers follow; to be told to [`Follows::look`].
    #[must_use]
    pub fn follows(&self) -> Follows {
        self.follows.clone()
    }

    /// The paths behind their gate, with their documentation.
    pub(crate) fn routes(self, gate: Gate) -> OpenApiRouter {
        OpenApiRouter::new()
            .routes(routes!(about::boards))
            .routes(routes!(about::board))
            .routes(routes!(rows::top))
            .routes(routes!(rows::around))
            .routes(routes!(players::player))
            .routes(routes!(players::players))
            .routes(routes!(players::player_boards))
            .routes(routes!(totals::distribution))
            .routes(routes!(totals::rank_of))
            .layer(from_fn_with_state(gate, admit))
            .with_state(Arc::new(self))
    }
}
