//! The boards as a sink of the log.

use crate::batch::{Batch, Event};
use crate::names::KnownNames;
use crate::surroundings::Surroundings;
use anyhow::{Context as _, anyhow};
use board_store::{Begin, BoardStore, Connection, Fence, Opened, Seen, Stand, StoreError, Write};
use boards::BoardSet;
use contracts::dead_letter::DeadLetter;
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE, Topic};
use contracts::{Notice, Stages, Version};
use metrics::counter;
use pipeline::sink::{LogBounds, Step};
use pipeline::{Partition, Record, Sink, WriteError};
use recovery::rebuild::{self, FillError, Order};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tracing::{info, warn};

/// What the ranker reads, in the order of [`Partition::topic`].
pub const TOPICS: [Topic; 2] = [GAME_SCORE, PLAYER_PROFILE];
const SCORES: usize = 0;

/// The ranker's sink.
pub struct RankSink<S, C> {
    /// Their names on the broker, as [`TOPICS`] counts them.
    topics: Vec<String>,
    boards: BoardSet,
    store: BoardStore<C>,
    surroundings: S,
    fence: Fence,
    names: KnownNames,
    known: Mutex<Known>,
}

/// What is known of the board.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Where it stood at most, as far as we or those who publish it know.
    seen: Seen,
    /// The epoch at which it was begun.
    begun: u64,
}

impl<S: Surroundings, C: Connection> RankSink<S, C> {
    /// A sink that has seen nothing yet; `topics` are the names of [`TOPICS`] on the broker.
    pub fn new(
        topics: Vec<String>,
        boards: BoardSet,
        store: BoardStore<C>,
        surroundings: S,
        fence: Fence,
    ) -> Self {
        Self {
            topics,
            boards,
            store,
            surroundings,
            fence,
            names: KnownNames::default(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch must survive the loss of Redis: the compacted topic remembers the last one.
    async fn seen(&self) -> Result<Seen, WriteError> {
        let known = self.known().seen.clone();
        if known.version.is_some() {
            return Ok(known);
        }
        let published =
            self.surroundings.published(&self.store.board().name).await.map_err(WriteError::Unavailable)?;
        let mut known = self.known();
        known.seen.version = known.seen.version.max(Some(published));
        Ok(known.seen.clone())
    }

    /// Takes in where the board stands. It may have been begun anew, or given a new epoch, by
    /// someone else: then the offsets of before mean nothing.
    fn see(&self, Stand { version, begun, offsets }: Stand) {
        let mut known = self.known();
        known.begun = begun;
        known.seen.version = known.seen.version.max(Some(version));
        known.seen.offsets = offsets;
    }

    fn field(partition: Partition) -> String {
        rebuild::field(TOPICS[partition.topic].name, partition.number)
    }

    fn notify(&self, version: Version) {
        let board = self.store.board().name.clone();
        self.surroundings.notify(&Notice { board, version, created_at: self.surroundings.now() });
    }

    /// Rebuilds the board from the archive, since the log does not reach back to what it needs.
    async fn fill(&self, wanting: u64, seen: &Seen, log: &[Begin]) -> Result<(), WriteError> {
        let name = &self.store.board().name;
        let (decimals, refused_from) = (self.store.board().decimals, Order::refused_from(log));
        let Some(history) = self.surroundings.history(decimals, refused_from).await else {
            return Err(WriteError::Impossible(format!(
                "board {name} is gone from Redis or behind the log, which no longer reaches back to what it \
                 needs, and no archive is named (POSTGRES_URL): nothing is applied, so that no half board is \
                 shown"
            )));
        };
        let mut history = history.context("the archive").map_err(WriteError::Unavailable)?;
        warn!(
            board = name,
            "the log does not reach back to what the board needs: rebuilding from the archive"
        );
        let order = Order {
            boards: &self.boards,
            topic: &self.topics[SCORES],
            token: self.surroundings.token(),
            wanting: Some(wanting),
            seen,
            log,
        };
        let filled = rebuild::fill(&self.store, &mut history, &self.surroundings, order, |_| ()).await;
        match filled {
            Ok(filled) => {
                info!(board = name, players = filled.players, ids = filled.ids, "filled from the archive");
                Ok(())
            }
            Err(error @ FillError::Elsewhere) => Err(WriteError::Unavailable(error.into())),
            Err(FillError::Gap(why)) => Err(WriteError::Impossible(format!("board {name}: {why}"))),
            Err(FillError::Failed(cause)) => Err(WriteError::Unavailable(cause)),
        }
    }

    /// Returns when Kafka has acknowledged every dead letter: only then may offsets move on.
    async fn bury(&self, chain: &[Step<Batch>]) -> Result<(), WriteError> {
        let letters: Vec<&DeadLetter> = chain.iter().flat_map(|step| &step.batch.dead_letters).collect();
        if letters.is_empty() {
            return Ok(());
        }
        self.surroundings.bury(&letters).await.map_err(WriteError::Unavailable)?;
        for letter in letters {
            counter!("ranker_dead_letters_total", "class" => letter.refusal.class.as_str()).increment(1);
        }
        Ok(())
    }
}

impl<S: Surroundings, C: Connection> Sink for RankSink<S, C> {
    type Event = Event;
    type Batch = Batch;
    /// A chain is one round trip of at most 16 × 512 entries.
    const MAX_CHAIN: usize = 16;

    fn decode(&self, record: &Record<'_>) -> Event {
        let topic = || self.topics[record.partition.topic].clone();
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

    async fn open(
        &self,
        partitions: &[Partition],
        log: &[LogBounds],
    ) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let log: Vec<Begin> = log
            .iter()
            .map(|bounds| Begin { field: Self::field(bounds.partition), low: bounds.low, high: bounds.high })
            .collect();
        let seen = self.seen().await?;
        self.names.forget();
        let mut opened = self.store.open(&seen, &log).await.map_err(store_error)?;
        if let Opened::History { epoch } = opened {
            self.fill(epoch, &seen, &log).await?;
            opened = self.store.open(&seen, &log).await.map_err(store_error)?;
        }
        let Opened::Stands(stand) = opened else {
            return Err(WriteError::Unavailable(anyhow!("the board is being filled from the archive")));
        };
        let positions = positions(partitions, &stand);
        self.notify(stand.version);
        self.see(stand);
        Ok(positions)
    }

    async fn positions(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let stand = self.store.stands().await.map_err(store_error)?;
        let begun = self.known().begun;
        Ok(stand
            .filter(|stand| stand.begun == begun)
            .map(|stand| positions(partitions, &stand))
            .unwrap_or_default())
    }

    /// Dead letters, names, boards, notice: each is harmless when it is done again, and the
    /// boards' fence comes after what must not be missed and before what must not be early.
    async fn write(&self, chain: Vec<Step<Batch>>) -> Result<(), WriteError> {
        self.bury(&chain).await?;
        let names = self.names.unknown(chain.iter().flat_map(|step| step.batch.names.values()));
        self.store.give_names(&names).await.map_err(store_error)?;
        self.names.remember(names);

        let applied_ms = self.surroundings.now().to_millis_f64();
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
        let begun = self.known().begun;
        let version = self.store.apply(self.fence, begun, &writes).await.map_err(store_error)?;
        {
            let mut known = self.known();
            // Under an epoch that someone else has raised, offsets of before may be gone.
            if known.seen.version.is_some_and(|seen| seen.epoch < version.epoch) {
                known.seen.offsets.clear();
            }
            known.seen.version = known.seen.version.max(Some(version));
            known.seen.offsets.extend(spans.iter().flatten().map(|(field, _, to)| (field.clone(), *to)));
        }
        if chain.iter().any(|step| !step.batch.changes.is_empty()) {
            self.notify(version);
        }
        Ok(())
    }
}

fn positions(partitions: &[Partition], stand: &Stand) -> BTreeMap<Partition, i64> {
    let field = |partition: &Partition| rebuild::field(TOPICS[partition.topic].name, partition.number);
    let offset = |partition: &Partition| stand.offsets.get(&field(partition)).copied();
    partitions.iter().filter_map(|partition| Some((*partition, offset(partition)?))).collect()
}

fn store_error(error: StoreError) -> WriteError {
    match error {
        StoreError::Fenced(why) => WriteError::Fenced(why),
        StoreError::Foreign(why) => WriteError::Impossible(why),
        // The last one is for readers; no write answers it.
        error @ (StoreError::Redis(_) | StoreError::Corrupt { .. } | StoreError::DenseRankUnknown) => {
            WriteError::Unavailable(error.into())
        }
    }
}
