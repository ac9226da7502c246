//! What the ranker needs beside its store: the log's other topics, the archive and the clock.

use anyhow::Context as _;
use archive_store::{ArchiveHistory, ArchiveStore, History};
use contracts::dead_letter::DeadLetter;
use contracts::topics::{GAME_SCORE_DLQ, LEADERBOARD, LEADERBOARD_CHANGE};
use contracts::{EventTime, Notice, Snapshot, Version};
use pipeline::producer::Ack;
use pipeline::{AckProducer, KafkaSettings, Message, tail};
use recovery::rebuild::{self, DeadLetters};
use service::Clock;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the newest snapshots may take to read.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// The surroundings; the simulator has its own.
pub trait Surroundings: DeadLetters + 'static {
    /// How the archive tells its history.
    type History: History;

    /// Says that a board moved. May get lost: a later one, or the board-cache's own look, makes
    /// up for it.
    fn notify(&self, notice: &Notice);

    /// Where each of these boards stood when it was published last; (0, 0) if it never was.
    fn published(&self, boards: &[String]) -> impl Future<Output = anyhow::Result<Vec<Version>>> + Send;

    /// What the archive knows; of refused records, those from these offsets on. `None` when no
    /// archive was named.
    fn history(
        &self,
        refused_from: BTreeMap<i32, i64>,
    ) -> impl Future<Output = Option<anyhow::Result<Self::History>>> + Send;

    /// A word that nobody else has.
    fn token(&self) -> String;

    /// What time it is.
    fn now(&self) -> EventTime;
}

/// Kafka, Postgres and the machine's clock.
pub(crate) struct Real {
    kafka: KafkaSettings,
    producer: AckProducer,
    archive: Option<ArchiveStore>,
    clock: Clock,
}

impl Real {
    pub(crate) fn new(
        kafka: &KafkaSettings,
        archive: Option<ArchiveStore>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let producer =
            AckProducer::new(kafka, "score-ranker", Duration::ZERO, Ack).context("Kafka settings")?;
        Ok(Self { kafka: kafka.clone(), producer, archive, clock })
    }
}

impl DeadLetters for Real {
    async fn bury(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        rebuild::bury(&self.producer, &self.kafka.topic(&GAME_SCORE_DLQ), letters).await
    }
}

impl Surroundings for Real {
    type History = ArchiveHistory;

    fn notify(&self, notice: &Notice) {
        let payload = serde_json::to_vec(notice).expect("a notice always encodes");
        self.producer.send_unconfirmed(&Message {
            topic: &self.kafka.topic(&LEADERBOARD_CHANGE),
            key: notice.board.as_bytes(),
            payload: Some(&payload),
            headers: &[],
        });
    }

    async fn published(&self, boards: &[String]) -> anyhow::Result<Vec<Version>> {
        let (kafka, topic, boards) = (self.kafka.clone(), self.kafka.topic(&LEADERBOARD), boards.to_vec());
        let read = tokio::task::spawn_blocking(move || {
            let mut newest = vec![Version { epoch: 0, version: 0 }; boards.len()];
            tail::read_all(&kafka, "score-ranker-epoch", &topic, READ_LIMIT, |key, payload| {
                let board = boards.iter().position(|board| key == Some(board.as_bytes()));
                let snapshot = payload.and_then(|payload| serde_json::from_slice::<Snapshot>(payload).ok());
                if let (Some(board), Some(snapshot)) = (board, snapshot) {
                    newest[board] = newest[board].max(snapshot.version);
                }
            })
            .map(|()| newest)
        });
        read.await.context("reading snapshots").flatten()
    }

    async fn history(&self, refused_from: BTreeMap<i32, i64>) -> Option<anyhow::Result<ArchiveHistory>> {
        Some(self.archive.as_ref()?.history(refused_from).await)
    }

    fn token(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    fn now(&self) -> EventTime {
        EventTime::from_micros(self.clock.now_micros()).unwrap_or(EventTime::UNIX_EPOCH)
    }
}
