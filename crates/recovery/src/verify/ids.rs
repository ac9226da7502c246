//! Which event ids were seen. Pure.

use contracts::PlayerId;
use std::collections::{BTreeMap, HashSet};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// How many days before the day that every partition has reached are kept. Redis keeps an id as
/// long: three days beyond the last day that asks for it.
pub(crate) const KEPT_DAYS: i64 = 4;

/// Event ids by the UTC day of their arrival, each as 16 bytes.
#[derive(Debug, Default)]
pub(crate) struct SeenIds {
    days: BTreeMap<i64, HashSet<u128>>,
    forgotten_before: Option<i64>,
}

/// Whether an event counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    First,
    Again,
    /// It arrived so long before others that what it must be held against was forgotten.
    Unknown,
}

/// An id is one among those of its player.
pub(crate) fn id_hash(player: &PlayerId, event_id: &str) -> u128 {
    xxh3_128_with_seed(event_id.as_bytes(), xxh3_64(player.as_str().as_bytes()))
}

impl SeenIds {
    /// Takes an id in that arrived on `day`. It was seen when it was on the same day, the one
    /// before or the one after; it is remembered either way.
    pub(crate) fn see(&mut self, id: u128, day: i64) -> Sight {
        if self.forgotten_before.is_some_and(|forgotten| day - 1 < forgotten) {
            return Sight::Unknown;
        }
        let near = [day - 1, day + 1];
        let seen = near.iter().any(|near| self.days.get(near).is_some_and(|ids| ids.contains(&id)));
        let new = self.days.entry(day).or_default().insert(id);
        if new && !seen { Sight::First } else { Sight::Again }
    }

    /// Forgets the days before `day`.
    pub(crate) fn forget_before(&mut self, day: i64) {
        self.days = self.days.split_off(&day);
        self.forgotten_before = self.forgotten_before.max(Some(day));
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.days.values().map(HashSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgotten_days_are_never_judged_by() {
        let mut ids = SeenIds::default();
        assert_eq!(ids.see(1, 10), Sight::First);
        assert_eq!(ids.see(1, 11), Sight::Again);
        assert_eq!(ids.see(1, 13), Sight::First);
        ids.forget_before(12);
        assert_eq!(ids.len(), 1);
        assert_eq!(ids.see(2, 12), Sight::Unknown, "day 11 is gone");
        assert_eq!(ids.see(1, 14), Sight::Again);
        assert_eq!(ids.see(2, 13), Sight::First);
    }

    #[test]
    fn ids_of_two_players_are_two() {
        let player = |text: &str| PlayerId::new(text).unwrap();
        assert_ne!(id_hash(&player("a"), "bc"), id_hash(&player("ab"), "c"));
        assert_ne!(id_hash(&player("a"), "x"), id_hash(&player("b"), "x"));
        assert_eq!(id_hash(&player("a"), "x"), id_hash(&player("a"), "x"));
    }
}
