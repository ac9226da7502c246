//! What players are called, remembered for a moment.

use super::boards::within_limits;
use crate::problem::Problem;
use board_store::BoardStore;
use contracts::PlayerId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a name is believed. Nobody tells a controller of a new one, so this is how late it
/// may show here; on the live board it shows with the next snapshot.
const KEPT: Duration = Duration::from_secs(2);
/// How much is kept, counted in bytes, and how many players that is, roughly.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
const USUAL_NAMES: usize = 150_000;
/// What an entry costs beside its texts, roughly.
const ENTRY_BYTES: usize = 200;

/// A nickname, if the player has one.
pub(super) type Name = Option<Arc<str>>;

/// A name, and when Redis said it.
#[derive(Clone)]
struct Learned {
    name: Name,
    at: Instant,
}

/// Counts bytes.
#[derive(Clone)]
struct Size;

impl Weighter<PlayerId, Learned> for Size {
    fn weight(&self, player: &PlayerId, learned: &Learned) -> u64 {
        let bytes = player.as_str().len() + learned.name.as_ref().map_or(0, |name| name.len()) + ENTRY_BYTES;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Nicknames out of Redis, the recent ones out of memory.
pub(super) struct Names {
    store: BoardStore,
    cache: Cache<PlayerId, Learned, Size>,
}

impl Names {
    pub(super) fn of(store: BoardStore) -> Self {
        let cache = Cache::with_weighter(USUAL_NAMES, MAX_BYTES, Size);
        Self { store, cache }
    }

    /// The nicknames of `players`, in their order: one round trip for all that are not known.
    pub(super) async fn get(&self, players: &[&PlayerId]) -> Result<Vec<Name>, Problem> {
        let now = Instant::now();
        let recent = |learned: Learned| (now.duration_since(learned.at) < KEPT).then_some(learned.name);
        let known: Vec<Option<Name>> =
            players.iter().map(|player| self.cache.get(*player).and_then(recent)).collect();
        let missing = players.iter().zip(&known).filter(|(_, name)| name.is_none());
        let missing: Vec<&PlayerId> = missing.map(|(player, _)| *player).collect();
        let mut found =
            within_limits(self.store.names(missing.iter().copied())).await?.into_iter().zip(missing);
        let mut learn = || {
            let (name, player) = found.next()?;
            let name: Name = name.map(Into::into);
            self.cache.insert(player.clone(), Learned { name: name.clone(), at: now });
            name
        };
        Ok(known.into_iter().map(|name| name.unwrap_or_else(&mut learn)).collect())
    }
}
