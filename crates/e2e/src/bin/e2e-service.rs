//! A service with one of its protections switched off, or with a wall clock that steps: for the
//! negative controls of the fault tests, and for their clocks. Besides the service's own settings:
//!
//! | variable | means |
//! | --- | --- |
//! | `E2E_SERVICE` | `ranker`, `archiver` or `board-cache` |
//! | `E2E_FENCE` | `on`, `off`, `apart` or `at-most-once` |
//! | `E2E_TRAILING_EDGE` | `on` or `off` |
//! | `E2E_CLOCK_FILE` | a file with the milliseconds that the wall clock is wrong by |

use board_cache::TrailingEdge;
use service::{Clock, Process};
use std::process::ExitCode;

fn main() -> ExitCode {
    let fence = variable("E2E_FENCE", "on");
    match variable("E2E_SERVICE", "").as_str() {
        "ranker" => {
            let fence = match fence.as_str() {
                "on" => board_store::Fence::On,
                "off" => board_store::Fence::Off,
                "apart" => board_store::Fence::Apart,
                "at-most-once" => board_store::Fence::AtMostOnce,
                other => panic!("E2E_FENCE is {other}"),
            };
            service::run(
                "score-ranker",
                |settings: &score_ranker::Settings| &settings.process,
                async |settings, process| score_ranker::run_with(settings, wrong(process), fence).await,
            )
        }
        "archiver" => {
            let fence = match fence.as_str() {
                "on" => archive_store::Fence::On,
                "off" => archive_store::Fence::Off,
                "apart" => archive_store::Fence::Apart,
                "at-most-once" => archive_store::Fence::AtMostOnce,
                other => panic!("E2E_FENCE is {other}"),
            };
            service::run(
                "score-archiver",
                |settings: &score_archiver::Settings| &settings.process,
                async |settings, process| score_archiver::run_with(settings, wrong(process), fence).await,
            )
        }
        "board-cache" => {
            let edge = match variable("E2E_TRAILING_EDGE", "on").as_str() {
                "on" => TrailingEdge::On,
                "off" => TrailingEdge::Off,
                other => panic!("E2E_TRAILING_EDGE is {other}"),
            };
            service::run(
                "board-cache",
                |settings: &board_cache::Settings| &settings.process,
                async |settings, process| board_cache::run_with(settings, wrong(process), edge).await,
            )
        }
        other => panic!("E2E_SERVICE is {other:?}"),
    }
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// The process with a clock that is wrong by what the file says, whenever it is asked.
fn wrong(mut process: Process) -> Process {
    let Ok(file) = std::env::var("E2E_CLOCK_FILE") else { return process };
    let right = Clock::system();
    let clock = Clock::new(move || {
        let millis = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<i64>().ok());
        right.now_micros() + millis.unwrap_or(0) * 1000
    });
    process.clock = clock;
    process
}
