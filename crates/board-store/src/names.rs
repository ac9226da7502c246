//! What players are called.

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use contracts::PlayerId;
use redis::Pipeline;

/// A nickname to be given, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// Who.
    pub player: PlayerId,
    /// The nickname; `None` takes it away.
    pub nickname: Option<Box<str>>,
    /// When it was given, in milliseconds since the Unix epoch: the newest stands.
    pub given_ms: i64,
}

impl<C: Connection> BoardStore<C> {
    /// Gives the nicknames, in one round trip. Giving one again changes nothing.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn give_names(&self, changes: &[NameChange]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(changes.len());
        for (at, change) in changes.iter().enumerate() {
            // As in a chain of writes: the first call teaches the script.
            let command = if at == 0 { "EVAL" } else { "EVALSHA" };
            let script =
                if at == 0 { include_str!("scripts/name.lua") } else { self.scripts.name.get_hash() };
            pipeline.cmd(command).arg(script).arg(1).arg(keys::player(change.player.as_str()));
            pipeline.arg(change.nickname.as_deref().unwrap_or_default()).arg(change.given_ms).ignore();
        }
        Ok(pipeline.query_async(&mut self.connection.clone()).await?)
    }

    /// The nicknames of `players`, in their order, in one round trip.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn names<'a>(
        &self,
        players: impl IntoIterator<Item = &'a PlayerId>,
    ) -> Result<Vec<Option<String>>, StoreError> {
        let mut pipeline = Pipeline::new();
        ask_for(&mut pipeline, players);
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        Ok(pipeline.query_async(&mut self.connection.clone()).await?)
    }
}

/// Adds a command for the nickname of each of `players`.
pub(crate) fn ask_for<'a>(pipeline: &mut Pipeline, players: impl IntoIterator<Item = &'a PlayerId>) {
    for player in players {
        pipeline.hget(keys::player(player.as_str()), "nickname");
    }
}
