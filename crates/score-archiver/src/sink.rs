//! The archive as a sink: what becomes of a record.

use archive_store::{ArchiveBatch, ArchiveStore, Place, RefusedRecord};
use boards::BoardSet;
use contracts::{EventTime, ScoreEvent};
use pipeline::sink::{LogBounds, Partition, Step};
use pipeline::{Record, Sink, WriteError};
use std::collections::BTreeMap;

/// How many batches go into one transaction at most: a commit takes as long for four as for one.
const MAX_CHAIN: usize = 4;

pub(crate) struct ArchiveSink {
    store: ArchiveStore,
    boards: BoardSet,
}

impl ArchiveSink {
    pub(crate) fn new(store: ArchiveStore, boards: BoardSet) -> Self {
        Self { store, boards }
    }
}

impl Sink for ArchiveSink {
    type Event = (Place, Result<ScoreEvent, RefusedRecord>);
    type Batch = ArchiveBatch;
    const MAX_CHAIN: usize = MAX_CHAIN;

    fn decode(&self, record: &Record<'_>) -> Self::Event {
        judge(&self.boards, record)
    }

    fn fold(&self, batch: &mut ArchiveBatch, (place, outcome): Self::Event) {
        match outcome {
            Ok(event) => batch.add_event(place, &event),
            Err(refused) => batch.add_refused(place, &refused),
        }
    }

    fn is_full(&self, batch: &ArchiveBatch) -> bool {
        batch.is_full()
    }

    async fn open(
        &self,
        partitions: &[Partition],
        log: &[LogBounds],
    ) -> Result<BTreeMap<Partition, i64>, WriteError> {
        self.store.open(partitions, log).await
    }

    async fn positions(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, WriteError> {
        self.store.positions(partitions).await
    }

    /// The whole chain in one transaction, which is more than is asked for.
    async fn write(&self, chain: Vec<Step<ArchiveBatch>>) -> Result<(), WriteError> {
        self.store.write(&chain).await
    }
}

/// An event that a board takes, or why there is none. Pure, so that every replay decides the same.
fn judge(boards: &BoardSet, record: &Record<'_>) -> (Place, Result<ScoreEvent, RefusedRecord>) {
    // Brokers stamp every record; one without is taken to be as old as can be.
    let arrived_at = EventTime::from_millis(record.timestamp_ms.unwrap_or(0))
        .or_else(|| EventTime::from_micros(0))
        .expect("1970 is within the years 1 to 9999");
    let place = Place { partition: record.partition.number, offset: record.offset, arrived_at };
    let outcome = ScoreEvent::decode(record.payload, arrived_at)
        .and_then(|event| boards.judge(&event, arrived_at).map(|()| event))
        .map_err(|refusal| RefusedRecord {
            refusal,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
        });
    (place, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::RefusalClass;

    fn judged(
        payload: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> (Place, Result<ScoreEvent, RefusedRecord>) {
        let partition = Partition { topic: 0, number: 3 };
        let record = Record { partition, offset: 17, timestamp_ms, key: Some(b"42"), payload };
        judge(&BoardSet::default(), &record)
    }

    #[test]
    fn arrival_is_the_records_timestamp() {
        let (place, outcome) = judged(Some(br#"{"score":5,"user_id":42}"#), Some(1_795_262_400_123));
        assert_eq!((place.partition, place.offset), (3, 17));
        assert_eq!(place.arrived_at.micros(), 1_795_262_400_123_000);
        assert_eq!(outcome.unwrap().created_at, place.arrived_at);
    }

    #[test]
    fn what_is_refused_is_kept_untouched() {
        let (_, outcome) = judged(Some(b"\xff"), Some(0));
        let refused = outcome.unwrap_err();
        assert_eq!(refused.refusal.class, RefusalClass::NotUtf8);
        assert_eq!(
            (refused.key.as_deref(), refused.payload.as_deref()),
            (Some(&b"42"[..]), Some(&b"\xff"[..]))
        );
        assert_eq!(judged(None, Some(0)).1.unwrap_err().payload, None);
    }

    #[test]
    fn what_no_board_takes_is_refused() {
        let (_, outcome) = judged(Some(br#"{"score":0.5,"user_id":42}"#), Some(0));
        assert_eq!(outcome.unwrap_err().refusal.class, RefusalClass::TooPrecise);
    }

    #[test]
    fn a_record_without_a_sensible_timestamp_is_kept_all_the_same() {
        for timestamp_ms in [None, Some(i64::MIN), Some(i64::MAX)] {
            let (place, outcome) = judged(Some(br#"{"score":5,"user_id":42}"#), timestamp_ms);
            assert_eq!(place.arrived_at.micros(), 0);
            assert!(outcome.is_ok());
        }
    }
}
