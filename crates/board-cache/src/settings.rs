//! The board-cache's settings.

use board_store::RedisSettings;
use pipeline::KafkaSettings;
use service::ProcessSettings;
use std::path::PathBuf;

/// Publishes each board's newest top: from Redis to its cache and the leaderboard topic
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "board-cache", version, about)]
pub struct Settings {
    /// The boards of this deployment
    #[arg(long, env = "BOARDS_FILE", default_value = "boards.toml")]
    pub boards_file: PathBuf,
    /// The least time between two snapshots of a board, in milliseconds; 0 publishes every change
    #[arg(long, env = "PUBLISH_INTERVAL_MS", default_value_t = 500,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub publish_interval_ms: u64,
    /// How the brokers are reached
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// How Redis is reached
    #[command(flatten)]
    pub redis: RedisSettings,
    /// What every process has
    #[command(flatten)]
    pub process: ProcessSettings,
}
