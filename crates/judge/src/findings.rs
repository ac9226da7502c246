//! The differences that were found. Pure.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    found: BTreeMap<Part, Found>,
}

/// The differences of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    total: u64,
    first: Vec<Difference>,
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
        let of_part = self.found.entry(part).or_default();
        of_part.total += 1;
        if of_part.first.len() < NAMED {
            let (of, expected, found) = (of.to_string(), expected.to_string(), found.to_string());
            of_part.first.push(Difference { part, of, expected, found });
        }
    }

    /// Adds what others have found.
    pub fn absorb(&mut self, other: Self) {
        for (part, found) in other.found {
            let of_part = self.found.entry(part).or_default();
            of_part.total += found.total;
            let room = NAMED - of_part.first.len();
            of_part.first.extend(found.first.into_iter().take(room));
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.found.values().map(|found| found.total).sum()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The first [`NAMED`] of them, by part. Where there are more, no part keeps another from being
    /// named.
    #[must_use]
    pub fn first(&self) -> Vec<&Difference> {
        let mut shares = vec![0; self.found.len()];
        let mut room = NAMED;
        loop {
            let before = room;
            for (share, found) in shares.iter_mut().zip(self.found.values()) {
                if room > 0 && *share < found.first.len() {
                    *share += 1;
                    room -= 1;
                }
            }
            if room == before {
                break;
            }
        }
        let shared = shares.into_iter().zip(self.found.values());
        shared.flat_map(|(share, found)| found.first.iter().take(share)).collect()
    }
}

/// `total`, how many there are of each part (`by_part`), and the `first` of them.
impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let by_part: BTreeMap<Part, u64> =
            self.found.iter().map(|(part, found)| (*part, found.total)).collect();
        let mut members = serializer.serialize_struct("Findings", 3)?;
        members.serialize_field("total", &self.total())?;
        members.serialize_field("by_part", &by_part)?;
        members.serialize_field("first", &self.first())?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(part: Part, count: usize) -> Findings {
        let mut findings = Findings::default();
        (0..count).for_each(|number| findings.add(part, number, 1, 2));
        findings
    }

    #[test]
    fn first_are_named_and_all_are_counted() {
        let mut all = of(Part::Log, 15);
        all.absorb(of(Part::Log, 15));
        assert_eq!((all.total(), all.first().len()), (30, NAMED));
        assert_eq!(all.first()[16].to_string(), "log: 1: expected 1, found 2");
        assert!(!all.is_empty() && of(Part::Log, 0).is_empty());
    }

    #[test]
    fn no_part_keeps_another_from_being_named() {
        let mut all = of(Part::Board, 100);
        all.absorb(of(Part::Archive, 3));
        all.absorb(of(Part::Viewers, 50));
        let named: Vec<Part> = all.first().iter().map(|difference| difference.part).collect();
        let count = |part| named.iter().filter(|other| **other == part).count();
        assert_eq!([Part::Board, Part::Archive, Part::Viewers].map(count), [9, 3, 8]);
        let json = serde_json::to_value(&all).unwrap();
        assert_eq!((&json["total"], &json["by_part"]["archive"]), (&153.into(), &3.into()));
        assert_eq!(json["first"][0]["part"], "board");
    }
}
