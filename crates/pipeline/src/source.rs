//! The thread that polls Kafka for the runner.
//!
//! It decodes, tags each record with the generation it was asked for, and hands records over
//! through a channel that is bounded in bytes. Over the bound it pauses the partitions and goes
//! on polling, so that the group never takes a slow store for a dead consumer.

use crate::flow::Decoded;
use crate::settings::{KafkaSettings, log_client_error, log_client_line};
use crate::sink::{LogBounds, Partition, Record, Sink};
use anyhow::Context as _;
use metrics::gauge;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use service::Check;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

/// How many bytes of records may wait for the runner.
const BUDGET_BYTES: usize = 32 * 1024 * 1024;
/// What a decoded record is taken to weigh beside its payload.
const RECORD_OVERHEAD_BYTES: usize = 128;
/// How many records are handed over at once at most.
const CHUNK_RECORDS: usize = 512;
/// A poll without work; also how late a command is seen at worst while records flow.
const POLL: Duration = Duration::from_millis(100);
/// The same while the runner is about to say where to start.
const POLL_UNTIL_STARTED: Duration = Duration::from_millis(10);
/// How long, at least, from one hand-over to the next, unless it is a full one. A lone record is handed
/// over at once; of many that come one by one, those of a moment go together.
const GATHER: Duration = Duration::from_millis(2);
/// How long a full budget is waited for before the partitions are paused, which costs a refetch.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the brokers are asked whether they are there.
const PROBE: Duration = Duration::from_secs(5);
/// How long the brokers may take to say where the log begins and ends.
const BOUNDS_LIMIT: Duration = Duration::from_secs(5);

/// What the polling thread tells the runner.
pub(crate) enum Polled<E> {
    /// The group gave us these partitions: say where to start.
    Assigned { assignment: u64, partitions: Vec<Partition> },
    /// The group took all partitions back.
    Revoked,
    /// Records of the generation that was started last.
    Records { generation: u64, records: Vec<Decoded<E>>, bytes: usize },
    /// A position is not in the log.
    OutOfRange,
    /// The consumer cannot go on.
    Failed(KafkaError),
}

/// What the runner tells the polling thread.
enum Command {
    /// Read from these positions; `assignment` must still be the current one.
    Start { assignment: u64, generation: u64, positions: BTreeMap<Partition, i64> },
    /// Say where the log begins and ends.
    Bounds(oneshot::Sender<anyhow::Result<Vec<LogBounds>>>),
    /// Tell Kafka how far we are, for lag tools.
    Commit(BTreeMap<Partition, i64>),
}

/// The polling thread, seen from the runner. Dropping it ends the thread.
pub(crate) struct Source<E> {
    polled: mpsc::UnboundedReceiver<Polled<E>>,
    commands: Option<std::sync::mpsc::Sender<Command>>,
    waiting_bytes: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl<E: Send + 'static> Source<E> {
    pub(crate) fn spawn<S: Sink<Event = E>>(
        sink: Arc<S>,
        settings: &KafkaSettings,
        group: &str,
        topics: Vec<String>,
        kafka: Check,
    ) -> anyhow::Result<Self> {
        let session = settings.kafka_session_timeout_ms;
        let consumer: BaseConsumer<Changes> = settings
            .consumer_config(group)
            .set("group.id", format!("{}{group}", settings.topic_prefix))
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 4).to_string())
            .create_with_context(Changes::default())
            .context("Kafka settings")?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).context("subscribing")?;
        let (sender, polled) = mpsc::unbounded_channel();
        let (commands, receiver) = std::sync::mpsc::channel();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let poller = Poller {
            sink,
            consumer,
            topics,
            polled: sender,
            waiting_bytes: Arc::clone(&waiting_bytes),
            kafka,
            assignment: 0,
            generation: None,
            paused: false,
            gathers_until: None,
            probed_at: None,
        };
        let thread = std::thread::Builder::new()
            .name("poll".into())
            .spawn(move || poller.run(&receiver))
            .context("starting the polling thread")?;
        Ok(Self { polled, commands: Some(commands), waiting_bytes, thread: Some(thread) })
    }

    /// The next thing that happened; `None` when the thread is gone. Cancel-safe.
    pub(crate) async fn recv(&mut self) -> Option<Polled<E>> {
        let polled = self.polled.recv().await;
        if let Some(Polled::Records { bytes, .. }) = &polled {
            self.waiting_bytes.fetch_sub(*bytes, Ordering::AcqRel);
        }
        polled
    }

    pub(crate) fn start(&self, assignment: u64, generation: u64, positions: BTreeMap<Partition, i64>) {
        self.send(Command::Start { assignment, generation, positions });
    }

    pub(crate) fn commit(&self, positions: BTreeMap<Partition, i64>) {
        self.send(Command::Commit(positions));
    }

    pub(crate) fn bounds(&self) -> impl Future<Output = anyhow::Result<Vec<LogBounds>>> + Send + use<E> {
        let (sender, bounds) = oneshot::channel();
        self.send(Command::Bounds(sender));
        async { bounds.await.context("the polling thread is gone")? }
    }

    /// Leaves the group and ends the thread.
    pub(crate) async fn close(mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A thread that is gone is reported by `recv`.
            let _ = commands.send(command);
        }
    }
}

/// What the group decided, left here by the callback for the polling loop.
#[derive(Default)]
struct Changes(Mutex<Vec<Change>>);

enum Change {
    Assigned(Vec<(String, i32)>),
    Revoked,
}

impl ClientContext for Changes {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client_line(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
    }
}

impl ConsumerContext for Changes {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, tpl: &mut TopicPartitionList) {
        let change = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Not assigned yet: first the store is asked where to start.
            let elements = tpl.elements();
            Change::Assigned(elements.iter().map(|e| (e.topic().to_owned(), e.partition())).collect())
        } else {
            if let Err(error) = consumer.unassign() {
                warn!(%error, "giving partitions back");
            }
            Change::Revoked
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(POLL)
    }
}

struct Poller<S: Sink> {
    sink: Arc<S>,
    consumer: BaseConsumer<Changes>,
    topics: Vec<String>,
    polled: mpsc::UnboundedSender<Polled<S::Event>>,
    waiting_bytes: Arc<AtomicUsize>,
    kafka: Check,
    /// Counts what the group decided, so that a start for an earlier decision is ignored.
    assignment: u64,
    /// The generation that records are tagged with, once it was started.
    generation: Option<u64>,
    paused: bool,
    /// Before that, nothing is handed over.
    gathers_until: Option<Instant>,
    probed_at: Option<Instant>,
}

impl<S: Sink> Poller<S> {
    fn run(mut self, commands: &std::sync::mpsc::Receiver<Command>) {
        loop {
            loop {
                match commands.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.keep_budget();
            self.poll_chunk();
            self.pass_changes_on();
            self.probe();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { assignment, .. } if assignment != self.assignment => {}
            Command::Start { generation, positions, .. } => {
                // Assigning anew drops whatever was fetched for the generation before. It leaves
                // paused what was paused when the group took it away.
                let list = self.partition_list(&positions);
                match self.consumer.assign(&list).and_then(|()| self.consumer.resume(&list)) {
                    Ok(()) => {
                        self.generation = Some(generation);
                        self.set_paused(false);
                    }
                    Err(error) => self.tell(Polled::Failed(error)),
                }
            }
            // Whoever asked may have stopped waiting.
            Command::Bounds(reply) => drop(reply.send(self.bounds())),
            Command::Commit(positions) => {
                let list = self.partition_list(&positions);
                if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
                    debug!(%error, "committing for lag tools");
                }
            }
        }
    }

    /// Pauses when too many bytes wait for the runner, and resumes at half of that.
    fn keep_budget(&mut self) {
        let waiting = || self.waiting_bytes.load(Ordering::Acquire);
        if self.paused {
            if waiting() < BUDGET_BYTES / 2 {
                self.set_paused(false);
                self.pause_or_resume();
            }
        } else if waiting() > BUDGET_BYTES {
            let since = Instant::now();
            while waiting() > BUDGET_BYTES && since.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            if waiting() > BUDGET_BYTES {
                self.set_paused(true);
                self.pause_or_resume();
            }
        }
    }

    fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        gauge!("pipeline_paused").set(f64::from(u8::from(paused)));
    }

    fn pause_or_resume(&self) {
        let outcome = self.consumer.assignment().and_then(|partitions| {
            if self.paused { self.consumer.pause(&partitions) } else { self.consumer.resume(&partitions) }
        });
        if let Err(error) = outcome {
            warn!(%error, paused = self.paused, "pausing or resuming");
        }
    }

    /// Waits for a record and takes those that are there already with it.
    fn poll_chunk(&mut self) {
        if let Some(until) = self.gathers_until.take() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        let timeout = if self.generation.is_some() { POLL } else { POLL_UNTIL_STARTED };
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut polled = self.consumer.poll(timeout);
        while let Some(outcome) = polled {
            match outcome {
                Ok(message) => {
                    bytes += RECORD_OVERHEAD_BYTES + message.payload_len();
                    records.extend(self.decode(&message));
                }
                Err(error) => self.on_error(error),
            }
            if records.len() >= CHUNK_RECORDS {
                break;
            }
            polled = self.consumer.poll(Duration::ZERO);
        }
        if let (Some(generation), false) = (self.generation, records.is_empty()) {
            if records.len() < CHUNK_RECORDS {
                self.gathers_until = Some(Instant::now() + GATHER);
            }
            self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
            self.tell(Polled::Records { generation, records, bytes });
        }
    }

    fn decode(&self, message: &BorrowedMessage<'_>) -> Option<Decoded<S::Event>> {
        let topic = self.topics.iter().position(|topic| topic == message.topic())?;
        let record = Record {
            partition: Partition { topic, number: message.partition() },
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            payload: message.payload(),
        };
        let event = self.sink.decode(&record);
        Some(Decoded { partition: record.partition, offset: record.offset, event })
    }

    fn on_error(&self, error: KafkaError) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.tell(Polled::OutOfRange);
            }
            Some(RDKafkaErrorCode::Fatal) => self.tell(Polled::Failed(error)),
            // The client goes on by itself; readiness tells until it has.
            _ => self.kafka.fail(&error),
        }
    }

    fn pass_changes_on(&mut self) {
        let changes =
            std::mem::take(&mut *self.consumer.context().0.lock().unwrap_or_else(PoisonError::into_inner));
        for change in changes {
            self.assignment += 1;
            self.generation = None;
            match change {
                Change::Assigned(partitions) => {
                    let partitions = partitions
                        .into_iter()
                        .filter_map(|(topic, number)| {
                            let topic = self.topics.iter().position(|t| *t == topic)?;
                            Some(Partition { topic, number })
                        })
                        .collect();
                    self.tell(Polled::Assigned { assignment: self.assignment, partitions });
                }
                Change::Revoked => self.tell(Polled::Revoked),
            }
        }
    }

    /// Asks the brokers for a sign of life, because the client does not tell when they are back.
    fn probe(&mut self) {
        if self.probed_at.is_some_and(|at| at.elapsed() < PROBE) {
            return;
        }
        self.probed_at = Some(Instant::now());
        match self.consumer.fetch_metadata(self.topics.first().map(String::as_str), Duration::from_secs(1)) {
            Ok(metadata) => match metadata.topics().first().and_then(|topic| topic.error()) {
                None => self.kafka.ok(),
                Some(error) => {
                    self.kafka.fail(RDKafkaErrorCode::from(error));
                }
            },
            Err(error) => self.kafka.fail(error),
        }
    }

    fn bounds(&self) -> anyhow::Result<Vec<LogBounds>> {
        let mut bounds = Vec::new();
        for (topic, name) in self.topics.iter().enumerate() {
            let metadata = self
                .consumer
                .fetch_metadata(Some(name), BOUNDS_LIMIT)
                .with_context(|| format!("asking for the partitions of {name}"))?;
            for partition in metadata.topics().first().map_or(&[][..], |topic| topic.partitions()) {
                let number = partition.id();
                let (low, high) = self
                    .consumer
                    .fetch_watermarks(name, number, BOUNDS_LIMIT)
                    .with_context(|| format!("asking where {name}/{number} begins and ends"))?;
                bounds.push(LogBounds { partition: Partition { topic, number }, low, high });
            }
            anyhow::ensure!(bounds.iter().any(|b| b.partition.topic == topic), "topic {name} is not there");
        }
        Ok(bounds)
    }

    fn partition_list(&self, positions: &BTreeMap<Partition, i64>) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, offset) in positions {
            list.add_partition_offset(
                &self.topics[partition.topic],
                partition.number,
                Offset::Offset(*offset),
            )
            .expect("offsets in the store are not negative");
        }
        list
    }

    fn tell(&self, polled: Polled<S::Event>) {
        // A runner that is gone has dropped the commands too, which ends this thread.
        let _ = self.polled.send(polled);
    }
}
