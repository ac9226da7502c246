//! The boards as a sink of the log.

use crate::batch::{Batch, Event};
use crate::names::KnownNames;
use anyhow::Context as _;
use board_store::{Begin, BoardStore, Fence, StoreError, Write};
use boards::BoardSet;
use contracts::dead_letter::STAGE_RANK;
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ, LEADERBOARD, LEADERBOARD_CHANGE, PLAYER_PROFILE, Topic};
use contracts::{EventTime, Notice, Snapshot, Stages, Version};
use metrics::counter;
use pipeline::sink::{LogBounds, Step};
use pipeline::{AckProducer, KafkaSettings, Message, Partition, Record, Sink, WriteError, tail};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the ranker reads, in the order of [`Partition::topic`].
pub(crate) const TOPICS: [Topic; 2] = [GAME_SCORE, PLAYER_PROFILE];
const SCORES: usize = 0;
/// How long the newest snapshots may take to read.
const READ_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct RankSink {
    kafka: KafkaSettings,
    boards: BoardSet,
    store: BoardStore,
    fence: Fence,
    producer: AckProducer,
    names: KnownNames,
    /// Where the board was seen last, by us or by whoever read its snapshots; `None` before the
    /// first look.
    seen: Mutex<Option<Version>>,
}

impl RankSink {
    pub(crate) fn new(
        kafka: &KafkaSettings,
        boards: BoardSet,
        store: BoardStore,
        fence: Fence,
    ) -> anyhow::Result<Self> {
        let producer = AckProducer::new(kafka, "score-ranker", Duration::ZERO, pipeline::producer::Ack)
            .context("Kafka settings")?;
        let (names, seen) = (KnownNames::default(), Mutex::new(None));
        Ok(Self { kafka: kafka.clone(), boards, store, fence, producer, names, seen })
    }

    fn seen(&self) -> Option<Version> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, version: Version) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = (*seen).max(Some(version));
    }

    /// The epoch must survive the loss of Redis: the compacted topic remembers the last one.
    async fn see_published(&self) -> Result<(), WriteError> {
        if self.seen().is_some() {
            return Ok(());
        }
        let (kafka, topic) = (self.kafka.clone(), self.kafka.topic(&LEADERBOARD));
        let board = self.store.board().name.clone();
        let published = tokio::task::spawn_blocking(move || {
            let mut newest = Version { epoch: 0, version: 0 };
            tail::read_all(&kafka, "score-ranker-epoch", &topic, READ_LIMIT, |key, payload| {
                let snapshot = payload.and_then(|payload| serde_json::from_slice::<Snapshot>(payload).ok());
                if let (true, Some(snapshot)) = (key == Some(board.as_bytes()), snapshot) {
                    newest = newest.max(snapshot.version);
                }
            })
            .map(|()| newest)
        });
        let newest =
            published.await.context("reading snapshots").flatten().map_err(WriteError::Unavailable)?;
        self.see(newest);
        Ok(())
    }

    fn field(partition: Partition) -> String {
        format!("{}/{}", TOPICS[partition.topic].name, partition.number)
    }

    /// Says that the board moved. A notice that is lost is made good by the next one, or by the
    /// board-cache's own look.
    fn notify(&self, version: Version) {
        let Some(created_at) = EventTime::from_micros(jiff::Timestamp::now().as_microsecond()) else {
            return;
        };
        let notice = Notice { board: self.store.board().name.clone(), version, created_at };
        let payload = serde_json::to_vec(&notice).expect("a notice always encodes");
        self.producer.send_unconfirmed(&Message {
            topic: &self.kafka.topic(&LEADERBOARD_CHANGE),
            key: notice.board.as_bytes(),
            payload: Some(&payload),
            headers: &[],
        });
    }

    /// Returns when Kafka has acknowledged every dead letter: only then may offsets move on.
    async fn bury(&self, chain: &[Step<Batch>]) -> Result<(), WriteError> {
        let dead_letters: Vec<_> = chain
            .iter()
            .flat_map(|step| &step.batch.dead_letters)
            .map(|letter| (letter, letter.coordinates.key(), letter.headers(STAGE_RANK)))
            .collect();
        let topic = self.kafka.topic(&GAME_SCORE_DLQ);
        let messages: Vec<Message<'_>> = dead_letters
            .iter()
            .map(|(letter, key, headers)| Message {
                topic: &topic,
                key: key.as_bytes(),
                payload: letter.payload.as_deref(),
                headers,
            })
            .collect();
        self.producer
            .send_all(&messages)
            .await
            .context("sending dead letters")
            .map_err(WriteError::Unavailable)?;
        for (letter, ..) in &dead_letters {
            counter!("ranker_dead_letters_total", "class" => letter.refusal.class.as_str()).increment(1);
        }
        Ok(())
    }
}

impl Sink for RankSink {
    type Event = Event;
    type Batch = Batch;
    /// A chain is one round trip of at most 16 × 512 entries.
    const MAX_CHAIN: usize = 16;

    fn decode(&self, record: &Record<'_>) -> Event {
        let topic = || self.kafka.topic(&TOPICS[record.partition.topic]);
        if record.partition.topic == SCORES {
            Event::of_score(record, topic, &self.boards)
        } else {
            Event::of_profile(record, topic)
        }
    }

    fn fold(&self, batch: &mut Batch, event: Event) {
        batch.fold(event);
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.is_full()
    }

    async fn positions(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, WriteError> {
        self.see_published().await?;
        self.names.forget();
        let Some(opened) = self.store.open(self.seen()).await.map_err(store_error)? else {
            return Ok(BTreeMap::new());
        };
        self.see(opened.version);
        self.notify(opened.version);
        let offset = |partition: &Partition| opened.offsets.get(&Self::field(*partition)).copied();
        Ok(partitions.iter().filter_map(|partition| Some((*partition, offset(partition)?))).collect())
    }

    async fn begin(&self, log: &[LogBounds]) -> Result<(), WriteError> {
        let partitions: Vec<Begin> = log
            .iter()
            .map(|bounds| Begin { field: Self::field(bounds.partition), low: bounds.low, high: bounds.high })
            .collect();
        self.store.begin(self.seen(), &partitions).await.map_err(store_error)
    }

    /// Dead letters, names, boards, notice: each is harmless when it is done again, and the
    /// boards' fence comes after what must not be missed and before what must not be early.
    async fn write(&self, chain: Vec<Step<Batch>>) -> Result<(), WriteError> {
        self.bury(&chain).await?;
        let names = self.names.unknown(chain.iter().flat_map(|step| step.batch.names.values()));
        self.store.give_names(&names).await.map_err(store_error)?;
        self.names.remember(names);

        let applied_ms = jiff::Timestamp::now().as_microsecond();
        let applied_ms = EventTime::from_micros(applied_ms).map_or(0.0, EventTime::to_millis_f64);
        let spans: Vec<Vec<(String, i64, i64)>> = chain
            .iter()
            .map(|step| step.spans.iter().map(|s| (Self::field(s.partition), s.from, s.to)).collect())
            .collect();
        let writes: Vec<Write<'_>> = chain
            .iter()
            .zip(&spans)
            .map(|(Step { batch, .. }, spans)| {
                let stages = batch.newest.map(|(created_at, arrived_at)| Stages {
                    created_ms: created_at.to_millis_f64(),
                    in_kafka_ms: arrived_at.to_millis_f64(),
                    applied_ms,
                    published_ms: 0.0,
                });
                Write { changes: &batch.changes, spans, stages }
            })
            .collect();
        let version = self.store.apply(self.fence, &writes).await.map_err(store_error)?;
        self.see(version);
        if chain.iter().any(|step| !step.batch.changes.is_empty()) {
            self.notify(version);
        }
        Ok(())
    }
}

fn store_error(error: StoreError) -> WriteError {
    match error {
        StoreError::Fenced(why) => WriteError::Fenced(why),
        StoreError::Foreign(why) => WriteError::Impossible(why),
        error @ (StoreError::Redis(_) | StoreError::Corrupt { .. }) => WriteError::Unavailable(error.into()),
    }
}
