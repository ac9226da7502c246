//! Which nicknames Redis has already, so that a name that comes with every event is written once.

use board_store::NameChange;
use contracts::PlayerId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How many players are remembered; over that, all are forgotten and learned anew.
const MAX_REMEMBERED: usize = 200_000;

/// The nicknames that were written last, by this process.
#[derive(Debug, Default)]
pub(crate) struct KnownNames(Mutex<HashMap<PlayerId, Option<Box<str>>>>);

impl KnownNames {
    /// Those of `changes` that say something new.
    pub(crate) fn unknown<'a>(&self, changes: impl Iterator<Item = &'a NameChange>) -> Vec<NameChange> {
        let known = self.lock();
        changes.filter(|change| known.get(&change.player) != Some(&change.nickname)).cloned().collect()
    }

    /// Remembers what was written.
    pub(crate) fn remember(&self, changes: Vec<NameChange>) {
        let mut known = self.lock();
        if known.len() + changes.len() > MAX_REMEMBERED {
            known.clear();
        }
        known.extend(changes.into_iter().map(|change| (change.player, change.nickname)));
    }

    /// Forgets everything: another process may write names, or Redis may have lost them.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PlayerId, Option<Box<str>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_new_until_it_was_written() {
        let change =
            NameChange { player: PlayerId::new("7").unwrap(), nickname: Some("Zo".into()), given_ms: 1 };
        let later = NameChange { given_ms: 2, ..change.clone() };
        let known = KnownNames::default();
        assert_eq!(known.unknown([&change].into_iter()).len(), 1);
        known.remember(vec![change]);
        assert_eq!(known.unknown([&later].into_iter()), []);
        known.forget();
        assert_eq!(known.unknown([&later].into_iter()).len(), 1);
    }
}
