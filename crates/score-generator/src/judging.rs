//! A load run that is recorded and, where that is asked for, judged; and its reports.

use crate::kafka::KafkaOutlet;
use crate::load::faults::Kind;
use crate::load::{Load, Recipe};
use crate::outlet::{Handed, Outgoing, Outlet as _};
use crate::settings::{LoadSettings, Settings, Start, Target};
use crate::summary::Summary;
use crate::{Misuse, Stop};
use anyhow::Context as _;
use clap::CommandFactory as _;
use judge::latencies::Latencies;
use judge::ledger::MAX_EVENTS;
use judge::report::course::Course;
use judge::report::html::Page;
use judge::report::{Measured, csv, hdr};
use judge::{Judge, JudgeSettings, Judgement, Keep, Recording, Run};
use service::grouped;
use std::collections::BTreeSet;
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
        if *judge && settings.target == Target::Http {
            let what = "--judge: what goes over HTTP has no place in the log that could be held against it: use \
                        --target kafka";
            return Err(Misuse::new(what).into());
        }
        let lone_events = u64::from(settings.judge.edge);
        if *judge && load.limit().is_some_and(|events| events + lone_events > MAX_EVENTS) {
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
            behind_ms: summary.late.map(|_| summary.worst_lag_ms),
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
        anyhow::ensure!(handed != Handed::Stopped, "ended early");
        Ok(())
    };
    judge.after_run(&mut send, &|| stop.is_asked())?;
    if let Some(outlet) = &mut outlet {
        outlet.finish(LONE_EVENTS_LIMIT)?;
    }
    // As schedules have it: without a rate, events are stamped a microsecond apart.
    let starts_now = settings.start.map_or(settings.seed.is_none(), |start| start == Start::Now);
    let happens_when_due = load.peak_per_second().is_some() && !settings.faults.happen_earlier();
    judge.conclude(Run { seed: recipe.seed, created_when_due: starts_now && happens_when_due })
}

/// Writes each of them that was asked for, whatever becomes of the others.
fn write_reports(
    settings: &LoadSettings,
    load: &Load,
    course: &Course,
    recipe: Recipe,
    summary: &Summary,
) -> anyhow::Result<()> {
    let JudgeSettings { html, csv: rows, hdr: intervals, .. } = &settings.judge;
    let facts = facts(settings, load, recipe);
    let page = || Page {
        sent: summary.sent,
        acknowledged: summary.acknowledged,
        rate: summary.events_per_second,
        seconds: summary.seconds,
        behind_ms: summary.worst_lag_ms,
        fault: summary.fault.as_deref(),
        report: summary.judge.as_ref(),
        checked: &summary.conditions,
        course,
        facts: &facts,
    };
    let written = [
        rows.as_ref().map(|path| (path, create(path).and_then(|file| Ok(csv::write(course, file)?)))),
        intervals.as_ref().map(|path| (path, create(path).and_then(|file| hdr::write(course, file)))),
        html.as_ref().map(|path| (path, std::fs::write(path, page().html()).map_err(Into::into))),
    ];
    let mut written = written.into_iter().flatten();
    written.try_for_each(|(path, outcome)| outcome.with_context(|| format!("writing {}", path.display())))
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path)?))
}

/// What was asked for, by name.
fn facts(settings: &LoadSettings, load: &Load, recipe: Recipe) -> Vec<(&'static str, String)> {
    let rate = match load.peak_per_second() {
        None => "as fast as Kafka takes them".to_owned(),
        Some(rate) if settings.shape.is_even() => format!("{} events per second", grouped(rate)),
        Some(peak) => format!("changing, of at most {} events per second", grouped(peak)),
    };
    vec![
        ("Rate", rate),
        ("Players", grouped(u64::from(settings.players))),
        ("Scores", format!("1 to {}", grouped(u64::from(settings.max_score)))),
        ("Command", command_line(std::env::args())),
        ("The same events", format!("--seed {} --start {}", recipe.seed, recipe.start)),
    ]
}

/// The flags whose values nobody is shown: `--help` does not show them either.
fn secret_flags() -> BTreeSet<String> {
    let command = Settings::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let secret = arguments.filter(|argument| argument.is_hide_env_values_set());
    secret.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
}

/// What was typed, without secrets.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let secrets = secret_flags();
    let mut is_secret = false;
    let shown = arguments.enumerate().map(|(at, argument)| {
        if std::mem::take(&mut is_secret) {
            return "…".to_owned();
        }
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        match (secrets.contains(name), value) {
            (true, "") => {
                is_secret = true;
                argument
            }
            (true, _) => format!("{name}=…"),
            // Wherever the program lies.
            _ if at == 0 => argument.rsplit('/').next().unwrap_or_default().to_owned(),
            _ if argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_=:,.+/%".contains(c)) => argument,
            _ => format!("'{}'", argument.replace('\'', r"'\''")),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_flags_are_those_of_secrets() {
        let secrets = ["--api-key", "--kafka-sasl-password", "--postgres-url"].map(str::to_owned);
        assert_eq!(secret_flags(), BTreeSet::from(secrets));
    }

    #[test]
    fn command_is_told_as_it_can_be_typed_again_but_for_secrets() {
        let typed = [
            "/somewhere/score-generator",
            "load",
            "--api-key",
            "s3cret",
            "--postgres-url=postgres://me:s3cret@here/db",
            "--kafka-sasl-password",
            "s3cret",
            "--fail-if",
            "p99>650ms",
            "--stages=0:1k,30s:20k",
        ];
        let told = command_line(typed.map(str::to_owned).into_iter());
        assert_eq!(
            told,
            "score-generator load --api-key … --postgres-url=… --kafka-sasl-password … \
             --fail-if 'p99>650ms' --stages=0:1k,30s:20k"
        );
    }
}
