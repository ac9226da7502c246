//! A consumer process: the real decisions and the real sink, with modelled hands.

use crate::desk::Desk;
use crate::log::{Change, Log};
use pipeline::consumer::{Consumer, Start, Task, check, open};
use pipeline::flow::Decoded;
use pipeline::sink::Partition;
use pipeline::{Record, Sink, WriteError};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Names for messages of errors.
const TOPICS: [&str; 2] = ["game-score", "player-profile"];

enum Done {
    Opened { assignment: u64, outcome: Result<BTreeMap<Partition, i64>, WriteError> },
    Written(Result<(), WriteError>),
    Checked(Result<(), WriteError>),
}

/// A consumer process that runs.
pub(crate) struct Process<S: Sink> {
    sink: Arc<S>,
    consumer: Consumer<S::Batch>,
    work: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
    desk: Desk,
    /// How many topics it reads.
    topics: usize,
    /// Counts the group's decisions.
    assignment: u64,
    /// Where the client reads, and the generation it tags records with.
    reading: Option<(u64, BTreeMap<Partition, i64>)>,
    /// What the client has fetched and the runner has not taken.
    fetched: VecDeque<(u64, Vec<Decoded<S::Event>>)>,
    /// What a person is told to mend.
    pub(crate) impossible: Option<String>,
    /// How often it was refused by the fence.
    pub(crate) fenced: u64,
}

impl<S: Sink> Process<S> {
    /// One that has just started.
    pub(crate) fn start(sink: S, topics: usize, desk: Desk, seed: u64) -> Self {
        Self {
            sink: Arc::new(sink),
            consumer: Consumer::new(S::MAX_CHAIN, seed),
            work: None,
            desk,
            topics,
            assignment: 0,
            reading: None,
            fetched: VecDeque::new(),
            impossible: None,
            fenced: 0,
        }
    }

    /// Hears what the group decided.
    pub(crate) fn hear(&mut self, change: Change, now: Instant) {
        self.assignment += 1;
        self.reading = None;
        match change {
            Change::Assigned(partitions) => self.consumer.on_assigned(self.assignment, partitions, now),
            Change::Revoked => self.consumer.on_revoked(),
        }
    }

    /// Fetches up to `most` records of one of its partitions, the `turn`th of them.
    pub(crate) fn fetch(&mut self, log: &Log, most: usize, turn: usize, now: Instant) {
        let Some((generation, positions)) = &mut self.reading else { return };
        let ready: Vec<Partition> = positions
            .iter()
            .filter(|(partition, position)| log.partitions[*partition].high() > **position)
            .map(|(partition, _)| *partition)
            .collect();
        let Some(partition) = ready.get(turn % ready.len().max(1)).copied() else { return };
        let records = &log.partitions[&partition];
        let position = positions.get_mut(&partition).expect("it is one of them");
        if *position < records.low {
            self.reading = None;
            self.consumer.on_out_of_range(now);
            return;
        }
        let from = usize::try_from(*position).expect("not negative");
        let decoded = records.records[from..]
            .iter()
            .take(most)
            .zip(*position..)
            .map(|(record, offset)| {
                let event = self.sink.decode(&Record {
                    partition,
                    offset,
                    timestamp_ms: Some(record.timestamp_ms),
                    key: Some(&record.key),
                    payload: Some(&record.payload),
                });
                Decoded { partition, offset, event }
            })
            .collect::<Vec<_>>();
        *position += i64::try_from(decoded.len()).expect("few");
        self.fetched.push_back((*generation, decoded));
    }

    /// Takes in what was fetched, does what is to be done, looks whether something was done.
    /// Says whether anything happened.
    pub(crate) fn step(&mut self, now: Instant) -> bool {
        let mut happened = false;
        if self.consumer.has_room()
            && let Some((generation, records)) = self.fetched.pop_front()
        {
            let sink = &self.sink;
            self.consumer.on_records(
                generation,
                records,
                |batch, event| sink.fold(batch, event),
                |batch| sink.is_full(batch),
            );
            happened = true;
        }
        if self.work.is_none()
            && let Some(task) = self.consumer.next(now)
        {
            self.work = Some(self.work_on(task));
            happened = true;
        }
        if let Some(work) = &mut self.work
            && let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            self.work = None;
            self.on_done(done, now);
            happened = true;
        }
        happened
    }

    fn work_on(&self, task: Task<S::Batch>) -> Pin<Box<dyn Future<Output = Done> + Send>> {
        let sink = Arc::clone(&self.sink);
        match task {
            Task::Open { assignment, partitions } => {
                let topics = self.topics;
                let bounds = self.desk.ask(move |stores| stores.log.bounds(topics));
                Box::pin(async move {
                    let topics = TOPICS.map(str::to_owned);
                    let outcome = open(&*sink, &topics, &partitions, bounds).await;
                    Done::Opened { assignment, outcome }
                })
            }
            Task::Write(chain) => Box::pin(async move { Done::Written(sink.write(chain).await) }),
            Task::Check(partitions) => {
                let stored = self.consumer.stored().clone();
                Box::pin(async move { Done::Checked(check(&*sink, &partitions, &stored).await) })
            }
        }
    }

    fn on_done(&mut self, done: Done, now: Instant) {
        let error = match done {
            Done::Opened { assignment, outcome } => {
                let start = self.consumer.on_opened(assignment, outcome.as_ref().map(Clone::clone), now);
                if let Some(Start { assignment, generation, positions }) = start
                    && assignment == self.assignment
                {
                    self.reading = Some((generation, positions));
                    self.impossible = None;
                }
                outcome.err()
            }
            Done::Written(outcome) => {
                self.consumer.on_written(outcome.as_ref().copied(), now);
                outcome.err()
            }
            Done::Checked(outcome) => {
                self.consumer.on_checked(outcome.as_ref().copied(), now);
                outcome.err()
            }
        };
        match error {
            Some(WriteError::Impossible(why)) => self.impossible = Some(why),
            Some(WriteError::Fenced(_)) => self.fenced += 1,
            Some(WriteError::Unavailable(_)) | None => {}
        }
    }
}
