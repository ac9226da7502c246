//! Measures, prints a table, writes JSON, and says what has changed since an earlier one.

use anyhow::Context as _;
use bench::Bench;
use bench::figure::Report;
use bench::parts::{self, Part};
use clap::ValueEnum as _;
use std::io::Write as _;
use std::path::PathBuf;

/// What the programs cost, beside references
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// Where the JSON goes
    #[arg(long, default_value = "target/bench/figures.json")]
    json: PathBuf,
    /// Only these parts; several with commas between
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each side is measured; a figure is the median
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
    /// JSON of an earlier run, to say what has changed since
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { json, only, runs, against } = clap::Parser::parse();
    let before: Option<Report> = match &against {
        None => None,
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("--against {}", file.display()))?;
            Some(serde_json::from_slice(&text).with_context(|| format!("--against {}", file.display()))?)
        }
    };
    let bench = Bench::from_env(runs.into())?;
    let mut out = std::io::stdout().lock();
    let mut figures = Vec::new();
    for part in Part::value_variants().iter().filter(|part| only.is_empty() || only.contains(part)) {
        for figure in parts::measure(&bench, *part).await? {
            writeln!(out, "{figure}")?;
            figures.push(figure);
        }
    }
    let report = Report { date: jiff::Timestamp::now().to_string(), machine: machine(), figures };
    if let Some(folder) = json.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&json, serde_json::to_vec_pretty(&report)?)?;
    writeln!(out, "written to {}", json.display())?;
    for change in before.iter().flat_map(|before| report.changes_since(before)) {
        writeln!(out, "{change}")?;
    }
    Ok(())
}

/// The processors, as Linux names them.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{count} × {}", model.map_or("unknown", |(_, model)| model))
}
