//! What one record means, and what many mean together. Pure.

use crate::resume::Resume;
use crate::sink::SCORES;
use board_store::NameChange;
use boards::changes::{Identified, day_of};
use boards::{Arrival, BoardSet, Changes, Effect, Scope, WindowCache};
use contracts::dead_letter::{Coordinates, DeadLetter};
use contracts::{EventTime, PlayerId, Profile, Refusal, ScoreEvent};
use metrics::counter;
use pipeline::Record;
use std::collections::HashMap;

/// How many entries one script call reads, and how many rows it writes for them, one in each window:
/// some 6 ms in which no reader is served, when all are of other players of a million
/// (`largest_batch_keeps_redis_from_others_for_so_long`).
const MAX_ENTRIES: usize = 512;
const MAX_ROWS: usize = 1024;
/// How many bytes of dead letters are held before they are sent.
const MAX_DEAD_LETTER_BYTES: usize = 1024 * 1024;
/// How many records go into one step when nearly all are of the same few players.
const MAX_RECORDS: usize = 16_384;

/// What one record means.
#[derive(Debug)]
pub enum Event {
    /// A score that some board takes, or that none is for.
    Score(Box<ScoreEvent>, Arrival),
    /// A nickname given or taken away.
    Name(NameChange),
    /// A record that cannot be used.
    Refused(Box<DeadLetter>),
}

/// What many records mean together.
#[derive(Debug, Default)]
pub struct Batch {
    /// What they do to each board, as [`BoardSet`] counts them; there are no more than were touched.
    pub(crate) boards: Vec<Changes>,
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
        let at = record.timestamp_ms.and_then(EventTime::from_millis).unwrap_or(EventTime::UNIX_EPOCH);
        let taken =
            ScoreEvent::decode(record.payload, at).and_then(|event| boards.judge(&event, at).map(|()| event));
        match taken {
            Ok(event) => {
                let arrival = Arrival { at, partition: record.partition.number, offset: record.offset };
                Self::Score(Box::new(event), arrival)
            }
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

/// What decides where an event counts.
#[derive(Debug)]
pub(crate) struct Rules {
    boards: BoardSet,
    windows: WindowCache,
}

impl Rules {
    pub(crate) fn new(boards: BoardSet) -> Self {
        Self { windows: WindowCache::new(&boards), boards }
    }
}

impl Batch {
    /// Takes an event in, on the boards that do not have it yet.
    pub(crate) fn fold(&mut self, rules: &mut Rules, resume: &Resume, event: Event) {
        self.records += 1;
        match event {
            Event::Score(event, arrival) => self.fold_score(rules, resume, *event, arrival),
            Event::Name(name) => self.fold_name(name),
            Event::Refused(dead_letter) => {
                self.dead_letter_bytes += dead_letter.payload.as_ref().map_or(0, Vec::len);
                self.dead_letters.push(*dead_letter);
            }
        }
    }

    fn fold_score(&mut self, rules: &mut Rules, resume: &Resume, mut event: ScoreEvent, arrival: Arrival) {
        if self.newest.is_none_or(|(_, newest)| newest <= arrival.at) {
            self.newest = Some((event.created_at, arrival.at));
        }
        if let Some(nickname) = event.nickname.take() {
            let given_ms = arrival.at.micros().div_euclid(1000);
            self.fold_name(NameChange { player: event.player.clone(), nickname: Some(nickname), given_ms });
        }
        let Rules { boards, windows } = rules;
        self.boards.resize_with(boards.iter().len(), Changes::default);
        boards.visit_effects(&event, arrival, windows, |effect| match effect {
            Effect::Counts { board, .. } | Effect::Late { board, .. } | Effect::Refused { board, .. }
                if resume.is_past(board, SCORES, arrival) => {}
            Effect::Counts { board, value, windows, change } => {
                let changes = &mut self.boards[board];
                match &event.event_id {
                    None => changes.add_in(value, windows, &event.player, change),
                    Some(event_id) => changes.add_identified(Identified {
                        player: event.player.clone(),
                        event_id: event_id.clone(),
                        arrival_day: day_of(arrival.at),
                        scope: Scope::new(value, windows),
                        change,
                    }),
                }
            }
            Effect::Late { board, .. } => {
                counter!("ranker_late_total", "board" => boards[board].name.clone()).increment(1);
            }
            Effect::Refused { board, .. } => {
                counter!("ranker_refused_total", "board" => boards[board].name.clone()).increment(1);
            }
        });
    }

    fn fold_name(&mut self, name: NameChange) {
        match self.names.get(&name.player) {
            Some(newer) if newer.given_ms > name.given_ms => {}
            _ => drop(self.names.insert(name.player.clone(), name)),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.boards.iter().any(|changes| changes.len() >= MAX_ENTRIES || changes.rows() >= MAX_ROWS)
            || self.names.len() >= MAX_ENTRIES
            || self.dead_letter_bytes >= MAX_DEAD_LETTER_BYTES
            || self.dead_letters.len() >= MAX_ENTRIES
            || self.records >= MAX_RECORDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::Reached;
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

    impl Batch {
        fn take(&mut self, event: Event) {
            self.fold(&mut Rules::new(BoardSet::default()), &Resume::default(), event);
        }
    }

    #[test]
    fn events_of_a_player_become_one_change() {
        let mut batch = Batch::default();
        for (score, at) in
            [(5, "1970-01-01T00:00:10"), (-2, "1970-01-01T00:00:30"), (1, "1970-01-01T00:00:20")]
        {
            batch.take(record(&format!(r#"{{"score":{score},"user_id":1,"created_at":"{at}"}}"#), 60_000));
        }
        assert_eq!(batch.boards[0].len(), 1);
        let change = batch.boards[0].scopes()[0].players["1"];
        assert_eq!(change.value(), 4);
        assert_eq!(change.reached(), Reached::at(EventTime::from_millis(30_000).unwrap()));
    }

    #[test]
    fn events_with_an_id_stay_apart_until_the_store_has_judged_them() {
        let mut batch = Batch::default();
        for _ in 0..2 {
            batch.take(record(r#"{"score":5,"user_id":1,"event_id":"x"}"#, 86_400_000));
        }
        assert!(batch.boards[0].scopes().is_empty());
        assert_eq!(batch.boards[0].identified().len(), 2);
        assert_eq!(batch.boards[0].identified()[0].arrival_day, 1);
    }

    #[test]
    fn what_no_board_takes_is_a_dead_letter_with_its_bytes() {
        let mut batch = Batch::default();
        batch.take(record(r#"{"score":0.5,"user_id":1}"#, 1));
        let dead_letter = &batch.dead_letters[0];
        assert_eq!(dead_letter.refusal.class, RefusalClass::TooPrecise);
        assert_eq!(dead_letter.coordinates.key(), "game-score/3/7");
        assert_eq!(dead_letter.payload.as_deref(), Some(br#"{"score":0.5,"user_id":1}"#.as_slice()));
        assert!(batch.boards.is_empty());
    }

    #[test]
    fn newest_name_of_a_batch_stands() {
        let mut batch = Batch::default();
        for (name, at) in [("b", 2000), ("c", 3000), ("a", 1000)] {
            batch.take(record(&format!(r#"{{"score":1,"user_id":1,"nickname":"{name}"}}"#), at));
        }
        assert_eq!(batch.names["1"].nickname.as_deref(), Some("c"));
    }

    #[test]
    fn batch_is_full_at_each_of_its_limits() {
        let mut many = Batch::default();
        for player in 0..MAX_ENTRIES {
            assert!(!many.is_full());
            many.take(record(&format!(r#"{{"score":1,"user_id":{player}}}"#), 1));
        }
        assert!(many.is_full());
        let windows = r#"[[board]]
            name = "b"
            windows = ["all", "hour", "day", "week", "month"]"#;
        let mut rules = Rules::new(BoardSet::parse(windows).unwrap());
        let mut wide = Batch::default();
        let mut players = 0;
        while !wide.is_full() {
            let event = record(&format!(r#"{{"score":1,"user_id":{players}}}"#), 1);
            wide.fold(&mut rules, &Resume::default(), event);
            players += 1;
        }
        assert_eq!((players, wide.boards[0].len()), (MAX_ROWS.div_ceil(5), players));
        let mut heavy = Batch::default();
        while !heavy.is_full() {
            heavy.take(record(&"x".repeat(60_000), 1));
        }
        assert_eq!(heavy.dead_letters.len(), MAX_DEAD_LETTER_BYTES.div_ceil(60_000));
    }
}
