//! Reads a small topic, without a group, for as long as the process lives.

use crate::settings::{KafkaSettings, log_client_error, log_client_line};
use anyhow::Context as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use service::{Check, Stop};
use std::collections::HashSet;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);
const METADATA_LIMIT: Duration = Duration::from_secs(1);
/// How often the brokers are asked whether they are there.
const PROBE: Duration = Duration::from_secs(5);

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest record: for compacted topics, this is every key's newest.
    Beginning,
    /// With the next record to come.
    End,
}

/// The end of a partition is what a tail waits for, not an error to log.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client_line(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if !matches!(error, KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
            log_client_error(&error, reason);
        }
    }
}

impl ConsumerContext for Quiet {}

/// Starts a thread that hands every record of `topic` to `on_record` as (key, value), until
/// `stop` is cancelled. `check` is fine once everything that was there at the start was handed
/// over, and while the brokers answer.
///
/// # Errors
/// When the consumer or its thread cannot be made. A broker that is away is waited for.
pub fn spawn(
    settings: &KafkaSettings,
    name: &str,
    topic: String,
    from: From,
    check: Check,
    stop: Stop,
    on_record: impl FnMut(Option<&[u8]>, Option<&[u8]>) + Send + 'static,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let consumer: BaseConsumer<Quiet> = settings
        .consumer_config(name)
        // No group is joined; the client wants a name for it all the same.
        .set("group.id", name)
        .set("enable.partition.eof", "true")
        // A position that is gone means a topic made anew: read it whole. Versions decide.
        .set("auto.offset.reset", "earliest")
        .create_with_context(Quiet)
        .context("Kafka settings")?;
    let tail = Tail { consumer, topic, check, unfinished: HashSet::new(), probed_at: Instant::now() };
    std::thread::Builder::new()
        .name("tail".into())
        .spawn(move || tail.run(from, &stop, on_record))
        .context("starting the tailing thread")
}

/// Reads a small topic once, whole, handing every record to `on_record` as (key, value). Blocks.
///
/// # Errors
/// When the topic was not read whole within `limit`.
pub fn read_all(
    settings: &KafkaSettings,
    name: &str,
    topic: &str,
    limit: Duration,
    mut on_record: impl FnMut(Option<&[u8]>, Option<&[u8]>),
) -> anyhow::Result<()> {
    let consumer: BaseConsumer<Quiet> = settings
        .consumer_config(name)
        .set("group.id", name)
        .set("enable.partition.eof", "true")
        .create_with_context(Quiet)
        .context("Kafka settings")?;
    let mut unfinished = assign(&consumer, topic, From::Beginning)?;
    let begun = Instant::now();
    while !unfinished.is_empty() {
        anyhow::ensure!(begun.elapsed() < limit, "topic {topic} was not read within {limit:?}");
        match consumer.poll(POLL) {
            Some(Ok(message)) => on_record(message.key(), message.payload()),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unfinished.remove(&partition);
            }
            Some(Err(error)) => return Err(error).with_context(|| format!("reading topic {topic}")),
            None => {}
        }
    }
    Ok(())
}

/// Takes all partitions of `topic`; returns their numbers.
fn assign(consumer: &BaseConsumer<Quiet>, topic: &str, from: From) -> anyhow::Result<HashSet<i32>> {
    let metadata = consumer
        .fetch_metadata(Some(topic), METADATA_LIMIT)
        .with_context(|| format!("asking for the partitions of {topic}"))?;
    let found = metadata.topics().first().context("no metadata")?;
    if let Some(error) = found.error() {
        anyhow::bail!("topic {topic}: {}", RDKafkaErrorCode::from(error));
    }
    let offset = match from {
        From::Beginning => Offset::Beginning,
        From::End => Offset::End,
    };
    let mut list = TopicPartitionList::new();
    for partition in found.partitions() {
        list.add_partition_offset(topic, partition.id(), offset)?;
    }
    consumer.assign(&list)?;
    Ok(found.partitions().iter().map(|partition| partition.id()).collect())
}

struct Tail {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    check: Check,
    /// Partitions whose end was not reached yet.
    unfinished: HashSet<i32>,
    probed_at: Instant,
}

impl Tail {
    fn run(mut self, from: From, stop: &Stop, mut on_record: impl FnMut(Option<&[u8]>, Option<&[u8]>)) {
        while !stop.is_cancelled() {
            match assign(&self.consumer, &self.topic, from) {
                Ok(partitions) => {
                    self.unfinished = partitions;
                    break;
                }
                Err(error) => self.check.fail(format_args!("{error:#}")),
            }
            std::thread::sleep(POLL);
        }
        while !stop.is_cancelled() {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => on_record(message.key(), message.payload()),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.unfinished.remove(&partition);
                    if self.unfinished.is_empty() {
                        self.check.ok();
                    }
                }
                Some(Err(error)) => self.check.fail(error),
                None => self.probe(),
            }
        }
    }

    /// Asks the brokers for a sign of life, because the client does not tell when they are back.
    fn probe(&mut self) {
        if self.probed_at.elapsed() < PROBE {
            return;
        }
        self.probed_at = Instant::now();
        match self.consumer.fetch_metadata(Some(&self.topic), METADATA_LIMIT) {
            Ok(_) if self.unfinished.is_empty() => self.check.ok(),
            Ok(_) => {}
            Err(error) => self.check.fail(error),
        }
    }
}
