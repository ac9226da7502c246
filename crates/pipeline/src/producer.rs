//! Producing: idempotent, bounded, acknowledged by callback.
//!
//! A full queue is back-pressure for the caller, never a drop. A callback per record costs a
//! quarter of what a future per record does.

use crate::settings::{KafkaSettings, log_client_error, log_client_line};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
pub use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::util::IntoOpaque;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long Kafka may take to acknowledge a record before its sender is told that it failed.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(30);
/// How long a sender waits before it looks again whether a full queue has room.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long the thread of the deliveries waits for one. Each wait ends with the client spinning for
/// most of a millisecond: at a tenth of a second, as its own thread does it, a producer at rest takes
/// 0.8 % of a core.
const POLL: Duration = Duration::from_secs(1);
/// How many records may wait for their acknowledgement.
const QUEUE_RECORDS: u32 = 100_000;
/// How many kilobytes may wait for their acknowledgement.
const QUEUE_KBYTES: u32 = 65_536;

/// Who is told how each record fared.
pub trait OnDelivery: Send + Sync + 'static {
    /// Goes with the record and comes back with its outcome.
    type Token: IntoOpaque;
    /// Called on the producer's thread, once for each record that was taken.
    fn delivered(&self, token: Self::Token, outcome: Result<Place, KafkaError>);
}

/// Where Kafka has put a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition of the record's topic.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

/// Partition → the offset after the last of some records of one topic: whoever has read up to
/// these has read them all.
pub type Ends = BTreeMap<i32, i64>;

/// A record to produce.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The topic's name on the broker.
    pub topic: &'a str,
    /// Decides the partition; when it is empty, the record has no key and any partition will do.
    pub key: &'a [u8],
    /// The value; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers, as (name, value).
    pub headers: &'a [(&'static str, Vec<u8>)],
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Too many records wait for their acknowledgement: wait, then send again.
    #[error("the producer's queue is full")]
    QueueFull,
    /// This record can never be sent.
    #[error("Kafka does not take the record: {0}")]
    Refused(KafkaError),
}

struct Context<D>(D);

impl<D: OnDelivery> ClientContext for Context<D> {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client_line(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
    }
}

impl<D: OnDelivery> ProducerContext for Context<D> {
    type DeliveryOpaque = D::Token;

    fn delivery(&self, result: &DeliveryResult<'_>, token: D::Token) {
        let place = |message: &BorrowedMessage<'_>| Place {
            partition: message.partition(),
            offset: message.offset(),
        };
        let outcome = result.as_ref().map(place).map_err(|(error, _)| error.clone());
        self.0.delivered(token, outcome);
    }
}

/// An idempotent producer that tells `D` how each record fared, on a thread of its own.
pub struct Producer<D: OnDelivery> {
    inner: Arc<BaseProducer<Context<D>>>,
    ended: Arc<AtomicBool>,
}

impl<D: OnDelivery> Producer<D> {
    /// A producer whose batches wait `linger` for company.
    ///
    /// # Errors
    /// When the settings are not valid ones.
    pub fn new(
        settings: &KafkaSettings,
        name: &str,
        linger: Duration,
        on_delivery: D,
    ) -> Result<Self, KafkaError> {
        let inner: BaseProducer<Context<D>> = settings
            .client_config(name)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", linger.as_millis().to_string())
            .set("delivery.timeout.ms", DELIVERY_LIMIT.as_millis().to_string())
            .set("queue.buffering.max.messages", QUEUE_RECORDS.to_string())
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES.to_string())
            // As Java's producers choose: the same key is in the same partition, whoever sends.
            .set("partitioner", "murmur2_random")
            .create_with_context(Context(on_delivery))?;
        let (inner, ended) = (Arc::new(inner), Arc::new(AtomicBool::new(false)));
        let polling = (Arc::clone(&inner), Arc::clone(&ended));
        let polling = std::thread::Builder::new().name("deliveries".into()).spawn(move || {
            let (inner, ended) = polling;
            while !ended.load(Ordering::Relaxed) {
                inner.poll(POLL);
            }
        });
        // Nobody waits for its end: it holds what it needs.
        polling.map_err(|error| KafkaError::ClientCreation(format!("starting a thread: {error}")))?;
        Ok(Self { inner, ended })
    }

    /// Asks the brokers for `topic`, which also connects to them, so that the first record does
    /// not wait for that. Blocks.
    ///
    /// # Errors
    /// When no broker answers within `limit`, or the topic is not there.
    pub fn check(&self, topic: &str, limit: Duration) -> Result<(), KafkaError> {
        let metadata = self.inner.client().fetch_metadata(Some(topic), limit)?;
        match metadata.topics().first().and_then(|topic| topic.error()) {
            Some(error) => Err(KafkaError::MetadataFetch(error.into())),
            None => Ok(()),
        }
    }

    /// Hands a record over, or gives the token back.
    ///
    /// # Errors
    /// [`SendError`] says whether to try again.
    pub fn try_send(&self, message: &Message<'_>, token: D::Token) -> Result<(), (SendError, D::Token)> {
        let mut record = BaseRecord::with_opaque_to(message.topic, token);
        if !message.key.is_empty() {
            record = record.key(message.key);
        }
        if let Some(payload) = message.payload {
            record = record.payload(payload);
        }
        if !message.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
            for (key, value) in message.headers {
                headers = headers.insert(Header { key, value: Some(value) });
            }
            record = record.headers(headers);
        }
        self.inner.send(record).map_err(|(error, record)| {
            let error = match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => SendError::QueueFull,
                error => SendError::Refused(error),
            };
            (error, record.delivery_opaque)
        })
    }

    /// How many records wait for their acknowledgement.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// Blocks until every record has its outcome, at most `limit`.
    ///
    /// # Errors
    /// When `limit` passed first.
    pub fn flush(&self, limit: Duration) -> Result<(), KafkaError> {
        self.inner.flush(limit)
    }
}

impl<D: OnDelivery> Drop for Producer<D> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Counts the outcomes of records that were sent together.
pub struct Flight {
    missing: AtomicUsize,
    landing: Mutex<Landing>,
}

struct Landing {
    first_error: Option<KafkaError>,
    ends: Ends,
    waiting: Option<oneshot::Sender<Result<Ends, KafkaError>>>,
}

impl Landing {
    fn new(waiting: Option<oneshot::Sender<Result<Ends, KafkaError>>>) -> Mutex<Self> {
        Mutex::new(Self { first_error: None, ends: Ends::new(), waiting })
    }
}

impl Flight {
    fn land(&self, records: usize, outcome: Result<Place, KafkaError>) {
        let mut landing = self.landing.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(Place { partition, offset }) => {
                let end = landing.ends.entry(partition).or_default();
                *end = offset.saturating_add(1).max(*end);
            }
            Err(error) => {
                if landing.waiting.is_none() {
                    metrics::counter!("producer_unconfirmed_lost_total").increment(1);
                }
                landing.first_error.get_or_insert(error);
            }
        }
        if self.missing.fetch_sub(records, Ordering::AcqRel) == records
            && let Some(waiting) = landing.waiting.take()
        {
            // Whoever asked may have stopped waiting.
            let ends = std::mem::take(&mut landing.ends);
            let _ = waiting.send(landing.first_error.take().map_or(Ok(ends), Err));
        }
    }
}

/// Delivers outcomes to whoever waits in [`AckProducer::send_all`].
pub struct Ack;

impl OnDelivery for Ack {
    type Token = Arc<Flight>;

    fn delivered(&self, flight: Arc<Flight>, outcome: Result<Place, KafkaError>) {
        flight.land(1, outcome);
    }
}

/// A producer whose senders wait for Kafka's acknowledgement.
pub type AckProducer = Producer<Ack>;

impl Producer<Ack> {
    /// Sends `messages`, all to one topic, and returns when Kafka has acknowledged every one:
    /// where they end.
    ///
    /// # Errors
    /// The first failure; others of the same call may have been delivered.
    pub async fn send_all(&self, messages: &[Message<'_>]) -> Result<Ends, KafkaError> {
        if messages.is_empty() {
            return Ok(Ends::new());
        }
        let (sender, outcome) = oneshot::channel();
        let flight = Arc::new(Flight {
            missing: AtomicUsize::new(messages.len()),
            landing: Landing::new(Some(sender)),
        });
        for (sent, message) in messages.iter().enumerate() {
            // Deliveries fail after `DELIVERY_LIMIT`, so a full queue always gets room again.
            while let Err((error, _)) = self.try_send(message, Arc::clone(&flight)) {
                match error {
                    SendError::QueueFull => tokio::time::sleep(QUEUE_FULL_PAUSE).await,
                    SendError::Refused(error) => {
                        flight.land(messages.len() - sent, Err(error.clone()));
                        return Err(error);
                    }
                }
            }
        }
        outcome.await.unwrap_or(Err(KafkaError::Canceled))
    }

    /// Sends without waiting for the outcome, for messages of which a later one says the same:
    /// one that is lost is counted, not reported.
    pub fn send_unconfirmed(&self, message: &Message<'_>) {
        let flight = Arc::new(Flight { missing: AtomicUsize::new(1), landing: Landing::new(None) });
        if self.try_send(message, flight).is_err() {
            metrics::counter!("producer_unconfirmed_lost_total").increment(1);
        }
    }
}
