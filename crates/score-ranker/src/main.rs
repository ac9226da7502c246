//! The score ranker.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("score-ranker", |settings: &score_ranker::Settings| &settings.process, score_ranker::run)
}
