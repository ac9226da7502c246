//! Made-up events at a set rate, whatever happens to them.
//!
//! Read in this order: [`schedule`] says when, [`popularity`] who, [`names`] what they are
//! called, [`synthesis`] what an event's bytes are.

pub mod names;
pub mod popularity;
pub mod schedule;
pub mod synthesis;

mod naive_iso;

use crate::Stop;
use crate::outlet::{Handed, Outgoing, Outlet};
use crate::pace::Pace;
use crate::settings::{LoadSettings, Start};
use anyhow::Context as _;
use contracts::EventTime;
use indicatif::ProgressBar;
use popularity::Popularity;
use rand::TryRng as _;
use rand::rngs::SysRng;
use schedule::Schedule;
use std::time::{Duration, SystemTime};
use synthesis::{Synthesis, Traits};

/// created_at of the first event where a seed is given and no start: 2026-01-01T00:00:00Z, so
/// that the seed alone fixes every byte.
pub const SEEDED_START_MICROS: i64 = 1_767_225_600_000_000;
/// After how many events the progress bar hears of them.
const PROGRESS_EVERY: u64 = 1024;

/// What a run was made of, so that it can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The seed, given or drawn.
    pub seed: u64,
    /// created_at of the first event.
    pub start: EventTime,
}

/// Fills in what the settings leave to chance and to the clock.
///
/// # Errors
/// When the system has no randomness or no sensible clock.
pub fn recipe(settings: &LoadSettings) -> anyhow::Result<Recipe> {
    let seed = match settings.seed {
        Some(seed) => seed,
        None => SysRng.try_next_u64().context("drawing a seed")?,
    };
    let start = match (settings.start, settings.seed) {
        (Some(Start::At(start)), _) => start,
        (None, Some(_)) => EventTime::from_micros(SEEDED_START_MICROS).expect("2026 is in range"),
        (Some(Start::Now) | None, _) => system_now()?,
    };
    Ok(Recipe { seed, start })
}

/// Sends the events that `settings` describe, from now on. Returns how late the latest was.
///
/// # Errors
/// When no event will ever get through.
pub fn run(
    settings: &LoadSettings,
    recipe: Recipe,
    outlet: &mut dyn Outlet,
    stop: &Stop,
    bar: &ProgressBar,
) -> anyhow::Result<Duration> {
    let schedule = Schedule { per_second: settings.rate };
    let limit = event_limit(settings);
    let popularity = Popularity::zipf(settings.players, settings.zipf);
    let traits = Traits {
        max_score: settings.max_score,
        nicknames: settings.nicknames,
        event_ids: settings.event_ids,
    };
    let mut synthesis = Synthesis::new(recipe, schedule, popularity, traits);
    let mut pace = Pace::start(stop);
    let mut index = 0;
    while limit.is_none_or(|limit| index < limit) {
        let Some(intended) = pace.until(schedule.due(index), outlet)? else { break };
        // Only without a rate: with one, the limit says how many are due in that time.
        if settings.duration.is_some_and(|duration| settings.rate == 0 && pace.now() >= duration) {
            break;
        }
        let event = synthesis.next_event();
        let outgoing = Outgoing { key: event.key, payload: event.payload, intended };
        if outlet.send(&outgoing)? == Handed::Stopped {
            break;
        }
        index += 1;
        if index.is_multiple_of(PROGRESS_EVERY) || settings.rate > 0 && settings.rate <= PROGRESS_EVERY {
            bar.set_position(index);
        }
    }
    Ok(pace.worst_lag())
}

/// How many events a run has at most, where that is known beforehand.
#[must_use]
pub fn event_limit(settings: &LoadSettings) -> Option<u64> {
    let schedule = Schedule { per_second: settings.rate };
    let within = settings.duration.and_then(|duration| schedule.due_within(duration));
    match (settings.count, within) {
        (Some(count), Some(within)) => Some(count.min(within)),
        (count, within) => count.or(within),
    }
}

fn system_now() -> anyhow::Result<EventTime> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let micros = i64::try_from(since_epoch.as_micros()).ok();
    micros.and_then(EventTime::from_micros).context("the system's clock is beyond the year 9999")
}
