//! One run from settings to exit code.

use crate::drain::Drainage;
use crate::http::HttpOutlet;
use crate::judging::Judging;
use crate::kafka::{FINISH_LIMIT, KafkaOutlet};
use crate::load::{self, Load, Recipe};
use crate::outlet::{Lines, Outlet};
use crate::pace::Lag;
use crate::progress::{self, Unit};
use crate::replay::Replay;
use crate::settings::{Command, LoadSettings, OutputSettings, ReplaySettings, Settings, Target};
use crate::summary::Summary;
use crate::{Misuse, Stop};
use anyhow::Context as _;
use indicatif::ProgressBar;
use judge::Recording;
use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EXIT_INCOMPLETE: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_BEHIND: u8 = 3;
const EXIT_JUDGED: u8 = 4;
/// How long what was sent may take to be acknowledged once a person wants to leave.
const STOPPED_FINISH_LIMIT: Duration = Duration::from_secs(10);

/// Does what `settings` ask for; the summary goes to standard error.
#[must_use]
pub fn main(settings: &Settings) -> ExitCode {
    let outcome = match &settings.command {
        Command::Load(settings) => run_load(settings),
        Command::Replay(settings) => run_replay(settings),
    };
    match outcome {
        Ok(summary) => {
            eprint!("{summary}");
            if let Some(fault) = &summary.fault {
                eprintln!("score-generator: {fault}");
            }
            if !summary.is_complete() {
                ExitCode::from(EXIT_INCOMPLETE)
            } else if !summary.is_as_asked_for() {
                ExitCode::from(EXIT_JUDGED)
            } else if summary.fell_behind() {
                eprintln!("score-generator: the rate was not kept: see --max-behind");
                ExitCode::from(EXIT_BEHIND)
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => {
            eprintln!("score-generator: {error:#}");
            ExitCode::from(if error.is::<Misuse>() { EXIT_USAGE } else { EXIT_INCOMPLETE })
        }
    }
}

fn run_load(settings: &LoadSettings) -> anyhow::Result<Summary> {
    let seed = load::seed(settings)?;
    let mut load = Load::new(settings, seed)?;
    let stop = Stop::default();
    stop.on_signals()?;
    let drainage = match settings.backlog {
        Some(_) => Some(Drainage::open(settings, &stop)?),
        None => None,
    };
    let mut judging = Judging::begin(settings, &load)?;
    let mut outlet = load_outlet(settings, load.peak_per_second().unwrap_or(0), &stop, judging.recording())?;
    let bar = progress::bar(settings.output.no_progress, load.limit(), Unit::Events);
    // When all are there: the first event's time may be that of the run's beginning.
    let recipe = Recipe { seed, start: load::start(settings)? };
    judging.run_begins()?;
    let started = Instant::now();
    let result = load.run(recipe.start, &mut *outlet, &stop, &bar);
    let mut summary = finish(result, &mut *outlet, &stop, &bar, started);
    drop(outlet);
    summary.recipe = Some(recipe.into());
    summary.records = load.tally().cloned();
    if let Some(drainage) = drainage
        && summary.is_complete()
    {
        match drainage.wait(summary.acknowledged, started) {
            Ok(drain) => summary.drain = Some(drain),
            Err(error) => summary.fault = Some(format!("{error:#}")),
        }
    }
    judging.conclude(settings, &load, recipe, &stop, &mut summary);
    report(&settings.output, &mut summary);
    Ok(summary)
}

fn load_outlet(
    settings: &LoadSettings,
    rate: u64,
    stop: &Stop,
    recording: Option<&Arc<Recording>>,
) -> anyhow::Result<Box<dyn Outlet>> {
    match settings.target {
        Target::Kafka => outlet(&settings.output, rate, stop, recording),
        Target::Http => {
            if settings.faults.are_refused() {
                return Err(Misuse::new(
                    "the API refuses what is malformed, oversize or of the future: use --target kafka",
                )
                .into());
            }
            Ok(Box::new(HttpOutlet::new(&settings.api, &settings.http, stop.clone(), recording)?))
        }
    }
}

fn run_replay(settings: &ReplaySettings) -> anyhow::Result<Summary> {
    let file = fs::File::open(&settings.file).with_context(|| settings.file.display().to_string())?;
    let bytes = file.metadata().ok().map(|metadata| metadata.len());
    let bar = progress::bar(settings.output.no_progress, bytes, Unit::FileBytes);
    // Before Kafka is looked for: a wrong column is said at once.
    let mut replay = Replay::open(settings, bar.wrap_read(file))?;
    let stop = Stop::default();
    stop.on_signals()?;
    let mut outlet = outlet(&settings.output, 0, &stop, None)?;
    let started = Instant::now();
    let result = replay.run(&mut *outlet, &stop);
    let mut summary = finish(result, &mut *outlet, &stop, &bar, started);
    summary.rows = Some(replay.into_rows());
    report(&settings.output, &mut summary);
    Ok(summary)
}

fn outlet(
    settings: &OutputSettings,
    rate: u64,
    stop: &Stop,
    recording: Option<&Arc<Recording>>,
) -> anyhow::Result<Box<dyn Outlet>> {
    if settings.print {
        return Ok(Box::new(Lines::new(io::stdout().lock())));
    }
    Ok(Box::new(KafkaOutlet::new(&settings.kafka, rate, stop.clone(), recording)?))
}

/// Waits for the outcomes and adds everything up. A fault becomes part of the summary, so that
/// what was sent before it is told too.
fn finish(
    result: anyhow::Result<Lag>,
    outlet: &mut dyn Outlet,
    stop: &Stop,
    bar: &ProgressBar,
    started: Instant,
) -> Summary {
    let limit = if stop.is_asked() { STOPPED_FINISH_LIMIT } else { FINISH_LIMIT };
    // After a fault nothing more will come; what has come is counted.
    let result = result.and_then(|lag| outlet.finish(limit).map(|()| lag));
    let took = started.elapsed();
    bar.finish_and_clear();
    let lag = result.as_ref().copied().unwrap_or_default();
    let mut summary = Summary::new(outlet.outcome(), took, lag);
    summary.interrupted = stop.is_asked();
    summary.fault = result.err().map(|error| format!("{error:#}"));
    summary
}

/// Writes the report, where one was asked for. That it cannot be written is told after all else.
fn report(settings: &OutputSettings, summary: &mut Summary) {
    let Some(path) = &settings.report else { return };
    let text = serde_json::to_vec_pretty(summary).map_err(io::Error::from);
    let written = text.and_then(|mut text| {
        text.push(b'\n');
        fs::write(path, text)
    });
    if let Err(error) = written {
        let fault = format!("writing the report to {}: {error}", path.display());
        summary.fault.get_or_insert(fault);
    }
}
