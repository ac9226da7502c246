//! When each event is due.
//!
//! A schedule is a function from an event's number to its time and nothing else, so that a seed
//! fixes every `created_at`, and latency can be counted from when an event should have been sent.

use super::shape::{MicroEvents, Shape, whole};
use std::time::Duration;

/// The highest rate that can be asked for.
pub const MAX_PER_SECOND: u64 = 100_000_000;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
const MICROS_PER_SECOND: u128 = 1_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const MICROS_PER_EVENT: u128 = 1_000_000;
/// No event is due later than this, 139 years after the start.
const LAST_MILLI: u64 = 1 << 42;

/// When events are due, after the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Each is due as soon as the one before it was taken.
    AtOnce,
    /// Number `i` is due `i / per_second` seconds after the start.
    Even {
        /// Events per second, from 1.
        per_second: u64,
    },
    /// Number `i` is due when the integral of the rate goes beyond `i`. Within each millisecond
    /// the events stand evenly.
    Shaped(Shape),
}

impl Schedule {
    /// Even, or without any where the rate is 0.
    #[must_use]
    pub fn at_rate(per_second: u64) -> Self {
        if per_second == 0 { Self::AtOnce } else { Self::Even { per_second } }
    }

    /// How many events are due before `duration` has passed; `None` without a schedule.
    #[must_use]
    pub fn due_within(&self, duration: Duration) -> Option<u64> {
        match self {
            Self::AtOnce => None,
            Self::Even { per_second } => {
                let events = duration.as_nanos().saturating_mul(u128::from(*per_second));
                Some(whole(events, NANOS_PER_SECOND))
            }
            Self::Shaped(shape) => {
                let milli = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(LAST_MILLI);
                let nanos = u128::from(duration.subsec_nanos()) % u128::from(NANOS_PER_MILLI);
                let milli = Milli::of(shape, milli);
                let parts = milli.before * u128::from(NANOS_PER_MILLI) + u128::from(milli.events) * nanos;
                Some(whole(parts, MICROS_PER_EVENT * u128::from(NANOS_PER_MILLI)))
            }
        }
    }

    /// How many events there are in all, where they end.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        match self {
            Self::AtOnce | Self::Even { .. } => None,
            Self::Shaped(shape) => shape.total(),
        }
    }

    /// A rate that is nowhere exceeded; `None` without a schedule.
    #[must_use]
    pub fn peak_per_second(&self) -> Option<u64> {
        match self {
            Self::AtOnce => None,
            Self::Even { per_second } => Some(*per_second),
            Self::Shaped(shape) => Some(shape.peak_per_second()),
        }
    }

    /// When event `index` is due, after the start; `None` without a schedule.
    #[cfg(test)]
    fn due(&self, index: u64) -> Option<Duration> {
        Timetable::new(self).at(index).due
    }
}

/// When an event is due and when it happens, after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When it is to be sent; `None`: as soon as the one before it was taken.
    pub due: Option<Duration>,
    /// When it happens, in microseconds: when it is due, or its number without a schedule.
    pub after_micros: u64,
}

/// Looks up one event after the other in a schedule. What it answers is a function of the number
/// alone; it only remembers where it was, so that the next is found quickly.
#[derive(Clone, Debug)]
pub struct Timetable<'a> {
    schedule: &'a Schedule,
    milli: Milli,
}

impl<'a> Timetable<'a> {
    /// Begins with the first event.
    #[must_use]
    pub fn new(schedule: &'a Schedule) -> Self {
        let milli = match schedule {
            Schedule::Shaped(shape) => Milli::of(shape, 0),
            _ => Milli { index: 0, before: 0, events: 0 },
        };
        Self { schedule, milli }
    }

    /// When event `index` is due; numbers must not go down.
    pub fn at(&mut self, index: u64) -> Slot {
        match self.schedule {
            Schedule::AtOnce => Slot { due: None, after_micros: index },
            Schedule::Even { per_second } => {
                let after = |parts: u128| {
                    u64::try_from(u128::from(index) * parts / u128::from(*per_second)).unwrap_or(u64::MAX)
                };
                Slot {
                    due: Some(Duration::from_nanos(after(NANOS_PER_SECOND))),
                    after_micros: after(MICROS_PER_SECOND),
                }
            }
            Schedule::Shaped(shape) => {
                let target = u128::from(index) * MICROS_PER_EVENT;
                if target >= self.milli.after() {
                    self.milli = self.milli.holding(target, shape);
                }
                let nanos = self.milli.nanos_until(target);
                Slot { due: Some(Duration::from_nanos(nanos)), after_micros: nanos / 1000 }
            }
        }
    }
}

/// A millisecond of a shape.
#[derive(Clone, Copy, Debug)]
struct Milli {
    /// Which one, from the start on.
    index: u64,
    /// What is due before it.
    before: MicroEvents,
    /// Millionths of events that are due within it.
    events: u64,
}

impl Milli {
    fn of(shape: &Shape, index: u64) -> Self {
        let before = shape.until(index);
        let events = u64::try_from(shape.until(index + 1) - before).expect("the rate has a limit");
        Self { index, before, events }
    }

    fn after(self) -> MicroEvents {
        self.before + u128::from(self.events)
    }

    /// The one within which `target` is due, at or after this one: the first whose end is
    /// beyond it, so that what would be due in a pause is due after it.
    fn holding(self, target: MicroEvents, shape: &Shape) -> Self {
        let mut step = 1;
        let mut beyond = self.index + 1;
        while beyond < LAST_MILLI && shape.until(beyond) <= target {
            beyond = (beyond + step).min(LAST_MILLI);
            step *= 2;
        }
        // Before `within`, no more than `target` is due; before `beyond`, more is.
        let mut within = self.index;
        while beyond - within > 1 {
            let middle = within.midpoint(beyond);
            if shape.until(middle) <= target { within = middle } else { beyond = middle }
        }
        Self::of(shape, within)
    }

    /// Nanoseconds from the start until `target` is due, which is within this millisecond.
    fn nanos_until(self, target: MicroEvents) -> u64 {
        let within = u64::try_from(target - self.before).unwrap_or(u64::MAX);
        // Beyond the last event of all, nothing is within: the end of time stands for it.
        let nanos = within.saturating_mul(NANOS_PER_MILLI).checked_div(self.events).unwrap_or(0);
        self.index * NANOS_PER_MILLI + nanos
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::Stages;
    use super::super::shape::tests::any_shape;
    use super::*;
    use proptest::prelude::*;

    fn shaped(stages: &str, burst: &str) -> Schedule {
        let stages: Stages = stages.parse().unwrap();
        Schedule::Shaped(Shape::new(&stages, &[burst.parse().unwrap()], None).unwrap())
    }

    #[test]
    fn events_stand_evenly_from_the_start_on() {
        let schedule = Schedule::at_rate(400);
        assert_eq!(schedule.due(0), Some(Duration::ZERO));
        assert_eq!(schedule.due(1), Some(Duration::from_micros(2500)));
        assert_eq!(schedule.due(4000), Some(Duration::from_secs(10)));
        assert_eq!(Timetable::new(&schedule).at(4001).after_micros, 10_002_500);
        assert_eq!(schedule.due_within(Duration::from_secs(30)), Some(12_000));
    }

    #[test]
    fn without_a_rate_events_are_due_at_once_and_a_microsecond_apart() {
        let schedule = Schedule::at_rate(0);
        assert_eq!(Timetable::new(&schedule).at(7), Slot { due: None, after_micros: 7 });
        assert_eq!(schedule.due_within(Duration::from_secs(30)), None);
    }

    #[test]
    fn events_keep_off_pauses_and_crowd_into_bursts() {
        let schedule = shaped("0:10,1s:10,1s:0,2s:0", "3s:1s:100");
        let due = |index| schedule.due(index).unwrap().as_secs_f64();
        assert_eq!([0, 9].map(due), [0.0, 0.9]);
        // The pause is over at three seconds, with the first burst.
        assert_eq!([10, 11, 109, 110].map(due), [3.0, 3.01, 3.99, 6.0]);
        assert_eq!(schedule.due_within(Duration::from_secs(3)), Some(10));
        assert_eq!(schedule.due_within(Duration::from_nanos(3_000_000_001)), Some(11));
        assert_eq!(schedule.due_within(Duration::from_secs(1000)), Some(10 + 332 * 100 + 100));
    }

    #[test]
    fn what_ends_has_a_total_and_nothing_is_due_beyond_it_in_time() {
        let ends = Schedule::Shaped(Shape::new(&"0:100,10s:0".parse().unwrap(), &[], None).unwrap());
        assert_eq!(ends.total(), Some(500));
        assert!(ends.due(499).unwrap() < Duration::from_secs(10));
        assert!(ends.due(500).unwrap() > Duration::from_secs(3600 * 24 * 365));
        assert_eq!(shaped("0:0", "3s:1s:100").total(), None);
    }

    #[test]
    fn shape_gives_the_same_due_times_on_every_machine() {
        let stages = "0:777,2s:30k,3s:800,3s:5k".parse().unwrap();
        let bursts = ["700ms:33ms:40k".parse().unwrap(), "1s:1ms:1M".parse().unwrap()];
        let shape = Shape::new(&stages, &bursts, Some("1777ms:777".parse().unwrap())).unwrap();
        let schedule = Schedule::Shaped(shape);
        let mut timetable = Timetable::new(&schedule);
        let hash = (0..100_000).fold(0u64, |hash, index| {
            let due = timetable.at(index).due.unwrap();
            hash.wrapping_mul(0x0000_0100_0000_01B3) ^ u64::try_from(due.as_nanos()).unwrap()
        });
        assert_eq!(hash, 0x98A4_9D83_C3F3_D97E, "due times have changed: {hash:#X}");
    }

    proptest! {
        #[test]
        fn count_within_a_duration_is_that_of_the_due_times(per_second in 1u64..3_000_000, millis in 1u64..5000) {
            let schedule = Schedule::at_rate(per_second);
            let duration = Duration::from_millis(millis);
            let events = schedule.due_within(duration).unwrap();
            prop_assert!(schedule.due(events - 1).unwrap() < duration);
            prop_assert!(schedule.due(events).unwrap() >= duration);
        }

        #[test]
        fn count_within_a_duration_is_that_of_the_due_times_of_every_shape(
            shape in any_shape(), nanos in 1u64..60_000_000_000,
        ) {
            let schedule = Schedule::Shaped(shape);
            let duration = Duration::from_nanos(nanos);
            let events = schedule.due_within(duration).unwrap();
            prop_assert!(events == 0 || schedule.due(events - 1).unwrap() < duration);
            prop_assert!(schedule.due(events).unwrap() >= duration);
        }

        #[test]
        fn due_times_follow_each_other_however_they_are_looked_up(
            shape in any_shape(), first in 0u64..1_000_000, steps in prop::collection::vec(0u64..5000, 1..50),
        ) {
            let schedule = Schedule::Shaped(shape);
            let mut timetable = Timetable::new(&schedule);
            let (mut index, mut last) = (first, Duration::ZERO);
            for step in steps {
                index += step;
                let slot = timetable.at(index);
                prop_assert_eq!(slot.due, schedule.due(index));
                prop_assert_eq!(u128::from(slot.after_micros), slot.due.unwrap().as_micros());
                prop_assert!(slot.due.unwrap() >= last);
                last = slot.due.unwrap();
            }
        }

        #[test]
        fn shape_of_one_rate_is_the_even_schedule(
            per_second in 1u64..MAX_PER_SECOND, index in 0u64..1_000_000_000, nanos in 0u64..100_000_000_000,
        ) {
            let shaped = Schedule::Shaped(Shape::new(&Stages::even(per_second), &[], None).unwrap());
            let even = Schedule::at_rate(per_second);
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(shaped.due_within(duration), even.due_within(duration));
            prop_assert_eq!(Timetable::new(&shaped).at(index), Timetable::new(&even).at(index));
        }
    }
}
