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
mod parameters;

mod boards;
mod names;
mod prepared;
mod together;

use crate::live::Newest;
use crate::problem::ProblemBody;
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

    /// The paths, with their documentation.
    pub(crate) fn routes(self) -> OpenApiRouter {
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
            .with_state(Arc::new(self))
    }
}

/// What reads may answer instead, for the documentation.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "only described")]
enum ReadProblems {
    /// A parameter is not valid; `field` names it
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(ProblemBody),
    /// There is no such board, or the player is not on it
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
    /// The dense rank is beyond those that are known
    #[response(status = 422, content_type = "application/problem+json")]
    RankUnknown(ProblemBody),
    /// The board is being rebuilt, its store does not answer, or too much is in work; see `Retry-After`
    #[response(status = 503, content_type = "application/problem+json")]
    Passing(ProblemBody),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Feed;
    use ::boards::BoardSet;
    use board_store::RedisSettings;

    #[tokio::test]
    async fn every_path_is_described_to_machines_and_to_people() {
        // Nobody is asked.
        let redis = RedisSettings { redis_url: "redis://127.0.0.1:1".parse().unwrap() };
        let store = BoardStore::new(&redis, BoardSet::default().default_board().clone()).unwrap();
        let (api, _) = Api::new(store, Feed::new("game-score").subscribe());
        let document = api.routes().into_openapi();
        let for_people = include_str!("../../../docs/api.md");
        assert_eq!(document.paths.paths.len(), 9);
        for (path, item) in &document.paths.paths {
            let get = item.get.as_ref().unwrap();
            assert!(get.summary.is_some(), "{path}");
            for status in ["200", "304", "400", "503"] {
                assert!(get.responses.responses.contains_key(status), "{path} {status}");
            }
            assert!(for_people.contains(&format!("### `GET {path}`\n")), "{path} is not in docs/api.md");
        }
        let schemas = document.components.unwrap().schemas;
        assert!(
            schemas.contains_key("PageAnswer") && schemas.contains_key("ProblemBody"),
            "{:?}",
            schemas.keys()
        );
    }
}
