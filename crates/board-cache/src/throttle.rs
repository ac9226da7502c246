//! When to look at a board: at once after quiet, at most once an interval, and always after the
//! last change. A state machine without a clock.

use std::time::{Duration, Instant};

/// Whether a change within an interval is looked at when the interval ends. `Off` is the negative
/// control of the whole-system tests, which must fail with it; no setting reaches it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailingEdge {
    On,
    Off,
}

/// Says when to look next.
///
/// Promise: for every change there is a look that begins after it and at most one interval later,
/// and no two looks begin within one interval.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    trailing_edge: TrailingEdge,
    looked_at: Option<Instant>,
    changed: bool,
}

impl Throttle {
    /// One that has never looked.
    #[must_use]
    pub fn new(interval: Duration, trailing_edge: TrailingEdge) -> Self {
        Self { interval, trailing_edge, looked_at: None, changed: false }
    }

    /// Something changed.
    pub fn change(&mut self, now: Instant) {
        let within_interval = self.looked_at.is_some_and(|at| now < at + self.interval);
        if self.trailing_edge == TrailingEdge::On || !within_interval {
            self.changed = true;
        }
    }

    /// When to look, if there is a reason to: possibly in the past, which means now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.changed.then(|| self.looked_at.map_or(now, |at| at + self.interval))
    }

    /// A look begins: changes from now on are for the next one.
    pub fn look(&mut self, now: Instant) {
        self.looked_at = Some(now);
        self.changed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_millis(500);

    /// Runs the throttle over changes at the given milliseconds; returns when it looked.
    fn looks(changes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut throttle = Throttle::new(INTERVAL, TrailingEdge::On);
        let mut looks = Vec::new();
        let mut look_until = |throttle: &mut Throttle, until: Option<u64>, now: u64| {
            let mut now = start + Duration::from_millis(now);
            while let Some(due) = throttle.due(now) {
                let at = due.max(now);
                if until.is_some_and(|until| at > start + Duration::from_millis(until)) {
                    break;
                }
                throttle.look(at);
                looks.push(u64::try_from((at - start).as_millis()).unwrap());
                now = at;
            }
        };
        for (index, change) in changes.iter().enumerate() {
            throttle.change(start + Duration::from_millis(*change));
            look_until(&mut throttle, changes.get(index + 1).map(|next| next.saturating_sub(1)), *change);
        }
        looks
    }

    #[test]
    fn first_change_after_quiet_is_looked_at_at_once_and_the_last_of_a_burst_always() {
        assert_eq!(looks(&[1000]), [1000]);
        assert_eq!(looks(&[1000, 1010, 1020]), [1000, 1500]);
        assert_eq!(looks(&[1000, 3000]), [1000, 3000]);
        assert_eq!(looks(&[]), [0u64; 0]);
    }

    proptest! {
        #[test]
        fn every_change_is_followed_by_a_look_within_the_interval_and_looks_keep_apart(
            gaps in proptest::collection::vec(1..1500u64, 1..60),
        ) {
            let changes: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let looks = looks(&changes);
            for change in &changes {
                prop_assert!(looks.iter().any(|look| (*change..=change + 500).contains(look)), "{change}: {looks:?}");
            }
            prop_assert!(looks.windows(2).all(|pair| pair[1] - pair[0] >= 500), "{looks:?}");
        }
    }
}
