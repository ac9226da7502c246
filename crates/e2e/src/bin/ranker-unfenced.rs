//! The score ranker with its fence off: the negative control of the fault tests.

use board_store::Fence;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(
        "ranker-unfenced",
        |settings: &score_ranker::Settings| &settings.process,
        async |settings, process| score_ranker::run_with(settings, process, Fence::Off).await,
    )
}
