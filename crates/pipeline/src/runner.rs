//! Drives a [`Sink`]: reads, folds, writes, and finds its way back after any failure. What to do
//! next is decided in [`consumer`](crate::consumer); here it is done.
//!
//! A batch is what arrived while the write before it was in flight: a lone event is written at once,
//! and load makes batches grow by itself. Where little comes, the polling thread lets records of a
//! moment go together.

use crate::consumer::{Consumer, Start, Task, check, open};
use crate::settings::KafkaSettings;
use crate::sink::{Partition, Sink, WriteError};
use crate::source::{Polled, Source};
use anyhow::Context as _;
use metrics::{counter, gauge, histogram};
use service::{Check, Process};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

/// How often Kafka is told how far we are, and how often totals are logged.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

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
    let seed = RandomState::new().hash_one(std::process::id());
    let mut runner = Runner {
        sink,
        topics,
        source,
        consumer: Consumer::new(S::MAX_CHAIN, seed),
        work: None,
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
    Written { outcome: Result<(), WriteError>, records: u64, took: Duration },
    Opened { assignment: u64, outcome: Result<BTreeMap<Partition, i64>, WriteError> },
    Checked(Result<(), WriteError>),
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
    consumer: Consumer<S::Batch>,
    work: Option<Work>,
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
            if let Some(task) = self.consumer.next(Instant::now()) {
                self.work = Some(self.work_on(task));
            }
            // Every branch is cancel-safe: receiving, ticking, and polling work that is kept.
            tokio::select! {
                () = process.stop.cancelled() => return Ok(()),
                done = finished(&mut self.work) => self.on_done(done),
                () = due(self.consumer.due()) => {}
                polled = self.source.recv(), if self.consumer.has_room() => {
                    self.on_polled(polled.context("the polling thread ended")?)?;
                }
                _ = commit.tick() => self.commit(),
                _ = report.tick() => self.report(),
            }
        }
    }

    fn work_on(&self, task: Task<S::Batch>) -> Work {
        let sink = Arc::clone(&self.sink);
        match task {
            Task::Open { assignment, partitions } => {
                let topics = self.topics.clone();
                let bounds = self.source.bounds();
                Box::pin(async move {
                    let outcome = open(&*sink, &topics, &partitions, bounds).await;
                    Done::Opened { assignment, outcome }
                })
            }
            Task::Write(chain) => Box::pin(async move {
                let begun = Instant::now();
                let records = chain.iter().map(|step| step.records).sum();
                let outcome = sink.write(chain).await;
                Done::Written { outcome, records, took: begun.elapsed() }
            }),
            Task::Check(partitions) => {
                let stored = self.consumer.stored().clone();
                Box::pin(async move { Done::Checked(check(&*sink, &partitions, &stored).await) })
            }
        }
    }

    fn on_polled(&mut self, polled: Polled<S::Event>) -> anyhow::Result<()> {
        match polled {
            Polled::Records { generation, records, .. } => {
                let sink = &self.sink;
                self.consumer.on_records(
                    generation,
                    records,
                    |batch, event| sink.fold(batch, event),
                    |batch| sink.is_full(batch),
                );
            }
            Polled::Assigned { assignment, partitions } => {
                info!(partitions = partitions.len(), "partitions assigned");
                self.consumer.on_assigned(assignment, partitions, Instant::now());
            }
            Polled::Revoked => {
                info!("partitions revoked");
                self.consumer.on_revoked();
            }
            Polled::OutOfRange => {
                warn!("a position is not in the log");
                self.consumer.on_out_of_range(Instant::now());
            }
            Polled::Failed(error) => return Err(error).context("consuming"),
        }
        Ok(())
    }

    fn on_done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Written { outcome, records, took } => {
                self.consumer.on_written(outcome.as_ref().copied(), now);
                match outcome {
                    Ok(()) => {
                        self.totals.records += records;
                        self.totals.writes += 1;
                        counter!("pipeline_records_total").increment(records);
                        histogram!("pipeline_write_seconds").record(took.as_secs_f64());
                        debug!(records, ?took, "written");
                    }
                    Err(error) => self.on_store_error(&error),
                }
            }
            Done::Opened { assignment, outcome: Ok(positions) } => {
                self.store.ok();
                if let Some(Start { assignment, generation, positions }) =
                    self.consumer.on_opened(assignment, Ok(positions), now)
                {
                    self.source.start(assignment, generation, positions);
                }
            }
            Done::Opened { assignment, outcome: Err(error) } => {
                self.consumer.on_opened(assignment, Err(&error), now);
                self.on_store_error(&error);
            }
            Done::Checked(outcome) => {
                self.consumer.on_checked(outcome.as_ref().copied(), now);
                if let Err(error) = outcome {
                    self.on_store_error(&error);
                }
            }
        }
    }

    /// Says what happened, once: to a person by the store's check, to machines by a counter.
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
    }

    fn commit(&mut self) {
        let stored = self.consumer.stored();
        if *stored == self.committed || stored.is_empty() {
            return;
        }
        for (partition, offset) in stored {
            let labels = [
                ("topic", self.topics[partition.topic].clone()),
                ("partition", partition.number.to_string()),
            ];
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            gauge!("pipeline_stored_offset", &labels).set(*offset as f64);
        }
        self.committed.clone_from(stored);
        self.source.commit(self.committed.clone());
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
        while self.consumer.may_finish()
            && let Some(task @ Task::Write(_)) = self.consumer.next(Instant::now())
        {
            let done = self.work_on(task).await;
            self.on_done(done);
        }
        self.commit();
        self.report();
        self.source.close().await;
    }
}

async fn finished(work: &mut Option<Work>) -> Done {
    let Some(running) = work else { return std::future::pending().await };
    let done = running.await;
    *work = None;
    done
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
