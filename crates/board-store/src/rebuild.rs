//! Rebuilding a board beside what readers see.

use crate::apply::text_of;
use crate::keys;
use crate::open::{Begin, Seen};
use crate::store::{BoardStore, Connection, StoreError};
use boards::rules::Aggregate;
use boards::{Change, View};
use contracts::PlayerId;
use redis::ScriptInvocation;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long whoever fills a board may go without pouring before another may take over.
const LEASE: Duration = Duration::from_secs(15);
/// How long event ids are kept, as in the script that applies batches.
const ID_LIFE: Duration = Duration::from_secs(3 * 86_400);

/// What a board is rebuilt from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The log, by those who rank, from its beginning on.
    Log,
    /// The archive, by whoever has the token.
    Archive {
        /// Tells fillers apart.
        token: String,
    },
}

/// Event ids that arrived on one UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSet {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// (player, event id)
    pub ids: Vec<(PlayerId, Box<str>)>,
}

/// A board that is being filled from the archive by us.
#[derive(Debug)]
pub struct Filling {
    token: String,
    begun: u64,
    portions: u64,
}

impl<C: Connection> BoardStore<C> {
    /// Begins to rebuild the board under a new epoch, whatever there is; readers go on seeing the
    /// old rows. `wanting` is the epoch at which it was found wanting, for those who only want to
    /// rebuild it once; `None` for those who want it in any case. `None` is the answer when it
    /// stands elsewhere by now, or someone else fills it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn rebuild(
        &self,
        source: &Source,
        wanting: Option<u64>,
        seen: &Seen,
        partitions: &[Begin],
    ) -> Result<Option<Filling>, StoreError> {
        let (mode, token) = match source {
            Source::Log => ("log", ""),
            Source::Archive { token } => ("archive", token.as_str()),
        };
        let mut call = self.scripts.rebuild.prepare_invoke();
        call.key(&self.board.name).arg(mode).arg(token).arg(LEASE.as_millis().to_string());
        call.arg(wanting.map(|epoch| epoch.to_string()).unwrap_or_default());
        call.arg(seen.version.map_or(0, |version| version.epoch)).arg(self.board.fingerprint());
        call.arg(&*self.meaning);
        for Begin { field, low, high } in partitions {
            call.arg(field).arg(*low).arg(*high);
        }
        let reply: Vec<String> = call.invoke_async(&mut self.connection.clone()).await?;
        match reply.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["ok", epoch] => {
                let begun = epoch.parse().map_err(|_| self.corrupt("epoch is not a number"))?;
                Ok(Some(Filling { token: token.to_owned(), begun, portions: 0 }))
            }
            ["filling" | "moved"] => Ok(None),
            other => Err(self.corrupt(&format!("rebuild answered {other:?}"))),
        }
    }

    /// Pours nothing: a sign of life, for whoever has more to read before there is something to pour.
    ///
    /// # Errors
    /// As [`fill_rows`](Self::fill_rows).
    pub async fn still_filling(&self, filling: &mut Filling) -> Result<(), StoreError> {
        let call = self.fill(filling, "nothing");
        self.poured(filling, call.invoke_async(&mut self.connection.clone()).await?)
    }

    /// Pours what has come to players in a view.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when someone else fills the board by now, or Redis lost what was
    /// poured before: begin anew, as after any other error.
    pub async fn fill_rows(
        &self,
        filling: &mut Filling,
        view: &View,
        rows: &[(PlayerId, Change)],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let keeps_newest = self.board.aggregate == Aggregate::Last;
        let mut call = self.fill(filling, "rows");
        call.arg(keys::view(view.value.as_deref(), &view.window.id));
        call.arg(view.value.as_deref().unwrap_or_default()).arg(if keeps_newest { "newest" } else { "" });
        call.arg(self.dense());
        for (player, change) in rows {
            // Rust's shortest text of a double reads back as the same double.
            call.arg(self.board.settled_score(*change).to_string()).arg(player.as_str());
            if let Change::Last { recency, .. } = change {
                call.arg(text_of(*recency));
            }
        }
        self.poured(filling, call.invoke_async(&mut self.connection.clone()).await?)
    }

    /// Pours event ids that have counted.
    ///
    /// # Errors
    /// As [`fill_rows`](Self::fill_rows).
    pub async fn fill_ids(&self, filling: &mut Filling, set: &IdSet) -> Result<(), StoreError> {
        if set.ids.is_empty() {
            return Ok(());
        }
        let mut call = self.fill(filling, "ids");
        call.arg(filling.begun).arg(set.day).arg(ID_LIFE.as_secs());
        for (player, event_id) in &set.ids {
            call.arg(keys::id(player, event_id));
        }
        self.poured(filling, call.invoke_async(&mut self.connection.clone()).await?)
    }

    /// Ends the filling: the log goes on at `offsets`, and the board takes its place when it has
    /// caught up with what the log was at the beginning.
    ///
    /// # Errors
    /// As [`fill_rows`](Self::fill_rows).
    pub async fn filled(&self, filling: Filling, offsets: &BTreeMap<String, i64>) -> Result<(), StoreError> {
        let mut filling = filling;
        let mut call = self.scripts.filled.prepare_invoke();
        call.key(&self.board.name).arg(&filling.token).arg(filling.portions);
        for (field, offset) in offsets {
            call.arg(field).arg(*offset);
        }
        self.poured(&mut filling, call.invoke_async(&mut self.connection.clone()).await?)
    }

    fn fill(&self, filling: &Filling, kind: &str) -> ScriptInvocation<'_> {
        let mut call = self.scripts.fill.key(&self.board.name);
        call.arg(&filling.token).arg(LEASE.as_millis().to_string()).arg(filling.portions).arg(kind);
        call
    }

    fn poured(&self, filling: &mut Filling, reply: u8) -> Result<(), StoreError> {
        if reply == 1 {
            filling.portions += 1;
            return Ok(());
        }
        let name = &self.board.name;
        Err(StoreError::Fenced(format!("board {name}: someone else fills it, or what was filled is lost")))
    }
}
