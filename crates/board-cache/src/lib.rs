//! The board-cache: looks at each board that is not per value when it moved, at most once in 500 ms,
//! and publishes the top of its usual window ([`Board::usual_window`]) to `B-cache` in Redis and to the
//! compacted topic `leaderboard`.
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
use board_store::{BoardStore, Connection};
use boards::{Board, BoardSet};
use contracts::Snapshot;
use contracts::topics::{LEADERBOARD, LEADERBOARD_CHANGE};
use futures_util::future::join_all;
use metrics::counter;
use pipeline::producer::Ack;
use pipeline::{AckProducer, KafkaSettings, Message, tail};
use service::{Check, Process, Stop};
use std::collections::HashMap;
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
    let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
    let connection = settings.redis.connect().context("REDIS_URL")?;
    let topic = settings.kafka.topic(&LEADERBOARD);
    let producer = AckProducer::new(&settings.kafka, "board-cache", Duration::ZERO, Ack)?;
    let outlet = Topic { producer: Arc::new(producer), name: topic.clone() };
    let interval = Duration::from_millis(settings.publish_interval_ms);
    // Boards per value are read over REST alone.
    let published: Vec<&Board> = boards.iter().filter(|board| board.per_value.is_none()).collect();
    let names: Vec<Arc<str>> = published.iter().map(|board| board.name.as_str().into()).collect();

    let moved: HashMap<Arc<str>, Arc<Notify>> =
        names.iter().map(|name| (Arc::clone(name), Arc::default())).collect();
    let notices = {
        let moved = moved.clone();
        tail::spawn(
            &settings.kafka,
            "board-cache",
            settings.kafka.topic(&LEADERBOARD_CHANGE),
            tail::From::End,
            process.health.check("kafka"),
            process.stop.clone(),
            // Which version a notice speaks of does not matter: the board is read as it stands.
            move |key, _| {
                if let Some(moved) = key.and_then(|key| moved.get(std::str::from_utf8(key).ok()?)) {
                    moved.notify_one();
                }
            },
        )?
    };
    let store_check = process.health.check("redis");
    // Read whole before the first look, so that nothing is published that viewers have outgrown.
    let Some(mut newest) = newest_snapshots(&settings.kafka, &topic, names.clone(), &process.stop).await
    else {
        return Ok(());
    };
    let (mut senders, mut publishing) = (HashMap::new(), Vec::new());
    for (board, name) in published.into_iter().zip(names) {
        let store = BoardStore::with_connection(connection.clone(), board.clone());
        let mut publisher = Publisher::new(store, outlet.clone(), process.clock.clone());
        newest.remove(&name).into_iter().for_each(|snapshot| publisher.take(snapshot));
        let (sender, snapshots) = mpsc::channel(SNAPSHOTS_AHEAD);
        let moved = Arc::clone(&moved[&name]);
        senders.insert(name, sender);
        let throttle = Throttle::new(interval, trailing_edge);
        let store_check = store_check.clone();
        let published = Published { publisher, moved, snapshots, throttle, trailing_edge, store_check };
        publishing.push(published.publish(process.stop.clone()));
    }
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
                let sender = key.and_then(|key| senders.get(std::str::from_utf8(key).ok()?));
                if let (Some(sender), Some(snapshot)) = (sender, decoded(payload)) {
                    // Nobody takes it any more when the process ends.
                    let _ = sender.blocking_send(snapshot);
                }
            },
        )?
    };
    join_all(publishing).await;
    for tail in [notices, published] {
        tokio::task::spawn_blocking(move || tail.join())
            .await?
            .map_err(|_| anyhow::anyhow!("a tail panicked"))?;
    }
    Ok(())
}

/// One board, as it is published.
struct Published<C> {
    publisher: Publisher<C, Topic>,
    /// Word that it moved.
    moved: Arc<Notify>,
    /// What is on the topic of it.
    snapshots: mpsc::Receiver<Snapshot>,
    throttle: Throttle,
    trailing_edge: TrailingEdge,
    store_check: Check,
}

impl<C: Connection> Published<C> {
    async fn publish(self, stop: Stop) {
        let Self { mut publisher, moved, mut snapshots, mut throttle, trailing_edge, store_check } = self;
        let mut reconcile = tokio::time::interval(RECONCILE_INTERVAL);
        reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = throttle.due(Instant::now());
            tokio::select! {
                () = stop.cancelled() => return,
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
    }
}

/// The compacted topic.
#[derive(Clone)]
struct Topic {
    producer: Arc<AckProducer>,
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

fn decoded(payload: Option<&[u8]>) -> Option<Snapshot> {
    serde_json::from_slice(payload?).ok()
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// What viewers have: of each board, the newest snapshot on the topic, waited for until Kafka can tell.
/// `None` when the process was stopped first.
async fn newest_snapshots(
    kafka: &KafkaSettings,
    topic: &str,
    boards: Vec<Arc<str>>,
    stop: &Stop,
) -> Option<HashMap<Arc<str>, Snapshot>> {
    loop {
        let (kafka, topic, boards) = (kafka.clone(), topic.to_owned(), boards.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut newest: HashMap<Arc<str>, Snapshot> = HashMap::new();
            tail::read_all(&kafka, "board-cache-start", &topic, READ_LIMIT, |key, payload| {
                let board = boards.iter().find(|board| key == Some(board.as_bytes()));
                if let (Some(board), Some(read)) = (board, decoded(payload))
                    && board::version_of(newest.get(board)) <= read.version
                {
                    newest.insert(Arc::clone(board), read);
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
