//! What a record means to both sinks. Pure.

use archive_store::audit::ExpectedRow;
use archive_store::{Place, RefusedRecord};
use boards::BoardSet;
use contracts::{EventTime, PlayerId, ScoreEvent};
use pipeline::scan::Scanned;

/// A record as both sinks must take it: an event with its worth in units of the board's last
/// decimal, or a refusal.
pub(crate) type Judged = Result<(ScoreEvent, i64), RefusedRecord>;

/// Judges as ranker and archiver do.
pub(crate) fn judge(boards: &BoardSet, record: &Scanned<'_>) -> (Place, Judged) {
    let arrived_at = record.timestamp_ms().and_then(EventTime::from_millis).unwrap_or(EventTime::UNIX_EPOCH);
    let place = Place { partition: record.partition, offset: record.offset, arrived_at };
    let judged = ScoreEvent::decode(record.payload(), arrived_at)
        .and_then(|event| {
            let units = boards.default_board().units(&event)?;
            Ok((event, units))
        })
        .map_err(|refusal| RefusedRecord {
            refusal,
            key: record.key().map(<[u8]>::to_vec),
            payload: record.payload().map(<[u8]>::to_vec),
        });
    (place, judged)
}

/// The row that must stand in the archive for a record.
pub(crate) fn row<'a>(expected: &'a mut ExpectedRow, place: Place, judged: &Judged) -> &'a [u8] {
    match judged {
        Ok((event, _)) => expected.event(place, name_in_archive(&event.player), event),
        Err(refused) => expected.refused(place, refused),
    }
}

/// The name under which the archive keeps a player: the player's own.
fn name_in_archive(player: &PlayerId) -> &str {
    player.as_str()
}
