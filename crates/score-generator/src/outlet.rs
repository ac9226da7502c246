//! Where events go.

use crate::load::faults::Kind;
use crate::summary::Latency;
use judge::latencies::Latencies;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many bytes of printed events are collected before they are written.
const PRINT_BUFFER_BYTES: usize = 256 * 1024;

/// An event that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The record's key: the user id as text.
    pub key: &'a [u8],
    /// The record's value: the event as JSON.
    pub payload: &'a [u8],
    /// What it is, and so whether it must count.
    pub kind: Kind,
    /// When it should have been handed over; latency counts from there.
    pub intended: Instant,
}

/// Whether an event was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It was taken, and its outcome will be counted.
    Taken,
    /// The same, after a wait for room.
    Waited,
    /// It was not: the run is to end.
    Stopped,
}

/// What became of the events that were taken.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Taken.
    pub sent: u64,
    /// Acknowledged (or written).
    pub acknowledged: u64,
    /// Known to have failed. The rest has no outcome: it may or may not be in the log.
    pub failed: u64,
    /// The first failure.
    pub first_failure: Option<String>,
    /// From the intended instant to the acknowledgement.
    pub latency: Option<Latency>,
}

/// What is known of events that were taken, while more comes to be known.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    acknowledged: u64,
    failed: u64,
    first_failure: Option<String>,
    latencies: Latencies,
}

impl Fates {
    /// An event was acknowledged, so long after it was due.
    pub(crate) fn acknowledge(&mut self, after: Duration) {
        self.acknowledged += 1;
        self.latencies.record(after);
    }

    /// An event has failed.
    pub(crate) fn fail(&mut self) {
        self.failed += 1;
    }

    /// Something went wrong; the first is told.
    pub(crate) fn blame(&mut self, why: impl FnOnce() -> String) {
        self.first_failure.get_or_insert_with(why);
    }

    /// The outcome so far, of `sent` events.
    pub(crate) fn outcome(&self, sent: u64) -> Outcome {
        Outcome {
            sent,
            acknowledged: self.acknowledged,
            failed: self.failed,
            first_failure: self.first_failure.clone(),
            latency: Latency::of(&self.latencies),
        }
    }
}

/// Takes the lock also after a panic: what it guards is whole between any two changes.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes events in order. It never waits for one event's outcome.
pub trait Outlet {
    /// Takes an event; waits only while too many are on their way.
    ///
    /// # Errors
    /// When no event will ever get through.
    fn send(&mut self, event: &Outgoing<'_>) -> anyhow::Result<Handed>;

    /// Called before a pause: nothing more comes for the moment.
    ///
    /// # Errors
    /// When no event will ever get through.
    fn rest(&mut self) -> anyhow::Result<()>;

    /// Waits until every event taken has its outcome, at most `limit`.
    ///
    /// # Errors
    /// When no event will ever get through.
    fn finish(&mut self, limit: Duration) -> anyhow::Result<()>;

    /// What became of the events so far.
    fn outcome(&self) -> Outcome;
}

/// Writes each event as a line. A reader that went away ends the run in good order.
pub struct Lines<W: Write> {
    out: BufWriter<W>,
    outcome: Outcome,
    closed: bool,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(PRINT_BUFFER_BYTES, out),
            outcome: Outcome::default(),
            closed: false,
        }
    }

    fn check(&mut self, result: io::Result<()>) -> anyhow::Result<()> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|error| anyhow::Error::new(error).context("writing the events")),
        }
    }
}

impl<W: Write> Outlet for Lines<W> {
    fn send(&mut self, event: &Outgoing<'_>) -> anyhow::Result<Handed> {
        let written = self.out.write_all(event.payload).and_then(|()| self.out.write_all(b"\n"));
        self.check(written)?;
        if self.closed {
            return Ok(Handed::Stopped);
        }
        self.outcome.sent += 1;
        self.outcome.acknowledged += 1;
        Ok(Handed::Taken)
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        let flushed = self.out.flush();
        self.check(flushed)
    }

    fn finish(&mut self, _limit: Duration) -> anyhow::Result<()> {
        if self.closed { Ok(()) } else { self.rest() }
    }

    fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn reader_that_went_away_ends_the_run_without_an_error() {
        let mut lines = Lines::new(Gone);
        let event = Outgoing { key: b"1", payload: b"{}", kind: Kind::Good, intended: Instant::now() };
        assert_eq!(lines.send(&event).unwrap(), Handed::Taken);
        lines.rest().unwrap();
        assert_eq!(lines.send(&event).unwrap(), Handed::Stopped);
        lines.finish(Duration::ZERO).unwrap();
    }
}
