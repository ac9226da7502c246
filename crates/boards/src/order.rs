//! Who stands before whom, in one double.
//!
//! Redis orders a sorted set by a double. Its integer part (floor) is the player's total; the
//! bits left below say when the total was reached, earlier = higher, so that of equal totals the
//! first to reach it stands first. What is equal even then is ordered by player id, descending in
//! byte order, which is how `ZREVRANGE` orders equal doubles.
//!
//! **Resolution.** Time is cut to steps of 1/8 s from 1850 to 2122, 36 bits. A double has 53
//! bits: while a total's magnitude is below 2^17 = 131,072 all 36 fit. Beyond, the step doubles
//! with each doubling of the total: 1 s at a million, 17 min at 2^30. Times outside those years
//! count as its first or last step.
//!
//! **The same after any replay.** The reach time of a sum is the latest event time among the
//! events that changed it, which does not depend on the order of their arrival. Cutting to a
//! coarser step keeps that order. One corner is left: above 2^17, when a total goes *down* across
//! a power of two and the events arrive out of order, the reach time may be known only to the
//! coarser step of the larger total.

use contracts::EventTime;

/// How many bits a reach time has at full resolution. The script in Redis has the same number.
pub const REACHED_BITS: u32 = 36;
const STEP_MICROS: i64 = 125_000;
/// 1850-01-01T00:00:00Z.
const ORIGIN_MICROS: i64 = -3_786_825_600_000_000;
/// Bits of a double's significand.
const DOUBLE_BITS: u32 = 53;

/// When a total was reached, in steps of 1/8 s since 1850.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reached(u64);

impl Reached {
    /// Before every event: the reach time of players whose events were all worth nothing.
    pub const NEVER: Self = Self(0);

    /// The step that `time` lies in.
    #[must_use]
    pub fn at(time: EventTime) -> Self {
        let steps = time.micros().saturating_sub(ORIGIN_MICROS).div_euclid(STEP_MICROS);
        Self(u64::try_from(steps).unwrap_or(0).min((1 << REACHED_BITS) - 1))
    }

    /// The step's number, below 2^36.
    #[must_use]
    pub fn step(self) -> u64 {
        self.0
    }

    /// The time cut to the resolution that `total` leaves room for.
    #[must_use]
    pub fn cut_for(self, total: i64) -> Self {
        let lost = REACHED_BITS - bits_below(total);
        Self(self.0 >> lost << lost)
    }
}

/// How many bits are left below the point beside `total`, at most [`REACHED_BITS`].
fn bits_below(total: i64) -> u32 {
    let bits_above = u64::BITS - total.unsigned_abs().leading_zeros();
    DOUBLE_BITS.saturating_sub(bits_above).min(REACHED_BITS)
}

/// How far apart reach times must be to be told apart beside `total`, in microseconds.
#[must_use]
pub fn resolution_micros(total: i64) -> i64 {
    STEP_MICROS << (REACHED_BITS - bits_below(total))
}

/// The double under which a player stands in the sorted set; a board has its own way to it
/// ([`Board::encode`](crate::Board::encode)).
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "totals and reach times are cut so that they fit")]
pub fn sorted_set_score(total: i64, reached: Reached) -> f64 {
    let bits = bits_below(total);
    let steps = 1u64 << bits;
    let step = reached.0 >> (REACHED_BITS - bits);
    total as f64 + (steps - 1 - step) as f64 / steps as f64
}

/// The total within a double made by [`sorted_set_score`].
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "totals are below 2^53")]
pub fn total_of(sorted_set_score: f64) -> i64 {
    sorted_set_score.floor() as i64
}

/// The reach time within a double made by [`sorted_set_score`], as exact as its total left it.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below 2^36, and not below zero"
)]
pub fn reached_of(sorted_set_score: f64) -> Reached {
    let bits = bits_below(total_of(sorted_set_score));
    let steps = (1u64 << bits) as f64;
    let below = (sorted_set_score - sorted_set_score.floor()) * steps;
    Reached(((steps - 1.0 - below) as u64) << (REACHED_BITS - bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::MAX_TOTAL_UNITS;
    use proptest::prelude::*;

    fn reached() -> impl Strategy<Value = Reached> {
        (0..1u64 << REACHED_BITS).prop_map(Reached)
    }

    fn total() -> impl Strategy<Value = i64> {
        prop_oneof![-20..20i64, -200_000..200_000i64, -MAX_TOTAL_UNITS..=MAX_TOTAL_UNITS]
    }

    proptest! {
        #[test]
        fn total_survives(total in total(), reached in reached()) {
            prop_assert_eq!(total_of(sorted_set_score(total, reached)), total);
        }

        #[test]
        fn higher_total_is_ahead_whatever_the_times(total in total(), a in reached(), b in reached()) {
            prop_assert!(sorted_set_score(total + 1, a) > sorted_set_score(total, b));
        }

        #[test]
        fn of_equal_totals_the_earlier_is_ahead(total in total(), a in reached(), b in reached()) {
            let (first, second) = (a.min(b), a.max(b));
            let ahead = sorted_set_score(total, first) - sorted_set_score(total, second);
            prop_assert_eq!(ahead > 0.0, first.cut_for(total) < second.cut_for(total));
            prop_assert!(ahead >= 0.0);
        }

        #[test]
        fn small_totals_keep_the_full_resolution(total in -131_071..131_072i64, reached in reached()) {
            prop_assert_eq!(reached.cut_for(total), reached);
        }

        #[test]
        fn cutting_twice_is_cutting_to_the_coarser(a in total(), b in total(), reached in reached()) {
            let coarser = if bits_below(a) < bits_below(b) { a } else { b };
            prop_assert_eq!(reached.cut_for(a).cut_for(b), reached.cut_for(coarser));
        }
    }

    #[test]
    fn documented_resolution_holds() {
        let at = |text| Reached::at(EventTime::parse_iso(text, "t").unwrap());
        let (earlier, later) = (at("2026-11-21T12:00:00Z"), at("2026-11-21T12:00:00.125Z"));
        assert!(sorted_set_score(131_071, earlier) > sorted_set_score(131_071, later));
        assert!(sorted_set_score(-131_071, earlier) > sorted_set_score(-131_071, later));
        let a_second_later = at("2026-11-21T12:00:01Z");
        assert!(sorted_set_score((1 << 20) - 1, earlier) > sorted_set_score((1 << 20) - 1, a_second_later));
        assert_eq!(at("1849-12-31T23:59:59Z"), Reached::NEVER);
        assert_eq!(at("2500-01-01").step(), (1 << 36) - 1);
    }
}
