//! What can be asked for on the command line.

use crate::http::HttpSettings;
use crate::load::crowd::{Churn, HotSet};
use crate::load::settings::{FaultSettings, ShapeSettings};
use crate::load::shape::per_second;
use crate::replay::pairs::Pairs;
use api_client::ApiSettings;
use contracts::EventTime;
use judge::JudgeSettings;
use pipeline::KafkaSettings;
use service::duration;
use std::path::PathBuf;
use std::time::Duration;

/// Sends score events: synthetic load at a set rate, or a file of real ones.
///
/// Exit code: 0 when every event that was sent was acknowledged, 1 when not or when it could not be
/// judged, 2 when the command line asks for what cannot be, 3 when all were acknowledged but load fell
/// further behind its rate than --max-behind, 4 when the judge found a difference or a --fail-if holds.
/// Ctrl-C ends a run in good order.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "score-generator", version)]
pub struct Settings {
    /// What to send.
    #[command(subcommand)]
    pub command: Command,
}

/// What to send.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Made-up events at a set rate, whatever happens to them (open loop)
    Load(Box<LoadSettings>),
    /// The rows of a CSV or JSON-lines file
    Replay(Box<ReplaySettings>),
}

/// Settings of `load`.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadSettings {
    /// Events per second, e.g. 500, 20k or 1.5M; 0 = as fast as they are taken
    #[arg(long, default_value = "100", value_parser = per_second)]
    pub rate: u64,
    /// How many players there are; their ids are 1 to N
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub players: u32,
    /// How unevenly they play: player k scores in proportion to 1/k^S; 0 = all alike
    #[arg(long, default_value_t = 1.0, value_name = "S", value_parser = exponent)]
    pub zipf: f64,
    /// Gives a share of all events to a few players, e.g. half of them to ten: 0.5:10. Who these
    /// are is drawn once, from the seed, whatever their popularity
    #[arg(long, value_name = "SHARE:PLAYERS")]
    pub hot: Option<HotSet>,
    /// How many players leave for good in a second. Each is replaced by a new one, with the next
    /// id, who plays as often; so there are always --players
    #[arg(long, value_name = "PER_SECOND")]
    pub churn: Option<Churn>,
    /// As it is among people: players come, play at a pace of their own, have winning streaks and
    /// leave, and their names are in sixteen languages
    #[arg(long)]
    pub lively: bool,
    /// The largest score; each is 1 to N
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_score: u32,
    /// The same seed gives the same bytes, on any machine; without it every run is another
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many events to send (with --duration: whichever ends first)
    #[arg(long)]
    pub count: Option<u64>,
    /// For how long to send, e.g. 30s or 5m (with neither: until Ctrl-C)
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// created_at of the first event: `now`, or ISO 8601. The others are stamped by when they are
    /// due (1 µs later each at rate 0). Default: now; with --seed 2026-01-01T00:00:00Z
    #[arg(long, value_parser = start)]
    pub start: Option<Start>,
    /// Whether a player's first event of the run carries a nickname
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    pub nicknames: bool,
    /// Give every event an event_id (of seed and number, so a repeated run counts once)
    #[arg(long)]
    pub event_ids: bool,
    /// How long after it is due an event may be handed over. When one is later, the rate was not
    /// kept: the summary says how many were and for how long, and the exit code is 3. A burst
    /// beyond what is taken counts as well, also if it is caught up: what arrived was flatter
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = tolerance)]
    pub max_behind: Duration,
    /// Send N events as fast as they are taken, then wait until the board of --api has them all,
    /// and say how long that took
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
          conflicts_with_all = ["rate", "stages", "bursts", "sine", "count", "duration", "print"])]
    pub backlog: Option<u64>,
    /// How long the board may take to have them once all are sent
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, requires = "backlog")]
    pub drain_limit: Duration,
    /// Where events go
    #[arg(long, value_enum, default_value_t = Target::Kafka, conflicts_with = "print")]
    pub target: Target,
    /// Where events go.
    #[command(flatten)]
    pub output: OutputSettings,
    /// How the rate changes.
    #[command(flatten)]
    pub shape: ShapeSettings,
    /// What is to be wrong.
    #[command(flatten)]
    pub faults: FaultSettings,
    /// Where the API is.
    #[command(flatten)]
    pub api: ApiSettings,
    /// How events go over HTTP.
    #[command(flatten)]
    pub http: HttpSettings,
    /// What the run is held to.
    #[command(flatten)]
    pub judge: JudgeSettings,
}

/// Settings of `replay`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplaySettings {
    /// The file; CSV with a header row, or one JSON object a line
    pub file: PathBuf,
    /// What the file is; default: by its name (.csv, .jsonl, .ndjson, .json)
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Where each member of the event comes from, as member=source with commas between
    ///
    /// Members: user_id, score, created_at, event_id, nickname, tags.NAME. A source is a column's
    /// name ("in double quotes" where it has a comma or =), a number, or 'text in single quotes'.
    /// Without --map the members are taken from the columns of their own names.
    #[arg(long, value_name = "MEMBER=SOURCE,…")]
    pub map: Vec<Pairs>,
    /// Rows to send, as column=text or column!=text with commas between; all must hold
    #[arg(long = "where", value_name = "COLUMN=TEXT,…")]
    pub filter: Vec<Pairs>,
    /// Texts that mean "no value", besides the empty one, with commas between
    #[arg(long, value_name = "TEXT,…", default_value = "NA", value_delimiter = ',')]
    pub missing: Vec<String>,
    /// Keep the distances between created_at, times faster: 1 = as it was, 60 = a minute in a
    /// second; rows older than one before them go at once. Default: full speed
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    pub speed: Option<f64>,
    /// Where events go.
    #[command(flatten)]
    pub output: OutputSettings,
}

/// Where events and reports go.
#[derive(Clone, Debug, clap::Args)]
pub struct OutputSettings {
    /// Write the events to standard output, one a line, instead of sending them
    #[arg(long)]
    pub print: bool,
    /// No progress bar, on a terminal either
    #[arg(long)]
    pub no_progress: bool,
    /// Write the summary to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// How Kafka is reached.
    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// Where made-up events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// To the topic game-score
    Kafka,
    /// To POST /v1/scores of --api
    Http,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated, with a header row
    Csv,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "json")]
    Jsonl,
}

/// When the first event happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// When it is sent.
    Now,
    /// Then.
    At(EventTime),
}

fn start(text: &str) -> Result<Start, String> {
    if text == "now" {
        return Ok(Start::Now);
    }
    EventTime::parse_iso(text, "start").map(Start::At).map_err(|refusal| refusal.message)
}

fn tolerance(text: &str) -> Result<Duration, String> {
    let tolerance = duration(text)?;
    // Events due within a millisecond go together.
    if tolerance < Duration::from_millis(1) { Err("must be at least 1ms".into()) } else { Ok(tolerance) }
}

fn exponent(text: &str) -> Result<f64, String> {
    number_within(text, |value| (0.0..=10.0).contains(&value), "between 0 and 10")
}

fn speed(text: &str) -> Result<f64, String> {
    number_within(text, |value| value > 0.0 && value.is_finite(), "above 0")
}

fn number_within(text: &str, allowed: impl Fn(f64) -> bool, range: &str) -> Result<f64, String> {
    let value = text.parse().map_err(|_| format!("must be a number {range}"))?;
    if allowed(value) { Ok(value) } else { Err(format!("must be {range}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn load(flags: &[&str]) -> Result<LoadSettings, String> {
        let all = ["score-generator", "load"].iter().chain(flags);
        match Settings::try_parse_from(all).map_err(|error| error.to_string())?.command {
            Command::Load(load) => Ok(*load),
            Command::Replay(_) => unreachable!("load was asked for"),
        }
    }

    #[test]
    fn durations_and_starts_are_read_as_people_write_them() {
        let settings = load(&["--duration", "1m30s", "--start", "2026-11-21T12:00:00"]).unwrap();
        assert_eq!(settings.duration, Some(Duration::from_secs(90)));
        assert_eq!(settings.start, Some(Start::At(EventTime::from_micros(1_795_262_400_000_000).unwrap())));
        assert_eq!(load(&["--start", "now"]).unwrap().start, Some(Start::Now));
        assert!(load(&[]).unwrap().nicknames);
        assert!(!load(&["--nicknames", "false"]).unwrap().nicknames);
    }

    #[test]
    fn stages_stand_in_place_of_a_rate_and_the_rest_comes_on_top() {
        let settings = load(&["--burst", "10s:1s:5k", "--burst", "1m:5s:1M", "--sine", "60s:50"]).unwrap();
        assert_eq!((settings.rate, settings.shape.bursts.len()), (100, 2));
        assert!(!settings.shape.is_even());
        assert!(load(&["--stages", "0:1k,30s:20k", "--sine", "60s:800"]).is_ok());
        for flags in [
            &["--stages", "0:1k", "--rate", "5"][..],
            &["--backlog", "5", "--rate", "5"],
            &["--backlog", "5", "--burst", "10s:1s:5k"],
            &["--backlog", "5", "--print"],
            &["--target", "http", "--print"],
        ] {
            assert!(load(flags).unwrap_err().contains("cannot be used with"), "{flags:?}");
        }
    }

    #[test]
    fn impossible_numbers_are_usage_errors_that_say_the_range() {
        for (flags, says) in [
            (["--players", "0"], "1..=10000000"),
            (["--zipf", "-1"], "between 0 and 10"),
            (["--zipf", "NaN"], "between 0 and 10"),
            (["--max-score", "0"], "1.."),
            (["--duration", "soon"], "--duration"),
            (["--duration", "-5s"], "--duration"),
            (["--start", "yesterday"], "not an ISO 8601 time"),
            (["--rate", "1x"], "e.g. 500, 20k or 1.5M"),
            (["--max-behind", "0s"], "at least 1ms"),
            (["--late", "2"], "from 0 to 1"),
            (["--hot", "0.5"], "SHARE:PLAYERS"),
            (["--churn", "-1"], "from 0 to 1000000"),
            (["--stages", "5s:1k"], "the first must be at 0"),
            (["--http-batch", "1001"], "1..=1000"),
            (["--api", "https://example.org"], "http://"),
        ] {
            let error = load(&[&format!("{}={}", flags[0], flags[1])]).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
    }
}
