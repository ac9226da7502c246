//! The differences that were found. Pure.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How many of a kind are named, unless all are asked for.
const NAMED: usize = 20;

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A record of the log has no row in the archive.
    MissingRow,
    /// A row of the archive has no record behind it.
    ExtraRow,
    /// A record has more than one row.
    RowTwice,
    /// A row says something else than its record.
    DifferentRow,
    /// A view that events come to is not in Redis, or not among the board's views there.
    MissingView,
    /// A view is in Redis that no events come to.
    UnknownView,
    /// A player of the log is not in the view.
    MissingPlayer,
    /// A player in the view is not in the log.
    UnknownPlayer,
    /// A player's total is not what the events come to.
    WrongTotal,
    /// A player's total was not reached when the board says.
    WrongReachTime,
    /// The board remembers another event as a player's newest.
    WrongNewestEvent,
    /// The view has another number of players than were found in it.
    PlayerCount,
    /// What the archive keeps of a window that is over is not what the events came to.
    WrongFinalStanding,
}

impl Kind {
    /// The kind in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::MissingRow => "record missing from the archive",
            Self::ExtraRow => "row of the archive without a record",
            Self::RowTwice => "record more than once in the archive",
            Self::DifferentRow => "row of the archive unlike its record",
            Self::MissingView => "view missing from Redis",
            Self::UnknownView => "view in Redis and not in the log",
            Self::MissingPlayer => "player missing from the board",
            Self::UnknownPlayer => "player on the board and not in the log",
            Self::WrongTotal => "wrong total on the board",
            Self::WrongReachTime => "wrong reach time on the board",
            Self::WrongNewestEvent => "wrong event remembered as the newest",
            Self::PlayerCount => "wrong number of players on the board",
            Self::WrongFinalStanding => "final standing in the archive unlike the log",
        }
    }
}

/// Where something differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum At {
    /// A record and its row.
    Record {
        /// `topic/partition/offset`
        record: String,
    },
    /// A view of a board.
    View {
        /// The board as the API calls it: `name`, or `name:value`.
        board: String,
        /// The window's id.
        window: String,
    },
    /// A player in a view.
    Player {
        /// The board as the API calls it: `name`, or `name:value`.
        board: String,
        /// The window's id.
        window: String,
        /// The player's id.
        player: String,
    },
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { record } => f.write_str(record),
            Self::View { board, window } => write!(f, "{board} in {window}"),
            Self::Player { board, window, player } => write!(f, "{board} in {window}, player {player}"),
        }
    }
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where.
    #[serde(flatten)]
    pub at: At,
    /// What is there and what must be.
    pub what: String,
}

/// The differences of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind.
    pub kind: Kind,
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Difference>,
}

/// Names the first of each kind and counts the rest.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    named: usize,
    found: BTreeMap<Kind, Finding>,
}

impl Findings {
    /// Nothing was found yet.
    pub(crate) fn new(all: bool) -> Self {
        Self { named: if all { usize::MAX } else { NAMED }, found: BTreeMap::new() }
    }

    /// Takes a difference in; `what` is asked only if it is going to be shown.
    pub(crate) fn add(&mut self, kind: Kind, difference: impl FnOnce() -> Difference) {
        let finding = self.found.entry(kind).or_insert(Finding { kind, count: 0, first: Vec::new() });
        finding.count += 1;
        if finding.first.len() < self.named {
            finding.first.push(difference());
        }
    }

    /// Adds what another part found.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (kind, finding) in other.found {
            let uncounted = finding.count - finding.first.len() as u64;
            for difference in finding.first {
                self.add(kind, || difference);
            }
            if let Some(own) = self.found.get_mut(&kind) {
                own.count += uncounted;
            }
        }
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many of a kind there are.
    #[cfg(test)]
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.found.get(&kind).map_or(0, |finding| finding.count)
    }

    /// By kind.
    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_are_named_and_the_rest_is_counted() {
        let difference =
            |number: usize| Difference { at: At::Record { record: number.to_string() }, what: String::new() };
        let part = |all| {
            let mut part = Findings::new(all);
            for number in 0..30 {
                part.add(Kind::WrongTotal, || difference(number));
            }
            part
        };
        for (all, named) in [(false, NAMED), (true, 60)] {
            let mut both = part(all);
            both.absorb(part(all));
            let found = both.into_vec();
            assert_eq!((found[0].count, found[0].first.len()), (60, named));
        }
    }
}
