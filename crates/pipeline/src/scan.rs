//! Reads a stretch of a topic once, without a group, as fast as it comes.

use crate::settings::KafkaSettings;
use crate::tail::Quiet;
use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);
/// How long the brokers may take to answer a question.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long a scan may go without a record before it is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What the log holds of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The oldest offset there is.
    pub from: i64,
    /// The offset that the next record will have.
    pub to: i64,
}

/// What the log holds of each partition of `topic`. Blocks.
///
/// # Errors
/// When the topic is not there or the brokers do not answer.
pub fn extents(settings: &KafkaSettings, topic: &str) -> anyhow::Result<BTreeMap<i32, Extent>> {
    let consumer: BaseConsumer<Quiet> =
        settings.consumer_config("extents").create_with_context(Quiet).context("Kafka settings")?;
    let metadata = consumer
        .fetch_metadata(Some(topic), ANSWER_LIMIT)
        .with_context(|| format!("asking for the partitions of {topic}"))?;
    let found = metadata.topics().first().context("no metadata")?;
    if let Some(error) = found.error() {
        anyhow::bail!("topic {topic}: {}", RDKafkaErrorCode::from(error));
    }
    let extent = |partition: i32| {
        let (from, to) = consumer
            .fetch_watermarks(topic, partition, ANSWER_LIMIT)
            .with_context(|| format!("asking where {topic}/{partition} begins and ends"))?;
        Ok((partition, Extent { from, to }))
    };
    found.partitions().iter().map(|partition| extent(partition.id())).collect()
}

/// A record on the log.
#[derive(Clone, Copy, Debug)]
pub struct Scanned<'a> {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    message: &'a BorrowedMessage<'a>,
}

impl<'a> Scanned<'a> {
    /// The record's timestamp, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.message.timestamp().to_millis()
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.message.key()
    }

    /// The value; `None` is a tombstone.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.message.payload()
    }

    /// The value of the first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let headers = self.message.headers()?;
        headers.iter().find(|header| header.key == name)?.value
    }
}

/// A reader that goes as far as it is told, and later farther.
pub struct Scan {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    positions: BTreeMap<i32, i64>,
}

impl Scan {
    /// A reader of `topic` that stands at `positions`.
    ///
    /// # Errors
    /// When the settings are not valid.
    pub fn new(
        settings: &KafkaSettings,
        name: &str,
        topic: &str,
        positions: BTreeMap<i32, i64>,
    ) -> anyhow::Result<Self> {
        let consumer = settings
            .consumer_config(name)
            .set("group.id", name)
            .set("enable.partition.eof", "true")
            .create_with_context(Quiet)
            .context("Kafka settings")?;
        Ok(Self { consumer, topic: topic.to_owned(), positions })
    }

    /// Where it stands: for each partition the next offset to read.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<i32, i64> {
        &self.positions
    }

    /// Reads every record from where it stands up to, not including, `targets`, in order within
    /// a partition. A target beyond the log's end counts as read with it. Blocks.
    ///
    /// # Errors
    /// When a position is not in the log any more, `on_record` fails, or nothing comes for half
    /// a minute.
    pub fn read_to(
        &mut self,
        targets: &BTreeMap<i32, i64>,
        mut on_record: impl FnMut(&Scanned<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut unfinished: BTreeSet<i32> = BTreeSet::new();
        let mut list = TopicPartitionList::new();
        for (partition, target) in targets {
            let position = *self.positions.entry(*partition).or_insert(0);
            if position < *target {
                unfinished.insert(*partition);
                list.add_partition_offset(&self.topic, *partition, Offset::Offset(position))?;
            }
        }
        if unfinished.is_empty() {
            return Ok(());
        }
        // Assigning anew drops what was fetched beyond the targets before.
        self.consumer.assign(&list)?;
        let mut heard = Instant::now();
        while !unfinished.is_empty() {
            let done = match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    let target = targets.get(&partition).copied().unwrap_or(0);
                    if offset < target && unfinished.contains(&partition) {
                        on_record(&Scanned { partition, offset, message: &message })?;
                        self.positions.insert(partition, offset + 1);
                    }
                    (offset + 1 >= target).then_some(partition)
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => Some(partition),
                Some(Err(error)) => return Err(error).with_context(|| format!("reading {}", self.topic)),
                None => {
                    anyhow::ensure!(
                        heard.elapsed() < SILENCE_LIMIT,
                        "nothing of {} came for {SILENCE_LIMIT:?}",
                        self.topic
                    );
                    None
                }
            };
            if let Some(partition) = done
                && unfinished.remove(&partition)
            {
                // Holes at the end of a stretch are read, too.
                let target = targets.get(&partition).copied().unwrap_or(0);
                let position = self.positions.entry(partition).or_insert(0);
                *position = (*position).max(target);
                let mut ended = TopicPartitionList::new();
                ended.add_partition(&self.topic, partition);
                self.consumer.pause(&ended)?;
            }
        }
        self.consumer.unassign()?;
        // A pause outlives the assignment: the next one would never get a record.
        self.consumer.resume(&list)?;
        Ok(())
    }
}
