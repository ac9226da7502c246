//! Settings that several commands share.

use anyhow::Context as _;
use archive_store::ArchiveStore;
use board_store::{BoardStore, RedisSettings};
use boards::{Board, BoardSet};
use service::Secret;
use std::path::PathBuf;

/// How Postgres is reached.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Postgres")]
pub(crate) struct PostgresSettings {
    /// postgres://user:password@host:port/database; add ?sslmode=verify-full for TLS
    #[arg(
        long,
        env = "POSTGRES_URL",
        hide_env_values = true,
        default_value = "postgres://rankstream@127.0.0.1:5432/rankstream"
    )]
    pub(crate) postgres_url: Secret,
}

impl PostgresSettings {
    /// The archive, for those of its methods that ask for no topic.
    pub(crate) fn archive(&self) -> anyhow::Result<ArchiveStore> {
        ArchiveStore::new(&self.postgres_url, Vec::new()).context("POSTGRES_URL")
    }
}

/// Which boards there are, and where they are kept.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BoardSettings {
    /// The boards of this deployment
    #[arg(long, env = "BOARDS_FILE", default_value = "boards.toml")]
    pub(crate) boards_file: PathBuf,
    #[command(flatten)]
    pub(crate) redis: RedisSettings,
}

impl BoardSettings {
    /// The board, as the file says.
    pub(crate) fn board(&self) -> anyhow::Result<Board> {
        let boards = BoardSet::load_plain(&self.boards_file).context("BOARDS_FILE")?;
        Ok(boards.default_board().clone())
    }

    /// The board in Redis.
    pub(crate) fn store(&self) -> anyhow::Result<BoardStore> {
        BoardStore::new(&self.redis, self.board()?).context("REDIS_URL")
    }
}
