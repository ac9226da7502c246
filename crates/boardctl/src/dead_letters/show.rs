//! `boardctl dead-letters show`

use crate::dead_letters::filter::coordinates;
use crate::dead_letters::list::Line;
use crate::dead_letters::queue::Queue;
use crate::output::{Output, shown_lines};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::dead_letter::Coordinates;
use pipeline::KafkaSettings;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Which one, as topic/partition/offset
    #[arg(value_name = "TOPIC/PARTITION/OFFSET", value_parser = coordinates)]
    letter: Coordinates,
    #[command(flatten)]
    kafka: KafkaSettings,
}

#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    line: Line,
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    payload: Payload,
}

/// Bytes as text, or in base64 where they are none; both are null for what is not there.
#[derive(Debug, Serialize)]
struct Key {
    key: Option<String>,
    key_base64: Option<String>,
}

#[derive(Debug, Serialize)]
struct Payload {
    payload: Option<String>,
    payload_base64: Option<String>,
}

pub(crate) fn run(command: &Show, output: Output) -> anyhow::Result<ExitCode> {
    let queue = Queue::read(&command.kafka, output)?;
    let letter = queue.find(&command.letter)?;
    let refused = queue.refused(&[letter])?.remove(&letter.place).unwrap_or_default();
    let (key, key_base64) = text_or_base64(refused.key.as_deref());
    let (payload, payload_base64) = text_or_base64(refused.payload.as_deref());
    let answer = Answer {
        line: Line::of(letter),
        key: Key { key, key_base64 },
        payload: Payload { payload, payload_base64 },
    };
    output.answer(&answer, lines_for_people);
    Ok(ExitCode::SUCCESS)
}

fn lines_for_people(answer: &Answer) -> String {
    let Answer { line, key: Key { key, key_base64 }, payload: Payload { payload, payload_base64 } } = answer;
    let mut named = line.named().map(|(name, value)| (name.to_owned(), value)).to_vec();
    for (name, text, base64) in [("key", key, key_base64), ("payload", payload, payload_base64)] {
        named.push(match (text, base64) {
            (Some(text), _) => (name.to_owned(), shown_lines(text)),
            (None, Some(base64)) => (format!("{name} (base64)"), base64.clone()),
            (None, None) => (name.to_owned(), "-".to_owned()),
        });
    }
    let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    named.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<String>, Option<String>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => (None, None),
        Some((_, Ok(text))) => (Some(text.to_owned()), None),
        Some((bytes, Err(_))) => (None, Some(STANDARD.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::ledger::tests::letter;

    fn shown(payload: Option<&[u8]>) -> String {
        let (payload, payload_base64) = text_or_base64(payload);
        let payload = Payload { payload, payload_base64 };
        let key = Key { key: None, key_base64: None };
        lines_for_people(&Answer { line: Line::of(&letter(3, 7)), key, payload })
    }

    #[test]
    fn payload_is_text_where_it_is_text_and_base64_where_it_is_not() {
        assert!(shown(Some("{\"é\":\u{1b}\n1}".as_bytes())).ends_with("payload      {\"é\":\\u{1b}\n1}"));
        assert!(shown(Some(b"\xff\xfe")).ends_with("payload (base64)  //4="));
        assert!(shown(Some(b"")).ends_with("payload      "));
        assert!(shown(None).ends_with("payload      -"));
    }
}
