//! The settings of the archiver.

use pipeline::KafkaSettings;
use service::{ProcessSettings, Secret};
use std::path::PathBuf;

/// Keeps every score event in Postgres.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "score-archiver", version)]
pub struct Settings {
    /// How the brokers are reached
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// URL of the archive's database, e.g. postgres://user:password@host:5432/rankstream?sslmode=verify-full
    #[arg(
        long,
        env = "POSTGRES_URL",
        hide_env_values = true,
        default_value = "postgres://rankstream@127.0.0.1:5432/rankstream"
    )]
    pub postgres_url: Secret,
    /// The boards of this deployment: what no board can take is kept as refused
    #[arg(long, env = "BOARDS_FILE", default_value = "boards.toml")]
    pub boards_file: PathBuf,
    /// The consumer group that shares the partitions; a second group is a full second archiver,
    /// which the fence keeps from writing anything twice
    #[arg(long, env = "ARCHIVER_GROUP", default_value = "score-archiver")]
    pub group: String,
    /// What every process has
    #[command(flatten)]
    pub process: ProcessSettings,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn settings_are_consistent_and_need_nothing() {
        Settings::command().debug_assert();
        let settings = Settings::try_parse_from(["score-archiver", "--boards-file", "b.toml"]).unwrap();
        assert_eq!(settings.boards_file, PathBuf::from("b.toml"));
    }

    #[test]
    fn the_password_is_not_printed() {
        let url = "postgres://u:hunter2@host/db";
        let settings = Settings::try_parse_from(["score-archiver", "--postgres-url", url]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
