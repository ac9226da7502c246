//! Sends score events: synthetic load at a set rate, or a file of real ones.

use clap::Parser as _;
use score_generator::settings::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything reads the environment; a missing .env is fine, a broken one is not.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("score-generator: .env: {error}");
        return ExitCode::FAILURE;
    }
    score_generator::main(&Settings::parse())
}
