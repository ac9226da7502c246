//! What consumes events: the contract between the runner and a store.

use std::collections::BTreeMap;
use std::future::Future;

/// A partition of one of the sink's topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// Which of [`Sink::topics`].
    pub topic: usize,
    /// The partition's number within the topic.
    pub number: i32,
}

/// A record as it came from the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it stands.
    pub partition: Partition,
    /// Where in the partition it stands.
    pub offset: i64,
    /// The record's timestamp in milliseconds since the Unix epoch; for `game-score`, its arrival.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// The records of one partition from one offset up to, not including, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub partition: Partition,
    /// The first offset.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
}

/// A batch with the records that it stands for. It is written whole, with its spans, or not.
#[derive(Clone, Debug)]
pub struct Step<B> {
    /// What the sink made of the records.
    pub batch: B,
    /// One span a partition, in the order of the partitions.
    pub spans: Vec<Span>,
    /// How many records were folded into the batch.
    pub records: u64,
}

/// What the log holds of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// The partition.
    pub partition: Partition,
    /// The oldest offset there is.
    pub low: i64,
    /// The offset that the next record will have.
    pub high: i64,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store stands elsewhere than where the spans begin, so nothing was written: someone
    /// else was faster, or the store lost its tail. Read the positions and go on from there.
    #[error("refused by the fence: {0}")]
    Fenced(String),
    /// The store could not be reached or did not answer. Whether the write took effect is
    /// unknown, so it is never sent again blindly: the positions say.
    #[error("not available: {0}")]
    Unavailable(anyhow::Error),
    /// A person must act. The runner says so, is not ready, and looks again from time to time.
    #[error("{0}")]
    Impossible(String),
}

/// A store that takes each record of the log exactly once.
///
/// A sink is a pure fold of records into a batch, and one write of a batch together with the
/// offsets after it. Retries, rewinds, shutdown and back-pressure belong to the runner alone.
///
/// What makes it exactly once: [`write`](Self::write) changes the data and advances the stored
/// positions in one atomic step, and refuses when a stored position is not the span's `from`.
/// Then a crash, a duplicate, a zombie or a replay cannot count twice, and a gap cannot be
/// skipped. The test `killed_consumers_lose_and_double_nothing` holds this on the real programs,
/// and fails, as it must, with the fence off.
pub trait Sink: Send + Sync + 'static {
    /// A decoded record, or why it was refused: a sink keeps refusals too.
    type Event: Send + 'static;
    /// What records are folded into.
    type Batch: Default + Send + 'static;
    /// How many steps one write may carry.
    const MAX_CHAIN: usize;

    /// Decodes a record. Runs on the polling thread.
    fn decode(&self, record: &Record<'_>) -> Self::Event;

    /// Folds an event into a batch.
    fn fold(&self, batch: &mut Self::Batch, event: Self::Event);

    /// Whether the batch should take no further event.
    fn is_full(&self, batch: &Self::Batch) -> bool;

    /// Where the store stands: for each of `partitions` the next offset to apply. Those that it
    /// does not know are begun, each at its oldest offset; `log` has all partitions of all topics.
    /// Mends what can be mended, so it may take a while.
    fn open(
        &self,
        partitions: &[Partition],
        log: &[LogBounds],
    ) -> impl Future<Output = Result<BTreeMap<Partition, i64>, WriteError>> + Send;

    /// Where the store stands, changing nothing. Those of `partitions` that it does not know are
    /// absent.
    fn positions(
        &self,
        partitions: &[Partition],
    ) -> impl Future<Output = Result<BTreeMap<Partition, i64>, WriteError>> + Send;

    /// Writes the steps in order, each atomically with its spans. Stops at the first refusal.
    fn write(&self, chain: Vec<Step<Self::Batch>>) -> impl Future<Output = Result<(), WriteError>> + Send;
}
