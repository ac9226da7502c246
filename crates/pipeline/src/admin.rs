//! Making the topics.

use crate::settings::KafkaSettings;
use anyhow::Context as _;
use contracts::topics::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(15);

/// What became of a topic that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    Created,
    /// It was there and stays as it is.
    AlreadyThere,
}

/// Makes those of `topics` that are not there, each with `replication` copies.
///
/// # Errors
/// When a broker refuses or cannot be reached; topics before the refused one may have been made.
pub async fn create_topics(
    settings: &KafkaSettings,
    topics: &[Topic],
    replication: i32,
) -> anyhow::Result<Vec<(String, Made)>> {
    let client: AdminClient<DefaultClientContext> =
        settings.client_config("rankstream-admin").create().context("Kafka settings")?;
    let names: Vec<String> = topics.iter().map(|topic| settings.topic(topic)).collect();
    // Three copies of which one may be missing is what "acknowledged" means in production.
    let min_insync = if replication >= 3 { "2" } else { "1" };
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&names)
        .map(|(topic, name)| {
            let new = NewTopic::new(name, topic.partitions, TopicReplication::Fixed(replication))
                .set("min.insync.replicas", min_insync);
            topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let outcomes = client.create_topics(&wanted, &options).await.context("asking Kafka for the topics")?;
    outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(name) => Ok((name, Made::Created)),
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => Ok((name, Made::AlreadyThere)),
            Err((name, error)) => Err(anyhow::anyhow!("topic {name}: {error}")),
        })
        .collect()
}

/// Gives `topic` more partitions, so that there are `total`.
///
/// # Errors
/// When a broker refuses or cannot be reached; also when there are as many already.
pub async fn add_partitions(settings: &KafkaSettings, topic: &Topic, total: usize) -> anyhow::Result<()> {
    let client: AdminClient<DefaultClientContext> =
        settings.client_config("rankstream-admin").create().context("Kafka settings")?;
    let name = settings.topic(topic);
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    for outcome in client.create_partitions(&[NewPartitions::new(&name, total)], &options).await? {
        outcome.map_err(|(name, error)| anyhow::anyhow!("topic {name}: {error}"))?;
    }
    Ok(())
}

/// Deletes topics; those that are not there are passed over. For tests, which clean up.
///
/// # Errors
/// When a broker refuses or cannot be reached.
pub async fn delete_topics(settings: &KafkaSettings, topics: &[Topic]) -> anyhow::Result<()> {
    let client: AdminClient<DefaultClientContext> =
        settings.client_config("rankstream-admin").create().context("Kafka settings")?;
    let names: Vec<String> = topics.iter().map(|topic| settings.topic(topic)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for outcome in client.delete_topics(&names, &AdminOptions::new()).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, error)) => anyhow::bail!("topic {name}: {error}"),
        }
    }
    Ok(())
}

/// Takes the records below the given offsets (partition → offset) out of `topic`, as retention
/// does after a while. For tests, which cannot wait for it.
///
/// # Errors
/// When a broker refuses or cannot be reached.
pub async fn delete_records(
    settings: &KafkaSettings,
    topic: &Topic,
    below: &BTreeMap<i32, i64>,
) -> anyhow::Result<()> {
    let client: AdminClient<DefaultClientContext> =
        settings.client_config("rankstream-admin").create().context("Kafka settings")?;
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in below {
        offsets.add_partition_offset(&settings.topic(topic), *partition, Offset::Offset(*offset))?;
    }
    let outcome = client.delete_records(&offsets, &AdminOptions::new()).await?;
    for partition in outcome.elements() {
        partition.error().with_context(|| format!("partition {}", partition.partition()))?;
    }
    Ok(())
}
