//! The progress bar: on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::IsTerminal as _;

/// How often a second the bar is drawn.
const DRAWS_PER_SECOND: u8 = 10;

/// What the length of a bar counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Events,
    FileBytes,
}

/// A bar on standard error; nothing at all where that is no terminal or `off` was asked for.
pub(crate) fn bar(off: bool, length: Option<u64>, unit: Unit) -> ProgressBar {
    if off || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
    let template = match (unit, length) {
        (Unit::Events, Some(_)) => {
            "{elapsed_precise} {wide_bar} {human_pos}/{human_len} events, {rate}, {eta} to go"
        }
        (Unit::Events, None) => "{elapsed_precise} {spinner} {human_pos} events, {rate}",
        (Unit::FileBytes, _) => "{elapsed_precise} {wide_bar} {bytes}/{total_bytes}, {eta} to go",
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are valid");
    bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be drawn is no reason to end the run.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    }));
    bar
}
