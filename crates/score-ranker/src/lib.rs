//! The score ranker: reads score events and player profiles from the log, keeps the boards in
//! Redis, and says on `leaderboard-change` that a board moved.
//!
//! It alone writes the dead letters: what it cannot decode, or no board can take, goes to
//! `game-score-dlq` before the offset moves on.

mod batch;
mod names;
mod settings;
mod sink;

pub use settings::Settings;

use anyhow::Context as _;
use board_store::{BoardStore, Fence};
use boards::BoardSet;
use service::Process;
use sink::RankSink;
use std::sync::Arc;

/// Ranks until the process is stopped.
///
/// # Errors
/// When a setting is not valid or the consumer fails for good.
pub async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
    run_with(settings, process, Fence::On).await
}

/// The same with a fence that may be off, for the negative control of the whole-system tests.
#[doc(hidden)]
pub async fn run_with(settings: Settings, process: Process, fence: Fence) -> anyhow::Result<()> {
    let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
    let store = BoardStore::new(&settings.redis, boards.default_board().clone()).context("REDIS_URL")?;
    let sink = Arc::new(RankSink::new(&settings.kafka, boards, store, fence)?);
    let topics = sink::TOPICS.iter().map(|topic| settings.kafka.topic(topic)).collect();
    pipeline::run(sink, &settings.kafka, &settings.group, topics, &process).await
}
