//! The controller's settings.

use crate::live::Origins;
use board_store::RedisSettings;
use pipeline::KafkaSettings;
use service::ProcessSettings;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Shows the boards: page, websocket, REST
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
    /// Pages of which other sites may open the websocket, as https://host[:port] with commas
    /// between; * is all of them. Our own page always may
    #[arg(long, env = "ALLOWED_ORIGINS", default_value = "")]
    pub allowed_origins: Origins,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub kafka: KafkaSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub redis: RedisSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub process: ProcessSettings,
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
            ("--allowed-origins", "example.org"),
        ] {
            let error = Settings::try_parse_from(["controller", flag, value]).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
        }
    }
}
