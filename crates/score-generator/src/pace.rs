//! Waiting for what is due, without ever waiting for what became of it.

use crate::Stop;
use crate::outlet::{Handed, Outlet};
use std::time::{Duration, Instant};

/// The shortest wait. Events due within it go together, so a high rate costs few wake-ups.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// A waiter looks at the outlet at least this often.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// After how many events the clock is read again although all of them were due.
const CLOCK_EVERY: u32 = 128;

/// How late events were handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// How late the latest was.
    pub worst: Duration,
    /// How many were later than they may be, where that was said.
    pub late: Option<Late>,
}

/// Events that were later than they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// How late they may be.
    pub limit: Duration,
    /// How many were later.
    pub events: u64,
    /// For how long: each time from when the first of them was due until one was within the limit
    /// again.
    pub time: Duration,
}

/// The clock of one run.
#[derive(Debug)]
pub struct Pace<'a> {
    stop: &'a Stop,
    started: Instant,
    now: Duration,
    unread: u32,
    worst: Duration,
    late: Option<Late>,
    late_since: Option<Duration>,
    caught_up: Duration,
}

impl<'a> Pace<'a> {
    /// A run that starts now, whose events are late when they are handed over more than
    /// `max_behind` after they are due.
    #[must_use]
    pub fn start(stop: &'a Stop, max_behind: Option<Duration>) -> Self {
        Self {
            stop,
            started: Instant::now(),
            now: Duration::ZERO,
            unread: 0,
            worst: Duration::ZERO,
            late: max_behind.map(|limit| Late { limit, events: 0, time: Duration::ZERO }),
            late_since: None,
            caught_up: Duration::ZERO,
        }
    }

    /// Waits until an event is due, `due` after the start (`None`: at once), and returns its
    /// intended instant, or `None` when the run is to end.
    ///
    /// # Errors
    /// What the outlet finds wrong meanwhile.
    pub fn until(
        &mut self,
        due: Option<Duration>,
        outlet: &mut dyn Outlet,
    ) -> anyhow::Result<Option<Instant>> {
        if self.stop.is_asked() {
            return Ok(None);
        }
        let Some(due) = due else {
            self.now = self.started.elapsed();
            return Ok(Some(self.started + self.now));
        };
        self.unread += 1;
        if due > self.now || self.unread >= CLOCK_EVERY {
            self.read_clock();
            while due > self.now {
                outlet.rest()?;
                self.stop.pause((due - self.now).clamp(MIN_PAUSE, MAX_PAUSE));
                if self.stop.is_asked() {
                    return Ok(None);
                }
                self.read_clock();
            }
        }
        Ok(Some(self.started + due))
    }

    /// What was due then was handed over, and that went so.
    pub fn handed(&mut self, due: Option<Duration>, handed: Handed) {
        if handed == Handed::Waited {
            self.read_clock();
        }
        if let Some(due) = due {
            self.note(due);
        }
    }

    /// The time since the start, as of the last look at the clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How late events were handed over so far.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let still = self.late_since.map_or(Duration::ZERO, |since| self.elapsed().saturating_sub(since));
        Lag { worst: self.worst, late: self.late.map(|late| Late { time: late.time + still, ..late }) }
    }

    fn note(&mut self, due: Duration) {
        let behind = self.now.saturating_sub(due);
        self.worst = self.worst.max(behind);
        let Some(late) = &mut self.late else { return };
        if behind > late.limit {
            late.events += 1;
            self.late_since.get_or_insert(due.max(self.caught_up));
        } else if let Some(since) = self.late_since.take() {
            late.time += self.now - since;
            self.caught_up = self.now;
        }
    }

    fn read_clock(&mut self) {
        self.now = self.started.elapsed();
        self.unread = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlet::Lines;

    #[test]
    fn no_event_goes_before_it_is_due_and_lateness_is_seen() {
        let stop = Stop::default();
        let mut outlet = Lines::new(Vec::new());
        let mut pace = Pace::start(&stop, None);
        for millis in [0, 2, 2, 10, 5] {
            let due = Duration::from_millis(millis);
            let intended = pace.until(Some(due), &mut outlet).unwrap().unwrap();
            assert!(pace.elapsed() >= due);
            assert_eq!(intended, pace.started + due);
            pace.handed(Some(due), Handed::Taken);
        }
        assert!(pace.lag().worst < pace.elapsed());
        // The clock is read again now and then, even among events that were all due long ago.
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..CLOCK_EVERY {
            let due = Some(Duration::from_millis(10));
            pace.until(due, &mut outlet).unwrap();
            pace.handed(due, Handed::Taken);
        }
        assert!(pace.lag().worst >= Duration::from_millis(20));
        // And at once after a wait.
        std::thread::sleep(Duration::from_millis(20));
        pace.handed(Some(Duration::from_millis(10)), Handed::Waited);
        assert!(pace.lag().worst >= Duration::from_millis(40));
    }

    #[test]
    fn being_behind_lasts_from_what_was_due_first_until_it_is_caught_up() {
        let stop = Stop::default();
        let limit = Duration::from_millis(50);
        let mut pace = Pace::start(&stop, Some(limit));
        // A clock that is set, not read: nothing here depends on how fast this runs.
        let handed = [(0, 0), (100, 60), (200, 120), (210, 130), (220, 171), (300, 190), (400, 390)];
        for (now, due) in handed {
            pace.now = Duration::from_millis(now);
            pace.note(Duration::from_millis(due));
        }
        // From 120 to 220, and from there to 400.
        let late = Late { limit, events: 3, time: Duration::from_millis(280) };
        assert_eq!(pace.lag(), Lag { worst: Duration::from_millis(110), late: Some(late) });
    }

    #[test]
    fn being_behind_that_is_not_over_counts_up_to_now() {
        let stop = Stop::default();
        let mut pace = Pace::start(&stop, Some(Duration::from_millis(10)));
        std::thread::sleep(Duration::from_millis(30));
        let due = Some(Duration::from_millis(1));
        pace.until(due, &mut Lines::new(Vec::new())).unwrap();
        pace.handed(due, Handed::Taken);
        std::thread::sleep(Duration::from_millis(30));
        let late = pace.lag().late.unwrap();
        assert!(late.events == 1 && late.time >= Duration::from_millis(59), "{late:?}");
    }

    #[test]
    fn stop_cuts_a_wait_short() {
        let stop = Stop::default();
        let stopper = stop.clone();
        let thread = std::thread::spawn(move || stopper.ask());
        let mut pace = Pace::start(&stop, None);
        let due = Some(Duration::from_secs(3600));
        assert_eq!(pace.until(due, &mut Lines::new(Vec::new())).unwrap(), None);
        assert_eq!(pace.until(None, &mut Lines::new(Vec::new())).unwrap(), None);
        thread.join().unwrap();
    }
}
