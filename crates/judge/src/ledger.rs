//! What was sent: a few bytes an event, written while it is sent.
//!
//! An event is 24 bytes: when it was due, a digest of its value, and where Kafka has put it. Players
//! and scores are read from the log afterwards, so that sending pays for none of it.

use pipeline::producer::Place;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// How many events can be judged: 480 MB while they are sent, 80 MB more afterwards.
pub const MAX_EVENTS: u64 = 20_000_000;
/// Room is made for so many events at once.
const CHUNK_EVENTS: usize = 1 << 16;
/// A place is a word: the partition above these bits, from 1, the offset in them.
const OFFSET_BITS: u32 = 48;

/// The events of a run, by the order in which they were handed over. One thread writes them, another
/// their places.
pub struct Ledger {
    chunks: Box<[OnceLock<Chunk>]>,
}

struct Chunk {
    events: Box<[Event]>,
}

#[derive(Default)]
struct Event {
    due_nanos: AtomicU64,
    digest: AtomicU64,
    place: AtomicU64,
}

/// What is known of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was due, in nanoseconds after the run's beginning.
    pub due_nanos: u64,
    /// The [`digest`] of its value.
    pub digest: u64,
    /// Where Kafka said it has put it; `None` while nothing was heard.
    pub place: Option<Place>,
}

/// What tells values apart.
#[must_use]
pub fn digest(payload: &[u8]) -> u64 {
    xxh3_64(payload)
}

impl Default for Ledger {
    fn default() -> Self {
        let chunks = MAX_EVENTS.div_ceil(CHUNK_EVENTS as u64);
        Self { chunks: (0..chunks).map(|_| OnceLock::new()).collect() }
    }
}

impl Ledger {
    /// Writes event `index` down, or anew. Says whether there was room.
    pub fn write(&self, index: u64, due_nanos: u64, payload: &[u8]) -> bool {
        if index >= MAX_EVENTS {
            return false;
        }
        let (chunk, within) = split(index);
        let chunk = self.chunks[chunk]
            .get_or_init(|| Chunk { events: (0..CHUNK_EVENTS).map(|_| Event::default()).collect() });
        let event = &chunk.events[within];
        event.due_nanos.store(due_nanos, Ordering::Relaxed);
        event.digest.store(digest(payload), Ordering::Relaxed);
        true
    }

    /// When event `index` was due.
    ///
    /// # Panics
    /// When it was not written.
    #[must_use]
    pub fn due_nanos(&self, index: u64) -> u64 {
        self.event(index).due_nanos.load(Ordering::Relaxed)
    }

    /// Writes down where event `index` is. A place beyond 2^48 records in 2^16 partitions, which no
    /// log has, is not kept.
    ///
    /// # Panics
    /// When the event was not written.
    pub fn acknowledge(&self, index: u64, place: Place) {
        self.event(index).place.store(packed(place).unwrap_or(0), Ordering::Relaxed);
    }

    /// What is known of event `index`.
    ///
    /// # Panics
    /// When it was not written.
    #[must_use]
    pub fn entry(&self, index: u64) -> Entry {
        let event = self.event(index);
        Entry {
            due_nanos: event.due_nanos.load(Ordering::Relaxed),
            digest: event.digest.load(Ordering::Relaxed),
            place: unpacked(event.place.load(Ordering::Relaxed)),
        }
    }

    fn event(&self, index: u64) -> &Event {
        let (chunk, within) = split(index);
        &self.chunks[chunk].get().expect("the event was written").events[within]
    }
}

fn split(index: u64) -> (usize, usize) {
    let index = usize::try_from(index).expect("events fit into memory");
    (index / CHUNK_EVENTS, index % CHUNK_EVENTS)
}

fn packed(place: Place) -> Option<u64> {
    let partition = u64::try_from(place.partition).ok()? + 1;
    let offset = u64::try_from(place.offset).ok()?;
    (partition < 1 << (u64::BITS - OFFSET_BITS) && offset < 1 << OFFSET_BITS)
        .then_some(partition << OFFSET_BITS | offset)
}

fn unpacked(word: u64) -> Option<Place> {
    let partition = i32::try_from((word >> OFFSET_BITS).checked_sub(1)?).ok()?;
    let offset = i64::try_from(word & ((1 << OFFSET_BITS) - 1)).ok()?;
    Some(Place { partition, offset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_are_as_they_were_written_and_acknowledged() {
        let ledger = Ledger::default();
        let last = CHUNK_EVENTS as u64;
        assert!(ledger.write(0, 7, b"a") && ledger.write(last, 9, b"b"));
        ledger.acknowledge(last, Place { partition: 5, offset: 0 });
        assert_eq!(ledger.entry(0), Entry { due_nanos: 7, digest: digest(b"a"), place: None });
        assert_eq!(ledger.entry(last).place, Some(Place { partition: 5, offset: 0 }));
        assert_eq!(ledger.due_nanos(last), 9);
        // An event that was not taken gives its room to the next one.
        assert!(ledger.write(last, 11, b"c"));
        assert_eq!((ledger.entry(last).due_nanos, ledger.entry(last).digest), (11, digest(b"c")));
    }

    #[test]
    fn there_is_no_room_beyond_the_limit() {
        let ledger = Ledger::default();
        assert!(ledger.write(MAX_EVENTS - 1, 0, b""));
        assert!(!ledger.write(MAX_EVENTS, 0, b""));
    }

    proptest! {
        #[test]
        fn a_place_survives_its_packing(partition in 0i32..65_535, offset in 0i64..1 << OFFSET_BITS) {
            let place = Place { partition, offset };
            prop_assert_eq!(unpacked(packed(place).unwrap()), Some(place));
        }
    }

    #[test]
    fn places_that_no_log_has_are_not_kept() {
        for (partition, offset) in [(65_535, 0), (-1, 0), (0, -1), (0, 1 << OFFSET_BITS)] {
            assert_eq!(packed(Place { partition, offset }), None);
        }
        assert_eq!(unpacked(0), None);
    }
}
