//! The score archiver with its fence off: the negative control of the fault tests.

use archive_store::Fence;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(
        "archiver-unfenced",
        |settings: &score_archiver::Settings| &settings.process,
        async |settings, process| score_archiver::run_with(settings, process, Fence::Off).await,
    )
}
