//! The boards over REST. Every request costs one round trip to Redis for the ranks and at most
//! one more for names that are not known here, whatever the number of rows.
//!
//! A board that is being rebuilt, or that Redis has lost, is answered for by what viewers were
//! last shown, or not at all: never by half a board. No answer is older than what viewers had been
//! shown when it was asked for.

mod boards;

mod rows;

mod players;

mod totals;

mod answers;
mod cursor;
mod parameters;

mod names;
mod prepared;

use crate::live::Newest;
use crate::problem::{Kind, Problem, ProblemBody};
use board_store::{BoardStore, DENSE_RANK_LIMIT, Reading, Rows, StoreError};
use contracts::Version;
use metrics::counter;
use names::Names;
use prepared::PreparedAnswers;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, error};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long one read may take. Longer than that, and the client is better told.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Before everything.
const NEVER: Version = Version { epoch: 0, version: 0 };

/// The board that can be asked about.
pub struct Api {
    /// The board as it is.
    store: BoardStore,
    /// What viewers were last shown of it.
    newest: Newest,
    names: Names,
    answers: PreparedAnswers,
}

impl Api {
    /// An API that reads `store`, whose viewers are shown `newest`.
    #[must_use]
    pub fn new(store: BoardStore, newest: Newest) -> Self {
        Self { names: Names::of(store.clone()), answers: PreparedAnswers::none_yet(), store, newest }
    }

    /// The paths, with their documentation.
    pub(crate) fn routes(self) -> OpenApiRouter {
        OpenApiRouter::new()
            .routes(routes!(boards::boards))
            .routes(routes!(boards::board))
            .routes(routes!(rows::top))
            .routes(routes!(rows::around))
            .routes(routes!(players::player))
            .routes(routes!(players::players))
            .routes(routes!(players::player_boards))
            .routes(routes!(totals::distribution))
            .routes(routes!(totals::rank_of))
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
        self.newest.borrow().as_ref().map_or(NEVER, |frame| frame.version())
    }

    /// Reads a board, unless that would show what is older than what viewers were shown, or half
    /// of it. `nothing` is what is found on a board on which nothing has happened yet.
    async fn look<T>(
        &self,
        reading: impl Future<Output = Result<Option<Reading<T>>, StoreError>>,
        nothing: T,
    ) -> Result<Reading<T>, Problem> {
        // Taken before the read: what is shown while it runs may well be newer than what it finds.
        let shown = self.shown_version();
        match read(reading).await? {
            Some(reading) if reading.state != Rows::Unfit && reading.version >= shown => Ok(reading),
            None if shown == NEVER => {
                Ok(Reading { version: NEVER, state: Rows::Current, players: 0, found: nothing })
            }
            _ => {
                let name = &self.store.board().name;
                let detail = format!("board `{name}` is being rebuilt and soon back");
                Err(Problem::new(Kind::BoardRebuilding, detail))
            }
        }
    }
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
        Ok(Err(StoreError::DenseRankUnknown)) => {
            let detail = format!("dense ranks are known up to {DENSE_RANK_LIMIT}; ask for another `rank`");
            Err(Problem { kind: Kind::RankUnknown, detail, field: Some("rank".to_owned()) })
        }
        Ok(Err(error)) => {
            error!(%error, "a read found what cannot be");
            Err(Problem::new(Kind::Internal, "the stored board cannot be understood"))
        }
        Err(_) => away(),
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
        let document = Api::new(store, Feed::new("game-score").subscribe()).routes().into_openapi();
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
