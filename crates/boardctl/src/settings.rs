//! Settings that several commands share.

use crate::output::Misuse;
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
    /// All boards, as the file says.
    pub(crate) fn boards(&self) -> anyhow::Result<BoardSet> {
        BoardSet::load(&self.boards_file).context("BOARDS_FILE")
    }

    /// All of them in Redis, in the order of the file.
    pub(crate) fn stores(&self) -> anyhow::Result<Vec<BoardStore>> {
        let connection = self.redis.connect().context("REDIS_URL")?;
        let store = |board: &Board| BoardStore::with_connection(connection.clone(), board.clone());
        Ok(self.boards()?.iter().map(store).collect())
    }
}

/// The board of that name; where none is named, the only one there is.
pub(crate) fn board_named<'b>(boards: &'b BoardSet, name: Option<&str>) -> Result<&'b Board, Misuse> {
    let all = || boards.iter().map(|board| board.name.as_str()).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => boards
            .get(name)
            .ok_or_else(|| Misuse(format!("--board {name}: there is no such board, only {}", all()))),
        None if boards.iter().len() == 1 => Ok(boards.default_board()),
        None => Err(Misuse(format!("--board is needed: one of {}", all()))),
    }
}
