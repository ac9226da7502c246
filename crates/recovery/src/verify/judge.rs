//! What a record means to both sinks. Pure.

use crate::verify::fold::Scored;
use archive_store::audit::{ExpectedRow, Table};
use archive_store::{ErasedPlayers, Place, RefusedRecord};
use boards::BoardSet;
use contracts::{EventTime, ScoreEvent};
use pipeline::scan::Scanned;

/// A record as both sinks must take it: an event, or a refusal.
pub(crate) type Judged = Result<ScoreEvent, RefusedRecord>;

/// A record that is judged.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) place: Place,
    /// What it is, to those who have forgotten the players who were erased.
    pub(crate) judged: Judged,
    /// What it was before it was forgotten whom it names, if that was done. Where it arrived
    /// later than that, this is what it still is.
    pub(crate) named: Option<Judged>,
}

impl Judgement {
    /// The event; `None` when it is refused.
    pub(crate) fn scored(&self) -> Option<Scored<'_>> {
        let judged = self.judged.as_ref().ok()?;
        let named = self.named.as_ref().and_then(|named| named.as_ref().ok());
        Some(match named {
            Some(named) => Scored { place: self.place, event: named, forgotten: Some(judged) },
            None => Scored { place: self.place, event: judged, forgotten: None },
        })
    }
}

/// Judges as ranker and archiver do.
pub(crate) fn judge(boards: &BoardSet, erased: &ErasedPlayers, record: &Scanned<'_>) -> Judgement {
    let arrived_at = record.timestamp_ms().and_then(EventTime::from_millis).unwrap_or(EventTime::UNIX_EPOCH);
    let place = Place { partition: record.partition, offset: record.offset, arrived_at };
    let named = ScoreEvent::decode(record.payload(), arrived_at)
        .and_then(|event| boards.judge(&event, arrived_at).map(|()| event))
        .map_err(|refusal| RefusedRecord {
            refusal,
            key: record.key().map(<[u8]>::to_vec),
            payload: record.payload().map(<[u8]>::to_vec),
        });
    let forgotten = match &named {
        Ok(event) => erased.archived(event).map(Ok),
        Err(refused) => erased.redacted(refused).map(Err),
    };
    match forgotten {
        Some(judged) => Judgement { place, judged, named: Some(named) },
        None => Judgement { place, judged: named, named: None },
    }
}

/// The row that must stand in the archive for a record.
pub(crate) fn row<'a>(expected: &'a mut ExpectedRow, place: Place, judged: &Judged) -> (Table, &'a [u8]) {
    match judged {
        Ok(event) => (Table::Events, expected.event(place, event)),
        Err(refused) => (Table::Refused, expected.refused(place, refused)),
    }
}
