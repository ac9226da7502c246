//! How far board and archive are, how soon after a fault they have caught up, and what the
//! services count.

use crate::faults::deployment::Deployment;
use crate::faults::fault::Instance;
use crate::faults::log_book::Offsets;
use crate::stack::Service;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many checks of each kind a run must have made, for each ten seconds, to prove anything.
const CHECKS_IN_TEN_SECONDS: u64 = 2;

/// How often something was compared, how often it could not be, and why the last time.
#[derive(Debug, Default)]
pub(crate) struct Checks(Mutex<([u64; 2], String)>);

impl Checks {
    pub(crate) fn was_made(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0[0] += 1;
    }

    pub(crate) fn was_not_made(&self, why: &dyn std::fmt::Display) {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks.0[1] += 1;
        checks.1 = format!("{why:#}");
    }

    pub(crate) fn counts(&self) -> [u64; 2] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether there were enough of them in that time to prove anything.
    pub(crate) fn are_enough(&self, what: &str, time: Duration) -> anyhow::Result<()> {
        let (counts, why) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        anyhow::ensure!(
            counts[0] >= CHECKS_IN_TEN_SECONDS * time.as_secs() / 10,
            "the {what} was compared {} times only, which proves nothing: {why}",
            counts[0]
        );
        Ok(())
    }
}

/// Who is to have taken what was in the log when a fault was over.
#[derive(Clone, Debug)]
struct Pending {
    fault: usize,
    since: Instant,
    ends: Offsets,
    board: bool,
    archive: bool,
}

/// Faults that are over, and whether their traces are.
#[derive(Debug, Default)]
pub(crate) struct Recoveries {
    pending: Mutex<Vec<Pending>>,
    took: Mutex<BTreeMap<usize, Duration>>,
}

impl Recoveries {
    /// A fault is over, and the log ends there.
    pub(crate) fn fault_is_over(&self, fault: usize, since: Instant, ends: Offsets) {
        let pending = Pending { fault, since, ends, board: false, archive: false };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(pending);
    }

    pub(crate) fn board_is_at(&self, offsets: &Offsets, now: Instant) {
        self.advance(offsets, now, |pending| &mut pending.board);
    }

    pub(crate) fn archive_is_at(&self, offsets: &Offsets, now: Instant) {
        self.advance(offsets, now, |pending| &mut pending.archive);
    }

    fn advance(&self, offsets: &Offsets, now: Instant, done: impl Fn(&mut Pending) -> &mut bool) {
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).retain_mut(|pending| {
            if pending.ends.iter().all(|(partition, end)| *end == 0 || offsets.get(partition) >= Some(end)) {
                *done(pending) = true;
            }
            let is_over = pending.board && pending.archive;
            if is_over {
                took.insert(pending.fault, now - pending.since);
            }
            !is_over
        });
    }

    /// How long each took.
    pub(crate) fn took(&self) -> BTreeMap<usize, Duration> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counters of services, which begin anew with each life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    lives: BTreeMap<(Instance, String), (u64, u64)>,
}

impl Counters {
    /// Asks all consumers.
    pub(crate) async fn ask(&mut self, deployment: &Deployment) {
        for instance in Instance::all() {
            if !matches!(instance.service, Service::Ranker | Service::Archiver) {
                continue;
            }
            let (status, text) = deployment.admin(instance, "metrics").await;
            if status == 200 {
                for (reason, value) in rewinds_in(&text) {
                    self.take(instance, reason, value);
                }
            }
        }
    }

    fn take(&mut self, instance: Instance, reason: &str, value: u64) {
        let (before, last) = self.lives.entry((instance, reason.to_owned())).or_default();
        if value < *last {
            *before += *last;
        }
        *last = value;
    }

    /// How often consumers asked their store anew where it stands, by service and reason. What a
    /// life counted between the last question and its end is missing.
    pub(crate) fn rewinds(&self) -> BTreeMap<String, u64> {
        let mut rewinds = BTreeMap::new();
        for ((instance, reason), (before, last)) in &self.lives {
            *rewinds.entry(format!("{} {reason}", instance.service.program())).or_default() += before + last;
        }
        rewinds
    }
}

/// (reason, count) of each rewind counter.
fn rewinds_in(metrics: &str) -> impl Iterator<Item = (&str, u64)> {
    metrics.lines().filter_map(|line| {
        let (reason, value) = line.strip_prefix("pipeline_rewinds_total{reason=\"")?.split_once("\"} ")?;
        Some((reason, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_recovered_from_when_board_and_archive_have_what_the_log_had() {
        let (recoveries, begun) = (Recoveries::default(), Instant::now());
        recoveries.fault_is_over(7, begun, [(0, 10), (1, 0)].into());
        recoveries.board_is_at(&[(0, 10)].into(), begun + Duration::from_secs(1));
        recoveries.archive_is_at(&[(0, 9)].into(), begun + Duration::from_secs(2));
        assert!(recoveries.took().is_empty());
        recoveries.archive_is_at(&[(0, 12), (1, 1)].into(), begun + Duration::from_secs(3));
        assert_eq!(recoveries.took(), [(7, Duration::from_secs(3))].into());
    }

    #[test]
    fn counters_are_added_up_over_lives() {
        let text = "x 1\npipeline_rewinds_total{reason=\"fenced\"} 4\n";
        assert_eq!(rewinds_in(text).collect::<Vec<_>>(), [("fenced", 4)]);
        let mut counters = Counters::default();
        let ranker = Instance { service: Service::Ranker, second: false };
        for value in [2, 4, 1, 3] {
            counters.take(ranker, "fenced", value);
        }
        assert_eq!(counters.rewinds(), [("score-ranker fenced".to_owned(), 7)].into());
    }
}
