//! The board-cache: looks at a board when it moved, at most once in 500 ms, and publishes its top
//! to `B-cache` in Redis and to the compacted topic `leaderboard`.
//!
//! Several may run: each looks by itself and follows what the others publish, whoever caches a
//! version first sends it, and viewers take only what is newer.

mod board;
mod publisher;
mod settings;
mod throttle;

pub use settings::Settings;
#[doc(hidden)]
pub use {publisher::Outlet, publisher::Publisher, throttle::Throttle, throttle::TrailingEdge};

use anyhow::Context as _;
use board_store::BoardStore;
use boards::BoardSet;
use contracts::Snapshot;
use contracts::topics::{LEADERBOARD, LEADERBOARD_CHANGE};
use metrics::counter;
use pipeline::producer::Ack;
use pipeline::{AckProducer, KafkaSettings, Message, tail};
use service::{Process, Stop};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;
use tracing::debug;

/// How late a change is seen at worst whose notice was lost.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the newest snapshots may take to read.
const READ_LIMIT: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How many snapshots may wait to be taken in. The topic's reader waits beyond that.
const SNAPSHOTS_AHEAD: usize = 64;

/// Publishes until the process is stopped.
///
/// # Errors
/// When a setting is not valid. Redis and Kafka are waited for, with readiness false.
pub async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
    run_with(settings, process, TrailingEdge::On).await
}

/// The same with a throttle that may forget, for the negative control of the whole-system tests.
#[doc(hidden)]
pub async fn run_with(
    settings: Settings,
    process: Process,
    trailing_edge: TrailingEdge,
) -> anyhow::Result<()> {
    let boards = BoardSet::load_plain(&settings.boards_file).context("BOARDS_FILE")?;
    let board = boards.default_board().clone();
    let name: Arc<str> = board.name.as_str().into();
    let store = BoardStore::new(&settings.redis, board).context("REDIS_URL")?;
    let topic = settings.kafka.topic(&LEADERBOARD);
    let producer = AckProducer::new(&settings.kafka, "board-cache", Duration::ZERO, Ack)?;
    let mut publisher = Publisher::new(store, Topic { producer, name: topic.clone() }, process.clock.clone());

    let moved = Arc::new(Notify::new());
    let notices = {
        let (moved, board) = (Arc::clone(&moved), Arc::clone(&name));
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
    // Read whole before the first look, so that nothing is published that viewers have outgrown.
    match newest_snapshot(&settings.kafka, &topic, Arc::clone(&name), &process.stop).await {
        None => return Ok(()),
        Some(newest) => newest.into_iter().for_each(|snapshot| publisher.take(snapshot)),
    }
    let (sender, mut snapshots) = mpsc::channel(SNAPSHOTS_AHEAD);
    let published = {
        let check = process.health.check("leaderboard");
        tail::spawn(
            &settings.kafka,
            "board-cache-published",
            topic,
            tail::From::Beginning,
            check,
            process.stop.clone(),
            move |key, payload| {
                if let Some(snapshot) = decoded(&name, key, payload) {
                    // Nobody takes it any more when the process ends.
                    let _ = sender.blocking_send(snapshot);
                }
            },
        )?
    };

    let interval = Duration::from_millis(settings.publish_interval_ms);
    let mut throttle = Throttle::new(interval, trailing_edge);
    let mut reconcile = tokio::time::interval(RECONCILE_INTERVAL);
    reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = throttle.due(Instant::now());
        tokio::select! {
            () = process.stop.cancelled() => break,
            () = moved.notified() => throttle.change(Instant::now()),
            Some(snapshot) = snapshots.recv() => publisher.take(snapshot),
            _ = reconcile.tick(), if trailing_edge == TrailingEdge::On => match publisher.has_moved().await {
                Ok(has_moved) => {
                    store_check.ok();
                    if has_moved {
                        throttle.change(Instant::now());
                    }
                }
                Err(error) => store_check.fail(format_args!("{error:#}")),
            },
            () = at(due) => {
                throttle.look(Instant::now());
                match publisher.look().await {
                    Ok(false) => {}
                    Ok(true) => throttle.change(Instant::now()),
                    Err(error) => {
                        store_check.fail(format_args!("{error:#}"));
                        counter!("board_cache_failures_total").increment(1);
                        throttle.change(Instant::now());
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
            }
        }
    }
    // Whoever waits to hand one over goes on and ends.
    drop(snapshots);
    for tail in [notices, published] {
        tokio::task::spawn_blocking(move || tail.join())
            .await?
            .map_err(|_| anyhow::anyhow!("a tail panicked"))?;
    }
    Ok(())
}

/// The compacted topic.
struct Topic {
    producer: AckProducer,
    name: String,
}

impl publisher::Outlet for Topic {
    async fn send(&self, board: &str, payload: &str) -> anyhow::Result<()> {
        let message = Message {
            topic: &self.name,
            key: board.as_bytes(),
            payload: Some(payload.as_bytes()),
            headers: &[],
        };
        self.producer.send_all(&[message]).await?;
        Ok(())
    }
}

fn decoded(board: &str, key: Option<&[u8]>, payload: Option<&[u8]>) -> Option<Snapshot> {
    (key? == board.as_bytes()).then(|| serde_json::from_slice(payload?).ok()).flatten()
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// What viewers have: the newest snapshot on the topic, waited for until Kafka can tell. `None`
/// when the process was stopped first.
async fn newest_snapshot(
    kafka: &KafkaSettings,
    topic: &str,
    board: Arc<str>,
    stop: &Stop,
) -> Option<Option<Snapshot>> {
    loop {
        let (kafka, topic, board) = (kafka.clone(), topic.to_owned(), Arc::clone(&board));
        let read = tokio::task::spawn_blocking(move || {
            let mut newest: Option<Snapshot> = None;
            tail::read_all(&kafka, "board-cache-start", &topic, READ_LIMIT, |key, payload| {
                if let Some(read) = decoded(&board, key, payload)
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
