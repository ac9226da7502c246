//! Reading a board: one round trip, whatever the number of rows.
//!
//! Each read is one script, so its rows, ranks and counts belong to the one version of the board
//! that it says. Only where a view without players is found while the board is rebuilt beside, it is
//! asked once more whether that is all that is left.

mod places;
mod rows;
mod totals;

pub use places::{NamedPlace, Place};
pub use rows::{Cursor, Page, Row};
pub use totals::{Bucket, RankOf};

use crate::store::{BoardStore, Connection, StoreError};
use crate::{keys, names};
use boards::{RankMode, View};
use contracts::{PlayerId, Score, Version};
use redis::aio::ConnectionManager;
use redis::{
    ErrorKind, Pipeline, RedisError, RedisResult, Script, ScriptInvocation, ServerErrorKind, Value,
    from_redis_value,
};
use std::borrow::Cow;

/// The greatest dense rank that is looked for. Distinct totals are counted one by one, 4 to 6 µs
/// each at a million players; no other client may wait longer than about a millisecond for that.
pub const DENSE_RANK_LIMIT: u64 = 200;

/// One of a board's views, to be read.
pub struct Reader<'a, C = ConnectionManager> {
    store: &'a BoardStore<C>,
    /// Its name in keys.
    name: Cow<'static, str>,
}

// By hand: the connection need not be `Clone` for that.
impl<C> Clone for Reader<'_, C> {
    fn clone(&self) -> Self {
        Self { store: self.store, name: self.name.clone() }
    }
}

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
    /// They were made by rules by which they mean something else: the board has to be rebuilt.
    Foreign,
}

impl Rows {
    /// Whether they may be shown.
    #[must_use]
    pub fn are_fit(self) -> bool {
        matches!(self, Self::Current | Self::LastGood)
    }
}

impl<C: Connection> BoardStore<C> {
    /// The board for all time, where it is not per value.
    #[must_use]
    pub fn all_time(&self) -> Reader<'_, C> {
        Reader { store: self, name: Cow::Borrowed("") }
    }

    /// A view of the board; it need not be there.
    #[must_use]
    pub fn view(&self, view: &View) -> Reader<'_, C> {
        Reader { store: self, name: keys::view(view.value.as_deref(), &view.window.id).into() }
    }

    /// How many players each of `views` has, in their order; `None` when Redis knows nothing of the
    /// board. [`Reading::players`] is the number for all time, where the board is not per value.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn sizes(&self, views: &[View]) -> Result<Option<Reading<Vec<u64>>>, StoreError> {
        let (board, name) = (self.all_time(), &self.board.name);
        let mut call = self.scripts.sizes.key(name);
        call.key(keys::state(name));
        for view in views {
            call.key(&*keys::set(name, &self.view(view).name));
        }
        board.ask(&call, |reply| reply.iter().map(|size| board.number(size)).collect()).await
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

    /// Whether readers still see any view of the board while it is rebuilt beside, at that epoch: then
    /// one without players is rightly empty. Costs a round trip. What is gone does not come back
    /// before that is done, so it was there before, too.
    async fn still_shows_views(&self, epoch: u64) -> Result<bool, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline
            .atomic()
            .exists(&[name.as_str(), &keys::views(name)])
            .hmget(keys::state(name), &["epoch", "rebuilding"]);
        type Reply = (u64, (Option<u64>, Option<String>));
        let (views, (now, rebuilding)): Reply = pipeline.query_async(&mut self.connection.clone()).await?;
        Ok(views > 0 && now == Some(epoch) && rebuilding.is_some())
    }

    pub(crate) fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt { key: self.board.name.clone(), what: what.to_owned() }
    }
}

/// What a script answers: texts and numbers, some of them missing.
type Reply = [Option<String>];

impl<C: Connection> Reader<'_, C> {
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
        let board = &self.store.board;
        call.key(&*keys::set(&board.name, &self.name)).key(keys::state(&board.name));
        if board.dense_ranks {
            call.key(keys::totals(&board.name, &self.name));
        }
        call
    }

    /// Asks Redis and reads where the board stands; what comes after that is for `rest`.
    async fn ask<T>(
        &self,
        call: &ScriptInvocation<'_>,
        rest: impl FnOnce(&Reply) -> Result<T, StoreError>,
    ) -> Result<Option<Reading<T>>, StoreError> {
        let reply: Vec<Option<String>> = call.invoke_async(&mut self.store.connection.clone()).await?;
        self.reading(&reply, rest).await
    }

    /// As [`ask`](Self::ask), with the nicknames of `players` in the same round trip.
    async fn ask_with_names<T>(
        &self,
        call: &ScriptInvocation<'_>,
        players: &[&PlayerId],
        rest: impl FnOnce(&Reply) -> Result<T, StoreError>,
    ) -> Result<Option<Reading<(T, Vec<Option<String>>)>>, StoreError> {
        let mut connection = self.store.connection.clone();
        let mut pipeline = Pipeline::with_capacity(1 + players.len());
        pipeline.invoke_script(call);
        names::ask_for(&mut pipeline, players.iter().copied());
        let mut replies: RedisResult<Vec<Value>> = pipeline.query_async(&mut connection).await;
        if let Err(error) = &replies
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            call.load_async(&mut connection).await?;
            replies = pipeline.query_async(&mut connection).await;
        }
        let mut replies = replies?.into_iter();
        let reply: Vec<Option<String>> =
            from_redis_value(replies.next().unwrap_or(Value::Nil)).map_err(RedisError::from)?;
        let names = replies.map(from_redis_value).collect::<Result<_, _>>().map_err(RedisError::from)?;
        Ok(self.reading(&reply, rest).await?.map(|reading| reading.map(|found| (found, names))))
    }

    async fn reading<T>(
        &self,
        reply: &Reply,
        rest: impl FnOnce(&Reply) -> Result<T, StoreError>,
    ) -> Result<Option<Reading<T>>, StoreError> {
        let [epoch, version, rebuilding, players, meaning, found @ ..] = reply else {
            return Err(self.store.corrupt("a script answered too little"));
        };
        if epoch.is_none() {
            return Ok(None);
        }
        let players = self.number(players)?;
        let version = Version { epoch: self.number(epoch)?, version: self.number(version)? };
        let state = match meaning {
            Some(meaning) if **meaning != *self.store.meaning => Rows::Foreign,
            _ => self.worth(rebuilding.as_deref(), version.epoch, players).await?,
        };
        Ok(Some(Reading { version, state, players, found: rest(found)? }))
    }

    /// What a view with so many `players` is worth; `rebuilding` is what the board's state says.
    async fn worth(&self, rebuilding: Option<&str>, epoch: u64, players: u64) -> Result<Rows, StoreError> {
        Ok(match rebuilding {
            None => Rows::Current,
            Some("rewind" | "torn") => Rows::Unfit,
            Some(_) if players > 0 || self.store.still_shows_views(epoch).await? => Rows::LastGood,
            Some(_) => Rows::Unfit,
        })
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
