//! The connection to Redis.

use crate::read::DENSE_RANK_LIMIT;
use boards::Board;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, Script};
use service::Secret;
use std::sync::OnceLock;
use std::time::Duration;

/// How long Redis may take to answer. The client's own default of half a second would take a
/// slow disk for a dead server.
const RESPONSE_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The longest pause between two tries to connect.
const RECONNECT_LAST: Duration = Duration::from_secs(1);
const RECONNECT_TRIES: usize = 3;

/// How Redis is reached.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisSettings {
    /// redis://[user:password@]host:port[/db], or rediss:// for TLS
    #[arg(long, env = "REDIS_URL", default_value = "redis://127.0.0.1:6379", hide_env_values = true)]
    pub redis_url: Secret,
}

/// Why Redis did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Redis could not be reached, did not answer, or answered with an error. Whether a write
    /// took effect is unknown.
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    /// The board stands elsewhere than where the write begins; nothing was written.
    #[error("{0}")]
    Fenced(String),
    /// The data in Redis is not what this board's rules made.
    #[error("{0}")]
    Foreign(String),
    /// A dense rank was asked for that is beyond what is counted.
    #[error("dense ranks are known up to {DENSE_RANK_LIMIT}")]
    DenseRankUnknown,
    /// Redis holds something of a shape that no version of this program writes.
    #[error("Redis: key {key}: {what}")]
    Corrupt {
        /// The key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Whatever commands go to Redis through.
pub trait Connection: ConnectionLike + Clone + Send + Sync + 'static {}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {}

/// One board in Redis. Clones share a connection, which reconnects by itself; a command is never
/// sent twice.
///
/// `C` is how Redis is reached: the simulator puts a model there.
#[derive(Clone)]
pub struct BoardStore<C = ConnectionManager> {
    pub(crate) connection: C,
    pub(crate) board: Board,
    /// What the doubles mean that the board's rules make.
    pub(crate) meaning: Box<str>,
    pub(crate) scripts: &'static Scripts,
}

/// The scripts, hashed once.
pub(crate) struct Scripts {
    pub(crate) open: Script,
    pub(crate) rebuild: Script,
    pub(crate) fill: Script,
    pub(crate) filled: Script,
    pub(crate) confirm: Script,
    pub(crate) apply: Script,
    pub(crate) page: Script,
    pub(crate) around: Script,
    pub(crate) places: Script,
    pub(crate) neighbours: Script,
    pub(crate) distribution: Script,
    pub(crate) rank_of: Script,
    pub(crate) sizes: Script,
    pub(crate) turn: Script,
    pub(crate) name: Script,
    pub(crate) publish: Script,
    pub(crate) settle: Script,
}

/// A script after what it needs.
macro_rules! script {
    ($($part:literal),+) => {
        concat!($(include_str!(concat!("scripts/", $part, ".lua"))),+)
    };
}

/// Whole, because the first call of a chain carries it.
pub(crate) const APPLY: &str =
    script!("keys", "write", "order", "write_rows", "aggregates", "end_rebuild", "apply");
pub(crate) const DROP_VIEW: &str = script!("keys", "write", "drop_view");
pub(crate) const ERASE: &str = script!("keys", "write", "order", "write_rows", "erase");

impl Scripts {
    fn hashed_once() -> &'static Self {
        static SCRIPTS: OnceLock<Scripts> = OnceLock::new();
        SCRIPTS.get_or_init(|| Self {
            open: Script::new(script!("keys", "write", "begin_board", "end_rebuild", "open")),
            rebuild: Script::new(script!("keys", "write", "begin_board", "end_rebuild", "rebuild")),
            fill: Script::new(script!("keys", "write", "write_rows", "fill")),
            filled: Script::new(script!("keys", "write", "end_rebuild", "filled")),
            confirm: Script::new(script!("confirm")),
            apply: Script::new(APPLY),
            page: Script::new(script!("view", "page")),
            around: Script::new(script!("view", "around")),
            places: Script::new(script!("view", "places")),
            neighbours: Script::new(script!("view", "neighbours")),
            distribution: Script::new(script!("view", "distribution")),
            rank_of: Script::new(script!("view", "rank_of")),
            sizes: Script::new(script!("view", "sizes")),
            turn: Script::new(script!("turn")),
            name: Script::new(script!("name")),
            publish: Script::new(script!("publish")),
            settle: Script::new(script!("settle")),
        })
    }
}

impl RedisSettings {
    /// A connection, for any number of stores. Does not connect yet: a Redis that is away is waited
    /// for by those who use it.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn connect(&self) -> Result<ConnectionManager, StoreError> {
        let client = redis::Client::open(self.redis_url.expose())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_LIMIT))
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_max_delay(RECONNECT_LAST)
            .set_number_of_retries(RECONNECT_TRIES);
        Ok(ConnectionManager::new_lazy_with_config(client, config)?)
    }
}

impl BoardStore {
    /// The store of `board`, with a connection of its own.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn new(settings: &RedisSettings, board: Board) -> Result<Self, StoreError> {
        Ok(Self::with_connection(settings.connect()?, board))
    }
}

impl<C: Connection> BoardStore<C> {
    /// The store of `board` behind a connection that its owner made.
    pub fn with_connection(connection: C, board: Board) -> Self {
        let meaning = board.meaning().into();
        Self { connection, board, meaning, scripts: Scripts::hashed_once() }
    }

    /// The board's rules.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Asks Redis for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(redis::cmd("PING").query_async(&mut self.connection.clone()).await?)
    }
}
