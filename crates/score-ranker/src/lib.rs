//! The score ranker: reads score events and player profiles from the log, keeps the boards in
//! Redis, and says on `leaderboard-change` that a board moved.
//!
//! It alone writes the dead letters: what it cannot decode, or no board can take, goes to
//! `game-score-dlq` before the offset moves on.

mod batch;
mod finals;
mod names;
mod resume;
mod settings;
mod sink;
mod surroundings;

pub use settings::Settings;
#[doc(hidden)]
pub use {batch::Batch, batch::Event, sink::RankSink, sink::TOPICS, surroundings::Surroundings};

use anyhow::Context as _;
use archive_store::ArchiveStore;
use board_store::{BoardStore, Fence};
use boards::{Board, BoardSet};
use contracts::topics::GAME_SCORE;
use finals::Finals;
use service::Process;
use std::sync::Arc;
use surroundings::Real;
use tracing::warn;

/// Ranks until the process is stopped.
///
/// # Errors
/// When a setting is not valid or the consumer fails for good.
pub async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
    run_with(settings, process, Fence::On).await
}

/// The same with a fence that may be off, for the negative controls of the whole-system tests.
#[doc(hidden)]
pub async fn run_with(settings: Settings, process: Process, fence: Fence) -> anyhow::Result<()> {
    let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
    let connection = settings.redis.connect().context("REDIS_URL")?;
    let archive = || {
        let store = |url| ArchiveStore::new(url, vec![settings.kafka.topic(&GAME_SCORE)]);
        settings.postgres_url.as_ref().map(|url| store(url).context("POSTGRES_URL")).transpose()
    };
    let finals = archive()?.map(|archive| {
        let store = |board: &Board| BoardStore::with_connection(connection.clone(), board.clone());
        Finals::new(
            boards.iter().map(store).collect(),
            archive,
            settings.kafka.clone(),
            process.clock.clone(),
        )
    });
    if finals.is_none() && boards.iter().any(Board::has_windows_that_end) {
        warn!("windows that are over stay in Redis: no archive is named that could keep them (POSTGRES_URL)");
    }
    let surroundings = Real::new(&settings.kafka, archive()?, process.clock.clone())?;
    let topics: Vec<String> = sink::TOPICS.iter().map(|topic| settings.kafka.topic(topic)).collect();
    let sink = Arc::new(RankSink::new(topics.clone(), boards, &connection, surroundings, fence));
    let keeping = async {
        if let Some(finals) = finals {
            finals.keep(&process.stop).await;
        }
        Ok(())
    };
    let ranking = pipeline::run(sink, &settings.kafka, &settings.group, topics, &process);
    tokio::try_join!(ranking, keeping).map(drop)
}
