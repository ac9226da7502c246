//! A run as it is being recorded: counters by second, acknowledgement latencies, and, where it is to
//! be judged, the [`Ledger`].
//!
//! The sender writes with a [`Pen`], the producer's thread says what was acknowledged, and a thread of
//! its own looks once a second how many were sent. Nothing here waits for another.

use crate::latencies::{Latencies, Packed};
use crate::ledger::Ledger;
use pipeline::producer::Place;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How many seconds are told apart: a day. What comes later counts in the last one.
const MAX_SECONDS: usize = 86_400;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// What is kept of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Counters and latencies by second.
    Seconds,
    /// These, and each event: at most [`MAX_EVENTS`](crate::ledger::MAX_EVENTS).
    Events,
}

/// A run as it is being recorded.
pub struct Recording {
    /// When the run began, by both clocks.
    began: OnceLock<(Instant, SystemTime)>,
    ledger: Option<Ledger>,
    /// How many events were handed over.
    sent: AtomicU64,
    /// How many of them are of the run; those after it are lone events.
    of_run: AtomicU64,
    acks: Mutex<Acks>,
    due: Mutex<Vec<u64>>,
    sampled: Mutex<Sampled>,
    ended: Condvar,
}

#[derive(Default)]
struct Acks {
    all: Latencies,
    /// Those of the second after the last of `seconds`.
    present: Latencies,
    seconds: Vec<Packed>,
}

#[derive(Default)]
struct Sampled {
    /// How many events had been handed over at the end of each second.
    sent: Vec<u64>,
    ended: bool,
}

/// One second of a run, as its sender knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// Events that were due in it.
    pub due: u64,
    /// Events that were handed over in it.
    pub sent: u64,
    /// Latencies of the acknowledgements that came in it.
    pub acks: Packed,
}

impl Recording {
    /// A run that has not begun.
    #[must_use]
    pub fn new(keep: Keep) -> Arc<Self> {
        Arc::new(Self {
            began: OnceLock::new(),
            ledger: (keep == Keep::Events).then(Ledger::default),
            sent: AtomicU64::new(0),
            of_run: AtomicU64::new(u64::MAX),
            acks: Mutex::default(),
            due: Mutex::default(),
            sampled: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    /// What the sender writes with. There is one at a time.
    #[must_use]
    pub fn pen(self: &Arc<Self>) -> Pen {
        Pen { next: self.sent(), recording: Arc::clone(self), second: 0, due: 0 }
    }

    /// The run begins now. Looks at the end of each second how many events were sent, until
    /// [`end_run`](Self::end_run).
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn begin_run(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let recording = Arc::clone(self);
        let (began, _) = *self.began.get_or_init(|| (Instant::now(), SystemTime::now()));
        std::thread::Builder::new().name("samples".into()).spawn(move || {
            let mut sampled = lock(&recording.sampled);
            while !sampled.ended && sampled.sent.len() < MAX_SECONDS {
                let until = Duration::from_secs(sampled.sent.len() as u64 + 1);
                let left = until.saturating_sub(began.elapsed());
                if left.is_zero() {
                    sampled.sent.push(recording.sent());
                } else {
                    let waited = recording.ended.wait_timeout(sampled, left);
                    sampled = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        })
    }

    /// Nothing of the run comes any more; what is sent from now on are lone events.
    pub fn end_run(&self) {
        self.of_run.store(self.sent(), Ordering::Relaxed);
        let mut sampled = lock(&self.sampled);
        if !std::mem::replace(&mut sampled.ended, true) {
            sampled.sent.push(self.sent());
        }
        self.ended.notify_all();
    }

    /// What is kept of each event, where it is.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// How many events were handed over.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many of them are of the run.
    #[must_use]
    pub fn of_run(&self) -> u64 {
        self.of_run.load(Ordering::Relaxed).min(self.sent())
    }

    /// The clock's reading `at` an instant, in nanoseconds after the run's beginning; 0 before that.
    #[must_use]
    pub fn nanos(&self, at: Instant) -> u64 {
        let after =
            self.began.get().map_or(Duration::ZERO, |(began, _)| at.saturating_duration_since(*began));
        u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)
    }

    /// When the run began, by the system's clock; the Unix epoch while it has not.
    #[must_use]
    pub fn began_at(&self) -> SystemTime {
        self.began.get().map_or(SystemTime::UNIX_EPOCH, |(_, at)| *at)
    }

    /// Tells that Kafka has acknowledged the event of that token, now; gives how long after it was due
    /// that is.
    pub fn acknowledged(&self, token: usize, place: Place) -> Duration {
        let now = self.nanos(Instant::now());
        let token = token as u64;
        let due = match &self.ledger {
            None => token,
            Some(ledger) => {
                ledger.acknowledge(token, place);
                ledger.due_nanos(token)
            }
        };
        let latency = now.saturating_sub(due);
        if self.ledger.is_none() || token < self.of_run.load(Ordering::Relaxed) {
            // Only the producer's thread comes here, so this lock is free.
            lock(&self.acks).record(second_of(now), latency);
        }
        Duration::from_nanos(latency)
    }

    /// Tells that an event was taken `at` an instant, where its place in the log is not known and so
    /// nothing is kept of each.
    pub fn taken(&self, due: Instant, at: Instant) {
        let at = self.nanos(at);
        lock(&self.acks).record(second_of(at), at.saturating_sub(self.nanos(due)));
    }

    /// All latencies of acknowledgements.
    #[must_use]
    pub fn ack_latencies(&self) -> Latencies {
        let acks = lock(&self.acks);
        let mut all = acks.all.clone();
        all.add(&acks.present);
        all
    }

    /// The seconds of the run.
    #[must_use]
    pub fn seconds(&self) -> Vec<Second> {
        let (acks, due, sampled) = (lock(&self.acks), lock(&self.due), lock(&self.sampled));
        let count = (acks.seconds.len() + 1).max(due.len()).max(sampled.sent.len());
        let mut before = 0;
        let mut second = |index: usize| {
            let sent = sampled.sent.get(index).copied().unwrap_or(before);
            Second {
                due: due.get(index).copied().unwrap_or(0),
                sent: sent - std::mem::replace(&mut before, sent),
                acks: match acks.seconds.get(index) {
                    Some(packed) => packed.clone(),
                    None if index == acks.seconds.len() => acks.present.pack(),
                    None => Packed::default(),
                },
            }
        };
        let mut seconds: Vec<Second> = (0..count).map(&mut second).collect();
        // One that was begun only because the others were full.
        while seconds.last().is_some_and(|last| *last == Second::default()) {
            seconds.pop();
        }
        seconds
    }
}

impl Acks {
    fn record(&mut self, second: usize, latency_nanos: u64) {
        while self.seconds.len() < second {
            self.seconds.push(self.present.pack());
            self.all.add(&self.present);
            self.present.clear();
        }
        self.present.record_nanos(latency_nanos);
    }
}

/// Writes down what is sent. It belongs to the thread that sends.
pub struct Pen {
    recording: Arc<Recording>,
    next: u64,
    second: usize,
    /// How many were due in `second` and are not in the recording yet.
    due: u64,
}

impl Pen {
    /// Writes an event down that is about to be sent, and gives the token by which it is
    /// acknowledged. `None`: there is no room for more.
    pub fn write(&mut self, due: Instant, payload: &[u8]) -> Option<usize> {
        let due_nanos = self.recording.nanos(due);
        let token = match &self.recording.ledger {
            None => due_nanos,
            Some(ledger) => ledger.write(self.next, due_nanos, payload).then_some(self.next)?,
        };
        let second = second_of(due_nanos);
        if second != self.second {
            self.put_down();
            self.second = second;
        }
        usize::try_from(token).ok()
    }

    /// The event that was written last was taken.
    pub fn sent(&mut self) {
        self.next += 1;
        self.due += 1;
        self.recording.sent.store(self.next, Ordering::Relaxed);
    }

    /// The recording that it writes in.
    #[must_use]
    pub fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    fn put_down(&mut self) {
        // Lone events after the run are none of its seconds.
        let of_run = self.recording.of_run.load(Ordering::Relaxed) == u64::MAX;
        if self.due > 0 && of_run {
            let mut due = lock(&self.recording.due);
            if due.len() <= self.second {
                due.resize(self.second + 1, 0);
            }
            due[self.second] += self.due;
        }
        self.due = 0;
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.put_down();
    }
}

/// The second that an instant lies in, counted from 0.
pub(crate) fn second_of(nanos: u64) -> usize {
    usize::try_from(nanos / NANOS_PER_SECOND).unwrap_or(usize::MAX).min(MAX_SECONDS - 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64) -> Place {
        Place { partition: 0, offset }
    }

    /// A run that has begun, and when.
    fn begun(keep: Keep) -> (Arc<Recording>, Instant) {
        let recording = Recording::new(keep);
        let began = Instant::now();
        recording.began.set((began, SystemTime::now())).unwrap();
        (recording, began)
    }

    #[test]
    fn events_count_in_the_second_in_which_they_were_due() {
        let (recording, began) = begun(Keep::Events);
        let mut pen = recording.pen();
        for millis in [0, 999, 1000, 1500, 999, 3000] {
            let due = began + Duration::from_millis(millis);
            assert!(pen.write(due, b"x").is_some());
            pen.sent();
        }
        drop(pen);
        recording.end_run();
        let due: Vec<u64> = recording.seconds().iter().map(|second| second.due).collect();
        assert_eq!(due, [3, 2, 0, 1]);
        assert_eq!(recording.seconds()[0].sent, 6);
    }

    #[test]
    fn what_was_not_taken_is_not_sent_and_lone_events_are_none_of_the_run() {
        let (recording, _) = begun(Keep::Events);
        let mut pen = recording.pen();
        let token = pen.write(Instant::now(), b"refused").unwrap();
        assert_eq!(pen.write(Instant::now(), b"taken"), Some(token));
        pen.sent();
        drop(pen);
        recording.acknowledged(token, place(7));
        recording.end_run();
        let mut pen = recording.pen();
        let lone = pen.write(Instant::now() + Duration::from_secs(5), b"lone").unwrap();
        pen.sent();
        assert!(pen.write(Instant::now() + Duration::from_secs(9), b"in another second").is_some());
        drop(pen);
        recording.acknowledged(lone, place(8));
        assert_eq!((recording.sent(), recording.of_run(), lone), (2, 1, 1));
        assert_eq!(recording.ack_latencies().count(), 1);
        assert_eq!(recording.seconds().iter().map(|second| second.due).sum::<u64>(), 1);
        let ledger = recording.ledger().unwrap();
        assert_eq!([ledger.entry(0).place, ledger.entry(1).place], [Some(place(7)), Some(place(8))]);
    }

    #[test]
    fn latencies_are_kept_by_second_and_together() {
        let mut acks = Acks::default();
        for (second, millis) in [(0, 1), (0, 3), (3, 5)] {
            acks.record(second, millis * 1_000_000);
        }
        let counts: Vec<u64> = acks.seconds.iter().map(|packed| packed.unpack().count()).collect();
        assert_eq!((counts, acks.present.count(), acks.all.count()), (vec![2, 0, 0], 1, 2));
    }

    #[test]
    fn without_a_ledger_the_token_is_when_the_event_was_due() {
        let (recording, began) = begun(Keep::Seconds);
        let mut pen = recording.pen();
        let token = pen.write(began + Duration::from_millis(5), b"").unwrap();
        pen.sent();
        assert_eq!(token, 5_000_000);
        recording.acknowledged(token, place(0));
        assert_eq!((recording.ack_latencies().count(), recording.sent()), (1, 1));
    }

    #[test]
    fn samples_end_with_the_run() {
        let recording = Recording::new(Keep::Seconds);
        assert_eq!(recording.nanos(Instant::now()), 0);
        let thread = recording.begin_run().unwrap();
        recording.end_run();
        thread.join().unwrap();
        assert!(recording.seconds().is_empty());
    }
}
