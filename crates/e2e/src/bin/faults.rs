//! The fault harness by command: any number of faults, from any seed.
//!
//! Started by `cargo xtask faults`. Prints a line a fault and a table, and writes them on request.

use anyhow::Context as _;
use clap::Parser as _;
use e2e::faults::{DECK, Options, Plan, Protection, Servers, run};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Runs the whole stack under faults and proves that nothing was lost, doubled or hidden
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask faults --", bin_name = "cargo xtask faults --")]
struct Arguments {
    /// What schedule and events are drawn from; default: the clock
    #[arg(long)]
    seed: Option<u64>,
    /// How many faults
    #[arg(long, default_value_t = 64)]
    faults: usize,
    /// How far apart they are on average, in milliseconds
    #[arg(long, default_value_t = 3600)]
    gap_ms: u64,
    /// Events per second
    #[arg(long, default_value_t = 5000)]
    rate: u64,
    /// Websocket viewers
    #[arg(long, default_value_t = 50)]
    viewers: usize,
    /// Where the report goes: .json, or anything else for Markdown
    #[arg(long)]
    report: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let seed = arguments.seed.unwrap_or_else(clock);
    eprintln!("seed {seed}");
    let options = Options {
        plan: Plan::draw(seed, arguments.faults, Duration::from_millis(arguments.gap_ms), &DECK),
        slow: Duration::ZERO,
        length: Duration::ZERO,
        rate: arguments.rate,
        viewers: arguments.viewers,
        protection: Protection::Whole,
        end_limits: [Duration::from_secs(180), Duration::from_secs(30)],
    };
    let servers = Arc::new(Servers::start("faults-stack").await?);
    let outcome = run(&servers, &options).await;
    drop(servers);
    let report = outcome?;
    write!(std::io::stdout().lock(), "{report}")?;
    if let Some(file) = arguments.report {
        let text = match file.extension() {
            Some(extension) if extension == "json" => serde_json::to_string_pretty(&report)?,
            _ => report.to_string(),
        };
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(if report.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
