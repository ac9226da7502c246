//! Runs the simulator from the command line: `cargo xtask simulate`.

use clap::Parser;
use simulator::Protections;
use simulator::choices::Choices;
use simulator::search::{attempt, search};
use std::process::ExitCode;
use std::time::Instant;

/// Searches for a schedule of faults that breaks a promise
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// The first seed; without one, the clock decides
    #[arg(long)]
    seed: Option<u64>,
    /// How many runs; without a number it goes on until one fails
    #[arg(long)]
    runs: Option<u64>,
    /// How many threads
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
    /// Only this one run: the numbers of a tape
    #[arg(long, value_delimiter = ' ')]
    tape: Option<Vec<u16>>,
}

fn main() -> ExitCode {
    let Arguments { seed, runs, threads, tape } = Arguments::parse();
    if let Some(tape) = tape {
        return match attempt(Choices::of_tape(&tape), Protections::default()) {
            Ok((_, happened)) => {
                eprintln!("right: {happened:?}");
                ExitCode::SUCCESS
            }
            Err((_, why)) => {
                eprintln!("wrong: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let first = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        now.as_secs() << 32
    });
    let begun = Instant::now();
    let progress = |done: u64| {
        if done.is_multiple_of(100_000) {
            eprintln!("{done} runs in {:.0} s", begun.elapsed().as_secs_f64());
        }
    };
    eprintln!("from seed {first}");
    match search(first, runs.unwrap_or(u64::MAX), threads.max(1), Protections::default(), progress) {
        Ok(seen) => {
            eprintln!("{seen:?} in {:.1} s: all right", begun.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
