//! What can be asked of the judge on the command line.

use crate::expressions::FailIf;
use crate::viewers::MAX_VIEWERS;
use service::{Secret, duration};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of judging, and of the reports.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Judge")]
pub struct JudgeSettings {
    /// Hold what was sent against log, board, archive and what viewers see, of the boards file's first
    /// board; at most 20,000,000 events, 24 bytes of memory each. Any difference fails the run
    #[arg(long)]
    pub judge: bool,
    /// How many websocket viewers watch; 0 = none, and no latency of what they see
    #[arg(long, value_name = "N", default_value_t = 10, requires = "judge",
          value_parser = clap::value_parser!(u16).range(..=i64::from(MAX_VIEWERS)))]
    pub viewers: u16,
    /// After the run, time so many lone events after quiet, 1 point each for whoever leads
    #[arg(long, value_name = "N", default_value_t = 0, requires = "judge",
          value_parser = clap::value_parser!(u16).range(..=10_000))]
    pub edge: u16,
    /// How long ranker, archiver and viewers may take until they show all that was sent
    #[arg(long, value_name = "DURATION", default_value = "30s", requires = "judge", value_parser = duration)]
    pub settle: Duration,
    /// The boards of the deployment
    #[arg(long, env = "BOARDS_FILE", default_value = "boards.toml")]
    pub boards_file: PathBuf,
    /// The archive, postgres://user:password@host:port/database; add ?sslmode=verify-full for TLS
    #[arg(
        long,
        env = "POSTGRES_URL",
        hide_env_values = true,
        default_value = "postgres://rankstream@127.0.0.1:5432/rankstream"
    )]
    pub postgres_url: Secret,
    /// Fail the run if this holds, e.g. `p99>650ms`, `ack.p99>50ms`, `rate<1000`, `lag>5s`; repeatable
    ///
    /// frame.PCT, ack.PCT and edge.PCT are latencies from when an event was due: to the frame in a
    /// viewer's hand, to Kafka's acknowledgement, and to the frame of lone events after quiet; PCT is
    /// p50, p99, p99.9, …, mean or max, and alone means frame.PCT. lag: how old at worst was what
    /// viewers did not see yet. behind: how late the latest event was handed over. rate: acknowledged
    /// events per second. failed, differences: how many. Times need a unit: us, ms, s, min. What was not
    /// measured fails.
    #[arg(long, value_name = "EXPR")]
    pub fail_if: Vec<FailIf>,
    /// Write a self-contained page with figures and plots to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a row for each second to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write an interval log of `HdrHistogram` (V2, in microseconds, tags ack, frame and edge) to this file
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
}

impl JudgeSettings {
    /// Whether anything is asked for that needs the course of the run to be recorded.
    #[must_use]
    pub fn need_recording(&self) -> bool {
        let Self { judge, fail_if, html, csv, hdr, .. } = self;
        *judge || !fail_if.is_empty() || html.is_some() || csv.is_some() || hdr.is_some()
    }

    /// What is wrong with what is asked for, if anything is.
    #[must_use]
    pub fn misuse(&self) -> Option<String> {
        let unmeasured = |condition: &&FailIf| condition.metric.needs_judge() && !self.judge;
        self.fail_if
            .iter()
            .find(unmeasured)
            .map(|condition| format!("--fail-if '{condition}' needs --judge, which measures it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        judge: JudgeSettings,
    }

    fn parse(flags: &[&str]) -> Result<JudgeSettings, String> {
        let all = ["load"].iter().chain(flags);
        Only::try_parse_from(all).map(|only| only.judge).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_consistent_and_need_nothing() {
        Only::command().debug_assert();
        let settings = parse(&[]).unwrap();
        assert!(!settings.need_recording() && settings.misuse().is_none());
        let settings = parse(&["--judge", "--settle", "1m"]).unwrap();
        assert_eq!(settings.settle, Duration::from_secs(60));
        assert!(settings.need_recording());
    }

    #[test]
    fn faults_are_told_by_flag() {
        for (flags, says) in [
            (&["--edge", "5"][..], "--judge"),
            (&["--judge", "--viewers", "2001"], "2000"),
            (&["--fail-if", "speed<3"], "`speed` is not known"),
            (&["--judge", "--settle", "soon"], "--settle"),
        ] {
            let error = parse(flags).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
        let settings = parse(&["--fail-if", "ack.p99>1s", "--fail-if", "lag>5s"]).unwrap();
        assert_eq!(settings.misuse().unwrap(), "--fail-if 'lag>5s' needs --judge, which measures it");
        assert!(parse(&["--judge", "--fail-if", "lag>5s"]).unwrap().misuse().is_none());
    }
}
