//! Reading a board: one round trip, whatever the number of rows.
//!
//! Each read is one script, so its rows, ranks and counts belong to the one version of the board
//! that it says.

mod places;
mod rows;
mod totals;

pub use places::Place;
pub use rows::{Cursor, Page, Row};
pub use totals::{Bucket, RankOf};

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use boards::RankMode;
use contracts::{Score, Version};
use redis::aio::ConnectionManager;
use redis::{Script, ScriptInvocation};

/// The greatest dense rank that is looked for. Distinct totals are counted one by one, 4 to 6 µs
/// each at a million players; no other client may wait longer than about a millisecond for that.
pub const DENSE_RANK_LIMIT: u64 = 200;

/// One of the sorted sets of a board, to be read.
pub struct View<'a, C = ConnectionManager> {
    store: &'a BoardStore<C>,
    key: &'a str,
}

// By hand: the connection need not be `Copy` for that.
impl<C> Clone for View<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for View<'_, C> {}

/// What was read of a board, with where the board stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<T> {
    /// Where the board stood.
    pub version: Version,
    /// What the answer is worth.
    pub state: Rows,
    /// How many players are on the board.
    pub players: u64,
    /// What was asked for.
    pub found: T,
}

/// What rows are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// They are the board.
    Current,
    /// They are the last good ones, while the board is rebuilt beside them.
    LastGood,
    /// They are older than what was shown already, half written, or gone: the board is being mended.
    Unfit,
}

impl Rows {
    /// `rebuilding` is what the board's state says.
    fn of(rebuilding: Option<&str>, players: u64) -> Self {
        match rebuilding {
            None => Self::Current,
            Some("rewind" | "torn") => Self::Unfit,
            Some(_) if players == 0 => Self::Unfit,
            Some(_) => Self::LastGood,
        }
    }
}

impl<C: Connection> BoardStore<C> {
    /// The board for all time.
    #[must_use]
    pub fn all_time(&self) -> View<'_, C> {
        View { store: self, key: &self.board.name }
    }

    /// Where the board stands; `None` when Redis knows nothing of it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn version(&self) -> Result<Option<Version>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(keys::state(&self.board.name)).arg("epoch").arg("version");
        let found: (Option<u64>, Option<u64>) = command.query_async(&mut self.connection.clone()).await?;
        Ok(match found {
            (Some(epoch), Some(version)) => Some(Version { epoch, version }),
            _ => None,
        })
    }

    pub(crate) fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt { key: self.board.name.clone(), what: what.to_owned() }
    }
}

/// What a script answers: texts and numbers, some of them missing.
type Reply = [Option<String>];

impl<C: Connection> View<'_, C> {
    /// How many players there are, and where the board stands; `None` when Redis knows nothing of
    /// the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn stand(self) -> Result<Option<Reading<()>>, StoreError> {
        Ok(self.places([], RankMode::Ordinal).await?.map(|read| read.map(|_| ())))
    }

    fn script<'s>(&self, script: &'s Script) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        call.key(self.key).key(keys::state(&self.store.board.name));
        call
    }

    /// Asks Redis and reads where the board stands; what comes after that is for `rest`.
    async fn ask<T>(
        &self,
        call: &ScriptInvocation<'_>,
        rest: impl FnOnce(&Reply) -> Result<T, StoreError>,
    ) -> Result<Option<Reading<T>>, StoreError> {
        let reply: Vec<Option<String>> = call.invoke_async(&mut self.store.connection.clone()).await?;
        let [epoch, version, rebuilding, players, found @ ..] = reply.as_slice() else {
            return Err(self.store.corrupt("a script answered too little"));
        };
        if epoch.is_none() {
            return Ok(None);
        }
        let players = self.number(players)?;
        Ok(Some(Reading {
            version: Version { epoch: self.number(epoch)?, version: self.number(version)? },
            state: Rows::of(rebuilding.as_deref(), players),
            players,
            found: rest(found)?,
        }))
    }

    fn number<N: std::str::FromStr>(&self, text: &Option<String>) -> Result<N, StoreError> {
        text.as_ref()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.store.corrupt("what should be a number is none"))
    }

    /// The total within a double.
    fn total(&self, sorted_set_score: f64) -> Score {
        let board = &self.store.board;
        board.score(board.total_of(sorted_set_score))
    }

    /// The rank of whoever has so many before it, and so many `above` it as `mode` counts them.
    fn rank(&self, mode: RankMode, before: u64, above: &Option<String>) -> Result<u64, StoreError> {
        match mode {
            RankMode::Ordinal => Ok(before + 1),
            RankMode::Dense if above.is_none() => Err(StoreError::DenseRankUnknown),
            RankMode::Competition | RankMode::Dense => Ok(self.number::<u64>(above)? + 1),
        }
    }
}

impl<T> Reading<T> {
    /// The same reading with something else made of what was found.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        let Self { version, state, players, found } = self;
        Reading { version, state, players, found: change(found) }
    }
}
