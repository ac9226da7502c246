//! `boardctl boards`

use crate::output::{Misuse, Output, shown_lines};
use anyhow::Context as _;
use boards::BoardSet;
use boards::explain::Explanation;
use boards::file::{BoardsError, Fault};
use contracts::EventTime;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Boards {
    /// Reads a boards.toml and says what it means, or every fault with its line. Touches no server.
    /// Exit code: 0 it has no faults, 1 it has
    Check(Check),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The boards of this deployment
    #[arg(env = "BOARDS_FILE", default_value = "boards.toml")]
    file: PathBuf,
    /// When the windows are looked at: ISO 8601, UTC without an offset; default: now
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    file: PathBuf,
    at: EventTime,
    /// What each board means; nothing when there are faults.
    boards: Vec<Explanation>,
    faults: Vec<Fault>,
}

pub(crate) fn run(command: &Boards, output: Output) -> anyhow::Result<ExitCode> {
    let Boards::Check(Check { file, at }) = command;
    let at = match at {
        Some(text) => EventTime::parse_iso(text, "--at").map_err(|refusal| Misuse(refusal.message))?,
        None => EventTime::from_micros(jiff::Timestamp::now().as_microsecond()).context("the clock")?,
    };
    let loaded = BoardSet::load(file);
    let answer = Answer {
        file: file.clone(),
        at,
        boards: loaded.as_ref().map(|boards| boards.explain(at)).unwrap_or_default(),
        faults: loaded.as_ref().err().map(BoardsError::faults).unwrap_or_default().to_vec(),
    };
    output.answer(&answer, lines);
    Ok(if answer.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(answer: &Answer) -> String {
    let file = answer.file.display();
    let boards = answer.boards.iter().map(Explanation::to_string);
    let faults = answer.faults.iter().map(|Fault { line, reason }| format!("{file}:{line}: {reason}"));
    let head = match answer.faults.len() {
        0 => format!("{file} has no faults; its windows at {}:", answer.at),
        1 => format!("{file} has a fault:"),
        faults => format!("{file} has {faults} faults:"),
    };
    let separator = if answer.faults.is_empty() { "\n\n" } else { "\n" };
    shown_lines(&std::iter::once(head).chain(boards).chain(faults).collect::<Vec<_>>().join(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        let loaded = BoardSet::parse(text);
        let at = EventTime::parse_iso("2026-11-21T12:00", "at").unwrap();
        Answer {
            file: "boards.toml".into(),
            at,
            boards: loaded.as_ref().map(|boards| boards.explain(at)).unwrap_or_default(),
            faults: loaded.err().map(|error| error.faults().to_vec()).unwrap_or_default(),
        }
    }

    #[test]
    fn faults_are_told_as_lines_and_as_json() {
        let answer = answer("[[board]]\nname = \"b\"\ntop = 0\ncolour = \"\\u001b[31m\"\n\"\\u001b\" = 1\n");
        let text = lines(&answer);
        assert!(text.starts_with("boards.toml has 3 faults:\nboards.toml:3: `top` must be"), "{text}");
        assert!(!text.contains('\u{1b}'), "a file must not steer the terminal: {text}");
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!((&json["faults"][0]["line"], &json["boards"][0]), (&3.into(), &serde_json::Value::Null));
    }

    #[test]
    fn boards_are_explained_as_lines_and_as_json() {
        let answer = answer("[[board]]\nname = \"b\"\nwindows = [\"day\"]\ntimezone = \"Europe/Malta\"\n");
        let text = lines(&answer);
        assert!(
            text.starts_with("boards.toml has no faults; its windows at 2026-11-21T12:00:00Z:\n\nboard b\n"),
            "{text}"
        );
        let day = &serde_json::to_value(&answer).unwrap()["boards"][0]["windows"][0];
        assert_eq!((&day["id"], &day["start"]), (&"2026-11-21".into(), &"2026-11-21T00:00:00+01:00".into()));
    }
}
