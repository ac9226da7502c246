//! A model of Postgres: rows and offsets that change together, and a sink that writes to it.

use crate::desk::Desk;
use archive_store::{History, KeptWindow, Place, Portion, Refused};
use boards::BoardSet;
use boards::changes::day_of;
use contracts::{EventTime, ScoreEvent};
use pipeline::sink::{LogBounds, Partition, Span, Step};
use pipeline::{Record, Sink, WriteError};
use std::collections::{BTreeMap, VecDeque};

/// A row: an event with its arrival, or `None` for a refused record.
pub(crate) type Row = Option<(ScoreEvent, EventTime)>;

/// The archive. A copy of it is a backup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    /// Every row, by its coordinates, with how often it was written.
    pub(crate) rows: BTreeMap<(Partition, i64), (Row, usize)>,
    /// For each partition the next offset.
    pub(crate) offsets: BTreeMap<Partition, i64>,
}

impl Archive {
    fn open(&mut self, partitions: &[Partition], log: &[LogBounds]) -> BTreeMap<Partition, i64> {
        for bounds in log.iter().filter(|bounds| partitions.contains(&bounds.partition)) {
            self.offsets.entry(bounds.partition).or_insert(bounds.low);
        }
        self.positions(partitions)
    }

    fn positions(&self, partitions: &[Partition]) -> BTreeMap<Partition, i64> {
        partitions.iter().filter_map(|at| Some((*at, *self.offsets.get(at)?))).collect()
    }

    fn write(&mut self, chain: Vec<Step<Batch>>, fenced: bool) -> Result<(), WriteError> {
        let mut offsets = self.offsets.clone();
        for Span { partition, from, to } in chain.iter().flat_map(|step| &step.spans) {
            if fenced && offsets.get(partition) != Some(from) {
                return Err(WriteError::Fenced(format!("{partition:?} is not at {from}")));
            }
            offsets.insert(*partition, *to);
        }
        self.offsets = offsets;
        for (at, row) in chain.into_iter().flat_map(|step| step.batch.0) {
            self.rows.entry(at).or_insert((row, 0)).1 += 1;
        }
        Ok(())
    }

    /// What it knows, as the real one tells it.
    fn history(&self, refused_from: &BTreeMap<i32, i64>) -> ModelHistory {
        let mut events: Vec<(Place, ScoreEvent)> = self
            .rows
            .iter()
            .filter_map(|((partition, offset), (row, _))| {
                let (event, arrived_at) = row.clone()?;
                Some((Place { partition: partition.number, offset: *offset, arrived_at }, event))
            })
            .collect();
        events.sort_by_key(|(place, _)| (day_of(place.arrived_at), place.partition, place.offset));
        let refused = self.rows.iter().filter(|((partition, offset), (row, _))| {
            row.is_none() && refused_from.get(&partition.number).is_some_and(|from| from <= offset)
        });
        let refused = refused.map(|((partition, offset), _)| Refused {
            place: Place { partition: partition.number, offset: *offset, arrived_at: EventTime::UNIX_EPOCH },
            key: None,
            // All poison is the same to the model: no JSON.
            payload: Some(b"poison".to_vec()),
        });
        let refused = Portion::Refused(refused.collect());
        let events = events.chunks(2).map(|events| Portion::Events(events.to_vec()));
        let offsets = self.offsets.iter().map(|(partition, offset)| (partition.number, *offset)).collect();
        ModelHistory { offsets, portions: events.chain([refused]).collect() }
    }
}

/// One snapshot of the archive.
#[derive(Debug)]
pub(crate) struct ModelHistory {
    offsets: BTreeMap<i32, i64>,
    portions: VecDeque<Portion>,
}

impl ModelHistory {
    /// Takes it at a desk.
    pub(crate) async fn take(desk: &Desk, refused_from: BTreeMap<i32, i64>) -> anyhow::Result<Self> {
        desk.ask(move |stores| stores.archive.history(&refused_from)).await
    }
}

impl History for ModelHistory {
    fn offsets(&self) -> &BTreeMap<i32, i64> {
        &self.offsets
    }

    fn kept_windows(&self) -> &[KeptWindow] {
        &[]
    }

    async fn next(&mut self) -> anyhow::Result<Option<Portion>> {
        Ok(self.portions.pop_front())
    }
}

/// The archiver's sink over the model.
pub(crate) struct ArchiveSink {
    desk: Desk,
    boards: BoardSet,
    /// Off for the negative control.
    fenced: bool,
}

/// Rows with their coordinates.
#[derive(Debug, Default)]
pub(crate) struct Batch(Vec<((Partition, i64), Row)>);

impl ArchiveSink {
    /// A sink behind a desk.
    #[must_use]
    pub(crate) fn new(desk: Desk, boards: BoardSet, fenced: bool) -> Self {
        Self { desk, boards, fenced }
    }
}

impl Sink for ArchiveSink {
    type Event = ((Partition, i64), Row);
    type Batch = Batch;
    const MAX_CHAIN: usize = 2;

    fn decode(&self, record: &Record<'_>) -> Self::Event {
        let arrived_at = EventTime::from_millis(record.timestamp_ms.unwrap_or(0)).expect("a sane time");
        let event = ScoreEvent::decode(record.payload, arrived_at)
            .and_then(|event| self.boards.judge(&event, arrived_at).map(|()| (event, arrived_at)));
        ((record.partition, record.offset), event.ok())
    }

    fn fold(&self, batch: &mut Batch, event: Self::Event) {
        batch.0.push(event);
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.0.len() >= 4
    }

    async fn open(
        &self,
        partitions: &[Partition],
        log: &[LogBounds],
    ) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let (partitions, log) = (partitions.to_vec(), log.to_vec());
        let ask = self.desk.ask(move |stores| stores.archive.open(&partitions, &log));
        ask.await.map_err(WriteError::Unavailable)
    }

    async fn positions(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let partitions = partitions.to_vec();
        let ask = self.desk.ask(move |stores| stores.archive.positions(&partitions));
        ask.await.map_err(WriteError::Unavailable)
    }

    async fn write(&self, chain: Vec<Step<Batch>>) -> Result<(), WriteError> {
        let fenced = self.fenced;
        let ask = self.desk.ask(move |stores| stores.archive.write(chain, fenced));
        ask.await.map_err(WriteError::Unavailable).flatten()
    }
}
