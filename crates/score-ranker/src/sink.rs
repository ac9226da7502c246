//! The boards as a sink of the log.

use crate::batch::{Batch, Event, Rules};
use crate::names::KnownNames;
use crate::resume::Resume;
use crate::surroundings::Surroundings;
use anyhow::{Context as _, anyhow};
use board_store::{Applied, Begin, BoardStore, Connection, Fence, Opened, Seen, Stand, StoreError, Write};
use boards::{Board, BoardSet, Changes};
use contracts::dead_letter::DeadLetter;
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE, Topic};
use contracts::{Notice, Stages, Version};
use futures_util::future::try_join_all;
use metrics::counter;
use pipeline::consumer::within_log;
use pipeline::sink::{LogBounds, Span, Step};
use pipeline::{Partition, Record, Sink, WriteError};
use recovery::rebuild::{self, FillError, Order};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::{info, warn};

/// What the ranker reads, in the order of [`Partition::topic`].
pub const TOPICS: [Topic; 2] = [GAME_SCORE, PLAYER_PROFILE];
pub(crate) const SCORES: usize = 0;

/// The ranker's sink. Each board has offsets of its own, stored with it.
pub struct RankSink<S, C> {
    /// Their names on the broker, as [`TOPICS`] counts them.
    topics: Vec<String>,
    boards: BoardSet,
    /// One for each board, in their order.
    stores: Vec<BoardStore<C>>,
    surroundings: S,
    fence: Fence,
    names: KnownNames,
    folding: Mutex<Folding>,
    /// What is known of each board.
    known: Mutex<Vec<Known>>,
}

/// What folding needs.
struct Folding {
    rules: Rules,
    resume: Resume,
}

/// What is known of a board.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Where it stood at most, as far as we or those who publish it know.
    seen: Seen,
    /// The epoch at which it was begun; `None` while someone else fills it.
    begun: Option<u64>,
}

impl Known {
    /// Takes in where the board stands. It may have been begun anew, or given a new epoch, by
    /// someone else: then the offsets of before mean nothing.
    fn see(&mut self, Stand { version, begun, offsets }: Stand) {
        self.begun = Some(begun);
        self.seen.version = self.seen.version.max(Some(version));
        self.seen.offsets = offsets;
    }

    /// Takes in where the board stands after a write.
    fn see_written<'s>(&mut self, version: Version, spans: impl Iterator<Item = &'s (String, i64, i64)>) {
        // Under an epoch that someone else has raised, offsets of before may be gone.
        if self.seen.version.is_some_and(|seen| seen.epoch < version.epoch) {
            self.seen.offsets.clear();
        }
        self.seen.version = self.seen.version.max(Some(version));
        self.seen.offsets.extend(spans.map(|(field, _, to)| (field.clone(), *to)));
    }
}

impl<S: Surroundings, C: Connection> RankSink<S, C> {
    /// A sink that has seen nothing yet; `topics` are the names of [`TOPICS`] on the broker.
    pub fn new(topics: Vec<String>, boards: BoardSet, connection: &C, surroundings: S, fence: Fence) -> Self {
        let store = |board: &Board| BoardStore::with_connection(connection.clone(), board.clone());
        let stores: Vec<_> = boards.iter().map(store).collect();
        Self {
            topics,
            known: Mutex::new(vec![Known::default(); stores.len()]),
            stores,
            surroundings,
            fence,
            names: KnownNames::default(),
            folding: Mutex::new(Folding { rules: Rules::new(boards.clone()), resume: Resume::default() }),
            boards,
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folding(&self) -> MutexGuard<'_, Folding> {
        self.folding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Epochs must survive the loss of Redis: the compacted topic remembers the last ones.
    async fn learn_epochs(&self) -> Result<(), WriteError> {
        if self.known().iter().all(|known| known.seen.version.is_some()) {
            return Ok(());
        }
        let names: Vec<String> = self.boards.iter().map(|board| board.name.clone()).collect();
        let published = self.surroundings.published(&names).await.map_err(WriteError::Unavailable)?;
        for (known, published) in self.known().iter_mut().zip(published) {
            known.seen.version = known.seen.version.max(Some(published));
        }
        Ok(())
    }

    fn field(partition: Partition) -> String {
        rebuild::field(TOPICS[partition.topic].name, partition.number)
    }

    fn notify(&self, board: usize, version: Version) {
        let board = self.boards[board].name.clone();
        self.surroundings.notify(&Notice { board, version, created_at: self.surroundings.now() });
    }

    /// Where a board stands, mended if it can be; `None` while someone else fills it.
    async fn open_board(&self, board: usize, log: &[Begin]) -> Result<Option<Stand>, WriteError> {
        let store = &self.stores[board];
        let name = &store.board().name;
        let seen = self.known()[board].seen.clone();
        let mut opened = store.open(&seen, log).await.map_err(store_error)?;
        if let Opened::History { epoch } = opened {
            let never_was = epoch == 0 && seen.version.is_none_or(|version| version.epoch == 0);
            opened = match self.fill(store, epoch, &seen, log).await {
                Ok(()) => store.open(&seen, log).await.map_err(store_error)?,
                Err(WriteError::Impossible(why)) if never_was => {
                    warn!(
                        board = name,
                        "a new board begins with the log, later than the first record: {why}"
                    );
                    store.open_from_log(&seen, log).await.map_err(store_error)?
                }
                Err(error) => return Err(error),
            };
        }
        match opened {
            Opened::Stands(stand) => Ok(Some(stand)),
            Opened::Filling => {
                info!(board = name, "someone fills the board from the archive: the others go on");
                Ok(None)
            }
            Opened::History { .. } => {
                Err(WriteError::Unavailable(anyhow!("board {name} was lost while it was filled")))
            }
        }
    }

    /// Rebuilds a board from the archive, since the log does not reach back to what it needs.
    async fn fill(
        &self,
        store: &BoardStore<C>,
        wanting: u64,
        seen: &Seen,
        log: &[Begin],
    ) -> Result<(), WriteError> {
        let name = &store.board().name;
        let refused_from = Order::refused_from(log);
        let Some(history) = self.surroundings.history(refused_from).await else {
            return Err(WriteError::Impossible(format!(
                "board {name} is not in Redis, or behind the log, which no longer reaches back to what it \
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
            now: self.surroundings.now(),
            seen,
            log,
        };
        let filled = rebuild::fill(store, &mut history, &self.surroundings, order, |_| ()).await;
        match filled {
            Ok(filled) => {
                info!(board = name, rows = filled.rows, ids = filled.ids, "filled from the archive");
                Ok(())
            }
            Err(error @ FillError::Elsewhere) => Err(WriteError::Unavailable(error.into())),
            Err(FillError::Gap(why)) => Err(WriteError::Impossible(format!("board {name}: {why}"))),
            Err(FillError::Failed(cause)) => Err(WriteError::Unavailable(cause)),
        }
    }

    /// Applies a chain to one board, from where it has it on; to none that someone else fills.
    async fn apply(
        &self,
        board: usize,
        resume: &Resume,
        chain: &[Step<Batch>],
        applied_ms: f64,
    ) -> Result<(), WriteError> {
        let Some(begun) = self.known()[board].begun else { return Ok(()) };
        let no_changes = Changes::default();
        let spans: Vec<Vec<(String, i64, i64)>> = chain
            .iter()
            .map(|step| {
                let rest = step.spans.iter().filter_map(|span| resume.rest_of(board, *span));
                rest.map(|Span { partition, from, to }| (Self::field(partition), from, to)).collect()
            })
            .collect();
        let writes: Vec<Write<'_>> = chain
            .iter()
            .zip(&spans)
            .filter(|(_, spans)| !spans.is_empty())
            .map(|(Step { batch, .. }, spans)| {
                let changes = batch.boards.get(board).unwrap_or(&no_changes);
                let changing = batch.newest.filter(|_| !changes.is_empty());
                let stages = changing.map(|(created_at, arrived_at)| Stages {
                    created_ms: created_at.to_millis_f64(),
                    in_kafka_ms: arrived_at.to_millis_f64(),
                    applied_ms,
                    published_ms: 0.0,
                });
                Write { changes, spans, stages, newest: batch.newest.map(|(_, arrived_at)| arrived_at) }
            })
            .collect();
        if writes.is_empty() {
            return Ok(());
        }
        let applied = self.stores[board].apply(self.fence, begun, &writes).await.map_err(store_error)?;
        let Applied { version, without_room } = applied;
        if without_room > 0 {
            let name = self.boards[board].name.clone();
            counter!("ranker_without_room_total", "board" => name).increment(without_room);
        }
        self.known()[board].see_written(version, spans.iter().flatten());
        if writes.iter().any(|write| !write.changes.is_empty()) {
            self.notify(board, version);
        }
        Ok(())
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
    /// A chain is one round trip of at most 16 × 512 entries, or 16 × 1,024 rows.
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
        let Folding { rules, resume } = &mut *self.folding();
        batch.fold(rules, resume, event);
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.is_full()
    }

    async fn open(
        &self,
        partitions: &[Partition],
        log: &[LogBounds],
    ) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let begins: Vec<Begin> = log
            .iter()
            .map(|bounds| Begin { field: Self::field(bounds.partition), low: bounds.low, high: bounds.high })
            .collect();
        self.learn_epochs().await?;
        self.names.forget();
        let mut stands = Vec::new();
        for board in 0..self.stores.len() {
            stands.push(self.open_board(board, &begins).await?);
        }
        let stored: Vec<_> = stands
            .iter()
            .map(|stand| stand.as_ref().map_or_else(BTreeMap::new, |stand| positions(partitions, stand)))
            .collect();
        // Who reads from where the least advanced board stands would not notice it of the others.
        for (board, stored) in self.boards.iter().zip(&stored).filter(|(_, stored)| !stored.is_empty()) {
            within_log(&self.topics, partitions, stored, log)
                .map_err(|error| of_board(&board.name, error))?;
        }
        let (least, resume) = Resume::of(&stored);
        self.folding().resume = resume;
        for (board, stand) in stands.into_iter().enumerate() {
            match stand {
                Some(stand) => {
                    self.notify(board, stand.version);
                    self.known()[board].see(stand);
                }
                None => self.known()[board].begun = None,
            }
        }
        if least.is_empty() {
            return Err(WriteError::Unavailable(anyhow!("all boards are being filled from the archive")));
        }
        Ok(least)
    }

    async fn positions(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let known: Vec<Option<u64>> = self.known().iter().map(|known| known.begun).collect();
        let looks = self.stores.iter().zip(known).map(async |(store, begun)| match begun {
            Some(begun) => {
                let stand = store.stands().await?.filter(|stand| stand.begun == begun);
                Ok(stand.map(|stand| positions(partitions, &stand)))
            }
            None => Ok(store.is_being_filled().await?.then(BTreeMap::new)),
        });
        let stored: Option<Vec<_>> = try_join_all(looks).await.map_err(store_error)?.into_iter().collect();
        // One that is gone, or not being filled any more, is enough to look at all of them anew.
        Ok(stored.map(|stored| Resume::of(&stored).0).unwrap_or_default())
    }

    /// Dead letters, names, boards, notices: each is harmless when it is done again, and the
    /// boards' fences come after what must not be missed and before what must not be early.
    async fn write(&self, chain: Vec<Step<Batch>>) -> Result<(), WriteError> {
        self.bury(&chain).await?;
        let names = self.names.unknown(chain.iter().flat_map(|step| step.batch.names.values()));
        // Names are no board's own.
        self.stores[0].give_names(&names).await.map_err(store_error)?;
        self.names.remember(names);

        let applied_ms = self.surroundings.now().to_millis_f64();
        let resume = self.folding().resume.clone();
        let boards = 0..self.stores.len();
        try_join_all(boards.map(|board| self.apply(board, &resume, &chain, applied_ms))).await.map(drop)
    }
}

fn positions(partitions: &[Partition], stand: &Stand) -> BTreeMap<Partition, i64> {
    let field = |partition: &Partition| rebuild::field(TOPICS[partition.topic].name, partition.number);
    let offset = |partition: &Partition| stand.offsets.get(&field(partition)).copied();
    partitions.iter().filter_map(|partition| Some((*partition, offset(partition)?))).collect()
}

fn of_board(board: &str, error: WriteError) -> WriteError {
    match error {
        WriteError::Impossible(why) => WriteError::Impossible(format!("board {board}: {why}")),
        other => other,
    }
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
