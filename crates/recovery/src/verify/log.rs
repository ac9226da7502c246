//! Reading the log, once, for all comparisons.

use crate::verify::digest::{Ledger, Spans};
use crate::verify::fold::{Fold, Reader};
use crate::verify::judge::{Judgement, judge, row};
use crate::verify::progress::{Counter, Progress};
use anyhow::Context as _;
use archive_store::ErasedPlayers;
use archive_store::audit::{ExpectedRow, OffsetRange, Table};
use boards::BoardSet;
use boards::changes::day_of;
use pipeline::KafkaSettings;
use pipeline::scan::{Scan, Scanned};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What the broker knows us by.
const CLIENT: &str = "boardctl-verify";
/// More readers than this would only wait for each other.
const MAX_READERS: usize = 8;

/// The log of one topic and what its records mean.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) kafka: KafkaSettings,
    pub(crate) topic: String,
    pub(crate) boards: BoardSet,
    pub(crate) erased: Arc<ErasedPlayers>,
}

/// What one reading of the log found.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// What the archive must have.
    pub(crate) ledger: Ledger,
    /// How many records there were.
    pub(crate) records: u64,
    /// How many of them are dead letters.
    pub(crate) refused: u64,
}

/// A row that the archive must have.
#[derive(Clone, Debug)]
pub(crate) struct MustHave {
    pub(crate) row: (Table, Vec<u8>),
    /// Instead of that, a row that still names a player who was erased.
    pub(crate) or: Option<(Table, Vec<u8>)>,
}

/// Partition and offset → the row.
pub(crate) type ExpectedRows = BTreeMap<(i32, i64), MustHave>;

/// What is wanted of a partition.
#[derive(Debug)]
struct Lane {
    compare: Range<i64>,
    /// One for each fold.
    folds: Vec<FoldLane>,
}

/// What a fold wants of a partition.
#[derive(Clone, Debug)]
struct FoldLane {
    span: Range<i64>,
    /// The day that the fold was told of last.
    day: Option<i64>,
}

impl Lane {
    /// From the first offset that anyone wants to after the last.
    fn span(&self) -> Range<i64> {
        let wanted = || {
            let folds = self.folds.iter().map(|lane| &lane.span);
            folds.chain([&self.compare]).filter(|span| !span.is_empty())
        };
        let start = wanted().map(|span| span.start).min();
        let end = wanted().map(|span| span.end).max();
        start.zip(end).map_or(0..0, |(start, end)| start..end)
    }
}

impl Log {
    /// Reads and judges each record once: those of `compare` into a ledger, and those that a fold
    /// wants into it. Blocks; as many readers as there are processors share the partitions.
    pub(crate) fn read(
        &self,
        compare: &Spans,
        folds: &[(Arc<Fold>, Spans)],
        progress: &Progress,
    ) -> anyhow::Result<Reading> {
        let of = |spans: &Spans, partition| spans.get(&partition).cloned().unwrap_or(0..0);
        let folded = folds.iter().flat_map(|(_, spans)| spans.keys());
        let partitions: BTreeSet<i32> = compare.keys().chain(folded).copied().collect();
        let lanes: Vec<(i32, Lane)> = partitions
            .into_iter()
            .map(|partition| {
                let fold = |(_, spans): &(_, Spans)| FoldLane { span: of(spans, partition), day: None };
                let folds = folds.iter().map(fold).collect();
                (partition, Lane { compare: of(compare, partition), folds })
            })
            .filter(|(_, lane)| !lane.span().is_empty())
            .collect();
        let all: i64 = lanes.iter().map(|(_, lane)| lane.span().end - lane.span().start).sum();
        progress.log.expect(all.unsigned_abs());
        for (fold, spans) in folds {
            fold.begin(spans.iter().filter(|(_, span)| !span.is_empty()).map(|(partition, _)| *partition));
        }

        let readers = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_READERS);
        let readings: Vec<anyhow::Result<Reading>> = std::thread::scope(|scope| {
            let threads: Vec<_> = shared_out(lanes, readers)
                .into_iter()
                .map(|lanes| scope.spawn(|| self.read_lanes(lanes, folds, progress)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a reader panicked"))))
                .collect()
        });
        let mut whole = Reading { ledger: Ledger::of(compare), ..Reading::default() };
        for reading in readings {
            let reading = reading?;
            whole.ledger.absorb(&reading.ledger);
            whole.records += reading.records;
            whole.refused += reading.refused;
        }
        Ok(whole)
    }

    fn read_lanes(
        &self,
        mut lanes: BTreeMap<i32, Lane>,
        folds: &[(Arc<Fold>, Spans)],
        progress: &Progress,
    ) -> anyhow::Result<Reading> {
        let compare: Spans =
            lanes.iter().map(|(partition, lane)| (*partition, lane.compare.clone())).collect();
        let mut reading = Reading { ledger: Ledger::of(&compare), ..Reading::default() };
        let mut expected = ExpectedRow::default();
        let mut reader = Reader::new(&self.boards);
        let mut counter = Counter::of(&progress.log);
        let end = |lane: &Lane| lane.span().end;
        let targets = lanes.iter().map(|(partition, lane)| (*partition, end(lane))).collect();
        let begin = lanes.iter().map(|(partition, lane)| (*partition, lane.span().start)).collect();
        self.scan(begin)?.read_to(&targets, |record| {
            let lane = lanes.get_mut(&record.partition).context("a partition that was not asked for")?;
            let judgement = self.judge(record);
            counter.one();
            reading.records += 1;
            reading.refused += u64::from(judgement.judged.is_err());
            if lane.compare.contains(&record.offset) {
                let (_, row) = row(&mut expected, judgement.place, &judgement.judged);
                reading.ledger.enter(record.partition, record.offset, row);
            }
            for ((fold, _), lane) in folds.iter().zip(&mut lane.folds) {
                if lane.span.contains(&record.offset) {
                    let day = Some(day_of(judgement.place.arrived_at));
                    if lane.day < day {
                        fold.reach(record.partition, day);
                        lane.day = day;
                    }
                    if let Some(scored) = judgement.scored() {
                        fold.take(&mut reader, scored);
                    }
                    if record.offset + 1 == lane.span.end {
                        fold.reach(record.partition, None);
                    }
                }
            }
            Ok(())
        })?;
        drop(counter);
        Ok(reading)
    }

    /// The day on which the first record of each span arrived; the earliest there is for one that
    /// begins with a hole. Spans without records have none. Blocks.
    pub(crate) fn first_days(&self, spans: &Spans) -> anyhow::Result<BTreeMap<i32, i64>> {
        let spans = || spans.iter().filter(|(_, span)| !span.is_empty());
        let mut days: BTreeMap<i32, i64> = spans().map(|(partition, _)| (*partition, i64::MIN)).collect();
        let targets = spans().map(|(partition, span)| (*partition, span.start + 1)).collect();
        let begin = spans().map(|(partition, span)| (*partition, span.start)).collect();
        self.scan(begin)?.read_to(&targets, |record| {
            days.insert(record.partition, day_of(self.judge(record).place.arrived_at));
            Ok(())
        })?;
        Ok(days)
    }

    /// A reader that stands at `positions`.
    pub(crate) fn scan(&self, positions: BTreeMap<i32, i64>) -> anyhow::Result<Scan> {
        Scan::new(&self.kafka, CLIENT, &self.topic, positions)
    }

    /// Folds a record.
    pub(crate) fn fold(&self, fold: &Fold, reader: &mut Reader, record: &Scanned<'_>) {
        if let Some(scored) = self.judge(record).scored() {
            fold.take(reader, scored);
        }
    }

    fn judge(&self, record: &Scanned<'_>) -> Judgement {
        judge(&self.boards, &self.erased, record)
    }

    /// The rows that the archive must have of `ranges`. Blocks.
    pub(crate) fn rows_of(&self, ranges: &[OffsetRange]) -> anyhow::Result<ExpectedRows> {
        let mut rows = ExpectedRows::new();
        let mut expected = ExpectedRow::default();
        for OffsetRange { partition, from, to } in ranges {
            let mut scan = self.scan(BTreeMap::from([(*partition, *from)]))?;
            scan.read_to(&BTreeMap::from([(*partition, *to)]), |record| {
                let Judgement { place, judged, named } = self.judge(record);
                let mut row = |judged| {
                    let (table, row) = row(&mut expected, place, judged);
                    (table, row.to_vec())
                };
                let must_have = MustHave { row: row(&judged), or: named.as_ref().map(row) };
                rows.insert((record.partition, record.offset), must_have);
                Ok(())
            })?;
        }
        Ok(rows)
    }
}

/// The lanes in as many shares as there are readers, about equally long.
fn shared_out(mut lanes: Vec<(i32, Lane)>, readers: usize) -> Vec<BTreeMap<i32, Lane>> {
    let length = |lane: &Lane| lane.span().end - lane.span().start;
    lanes.sort_by_key(|(_, lane)| std::cmp::Reverse(length(lane)));
    let mut shares: Vec<BTreeMap<i32, Lane>> =
        (0..readers.min(lanes.len())).map(|_| BTreeMap::new()).collect();
    for (partition, lane) in lanes {
        let shortest = shares.iter_mut().min_by_key(|share| share.values().map(length).sum::<i64>());
        shortest.expect("a share for at least one lane").insert(partition, lane);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_shared_out_by_length() {
        let lane = |to: i64| Lane { compare: 0..0, folds: vec![FoldLane { span: 0..to, day: None }] };
        let lanes =
            [10, 90, 40, 50].into_iter().zip(0..).map(|(to, partition)| (partition, lane(to))).collect();
        let shares: Vec<Vec<i32>> =
            shared_out(lanes, 2).iter().map(|share| share.keys().copied().collect()).collect();
        assert_eq!(shares, [vec![0, 1], vec![2, 3]]);
        assert!(shared_out(Vec::new(), 4).is_empty());
    }

    #[test]
    fn a_lane_reaches_from_the_first_to_the_last_that_is_wanted() {
        let span = |compare, folds: &[Range<i64>]| {
            let folds = folds.iter().map(|span| FoldLane { span: span.clone(), day: None }).collect();
            Lane { compare, folds }.span()
        };
        assert_eq!(span(0..0, &[]), 0..0);
        assert_eq!(span(3..5, &[0..0, 9..9]), 3..5);
        assert_eq!(span(0..0, &[7..9, 4..6]), 4..9);
        assert_eq!(span(5..8, &[5..5, 2..6]), 2..8);
    }
}
