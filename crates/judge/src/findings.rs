//! The differences that were found. Pure.

use serde::Serialize;
use std::fmt;

/// How many differences are named; the rest is counted.
pub const NAMED: usize = 20;

/// Where something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What was acknowledged, against the log.
    Log,
    /// The board, as the API tells it.
    Board,
    /// The archive in Postgres.
    Archive,
    /// What viewers see.
    Viewers,
}

impl Part {
    /// The part in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Board => "board",
            Self::Archive => "archive",
            Self::Viewers => "viewers",
        }
    }
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where.
    pub part: Part,
    /// Of whom or what: a player, a row, an event.
    pub of: String,
    /// What must be.
    pub expected: String,
    /// What is.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: expected {}, found {}", self.part.words(), self.of, self.expected, self.found)
    }
}

/// Names the first differences and counts the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many there are.
    pub total: u64,
    /// The first [`NAMED`] of them.
    pub first: Vec<Difference>,
}

impl Findings {
    /// Takes a difference in.
    pub fn add(
        &mut self,
        part: Part,
        of: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        self.total += 1;
        if self.first.len() < NAMED {
            let (of, expected, found) = (of.to_string(), expected.to_string(), found.to_string());
            self.first.push(Difference { part, of, expected, found });
        }
    }

    /// Adds what another part found.
    pub fn absorb(&mut self, other: Self) {
        self.total += other.total;
        let room = NAMED - self.first.len();
        self.first.extend(other.first.into_iter().take(room));
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_are_named_and_all_are_counted() {
        let part = |part| {
            let mut findings = Findings::default();
            (0..15).for_each(|number| findings.add(part, number, 1, 2));
            findings
        };
        let mut all = part(Part::Log);
        all.absorb(part(Part::Board));
        assert_eq!((all.total, all.first.len()), (30, NAMED));
        assert_eq!(all.first[15].to_string(), "board: 0: expected 1, found 2");
    }
}
