//! What the dead letters are, and what became of each. Pure: a fold over the topic.

use contracts::dead_letter::Coordinates;
use contracts::replay::{ReplayMark, ReplayStep};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Where a letter stands in the dead-letter topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A refused record, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) place: Place,
    pub(crate) coordinates: Coordinates,
    /// The refused record's time, or when it was refused if it has none, in ms since 1970.
    pub(crate) time_ms: Option<i64>,
    pub(crate) stage: String,
    pub(crate) class: String,
    pub(crate) field: Option<String>,
    pub(crate) message: String,
    /// How long its value is.
    pub(crate) bytes: usize,
    pub(crate) fate: Fate,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was never sent again.
    Waiting,
    /// A run was about to send it, and never said that it did.
    InDoubt { run: String, at_ms: i64, log_ends: BTreeMap<i32, i64> },
    /// It was sent again.
    Replayed { run: String, at_ms: i64 },
}

/// A fate's name, as people and programs see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Waiting,
    InDoubt,
    Replayed,
}

impl Fate {
    /// The run that it was replayed by last, or was to be.
    pub(crate) fn run(&self) -> Option<&str> {
        match self {
            Self::Waiting => None,
            Self::InDoubt { run, .. } | Self::Replayed { run, .. } => Some(run),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self::Waiting => State::Waiting,
            Self::InDoubt { .. } => State::InDoubt,
            Self::Replayed { .. } => State::Replayed,
        }
    }
}

impl State {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::InDoubt => "in doubt",
            Self::Replayed => "replayed",
        }
    }
}

/// Every letter once, in the order in which they were refused first.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    letters: Vec<Letter>,
    index: HashMap<Coordinates, usize>,
}

impl Ledger {
    pub(crate) fn letters(&self) -> &[Letter] {
        &self.letters
    }

    pub(crate) fn get(&self, coordinates: &Coordinates) -> Option<&Letter> {
        self.index.get(coordinates).map(|index| &self.letters[*index])
    }

    /// Takes a letter. One that was refused twice, after a crash, counts once.
    pub(crate) fn take_letter(&mut self, letter: Letter) {
        if !self.index.contains_key(&letter.coordinates) {
            self.index.insert(letter.coordinates.clone(), self.letters.len());
            self.letters.push(letter);
        }
    }

    /// Takes a mark. A `started` one counts only when it knew the letter's last run, a `done` one
    /// only from that run; marks of letters that are not there any more count for nothing.
    pub(crate) fn take_mark(&mut self, coordinates: &Coordinates, mark: ReplayMark) {
        let Some(index) = self.index.get(coordinates) else { return };
        let fate = &mut self.letters[*index].fate;
        let ReplayMark { run, at_ms, step } = mark;
        match step {
            ReplayStep::Started { after, log_ends } if after.as_deref() == fate.run() => {
                *fate = Fate::InDoubt { run, at_ms, log_ends };
            }
            ReplayStep::Done if fate.run() == Some(&run) => *fate = Fate::Replayed { run, at_ms },
            ReplayStep::Started { .. } | ReplayStep::Done => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn letter(partition: i32, offset: i64) -> Letter {
        Letter {
            place: Place { partition: 0, offset },
            coordinates: Coordinates { topic: "game-score".into(), partition, offset },
            time_ms: Some(offset * 1000),
            stage: "score-ranker".into(),
            class: "not_json".into(),
            field: None,
            message: "m".into(),
            bytes: 1,
            fate: Fate::Waiting,
        }
    }

    fn started(run: &str, after: Option<&str>) -> ReplayMark {
        let step = ReplayStep::Started { after: after.map(Into::into), log_ends: BTreeMap::new() };
        ReplayMark { run: run.into(), at_ms: 1, step }
    }

    fn done(run: &str) -> ReplayMark {
        ReplayMark { run: run.into(), at_ms: 2, step: ReplayStep::Done }
    }

    /// The letter's state and last run after these marks.
    fn fate(marks: &[ReplayMark]) -> (State, Option<String>) {
        let mut ledger = Ledger::default();
        let letter = letter(3, 7);
        ledger.take_letter(letter.clone());
        for mark in marks {
            ledger.take_mark(&letter.coordinates, mark.clone());
            // Refused once more: the same letter, not a new one.
            ledger.take_letter(letter.clone());
        }
        let fate = &ledger.get(&letter.coordinates).unwrap().fate;
        (fate.state(), fate.run().map(str::to_owned))
    }

    #[test]
    fn letter_refused_twice_is_one() {
        let mut ledger = Ledger::default();
        ledger.take_letter(letter(3, 7));
        ledger.take_letter(Letter { place: Place { partition: 0, offset: 9 }, ..letter(3, 7) });
        assert_eq!(ledger.letters(), [letter(3, 7)]);
    }

    #[test]
    fn of_two_runs_at_once_the_first_on_the_log_has_the_letter() {
        assert_eq!(fate(&[started("a", None), started("b", None)]), (State::InDoubt, Some("a".into())));
        let marks = [started("a", None), started("b", None), done("b"), done("a")];
        assert_eq!(fate(&marks[..3]), (State::InDoubt, Some("a".into())));
        assert_eq!(fate(&marks), (State::Replayed, Some("a".into())));
    }

    #[test]
    fn letter_goes_again_only_after_the_run_that_was_seen() {
        let marks = [started("a", None), done("a"), started("b", Some("a")), started("c", Some("a"))];
        assert_eq!(fate(&marks), (State::InDoubt, Some("b".into())));
        let taken_over = [started("a", None), started("b", Some("a")), done("a")];
        assert_eq!(fate(&taken_over), (State::InDoubt, Some("b".into())));
    }

    #[test]
    fn marks_without_a_letter_count_for_nothing() {
        let mut ledger = Ledger::default();
        ledger.take_mark(&letter(3, 7).coordinates, done("a"));
        assert_eq!(ledger.letters(), []);
    }
}
