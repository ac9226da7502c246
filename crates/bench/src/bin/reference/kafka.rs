//! Bare loops of librdkafka, with the settings of our producers and consumers.

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// How many different events there are; they are made beforehand.
const READY_MADE: usize = 65_536;
/// After how many events the deliveries are taken in.
const POLL_EVERY: u64 = 1_000;

pub(crate) fn produce(brokers: &str, topic: &str, events: u64) -> anyhow::Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("partitioner", "murmur2_random")
        .create()?;
    producer.client().fetch_metadata(Some(topic), LIMIT)?;
    let ready_made: Vec<(String, String)> = (0..READY_MADE)
        .map(|at| {
            let (player, score) = ((at * 7_919) % 1_000_000 + 1, at % 100 + 1);
            let event = format!(
                r#"{{"score":{score},"user_id":{player},"created_at":"2026-01-01T00:00:00.{:06}"}}"#,
                at
            );
            (player.to_string(), event)
        })
        .collect();
    let begun = crate::ready()?;
    for (event, (key, payload)) in (0..events).zip(ready_made.iter().cycle()) {
        let mut record = BaseRecord::to(topic).key(key.as_str()).payload(payload.as_str());
        while let Err((error, back)) = producer.send(record) {
            anyhow::ensure!(
                matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
                "producing: {error}"
            );
            producer.poll(Duration::from_millis(1));
            record = back;
        }
        if event % POLL_EVERY == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(LIMIT)?;
    // What could not be delivered is not in the log.
    let stored = ends(&consumer_of(brokers)?, topic)?;
    anyhow::ensure!(stored.values().sum::<i64>() == i64::try_from(events)?, "{stored:?}");
    crate::took(begun)
}

pub(crate) fn consume(brokers: &str, topic: &str, events: u64) -> anyhow::Result<()> {
    let consumer = consumer_of(brokers)?;
    let mut from_the_beginning = TopicPartitionList::new();
    for partition in ends(&consumer, topic)?.into_keys() {
        from_the_beginning.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    let begun = crate::ready()?;
    consumer.assign(&from_the_beginning)?;
    for _ in 0..events {
        consumer.poll(LIMIT).context("a record that never came")??;
    }
    crate::took(begun)
}

fn consumer_of(brokers: &str) -> anyhow::Result<BaseConsumer> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        // No group is joined; the client wants a name for it all the same.
        .set("group.id", "reference")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "32768")
        .create()?;
    Ok(consumer)
}

/// Partition → the offset after its last record.
fn ends(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
    let partitions = metadata.topics().first().context("no metadata")?.partitions();
    partitions
        .iter()
        .map(|partition| {
            let (_, end) = consumer.fetch_watermarks(topic, partition.id(), LIMIT)?;
            Ok((partition.id(), end))
        })
        .collect()
}
