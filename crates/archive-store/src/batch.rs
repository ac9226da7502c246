//! What one write carries. Pure: rows are encoded as they are folded in, while the write before
//! is in flight.

use crate::copy::{CopyRows, Day};
use contracts::{EventTime, Refusal, ScoreEvent};
use std::collections::BTreeSet;

/// How many rows a batch takes: enough that a transaction's fixed cost does not show, few enough
/// that one is done in well under a second.
const MAX_ROWS: usize = 16_384;
/// How many bytes a batch takes, the last record over it included.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What [`ArchiveBatch::add_event`] fills, in its order.
pub(crate) const COPY_EVENTS: &str = "COPY leaderboard.game_score (arrived_on, kafka_partition, kafka_offset, \
     arrived_at, created_at, user_id, score, event_id, nickname, tags, extra) FROM STDIN (FORMAT binary)";
/// What [`ArchiveBatch::add_refused`] fills, in its order.
pub(crate) const COPY_REFUSED: &str = "COPY leaderboard.refused_record (kafka_partition, kafka_offset, arrived_at, \
     class, field, message, record_key, payload) FROM STDIN (FORMAT binary)";

/// Where a record stands in the score topic, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The record's timestamp.
    pub arrived_at: EventTime,
}

/// A record that is not a score event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Why not.
    pub refusal: Refusal,
    /// The key, untouched.
    pub key: Option<Vec<u8>>,
    /// The value, untouched; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// Records on their way into the archive.
#[derive(Clone, Debug, Default)]
pub struct ArchiveBatch {
    pub(crate) events: CopyRows,
    pub(crate) refused: CopyRows,
    /// The days on which the events arrived: each needs its partition.
    pub(crate) days: BTreeSet<Day>,
}

impl ArchiveBatch {
    /// Takes an event in.
    pub fn add_event(&mut self, place: Place, event: &ScoreEvent) {
        self.days.insert(Day::of(place.arrived_at));
        event_row(&mut self.events, place, event);
    }

    /// Takes a refused record in.
    pub fn add_refused(&mut self, place: Place, record: &RefusedRecord) {
        refused_row(&mut self.refused, place, record);
    }

    /// Whether it should take nothing more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.events.rows() + self.refused.rows() >= MAX_ROWS
            || self.events.bytes().len() + self.refused.bytes().len() >= MAX_BYTES
    }
}

/// A row of `leaderboard.game_score`, in the order of [`COPY_EVENTS`].
pub(crate) fn event_row(rows: &mut CopyRows, place: Place, event: &ScoreEvent) {
    rows.row(11)
        .date(Day::of(place.arrived_at))
        .integer(place.partition)
        .bigint(place.offset)
        .timestamptz(place.arrived_at)
        .timestamptz(event.created_at)
        .text(event.player.as_str())
        .numeric(event.score)
        .optional_text(event.event_id.as_deref())
        .optional_text(event.nickname.as_deref())
        .jsonb_strings(&event.tags)
        .json_members(&event.unknown);
}

/// A row of `leaderboard.refused_record`, in the order of [`COPY_REFUSED`].
pub(crate) fn refused_row(rows: &mut CopyRows, place: Place, record: &RefusedRecord) {
    // A refusal may quote the record, and text in Postgres cannot hold U+0000.
    let readable = |text: &str| text.replace('\0', "\u{2400}");
    rows.row(8)
        .integer(place.partition)
        .bigint(place.offset)
        .timestamptz(place.arrived_at)
        .text(record.refusal.class.as_str())
        .optional_text(record.refusal.field.as_deref().map(readable).as_deref())
        .text(&readable(&record.refusal.message))
        .bytea(record.key.as_deref())
        .bytea(record.payload.as_deref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::RefusalClass;

    fn place(offset: i64) -> Place {
        Place { partition: 0, offset, arrived_at: EventTime::from_micros(0).unwrap() }
    }

    #[test]
    fn batch_is_bounded_in_rows() {
        let arrived_at = place(0).arrived_at;
        let event = ScoreEvent::decode(Some(br#"{"score":1,"user_id":2}"#), arrived_at).unwrap();
        let mut batch = ArchiveBatch::default();
        let mut rows = 0;
        while !batch.is_full() {
            batch.add_event(place(rows), &event);
            rows += 1;
        }
        assert_eq!(usize::try_from(rows).unwrap(), MAX_ROWS);
        assert_eq!(batch.days.len(), 1);
    }

    #[test]
    fn batch_is_bounded_in_bytes() {
        let refusal = Refusal::of_record(RefusalClass::TooLarge, "is too large");
        let record = RefusedRecord { refusal, key: None, payload: Some(vec![b'x'; 1024 * 1024]) };
        let mut batch = ArchiveBatch::default();
        let mut rows = 0;
        while !batch.is_full() {
            batch.add_refused(place(rows), &record);
            rows += 1;
        }
        assert_eq!(rows, 8);
    }
}
