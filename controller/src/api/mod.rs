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

mod boards;
mod names;
mod prepared;
mod together;

use crate::access::{Gate, admit};
use crate::live::Newest;
use axum::middleware::from_fn_with_state;
use board_store::BoardStore;
use boards::Boards;
use prepared::PreparedAnswers;
use std::sync::Arc;
use together::Together;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What answers requests about the board.
pub struct Api {
    boards: Arc<Boards>,
    answers: PreparedAnswers,
    together: Together,
}

impl Api {
    /// An API that reads `store`, whose viewers are shown `newest`; and what must run for it to
    /// answer, which ends when the API is gone.
    pub fn new(store: BoardStore, newest: Newest) -> (Self, impl Future<Output = ()>) {
        let boards = Arc::new(Boards::new(store, newest));
        let (together, reading) = Together::new(Arc::clone(&boards));
        (Self { boards, answers: PreparedAnswers::none_yet(), together }, reading)
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
