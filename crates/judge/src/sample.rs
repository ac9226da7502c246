//! Players drawn from all who got events, while these are read. Pure.
//!
//! Those are drawn whose digests under the seed are least: it needs no list of all players, does not
//! depend on the order of events, and whoever is in the end was from the first event on.

use contracts::score::MAX_SCALE;
use contracts::{PlayerId, Score};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What some events of a player come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub events: u64,
    /// The sum of their scores, in units of `10^-9`.
    pub sum_units: i128,
}

impl Tally {
    /// Takes an event in.
    pub fn add(&mut self, score: Score) {
        self.events += 1;
        let factor = 10i128.pow(u32::from(MAX_SCALE - score.scale()));
        self.sum_units += i128::from(score.units()) * factor;
    }
}

/// Some of many players, each with all its events.
#[derive(Clone, Debug)]
pub struct Sample {
    seed: u64,
    size: usize,
    drawn: BTreeMap<(u64, PlayerId), Tally>,
}

impl Sample {
    /// Nobody yet, and at most `size`.
    #[must_use]
    pub fn new(seed: u64, size: usize) -> Self {
        Self { seed, size, drawn: BTreeMap::new() }
    }

    /// Takes an event of a player in.
    pub fn take(&mut self, player: &PlayerId, score: Score) {
        let ticket = xxh3_64_with_seed(player.as_str().as_bytes(), self.seed);
        let last = self.drawn.last_key_value();
        if self.drawn.len() == self.size
            && last.is_none_or(|((worst, id), _)| (ticket, player) > (*worst, id))
        {
            return;
        }
        self.drawn.entry((ticket, player.clone())).or_default().add(score);
        if self.drawn.len() > self.size {
            self.drawn.pop_last();
        }
    }

    /// The players, in the order in which they were drawn, with what their events come to.
    #[must_use]
    pub fn players(&self) -> Vec<(&PlayerId, Tally)> {
        self.drawn.iter().map(|((_, player), tally)| (player, *tally)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn player(number: u32) -> PlayerId {
        PlayerId::new(number.to_string()).unwrap()
    }

    proptest! {
        #[test]
        fn whoever_is_drawn_has_all_events_whatever_their_order(
            events in proptest::collection::vec((0u32..60, -5i64..50), 0..300),
            seed in any::<u64>(),
        ) {
            let mut all: HashMap<PlayerId, Tally> = HashMap::new();
            let (mut forward, mut backward) = (Sample::new(seed, 20), Sample::new(seed, 20));
            for (number, tenths) in &events {
                let score = Score::new(*tenths, 1);
                all.entry(player(*number)).or_default().add(score);
                forward.take(&player(*number), score);
            }
            for (number, tenths) in events.iter().rev() {
                backward.take(&player(*number), Score::new(*tenths, 1));
            }
            prop_assert_eq!(forward.players(), backward.players());
            prop_assert_eq!(forward.players().len(), all.len().min(20));
            for (player, tally) in forward.players() {
                prop_assert_eq!(all[player], tally);
            }
        }
    }

    #[test]
    fn other_seeds_draw_others() {
        let drawn = |seed| {
            let mut sample = Sample::new(seed, 5);
            (0..100).for_each(|number| sample.take(&player(number), Score::new(1, 0)));
            sample.players().iter().map(|(player, _)| player.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn sums_are_exact() {
        let mut tally = Tally::default();
        for _ in 0..10 {
            tally.add(Score::new(1, 1));
        }
        tally.add(Score::new(-1, 9));
        assert_eq!(tally, Tally { events: 11, sum_units: 999_999_999 });
    }
}
