//! The log against the archive, record by record.

use crate::verify::digest::{Ledger, every_place_once};
use crate::verify::findings::{At, Difference, Findings, Kind};
use crate::verify::log::{ExpectedRows, Log, MustHave};
use crate::verify::plan::ArchivePlan;
use crate::verify::progress::{Counter, Progress};
use anyhow::Context as _;
use archive_store::audit::{Audit, OffsetRange, Table, differing_columns, player_of};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many ranges are looked into with one reading of the tables: some tens of MB.
const RANGES_AT_ONCE: usize = 32;
/// How many ranges are looked into unless everything is to be named.
const RANGES_EXAMINED: usize = 256;

/// What was compared of the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ArchivePart {
    /// Rows of events, older ones included.
    pub events: u64,
    /// Rows of refused records, older ones included.
    pub refused: u64,
    /// Partition → the offsets whose records were compared with their rows, in every column.
    pub compared: BTreeMap<i32, (i64, i64)>,
    /// What the log no longer has.
    pub older: Older,
    /// Rows that still name a player who was erased: they arrived after that.
    pub named_again: u64,
    /// How many ranges of 4096 offsets differ that were not looked into.
    pub ranges_not_examined: usize,
}

/// Rows whose records the log no longer has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Older {
    /// How many offsets that is.
    pub offsets: u64,
    /// How many rows there are.
    pub rows: u64,
}

/// What the archive comes to.
#[derive(Debug)]
pub(crate) struct Sums {
    ledger: Ledger,
    older: Ledger,
    strays: Findings,
    events: u64,
    refused: u64,
}

/// (partition, offset) → the rows that stand there.
type FoundRows = BTreeMap<(i32, i64), Vec<(Table, Vec<u8>)>>;

/// Reads the archive once.
pub(crate) async fn sums(
    audit: &mut Audit,
    topic: &str,
    plan: &ArchivePlan,
    all: bool,
    progress: &Progress,
) -> anyhow::Result<Sums> {
    let rows: i64 = audit.stretches().values().map(|stretch| stretch.next - stretch.first).sum();
    progress.archive.expect(rows.max(0).unsigned_abs());
    let mut counter = Counter::of(&progress.archive);
    let mut sums = Sums {
        ledger: Ledger::of(&plan.compare),
        older: Ledger::of(&plan.older),
        strays: Findings::new(all),
        events: 0,
        refused: 0,
    };
    audit
        .rows(|row| {
            counter.one();
            match row.table {
                Table::Events => sums.events += 1,
                Table::Refused => sums.refused += 1,
            }
            let entered = sums.ledger.enter(row.partition, row.offset, row.columns)
                || sums.older.enter_place(row.partition, row.offset);
            if !entered {
                sums.strays.add(Kind::ExtraRow, || Difference {
                    at: coordinates(topic, (row.partition, row.offset)),
                    what: format!("{}, beyond the archive's own offsets", described(row.table, row.columns)),
                });
            }
        })
        .await?;
    drop(counter);
    Ok(sums)
}

/// Compares what log and archive come to, and names what differs.
pub(crate) async fn compare(
    log: &Log,
    audit: &mut Audit,
    plan: &ArchivePlan,
    from_log: &Ledger,
    sums: Sums,
    all: bool,
    findings: &mut Findings,
) -> anyhow::Result<ArchivePart> {
    let Sums { ledger, older, strays, events, refused } = sums;
    findings.absorb(strays);
    let most = if all { usize::MAX } else { RANGES_EXAMINED };
    let differing: Vec<OffsetRange> =
        from_log.differing(&ledger).into_iter().map(|(range, _)| range).collect();
    let (mut examined, mut named_again) = (0, 0);
    for ranges in differing.chunks(RANGES_AT_ONCE) {
        // What only names somebody again is no difference: there may be one behind it.
        if examined >= most && !findings.is_empty() {
            break;
        }
        let (log_too, wanted) = (log.clone(), ranges.to_vec());
        let expected = tokio::task::spawn_blocking(move || log_too.rows_of(&wanted));
        let expected = expected.await.context("reading the log again").flatten()?;
        let found = rows_in(audit, ranges).await?;
        named_again += name(&log.topic, &expected, &found, findings);
        examined += ranges.len();
    }

    // Days that were dropped and holes that transactions left are no differences; what stands
    // twice is one. Ranges that lack rows are not looked into: nobody knows which they should have.
    let offsets: i64 = plan.older.values().map(|span| span.end - span.start).sum();
    let suspect: Vec<OffsetRange> = every_place_once(&plan.older)
        .differing(&older)
        .into_iter()
        .filter(|(range, rows)| *rows >= (range.to - range.from).unsigned_abs())
        .map(|(range, _)| range)
        .collect();
    for ranges in suspect[..suspect.len().min(most)].chunks(RANGES_AT_ONCE) {
        let found = rows_in(audit, ranges).await?;
        for (place, rows) in found.iter().filter(|(_, rows)| rows.len() > 1) {
            findings.add(Kind::RowTwice, || twice(&log.topic, *place, rows));
        }
    }
    Ok(ArchivePart {
        events,
        refused,
        compared: plan.compare.iter().map(|(partition, span)| (*partition, (span.start, span.end))).collect(),
        older: Older { offsets: offsets.unsigned_abs(), rows: older.rows() },
        named_again,
        ranges_not_examined: differing.len() - examined + suspect.len().saturating_sub(most),
    })
}

async fn rows_in(audit: &mut Audit, ranges: &[OffsetRange]) -> anyhow::Result<FoundRows> {
    let mut found = FoundRows::new();
    audit
        .rows_in(ranges, |row| {
            let rows = found.entry((row.partition, row.offset)).or_default();
            rows.push((row.table, row.columns.to_vec()));
        })
        .await?;
    Ok(found)
}

/// Names the differences between the rows that must be there and those that are. Says how many
/// are right but for a name that was erased.
fn name(topic: &str, expected: &ExpectedRows, found: &FoundRows, findings: &mut Findings) -> u64 {
    let mut named_again = 0;
    for (place, MustHave { row: must, or }) in expected {
        let at = || coordinates(topic, *place);
        let (table, row) = must;
        match found.get(place).map(Vec::as_slice) {
            None => findings.add(Kind::MissingRow, || Difference { at: at(), what: described(*table, row) }),
            Some([found]) if found == must => {}
            Some([found]) if or.as_ref() == Some(found) => named_again += 1,
            Some([(other, found)]) => findings.add(Kind::DifferentRow, || {
                let what = if other == table {
                    let columns = differing_columns(*table, row, found);
                    let columns = columns.iter().map(|difference| {
                        let column = difference.column;
                        format!("{column} is {}, must be {}", difference.found, difference.expected)
                    });
                    columns.collect::<Vec<_>>().join("; ")
                } else {
                    format!("is {}, must be {}", described(*other, found), described(*table, row))
                };
                Difference { at: at(), what }
            }),
            Some(rows) => findings.add(Kind::RowTwice, || twice(topic, *place, rows)),
        }
    }
    for (place, rows) in found.iter().filter(|(place, _)| !expected.contains_key(place)) {
        for (table, row) in rows {
            findings.add(Kind::ExtraRow, || Difference {
                at: coordinates(topic, *place),
                what: described(*table, row),
            });
        }
    }
    named_again
}

fn coordinates(topic: &str, (partition, offset): (i32, i64)) -> At {
    At::Record { record: format!("{topic}/{partition}/{offset}") }
}

fn described(table: Table, row: &[u8]) -> String {
    match table {
        Table::Events => format!("an event of player {}", player_of(row).unwrap_or_default()),
        Table::Refused => "a refused record".to_owned(),
    }
}

fn twice(topic: &str, place: (i32, i64), rows: &[(Table, Vec<u8>)]) -> Difference {
    let rows: Vec<String> = rows.iter().map(|(table, row)| described(*table, row)).collect();
    Difference { at: coordinates(topic, place), what: rows.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive_store::Place;
    use archive_store::audit::ExpectedRow;
    use contracts::{EventTime, ScoreEvent};

    fn row_of(player: &str, offset: i64, score: i64) -> (Table, Vec<u8>) {
        let place = Place { partition: 2, offset, arrived_at: EventTime::UNIX_EPOCH };
        let text = format!(r#"{{"score":{score},"user_id":"{player}"}}"#);
        let event = ScoreEvent::decode(Some(text.as_bytes()), place.arrived_at).unwrap();
        (Table::Events, ExpectedRow::default().event(place, &event).to_vec())
    }

    fn row(offset: i64, score: i64) -> (Table, Vec<u8>) {
        row_of("zoë", offset, score)
    }

    #[test]
    fn each_difference_is_named_by_its_kind() {
        let refused = (Table::Refused, vec![0, 0]);
        let must_have = |offset| MustHave { row: row(offset, 1), or: None };
        let expected: ExpectedRows = (0..5).map(|offset| ((2, offset), must_have(offset))).collect();
        let found = FoundRows::from([
            ((2, 0), vec![row(0, 1)]),
            ((2, 1), vec![row(1, 9)]),
            ((2, 2), vec![row(2, 1), row(2, 1)]),
            ((2, 4), vec![refused.clone()]),
            ((2, 7), vec![row(7, 1)]),
        ]);
        let mut findings = Findings::new(false);
        assert_eq!(name("t", &expected, &found, &mut findings), 0);
        let shown: Vec<String> = findings
            .into_vec()
            .iter()
            .flat_map(|finding| {
                finding.first.iter().map(|one| format!("{:?} {}: {}", finding.kind, one.at, one.what))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "MissingRow t/2/3: an event of player zoë",
                "ExtraRow t/2/7: an event of player zoë",
                "RowTwice t/2/2: an event of player zoë and an event of player zoë",
                "DifferentRow t/2/1: score is 9, must be 1",
                "DifferentRow t/2/4: is a refused record, must be an event of player zoë",
            ]
        );
    }

    #[test]
    fn row_may_still_name_an_erased_player_and_nobody_else() {
        let or = |offset| Some(row_of("anna", offset, 1));
        let must_have =
            |offset| ((2, offset), MustHave { row: row_of("erased-1", offset, 1), or: or(offset) });
        let expected: ExpectedRows = (0..4).map(must_have).collect();
        let found = FoundRows::from([
            ((2, 0), vec![row_of("erased-1", 0, 1)]),
            ((2, 1), vec![row_of("anna", 1, 1)]),
            ((2, 2), vec![row_of("anna", 2, 9)]),
            ((2, 3), vec![row_of("bert", 3, 1)]),
        ]);
        let mut findings = Findings::new(false);
        assert_eq!(name("t", &expected, &found, &mut findings), 1);
        assert_eq!(findings.count(Kind::DifferentRow), 2);
    }
}
