//! The board-cache: looks at a board when it moved, at most once in 500 ms, and publishes its top
//! to `B-cache` in Redis and to the compacted topic `leaderboard`.
//!
//! Several may run: each looks by itself, whoever caches a version first publishes it, and
//! viewers take only what is newer.

mod board;
mod publisher;
mod settings;
mod throttle;

pub use settings::Settings;

use anyhow::Context as _;
use board_store::BoardStore;
use boards::BoardSet;
use contracts::Snapshot;
use contracts::topics::{LEADERBOARD, LEADERBOARD_CHANGE};
use metrics::counter;
use pipeline::{AckProducer, KafkaSettings, tail};
use publisher::Publisher;
use service::{Process, Stop};
use std::sync::Arc;
use std::time::Duration;
use throttle::Throttle;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

/// How late a change is seen at worst whose notice was lost.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the newest snapshots may take to read.
const READ_LIMIT: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Publishes until the process is stopped.
///
/// # Errors
/// When a setting is not valid. Redis and Kafka are waited for, with readiness false.
pub async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
    let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
    let board = boards.default_board().clone();
    let store = BoardStore::new(&settings.redis, board.clone()).context("REDIS_URL")?;
    let producer = AckProducer::new(&settings.kafka, "board-cache", Duration::ZERO, pipeline::producer::Ack)?;

    let moved = Arc::new(Notify::new());
    let notices = {
        let (moved, board) = (Arc::clone(&moved), board.name.clone());
        tail::spawn(
            &settings.kafka,
            "board-cache",
            settings.kafka.topic(&LEADERBOARD_CHANGE),
            tail::From::End,
            process.health.check("kafka"),
            process.stop.clone(),
            // Which version a notice speaks of does not matter: the board is read as it stands.
            move |key, _| {
                if key == Some(board.as_bytes()) {
                    moved.notify_one();
                }
            },
        )?
    };
    let store_check = process.health.check("redis");
    let topic = settings.kafka.topic(&LEADERBOARD);
    let Some(last) = newest_snapshot(&settings.kafka, &topic, &board.name, &process.stop).await else {
        return Ok(());
    };
    let mut publisher = Publisher::new(store, producer, topic, last);

    let mut throttle = Throttle::new(Duration::from_millis(settings.publish_interval_ms));
    let mut reconcile = tokio::time::interval(RECONCILE_INTERVAL);
    reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = throttle.due(Instant::now());
        tokio::select! {
            () = process.stop.cancelled() => break,
            () = moved.notified() => throttle.change(),
            _ = reconcile.tick() => match publisher.has_moved().await {
                Ok(has_moved) => {
                    store_check.ok();
                    if has_moved {
                        throttle.change();
                    }
                }
                Err(error) => store_check.fail(format_args!("{error:#}")),
            },
            () = at(due) => {
                throttle.look(Instant::now());
                if let Err(error) = publisher.look().await {
                    store_check.fail(format_args!("{error:#}"));
                    counter!("board_cache_failures_total").increment(1);
                    throttle.change();
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
    tokio::task::spawn_blocking(move || notices.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the tail panicked"))
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What viewers have: the newest snapshot on the topic, waited for until Kafka can tell. `None`
/// when the process was stopped first.
async fn newest_snapshot(
    kafka: &KafkaSettings,
    topic: &str,
    board: &str,
    stop: &Stop,
) -> Option<Option<Snapshot>> {
    loop {
        let (kafka, topic, board) = (kafka.clone(), topic.to_owned(), board.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let mut newest: Option<Snapshot> = None;
            tail::read_all(&kafka, "board-cache-start", &topic, READ_LIMIT, |key, payload| {
                let read = payload.and_then(|payload| serde_json::from_slice::<Snapshot>(payload).ok());
                if let (true, Some(read)) = (key == Some(board.as_bytes()), read)
                    && board::version_of(newest.as_ref()) <= read.version
                {
                    newest = Some(read);
                }
            })
            .map(|()| newest)
        });
        tokio::select! {
            () = stop.cancelled() => return None,
            outcome = read => match outcome.context("reading snapshots").flatten() {
                Ok(newest) => return Some(newest),
                // The tail's check says so too.
                Err(error) => debug!("{error:#}; trying again"),
            },
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
