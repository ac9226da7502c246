//! Twenty producers, and which of their sends Kafka acknowledged.

use crate::faults::boards::TEAMS;
use anyhow::Context as _;
use contracts::EventTime;
use contracts::topics::GAME_SCORE;
use pipeline::producer::{KafkaError, OnDelivery, Place, Producer};
use pipeline::{KafkaSettings, Message};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use score_generator::load::popularity::{Popularity, scale};
use service::Clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many producers there are.
pub const SOURCES: usize = 20;
const PLAYERS: u32 = 10_000;
const ZIPF: f64 = 1.0;
/// One event in so many has an id; of these, one in so many is sent again.
const IDENTIFIED: u64 = 10;
const RESUBMITTED: u64 = 10;
/// One event in so many says that it is older, up to so much: too old for some seasons.
const DELAYED: u64 = 20;
const MAX_DELAY_SECONDS: u64 = 60;
/// One event in so many is poison.
const POISON: u64 = 1000;
/// Only players of whom little is heard lose points: a total that falls across a power of two
/// above 131,072 may keep the coarser time (`boards::order`).
const MAY_LOSE_FROM: usize = 1000;
/// How many events an id may be sent again after.
const REMEMBERED: usize = 2000;
const TICK: Duration = Duration::from_millis(20);
/// Twenty producers that each send at once would cost the broker more than the events.
const LINGER: Duration = Duration::from_millis(100);
const FLUSH_LIMIT: Duration = Duration::from_secs(45);
/// The header by which a send is found in the log.
pub const SEND_HEADER: &str = "send";

/// One send: who, the how-manieth, and whether it is meant to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// The source.
    pub source: usize,
    /// Counted from 0 for each source.
    pub number: usize,
    /// Whether it is poison.
    pub poison: bool,
}

impl Send {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.poison), u8::try_from(self.source).expect("there are few")];
        bytes.extend_from_slice(&(self.number as u64).to_be_bytes());
        bytes
    }

    /// From a record's header.
    #[must_use]
    pub fn from_header(bytes: &[u8]) -> Option<Self> {
        let [poison, source, number @ ..] = bytes else { return None };
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self {
            source: usize::from(*source),
            number: usize::try_from(number).ok()?,
            poison: *poison == 1,
        })
    }
}

/// A set of sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sends([Vec<bool>; SOURCES]);

impl Sends {
    /// Adds one; whether it is new.
    pub fn insert(&mut self, source: usize, number: usize) -> bool {
        let of_source = &mut self.0[source];
        if of_source.len() <= number {
            of_source.resize(number + 1, false);
        }
        !std::mem::replace(&mut of_source[number], true)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().flatten().filter(|is_in| **is_in).count()
    }

    /// How many of these are not among `others`.
    #[must_use]
    pub fn missing_in(&self, others: &Self) -> usize {
        let missing = |(own, other): (&Vec<bool>, &Vec<bool>)| {
            own.iter()
                .enumerate()
                .filter(|(number, is_in)| **is_in && !other.get(*number).unwrap_or(&false))
                .count()
        };
        self.0.iter().zip(&others.0).map(missing).sum()
    }
}

/// Remembers what was acknowledged.
struct Acknowledged {
    source: usize,
    sends: Arc<Mutex<Sends>>,
    lost: Arc<AtomicU64>,
}

impl OnDelivery for Acknowledged {
    type Token = usize;

    fn delivered(&self, number: usize, outcome: Result<Place, KafkaError>) {
        match outcome {
            Ok(_) => {
                self.sends.lock().unwrap_or_else(PoisonError::into_inner).insert(self.source, number);
            }
            Err(_) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What the sources did.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// How many records were handed to producers.
    pub sent: u64,
    /// What Kafka acknowledged.
    pub acknowledged: Sends,
    /// How many sends Kafka did not acknowledge in time.
    pub unacknowledged: u64,
    /// How many events could not even be handed over, because a producer was full.
    pub not_taken: u64,
}

/// The sources, at work.
pub struct Sources {
    stop: Arc<AtomicBool>,
    renew: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<anyhow::Result<Sent>>>,
}

impl Sources {
    /// Starts to send `rate` events a second.
    ///
    /// # Errors
    /// When a producer cannot be made.
    pub fn start(kafka: &KafkaSettings, seed: u64, rate: u64) -> anyhow::Result<Self> {
        let (stop, renew) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut sending = Sending::new(kafka.clone(), seed)?;
        let (stopped, renewed) = (Arc::clone(&stop), Arc::clone(&renew));
        let thread = std::thread::Builder::new().name("sources".into()).spawn(move || {
            let begun = Instant::now();
            let mut events = 0;
            while !stopped.load(Ordering::Acquire) {
                let due = u64::try_from(begun.elapsed().as_millis())? * rate / 1000;
                while events < due {
                    sending.send(events);
                    events += 1;
                }
                if renewed.swap(false, Ordering::AcqRel) {
                    sending.renew_half()?;
                }
                std::thread::sleep(TICK);
            }
            sending.finish()
        })?;
        Ok(Self { stop, renew, thread: Some(thread) })
    }

    /// Half of the sources begin anew, and so see at once how many partitions there are.
    pub fn renew_half(&self) {
        self.renew.store(true, Ordering::Release);
    }

    /// Stops, and waits for every send's outcome.
    ///
    /// # Errors
    /// When a send has none after a long time.
    pub async fn finish(mut self) -> anyhow::Result<Sent> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().context("it runs")?;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        joined.map_err(|_| anyhow::anyhow!("the sources panicked"))?
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Sending {
    kafka: KafkaSettings,
    topic: String,
    random: ChaCha8Rng,
    players: Popularity,
    clock: Clock,
    producers: Vec<Producer<Acknowledged>>,
    retired: Vec<Producer<Acknowledged>>,
    numbers: [usize; SOURCES],
    identified: VecDeque<(String, String)>,
    sends: Arc<Mutex<Sends>>,
    lost: Arc<AtomicU64>,
    sent: u64,
    not_taken: u64,
}

impl Sending {
    fn new(kafka: KafkaSettings, seed: u64) -> anyhow::Result<Self> {
        let mut sending = Self {
            topic: kafka.topic(&GAME_SCORE),
            kafka,
            // Not the schedule's own numbers.
            random: ChaCha8Rng::seed_from_u64(!seed),
            players: Popularity::zipf(PLAYERS, ZIPF),
            clock: Clock::system(),
            producers: Vec::new(),
            retired: Vec::new(),
            numbers: [0; SOURCES],
            identified: VecDeque::new(),
            sends: Arc::default(),
            lost: Arc::default(),
            sent: 0,
            not_taken: 0,
        };
        sending.producers = (0..SOURCES).map(|source| sending.producer(source)).collect::<Result<_, _>>()?;
        Ok(sending)
    }

    fn producer(&self, source: usize) -> Result<Producer<Acknowledged>, KafkaError> {
        let (sends, lost) = (Arc::clone(&self.sends), Arc::clone(&self.lost));
        Producer::new(&self.kafka, "source", LINGER, Acknowledged { source, sends, lost })
    }

    fn one_in(&mut self, many: u64) -> bool {
        scale(self.random.next_u64(), many) == 0
    }

    /// Key, value and whether it is poison.
    fn event(&mut self) -> (String, String, bool) {
        let player = self.players.pick(self.random.next_u64());
        let key = player.to_string();
        if self.one_in(POISON) {
            let poison = match scale(self.random.next_u64(), 5) {
                0 => r#"{"score":1,"user_id":"#.to_owned(),
                1 => r#"{"score":"many","user_id":1}"#.to_owned(),
                2 => r#"{"user_id":1}"#.to_owned(),
                3 => r#"{"score":1000000001,"user_id":1}"#.to_owned(),
                _ => r#"{"score":0.5,"user_id":1}"#.to_owned(),
            };
            return (key, poison, true);
        }
        let random = self.random.next_u64();
        let mut score = i64::try_from(scale(random, 9)).expect("it is below 9");
        if player > MAY_LOSE_FROM && random.is_multiple_of(5) {
            score = -score;
        }
        let identified = self.one_in(IDENTIFIED);
        if identified && self.one_in(RESUBMITTED) && !self.identified.is_empty() {
            let which = scale(self.random.next_u64(), self.identified.len() as u64);
            let (key, event) = self.identified[usize::try_from(which).expect("an index")].clone();
            return (key, event, false);
        }
        let mut event = format!(r#"{{"score":{score},"user_id":{player}"#);
        // Some leave it to the record's own timestamp; not those that may come again, whose copies
        // in two partitions would differ.
        if (identified || !random.is_multiple_of(3))
            && let Some(now) = EventTime::from_micros(self.clock.now_micros())
        {
            let ago = if self.one_in(DELAYED) { scale(self.random.next_u64(), MAX_DELAY_SECONDS) } else { 0 };
            let created_at = now.saturating_add_seconds(-i64::try_from(ago).expect("it is small"));
            event += &format!(r#","created_at":"{created_at}""#);
        }
        let team = player % (TEAMS as usize + 1);
        if team > 0 {
            event += &format!(r#","tags":{{"team":"team {team}"}}"#);
        }
        if identified {
            event += &format!(r#","event_id":"e{:016x}""#, self.random.next_u64());
        }
        event.push('}');
        if identified {
            self.identified.push_back((key.clone(), event.clone()));
            if self.identified.len() > REMEMBERED {
                self.identified.pop_front();
            }
        }
        (key, event, false)
    }

    fn send(&mut self, event: u64) {
        let (key, payload, poison) = self.event();
        let source = usize::try_from(event % SOURCES as u64).expect("there are few");
        let send = Send { source, number: self.numbers[source], poison };
        let headers = [(SEND_HEADER, send.bytes())];
        let message = Message {
            topic: &self.topic,
            key: key.as_bytes(),
            payload: Some(payload.as_bytes()),
            headers: &headers,
        };
        match self.producers[source].try_send(&message, send.number) {
            Ok(()) => {
                self.numbers[source] += 1;
                self.sent += 1;
            }
            Err(_) => self.not_taken += 1,
        }
    }

    fn renew_half(&mut self) -> anyhow::Result<()> {
        for source in (0..SOURCES).step_by(2) {
            let new = self.producer(source)?;
            self.retired.push(std::mem::replace(&mut self.producers[source], new));
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Sent> {
        for producer in self.producers.iter().chain(&self.retired) {
            producer.flush(FLUSH_LIMIT).context("waiting for acknowledgements")?;
        }
        let acknowledged = self.sends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Sent {
            sent: self.sent,
            acknowledged,
            unacknowledged: self.lost.load(Ordering::Relaxed),
            not_taken: self.not_taken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_is_found_again_by_its_header() {
        let send = Send { source: 19, number: 123_456, poison: true };
        assert_eq!(Send::from_header(&send.bytes()), Some(send));
        assert_eq!(Send::from_header(b"x"), None);
    }

    #[test]
    fn sends_that_are_missing_are_counted() {
        let (mut own, mut other) = (Sends::default(), Sends::default());
        assert!(own.insert(3, 7) && own.insert(3, 9) && !own.insert(3, 9));
        other.insert(3, 7);
        assert_eq!((own.count(), own.missing_in(&other), other.missing_in(&own)), (2, 1, 0));
    }
}
