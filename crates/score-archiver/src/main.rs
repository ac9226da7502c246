//! Keeps every score event in Postgres.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(
        "score-archiver",
        |settings: &score_archiver::Settings| &settings.process,
        score_archiver::run,
    )
}
