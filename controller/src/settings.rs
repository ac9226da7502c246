//! The controller's settings.

use crate::access::TrustedProxies;
use crate::live::Origins;
use board_store::RedisSettings;
use pipeline::KafkaSettings;
use service::{ProcessSettings, Secret};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Shows the boards and takes scores: page, websocket, REST
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "controller", version, about)]
pub struct Settings {
    /// Where page, websocket and REST are served; port 0 picks a free one
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:8080")]
    pub listen_addr: SocketAddr,
    /// The boards of this deployment
    #[arg(long, env = "BOARDS_FILE", default_value = "boards.toml")]
    pub boards_file: PathBuf,
    /// How many viewers may be connected; the next ones are told to come back later
    #[arg(long, env = "MAX_VIEWERS", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_viewers: u32,
    /// How many requests may be in work; the next ones are told to come back later
    #[arg(long, env = "MAX_REQUESTS_IN_FLIGHT", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_requests_in_flight: u32,
    /// How many events may wait for Kafka's acknowledgement; the next ones are told to come back
    /// later
    #[arg(long, env = "MAX_EVENTS_IN_FLIGHT", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(4_000..=1_000_000))]
    pub max_events_in_flight: u32,
    /// How many bytes a request with scores may have
    #[arg(long, env = "MAX_BATCH_BYTES", default_value_t = 1_048_576,
          value_parser = clap::value_parser!(u32).range(1_024..=2_097_152))]
    pub max_batch_bytes: u32,
    /// Pages of which other sites may open the websocket, read and write, as https://host[:port]
    /// with commas between; * is all of them. Our own page always may
    #[arg(long, env = "ALLOWED_ORIGINS", default_value = "")]
    pub allowed_origins: Origins,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub access: AccessSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub kafka: KafkaSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub redis: RedisSettings,
    /// The archive, postgres://user:password@host:port/database: what windows are answered from that
    /// have left Redis; without it, they are not answered
    #[arg(long, env = "POSTGRES_URL", hide_env_values = true)]
    pub postgres_url: Option<Secret>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub process: ProcessSettings,
}

/// Who may read and write, and how often.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// The API's keys, one a line, as `boardctl api-key new` prints them; read again when it
    /// changes. Without it nobody may write
    #[arg(long, env = "API_KEYS_FILE")]
    pub api_keys_file: Option<PathBuf>,
    /// Whether reading needs no key. If it does, page and overlay show nothing
    #[arg(long, env = "PUBLIC_READS", default_value_t = true, action = clap::ArgAction::Set)]
    pub public_reads: bool,
    /// Lets anyone write without a key. For development: refused unless LISTEN_ADDR is loopback
    #[arg(long, env = "DEV_OPEN_WRITES", default_value_t = false, action = clap::ArgAction::Set)]
    pub dev_open_writes: bool,
    /// How many reads a second one key, and one address, may make, and as many at once; 0 is any
    #[arg(long, env = "READS_PER_SECOND", default_value_t = 1_000)]
    pub reads_per_second: u32,
    /// How many writes a second one key, and one address, may make, and as many at once; 0 is any
    #[arg(long, env = "WRITES_PER_SECOND", default_value_t = 200)]
    pub writes_per_second: u32,
    /// Proxies whose X-Forwarded-For is believed: addresses and networks with commas between
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn defaults_are_valid_and_faults_name_the_flag() {
        assert!(Settings::try_parse_from(["controller"]).is_ok());
        for (flag, value) in [
            ("--listen-addr", "nowhere"),
            ("--max-viewers", "0"),
            ("--max-requests-in-flight", "0"),
            ("--max-events-in-flight", "10"),
            ("--max-batch-bytes", "0"),
            ("--allowed-origins", "example.org"),
            ("--public-reads", "perhaps"),
            ("--trusted-proxies", "the proxy"),
        ] {
            let error = Settings::try_parse_from(["controller", flag, value]).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
        }
    }
}
