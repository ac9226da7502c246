//! The boards as they may be shown.

use super::names::Names;
use crate::live::Newest;
use crate::problem::{Kind, Problem};
use board_store::{BoardStore, DENSE_RANK_LIMIT, Place, Reading, Rows, StoreError};
use boards::RankMode;
use contracts::{PlayerId, Version};
use metrics::counter;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, error};

/// How long one read may take. Longer than that, and the client is better told.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Before everything.
pub(super) const NEVER: Version = Version { epoch: 0, version: 0 };

/// The board that can be asked about.
pub(super) struct Boards {
    /// The board as it is.
    pub(super) store: BoardStore,
    /// What viewers were last shown of it.
    pub(super) newest: Newest,
    /// What players are called.
    pub(super) names: Names,
}

impl Boards {
    pub(super) fn new(store: BoardStore, newest: Newest) -> Self {
        Self { names: Names::of(store.clone()), store, newest }
    }

    pub(super) fn default_name(&self) -> &str {
        &self.store.board().name
    }

    pub(super) fn board(&self, name: &str) -> Result<&BoardStore, Problem> {
        if self.store.board().name != name {
            return Err(Problem::new(Kind::UnknownBoard, format!("there is no board `{name}`")));
        }
        Ok(&self.store)
    }

    /// Where the board stood when viewers were last shown it; before everything if they were not.
    pub(super) fn shown_version(&self) -> Version {
        self.newest.borrow().as_ref().map_or(NEVER, |frame| frame.version())
    }

    /// Reads a board, unless that would show what is older than what viewers were shown, or half
    /// of it. `nothing` is what is found on a board on which nothing has happened yet.
    pub(super) async fn look<T>(
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

    /// Where players stand on a board, in their order.
    pub(super) async fn places(
        &self,
        board: &str,
        players: &[&PlayerId],
        mode: RankMode,
    ) -> Result<Reading<Vec<Option<Place>>>, Problem> {
        let view = self.board(board)?.all_time();
        self.look(view.places(players.iter().copied(), mode), vec![None; players.len()]).await
    }
}

/// What a store's failure means to a client.
pub(super) async fn read<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
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
            Err(Problem::new(Kind::RankUnknown, detail).about("rank"))
        }
        Ok(Err(error)) => {
            error!(%error, "a read found what cannot be");
            Err(Problem::new(Kind::Internal, "the stored board cannot be understood"))
        }
        Err(_) => away(),
    }
}
