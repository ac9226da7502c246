//! When each event is due.

use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
const MICROS_PER_SECOND: u128 = 1_000_000;

/// An even stream of events: number `i` is due `i / per_second` seconds after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Events per second; 0 = no schedule, each is due as soon as the one before it was taken.
    pub per_second: u64,
}

impl Schedule {
    /// When event `index` is due, after the start; `None` without a schedule.
    #[must_use]
    pub fn due(self, index: u64) -> Option<Duration> {
        let per_second = u128::from(self.per_second);
        let nanos = (u128::from(index) * NANOS_PER_SECOND).checked_div(per_second)?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How long after the first event's `created_at` that of event `index` lies, in
    /// microseconds: what is due, or `index` without a schedule.
    #[must_use]
    pub fn created_after_micros(self, index: u64) -> u64 {
        let micros = (u128::from(index) * MICROS_PER_SECOND).checked_div(u128::from(self.per_second));
        micros.map_or(index, |micros| u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How many events are due before `duration` has passed; `None` without a schedule.
    #[must_use]
    pub fn due_within(self, duration: Duration) -> Option<u64> {
        if self.per_second == 0 {
            return None;
        }
        let events = duration.as_nanos().saturating_mul(u128::from(self.per_second));
        Some(u64::try_from(events.div_ceil(NANOS_PER_SECOND)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_stand_evenly_from_the_start_on() {
        let schedule = Schedule { per_second: 400 };
        assert_eq!(schedule.due(0), Some(Duration::ZERO));
        assert_eq!(schedule.due(1), Some(Duration::from_micros(2500)));
        assert_eq!(schedule.due(4000), Some(Duration::from_secs(10)));
        assert_eq!(schedule.created_after_micros(4001), 10_002_500);
        assert_eq!(schedule.due_within(Duration::from_secs(30)), Some(12_000));
    }

    #[test]
    fn without_a_rate_events_are_due_at_once_and_a_microsecond_apart() {
        let schedule = Schedule { per_second: 0 };
        assert_eq!(schedule.due(7), None);
        assert_eq!(schedule.created_after_micros(7), 7);
        assert_eq!(schedule.due_within(Duration::from_secs(30)), None);
    }

    proptest! {
        #[test]
        fn count_within_a_duration_is_that_of_the_due_times(per_second in 1u64..3_000_000, millis in 1u64..5000) {
            let schedule = Schedule { per_second };
            let duration = Duration::from_millis(millis);
            let events = schedule.due_within(duration).unwrap();
            prop_assert!(schedule.due(events - 1).unwrap() < duration);
            prop_assert!(schedule.due(events).unwrap() >= duration);
        }
    }
}
