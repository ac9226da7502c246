//! Boards that are ahead of others.
//!
//! The log is read from where the least advanced board stands; those that stand farther on leave
//! out what they have. So a board that was added, or lost, is made from the log by itself while the
//! others lose and repeat nothing.

use boards::Arrival;
use pipeline::sink::{Partition, Span};
use std::collections::BTreeMap;

/// For each board, the partitions in which it stood beyond where the log is read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resume(Vec<BTreeMap<Partition, i64>>);

impl Resume {
    /// Where to read from, given where each board stands, and which are ahead of that.
    pub(crate) fn of(boards: &[BTreeMap<Partition, i64>]) -> (BTreeMap<Partition, i64>, Self) {
        let mut least = BTreeMap::new();
        for (partition, offset) in boards.iter().flatten() {
            let at = least.entry(*partition).or_insert(*offset);
            *at = (*at).min(*offset);
        }
        let ahead = |board: &BTreeMap<Partition, i64>| {
            let ahead = board.iter().filter(|(partition, offset)| least[partition] < **offset);
            ahead.map(|(partition, offset)| (*partition, *offset)).collect()
        };
        let ahead = boards.iter().map(ahead).collect();
        (least, Self(ahead))
    }

    fn begins_at(&self, board: usize, partition: Partition) -> Option<i64> {
        self.0.get(board)?.get(&partition).copied()
    }

    /// Whether the board has the event already.
    pub(crate) fn is_past(&self, board: usize, topic: usize, arrival: Arrival) -> bool {
        let partition = Partition { topic, number: arrival.partition };
        self.begins_at(board, partition).is_some_and(|begins_at| arrival.offset < begins_at)
    }

    /// The part of a span that the board does not have yet; `None` when it has all of it.
    pub(crate) fn rest_of(&self, board: usize, span: Span) -> Option<Span> {
        let from =
            self.begins_at(board, span.partition).map_or(span.from, |begins_at| span.from.max(begins_at));
        (from < span.to).then_some(Span { from, ..span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::EventTime;

    fn partition(number: i32) -> Partition {
        Partition { topic: 0, number }
    }

    #[test]
    fn log_is_read_from_the_least_and_whoever_is_ahead_leaves_out_what_it_has() {
        let boards =
            [[(partition(0), 5), (partition(1), 9)].into(), [(partition(0), 8), (partition(1), 2)].into()];
        let (least, resume) = Resume::of(&boards);
        assert_eq!(least, [(partition(0), 5), (partition(1), 2)].into());
        let at = |offset| Arrival { at: EventTime::UNIX_EPOCH, partition: 0, offset };
        assert!(!resume.is_past(0, 0, at(5)));
        assert!(resume.is_past(1, 0, at(7)) && !resume.is_past(1, 0, at(8)));
        let span = |from, to| Span { partition: partition(0), from, to };
        assert_eq!(resume.rest_of(0, span(5, 8)), Some(span(5, 8)));
        assert_eq!(resume.rest_of(1, span(5, 8)), None);
        assert_eq!(resume.rest_of(1, span(5, 9)), Some(span(8, 9)));
        assert_eq!(resume.rest_of(1, span(9, 12)), Some(span(9, 12)));
    }
}
