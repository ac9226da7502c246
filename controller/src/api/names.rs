//! What players are called, remembered for a moment.

use super::read;
use crate::problem::Problem;
use board_store::BoardStore;
use contracts::PlayerId;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// How long a name is believed. Nobody tells a controller of a new one, so this is how late it
/// may show here; on the live board it shows with the next snapshot.
const KEPT: Duration = Duration::from_secs(2);
/// How much is kept, counted in bytes: some 150,000 players.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What an entry costs beside its texts, roughly.
const ENTRY_BYTES: usize = 200;

/// A nickname, if the player has one.
pub(super) type Name = Option<Arc<str>>;

/// Nicknames out of Redis, the recent ones out of memory.
pub(super) struct Names {
    store: BoardStore,
    cache: Cache<PlayerId, Name>,
}

impl Names {
    pub(super) fn of(store: BoardStore) -> Self {
        let bytes = |player: &PlayerId, name: &Name| {
            let bytes = player.as_str().len() + name.as_ref().map_or(0, |name| name.len()) + ENTRY_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().weigher(bytes).max_capacity(MAX_BYTES).time_to_live(KEPT).build();
        Self { store, cache }
    }

    /// The nicknames of `players`, in their order: one round trip for all that are not known.
    pub(super) async fn get(&self, players: &[&PlayerId]) -> Result<Vec<Name>, Problem> {
        let known: Vec<Option<Name>> = players.iter().map(|player| self.cache.get(*player)).collect();
        let missing = players.iter().zip(&known).filter(|(_, name)| name.is_none());
        let missing: Vec<&PlayerId> = missing.map(|(player, _)| *player).collect();
        let mut found = read(self.store.names(missing.iter().copied())).await?.into_iter().zip(missing);
        let mut learn = || {
            let (name, player) = found.next()?;
            let name: Name = name.map(Into::into);
            self.cache.insert(player.clone(), name.clone());
            name
        };
        Ok(known.into_iter().map(|name| name.unwrap_or_else(&mut learn)).collect())
    }
}
