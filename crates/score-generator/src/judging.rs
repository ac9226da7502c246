//! A load run that is recorded and, where that is asked for, judged; and its reports.

use crate::kafka::KafkaOutlet;
use crate::load::faults::Kind;
use crate::load::{Load, Recipe};
use crate::outlet::{Handed, Outgoing, Outlet as _};
use crate::settings::{LoadSettings, Start, Target};
use crate::summary::Summary;
use crate::{Misuse, Stop};
use anyhow::Context as _;
use judge::latencies::Latencies;
use judge::ledger::MAX_EVENTS;
use judge::report::course::Course;
use judge::report::html::Page;
use judge::report::{Measured, csv, hdr};
use judge::{Judge, JudgeSettings, Judgement, Keep, Recording, Run};
use service::grouped;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lone events go through at once.
const LONE_EVENTS_RATE: u64 = 1;
/// How long the last lone events may take to be acknowledged.
const LONE_EVENTS_LIMIT: Duration = Duration::from_secs(10);

/// What is recorded and judged of a run.
#[derive(Default)]
pub(crate) struct Judging {
    recording: Option<Arc<Recording>>,
    judge: Option<Judge>,
    sampler: Option<JoinHandle<()>>,
}

impl Judging {
    /// Prepares what `settings` ask for; nothing where they ask for nothing.
    pub(crate) fn begin(settings: &LoadSettings, load: &Load) -> anyhow::Result<Self> {
        let JudgeSettings { judge, .. } = &settings.judge;
        if let Some(misuse) = settings.judge.misuse() {
            return Err(Misuse::new(misuse).into());
        }
        if !settings.judge.need_recording() {
            return Ok(Self::default());
        }
        if settings.output.print {
            let what = "with --print nothing is sent, so nothing is judged or recorded";
            return Err(Misuse::new(what).into());
        }
        if settings.target == Target::Http {
            let what = "what goes over HTTP has no place in the log that could be held against it: to judge or record \
                        a run use --target kafka";
            return Err(Misuse::new(what).into());
        }
        if *judge && load.limit().is_some_and(|events| events > MAX_EVENTS) {
            return Err(
                Misuse::new(format!("--judge: more than {MAX_EVENTS} events cannot be judged")).into()
            );
        }
        let recording = Recording::new(if *judge { Keep::Events } else { Keep::Seconds });
        let judge = judge
            .then(|| Judge::begin(&settings.judge, &settings.api, &settings.output.kafka, &recording))
            .transpose()
            .context("--judge")?;
        Ok(Self { recording: Some(recording), judge, sampler: None })
    }

    /// Where the run is recorded, if it is.
    pub(crate) fn recording(&self) -> Option<&Arc<Recording>> {
        self.recording.as_ref()
    }

    /// The first event is about to be sent.
    pub(crate) fn run_begins(&mut self) -> anyhow::Result<()> {
        if let Some(recording) = &self.recording {
            self.sampler = Some(recording.begin_run().context("starting the sampler")?);
        }
        Ok(())
    }

    /// The run is over: judges it, holds it against the conditions, writes the reports. What fails
    /// becomes the summary's fault, so that all else is told too.
    pub(crate) fn conclude(
        self,
        settings: &LoadSettings,
        load: &Load,
        recipe: Recipe,
        stop: &Stop,
        summary: &mut Summary,
    ) {
        let Self { recording: Some(recording), judge, sampler } = self else { return };
        recording.end_run();
        if sampler.is_some_and(|thread| thread.join().is_err()) {
            summary.fault.get_or_insert_with(|| "the sampler panicked".to_owned());
        }
        let judgement = judge.filter(|_| summary.fault.is_none()).map(|judge| {
            let judged = judged(judge, &recording, settings, load, recipe, stop);
            judged.map_err(|error| format!("the run was not judged: {error:#}"))
        });
        let judgement = match judgement.transpose() {
            Ok(judgement) => judgement,
            Err(fault) => {
                summary.fault = Some(fault);
                None
            }
        };
        let measured = Measured {
            rate: summary.events_per_second,
            behind_ms: summary.worst_lag_ms,
            failed: summary.failed,
            ack: &recording.ack_latencies(),
            judgement: judgement.as_ref(),
        };
        let conditions = &settings.judge.fail_if;
        summary.conditions =
            conditions.iter().map(|condition| condition.check(measured.value(condition.metric))).collect();
        let (course, report) = match judgement {
            Some(Judgement { report, seconds, frame, edge }) => {
                (Course::new(&recording, &seconds, frame, edge), Some(report))
            }
            None => (Course::new(&recording, &[], Latencies::new(), Latencies::new()), None),
        };
        summary.judge = report;
        if let Err(error) = write_reports(settings, load, &course, recipe, summary) {
            summary.fault.get_or_insert(format!("{error:#}"));
        }
    }
}

fn judged(
    mut judge: Judge,
    recording: &Arc<Recording>,
    settings: &LoadSettings,
    load: &Load,
    recipe: Recipe,
    stop: &Stop,
) -> anyhow::Result<Judgement> {
    let mut outlet = None;
    if settings.judge.edge > 0 {
        let kafka = &settings.output.kafka;
        outlet = Some(KafkaOutlet::new(kafka, LONE_EVENTS_RATE, stop.clone(), Some(recording))?);
    }
    let mut send = |key: &[u8], payload: &[u8], intended: Instant| {
        let outlet = outlet.as_mut().context("no way to Kafka")?;
        let handed = outlet.send(&Outgoing { key, payload, kind: Kind::Good, intended })?;
        anyhow::ensure!(handed == Handed::Taken, "ended early");
        Ok(())
    };
    judge.after_run(&mut send, &|| stop.is_asked())?;
    if let Some(outlet) = &mut outlet {
        outlet.finish(LONE_EVENTS_LIMIT)?;
    }
    // As schedules have it: without a rate, events are stamped a microsecond apart.
    let starts_now = settings.start.map_or(settings.seed.is_none(), |start| start == Start::Now);
    judge
        .conclude(Run { seed: recipe.seed, created_when_due: starts_now && load.peak_per_second().is_some() })
}

fn write_reports(
    settings: &LoadSettings,
    load: &Load,
    course: &Course,
    recipe: Recipe,
    summary: &Summary,
) -> anyhow::Result<()> {
    let JudgeSettings { html, csv: rows, hdr: intervals, .. } = &settings.judge;
    if let Some(path) = rows {
        csv::write(course, create(path)?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = intervals {
        hdr::write(course, create(path)?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = html {
        let page = Page {
            sent: summary.sent,
            acknowledged: summary.acknowledged,
            rate: summary.events_per_second,
            seconds: summary.seconds,
            behind_ms: summary.worst_lag_ms,
            fault: summary.fault.as_deref(),
            report: summary.judge.as_ref(),
            checked: &summary.conditions,
            course,
            facts: &facts(settings, load, recipe),
        };
        std::fs::write(path, page.html()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?))
}

/// What was asked for, by name.
fn facts(settings: &LoadSettings, load: &Load, recipe: Recipe) -> Vec<(&'static str, String)> {
    let rate = match load.peak_per_second() {
        None => "as fast as Kafka takes them".to_owned(),
        Some(rate) if settings.shape.is_even() => format!("{} events per second", grouped(rate)),
        Some(peak) => format!("changing, of at most {} events per second", grouped(peak)),
    };
    let crowd = grouped(u64::from(settings.players));
    let players = format!("{crowd}, of whom player k plays in proportion to 1/k^{}", settings.zipf);
    vec![
        ("Rate", rate),
        ("Players", players),
        ("Scores", format!("1 to {}", grouped(u64::from(settings.max_score)))),
        ("Again", format!("--seed {} --start {}", recipe.seed, recipe.start)),
    ]
}
