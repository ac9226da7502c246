//! Keeps every record of the score topic in Postgres: score events for analysts, refused records
//! with the reason, each exactly once (crate `archive-store` says how).
//!
//! It produces nothing: refused records go to the dead-letter topic by way of the ranker alone.

mod settings;
mod sink;

pub use settings::Settings;

use crate::sink::ArchiveSink;
use anyhow::Context as _;
use archive_store::{ArchiveStore, Fence};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use boards::BoardSet;
use contracts::topics::GAME_SCORE;
use pipeline::WriteError;
use service::Process;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// Archives until the process is stopped.
///
/// # Errors
/// When the settings or the boards are wrong, when Postgres cannot be migrated, or when consuming
/// fails for good. A Postgres or a broker that is away is waited for.
pub async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
    run_with(settings, process, Fence::On).await
}

/// As [`run`], with the protection switched off for a negative control.
///
/// # Errors
/// As [`run`].
#[doc(hidden)]
pub async fn run_with(settings: Settings, process: Process, fence: Fence) -> anyhow::Result<()> {
    let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
    let topics = vec![settings.kafka.topic(&GAME_SCORE)];
    let store =
        ArchiveStore::with_fence(&settings.postgres_url, topics.clone(), fence).context("POSTGRES_URL")?;
    tokio::select! {
        migrated = migrate(&store, &process) => migrated?,
        () = process.stop.cancelled() => return Ok(()),
    }
    let sink = Arc::new(ArchiveSink::new(store, boards));
    pipeline::run(sink, &settings.kafka, &settings.group, topics, &process).await
}

/// Brings the database up to date, however long it takes until there is one.
async fn migrate(store: &ArchiveStore, process: &Process) -> anyhow::Result<()> {
    // The runner goes on with the check of this name.
    let health = process.health.check("store");
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(RETRY_FIRST)
        .with_max_delay(RETRY_LAST)
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        match store.migrate().await {
            Ok(()) => {
                info!("the archive's schema is up to date");
                return Ok(());
            }
            Err(WriteError::Unavailable(cause)) => {
                health.fail(format_args!("{cause:#}"));
            }
            Err(error) => return Err(error).context("preparing the archive"),
        }
        tokio::time::sleep(pauses.next().unwrap_or(RETRY_LAST)).await;
    }
}
