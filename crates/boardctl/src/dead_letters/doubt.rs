//! Letters that a run began to send and never said that it did: the log tells whether it had.

use crate::dead_letters::ledger::{Fate, Letter};
use crate::dead_letters::queue::{brokers, ends};
use crate::output::Output;
use anyhow::Context as _;
use contracts::replay::REPLAYED_FROM;
use pipeline::KafkaSettings;
use pipeline::scan::Scan;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long after its `started` mark a run may still be sending: looking whether the mark counts,
/// a second's records, the limit of their delivery, and a minute in which clocks may differ.
const MAY_BE_ALIVE: Duration = Duration::from_secs(120);

/// What the log says of a letter in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Sent,
    NotSent,
    /// The log no longer reaches back to where the record would stand.
    Unknown,
}

/// For how long yet the run that began at `at_ms` may be sending.
pub(crate) fn wait_ms(at_ms: i64, now_ms: i64) -> i64 {
    let limit = i64::try_from(MAY_BE_ALIVE.as_millis()).unwrap_or(i64::MAX);
    at_ms.saturating_add(limit).saturating_sub(now_ms).max(0)
}

/// Looks for the records of these letters, behind where the log ended when they were begun.
/// Blocks.
pub(crate) fn settle(
    kafka: &KafkaSettings,
    letters: Vec<Letter>,
    output: Output,
) -> anyhow::Result<Vec<(Letter, Doubt)>> {
    let mut by_topic: BTreeMap<String, Vec<Letter>> = BTreeMap::new();
    for letter in letters {
        by_topic.entry(letter.coordinates.topic.clone()).or_default().push(letter);
    }
    let mut settled = Vec::new();
    for (topic, letters) in by_topic {
        let log = ends(kafka, &topic)?;
        let mut from = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for letter in &letters {
            let Fate::InDoubt { log_ends, .. } = &letter.fate else { continue };
            for (partition, extent) in &log {
                let begun = log_ends.get(partition).copied().unwrap_or(0);
                if begun < extent.from {
                    unknown.insert(letter.coordinates.key());
                }
                let begin = begun.max(extent.from);
                from.entry(*partition).and_modify(|from: &mut i64| *from = begin.min(*from)).or_insert(begin);
            }
        }
        let targets: BTreeMap<i32, i64> =
            log.iter().map(|(partition, extent)| (*partition, extent.to)).collect();
        let length: i64 = targets.iter().map(|(partition, end)| end - from[partition]).sum();
        let bar = output.progress(u64::try_from(length).ok(), "records looked through");
        let mut sent = BTreeSet::new();
        Scan::new(kafka, "boardctl-doubt", &topic, from)?
            .read_to(&targets, |record| {
                bar.inc(1);
                if let Some(from) = record.header(REPLAYED_FROM) {
                    sent.insert(String::from_utf8_lossy(from).into_owned());
                }
                Ok(())
            })
            .with_context(|| brokers(kafka))?;
        bar.finish_and_clear();
        settled.extend(letters.into_iter().map(|letter| {
            let key = letter.coordinates.key();
            let doubt = match (sent.contains(&key), unknown.contains(&key)) {
                (true, _) => Doubt::Sent,
                (false, true) => Doubt::Unknown,
                (false, false) => Doubt::NotSent,
            };
            (letter, doubt)
        }));
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_is_given_time_to_end() {
        assert_eq!(wait_ms(1_000, 2_000), 119_000);
        assert_eq!(wait_ms(1_000, 121_000), 0);
        // A clock that runs ahead of ours.
        assert_eq!(wait_ms(5_000, 1_000), 124_000);
    }
}
