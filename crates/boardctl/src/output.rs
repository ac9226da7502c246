//! What a person or a program gets to see.
//!
//! Answers go to standard output: lines for people, or with `--json` exactly one JSON document.
//! Progress, questions and errors go to standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// How often a second a bar is drawn.
const DRAWS_PER_SECOND: u8 = 10;
const TICK: Duration = Duration::from_millis(100);

/// What was asked for cannot be done: the person at the command line must change it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// How answers are given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// For programs.
    pub(crate) json: bool,
}

impl Output {
    /// Prints the command's answer.
    pub(crate) fn answer<T: Serialize>(self, answer: &T, lines: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(answer).expect("answers have text as keys and no NaN")
        } else {
            lines(answer)
        };
        // Whoever reads it may have stopped.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// A bar on standard error; nothing at all where that is no terminal. `None` as length: it is
    /// not known.
    pub(crate) fn progress(self, length: Option<u64>, what: &'static str) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(length, target).with_message(what);
        let template = match length {
            Some(_) => "{elapsed_precise} {wide_bar} {human_pos}/{human_len} {msg}, {rate}, {eta} to go",
            None => "{elapsed_precise} {spinner} {human_pos} {msg}, {rate}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates above are valid");
        bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that cannot be drawn is no reason to end the run.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        }));
        bar
    }

    /// Says on standard error what takes its time, where that is a terminal.
    pub(crate) fn spinner(self, what: &'static str) -> ProgressBar {
        let spinner = self.progress(None, what);
        let style = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}");
        spinner.set_style(style.expect("the template above is valid"));
        spinner.enable_steady_tick(TICK);
        spinner
    }

    /// Asks before something that cannot be taken back.
    ///
    /// # Errors
    /// [`Misuse`] when there is nobody to ask, or the answer is not yes.
    pub(crate) fn confirm(self, question: &str, yes: bool) -> anyhow::Result<()> {
        if yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Misuse(format!("{question} Say --yes, or --dry-run to only look")).into());
        }
        eprint!("{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(Misuse("not done".into()).into())
        }
    }
}

/// Columns under their heads; those that hold numbers alone stand to the right.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let is_number = |cell: &str| cell == "-" || cell.parse::<i64>().is_ok();
    let to_the_right: [bool; N] =
        std::array::from_fn(|column| rows.iter().all(|row| is_number(&row[column])) && !rows.is_empty());
    let line = |cells: &[String; N]| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let gap = if column == 0 { "" } else { "  " };
            line += gap;
            line += &if to_the_right[column] { pad + cell } else { cell.clone() + &pad };
        }
        line.trim_end().to_owned()
    };
    let head = line(&heads.map(str::to_owned));
    std::iter::once(head).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// Text that is safe to show on a terminal, in one line: control characters are escaped.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, &[])
}

/// The same for text of many lines.
pub(crate) fn shown_lines(text: &str) -> String {
    escaped(text, &['\n', '\t'])
}

fn escaped(text: &str, harmless: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !harmless.contains(&c) {
            out.extend(c.escape_debug());
        } else {
            out.push(c);
        }
    }
    out
}

/// A number, or `-` where there is none.
pub(crate) fn number(number: Option<i64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let rows = [["é".to_owned(), "7".to_owned(), "x".to_owned()], ["abcd".into(), "-".into(), "".into()]];
        assert_eq!(table(["name", "lag", "why"], &rows), "name  lag  why\né       7  x\nabcd    -");
        assert_eq!(table(["name", "lag"], &[]), "name  lag");
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(shown("a\u{1b}[31m\n\u{9b}é"), "a\\u{1b}[31m\\n\\u{9b}é");
        assert_eq!(shown_lines("a\u{1b}[31m\n\u{9b}é"), "a\\u{1b}[31m\n\\u{9b}é");
    }
}
