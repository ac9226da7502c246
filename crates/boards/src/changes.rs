//! What events do to a player's place: one change a player and scope, however many events.

use crate::order::Reached;
#[cfg(doc)]
use crate::rules::Board;
use crate::rules::MAX_TOTAL_UNITS;
use crate::windows::{Scope, Window};
use contracts::{EventTime, PlayerId};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

const DAY_MICROS: i64 = 86_400_000_000;
/// The most that one batch can move a total: from one end of the range to the other.
const MAX_DELTA: i64 = 2 * MAX_TOTAL_UNITS;

/// Where in the log an event stands, and when it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When Kafka took it: the record's timestamp.
    pub at: EventTime,
    /// The partition of `game-score`.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
}

/// Which of a player's events is the newest, for a board that keeps the last score: the greatest
/// time, then the greatest offset, then the greatest partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recency {
    /// When it happened, to the microsecond.
    pub created_at: EventTime,
    /// Its offset.
    pub offset: i64,
    /// Its partition.
    pub partition: i32,
}

/// What a number of events does to one player's place in a view, or what all of them have come to.
///
/// Merging is commutative and associative, so that batch boundaries and the order of partitions do
/// not matter. Values are as they are stored: the highest is the best, on boards that have the
/// lowest first too ([`Board::stored`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Scores, or events that are counted.
    Add {
        /// How much is added.
        delta: i64,
        /// When the last of it happened.
        reached: Reached,
    },
    /// The best score.
    Best {
        /// That score.
        value: i64,
        /// When it was first made.
        reached: Reached,
    },
    /// The newest event's score.
    Last {
        /// That score.
        value: i64,
        /// When it was made.
        reached: Reached,
        /// Which event that is.
        recency: Recency,
    },
}

impl Change {
    /// What one event does to a sum. One that is worth nothing registers the player and moves no
    /// time.
    #[must_use]
    pub fn of(units: i64, reached: Reached) -> Self {
        Self::Add { delta: units, reached: if units == 0 { Reached::NEVER } else { reached } }
    }

    /// Both changes in one. A sum whose totals stop at their limit has forgotten what lay beyond:
    /// that alone depends on the order, and only where scores are of both signs.
    ///
    /// # Panics
    /// When the changes are of boards that aggregate differently.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Add { delta, reached }, Self::Add { delta: more, reached: later }) => Self::Add {
                delta: delta.saturating_add(more).clamp(-MAX_DELTA, MAX_DELTA),
                reached: reached.max(later),
            },
            (Self::Best { value, reached }, Self::Best { value: rival, reached: time }) => {
                match value.cmp(&rival) {
                    Ordering::Greater => self,
                    Ordering::Less => other,
                    Ordering::Equal => Self::Best { value, reached: reached.min(time) },
                }
            }
            (Self::Last { recency, .. }, Self::Last { recency: newer, .. }) => {
                if newer > recency {
                    other
                } else {
                    self
                }
            }
            _ => panic!("{self:?} and {other:?} are not of one board"),
        }
    }

    /// What is added, or the best or the newest score; of all changes together, the total.
    #[must_use]
    pub fn value(&self) -> i64 {
        match self {
            Self::Add { delta: total, .. }
            | Self::Best { value: total, .. }
            | Self::Last { value: total, .. } => *total,
        }
    }

    /// When that was reached, as far as these events say.
    #[must_use]
    pub fn reached(&self) -> Reached {
        match self {
            Self::Add { reached, .. } | Self::Best { reached, .. } | Self::Last { reached, .. } => *reached,
        }
    }

    /// The change as a board keeps it that has come to it: the total stops at `limit`, the time is
    /// cut to what the total leaves room for.
    #[must_use]
    pub fn settled(mut self, limit: i64) -> Self {
        let (Self::Add { delta: total, reached }
        | Self::Best { value: total, reached }
        | Self::Last { value: total, reached, .. }) = &mut self;
        *total = (*total).clamp(-limit, limit);
        *reached = reached.cut_for(*total);
        self
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
    /// Where it counts if it counts.
    pub scope: Scope,
    /// What it does there.
    pub change: Change,
}

/// What events without an id do that count in the same rankings.
#[derive(Clone, Debug)]
pub struct ScopeChanges {
    /// Where they count.
    pub scope: Scope,
    /// Merged per player.
    pub players: HashMap<PlayerId, Change>,
}

/// What a batch of events does to one board.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    scopes: Vec<ScopeChanges>,
    identified: Vec<Identified>,
    len: usize,
    rows: usize,
}

impl Changes {
    /// Takes an event that always counts, for all time on a board that is not per value.
    pub fn add(&mut self, player: &PlayerId, change: Change) {
        self.add_in(None, &Scope::all_time().windows, player, change);
    }

    /// Takes an event that always counts, in each of these windows: at least one.
    pub fn add_in(
        &mut self,
        value: Option<&str>,
        windows: &[Arc<Window>],
        player: &PlayerId,
        change: Change,
    ) {
        // Few scopes are met at once, and mostly the same ones.
        let known = self.scopes.iter().position(|changes| changes.scope.is(value, windows));
        let at = known.unwrap_or_else(|| {
            self.scopes.push(ScopeChanges { scope: Scope::new(value, windows), players: HashMap::new() });
            self.scopes.len() - 1
        });
        let players = &mut self.scopes[at].players;
        if let Some(merged) = players.get_mut(player) {
            *merged = merged.merge(change);
        } else {
            players.insert(player.clone(), change);
            self.len += 1;
            self.rows += windows.len();
        }
    }

    /// Takes an event that counts unless its id was seen.
    pub fn add_identified(&mut self, event: Identified) {
        self.len += 1;
        self.rows += event.scope.windows.len();
        self.identified.push(event);
    }

    /// Events without an id, by where they count.
    #[must_use]
    pub fn scopes(&self) -> &[ScopeChanges] {
        &self.scopes
    }

    /// Events with an id, in the order of the log.
    #[must_use]
    pub fn identified(&self) -> &[Identified] {
        &self.identified
    }

    /// How many entries a script has to read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many rows it has to write for them at most.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The UTC day that an instant lies in, counted from 1970-01-01.
#[must_use]
pub fn day_of(time: EventTime) -> i64 {
    time.micros().div_euclid(DAY_MICROS)
}
