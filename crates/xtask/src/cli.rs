//! What can be asked for.

use crate::checkout::Checkout;
use crate::infra::Infra;
use crate::supervisor::StackOptions;
use crate::{commands, doctor, suite, supervisor};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Rankstream's commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Everything from a fresh clone, with load, in the foreground; Ctrl-C stops it all
    Demo {
        #[command(flatten)]
        stack: StackOptions,
        /// Events per second; 50, unless `--stages` or `--backlog` stand after `--`
        #[arg(long)]
        rate: Option<u64>,
        /// Replay this CSV or JSON-lines file instead; what it means stands after `--`
        #[arg(long)]
        replay: Option<PathBuf>,
        /// Start no generator
        #[arg(long)]
        no_load: bool,
        /// Leave the stack in the background, without a generator
        #[arg(long)]
        detach: bool,
        /// Further arguments of the generator
        #[arg(last = true)]
        generator: Vec<String>,
    },
    /// The stack in the background; returns when every service is ready
    Up(StackOptions),
    /// Stops the stack
    Down,
    /// What runs; exit code 0 when everything is ready
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The logs of all processes, or of one
    Logs {
        /// Whose
        name: Option<String>,
        /// Go on as they grow
        #[arg(short, long)]
        follow: bool,
    },
    /// Stops the stack and deletes its data
    Reset {
        /// Really
        #[arg(long)]
        yes: bool,
    },
    /// What this machine has and lacks
    Doctor {
        /// For which kind of servers
        #[arg(long, value_enum)]
        infra: Option<Infra>,
    },
    /// All tests: formatting, lints, units, real servers, whole system, browser
    Test {
        /// Only what needs no server
        #[arg(long)]
        fast: bool,
        /// Only the tests whose names contain one of these
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// The benchmarks; a table, and JSON in target/bench: `-- --only rebuild --against FILE`
    Bench {
        /// Only the small ones, in one process, without servers
        #[arg(long)]
        micro: bool,
        /// Arguments of the benchmarks
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// The simulator, until a run fails: `-- --seed 7 --runs 100000`
    Simulate {
        /// Arguments of the simulator
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// The whole stack under faults: `-- --faults 600 --seed 7 --report FILE`
    Faults {
        /// Arguments of the harness
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    #[command(hide = true)]
    Supervise(StackOptions),
}

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = Checkout::find().and_then(|checkout| match Arguments::parse().command {
        Command::Demo { stack, detach: true, .. } => commands::up(&checkout, &stack),
        Command::Demo { stack, rate, replay, no_load, generator, .. } => {
            let load = (!no_load).then(|| commands::load(rate, replay, generator));
            commands::demo(&checkout, &stack, load)
        }
        Command::Up(stack) => commands::up(&checkout, &stack),
        Command::Down => commands::down(&checkout),
        Command::Status { json } => commands::status(&checkout, json),
        Command::Logs { name, follow } => commands::logs(&checkout, name.as_deref(), follow),
        Command::Reset { yes } => commands::reset(&checkout, yes),
        Command::Doctor { infra } => doctor::run(&checkout, infra),
        Command::Test { fast, filter } => suite::test(&checkout, fast, &filter),
        Command::Bench { micro, arguments } => suite::bench(&checkout, micro, &arguments),
        Command::Simulate { arguments } => suite::simulate(&checkout, &arguments),
        Command::Faults { arguments } => suite::faults(&checkout, &arguments),
        Command::Supervise(stack) => supervisor::in_background(&checkout, &stack),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
