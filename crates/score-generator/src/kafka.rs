//! The way to Kafka: bounded, acknowledged by callback.

use crate::Stop;
use crate::outlet::{Fates, Handed, Outcome, Outgoing, Outlet, lock};
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use judge::ledger::MAX_EVENTS;
use judge::{Pen, Recording};
use pipeline::producer::{DELIVERY_LIMIT, KafkaError, Message, OnDelivery, Place, SendError};
use pipeline::{KafkaSettings, Producer};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long Kafka may take to answer at the start.
const REACH_LIMIT: Duration = Duration::from_secs(10);
/// How long a full queue is left alone before it is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// Up to which rate batches do not wait for company: a lone event goes through at once.
const UNHURRIED_RATE: u64 = 10_000;
/// How long batches wait above that.
const LINGER: Duration = Duration::from_millis(5);

/// How long everything sent may take to get its outcome, when nobody is waiting at Ctrl-C.
pub(crate) const FINISH_LIMIT: Duration = DELIVERY_LIMIT.saturating_add(Duration::from_secs(5));

/// What is known of the events that Kafka was given.
struct Deliveries {
    started: Instant,
    recording: Option<Arc<Recording>>,
    fates: Mutex<Fates>,
}

impl Deliveries {
    fn failed(&self, error: &KafkaError) {
        let mut fates = lock(&self.fates);
        fates.fail();
        fates.blame(|| error.to_string());
    }
}

/// Tells [`Deliveries`] of each outcome. The token is the intended instant, in nanoseconds
/// after `started`, or where there is a recording what its pen gave, so that no event costs an
/// allocation.
struct Receipts(Arc<Deliveries>);

impl OnDelivery for Receipts {
    type Token = usize;

    fn delivered(&self, token: usize, outcome: Result<Place, KafkaError>) {
        let Deliveries { started, recording, fates } = &*self.0;
        match outcome {
            Ok(place) => {
                let latency = match recording {
                    Some(recording) => recording.acknowledged(token, place),
                    None => started.elapsed().saturating_sub(Duration::from_nanos(token as u64)),
                };
                // Only one thread delivers, so this lock is free.
                lock(fates).acknowledge(latency);
            }
            Err(error) => self.0.failed(&error),
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
        let deliveries = Arc::new(Deliveries {
            started: Instant::now(),
            recording: recording.cloned(),
            fates: Mutex::default(),
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
        let mut handed = Handed::Taken;
        loop {
            match self.producer.try_send(&message, token) {
                Ok(()) => {
                    self.pen.iter_mut().for_each(Pen::sent);
                    break;
                }
                Err((SendError::Refused(error), _)) => {
                    self.deliveries.failed(&error);
                    break;
                }
                Err((SendError::QueueFull, _)) => {
                    if self.stop.is_asked() {
                        return Ok(Handed::Stopped);
                    }
                    self.stop.pause(QUEUE_FULL_PAUSE);
                    handed = Handed::Waited;
                }
            }
        }
        self.sent += 1;
        Ok(handed)
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
        lock(&self.deliveries.fates).outcome(self.sent)
    }
}
