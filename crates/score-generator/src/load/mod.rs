//! Made-up events at a set rate, whatever happens to them.
//!
//! Read in this order: [`schedule`] says when, by a [`shape`] where the rate changes; [`crowd`]
//! says who, by [`popularity`], or [`lively`] with sessions and streaks; [`names`] what they are
//! called; [`synthesis`] what an event's bytes are; [`faults`] what is wrong with some.

pub mod chance;
pub mod crowd;
pub mod faults;
pub mod lively;
pub mod names;
pub mod popularity;
pub mod schedule;
pub mod settings;
pub mod shape;
pub mod synthesis;

mod languages;
mod naive_iso;

use crate::outlet::{Handed, Outgoing, Outlet};
use crate::pace::{Lag, Pace};
use crate::settings::{LoadSettings, Start};
use crate::{Misuse, Stop};
use anyhow::Context as _;
use contracts::EventTime;
use crowd::{Crowd, CrowdTraits};
use faults::{FaultTraits, Faults, Tally};
use indicatif::ProgressBar;
use lively::Lively;
use rand::TryRng as _;
use rand::rngs::SysRng;
use schedule::{Schedule, Timetable};
use shape::{Shape, Stages};
use std::time::{Duration, SystemTime};
use synthesis::{Cast, Record, Synthesis, Traits};

/// created_at of the first event where a seed is given and no start: 2026-01-01T00:00:00Z, so
/// that the seed alone fixes every byte.
pub const SEEDED_START_MICROS: i64 = 1_767_225_600_000_000;
/// After how many events the progress bar hears of them, …
const PROGRESS_EVERY: u64 = 1024;
/// … or after what time, if that is sooner.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

/// What a run was made of, so that it can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The seed, given or drawn.
    pub seed: u64,
    /// created_at of the first event.
    pub start: EventTime,
}

/// The seed, given or drawn.
///
/// # Errors
/// When the system has no randomness.
pub fn seed(settings: &LoadSettings) -> anyhow::Result<u64> {
    settings.seed.map_or_else(|| SysRng.try_next_u64().context("drawing a seed"), Ok)
}

/// created_at of the first event, which may be now.
///
/// # Errors
/// When the system has no sensible clock.
pub fn start(settings: &LoadSettings) -> anyhow::Result<EventTime> {
    match (settings.start, settings.seed) {
        (Some(Start::At(start)), _) => Ok(start),
        (None, Some(_)) => Ok(seeded_start()),
        (Some(Start::Now) | None, _) => system_now(),
    }
}

fn seeded_start() -> EventTime {
    EventTime::from_micros(SEEDED_START_MICROS).expect("2026 is in range")
}

/// Where a run's records come from. Plain load does without all that faults need.
enum Source {
    Plain(Box<Synthesis>),
    Faulty(Box<Faults>),
}

impl Source {
    fn next_record(&mut self, after_micros: u64) -> Record<'_> {
        match self {
            Self::Plain(synthesis) => synthesis.next_event(after_micros),
            Self::Faulty(faults) => faults.next_record(after_micros),
        }
    }

    fn starts_at(&mut self, start: EventTime) {
        match self {
            Self::Plain(synthesis) => synthesis.starts_at(start),
            Self::Faulty(faults) => faults.starts_at(start),
        }
    }
}

/// A run of made-up events.
pub struct Load {
    schedule: Schedule,
    limit: Option<u64>,
    /// For how long it goes on, where no schedule says what that comes to.
    time_limit: Option<Duration>,
    max_behind: Option<Duration>,
    source: Source,
    tally: Tally,
}

impl Load {
    /// Makes ready what `settings` describe.
    ///
    /// # Errors
    /// When they ask for what cannot be.
    pub fn new(settings: &LoadSettings, seed: u64) -> Result<Self, Misuse> {
        let schedule = schedule(settings)?;
        let within = settings.duration.and_then(|duration| schedule.due_within(duration));
        let limits = [settings.count, settings.backlog, within, schedule.total()];
        let is_timed = schedule.peak_per_second().is_some();
        Ok(Self {
            limit: limits.into_iter().flatten().min(),
            time_limit: settings.duration.filter(|_| !is_timed),
            max_behind: is_timed.then_some(settings.max_behind),
            source: source(settings, seed)?,
            tally: Tally::default(),
            schedule,
        })
    }

    /// How many records it has at most, where that is known beforehand.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// A rate that it nowhere exceeds; `None`: as fast as records are taken.
    #[must_use]
    pub fn peak_per_second(&self) -> Option<u64> {
        self.schedule.peak_per_second()
    }

    /// Sends the records, from now on; the first one happens at `start`. Returns how late they were.
    ///
    /// # Errors
    /// When no record will ever get through.
    pub fn run(
        &mut self,
        start: EventTime,
        outlet: &mut dyn Outlet,
        stop: &Stop,
        bar: &ProgressBar,
    ) -> anyhow::Result<Lag> {
        self.source.starts_at(start);
        let mut timetable = Timetable::new(&self.schedule);
        let mut pace = Pace::start(stop, self.max_behind);
        let mut shown = Duration::ZERO;
        let mut index = 0;
        while self.limit.is_none_or(|limit| index < limit) {
            let slot = timetable.at(index);
            let Some(intended) = pace.until(slot.due, outlet)? else { break };
            if self.time_limit.is_some_and(|limit| pace.now() >= limit) {
                break;
            }
            let Record { key, payload, kind } = self.source.next_record(slot.after_micros);
            let handed = outlet.send(&Outgoing { key, payload, kind, intended })?;
            if handed == Handed::Stopped {
                break;
            }
            pace.handed(slot.due, handed);
            self.tally.count(kind);
            index += 1;
            if index.is_multiple_of(PROGRESS_EVERY) || slot.due.is_some_and(|due| due >= shown) {
                bar.set_position(index);
                shown = slot.due.unwrap_or_default() + PROGRESS_PAUSE;
            }
        }
        Ok(pace.lag())
    }

    /// How many records of each kind were sent; `None` where faults were not asked for.
    #[must_use]
    pub fn tally(&self) -> Option<&Tally> {
        matches!(self.source, Source::Faulty(_)).then_some(&self.tally)
    }
}

fn schedule(settings: &LoadSettings) -> Result<Schedule, Misuse> {
    let shape = &settings.shape;
    if settings.backlog.is_some() {
        return Ok(Schedule::AtOnce);
    }
    if shape.is_even() {
        return Ok(Schedule::at_rate(settings.rate));
    }
    if shape.stages.is_none() && settings.rate == 0 {
        return Err(Misuse::new(
            "--rate 0 has no schedule that bursts or waves could add to; for nothing in between use --stages 0:0",
        ));
    }
    let even = || Stages::even(settings.rate);
    let stages = shape.stages.clone().unwrap_or_else(even);
    Shape::new(&stages, &shape.bursts, shape.sine).map(Schedule::Shaped)
}

fn source(settings: &LoadSettings, seed: u64) -> Result<Source, Misuse> {
    let crowd = Crowd::new(
        seed,
        CrowdTraits {
            players: settings.players,
            zipf: settings.zipf,
            hot: settings.hot,
            churn: settings.churn,
            nicknames: settings.nicknames,
        },
    )?;
    let cast = if settings.lively { Cast::Lively(Lively::new(crowd)) } else { Cast::Plain(crowd) };
    let traits = Traits { max_score: settings.max_score, event_ids: settings.event_ids };
    let synthesis = Synthesis::new(seed, cast, traits);
    match settings.faults.traits() {
        FaultTraits::NONE => Ok(Source::Plain(Box::new(synthesis))),
        faults => Faults::new(seed, synthesis, faults).map(|faults| Source::Faulty(Box::new(faults))),
    }
}

fn system_now() -> anyhow::Result<EventTime> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let micros = i64::try_from(since_epoch.as_micros()).ok();
    micros.and_then(EventTime::from_micros).context("the system's clock is beyond the year 9999")
}
