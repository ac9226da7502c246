//! The ranker's settings.

use board_store::RedisSettings;
use pipeline::KafkaSettings;
use service::{ProcessSettings, Secret};
use std::path::PathBuf;

/// Ranks score events: from the log into the boards in Redis
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "score-ranker", version, about)]
pub struct Settings {
    /// The boards of this deployment
    #[arg(long, env = "BOARDS_FILE", default_value = "boards.toml")]
    pub boards_file: PathBuf,
    /// The consumer group that shares the partitions; a second group is a full second ranker,
    /// which the fence keeps from counting anything twice
    #[arg(long, env = "RANKER_GROUP", default_value = "score-ranker")]
    pub group: String,
    /// How the brokers are reached
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// How Redis is reached
    #[command(flatten)]
    pub redis: RedisSettings,
    /// The archive, postgres://user:password@host:port/database: what the board is rebuilt from
    /// should Redis lose it when the log no longer reaches back; without it, that is a person's task
    #[arg(long, env = "POSTGRES_URL", hide_env_values = true)]
    pub postgres_url: Option<Secret>,
    /// What every process has
    #[command(flatten)]
    pub process: ProcessSettings,
}
