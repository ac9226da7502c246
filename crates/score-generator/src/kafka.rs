//! The way to Kafka: bounded, acknowledged by callback.

use crate::Stop;
use crate::outlet::{Handed, Outcome, Outgoing, Outlet};
use crate::summary::Latency;
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use hdrhistogram::Histogram;
use judge::ledger::MAX_EVENTS;
use judge::{Pen, Recording};
use pipeline::producer::{DELIVERY_LIMIT, KafkaError, Message, OnDelivery, Place, SendError};
use pipeline::{KafkaSettings, Producer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long Kafka may take to answer at the start.
const REACH_LIMIT: Duration = Duration::from_secs(10);
/// How long a full queue is left alone before it is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// Up to which rate batches do not wait for company: a lone event goes through at once.
const UNHURRIED_RATE: u64 = 10_000;
/// How long batches wait above that.
const LINGER: Duration = Duration::from_millis(5);
/// Latencies are kept from a microsecond to this.
const MAX_LATENCY: Duration = Duration::from_secs(3600);
const SIGNIFICANT_DIGITS: u8 = 3;

/// How long everything sent may take to get its outcome, when nobody is waiting at Ctrl-C.
pub(crate) const FINISH_LIMIT: Duration = DELIVERY_LIMIT.saturating_add(Duration::from_secs(5));

/// What is known of the events that Kafka was given.
struct Deliveries {
    started: Instant,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
    latency_micros: Mutex<Histogram<u64>>,
    recording: Option<Arc<Recording>>,
}

impl Deliveries {
    fn fail(&self, why: impl FnOnce() -> String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        lock(&self.first_failure).get_or_insert_with(why);
    }
}

/// Tells [`Deliveries`] of each outcome. The token is the intended instant, in nanoseconds
/// after `started`, or where there is a recording what its pen gave, so that no event costs an
/// allocation.
struct Receipts(Arc<Deliveries>);

impl OnDelivery for Receipts {
    type Token = usize;

    fn delivered(&self, token: usize, outcome: Result<Place, KafkaError>) {
        match outcome {
            Ok(place) => {
                let latency = match &self.0.recording {
                    Some(recording) => recording.acknowledged(token, place),
                    None => self.0.started.elapsed().saturating_sub(Duration::from_nanos(token as u64)),
                };
                // Only one thread delivers, so this lock is free.
                lock(&self.0.latency_micros).saturating_record(micros(latency));
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.0.fail(|| error.to_string()),
        }
    }
}

/// Sends events to `game-score`.
pub(crate) struct KafkaOutlet {
    producer: Producer<Receipts>,
    deliveries: Arc<Deliveries>,
    pen: Option<Pen>,
    stop: Stop,
    topic: String,
    sent: u64,
}

impl KafkaOutlet {
    /// Ready to send about `rate` events per second (0 = as many as possible), and to write them
    /// down where there is a recording.
    pub(crate) fn new(
        settings: &KafkaSettings,
        rate: u64,
        stop: Stop,
        recording: Option<&Arc<Recording>>,
    ) -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_max(micros(MAX_LATENCY), SIGNIFICANT_DIGITS)?;
        let deliveries = Arc::new(Deliveries {
            started: Instant::now(),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure: Mutex::new(None),
            latency_micros: Mutex::new(latencies),
            recording: recording.cloned(),
        });
        let linger = if (1..=UNHURRIED_RATE).contains(&rate) { Duration::ZERO } else { LINGER };
        let producer = Producer::new(settings, "score-generator", linger, Receipts(Arc::clone(&deliveries)))
            .context("Kafka settings")?;
        let topic = settings.topic(&GAME_SCORE);
        producer.check(&topic, REACH_LIMIT).with_context(|| {
            format!("KAFKA_BROKERS: {} has no topic `{topic}` for us", settings.kafka_brokers)
        })?;
        let pen = recording.map(Recording::pen);
        Ok(Self { producer, deliveries, pen, stop, topic, sent: 0 })
    }
}

impl Outlet for KafkaOutlet {
    fn send(&mut self, event: &Outgoing<'_>) -> anyhow::Result<Handed> {
        let message =
            Message { topic: &self.topic, key: event.key, payload: Some(event.payload), headers: &[] };
        let token = match &mut self.pen {
            Some(pen) => {
                let written = pen.write(event.intended, event.payload);
                written.with_context(|| format!("more than {MAX_EVENTS} events cannot be judged"))?
            }
            None => {
                let intended = event.intended.saturating_duration_since(self.deliveries.started);
                usize::try_from(intended.as_nanos()).unwrap_or(usize::MAX)
            }
        };
        loop {
            match self.producer.try_send(&message, token) {
                Ok(()) => {
                    self.pen.iter_mut().for_each(Pen::sent);
                    break;
                }
                Err((SendError::Refused(error), _)) => {
                    self.deliveries.fail(|| error.to_string());
                    break;
                }
                Err((SendError::QueueFull, _)) => {
                    if self.stop.is_asked() {
                        return Ok(Handed::Stopped);
                    }
                    self.stop.pause(QUEUE_FULL_PAUSE);
                }
            }
        }
        self.sent += 1;
        Ok(Handed::Taken)
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn finish(&mut self, limit: Duration) -> anyhow::Result<()> {
        // Its only failure is that time ran out; what is missing shows in the outcome.
        let _ = self.producer.flush(limit);
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        let latency = lock(&self.deliveries.latency_micros);
        Outcome {
            sent: self.sent,
            acknowledged: self.deliveries.acknowledged.load(Ordering::Relaxed),
            failed: self.deliveries.failed.load(Ordering::Relaxed),
            first_failure: lock(&self.deliveries.first_failure).clone(),
            latency: (!latency.is_empty()).then(|| Latency::of_micros(&latency)),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
