//! The way into Kafka, with a bound on what is on it.

use crate::problem::{Kind, Problem};
use bytes::Bytes;
use contracts::topics::Topic;
use futures_util::future::BoxFuture;
use pipeline::producer::{Ends, KafkaError};
use pipeline::{AckProducer, KafkaSettings, Message};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A record to append: whose it is, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key: the player's id.
    pub key: String,
    /// The value.
    pub payload: Bytes,
}

/// Where writes go to.
pub trait Log: Send + Sync + 'static {
    /// Appends the records to `topic`; where they end, once all of them are safe.
    ///
    /// The error says nothing of which are: some or all of them may be, now or later.
    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Ends, KafkaError>>;
}

/// Kafka's.
pub struct KafkaLog {
    producer: AckProducer,
    settings: KafkaSettings,
}

impl KafkaLog {
    /// A log on the brokers of `settings`.
    ///
    /// # Errors
    /// When they are not valid ones.
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        // What comes while another record is on its way shares the next request; nothing waits.
        let linger = std::time::Duration::ZERO;
        let producer = AckProducer::new(settings, "controller", linger, pipeline::producer::Ack)?;
        Ok(Self { producer, settings: settings.clone() })
    }
}

impl Log for KafkaLog {
    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Ends, KafkaError>> {
        Box::pin(async move {
            let topic = self.settings.topic(topic);
            let message = |entry: &'a Entry| (entry.key.as_bytes(), Some(&entry.payload[..]));
            let messages: Vec<Message<'_>> = entries
                .iter()
                .map(message)
                .map(|(key, payload)| Message { topic: &topic, key, payload, headers: &[] })
                .collect();
            self.producer.send_all(&messages).await
        })
    }
}

/// How much may be on its way into the log, whoever still waits for it.
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(events: u32) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(events).unwrap_or(Semaphore::MAX_PERMITS))))
    }

    /// Room for so much, until it is given back.
    ///
    /// # Errors
    /// When there is not enough now.
    pub(super) fn take(&self, events: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let full = |_| {
            Problem::new(Kind::TooManyWrites, "too many events wait for Kafka; this write was not taken")
                .may_have_been_taken(false)
        };
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        Arc::clone(&self.0).try_acquire_many_owned(events).map_err(full)
    }
}
