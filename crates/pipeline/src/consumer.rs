//! What a consumer does next: a state machine without I/O or clock.
//!
//! Things happen to it (`on_…`), and it says what to do ([`Consumer::next`]): one task at a time, so
//! that a store has at most one write of ours in flight. The runner carries the tasks out; the
//! simulator carries them out against models that fail in every way it can think of.
//!
//! There is one way back: ask the store where it stands and go on from there. It serves a start,
//! a rebalance, a refusal by the fence, a lost reply and a store that came back without its tail.

use crate::flow::{Decoded, Flow};
use crate::sink::{LogBounds, Partition, Sink, Step, WriteError};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// How long a store may go without a write before it is asked whether it still stands where we
/// left it: whoever emptied it, took it away or has it rebuilt does not tell us.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Something to do. What became of it is told by the method of its name.
#[derive(Debug)]
pub enum Task<B> {
    /// Ask the store where it stands; then [`Consumer::on_opened`].
    Open {
        /// For which decision of the group.
        assignment: u64,
        /// Which partitions.
        partitions: Vec<Partition>,
    },
    /// Write; then [`Consumer::on_written`].
    Write(Vec<Step<B>>),
    /// Ask the store whether it still stands at our positions; then [`Consumer::on_checked`].
    Check(Vec<Partition>),
}

/// Where the source is to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The decision of the group that this answers.
    pub assignment: u64,
    /// What records must be tagged with.
    pub generation: u64,
    /// For each partition the first offset to read.
    pub positions: BTreeMap<Partition, i64>,
}

/// A consumer, without its hands.
#[derive(Debug)]
pub struct Consumer<B> {
    flow: Flow<B>,
    max_chain: usize,
    assigned: Option<(u64, Vec<Partition>)>,
    /// When to ask the store where it stands; `None` while records flow.
    open_at: Option<Instant>,
    /// When the store was heard of last, while records flow.
    heard_at: Option<Instant>,
    busy: bool,
    /// Where the write in flight ends.
    writing: BTreeMap<Partition, i64>,
    stored: BTreeMap<Partition, i64>,
    retry: ExponentialBuilder,
    pauses: ExponentialBackoff,
}

impl<B: Default> Consumer<B> {
    /// One that has no partitions yet. A chain has at most `max_chain` steps; `seed` decides by
    /// how much pauses vary, so that consumers do not come back in step.
    #[must_use]
    pub fn new(max_chain: usize, seed: u64) -> Self {
        let retry = ExponentialBuilder::new()
            .with_min_delay(RETRY_FIRST)
            .with_max_delay(RETRY_LAST)
            .with_jitter()
            .with_jitter_seed(seed)
            .without_max_times();
        Self {
            flow: Flow::default(),
            max_chain,
            assigned: None,
            open_at: None,
            heard_at: None,
            busy: false,
            writing: BTreeMap::new(),
            stored: BTreeMap::new(),
            retry,
            pauses: retry.build(),
        }
    }

    /// What to do now, if there is anything and nothing is being done.
    pub fn next(&mut self, now: Instant) -> Option<Task<B>> {
        let (assignment, partitions) = self.assigned.as_ref().filter(|_| !self.busy)?;
        let task = if let Some(at) = self.open_at {
            if at > now {
                return None;
            }
            self.open_at = None;
            Task::Open { assignment: *assignment, partitions: partitions.clone() }
        } else if let Some(chain) = self.flow.next_chain(self.max_chain) {
            let spans = chain.iter().flat_map(|step| &step.spans);
            self.writing = spans.map(|span| (span.partition, span.to)).collect();
            Task::Write(chain)
        } else if self.heard_at.is_some_and(|at| now >= at + CHECK_INTERVAL) {
            Task::Check(partitions.clone())
        } else {
            return None;
        };
        self.busy = true;
        Some(task)
    }

    /// When [`next`](Self::next) may have something to do though nothing has happened.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        if self.busy || self.assigned.is_none() {
            return None;
        }
        self.open_at.or_else(|| self.heard_at.map(|at| at + CHECK_INTERVAL))
    }

    /// Whether it takes further records.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.flow.waiting() < self.max_chain
    }

    /// How far the store is, as far as we know.
    #[must_use]
    pub fn stored(&self) -> &BTreeMap<Partition, i64> {
        &self.stored
    }

    /// The group gave us partitions; earlier ones are gone.
    pub fn on_assigned(&mut self, assignment: u64, partitions: Vec<Partition>, now: Instant) {
        self.assigned = Some((assignment, partitions));
        self.halt();
        self.open_at = Some(now);
    }

    /// The group took all partitions back.
    pub fn on_revoked(&mut self) {
        self.assigned = None;
        self.halt();
        self.stored.clear();
    }

    /// Records came, tagged with their generation, in the order of the log.
    pub fn on_records<E>(
        &mut self,
        generation: u64,
        records: impl IntoIterator<Item = Decoded<E>>,
        fold: impl FnMut(&mut B, E),
        is_full: impl Fn(&B) -> bool,
    ) {
        self.flow.take_in(generation, records, fold, is_full);
    }

    /// A position is not in the log.
    pub fn on_out_of_range(&mut self, now: Instant) {
        self.open_later(now);
    }

    /// A write ended.
    pub fn on_written(&mut self, outcome: Result<(), &WriteError>, now: Instant) {
        self.busy = false;
        let ends = std::mem::take(&mut self.writing);
        match outcome {
            Ok(()) => {
                self.pauses = self.retry.build();
                self.stored.extend(ends);
                self.heard_at = self.heard_at.map(|_| now);
            }
            Err(_) => self.open_later(now),
        }
    }

    /// The store said where it stands, or did not. Says where to read from.
    pub fn on_opened(
        &mut self,
        assignment: u64,
        outcome: Result<BTreeMap<Partition, i64>, &WriteError>,
        now: Instant,
    ) -> Option<Start> {
        self.busy = false;
        if self.assigned.as_ref().is_none_or(|(current, _)| *current != assignment) {
            // The group decided anew in the meantime: what was found is out of date.
            return None;
        }
        match outcome {
            Ok(positions) => {
                self.stored.clone_from(&positions);
                self.heard_at = Some(now);
                let generation = self.flow.start(positions.clone());
                Some(Start { assignment, generation, positions })
            }
            Err(_) => {
                self.open_later(now);
                None
            }
        }
    }

    /// The store said whether it stands where we left it.
    pub fn on_checked(&mut self, outcome: Result<(), &WriteError>, now: Instant) {
        self.busy = false;
        match outcome {
            // The group may have decided anew, and then the store is asked anyway.
            Ok(()) => self.heard_at = self.heard_at.map(|_| now),
            Err(_) => self.open_later(now),
        }
    }

    /// Whether what was folded may still be written, at the end of the process.
    #[must_use]
    pub fn may_finish(&self) -> bool {
        self.open_at.is_none()
    }

    /// Asks the store after a pause that grows, unless it is to be asked sooner.
    fn open_later(&mut self, now: Instant) {
        self.halt();
        let pause = self.pauses.next().unwrap_or(RETRY_LAST);
        self.open_at = Some(self.open_at.unwrap_or(now + pause).min(now + pause));
    }

    fn halt(&mut self) {
        self.flow.halt();
        self.heard_at = None;
    }
}

/// Carries out [`Task::Open`]: what the store says, held against what the log has.
///
/// # Errors
/// When the store or the log does not answer, or they do not fit together.
pub async fn open<S: Sink>(
    sink: &S,
    topics: &[String],
    partitions: &[Partition],
    bounds: impl Future<Output = anyhow::Result<Vec<LogBounds>>>,
) -> Result<BTreeMap<Partition, i64>, WriteError> {
    let log = bounds.await.map_err(WriteError::Unavailable)?;
    let positions = sink.open(partitions, &log).await?;
    within_log(topics, partitions, &positions, &log)?;
    Ok(positions)
}

/// Carries out [`Task::Check`].
///
/// # Errors
/// [`WriteError::Fenced`] when it does not; the store's own when it does not answer.
pub async fn check<S: Sink>(
    sink: &S,
    partitions: &[Partition],
    stored: &BTreeMap<Partition, i64>,
) -> Result<(), WriteError> {
    let positions = sink.positions(partitions).await?;
    if positions == *stored {
        return Ok(());
    }
    Err(WriteError::Fenced("the store was moved while nothing was written".to_owned()))
}

/// Whether the log has what comes next for a store that stands at `positions`.
///
/// # Errors
/// [`WriteError::Impossible`] when it has not.
pub fn within_log(
    topics: &[String],
    partitions: &[Partition],
    positions: &BTreeMap<Partition, i64>,
    log: &[LogBounds],
) -> Result<(), WriteError> {
    for partition in partitions {
        let name = || format!("{}/{}", topics[partition.topic], partition.number);
        let bounds = log.iter().find(|bounds| bounds.partition == *partition);
        let (Some(bounds), Some(stored)) = (bounds, positions.get(partition)) else {
            return Err(WriteError::Unavailable(anyhow::anyhow!("{} was not begun", name())));
        };
        if *stored > bounds.high {
            return Err(WriteError::Impossible(format!(
                "{}: the store stands at offset {stored}, beyond the log's end at {}: the topic was made \
                 anew or the store belongs to another log; nothing is applied until that is mended",
                name(),
                bounds.high
            )));
        }
        if *stored < bounds.low {
            return Err(WriteError::Impossible(format!(
                "{}: the store stands at offset {stored}, but the log begins at {}: the records between \
                 are gone; nothing is applied, so that nothing is skipped unseen",
                name(),
                bounds.low
            )));
        }
    }
    Ok(())
}
