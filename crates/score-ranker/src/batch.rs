//! What one record means, and what many mean together. Pure.

use board_store::NameChange;
use boards::changes::{Change, Identified, day_of};
use boards::{BoardSet, Changes, Reached};
use contracts::dead_letter::{Coordinates, DeadLetter};
use contracts::{EventTime, PlayerId, Profile, Refusal, ScoreEvent};
use pipeline::Record;
use std::collections::HashMap;

/// How many entries one script call works through: at most 5 ms, in which no reader is served.
const MAX_ENTRIES: usize = 512;
/// How many bytes of dead letters are held before they are sent.
const MAX_DEAD_LETTER_BYTES: usize = 1024 * 1024;
/// How many records go into one step when nearly all are of the same few players.
const MAX_RECORDS: usize = 16_384;

/// What one record means.
#[derive(Debug)]
pub enum Event {
    /// A score that counts.
    Score(Box<Scored>),
    /// A nickname given or taken away.
    Name(NameChange),
    /// A record that cannot be used.
    Refused(Box<DeadLetter>),
}

/// A score that the board takes.
#[derive(Debug)]
pub struct Scored {
    player: PlayerId,
    change: Change,
    event_id: Option<Box<str>>,
    nickname: Option<Box<str>>,
    created_at: EventTime,
    arrived_at: EventTime,
}

/// What many records mean together.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) changes: Changes,
    pub(crate) names: HashMap<PlayerId, NameChange>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// When the newest event happened and when it arrived.
    pub(crate) newest: Option<(EventTime, EventTime)>,
    dead_letter_bytes: usize,
    records: usize,
}

impl Event {
    /// A record of `game-score`.
    pub(crate) fn of_score(record: &Record<'_>, topic: impl FnOnce() -> String, boards: &BoardSet) -> Self {
        // Kafka stamps every record of this topic; one without a stamp would be from before 1970.
        let arrived_at =
            record.timestamp_ms.and_then(EventTime::from_millis).unwrap_or(EventTime::UNIX_EPOCH);
        let scored = ScoreEvent::decode(record.payload, arrived_at).and_then(|event| {
            let units = boards.default_board().judge(&event, arrived_at)?;
            Ok(Scored {
                change: Change::of(units, Reached::at(event.created_at)),
                player: event.player,
                event_id: event.event_id,
                nickname: event.nickname,
                created_at: event.created_at,
                arrived_at,
            })
        });
        match scored {
            Ok(scored) => Self::Score(Box::new(scored)),
            Err(refusal) => Self::refused(record, topic(), refusal),
        }
    }

    /// A record of `player-profile`.
    pub(crate) fn of_profile(record: &Record<'_>, topic: impl FnOnce() -> String) -> Self {
        match Profile::decode(record.key, record.payload) {
            Ok(Profile { player, nickname }) => Self::Name(NameChange {
                player,
                nickname: nickname.map(Into::into),
                given_ms: record.timestamp_ms.unwrap_or(0),
            }),
            Err(refusal) => Self::refused(record, topic(), refusal),
        }
    }

    fn refused(record: &Record<'_>, topic: String, refusal: Refusal) -> Self {
        Self::Refused(Box::new(DeadLetter {
            coordinates: Coordinates { topic, partition: record.partition.number, offset: record.offset },
            record_key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            timestamp_ms: record.timestamp_ms,
            refusal,
        }))
    }
}

impl Batch {
    pub(crate) fn fold(&mut self, event: Event) {
        self.records += 1;
        match event {
            Event::Score(scored) => self.fold_score(*scored),
            Event::Name(name) => self.fold_name(name),
            Event::Refused(dead_letter) => {
                self.dead_letter_bytes += dead_letter.payload.as_ref().map_or(0, Vec::len);
                self.dead_letters.push(*dead_letter);
            }
        }
    }

    fn fold_score(&mut self, scored: Scored) {
        let Scored { player, change, event_id, nickname, created_at, arrived_at } = scored;
        if self.newest.is_none_or(|(_, newest)| newest <= arrived_at) {
            self.newest = Some((created_at, arrived_at));
        }
        if nickname.is_some() {
            let given_ms = arrived_at.micros().div_euclid(1000);
            self.fold_name(NameChange { player: player.clone(), nickname, given_ms });
        }
        match event_id {
            None => self.changes.add(player, change),
            Some(event_id) => {
                let arrival_day = day_of(arrived_at);
                self.changes.add_identified(Identified { player, event_id, arrival_day, change });
            }
        }
    }

    fn fold_name(&mut self, name: NameChange) {
        match self.names.get(&name.player) {
            Some(newer) if newer.given_ms > name.given_ms => {}
            _ => drop(self.names.insert(name.player.clone(), name)),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.changes.len() >= MAX_ENTRIES
            || self.names.len() >= MAX_ENTRIES
            || self.dead_letter_bytes >= MAX_DEAD_LETTER_BYTES
            || self.dead_letters.len() >= MAX_ENTRIES
            || self.records >= MAX_RECORDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::RefusalClass;
    use pipeline::Partition;

    fn record(payload: &str, timestamp_ms: i64) -> Event {
        let record = Record {
            partition: Partition { topic: 0, number: 3 },
            offset: 7,
            timestamp_ms: Some(timestamp_ms),
            key: Some(b"k"),
            payload: Some(payload.as_bytes()),
        };
        Event::of_score(&record, || "game-score".to_owned(), &BoardSet::default())
    }

    #[test]
    fn events_of_a_player_become_one_change() {
        let mut batch = Batch::default();
        for (score, at) in
            [(5, "1970-01-01T00:00:10"), (-2, "1970-01-01T00:00:30"), (1, "1970-01-01T00:00:20")]
        {
            batch.fold(record(&format!(r#"{{"score":{score},"user_id":1,"created_at":"{at}"}}"#), 60_000));
        }
        assert_eq!(batch.changes.len(), 1);
        let change = batch.changes.players["1"];
        assert_eq!(change.value(), 4);
        assert_eq!(change.reached(), Reached::at(EventTime::from_millis(30_000).unwrap()));
    }

    #[test]
    fn events_with_an_id_stay_apart_until_the_store_has_judged_them() {
        let mut batch = Batch::default();
        for _ in 0..2 {
            batch.fold(record(r#"{"score":5,"user_id":1,"event_id":"x"}"#, 86_400_000));
        }
        assert!(batch.changes.players.is_empty());
        assert_eq!(batch.changes.identified.len(), 2);
        assert_eq!(batch.changes.identified[0].arrival_day, 1);
    }

    #[test]
    fn what_no_board_takes_is_a_dead_letter_with_its_bytes() {
        let mut batch = Batch::default();
        batch.fold(record(r#"{"score":0.5,"user_id":1}"#, 1));
        let dead_letter = &batch.dead_letters[0];
        assert_eq!(dead_letter.refusal.class, RefusalClass::TooPrecise);
        assert_eq!(dead_letter.coordinates.key(), "game-score/3/7");
        assert_eq!(dead_letter.payload.as_deref(), Some(br#"{"score":0.5,"user_id":1}"#.as_slice()));
        assert!(batch.changes.is_empty());
    }

    #[test]
    fn newest_name_of_a_batch_stands() {
        let mut batch = Batch::default();
        for (name, at) in [("b", 2000), ("c", 3000), ("a", 1000)] {
            batch.fold(record(&format!(r#"{{"score":1,"user_id":1,"nickname":"{name}"}}"#), at));
        }
        assert_eq!(batch.names["1"].nickname.as_deref(), Some("c"));
    }

    #[test]
    fn batch_is_full_at_each_of_its_limits() {
        let mut many = Batch::default();
        for player in 0..MAX_ENTRIES {
            assert!(!many.is_full());
            many.fold(record(&format!(r#"{{"score":1,"user_id":{player}}}"#), 1));
        }
        assert!(many.is_full());
        let mut heavy = Batch::default();
        while !heavy.is_full() {
            heavy.fold(record(&"x".repeat(60_000), 1));
        }
        assert_eq!(heavy.dead_letters.len(), MAX_DEAD_LETTER_BYTES.div_ceil(60_000));
    }
}
