//! The operator's tool. A command is a module: its arguments, and one function that does it.

mod api_key;
mod boards_file;
mod dead_letters;
mod erase_player;
mod migrate;
mod offsets;
mod rebuild;
mod topics;
mod verify;

mod output;
mod settings;

use clap::Parser as _;
use output::{Misuse, Output};
use std::process::ExitCode;

/// What a program says that was called in a way that it cannot do, as clap does.
const EXIT_USAGE: u8 = 2;

/// The operator's tool
#[derive(Debug, clap::Parser)]
#[command(name = "boardctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON document instead of lines for people
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The topics of the deployment
    #[command(subcommand)]
    Topics(topics::Topics),
    /// The boards of the deployment
    #[command(subcommand)]
    Boards(boards_file::Boards),
    /// Brings the archive's tables and views up to date
    Migrate(migrate::Migrate),
    /// The records that could not be used: list them, look at them, send them again
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// How far the board and the archive have read each partition
    Offsets(offsets::Offsets),
    /// Holds log, board and archive against each other, record by record and player by player,
    /// while traffic flows. Exit code: 0 right, 1 differences, 2 something could not be compared
    Verify(verify::Verify),
    /// Rebuilds a board beside what readers see
    Rebuild(rebuild::Rebuild),
    /// The keys of the HTTP API
    #[command(subcommand)]
    ApiKey(api_key::ApiKey),
    /// Takes a player's name out of the board and the archive; the points stay, under a pseudonym
    ErasePlayer(erase_player::ErasePlayer),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("boardctl: .env: {error}");
        return ExitCode::FAILURE;
    }
    let Cli { command, json } = Cli::parse();
    let output = Output { json };
    let outcome = match command {
        Command::Topics(command) => topics::run(command, output).await,
        Command::Boards(command) => boards_file::run(&command, output),
        Command::Migrate(command) => migrate::run(&command, output).await,
        Command::DeadLetters(command) => dead_letters::run(command, output).await,
        Command::Offsets(command) => offsets::run(&command, output).await,
        Command::Verify(command) => return verify::run(&command, output).await,
        Command::Rebuild(command) => rebuild::run(&command, output).await,
        Command::ApiKey(command) => api_key::run(command, output),
        Command::ErasePlayer(command) => erase_player::run(&command, output).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("boardctl: {error:#}");
        if error.is::<Misuse>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
    })
}
