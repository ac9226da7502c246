//! `boardctl dead-letters list`

use crate::dead_letters::filter::Filter;
use crate::dead_letters::ledger::{Fate, Letter, State};
use crate::dead_letters::queue::Queue;
use crate::output::{Output, shown, table};
use contracts::EventTime;
use pipeline::KafkaSettings;
use serde::Serialize;
use std::process::ExitCode;

/// How much of a message fits beside the rest.
const MESSAGE_CHARS: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    kafka: KafkaSettings,
}

/// A letter as programs see it.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) coordinates: String,
    topic: String,
    partition: i32,
    offset: i64,
    time: Option<EventTime>,
    stage: String,
    class: String,
    field: Option<String>,
    message: String,
    bytes: usize,
    state: State,
    replayed_at: Option<EventTime>,
}

impl Line {
    pub(crate) fn of(letter: &Letter) -> Self {
        let Letter { coordinates, time_ms, stage, class, field, message, bytes, fate, .. } = letter.clone();
        let replayed_at = match fate {
            Fate::Replayed { at_ms, .. } => EventTime::from_millis(at_ms),
            Fate::Waiting | Fate::InDoubt { .. } => None,
        };
        Self {
            coordinates: coordinates.key(),
            topic: coordinates.topic,
            partition: coordinates.partition,
            offset: coordinates.offset,
            time: time_ms.and_then(EventTime::from_millis),
            stage,
            class,
            field,
            message,
            bytes,
            state: fate.state(),
            replayed_at,
        }
    }

    /// (name, value) of what people see of it.
    pub(crate) fn named(&self) -> [(&'static str, String); 10] {
        let optional = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), shown);
        let time = |time: Option<EventTime>| time.map_or("-".to_owned(), |time| time.to_string());
        [
            ("coordinates", shown(&self.coordinates)),
            ("time", time(self.time)),
            ("stage", shown(&self.stage)),
            ("class", shown(&self.class)),
            ("field", optional(&self.field)),
            ("message", shown(&self.message)),
            ("bytes", self.bytes.to_string()),
            ("state", self.state.words().to_owned()),
            ("replayed at", time(self.replayed_at)),
            ("topic", shown(&self.topic)),
        ]
    }
}

pub(crate) fn run(command: &List, output: Output) -> anyhow::Result<ExitCode> {
    let queue = Queue::read(&command.kafka, output)?;
    let letters = command.filter.pick(queue.ledger.letters(), jiff::Timestamp::now().as_millisecond());
    let lines: Vec<Line> = letters.into_iter().map(Line::of).collect();
    output.answer(&lines, |lines| lines_for_people(lines));
    Ok(ExitCode::SUCCESS)
}

/// A table of letters.
pub(crate) fn lines_for_people(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "no dead letters".to_owned();
    }
    let rows: Vec<[String; 6]> = lines
        .iter()
        .map(|line| {
            let [(_, coordinates), (_, time), _, (_, class), (_, field), (_, message), _, (_, state), ..] =
                line.named();
            let message = match message.char_indices().nth(MESSAGE_CHARS) {
                Some((end, _)) => format!("{}…", &message[..end]),
                None => message,
            };
            [coordinates, time, state, class, field, message]
        })
        .collect();
    table(["coordinates", "time", "state", "class", "field", "message"], &rows)
}
