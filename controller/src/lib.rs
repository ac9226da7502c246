//! The controller: the public web server. Page, live board and REST.
//!
//! It shows and never decides: boards come ranked from Redis, snapshots ready-made from the topic
//! `leaderboard`. Any number of controllers can run; none knows of another.
//!
//! What it promises: the newest snapshot at once on connect, and the last one always; a slow
//! viewer skips, a dead one is closed, neither is felt by others; whatever is too much (viewers,
//! requests, bytes, time) is refused at once and by name.

pub mod routes;

pub mod live;

pub mod api;
mod pages;

mod etag;
mod problem;
pub mod requests;
pub mod server;
mod settings;

pub use settings::Settings;

use anyhow::Context as _;
use api::Api;
use board_store::BoardStore;
use boards::BoardSet;
use live::{Feed, Live, Seats, ViewerLimits};
use requests::InFlight;
use server::ServerLimits;
use service::{Check, Process, Stop};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

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
    let board = boards.default_board();
    let store = BoardStore::new(&settings.redis, board.clone()).context("REDIS_URL")?;
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
    let feed = Feed::new(&board.name);
    let seats = Seats::new(viewers, stop.clone());
    let live = Live {
        newest: feed.subscribe(),
        seats: seats.clone(),
        origins: settings.allowed_origins,
        limits: ViewerLimits::default(),
    };
    let (api, reading) = Api::new(store.clone(), feed.subscribe());
    let in_flight = InFlight::new(settings.max_requests_in_flight);
    let router = routes::routes(process.admin_routes(), live, api, in_flight);

    info!("listening on http://{}", listener.local_addr()?);
    let serving = async {
        server::serve(listener, router, limits, stop.clone()).await;
        seats.empty().await;
        Ok(())
    };
    let pinging = async {
        ping(&store, &process.health.check("redis"), stop).await;
        Ok(())
    };
    // On a worker's thread, beside those who ask: on this one, each read would wake it.
    let reading = tokio::spawn(reading);
    let reading = async { reading.await.context("the reads") };
    let following = feed.follow(settings.kafka, process.health.check("kafka"), stop.clone());
    tokio::try_join!(serving, reading, pinging, following)?;
    Ok(())
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
