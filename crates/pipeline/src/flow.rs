//! Which records are folded, and what may be written next: a state machine without I/O or clock.

use crate::sink::{Partition, Span, Step};
use std::collections::{BTreeMap, VecDeque};

/// A decoded record on its way from the polling thread.
#[derive(Debug)]
pub struct Decoded<E> {
    /// Where it stands.
    pub partition: Partition,
    /// Where in the partition it stands.
    pub offset: i64,
    /// What the sink's decoder made of it.
    pub event: E,
}

/// Turns records into steps.
///
/// Promises, whatever the records: the spans of one partition follow each other without gap or
/// overlap from the position that the flow was started at, and every record within a span was
/// folded exactly once. Records of an older generation are ignored; so are records below the
/// position. Offsets that the log itself skips (compaction, transaction markers) are covered by
/// the span of the record after them.
#[derive(Debug)]
pub struct Flow<B> {
    generation: u64,
    next: BTreeMap<Partition, i64>,
    steps: VecDeque<Step<B>>,
}

impl<B> Default for Flow<B> {
    fn default() -> Self {
        Self { generation: 0, next: BTreeMap::new(), steps: VecDeque::new() }
    }
}

impl<B: Default> Flow<B> {
    /// Forgets everything and starts at `positions`. Records must carry the generation returned.
    pub fn start(&mut self, positions: BTreeMap<Partition, i64>) -> u64 {
        self.halt();
        self.next = positions;
        self.generation
    }

    /// Forgets everything and takes no record until the next start.
    pub fn halt(&mut self) {
        self.generation += 1;
        self.next.clear();
        self.steps.clear();
    }

    /// Takes records in, in the order of the log.
    pub fn take_in<E>(
        &mut self,
        generation: u64,
        records: impl IntoIterator<Item = Decoded<E>>,
        mut fold: impl FnMut(&mut B, E),
        is_full: impl Fn(&B) -> bool,
    ) {
        if generation != self.generation {
            return;
        }
        for record in records {
            let Some(next) = self.next.get_mut(&record.partition) else { continue };
            if record.offset < *next {
                continue;
            }
            let from = std::mem::replace(next, record.offset + 1);
            let step = match self.steps.back_mut() {
                Some(step) if !is_full(&step.batch) => step,
                _ => {
                    self.steps.push_back(Step { batch: B::default(), spans: Vec::new(), records: 0 });
                    self.steps.back_mut().expect("just pushed")
                }
            };
            fold(&mut step.batch, record.event);
            step.records += 1;
            match step.spans.binary_search_by_key(&record.partition, |span| span.partition) {
                Ok(at) => step.spans[at].to = record.offset + 1,
                Err(at) => {
                    let span = Span { partition: record.partition, from, to: record.offset + 1 };
                    step.spans.insert(at, span);
                }
            }
        }
    }

    /// How many steps wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.steps.len()
    }

    /// Hands out up to `max` steps to be written, in order, or `None` when there is nothing.
    pub fn next_chain(&mut self, max: usize) -> Option<Vec<Step<B>>> {
        let chain: Vec<Step<B>> = self.steps.drain(..self.steps.len().min(max)).collect();
        (!chain.is_empty()).then_some(chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Batch = Vec<(Partition, i64)>;

    fn partition(number: i32) -> Partition {
        Partition { topic: 0, number }
    }

    fn take_in(flow: &mut Flow<Batch>, generation: u64, offsets: &[(i32, i64)]) {
        let records = offsets.iter().map(|&(number, offset)| {
            let partition = partition(number);
            Decoded { partition, offset, event: (partition, offset) }
        });
        flow.take_in(generation, records, Batch::push, |batch| batch.len() >= 3);
    }

    #[test]
    fn records_of_an_older_generation_are_ignored() {
        let mut flow = Flow::default();
        let old = flow.start(BTreeMap::from([(partition(0), 0)]));
        let new = flow.start(BTreeMap::from([(partition(0), 5)]));
        take_in(&mut flow, old, &[(0, 7)]);
        assert_eq!(flow.waiting(), 0);
        take_in(&mut flow, new, &[(0, 5)]);
        assert_eq!(flow.waiting(), 1);
    }

    #[test]
    fn offsets_that_the_log_skips_are_covered() {
        let mut flow = Flow::default();
        let generation = flow.start(BTreeMap::from([(partition(0), 10)]));
        take_in(&mut flow, generation, &[(0, 12), (0, 20)]);
        let chain = flow.next_chain(9).unwrap();
        assert_eq!(chain[0].spans, [Span { partition: partition(0), from: 10, to: 21 }]);
    }

    #[test]
    fn nothing_is_taken_after_a_halt() {
        let mut flow = Flow::default();
        let generation = flow.start(BTreeMap::from([(partition(0), 0)]));
        take_in(&mut flow, generation, &[(0, 0)]);
        flow.halt();
        take_in(&mut flow, generation, &[(0, 1)]);
        assert!(flow.next_chain(9).is_none());
    }

    proptest! {
        #[test]
        fn spans_are_gapless_and_every_record_is_folded_once(
            records in proptest::collection::vec((0..3i32, 0..4i64), 0..200),
            repeats in proptest::collection::vec(0..200usize, 0..20),
            starts in proptest::array::uniform3(0..50i64),
            max in 1..4usize,
        ) {
            // A log with holes: offsets grow by 1 to 4 within each partition.
            let mut ends = [0i64; 3];
            let mut log: Vec<(i32, i64)> = records.into_iter().map(|(number, skip)| {
                let end = &mut ends[usize::try_from(number).unwrap()];
                let offset = *end + skip;
                *end = offset + 1;
                (number, offset)
            }).collect();
            // And delivered more than once here and there.
            let again: Vec<(i32, i64)> = repeats.into_iter().filter_map(|at| log.get(at).copied()).collect();
            log.extend(again);
            let mut flow = Flow::default();
            let generation = flow.start((0..3).map(|p| (partition(p), starts[usize::try_from(p).unwrap()])).collect());
            let mut stored: BTreeMap<Partition, i64> =
                (0..3).map(|p| (partition(p), starts[usize::try_from(p).unwrap()])).collect();
            let mut folded = Vec::new();
            for chunk in log.chunks(7) {
                take_in(&mut flow, generation, chunk);
                for step in flow.next_chain(max).into_iter().flatten() {
                    prop_assert_eq!(step.records, step.batch.len() as u64);
                    for span in &step.spans {
                        prop_assert_eq!(stored.insert(span.partition, span.to), Some(span.from));
                    }
                    for &(partition, offset) in &step.batch {
                        prop_assert!(step.spans.iter().any(|s| s.partition == partition && s.from <= offset && offset < s.to));
                    }
                    folded.extend(step.batch);
                }
            }
            for step in flow.next_chain(usize::MAX).into_iter().flatten() {
                folded.extend(step.batch);
            }
            let mut expected: Vec<(Partition, i64)> = log.iter().map(|&(p, offset)| (partition(p), offset))
                .filter(|(p, offset)| *offset >= starts[usize::try_from(p.number).unwrap()]).collect();
            expected.sort_unstable();
            expected.dedup();
            folded.sort_unstable();
            prop_assert_eq!(folded, expected);
        }
    }
}
