//! Members ordered by a double and then by their bytes.

use super::data::ByteString;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

/// A sorted set. The rows are a sorted list: boards of a simulation are small, and a rank is
/// one binary search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SortedSet {
    rows: Vec<(f64, ByteString)>,
    scores: BTreeMap<ByteString, f64>,
}

/// Where a range of scores begins or ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreBound {
    pub(super) score: f64,
    pub(super) exclusive: bool,
}

impl SortedSet {
    /// The rows in ascending order.
    #[must_use]
    pub fn rows(&self) -> &[(f64, ByteString)] {
        &self.rows
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// The place of a member in ascending order, from 0.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        self.score(member).map(|score| self.place(score, member))
    }

    /// Puts `member` under `score`, which must not be NaN.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        // The compact form in which Redis keeps small sorted sets has no minus zero.
        let score = if score == 0.0 { 0.0 } else { score };
        self.remove(member);
        let shared: ByteString = member.into();
        let place = self.place(score, member);
        self.rows.insert(place, (score, shared.clone()));
        self.scores.insert(shared, score);
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        let place = self.place(score, member);
        self.rows.remove(place);
        true
    }

    /// The rows whose scores lie between the bounds.
    pub(super) fn between(&self, low: ScoreBound, high: ScoreBound) -> Range<usize> {
        let begin =
            self.rows.partition_point(
                |(score, _)| {
                    if low.exclusive { *score <= low.score } else { *score < low.score }
                },
            );
        let end = self.rows.partition_point(|(score, _)| {
            if high.exclusive { *score < high.score } else { *score <= high.score }
        });
        begin..end.max(begin)
    }

    /// How many rows stand before (`score`, `member`).
    fn place(&self, score: f64, member: &[u8]) -> usize {
        self.rows.partition_point(|(other, name)| {
            let order = other.partial_cmp(&score).expect("no score is NaN");
            order.then_with(|| (**name).cmp(member)) == Ordering::Less
        })
    }
}
