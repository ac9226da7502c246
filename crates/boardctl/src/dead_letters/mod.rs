//! `boardctl dead-letters`: [`list`](list), [`show`](show), [`replay`](replay).
//!
//! [`queue`] reads the topic into a [`ledger`] of letters and what became of them, of which
//! [`filter`] picks. [`sending`] sends letters again, and [`doubt`] settles what a run that was
//! cut off left behind.

mod filter;
mod ledger;
mod queue;

mod list;
mod show;

mod doubt;
mod replay;
mod sending;

use crate::output::Output;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum DeadLetters {
    /// The refused records, the newest last
    List(list::List),
    /// One of them, with its bytes
    Show(show::Show),
    /// Sends their untouched bytes to the topic that they came from, once
    Replay(replay::Replay),
}

pub(crate) async fn run(command: DeadLetters, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        DeadLetters::List(command) => list::run(&command, output),
        DeadLetters::Show(command) => show::run(&command, output),
        DeadLetters::Replay(command) => replay::run(&command, output).await,
    }
}
