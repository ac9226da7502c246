//! What a stretch of the log comes to, in a few bytes. Pure.

use archive_store::audit::OffsetRange;
use std::collections::BTreeMap;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_128;

/// How many offsets one digest stands for: 24 bytes in 4096 records, and what differs is found
/// again by reading no more than that.
const RANGE_OFFSETS: i64 = 4096;

/// Offsets by partition.
pub(crate) type Spans = BTreeMap<i32, Range<i64>>;

/// How many rows there are and the sum of their hashes, which does not depend on their order. A
/// row that is there twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u128,
}

/// A digest for every 4096 offsets of some stretches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    lanes: BTreeMap<i32, Lane>,
}

#[derive(Clone, Debug)]
struct Lane {
    span: Range<i64>,
    digests: Vec<Digest>,
}

impl Ledger {
    /// Nothing was entered yet.
    pub(crate) fn of(spans: &Spans) -> Self {
        let lane = |span: &Range<i64>| {
            let ranges = (span.end - span.start).max(0).unsigned_abs().div_ceil(RANGE_OFFSETS.unsigned_abs());
            let ranges = usize::try_from(ranges).expect("a digest for each fits memory");
            Lane { span: span.clone(), digests: vec![Digest::default(); ranges] }
        };
        Self { lanes: spans.iter().map(|(partition, span)| (*partition, lane(span))).collect() }
    }

    /// Enters a row by its bytes; says whether its offset is in one of the stretches.
    pub(crate) fn enter(&mut self, partition: i32, offset: i64, row: &[u8]) -> bool {
        let Some(lane) = self.lanes.get_mut(&partition).filter(|lane| lane.span.contains(&offset)) else {
            return false;
        };
        let index = usize::try_from((offset - lane.span.start) / RANGE_OFFSETS).expect("within the span");
        let digest = &mut lane.digests[index];
        digest.rows += 1;
        digest.sum = digest.sum.wrapping_add(xxh3_128(row));
        true
    }

    /// Enters where a row stands and nothing of what it says.
    pub(crate) fn enter_place(&mut self, partition: i32, offset: i64) -> bool {
        self.enter(partition, offset, &place_bytes(partition, offset))
    }

    /// Adds what another has, of the same stretches.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (partition, lane) in &other.lanes {
            let Some(own) = self.lanes.get_mut(partition) else { continue };
            for (own, other) in own.digests.iter_mut().zip(&lane.digests) {
                own.rows += other.rows;
                own.sum = own.sum.wrapping_add(other.sum);
            }
        }
    }

    /// How many rows were entered.
    pub(crate) fn rows(&self) -> u64 {
        self.lanes.values().flat_map(|lane| &lane.digests).map(|digest| digest.rows).sum()
    }

    /// The offsets of each range in which the two are not the same, and how many rows the other
    /// has there.
    pub(crate) fn differing(&self, other: &Self) -> Vec<(OffsetRange, u64)> {
        let mut differing = Vec::new();
        for (partition, lane) in &self.lanes {
            let Some(others) = other.lanes.get(partition) else { continue };
            for (from, (own, other)) in lane.ranges().zip(lane.digests.iter().zip(&others.digests)) {
                if own != other {
                    let to = (from + RANGE_OFFSETS).min(lane.span.end);
                    differing.push((OffsetRange { partition: *partition, from, to }, other.rows));
                }
            }
        }
        differing
    }
}

impl Lane {
    fn ranges(&self) -> impl Iterator<Item = i64> {
        self.span.clone().step_by(usize::try_from(RANGE_OFFSETS).expect("positive"))
    }
}

fn place_bytes(partition: i32, offset: i64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&partition.to_be_bytes());
    bytes[4..].copy_from_slice(&offset.to_be_bytes());
    bytes
}

/// What a ledger has that holds every offset of the stretches once.
pub(crate) fn every_place_once(spans: &Spans) -> Ledger {
    let mut ledger = Ledger::of(spans);
    for (partition, span) in spans {
        for offset in span.clone() {
            ledger.enter_place(*partition, offset);
        }
    }
    ledger
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger(rows: &[(i32, i64, Vec<u8>)]) -> Ledger {
        let mut ledger = Ledger::of(&BTreeMap::from([(0, 10..10_000), (3, 0..5)]));
        for (partition, offset, row) in rows {
            ledger.enter(*partition, *offset, row);
        }
        ledger
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_any_change_shows_in_its_range(
            rows in proptest::collection::vec((10..10_000i64, proptest::collection::vec(any::<u8>(), 0..9)), 1..60),
            chosen in any::<prop::sample::Index>(),
            turned in any::<prop::sample::Index>(),
        ) {
            let rows: Vec<_> = rows.into_iter().map(|(offset, row)| (0, offset, row)).collect();
            let mut other = rows.clone();
            other.rotate_left(turned.index(rows.len()));
            prop_assert_eq!(ledger(&rows).differing(&ledger(&other)), []);

            let at = chosen.index(rows.len());
            let offset = rows[at].1;
            let hit = |changed: &[(i32, i64, Vec<u8>)]| {
                let differing = ledger(&rows).differing(&ledger(changed));
                differing.len() == 1 && (differing[0].0.from..differing[0].0.to).contains(&offset)
            };
            let mut changed = rows.clone();
            changed[at].2.push(0);
            prop_assert!(hit(&changed), "another content");
            changed = rows.clone();
            changed.remove(at);
            prop_assert!(hit(&changed), "missing");
            changed = rows.clone();
            changed.push(rows[at].clone());
            prop_assert!(hit(&changed), "twice");
        }
    }

    #[test]
    fn what_is_outside_is_not_entered() {
        let mut ledger = ledger(&[]);
        for (partition, offset) in [(0, 9), (0, 10_000), (3, 5), (1, 0)] {
            assert!(!ledger.enter(partition, offset, b""));
        }
        assert!(ledger.enter(3, 4, b"") && ledger.enter(0, 9_999, b""));
        assert_eq!(ledger.rows(), 2);
    }

    #[test]
    fn ranges_end_where_the_stretch_does() {
        let (none, one) = (ledger(&[]), ledger(&[(0, 9_999, vec![1])]));
        let range = OffsetRange { partition: 0, from: 10 + 2 * RANGE_OFFSETS, to: 10_000 };
        assert_eq!(none.differing(&one), [(range, 1)]);
    }

    #[test]
    fn parts_of_a_ledger_add_up() {
        let (a, b) = ((0, 11, vec![1]), (3, 2, vec![2]));
        let mut sum = ledger(std::slice::from_ref(&a));
        sum.absorb(&ledger(std::slice::from_ref(&b)));
        assert_eq!(sum.differing(&ledger(&[a, b])), []);
    }

    #[test]
    fn a_place_twice_does_not_stand_for_one_that_is_missing() {
        let spans = BTreeMap::from([(0, 0..4)]);
        let mut found = Ledger::of(&spans);
        for offset in [0, 1, 1, 3] {
            found.enter_place(0, offset);
        }
        assert_eq!(every_place_once(&spans).differing(&found).len(), 1);
    }
}
