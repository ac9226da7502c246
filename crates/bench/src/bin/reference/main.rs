//! What the programs are measured against: for each part, the least that could be called the same.
//!
//! Those that work through something say `ready` when they have prepared it, begin when a line comes,
//! and say `took` with the seconds.
#![expect(clippy::print_stdout, reason = "it is how they are heard")]

mod api;
mod archive;
mod broadcast;
mod increment;
mod kafka;

use clap::Parser;
use std::time::Instant;

/// A reference of the benchmarks; `cargo xtask bench` starts it
#[derive(Debug, Parser)]
enum Reference {
    /// Sends ready-made events, in a loop of librdkafka
    Produce {
        /// host:port
        brokers: String,
        /// Into which topic
        topic: String,
        /// How many
        events: u64,
    },
    /// Reads as many records and throws them away
    Consume {
        /// host:port
        brokers: String,
        /// Of which topic
        topic: String,
        /// How many
        events: u64,
    },
    /// Adds the generator's scores to a sorted set, without fence, version or ties
    Increment {
        /// How
        mode: increment::Mode,
        /// Of Redis
        url: String,
        /// How many
        events: u64,
        /// Of how many players
        #[arg(long)]
        players: u32,
        /// How unevenly they play
        #[arg(long)]
        zipf: f64,
    },
    /// Writes the archive's rows once more, without fence or offsets
    Archive {
        /// How
        mode: archive::Mode,
        /// Of the database that has the rows
        url: String,
        /// How many
        rows: u64,
    },
    /// Sends what is posted to `/publish` to every websocket at `/live`
    Broadcast {
        /// Where to listen
        address: String,
    },
    /// The server that one would write first
    Api {
        /// Where to listen
        address: String,
        /// Of Redis
        url: String,
        /// The key of the sorted set
        board: String,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match Reference::parse() {
        Reference::Produce { brokers, topic, events } => kafka::produce(&brokers, &topic, events),
        Reference::Consume { brokers, topic, events } => kafka::consume(&brokers, &topic, events),
        Reference::Increment { mode, url, events, players, zipf } => {
            increment::run(mode, &url, events, players, zipf)
        }
        Reference::Archive { mode, url, rows } => runtime()?.block_on(archive::run(mode, &url, rows)),
        Reference::Broadcast { address } => runtime()?.block_on(broadcast::run(&address)),
        Reference::Api { address, url, board } => runtime()?.block_on(api::run(&address, &url, board)),
    }
}

/// Waits for the word; the time begins then.
fn ready() -> anyhow::Result<Instant> {
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(Instant::now())
}

/// Says how long it took, and stays until it is ended, so that its processor time can be read.
fn took(begun: Instant) -> anyhow::Result<()> {
    println!("took {}", begun.elapsed().as_secs_f64());
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
