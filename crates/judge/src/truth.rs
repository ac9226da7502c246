//! What the log says: every record from its first one on, folded once. Pure.
//!
//! One reading serves all comparisons: the oracle has the board, the run's stretch of the log is held
//! against what was acknowledged, a sample of players is added up for the archive, and of the players
//! who were on a screen it is kept which event brought them to which total.

use crate::findings::{Findings, Part};
use crate::ledger::{Entry, Ledger, digest};
use crate::sample::{Sample, Tally};
use crate::tracks::Tracks;
use boards::{Arrival, Board, BoardSet, Oracle, Ranking, Standings};
use contracts::{EventTime, PlayerId, ScoreEvent};
use pipeline::producer::Place;
use std::collections::{BTreeMap, HashMap};

/// How many players are drawn to be compared.
pub const SAMPLED_PLAYERS: usize = 1000;
/// How many records of others may come between those of the run: about 50 MB.
const MAX_STRANGERS: usize = 2_000_000;
/// How many event ids are remembered: about 4 GB.
const MAX_EVENT_IDS: u64 = 20_000_000;

/// A record of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Where it stands.
    pub place: Place,
    /// When Kafka took it.
    pub arrived_at: EventTime,
    /// Its value.
    pub payload: Option<&'a [u8]>,
}

/// What the run's producer wrote down, and from where in the log on it may be found.
#[derive(Clone, Copy)]
pub struct Sent<'l> {
    /// The events.
    pub ledger: &'l Ledger,
    /// How many there are.
    pub count: u64,
    /// Partition → where the log ended before the run.
    pub from: &'l BTreeMap<i32, i64>,
}

/// What the log says.
pub struct Truth<'l> {
    sent: Sent<'l>,
    /// The events that are where they were acknowledged to be; the others' places.
    stretches: BTreeMap<i32, Stretch>,
    /// Records of the run's stretch at whose place nothing was acknowledged, with their digests.
    strangers: Vec<(u64, Place)>,
    oracle: Oracle,
    tracks: Tracks,
    sample: Sample,
    event_ids: u64,
    findings: Findings,
    figures: LogFigures,
    rows: BTreeMap<i32, u64>,
}

/// The run's stretch of a partition: at `i` the event that was acknowledged at `from + i`, as its
/// number from 1; 0 where there is none, or when it was found.
struct Stretch {
    from: i64,
    events: Vec<u32>,
}

/// What was counted in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LogFigures {
    /// Records.
    pub records: u64,
    /// Of these, records that no board takes.
    pub refused: u64,
    /// Events that stand where they were acknowledged, with the very bytes.
    pub found: u64,
    /// Events of the run that stand in the log though nobody heard of it.
    pub unacknowledged: u64,
    /// Records of others that came while the run lasted.
    pub foreign: u64,
}

impl<'l> Truth<'l> {
    /// Nothing was read yet. `tracks` are of the players who were on a screen; `seed` draws the
    /// sample.
    #[must_use]
    pub fn new(boards: BoardSet, sent: Sent<'l>, tracks: Tracks, seed: u64) -> Self {
        let mut truth = Self {
            sent,
            stretches: BTreeMap::new(),
            strangers: Vec::new(),
            oracle: Oracle::new(boards),
            tracks,
            sample: Sample::new(seed, SAMPLED_PLAYERS),
            event_ids: 0,
            findings: Findings::default(),
            figures: LogFigures::default(),
            rows: BTreeMap::new(),
        };
        (0..sent.count).for_each(|event| truth.expect(event));
        truth
    }

    /// Notes where an event must stand.
    fn expect(&mut self, event: u64) {
        let Entry { place: Some(place), .. } = self.sent.ledger.entry(event) else { return };
        let from = self.sent.from.get(&place.partition).copied().unwrap_or(0);
        let stretch =
            self.stretches.entry(place.partition).or_insert_with(|| Stretch { from, events: Vec::new() });
        let Some(at) = usize::try_from(place.offset - from).ok().filter(|_| place.offset >= from) else {
            let before = format!("acknowledged at {}, where the log was before the run", at_place(place));
            self.findings.add(Part::Log, format_args!("event {event}"), "a place of its own", before);
            return;
        };
        if stretch.events.len() <= at {
            stretch.events.resize(at + 1, 0);
        }
        let number = u32::try_from(event + 1).expect("events are few enough to be judged");
        match std::mem::replace(&mut stretch.events[at], number) {
            0 => {}
            other => {
                let shared = format!("acknowledged at {}, as event {} was", at_place(place), other - 1);
                self.findings.add(Part::Log, format_args!("event {event}"), "a place of its own", shared);
            }
        }
    }

    /// Takes the next record of a partition.
    ///
    /// # Errors
    /// When there is more than can be judged.
    pub fn take(&mut self, record: &LogRecord<'_>) -> anyhow::Result<()> {
        let LogRecord { place, arrived_at, payload } = *record;
        self.figures.records += 1;
        *self.rows.entry(place.partition).or_default() += 1;
        let in_run = self.sent.from.get(&place.partition).is_none_or(|from| place.offset >= *from);
        let event = if in_run { self.recognise(place, payload.unwrap_or_default())? } else { None };
        let Ok(scored) = self.judged(payload, arrived_at) else {
            self.figures.refused += 1;
            return Ok(());
        };
        self.event_ids += u64::from(scored.event_id.is_some());
        anyhow::ensure!(
            self.event_ids <= MAX_EVENT_IDS,
            "the log has more than {MAX_EVENT_IDS} events with ids: too many to be judged"
        );
        let before = self.tracks.totals(&self.oracle, scored.player.as_str());
        let arrival = Arrival { at: arrived_at, partition: place.partition, offset: place.offset };
        self.oracle.apply(&scored, arrival).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        if let Some(before) = before {
            let after = self.tracks.totals(&self.oracle, scored.player.as_str()).expect("it is tracked");
            self.tracks.took(&before, &after, place.partition, in_run, event);
        }
        if in_run {
            self.sample.take(&scored.player, scored.score);
        }
        Ok(())
    }

    /// The event, as ranker and archiver judge it.
    fn judged(
        &self,
        payload: Option<&[u8]>,
        arrived_at: EventTime,
    ) -> Result<ScoreEvent, contracts::Refusal> {
        let event = ScoreEvent::decode(payload, arrived_at)?;
        self.oracle.boards().judge(&event, arrived_at)?;
        Ok(event)
    }

    /// Which event of ours the record is; `None` of others'.
    fn recognise(&mut self, place: Place, payload: &[u8]) -> anyhow::Result<Option<u32>> {
        let stretch = self.stretches.get_mut(&place.partition);
        let slot = stretch.and_then(|stretch| {
            let at = usize::try_from(place.offset - stretch.from).ok()?;
            stretch.events.get_mut(at)
        });
        let found = digest(payload);
        match slot.map(std::mem::take) {
            None | Some(0) => {
                self.strangers.push((found, place));
                self.figures.foreign += 1;
                anyhow::ensure!(
                    self.figures.foreign <= MAX_STRANGERS as u64,
                    "more than {MAX_STRANGERS} records of others came while the run lasted"
                );
                Ok(None)
            }
            Some(number) => {
                let event = number - 1;
                if self.sent.ledger.entry(u64::from(event)).digest == found {
                    self.figures.found += 1;
                } else {
                    let of = format!("event {event} at {}", at_place(place));
                    self.findings.add(Part::Log, of, "the bytes that were sent", "others");
                }
                Ok(Some(event))
            }
        }
    }

    /// Everything was read: what is missing in the log, what stands twice in it, and the figures.
    /// Then it can be read on.
    #[must_use]
    pub fn log_findings(&self) -> (Findings, LogFigures) {
        let (mut findings, mut figures) = (self.findings.clone(), self.figures);
        for (partition, stretch) in &self.stretches {
            for (event, offset) in stretch.events.iter().zip(stretch.from..) {
                if let Some(event) = event.checked_sub(1) {
                    let place = at_place(Place { partition: *partition, offset });
                    let of = format_args!("event {event}, acknowledged at {place}");
                    findings.add(Part::Log, of, "a record", "none");
                }
            }
        }
        self.find_doubles(&mut findings, &mut figures);
        (findings, figures)
    }

    /// Strangers that are ours: those whose event was not heard of are where these went, any other is
    /// a double.
    fn find_doubles(&self, findings: &mut Findings, figures: &mut LogFigures) {
        if self.strangers.is_empty() {
            return;
        }
        let mut strangers = self.strangers.clone();
        strangers.sort_unstable_by_key(|(digest, place)| (*digest, place.partition, place.offset));
        let is_stranger = |digest: &u64| strangers.binary_search_by_key(digest, |(other, _)| *other).is_ok();
        let mut unheard: HashMap<u64, usize> = HashMap::new();
        let mut heard: HashMap<u64, (u64, Place)> = HashMap::new();
        for event in 0..self.sent.count {
            let Entry { digest, place, .. } = self.sent.ledger.entry(event);
            match place {
                _ if !is_stranger(&digest) => {}
                None => *unheard.entry(digest).or_default() += 1,
                Some(place) => drop(heard.entry(digest).or_insert((event, place))),
            }
        }
        for places in strangers.chunk_by(|(one, _), (other, _)| one == other) {
            let digest = &places[0].0;
            let explained = unheard.get(digest).copied().unwrap_or(0).min(places.len());
            figures.unacknowledged += explained as u64;
            figures.foreign -= explained as u64;
            let Some((event, first)) = heard.get(digest) else { continue };
            for (_, place) in &places[explained..] {
                figures.foreign -= 1;
                let of = format_args!("event {event}, acknowledged at {}", at_place(*first));
                findings.add(Part::Log, of, "one record", format_args!("another at {}", at_place(*place)));
            }
        }
    }

    /// The board that is judged: the file's first.
    #[must_use]
    pub fn board(&self) -> &Board {
        self.oracle.boards().default_board()
    }

    /// Everybody in their places in the window of that id.
    #[must_use]
    pub fn ranking(&self, window: &str) -> Ranking {
        let board = self.board();
        let view = self.oracle.view(&board.name, window);
        view.map_or_else(|| Standings::of(board).ranking(), Standings::ranking)
    }

    /// The drawn players who got events while the run lasted, with what these come to.
    #[must_use]
    pub fn sample(&self) -> Vec<(&PlayerId, Tally)> {
        self.sample.players()
    }

    /// How many records each partition has.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<i32, u64> {
        &self.rows
    }

    /// What brought the players on the screens where.
    #[must_use]
    pub fn tracks(&self) -> &Tracks {
        &self.tracks
    }
}

fn at_place(Place { partition, offset }: Place) -> String {
    format!("{partition}/{offset}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn at(partition: i32, offset: i64) -> Place {
        Place { partition, offset }
    }

    pub(crate) fn record(place: Place, payload: &str) -> LogRecord<'_> {
        let arrived_at = EventTime::from_micros(1_795_262_400_000_000).unwrap();
        LogRecord { place, arrived_at, payload: Some(payload.as_bytes()) }
    }

    /// A ledger of values with the places that were acknowledged.
    pub(crate) fn ledger(events: &[(&str, Option<Place>)]) -> Ledger {
        let ledger = Ledger::default();
        for ((payload, place), index) in events.iter().zip(0..) {
            assert!(ledger.write(index, 1_000_000 * (index + 1), payload.as_bytes()));
            place.iter().for_each(|place| ledger.acknowledge(index, *place));
        }
        ledger
    }

    pub(crate) fn event(player: &str, score: i64, more: &str) -> String {
        format!(r#"{{"score":{score},"user_id":"{player}"{more}}}"#)
    }

    fn nobody() -> Tracks {
        Tracks::new(std::iter::empty(), std::iter::empty())
    }

    /// What is found in a log that held one record before the run.
    fn findings(events: &[(&str, Option<Place>)], log: &[(Place, &str)]) -> (Vec<String>, LogFigures) {
        let ledger = ledger(events);
        let from = BTreeMap::from([(0, 1)]);
        let sent = Sent { ledger: &ledger, count: events.len() as u64, from: &from };
        let mut truth = Truth::new(BoardSet::default(), sent, nobody(), 1);
        truth.take(&record(at(0, 0), r#"{"score":1,"user_id":9}"#)).unwrap();
        log.iter().for_each(|(place, payload)| truth.take(&record(*place, payload)).unwrap());
        let (found, figures) = truth.log_findings();
        (found.first().iter().map(ToString::to_string).collect(), figures)
    }

    const ONE: &str = r#"{"score":1,"user_id":1}"#;
    const TWO: &str = r#"{"score":2,"user_id":2}"#;

    #[test]
    fn log_that_has_everything_once_is_right() {
        let events = [(ONE, Some(at(0, 1))), (TWO, Some(at(0, 2)))];
        let (found, figures) = findings(&events, &[(at(0, 1), ONE), (at(0, 2), TWO)]);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(figures, LogFigures { records: 3, found: 2, ..LogFigures::default() });
    }

    #[test]
    fn record_that_is_missing_is_named() {
        let events = [(ONE, Some(at(0, 1))), (TWO, Some(at(0, 2)))];
        let (found, _) = findings(&events, &[(at(0, 1), ONE)]);
        assert_eq!(found, ["log: event 1, acknowledged at 0/2: expected a record, found none"]);
    }

    #[test]
    fn record_that_stands_twice_is_named() {
        let events = [(ONE, Some(at(0, 1)))];
        let (found, figures) = findings(&events, &[(at(0, 1), ONE), (at(0, 2), ONE)]);
        assert_eq!(found, ["log: event 0, acknowledged at 0/1: expected one record, found another at 0/2"]);
        assert_eq!((figures.foreign, figures.found), (0, 1));
    }

    #[test]
    fn record_with_other_bytes_is_named() {
        let (found, _) = findings(&[(ONE, Some(at(0, 1)))], &[(at(0, 1), TWO)]);
        assert_eq!(found, ["log: event 0 at 0/1: expected the bytes that were sent, found others"]);
    }

    #[test]
    fn places_that_cannot_be_are_named() {
        let events = [(ONE, Some(at(0, 0))), (ONE, Some(at(0, 1))), (TWO, Some(at(0, 1)))];
        let (found, _) = findings(&events, &[(at(0, 1), TWO)]);
        assert_eq!(
            found,
            [
                "log: event 0: expected a place of its own, found acknowledged at 0/0, where the log was before the run",
                "log: event 2: expected a place of its own, found acknowledged at 0/1, as event 1 was",
            ]
        );
    }

    #[test]
    fn events_that_were_not_heard_of_and_those_of_others_are_no_difference() {
        let events = [(ONE, Some(at(0, 1))), (ONE, None), (TWO, None)];
        let log =
            [(at(0, 1), ONE), (at(0, 2), ONE), (at(0, 3), r#"{"score":3,"user_id":3}"#), (at(0, 4), "no")];
        let (found, figures) = findings(&events, &log);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(figures, LogFigures { records: 5, refused: 1, found: 1, unacknowledged: 1, foreign: 2 });
    }

    proptest! {
        /// Whatever is taken out, put in twice or altered, exactly that is found.
        #[test]
        fn exactly_what_was_tampered_with_is_found(
            partitions in proptest::collection::vec(0i32..3, 1..40),
            tampered in proptest::collection::btree_map(0usize..40, 0u8..3, 0..5),
        ) {
            let payloads: Vec<String> =
                (0..partitions.len()).map(|number| event(&number.to_string(), 1, "")).collect();
            let (mut ends, mut events, mut log) = ([0i64; 3], Vec::new(), Vec::new());
            for (payload, partition) in payloads.iter().zip(&partitions) {
                let offset = &mut ends[usize::try_from(*partition).unwrap()];
                events.push((payload.as_str(), Some(at(*partition, *offset))));
                log.push((at(*partition, *offset), payload.clone()));
                *offset += 1;
            }
            let mut expected = 0;
            for (which, how) in tampered.into_iter().filter(|(which, _)| *which < partitions.len()).rev() {
                expected += 1;
                match how {
                    0 => drop(log.remove(which)),
                    1 => {
                        let offset = &mut ends[usize::try_from(partitions[which]).unwrap()];
                        log.push((at(partitions[which], *offset), payloads[which].clone()));
                        *offset += 1;
                    }
                    _ => log[which].1.push(' '),
                }
            }
            let ledger = ledger(&events);
            let from = BTreeMap::new();
            let sent = Sent { ledger: &ledger, count: events.len() as u64, from: &from };
            let mut truth = Truth::new(BoardSet::default(), sent, nobody(), 1);
            for (place, payload) in &log {
                truth.take(&record(*place, payload)).unwrap();
            }
            prop_assert_eq!(truth.log_findings().0.total(), expected);
        }
    }

    #[test]
    fn board_and_sample_are_those_of_the_whole_log() {
        let events = [(ONE, Some(at(0, 1))), (TWO, Some(at(0, 2)))];
        let ledger = ledger(&events);
        let from = BTreeMap::from([(0, 1)]);
        let sent = Sent { ledger: &ledger, count: 2, from: &from };
        let mut truth = Truth::new(BoardSet::default(), sent, nobody(), 1);
        for (offset, payload) in [r#"{"score":9,"user_id":1}"#, ONE, TWO].into_iter().enumerate() {
            truth.take(&record(at(0, i64::try_from(offset).unwrap()), payload)).unwrap();
        }
        let top: Vec<_> = truth.ranking("all").page(boards::RankMode::Ordinal, 0, 9);
        let top: Vec<_> = top.iter().map(|row| (row.player.as_str(), row.total)).collect();
        assert_eq!(top, [("1", 10), ("2", 2)]);
        let mut sample: Vec<_> =
            truth.sample().iter().map(|(id, tally)| (id.to_string(), tally.events)).collect();
        sample.sort();
        assert_eq!(sample, [("1".to_owned(), 1), ("2".to_owned(), 1)]);
        assert_eq!(truth.rows(), &BTreeMap::from([(0, 3)]));
        assert_eq!(truth.ranking("2026-11-21").players(), 0);
    }
}
