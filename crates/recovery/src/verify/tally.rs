//! What a player's events come to, and whether a sorted set's double says the same. Pure.

use boards::order::{Reached, reached_of, sorted_set_score, total_of};
use boards::rules::MAX_TOTAL_UNITS;

/// What a player's events come to. Adding is commutative, so neither the order of the log nor
/// the number of its readers matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    gained: i64,
    lost: i64,
    /// When the last event happened that was worth something, at full resolution.
    reached: Reached,
}

impl Default for Tally {
    fn default() -> Self {
        Self { gained: 0, lost: 0, reached: Reached::NEVER }
    }
}

/// What a double of the sorted set is to a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Bit for bit what it must be.
    Exact,
    /// The total is right, and the reach time is one that [`boards::order`] says may be left
    /// when totals above 2^17 go down and events arrive out of order.
    CoarserReach,
    /// The player gained or lost more than a total can be and did both: what stands depends on
    /// the order in which the board took the events.
    BeyondLimit,
    /// The total is right, the reach time is not.
    WrongReach,
    /// The total is wrong.
    WrongTotal,
}

impl Tally {
    /// Takes an event worth `units`.
    pub(crate) fn add(&mut self, units: i64, reached: Reached) {
        match units {
            0 => return,
            1.. => self.gained = self.gained.saturating_add(units),
            ..0 => self.lost = self.lost.saturating_add(units.saturating_neg()),
        }
        self.reached = self.reached.max(reached);
    }

    /// The player's total.
    pub(crate) fn total(&self) -> i64 {
        (self.gained.saturating_sub(self.lost)).clamp(-MAX_TOTAL_UNITS, MAX_TOTAL_UNITS)
    }

    /// The double that must stand in the sorted set.
    pub(crate) fn sorted_set_score(&self) -> f64 {
        sorted_set_score(self.total(), self.reached)
    }

    /// Judges the double that stands there.
    pub(crate) fn judge(&self, stored: f64) -> Standing {
        let (total, exact) = (self.total(), self.sorted_set_score());
        if stored.to_bits() == exact.to_bits() {
            return Standing::Exact;
        }
        // On its way the total was never larger than this, in whatever order the events came.
        let peak = self.gained.max(self.lost);
        if peak > MAX_TOTAL_UNITS && self.gained.min(self.lost) > 0 {
            return Standing::BeyondLimit;
        }
        // Each cut on the way was at most as coarse as the peak's, and cuts only make a time earlier:
        // what is left lies between the exact time and the exact time cut for the peak.
        let earliest = sorted_set_score(total, self.reached.cut_for(peak));
        if exact <= stored && stored <= earliest {
            return Standing::CoarserReach;
        }
        if total_of(stored) == total { Standing::WrongReach } else { Standing::WrongTotal }
    }
}

/// The double of one player who stands under two names.
pub(crate) fn joined(one: f64, other: f64) -> f64 {
    let total = (total_of(one) + total_of(other)).clamp(-MAX_TOTAL_UNITS, MAX_TOTAL_UNITS);
    sorted_set_score(total, reached_of(one).max(reached_of(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::EventTime;
    use proptest::prelude::*;

    fn at(micros: i64) -> Reached {
        Reached::at(EventTime::from_micros(micros).unwrap())
    }

    fn tally(events: &[(i64, i64)]) -> Tally {
        let mut tally = Tally::default();
        for (units, micros) in events {
            tally.add(*units, at(*micros));
        }
        tally
    }

    #[test]
    fn a_double_that_is_off_is_told_by_what_is_off() {
        let tally = tally(&[(10, 1_000_000), (-3, 5_000_000), (0, 9_000_000)]);
        let right = sorted_set_score(7, at(5_000_000));
        assert_eq!(tally.judge(right), Standing::Exact);
        assert_eq!(tally.judge(right + 1.0), Standing::WrongTotal);
        assert_eq!(tally.judge(sorted_set_score(7, at(5_125_000))), Standing::WrongReach);
        assert_eq!(tally.judge(sorted_set_score(7, at(4_875_000))), Standing::WrongReach);
        assert_eq!(tally.judge(f64::NAN), Standing::WrongTotal);
        assert_eq!(tally.judge(f64::INFINITY), Standing::WrongTotal);
    }

    #[test]
    fn who_stands_under_two_names_is_one_player() {
        let (before, after) = (tally(&[(10, 1_000_000)]), tally(&[(-3, 5_000_000)]));
        let both = tally(&[(10, 1_000_000), (-3, 5_000_000)]);
        let stored = joined(before.sorted_set_score(), after.sorted_set_score());
        assert_eq!(both.judge(stored), Standing::Exact);
        assert_eq!(both.judge(before.sorted_set_score()), Standing::WrongTotal);
    }

    #[test]
    fn only_what_had_a_large_total_may_have_a_coarse_time() {
        let time = 1_000_125_000;
        let coarse = sorted_set_score(100_000, at(time).cut_for(1 << 20));
        assert_eq!(tally(&[(100_000, time)]).judge(coarse), Standing::WrongReach);
        assert_eq!(tally(&[(1 << 20, 1), (100_000 - (1 << 20), time)]).judge(coarse), Standing::CoarserReach);
    }

    #[test]
    fn beyond_the_limit_of_totals_nothing_is_said_of_those_who_also_lost() {
        let most = MAX_TOTAL_UNITS;
        let up = tally(&[(most, 1), (5, 1)]);
        assert_eq!(up.judge(sorted_set_score(most, at(1))), Standing::Exact);
        assert_eq!(up.judge(sorted_set_score(most - 1, at(1))), Standing::WrongTotal);
        let both = tally(&[(most, 1), (5, 1), (-5, 1)]);
        assert_eq!(both.judge(sorted_set_score(most - 5, at(1))), Standing::BeyondLimit);
    }

    proptest! {
        /// As the board does it: a total and a time cut for it, after every event.
        #[test]
        fn whatever_a_board_can_be_left_with_is_accepted(
            events in proptest::collection::vec((-400_000..400_000i64, 0..400_000_000_000i64), 1..12),
            batch in 1..4usize,
        ) {
            let (mut total, mut reached) = (0, Reached::NEVER);
            for chunk in events.chunks(batch) {
                for (units, micros) in chunk {
                    total += units;
                    if *units != 0 {
                        reached = reached.max(at(*micros));
                    }
                }
                reached = reached.cut_for(total);
            }
            let standing = tally(&events).judge(sorted_set_score(total, reached));
            prop_assert!(matches!(standing, Standing::Exact | Standing::CoarserReach), "{standing:?}");
            let never_down = events.iter().all(|(units, _)| *units >= 0);
            prop_assert!(!never_down || standing == Standing::Exact, "{standing:?}");
        }
    }
}
