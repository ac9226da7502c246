//! Waiting for what is due, without ever waiting for what became of it.

use crate::Stop;
use crate::outlet::Outlet;
use std::time::{Duration, Instant};

/// The shortest wait. Events due within it go together, so a high rate costs few wake-ups.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// A waiter looks at the outlet at least this often.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// After how many events the clock is read again although all of them were due.
const CLOCK_EVERY: u32 = 128;

/// The clock of one run.
#[derive(Debug)]
pub struct Pace<'a> {
    stop: &'a Stop,
    started: Instant,
    now: Duration,
    unread: u32,
    worst_lag: Duration,
}

impl<'a> Pace<'a> {
    /// A run that starts now.
    #[must_use]
    pub fn start(stop: &'a Stop) -> Self {
        Self { stop, started: Instant::now(), now: Duration::ZERO, unread: 0, worst_lag: Duration::ZERO }
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
            self.worst_lag = self.worst_lag.max(self.now - due);
        }
        Ok(Some(self.started + due))
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

    /// How late the latest event was handed over.
    #[must_use]
    pub fn worst_lag(&self) -> Duration {
        self.worst_lag
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
        let mut pace = Pace::start(&stop);
        for millis in [0, 2, 2, 10, 5] {
            let due = Duration::from_millis(millis);
            let intended = pace.until(Some(due), &mut outlet).unwrap().unwrap();
            assert!(pace.elapsed() >= due);
            assert_eq!(intended, pace.started + due);
        }
        assert!(pace.worst_lag() < pace.elapsed());
        // The clock is read again now and then, even among events that were all due long ago.
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..CLOCK_EVERY {
            pace.until(Some(Duration::from_millis(10)), &mut outlet).unwrap();
        }
        assert!(pace.worst_lag() >= Duration::from_millis(20));
    }

    #[test]
    fn stop_cuts_a_wait_short() {
        let stop = Stop::default();
        let stopper = stop.clone();
        let thread = std::thread::spawn(move || stopper.ask());
        let mut pace = Pace::start(&stop);
        let due = Some(Duration::from_secs(3600));
        assert_eq!(pace.until(due, &mut Lines::new(Vec::new())).unwrap(), None);
        assert_eq!(pace.until(None, &mut Lines::new(Vec::new())).unwrap(), None);
        thread.join().unwrap();
    }
}
