//! What is told of a run: figures, text, and files.

pub mod course;
pub mod csv;
pub mod hdr;
pub mod html;

mod words;

pub use words::{count, millis};

use crate::expressions::{Metric, Of};
use crate::findings::Findings;
use crate::judge::Judgement;
use crate::latencies::{Figures, Latencies};
use crate::sightings::Sightings;
use crate::truth::LogFigures;
use crate::watching::StageFigures;
use serde::Serialize;
use service::grouped;
use std::fmt;

/// What the judge found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was compared is as it must be.
    Right,
    /// Something is not.
    Different,
}

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Compared {
    /// The window's id.
    pub window: String,
    /// How many players are on the board in it.
    pub players: u64,
    /// Of how many players, drawn from those who got events, ranks, totals and archive were compared.
    pub drawn: u64,
    /// Around how many of them rows were compared.
    pub surroundings: u64,
    /// How many rows the archive has.
    pub archive_rows: u64,
    /// After how long, from when the log was read on, everything was as it must be, or was given up.
    pub settled_seconds: f64,
}

/// What is told of the viewers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ViewersReport {
    /// How many there were.
    pub viewers: u64,
    /// How often they had to connect again.
    pub reconnects: u64,
    /// How many frames came to them, all together.
    pub frames: u64,
    /// How many different frames that were.
    pub different_frames: u64,
    /// How many frames there was no room for, so that nothing was timed by them.
    pub frames_not_kept: u64,
}

impl ViewersReport {
    /// Of what they saw.
    #[must_use]
    pub fn of(seen: &Sightings) -> Self {
        let again = |connects: u32| u64::from(connects.saturating_sub(1));
        Self {
            viewers: seen.viewers().len() as u64,
            reconnects: seen.viewers().iter().map(|viewer| again(viewer.connects)).sum(),
            frames: seen.kept() as u64 + seen.not_kept,
            different_frames: seen.frames().len() as u64,
            frames_not_kept: seen.not_kept,
        }
    }
}

/// What is told of a judgement. `docs/judge.md` explains every member.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What the judge found.
    pub verdict: Verdict,
    /// The board.
    pub board: String,
    /// What was compared.
    pub compared: Compared,
    /// What is in the log.
    pub log: LogFigures,
    /// The viewers.
    #[serde(flatten)]
    pub viewers: ViewersReport,
    /// How many different events were timed on a screen.
    pub timed_events: u64,
    /// From when an event was due to the frame in a viewer's hand.
    pub frame: Option<Figures>,
    /// Why none was timed, where none was.
    pub untimed: Option<String>,
    /// How many players on screens have totals that do not tell which events they count.
    pub players_who_cannot_be_timed: u64,
    /// The worst lag, in milliseconds.
    pub lag_ms: Option<f64>,
    /// How many lone events after quiet were timed.
    pub lone_events: u64,
    /// As `frame`, of lone events.
    pub edge: Option<Figures>,
    /// The stages on the way.
    pub stages: Vec<StageFigures>,
    /// What is not as it must be.
    pub differences: Findings,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared { window, players, drawn, surroundings, archive_rows, settled_seconds } = &self.compared;
        let verdict = match self.verdict {
            Verdict::Right => "RIGHT".to_owned(),
            Verdict::Different => format!("WRONG, {}", count(self.differences.total(), "difference")),
        };
        writeln!(
            f,
            "judge     {verdict}: board {}, window {window}, {}",
            self.board,
            count(*players, "player")
        )?;
        writeln!(
            f,
            "compared  {} in three ways of ranking, rows around {surroundings}, {}, {} of the archive; after {settled_seconds:.1} s",
            count(*drawn, "player"),
            count(self.viewers.viewers, "viewer"),
            count(*archive_rows, "row"),
        )?;
        let LogFigures { records, refused, found, unacknowledged, foreign } = self.log;
        write!(
            f,
            "log       {}, {} of the run where acknowledged",
            count(records, "record"),
            grouped(found)
        )?;
        for (number, what) in
            [(unacknowledged, "of the run not acknowledged"), (foreign, "of others"), (refused, "refused")]
        {
            if number > 0 {
                write!(f, ", {} {what}", grouped(number))?;
            }
        }
        writeln!(f)?;
        match (&self.frame, &self.untimed) {
            (Some(figures), _) => {
                let seen = count(self.viewers.viewers, "viewer");
                let of = format!("{} on the screens of {seen}", count(self.timed_events, "event"));
                latency_line(f, "in hand", figures, &of)?;
            }
            (None, why) => writeln!(f, "in hand   not timed: {}", why.as_deref().unwrap_or("nothing came"))?,
        }
        if let Some(figures) = &self.edge {
            latency_line(f, "idle edge", figures, &count(self.lone_events, "lone event"))?;
        }
        let means = self.stages.iter().filter_map(|stage| Some((stage.stage, stage.took?.mean_ms)));
        let means: Vec<String> =
            means.map(|(stage, mean)| format!("{} {}", stage.words(), millis(mean))).collect();
        if !means.is_empty() {
            writeln!(f, "stages    {}; means", means.join(", "))?;
        }
        if let Some(lag) = self.lag_ms {
            writeln!(f, "lag       {} at worst", millis(lag))?;
        }
        for difference in &self.differences.first() {
            writeln!(f, "differs   {difference}")?;
        }
        let more = self.differences.total() - self.differences.first().len() as u64;
        if more > 0 {
            writeln!(f, "          and {} more", grouped(more))?;
        }
        Ok(())
    }
}

fn latency_line(f: &mut fmt::Formatter<'_>, what: &str, figures: &Figures, of: &str) -> fmt::Result {
    let Figures { p50_ms, p99_ms, max_ms, .. } = figures;
    let [p50, p99, max] = [p50_ms, p99_ms, max_ms].map(|ms| millis(*ms));
    writeln!(f, "{what:9} p50 {p50}, p99 {p99}, max {max}, from when due; {of}")
}

/// What conditions are held against.
#[derive(Clone, Copy)]
pub struct Measured<'a> {
    /// Acknowledged events per second.
    pub rate: f64,
    /// How late the latest event was handed over, in milliseconds; `None` where none was due at a set
    /// time.
    pub behind_ms: Option<f64>,
    /// How many events are known to have failed.
    pub failed: u64,
    /// Latencies of acknowledgements.
    pub ack: &'a Latencies,
    /// What the judge measured.
    pub judgement: Option<&'a Judgement>,
}

impl Measured<'_> {
    /// The value of a metric; `None` when nothing was measured.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Latency(Of::Ack, statistic) => self.ack.millis(statistic),
            Metric::Latency(Of::Frame, statistic) => self.judgement?.frame.millis(statistic),
            Metric::Latency(Of::Edge, statistic) => self.judgement?.edge.millis(statistic),
            Metric::Lag => self.judgement?.report.lag_ms,
            Metric::Behind => self.behind_ms,
            Metric::Rate => Some(self.rate),
            Metric::Failed => Some(self.failed as f64),
            Metric::Differences => Some(self.judgement?.report.differences.total() as f64),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::findings::Part;
    use crate::watching::Stage;

    pub(crate) fn figures(p50_ms: f64) -> Figures {
        Figures {
            samples: 5000,
            mean_ms: p50_ms,
            p50_ms,
            p90_ms: p50_ms * 1.5,
            p99_ms: p50_ms * 2.0,
            p99_9_ms: p50_ms * 2.5,
            max_ms: p50_ms * 3.0,
        }
    }

    pub(crate) fn report() -> Report {
        let stage = |(stage, mean)| StageFigures { stage, took: Some(figures(mean)) };
        Report {
            verdict: Verdict::Right,
            board: "game-score".into(),
            compared: Compared {
                window: "all".into(),
                players: 5000,
                drawn: 1000,
                surroundings: 20,
                archive_rows: 1_000_100,
                settled_seconds: 0.4,
            },
            log: LogFigures { records: 1_000_100, found: 1_000_000, foreign: 100, ..LogFigures::default() },
            viewers: ViewersReport {
                viewers: 10,
                reconnects: 0,
                frames: 1010,
                different_frames: 101,
                frames_not_kept: 0,
            },
            timed_events: 380_000,
            frame: Some(figures(256.0)),
            untimed: None,
            players_who_cannot_be_timed: 0,
            lag_ms: Some(512.4),
            lone_events: 50,
            edge: Some(figures(7.0)),
            stages: Stage::ALL.into_iter().zip([0.8, 2.25, 180.0, 1.5]).map(stage).collect(),
            differences: Findings::default(),
        }
    }

    #[test]
    fn text_says_all_that_matters() {
        assert_eq!(
            report().to_string(),
            "judge     RIGHT: board game-score, window all, 5,000 players\n\
             compared  1,000 players in three ways of ranking, rows around 20, 10 viewers, 1,000,100 rows of the archive; after 0.4 s\n\
             log       1,000,100 records, 1,000,000 of the run where acknowledged, 100 of others\n\
             in hand   p50 256 ms, p99 512 ms, max 768 ms, from when due; 380,000 events on the screens of 10 viewers\n\
             idle edge p50 7.00 ms, p99 14.0 ms, max 21.0 ms, from when due; 50 lone events\n\
             stages    created → in Kafka 800 µs, in Kafka → applied 2.25 ms, applied → published 180 ms, published → in hand 1.50 ms; means\n\
             lag       512 ms at worst\n"
        );
    }

    #[test]
    fn every_difference_is_named_up_to_the_limit() {
        let mut report = report();
        report.verdict = Verdict::Different;
        (0..25).for_each(|player| report.differences.add(Part::Board, format_args!("player {player}"), 1, 2));
        let text = report.to_string();
        assert!(text.starts_with("judge     WRONG, 25 differences: board"), "{text}");
        assert!(
            text.contains("differs   board: player 19: expected 1, found 2\n          and 5 more\n"),
            "{text}"
        );
    }
}
