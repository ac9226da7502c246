//! The controller: the public web server. Page, live board, REST to read and to write.
//!
//! It shows and never decides: boards come ranked from Redis, snapshots ready-made from the topic
//! `leaderboard`, and what is sent to it goes into Kafka as it came. Any number of controllers can
//! run; none knows of another.
//!
//! What it promises: the newest snapshot at once on connect, and the last one always; a slow
//! viewer skips, a dead one is closed, neither is felt by others; whatever is too much (viewers,
//! requests, bytes, time) is refused at once and by name.

pub mod routes;

pub mod live;

pub mod api;
pub mod writes;

pub mod access;

mod openapi;
mod pages;

mod etag;
mod problem;
pub mod requests;
pub mod server;
mod settings;

pub use settings::Settings;

use access::{Access, Keys, Rates};
use anyhow::Context as _;
use api::{Api, Archive};
use archive_store::ArchiveStore;
use board_store::BoardStore;
use boards::{Board, BoardSet};
use live::{Feed, Live, Seats, ViewerLimits};
use requests::InFlight;
use routes::Parts;
use server::ServerLimits;
use service::{Check, Process, Stop};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};
use writes::{KafkaLog, WriteLimits, Writes};

/// Room for connections that are not viewers.
const PLAIN_CONNECTIONS: u32 = 1024;
/// How often Redis is asked for a sign of life, and how long it has to give one.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Serves until the process is stopped.
///
/// # Errors
/// When a setting is not valid. Redis and Kafka are waited for, with readiness false.
pub async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
    let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
    let connection = settings.redis.connect().context("REDIS_URL")?;
    let store = |board: &Board| BoardStore::with_connection(connection.clone(), board.clone());
    let stores: Vec<BoardStore> = boards.iter().map(store).collect();
    let of_default = stores[0].clone();
    let listener = TcpListener::bind(settings.listen_addr)
        .await
        .with_context(|| format!("LISTEN_ADDR: listening on {}", settings.listen_addr))?;
    let connections = server::room_for(settings.max_viewers + PLAIN_CONNECTIONS);
    let limits = ServerLimits::new(connections);
    let viewers = viewers_among(connections).min(settings.max_viewers);
    if viewers < settings.max_viewers {
        info!("the limit on open files leaves room for {viewers} viewers; MAX_VIEWERS wants more");
    }

    let stop = &process.stop;
    let feed = Feed::new(boards.clone());
    let seats = Seats::new(viewers, stop.clone());
    let access = access(&settings)?;
    let keys = settings.access.api_keys_file.clone().map(|file| (access.keys.clone(), file));
    let log = KafkaLog::new(&settings.kafka).context("Kafka settings")?;
    let limits_of_writes = WriteLimits {
        events_in_flight: settings.max_events_in_flight,
        body_bytes: usize::try_from(settings.max_batch_bytes).unwrap_or(usize::MAX),
        ..WriteLimits::default()
    };
    let writes =
        Writes::new(log, boards.clone(), of_default.clone(), limits_of_writes, process.clock.clone());
    let archive = settings.postgres_url.as_ref();
    let archive =
        archive.map(|url| ArchiveStore::new(url, Vec::new())).transpose().context("POSTGRES_URL")?;
    let archive = archive.map(|archive| Box::new(archive) as Box<dyn Archive>);
    let (api, reading) = Api::new(boards.clone(), stores, feed.newest(), archive, process.clock.clone());
    let follows = api.follows();
    let live = Live {
        boards,
        newest: feed.newest(),
        follows: follows.clone(),
        seats: seats.clone(),
        origins: settings.allowed_origins.clone(),
        limits: ViewerLimits::default(),
    };
    let in_flight = InFlight::new(settings.max_requests_in_flight);
    let admin = process.admin_routes();
    let router = routes::routes(Parts { admin, live, api, writes: writes.clone(), access, in_flight });

    info!("listening on http://{}", listener.local_addr()?);
    let serving = async {
        server::serve(listener, router, limits, stop.clone()).await;
        seats.empty().await;
        writes.drain().await;
        Ok(())
    };
    let looking = async {
        tokio::join!(writes.look(stop), follows.look(stop));
        Ok(())
    };
    let keeping_keys = async {
        if let Some((keys, file)) = keys {
            keys.follow(file, stop.clone()).await;
        }
        Ok(())
    };
    let pinging = async {
        ping(&of_default, &process.health.check("redis"), stop).await;
        Ok(())
    };
    // On a worker's thread, beside those who ask: on this one, each read would wake it.
    let reading = tokio::spawn(reading);
    let reading = async { reading.await.context("the reads") };
    let following = feed.follow(settings.kafka, process.health.check("kafka"), stop.clone());
    tokio::try_join!(serving, reading, pinging, following, looking, keeping_keys)?;
    Ok(())
}

/// Who may do what, as the settings say.
fn access(settings: &Settings) -> anyhow::Result<Access> {
    let asked = &settings.access;
    let keys = match &asked.api_keys_file {
        Some(file) => Keys::load(file).context("API_KEYS_FILE")?,
        None => Keys::of(Vec::new()),
    };
    if asked.dev_open_writes {
        anyhow::ensure!(
            settings.listen_addr.ip().is_loopback(),
            "DEV_OPEN_WRITES lets anyone write who can reach LISTEN_ADDR {}: only on a loopback address",
            settings.listen_addr
        );
        warn!("DEV_OPEN_WRITES: anyone on this machine may write, without a key");
    }
    Ok(Access {
        keys,
        public_reads: asked.public_reads,
        open_writes: asked.dev_open_writes,
        proxies: asked.trusted_proxies.clone(),
        reads: Rates::per_second(asked.reads_per_second),
        writes: Rates::per_second(asked.writes_per_second),
        origins: settings.allowed_origins.clone(),
    })
}

/// How many connections may be viewers: all but the plain ones, and where that would leave next
/// to none, three of four.
fn viewers_among(connections: u32) -> u32 {
    connections.saturating_sub(PLAIN_CONNECTIONS).max(connections / 4 * 3).max(1)
}

/// Keeps `check` true to whether Redis answers.
async fn ping(store: &BoardStore, check: &Check, stop: &Stop) {
    let mut ticks = interval(PING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_away = false;
    loop {
        let answer = tokio::select! {
            () = stop.cancelled() => return,
            answer = async {
                ticks.tick().await;
                timeout(PING_INTERVAL, store.ping()).await
            } => answer,
        };
        let away = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("Redis: no answer within {PING_INTERVAL:?}")),
        };
        match &away {
            None => check.ok(),
            Some(why) => check.fail(why),
        }
        match &away {
            Some(why) if !was_away => warn!("{why}; requests are answered with 503"),
            None if was_away => info!("Redis is back"),
            _ => {}
        }
        was_away = away.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_leave_room_for_others_however_little_there_is() {
        assert_eq!(viewers_among(20_000 + PLAIN_CONNECTIONS), 20_000);
        assert_eq!(viewers_among(800), 600);
        assert_eq!(viewers_among(1), 1);
    }
}
