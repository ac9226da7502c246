//! What a batch of events does to a board: one change a player, however many events.

use crate::order::Reached;
use crate::rules::MAX_TOTAL_UNITS;
use contracts::PlayerId;
use std::collections::HashMap;

const DAY_MICROS: i64 = 86_400_000_000;
/// The most that one batch can move a total: from one end of the range to the other.
const MAX_DELTA: i64 = 2 * MAX_TOTAL_UNITS;

/// What a number of events does to one player's total. Merging is commutative and associative,
/// so that batch boundaries and the order of partitions do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// How much is added.
    pub delta: i64,
    /// When the last of it happened.
    pub reached: Reached,
}

impl Change {
    /// What one event does. One that is worth nothing registers the player and moves no time.
    #[must_use]
    pub fn of(units: i64, reached: Reached) -> Self {
        Self { delta: units, reached: if units == 0 { Reached::NEVER } else { reached } }
    }

    /// Both changes in one.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            delta: self.delta.saturating_add(other.delta).clamp(-MAX_DELTA, MAX_DELTA),
            reached: self.reached.max(other.reached),
        }
    }
}

/// An event with an id: whether it counts depends on what the store has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The player.
    pub player: PlayerId,
    /// The event's id.
    pub event_id: Box<str>,
    /// The UTC day of its arrival, counted from 1970-01-01. An id counts once when it arrives
    /// again on the same or the next day.
    pub arrival_day: i64,
    /// What it does if it counts.
    pub change: Change,
}

/// What a batch of events does to a board.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Events without an id, merged per player.
    pub players: HashMap<PlayerId, Change>,
    /// Events with an id, in the order of the log.
    pub identified: Vec<Identified>,
}

impl Changes {
    /// Takes an event that always counts.
    pub fn add(&mut self, player: PlayerId, change: Change) {
        self.players.entry(player).and_modify(|merged| *merged = merged.merge(change)).or_insert(change);
    }

    /// Takes an event that counts unless its id was seen.
    pub fn add_identified(&mut self, event: Identified) {
        self.identified.push(event);
    }

    /// How many entries a script has to work through.
    #[must_use]
    pub fn len(&self) -> usize {
        self.players.len() + self.identified.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The UTC day that an instant lies in, counted from 1970-01-01.
#[must_use]
pub fn day_of(time: contracts::EventTime) -> i64 {
    time.micros().div_euclid(DAY_MICROS)
}
