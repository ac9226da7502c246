//! From what viewers saw to how late they saw it. Pure.
//!
//! A row of a frame says by its total which of the player's events it counts ([`Tracks`]). An event's
//! latency is the frame's arrival minus the instant at which the event was **due**, taken once for each
//! viewer, of the first frame that counts it. It is taken only where the player was on that viewer's
//! screen in the frame before: who comes onto a screen brings events that nobody could have seen
//! earlier, however fast they were counted. So every sample is exact, and there are none of players who
//! are not in the top.
//!
//! **Lag** is how long ago the oldest event was due that is of a player on a viewer's screen and not
//! counted there yet. Between two frames it only rises, so its worst in a second is just before a frame
//! or at the second's end; the worst of all viewers stands. With a frame every half second it comes to
//! about that; where a consumer stands still, it rises by a second each second.
//!
//! **Stages** are those that frames say of the newest event they contain, one sample for each frame that
//! comes to a viewer. All clocks are of one machine; Kafka's time is in whole milliseconds.

use crate::findings::{Findings, Part};
use crate::latencies::{Figures, Latencies, Packed};
use crate::ledger::Ledger;
use crate::recording::second_of;
use crate::sightings::{Frame, Seen, Sighting, Sightings};
use crate::tracks::{Reach, Track, Tracks};
use contracts::Stages;
use serde::Serialize;
use std::collections::HashMap;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MILLI: f64 = 1e6;
/// A stage that seems to have taken longer is of clocks that have nothing to do with each other.
const MAX_STAGE_MS: f64 = 3_600_000.0;

/// What was seen of a run, and what it is held against.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// What was seen.
    pub sightings: &'a Sightings,
    /// What brought the players on the screens where.
    pub tracks: &'a Tracks,
    /// When each event was due.
    pub ledger: &'a Ledger,
    /// How many events are of the run; those after it are lone events after quiet.
    pub of_run: u64,
    /// When the run's last frame had come, in nanoseconds after the beginning.
    pub drained_nanos: u64,
    /// When the run began, in milliseconds since the Unix epoch.
    pub started_ms: f64,
    /// Whether `created_at` is when an event was due.
    pub created_when_due: bool,
}

/// One second, as viewers saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchedSecond {
    /// Frames that came, to all viewers.
    pub frames: u64,
    /// Latencies of the events that came into view.
    pub latencies: Packed,
    /// The worst lag in it, in nanoseconds; `None` while nothing can be told.
    pub lag_nanos: Option<u64>,
}

/// What was seen how late.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    /// From due to the frame in hand, of the run's events.
    pub frame: Latencies,
    /// The same of lone events after quiet.
    pub edge: Latencies,
    /// How many different events of the run were timed.
    pub timed: u64,
    /// How many lone events were.
    pub timed_lone: u64,
    /// The seconds of the run.
    pub seconds: Vec<WatchedSecond>,
    /// Between the stages.
    pub stages: Vec<StageFigures>,
    /// How many players on screens have totals that do not tell which events they count.
    pub cannot_tell: u64,
    /// Rows that show what never was.
    pub findings: Findings,
}

/// How long one stage took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageFigures {
    /// From what to what.
    pub stage: Stage,
    /// How long; of none, nothing is told.
    #[serde(flatten)]
    pub took: Option<Figures>,
}

/// A part of an event's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// From `created_at` until Kafka took it.
    InKafka,
    /// From there until the ranker handed it to Redis.
    Applied,
    /// From there until the board-cache published it.
    Published,
    /// From there until the frame was in hand.
    InHand,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::InKafka, Self::Applied, Self::Published, Self::InHand];

    /// The stage in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::InKafka => "created → in Kafka",
            Self::Applied => "in Kafka → applied",
            Self::Published => "applied → published",
            Self::InHand => "published → in hand",
        }
    }
}

/// A row of a frame: the index of the player's track, and after how many of its points.
type Counted = (usize, u32);

/// A viewer on its way through what it saw.
#[derive(Default)]
struct Screen {
    next: usize,
    shown: Option<u32>,
    /// How far each player has been shown.
    farthest: HashMap<usize, u32>,
}

impl<'a> Watched<'a> {
    /// Goes through everything that was seen.
    #[must_use]
    pub fn judge(&self) -> Watching {
        let mut watching = Watching::default();
        let counted = self.counted(&mut watching);
        let mut screens: Vec<Screen> = self.sightings.viewers().iter().map(|_| Screen::default()).collect();
        let mut timed = Timed::default();
        let can_tell = self.tracks.all().iter().any(Track::can_tell);
        let kept_until = self.sightings.kept_until();
        let seconds = if self.of_run == 0 { 0 } else { second_of(self.drained_nanos) + 1 };
        for second in 0..seconds {
            let end = (second as u64 + 1) * NANOS_PER_SECOND;
            let mut latencies = Latencies::new();
            timed.worst_lag = 0;
            let frames = self.advance(&mut screens, &counted, end, &mut latencies, &mut timed);
            let at_end = end.min(self.drained_nanos);
            let lags = screens.iter().map(|screen| self.lag(screen.shown, &counted, at_end));
            let known = can_tell && at_end <= kept_until;
            let lag_nanos = lags.max().map(|at_end| at_end.max(timed.worst_lag)).filter(|_| known);
            watching.frame.add(&latencies);
            watching.seconds.push(WatchedSecond { frames, latencies: latencies.pack(), lag_nanos });
        }
        self.advance(&mut screens, &counted, u64::MAX, &mut watching.frame, &mut timed);
        watching.timed = timed.run.count();
        watching.timed_lone = timed.lone.count();
        watching.edge = timed.edge;
        watching.stages = self.stages();
        watching
    }

    /// How far each row of each frame is, where that can be told.
    fn counted(&self, watching: &mut Watching) -> Vec<Vec<Counted>> {
        let mut impossible = Vec::new();
        let count = |frame: &Frame| -> Vec<Counted> {
            let rows = frame.rows.iter().filter_map(|(number, total)| {
                let player = self.sightings.player(*number);
                let (index, track) = self.tracks.track(player, &frame.window)?;
                if !track.can_tell() {
                    return None;
                }
                match track.reach(*total) {
                    Reach::Points(points) => Some((index, points)),
                    // Of before the run: it counts none of its events.
                    Reach::Before => Some((index, 0)),
                    Reach::Never => {
                        impossible.push((player, *total, frame.version));
                        None
                    }
                }
            });
            rows.collect()
        };
        let counted = self.sightings.frames().iter().map(count).collect();
        for (player, total, version) in impossible {
            let of = format_args!("player {player} in version {}.{}", version.epoch, version.version);
            watching.findings.add(Part::Viewers, of, "a total that the player had", total);
        }
        watching.cannot_tell = self.tracks.players_who_cannot_tell();
        counted
    }

    /// Takes in what came before `until`, and says how many frames that were.
    fn advance(
        &self,
        screens: &mut [Screen],
        counted: &[Vec<Counted>],
        until: u64,
        latencies: &mut Latencies,
        timed: &mut Timed,
    ) -> u64 {
        let mut frames = 0;
        for (screen, Seen { sightings, .. }) in screens.iter_mut().zip(self.sightings.viewers()) {
            while let Some(sighting) = sightings.get(screen.next).filter(|next| next.at_nanos < until) {
                frames += 1;
                screen.next += 1;
                self.show(screen, *sighting, counted, latencies, timed);
            }
        }
        frames
    }

    fn show(
        &self,
        screen: &mut Screen,
        Sighting { at_nanos, frame }: Sighting,
        counted: &[Vec<Counted>],
        latencies: &mut Latencies,
        timed: &mut Timed,
    ) {
        timed.worst_lag = timed.worst_lag.max(self.lag(screen.shown, counted, at_nanos));
        let before = screen.shown.replace(frame).map_or(&[][..], |shown| &counted[shown as usize]);
        for (track, points) in &counted[frame as usize] {
            let farthest = screen.farthest.entry(*track).or_insert(*points);
            let from = std::mem::replace(farthest, (*farthest).max(*points));
            let was_on_screen = before.iter().any(|(other, _)| other == track);
            if !was_on_screen {
                continue;
            }
            for event in self.tracks.all()[*track].events(from, *points) {
                let latency = at_nanos.saturating_sub(self.ledger.due_nanos(u64::from(event)));
                if u64::from(event) < self.of_run {
                    latencies.record_nanos(latency);
                    timed.run.insert(event);
                } else {
                    timed.edge.record_nanos(latency);
                    timed.lone.insert(event);
                }
            }
        }
    }

    /// The lag of a screen that shows this frame, at an instant.
    fn lag(&self, shown: Option<u32>, counted: &[Vec<Counted>], at_nanos: u64) -> u64 {
        match shown {
            Some(frame) => {
                let rows = counted[frame as usize].iter();
                rows.map(|(track, points)| self.unseen_for(*track, *points, at_nanos)).max().unwrap_or(0)
            }
            // Nothing is on the screen: the run's first event is to come.
            None if self.of_run > 0 => at_nanos.saturating_sub(self.ledger.due_nanos(0)),
            None => 0,
        }
    }

    /// For how long the first event after so many points has been due.
    fn unseen_for(&self, track: usize, points: u32, at_nanos: u64) -> u64 {
        let next =
            self.tracks.all()[track].next_event(points).filter(|event| u64::from(*event) < self.of_run);
        next.map_or(0, |event| at_nanos.saturating_sub(self.ledger.due_nanos(u64::from(event))))
    }

    fn stages(&self) -> Vec<StageFigures> {
        let mut all = [(); 4].map(|()| Latencies::new());
        for seen in self.sightings.viewers() {
            let mut shown = None;
            for Sighting { at_nanos, frame } in &seen.sightings {
                let is_new = shown.replace(*frame) != Some(*frame);
                let of_run = (1..=self.drained_nanos).contains(at_nanos);
                let stages = self.sightings.frame(*frame).stages.filter(|_| is_new && of_run);
                // A frame of before the run may come again when a viewer reconnects.
                let Some(stages) = stages.filter(|stages| stages.published_ms >= self.started_ms) else {
                    continue;
                };
                #[expect(clippy::cast_precision_loss, reason = "a day in nanoseconds is below 2^53")]
                let in_hand_ms = self.started_ms + *at_nanos as f64 / NANOS_PER_MILLI;
                for (latencies, took) in all.iter_mut().zip(self.took(stages, in_hand_ms)) {
                    took.into_iter().for_each(|nanos| latencies.record_nanos(nanos));
                }
            }
        }
        let figures =
            |(stage, latencies): (Stage, &Latencies)| StageFigures { stage, took: latencies.figures() };
        Stage::ALL.into_iter().zip(&all).map(figures).collect()
    }

    /// How long each stage took, in nanoseconds.
    fn took(&self, stages: Stages, in_hand_ms: f64) -> [Option<u64>; 4] {
        let Stages { created_ms, in_kafka_ms, applied_ms, published_ms } = stages;
        let took = |from: f64, to: f64| {
            // Whole milliseconds and clocks that are set may make it come out below nothing.
            let millis = (to - from).max(0.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to an hour")]
            (millis <= MAX_STAGE_MS).then_some((millis * NANOS_PER_MILLI) as u64)
        };
        [
            took(created_ms, in_kafka_ms).filter(|_| self.created_when_due),
            took(in_kafka_ms, applied_ms),
            took(applied_ms, published_ms),
            took(published_ms, in_hand_ms),
        ]
    }
}

/// Which events were timed, how long lone ones took, and the worst lag just before a frame.
#[derive(Default)]
struct Timed {
    worst_lag: u64,
    run: Numbers,
    lone: Numbers,
    edge: Latencies,
}

/// A set of numbers, one bit each.
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    fn insert(&mut self, number: u32) {
        let word = (number / u64::BITS) as usize;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % u64::BITS);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sightings::tests::text;
    use crate::truth::tests::{at, event, record};
    use crate::truth::{Sent, Truth};
    use boards::BoardSet;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const MILLI: u64 = 1_000_000;

    /// Players with their totals.
    type Rows<'a> = Vec<(&'a str, &'a str)>;

    /// A frame: the viewer, in hand at ms, the rows.
    type Shown = (usize, u64, &'static [(&'static str, &'static str)]);

    /// A run of events (player, score, due in ms), all in one partition, of which the first `of_run`
    /// are the run's; and the frames that were seen of it.
    fn watch(events: &[(&str, i64, u64)], of_run: u64, frames: &[Shown]) -> Watching {
        watch_after(0, events, of_run, frames)
    }

    /// The same, where the first `before` events are others', of before the run.
    fn watch_after(before: usize, events: &[(&str, i64, u64)], of_run: u64, frames: &[Shown]) -> Watching {
        let rows = frames.iter().map(|(viewer, millis, rows)| (*viewer, *millis, rows.to_vec()));
        watch_rows(before, events, of_run, &rows.collect::<Vec<_>>())
    }

    fn watch_rows(
        before: usize,
        events: &[(&str, i64, u64)],
        of_run: u64,
        frames: &[(usize, u64, Rows<'_>)],
    ) -> Watching {
        let viewers = frames.iter().map(|(viewer, ..)| viewer + 1).max().unwrap_or(0);
        let mut sightings = Sightings::new(viewers, 0);
        for ((viewer, millis, rows), version) in frames.iter().zip(1..) {
            sightings.see(*viewer, millis * MILLI, &text(version, rows));
        }
        let ledger = Ledger::default();
        let payloads: Vec<String> =
            events.iter().map(|(player, score, _)| event(player, *score, "")).collect();
        let offset = |index: usize| i64::try_from(index).unwrap();
        for (index, (payload, (.., due))) in payloads.iter().zip(events).enumerate().skip(before) {
            let number = (index - before) as u64;
            assert!(ledger.write(number, due * MILLI, payload.as_bytes()));
            ledger.acknowledge(number, at(0, offset(index)));
        }
        let from = BTreeMap::from([(0, offset(before))]);
        let sent = Sent { ledger: &ledger, count: (events.len() - before) as u64, from: &from };
        let tracks = Tracks::new(sightings.players(), ["all"].into_iter());
        let mut truth = Truth::new(BoardSet::default(), sent, tracks, 1);
        for (index, payload) in payloads.iter().enumerate() {
            truth.take(&record(at(0, offset(index)), payload)).unwrap();
        }
        let drained = frames.iter().map(|(_, millis, _)| millis * MILLI).max().unwrap_or(0);
        Watched {
            sightings: &sightings,
            tracks: truth.tracks(),
            ledger: &ledger,
            of_run,
            drained_nanos: drained,
            started_ms: 0.0,
            created_when_due: true,
        }
        .judge()
    }

    fn millis(latencies: &Latencies) -> Vec<u64> {
        let recorded = latencies.histogram().iter_recorded();
        recorded
            .flat_map(|step| {
                let millis = (step.value_iterated_to() + 500) / 1000;
                vec![millis; usize::try_from(step.count_at_value()).unwrap()]
            })
            .collect()
    }

    #[test]
    fn an_event_is_timed_by_the_first_frame_that_counts_it() {
        let events = [("a", 5, 0), ("a", 2, 100), ("a", 3, 150), ("a", 1, 400)];
        let frames: [Shown; 4] = [
            (0, 50, &[("a", "5")]),
            (0, 300, &[("a", "10")]),
            (0, 350, &[("a", "10")]),
            (0, 900, &[("a", "11")]),
        ];
        let watching = watch(&events, 4, &frames);
        // 300 − 150, 300 − 100, 900 − 400; the first came with the player.
        assert_eq!(millis(&watching.frame), [150, 200, 500]);
        assert_eq!((watching.timed, watching.findings.total()), (3, 0));
    }

    proptest! {
        /// Against the definition, taken literally: for each event the first frame with its player that
        /// counts it, if the player was in the frame before.
        #[test]
        fn samples_are_those_of_the_definition(
            played in proptest::collection::vec((0usize..4, 1i64..4), 1..40),
            cuts in proptest::collection::btree_set(1usize..40, 1..12),
        ) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let due = |index: usize| 10 * index as u64;
            let in_hand = |cut: usize| due(cut) + 7;
            let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= played.len()).collect();
            let top = |cut: usize| {
                let mut totals = [0i64; 4];
                played[..cut].iter().for_each(|(player, score)| totals[*player] += score);
                let mut rows: Vec<(usize, i64)> = totals.into_iter().enumerate().filter(|row| row.1 > 0).collect();
                rows.sort_by_key(|(player, total)| (std::cmp::Reverse(*total), *player));
                rows.truncate(2);
                rows
            };
            let shows = |cut: usize, player: usize| top(cut).iter().any(|row| row.0 == player);
            let mut expected = Vec::new();
            for (index, (player, _)) in played.iter().enumerate() {
                let first = cuts.iter().position(|cut| *cut > index && shows(*cut, *player));
                if let Some(first) = first && first > 0 && shows(cuts[first - 1], *player) {
                    expected.push(in_hand(cuts[first]) - due(index));
                }
            }
            expected.sort_unstable();

            let events: Vec<(&str, i64, u64)> =
                played.iter().enumerate().map(|(index, (player, score))| (NAMES[*player], *score, due(index))).collect();
            let texts: Vec<Vec<(usize, String)>> = cuts
                .iter()
                .map(|cut| top(*cut).into_iter().map(|(player, total)| (player, total.to_string())).collect())
                .collect();
            let frames: Vec<(usize, u64, Rows<'_>)> = cuts
                .iter()
                .zip(&texts)
                .map(|(cut, rows)| {
                    let rows = rows.iter().map(|(player, total)| (NAMES[*player], total.as_str()));
                    (0, in_hand(*cut), rows.collect())
                })
                .collect();
            let watching = watch_rows(0, &events, events.len() as u64, &frames);
            prop_assert_eq!(millis(&watching.frame), expected);
            prop_assert!(watching.findings.is_empty());
        }
    }

    #[test]
    fn who_comes_onto_a_screen_brings_no_samples() {
        let events = [("a", 1, 0), ("b", 1, 10), ("b", 1, 20), ("b", 9, 30), ("b", 1, 200)];
        let frames: [Shown; 4] = [
            (0, 15, &[("a", "1")]),
            (0, 100, &[("b", "11"), ("a", "1")]),
            (0, 150, &[("a", "1")]),
            (0, 300, &[("b", "12")]),
        ];
        assert_eq!(watch(&events, 5, &frames).frame.count(), 0);
    }

    #[test]
    fn each_viewer_is_timed_by_itself_and_nothing_twice() {
        let events = [("a", 1, 0), ("a", 1, 100)];
        let frames: [Shown; 6] = [
            (0, 10, &[("a", "1")]),
            (1, 10, &[("a", "1")]),
            (0, 150, &[("a", "2")]),
            // Back to an older state, as after a loss, and on again.
            (0, 160, &[("a", "1")]),
            (0, 170, &[("a", "2")]),
            (1, 180, &[("a", "2")]),
        ];
        let watching = watch(&events, 2, &frames);
        assert_eq!((millis(&watching.frame), watching.timed), (vec![50, 80], 1));
    }

    #[test]
    fn lone_events_are_apart() {
        let events = [("a", 1, 0), ("a", 1, 100), ("a", 1, 2_000)];
        let frames: [Shown; 3] = [(0, 10, &[("a", "1")]), (0, 150, &[("a", "2")]), (0, 2_007, &[("a", "3")])];
        let watching = watch(&events, 2, &frames);
        assert_eq!((millis(&watching.frame), millis(&watching.edge)), (vec![50], vec![7]));
        assert_eq!((watching.timed, watching.timed_lone), (1, 1));
    }

    #[test]
    fn totals_that_never_were_are_named() {
        let frames: [Shown; 2] = [(0, 10, &[("a", "3")]), (0, 20, &[("a", "4")])];
        let watching = watch(&[("a", 3, 0), ("a", 3, 5)], 2, &frames);
        assert_eq!(watching.findings.total(), 1);
        assert_eq!(
            watching.findings.first()[0].to_string(),
            "viewers: player a in version 1.2: expected a total that the player had, found 4"
        );
    }

    #[test]
    fn lag_is_the_age_of_the_oldest_event_that_is_not_on_the_screen() {
        let events = [("a", 1, 0), ("a", 1, 400), ("a", 1, 800), ("a", 1, 2_500)];
        let frames: [Shown; 4] = [
            (0, 100, &[("a", "1")]),
            (1, 100, &[("a", "1")]),
            (1, 900, &[("a", "3")]),
            (0, 3_200, &[("a", "4")]),
        ];
        let watching = watch(&events, 4, &frames);
        let lag: Vec<_> = watching.seconds.iter().map(|second| second.lag_nanos.map(|n| n / MILLI)).collect();
        // Viewer 0 sees nothing new until 3.2 s; viewer 1 never sees the last one.
        assert_eq!(lag, [Some(600), Some(1_600), Some(2_600), Some(2_800)]);
        let frames: Vec<u64> = watching.seconds.iter().map(|second| second.frames).collect();
        assert_eq!(frames, [3, 0, 0, 1]);
    }

    #[test]
    fn screens_that_show_what_was_before_the_run_lag_and_are_timed() {
        // The run begins when three events of before it are not applied yet.
        let events = [("a", 5, 0), ("a", 1, 0), ("a", 4, 0), ("a", 1, 300), ("a", 1, 500)];
        let frames: [Shown; 3] = [(0, 10, &[("a", "6")]), (0, 600, &[("a", "6")]), (0, 900, &[("a", "12")])];
        let watching = watch_after(3, &events, 2, &frames);
        let lag: Vec<_> = watching.seconds.iter().map(|second| second.lag_nanos.map(|n| n / MILLI)).collect();
        assert_eq!(lag, [Some(600)]);
        assert_eq!((millis(&watching.frame), watching.findings.total()), (vec![400, 600], 0));
    }

    #[test]
    fn screens_that_stay_empty_lag_from_the_first_event_on() {
        let frames: [Shown; 1] = [(0, 1_500, &[("a", "1")])];
        let watching = watch(&[("a", 1, 200)], 1, &frames);
        let lag: Vec<_> = watching.seconds.iter().map(|second| second.lag_nanos).collect();
        assert_eq!(lag, [Some(800 * MILLI), Some(1_300 * MILLI)]);
    }

    #[test]
    fn stages_are_told_apart() {
        let mut sightings = Sightings::new(1, 0);
        let snapshot = |version: u64, stages: [f64; 4]| {
            let [created, kafka, applied, published] = stages;
            let text = text(version, &[("a", "1")]);
            let stages = format!(
                r#","stages":{{"created_ms":{created},"in_kafka_ms":{kafka},"applied_ms":{applied},"published_ms":{published}}}}}"#
            );
            format!("{}{stages}", text.strip_suffix('}').unwrap())
        };
        // Published before the run: it says nothing of it.
        sightings.see(0, MILLI, &snapshot(1, [1.0, 2.0, 3.0, 4.0]));
        let in_run = snapshot(2, [1_000.4, 1_001.0, 1_003.0, 1_010.0]);
        sightings.see(0, 15 * MILLI, &in_run);
        sightings.see(0, 900 * MILLI, &in_run);
        let (ledger, tracks) = (Ledger::default(), Tracks::new(std::iter::empty(), std::iter::empty()));
        let watched = Watched {
            sightings: &sightings,
            tracks: &tracks,
            ledger: &ledger,
            of_run: 0,
            drained_nanos: 1_000 * MILLI,
            started_ms: 1_000.0,
            created_when_due: true,
        };
        let took = |watched: Watched<'_>| -> Vec<Option<(u64, f64)>> {
            let stages = watched.judge().stages;
            stages.iter().map(|stage| stage.took.map(|took| (took.samples, took.p50_ms.round()))).collect()
        };
        assert_eq!(took(watched), [Some((1, 1.0)), Some((1, 2.0)), Some((1, 7.0)), Some((1, 5.0))]);
        assert_eq!(took(Watched { created_when_due: false, ..watched })[0], None);
    }
}
