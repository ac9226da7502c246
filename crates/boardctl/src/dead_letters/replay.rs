//! `boardctl dead-letters replay`: the command. [`sending`](super::sending) does it.

use crate::dead_letters::doubt::{self, Doubt};
use crate::dead_letters::filter::{Filter, coordinates};
use crate::dead_letters::ledger::{Fate, Letter};
use crate::dead_letters::list::{Line, lines_for_people};
use crate::dead_letters::queue::Queue;
use crate::dead_letters::sending::{Sender, batches};
use crate::output::Output;
use contracts::dead_letter::Coordinates;
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE};
use pipeline::KafkaSettings;
use serde::Serialize;
use service::Stop;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// Only these, as topic/partition/offset
    #[arg(value_name = "TOPIC/PARTITION/OFFSET", value_parser = coordinates)]
    letters: Vec<Coordinates>,
    #[command(flatten)]
    filter: Filter,
    /// How many a second at most
    #[arg(long, help_heading = "Sending", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Only say which ones would be sent
    #[arg(long, help_heading = "Sending")]
    dry_run: bool,
    /// Do not ask before
    #[arg(long, help_heading = "Sending")]
    yes: bool,
    #[command(flatten)]
    kafka: KafkaSettings,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Answer {
    dry_run: bool,
    /// Those that are sent, or would be.
    letters: Vec<Line>,
    /// How many of them were sent and acknowledged.
    replayed: usize,
    skipped: Vec<Skipped>,
    /// Whether Ctrl-C ended it early.
    stopped: bool,
}

/// A letter that is left alone, and why.
#[derive(Debug, Serialize)]
struct Skipped {
    coordinates: String,
    why: String,
}

/// What is to be done with a letter.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Send,
    Doubt,
    Skip(String),
}

pub(crate) async fn run(command: &Replay, output: Output) -> anyhow::Result<ExitCode> {
    let Replay { kafka, filter, dry_run, .. } = command;
    let mut queue = Queue::read(kafka, output)?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let topics = [GAME_SCORE, PLAYER_PROFILE].map(|topic| kafka.topic(&topic));

    let mut answer = Answer { dry_run: *dry_run, ..Answer::default() };
    let (mut chosen, mut doubtful) = (Vec::new(), Vec::new());
    for letter in picked(command, &queue, now_ms)? {
        match verdict(letter, &topics, filter.again, now_ms) {
            Verdict::Send => chosen.push(letter.clone()),
            Verdict::Doubt => doubtful.push(letter.clone()),
            Verdict::Skip(why) => answer.skipped.push(Skipped { coordinates: letter.coordinates.key(), why }),
        }
    }
    let mut sender = Sender::new(kafka, &mut queue)?;
    for (letter, doubt) in doubt::settle(kafka, doubtful, output)? {
        let why = match doubt {
            Doubt::NotSent => None,
            Doubt::Sent | Doubt::Unknown if filter.again => None,
            Doubt::Sent => Some("a run that was cut off had sent it: --again sends it once more"),
            Doubt::Unknown => Some(
                "whether a run that was cut off had sent it is not in the log any more: --again sends it",
            ),
        };
        if doubt == Doubt::Sent && !dry_run {
            sender.mark_done(&letter).await?;
        }
        match why {
            None => chosen.push(letter),
            Some(why) => {
                let why = why.to_owned();
                answer.skipped.push(Skipped { coordinates: letter.coordinates.key(), why });
            }
        }
    }
    chosen.sort_by_key(|letter| letter.place);

    answer.letters = chosen.iter().map(Line::of).collect();
    if !dry_run && !chosen.is_empty() {
        output.confirm(&format!("Send {} records again?", chosen.len()), command.yes)?;
        let stop = stop_on_signal()?;
        let bar = output.progress(Some(chosen.len() as u64), "records replayed");
        let begun = Instant::now();
        for batch in batches(&chosen, command.rate) {
            let due = begun + Duration::from_secs_f64(done(&answer) / f64::from(command.rate));
            tokio::select! {
                biased;
                () = stop.cancelled() => { answer.stopped = true; break; }
                () = tokio::time::sleep_until(due) => {}
            }
            let (sent, taken) = sender.send(batch).await?;
            answer.replayed += sent;
            answer.skipped.extend(taken.into_iter().map(|coordinates| {
                let why = "another run has taken it meanwhile".to_owned();
                Skipped { coordinates: coordinates.key(), why }
            }));
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
    }
    output.answer(&answer, lines);
    Ok(if answer.stopped { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::cast_precision_loss, reason = "a number of letters in memory")]
fn done(answer: &Answer) -> f64 {
    answer.replayed as f64
}

/// The letters that are named, or those that pass the filter; with both, those that do both.
fn picked<'a>(command: &Replay, queue: &'a Queue, now_ms: i64) -> anyhow::Result<Vec<&'a Letter>> {
    let Replay { letters, filter, .. } = command;
    if letters.is_empty() {
        return Ok(filter.pick(queue.ledger.letters(), now_ms));
    }
    // One that was named and replayed before is worth a word.
    let filter = Filter { again: true, ..filter.clone() };
    let named = letters.iter().map(|wanted| queue.find(wanted)).collect::<anyhow::Result<Vec<_>>>()?;
    let passing = filter.pick(queue.ledger.letters(), now_ms);
    Ok(passing.into_iter().filter(|letter| named.contains(letter)).collect())
}

fn verdict(letter: &Letter, topics: &[String], again: bool, now_ms: i64) -> Verdict {
    let topic = &letter.coordinates.topic;
    if !topics.contains(topic) {
        return Verdict::Skip(format!("topic {topic} is not one that this deployment reads (TOPIC_PREFIX)"));
    }
    match &letter.fate {
        Fate::Waiting => Verdict::Send,
        Fate::Replayed { .. } if again => Verdict::Send,
        Fate::Replayed { .. } => Verdict::Skip("replayed before: --again sends it once more".to_owned()),
        Fate::InDoubt { at_ms, .. } => match doubt::wait_ms(*at_ms, now_ms) {
            0 => Verdict::Doubt,
            wait_ms => Verdict::Skip(format!(
                "a run began to send it a moment ago: try again in {} s",
                wait_ms.div_euclid(1000) + 1
            )),
        },
    }
}

/// The first SIGINT or SIGTERM ends the run after the batch that is on its way; what is left is
/// as it was.
fn stop_on_signal() -> anyhow::Result<Stop> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = Stop::new();
    let asked = stop.clone();
    // Ends with the process.
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        asked.cancel();
    });
    Ok(stop)
}

fn lines(answer: &Answer) -> String {
    let mut lines = Vec::new();
    if answer.dry_run && !answer.letters.is_empty() {
        lines.push(lines_for_people(&answer.letters));
    }
    for Skipped { coordinates, why } in &answer.skipped {
        lines.push(format!("skipped {coordinates}: {why}"));
    }
    lines.push(match answer {
        Answer { dry_run: true, letters, .. } => format!("{} would be replayed", letters.len()),
        Answer { stopped: true, replayed, letters, .. } => {
            format!("stopped: {replayed} of {} replayed", letters.len())
        }
        Answer { replayed, .. } => format!("{replayed} replayed"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::ledger::tests::letter;
    use std::collections::BTreeMap;

    fn of(fate: Fate, again: bool) -> Verdict {
        verdict(&Letter { fate, ..letter(0, 0) }, &["game-score".to_owned()], again, 1_000_000)
    }

    #[test]
    fn letter_is_sent_once_unless_asked_for_again() {
        let replayed = Fate::Replayed { run: "r".into(), at_ms: 0 };
        assert_eq!(of(Fate::Waiting, false), Verdict::Send);
        assert!(matches!(of(replayed.clone(), false), Verdict::Skip(why) if why.contains("--again")));
        assert_eq!(of(replayed, true), Verdict::Send);
    }

    #[test]
    fn letter_in_doubt_is_left_to_the_run_that_may_be_alive() {
        let doubt = |at_ms| Fate::InDoubt { run: "r".into(), at_ms, log_ends: BTreeMap::new() };
        assert!(matches!(of(doubt(990_000), true), Verdict::Skip(why) if why.contains("try again in")));
        assert_eq!(of(doubt(0), false), Verdict::Doubt);
    }

    #[test]
    fn letter_of_another_deployment_is_not_sent() {
        let verdict = verdict(&letter(0, 0), &["a-game-score".to_owned()], true, 0);
        assert!(matches!(verdict, Verdict::Skip(why) if why.contains("TOPIC_PREFIX")));
    }
}
