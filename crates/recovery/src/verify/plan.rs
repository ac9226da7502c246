//! What can be compared with what. Pure.

use crate::verify::digest::Spans;
use archive_store::audit::Stretch;
use pipeline::scan::Extent;
use std::collections::BTreeMap;

/// What the archive is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ArchivePlan {
    /// What the log has, too.
    pub(crate) compare: Spans,
    /// What the log no longer has.
    pub(crate) older: Spans,
}

/// What a board is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoldPlan {
    /// What is taken from the log.
    pub(crate) log: Spans,
    /// The offsets below which the archive has to stand in for the log.
    pub(crate) history: BTreeMap<i32, i64>,
    /// Where the board stands.
    pub(crate) offsets: BTreeMap<i32, i64>,
}

/// Splits what the archive has at the log's oldest offsets.
///
/// # Errors
/// When the archive cannot be of this log.
pub(crate) fn archive_plan(
    log: &BTreeMap<i32, Extent>,
    archive: &BTreeMap<i32, Stretch>,
) -> Result<ArchivePlan, String> {
    let mut plan = ArchivePlan::default();
    for (partition, Stretch { first, next }) in archive {
        let end = end_of(log, *partition, *next, "the archive")?;
        let from = end.from.clamp(*first, *next);
        plan.older.insert(*partition, *first..from);
        plan.compare.insert(*partition, from..*next);
    }
    Ok(plan)
}

/// Says where the events up to the board's `offsets` are to be had.
///
/// # Errors
/// When they are not all there, or the board cannot be of this log.
pub(crate) fn fold_plan(
    log: &BTreeMap<i32, Extent>,
    offsets: &BTreeMap<i32, i64>,
    archive: Option<&BTreeMap<i32, Stretch>>,
) -> Result<FoldPlan, String> {
    let mut plan = FoldPlan::default();
    for (partition, offset) in offsets {
        end_of(log, *partition, *offset, "the board")?;
    }
    for (partition, extent) in log {
        let offset = offsets.get(partition).copied().unwrap_or(extent.from);
        plan.offsets.insert(*partition, offset);
        plan.log.insert(*partition, extent.from..offset.max(extent.from));
        if extent.from == 0 {
            continue;
        }
        let missing = offset.min(extent.from);
        match archive.and_then(|archive| archive.get(partition)) {
            Some(stretch) if stretch.next >= missing => drop(plan.history.insert(*partition, missing)),
            _ => {
                return Err(format!(
                    "the log of partition {partition} begins at {}, and the archive does not have all before \
                     that: nobody knows what the board must be",
                    extent.from
                ));
            }
        }
    }
    Ok(plan)
}

/// The offsets below which the archive has to stand in for the log, for one plan or another.
pub(crate) fn history_of<'p>(plans: impl Iterator<Item = &'p FoldPlan>) -> BTreeMap<i32, i64> {
    let mut offsets = BTreeMap::new();
    for (partition, below) in plans.flat_map(|plan| &plan.history) {
        let most: &mut i64 = offsets.entry(*partition).or_insert(*below);
        *most = (*most).max(*below);
    }
    offsets
}

fn end_of(log: &BTreeMap<i32, Extent>, partition: i32, at: i64, who: &str) -> Result<Extent, String> {
    match log.get(&partition) {
        Some(extent) if at <= extent.to => Ok(*extent),
        Some(extent) => Err(format!(
            "{who} stands at {at} in partition {partition}, beyond the log's end at {}: the topic was made anew",
            extent.to
        )),
        None => Err(format!("{who} has partition {partition}, the log has not: it is another topic's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(from: i64, to: i64) -> BTreeMap<i32, Extent> {
        BTreeMap::from([(0, Extent { from, to })])
    }

    fn archive(first: i64, next: i64) -> BTreeMap<i32, Stretch> {
        BTreeMap::from([(0, Stretch { first, next })])
    }

    fn spans(from: i64, to: i64) -> Spans {
        BTreeMap::from([(0, from..to)])
    }

    #[test]
    fn archive_is_split_where_the_log_begins() {
        for (log, archive, older, compare) in [
            (log(0, 9), archive(0, 7), spans(0, 0), spans(0, 7)),
            (log(0, 9), archive(3, 9), spans(3, 3), spans(3, 9)),
            (log(5, 9), archive(3, 7), spans(3, 5), spans(5, 7)),
            (log(5, 9), archive(2, 4), spans(2, 4), spans(4, 4)),
        ] {
            assert_eq!(archive_plan(&log, &archive), Ok(ArchivePlan { compare, older }));
        }
        assert!(archive_plan(&log(0, 9), &archive(0, 10)).unwrap_err().contains("made anew"));
        assert!(archive_plan(&BTreeMap::new(), &archive(0, 0)).unwrap_err().contains("another topic"));
    }

    #[test]
    fn a_board_is_folded_from_the_log_as_far_as_that_reaches() {
        let at = |offset: i64| BTreeMap::from([(0, offset)]);
        let plan = |log: &BTreeMap<i32, Extent>, offset, archive: Option<&BTreeMap<i32, Stretch>>| {
            fold_plan(log, &at(offset), archive).map(|plan| (plan.log, plan.history))
        };
        assert_eq!(plan(&log(0, 9), 7, None), Ok((spans(0, 7), BTreeMap::new())));
        assert_eq!(plan(&log(5, 9), 7, Some(&archive(0, 6))), Ok((spans(5, 7), at(5))));
        assert_eq!(plan(&log(5, 9), 3, Some(&archive(0, 6))), Ok((spans(5, 5), at(3))));
        assert!(plan(&log(5, 9), 7, None).unwrap_err().contains("begins at 5"));
        assert!(plan(&log(5, 9), 7, Some(&archive(0, 4))).unwrap_err().contains("begins at 5"));
        assert!(plan(&log(0, 9), 10, None).unwrap_err().contains("made anew"));
        let none = fold_plan(&log(0, 9), &BTreeMap::new(), None).unwrap();
        assert_eq!((none.log, none.offsets), (spans(0, 0), at(0)));
    }

    #[test]
    fn archive_is_read_as_far_as_any_board_needs_it() {
        let plan = |history: &[(i32, i64)]| FoldPlan {
            history: history.iter().copied().collect(),
            ..FoldPlan::default()
        };
        let plans = [plan(&[(0, 5), (1, 3)]), plan(&[]), plan(&[(0, 2), (1, 7)])];
        assert_eq!(history_of(plans.iter()), BTreeMap::from([(0, 5), (1, 7)]));
        assert!(history_of([].iter()).is_empty());
    }
}
