//! Drives a [`Sink`]: reads, folds, writes, and finds its way back after any failure.
//!
//! There is one way back: ask the store where it stands and go on from there. It serves a start,
//! a rebalance, a refusal by the fence, a lost reply and a store that came back without its tail.
//!
//! There is no timer on the way in. A batch is what arrived while the write before it was in
//! flight: a lone event is written at once, and load makes batches grow by itself.

use crate::flow::Flow;
use crate::settings::KafkaSettings;
use crate::sink::{LogBounds, Partition, Sink, Step, WriteError};
use crate::source::{Polled, Source};
use anyhow::Context as _;
use backon::BackoffBuilder as _;
use backon::{ExponentialBackoff, ExponentialBuilder};
use metrics::{counter, gauge, histogram};
use service::{Check, Process};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info, warn};

/// How often Kafka is told how far we are, and how often totals are logged.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// Reads `topics` as a member of `group` into `sink` until the process is stopped.
///
/// # Errors
/// When the consumer cannot be made or fails for good. A store or broker that is away is waited
/// for, with readiness false.
pub async fn run<S: Sink>(
    sink: Arc<S>,
    settings: &KafkaSettings,
    group: &str,
    topics: Vec<String>,
    process: &Process,
) -> anyhow::Result<()> {
    let kafka = process.health.check("kafka");
    let source = Source::spawn(Arc::clone(&sink), settings, group, topics.clone(), kafka)?;
    let mut runner = Runner {
        sink,
        topics,
        source,
        flow: Flow::default(),
        work: None,
        assigned: None,
        recover_at: None,
        retry: retry(),
        stored: BTreeMap::new(),
        committed: BTreeMap::new(),
        store: process.health.check("store"),
        totals: Totals::default(),
    };
    let outcome = runner.run(process).await;
    runner.finish().await;
    outcome
}

/// What is in flight to the store: at most one thing at a time.
type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Written { outcome: Result<(), WriteError>, ends: BTreeMap<Partition, i64>, records: u64, took: Duration },
    Recovered { assignment: u64, outcome: Result<BTreeMap<Partition, i64>, WriteError> },
}

struct Assigned {
    assignment: u64,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Totals {
    records: u64,
    writes: u64,
    rewinds: u64,
}

struct Runner<S: Sink> {
    sink: Arc<S>,
    topics: Vec<String>,
    source: Source<S::Event>,
    flow: Flow<S::Batch>,
    work: Option<Work>,
    assigned: Option<Assigned>,
    /// When to ask the store where it stands; `None` while records flow.
    recover_at: Option<Instant>,
    retry: ExponentialBackoff,
    stored: BTreeMap<Partition, i64>,
    committed: BTreeMap<Partition, i64>,
    store: Check,
    totals: Totals,
}

impl<S: Sink> Runner<S> {
    async fn run(&mut self, process: &Process) -> anyhow::Result<()> {
        let mut commit = tokio::time::interval(COMMIT_INTERVAL);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut report = tokio::time::interval(REPORT_INTERVAL);
        loop {
            self.start_work();
            let room = self.flow.waiting() < S::MAX_CHAIN;
            // Every branch is cancel-safe: receiving, ticking, and polling work that is kept.
            tokio::select! {
                () = process.stop.cancelled() => return Ok(()),
                done = finished(&mut self.work) => self.on_done(done),
                () = due(self.recover_at), if self.work.is_none() && self.assigned.is_some() => {}
                polled = self.source.recv(), if room => {
                    self.on_polled(polled.context("the polling thread ended")?)?;
                }
                _ = commit.tick() => self.commit(),
                _ = report.tick() => self.report(),
            }
        }
    }

    /// Starts the next thing to do, if there is one and nothing is in flight.
    fn start_work(&mut self) {
        if self.work.is_some() {
            return;
        }
        if let (Some(at), Some(assigned)) = (self.recover_at, &self.assigned) {
            if at <= Instant::now() {
                self.recover_at = None;
                let sink = Arc::clone(&self.sink);
                let topics = self.topics.clone();
                let bounds = self.source.bounds();
                let (assignment, partitions) = (assigned.assignment, assigned.partitions.clone());
                self.work = Some(Box::pin(async move {
                    let outcome = find_positions(&*sink, &topics, &partitions, bounds).await;
                    Done::Recovered { assignment, outcome }
                }));
            }
        } else if let Some(chain) = self.flow.next_chain(S::MAX_CHAIN) {
            self.work = Some(Box::pin(write(Arc::clone(&self.sink), chain)));
        }
    }

    fn on_polled(&mut self, polled: Polled<S::Event>) -> anyhow::Result<()> {
        match polled {
            Polled::Records { generation, records, .. } => {
                let sink = &self.sink;
                self.flow.take_in(
                    generation,
                    records,
                    |batch, event| sink.fold(batch, event),
                    |batch| sink.is_full(batch),
                );
            }
            Polled::Assigned { assignment, partitions } => {
                info!(partitions = partitions.len(), "partitions assigned");
                self.assigned = Some(Assigned { assignment, partitions });
                self.recover_now();
            }
            Polled::Revoked => {
                info!("partitions revoked");
                self.assigned = None;
                self.flow.halt();
                self.stored.clear();
            }
            Polled::OutOfRange => {
                warn!("a position is not in the log");
                self.recover_later();
            }
            Polled::Failed(error) => return Err(error).context("consuming"),
        }
        Ok(())
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Written { outcome: Ok(()), ends, records, took } => {
                self.retry = retry();
                self.totals.records += records;
                self.totals.writes += 1;
                counter!("pipeline_records_total").increment(records);
                histogram!("pipeline_write_seconds").record(took.as_secs_f64());
                debug!(records, ?took, "written");
                self.stored.extend(ends);
            }
            Done::Written { outcome: Err(error), .. } => self.on_store_error(&error),
            // The group decided anew in the meantime: what was found is out of date.
            Done::Recovered { assignment, .. }
                if self.assigned.as_ref().is_none_or(|assigned| assigned.assignment != assignment) => {}
            Done::Recovered { outcome: Err(error), .. } => self.on_store_error(&error),
            Done::Recovered { assignment, outcome: Ok(positions) } => {
                self.store.ok();
                self.stored.clone_from(&positions);
                let generation = self.flow.start(positions.clone());
                self.source.start(assignment, generation, positions);
            }
        }
    }

    /// Goes the one way back; the store's check says what happened, once.
    fn on_store_error(&mut self, error: &WriteError) {
        let reason = match error {
            WriteError::Fenced(why) => {
                info!("{error}; going on from where the store stands");
                debug!(why);
                "fenced"
            }
            WriteError::Unavailable(cause) => {
                self.store.fail(format_args!("{cause:#}"));
                "unavailable"
            }
            WriteError::Impossible(why) => {
                self.store.fail(why);
                "impossible"
            }
        };
        self.totals.rewinds += 1;
        counter!("pipeline_rewinds_total", "reason" => reason).increment(1);
        self.recover_later();
    }

    fn recover_now(&mut self) {
        self.flow.halt();
        self.recover_at = Some(Instant::now());
    }

    fn recover_later(&mut self) {
        self.flow.halt();
        let pause = self.retry.next().unwrap_or(RETRY_LAST);
        self.recover_at = Some(Instant::now() + pause);
    }

    fn commit(&mut self) {
        if self.stored == self.committed || self.stored.is_empty() {
            return;
        }
        for (partition, offset) in &self.stored {
            let labels = [
                ("topic", self.topics[partition.topic].clone()),
                ("partition", partition.number.to_string()),
            ];
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            gauge!("pipeline_stored_offset", &labels).set(*offset as f64);
        }
        self.source.commit(self.stored.clone());
        self.committed.clone_from(&self.stored);
    }

    fn report(&mut self) {
        let Totals { records, writes, rewinds } = std::mem::take(&mut self.totals);
        if records + writes + rewinds > 0 {
            info!(records, writes, rewinds, "in the last {REPORT_INTERVAL:?}");
        }
    }

    /// Lets the write in flight end, writes what was folded, says how far we are, leaves.
    async fn finish(mut self) {
        if let Some(work) = self.work.take() {
            self.on_done(work.await);
        }
        while self.recover_at.is_none()
            && let Some(chain) = self.flow.next_chain(S::MAX_CHAIN)
        {
            let done = write(Arc::clone(&self.sink), chain).await;
            self.on_done(done);
        }
        self.commit();
        self.report();
        self.source.close().await;
    }
}

fn retry() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(RETRY_FIRST)
        .with_max_delay(RETRY_LAST)
        .with_jitter()
        .without_max_times()
        .build()
}

async fn finished(work: &mut Option<Work>) -> Done {
    let Some(running) = work else { return std::future::pending().await };
    let done = running.await;
    *work = None;
    done
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn write<S: Sink>(sink: Arc<S>, chain: Vec<Step<S::Batch>>) -> Done {
    let begun = Instant::now();
    let records = chain.iter().map(|step| step.records).sum();
    let ends = chain.iter().flat_map(|step| &step.spans).map(|span| (span.partition, span.to)).collect();
    let outcome = sink.write(chain).await;
    Done::Written { outcome, ends, records, took: begun.elapsed() }
}

/// Where to go on: what the store says, checked against what the log has.
async fn find_positions<S: Sink>(
    sink: &S,
    topics: &[String],
    partitions: &[Partition],
    bounds: impl Future<Output = anyhow::Result<Vec<LogBounds>>>,
) -> Result<BTreeMap<Partition, i64>, WriteError> {
    let log = bounds.await.map_err(WriteError::Unavailable)?;
    let mut positions = sink.positions(partitions).await?;
    if partitions.iter().any(|partition| !positions.contains_key(partition)) {
        sink.begin(&log).await?;
        positions = sink.positions(partitions).await?;
    }
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
    Ok(positions)
}
