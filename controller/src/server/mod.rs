//! Accepting connections and ending them.
//!
//! axum's own loop lets a client that sends nothing, or reads nothing, hold a connection forever;
//! this one does not.

mod connection;

use crate::access::Peer;
use axum::Router;
use connection::Connection;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use service::Stop;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

/// The largest head of a request: path and headers together.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// What else is open besides connections: logs, stores, brokers, the admin endpoints.
const OTHER_FILES: u64 = 256;
/// When no connection can be accepted, e.g. for lack of files, the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What clients are held to.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// How many connections there may be, websockets included. Those beyond wait to be accepted.
    pub connections: u32,
    /// How long the head of a request may take to come, from the moment it could; so it is also
    /// how long a connection may be idle between requests. Longer than the page's ten seconds
    /// from one look at /readyz to the next.
    pub head: Duration,
    /// How long a client may take nothing of what is written to it.
    pub stall: Duration,
    /// How long requests in work may go on when we are stopping.
    pub drain: Duration,
}

impl ServerLimits {
    /// The limits for so many connections.
    #[must_use]
    pub fn new(connections: u32) -> Self {
        Self {
            connections,
            head: Duration::from_secs(20),
            stall: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop`, then lets requests in work end. Websockets see to themselves.
pub async fn serve(listener: TcpListener, router: Router, limits: ServerLimits, stop: Stop) {
    let places = Arc::new(Semaphore::new(usize::try_from(limits.connections).unwrap_or(usize::MAX)));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, place) = accept(&listener, &places) => {
                let connection = Connection::new(stream, limits.stall, place);
                connections.spawn(converse(connection, peer, router.clone(), limits, stop.clone()));
            }
        }
    }
    drop(listener);
    connections.join_all().await;
}

/// A place, then a connection for it. Nothing is lost when this is dropped while it waits.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the places are never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, Peer(address.ip()), place),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(connection: Connection, peer: Peer, router: Router, limits: ServerLimits, stop: Stop) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    http.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    let router = TowerToHyperService::new(router);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let conversation = http.serve_connection(TokioIo::new(connection), answer).with_upgrades();
    let mut conversation = pin!(conversation);
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = stop.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            match timeout(limits.drain, conversation).await {
                Ok(ended) => ended,
                Err(_) => return debug!("a connection was cut off: it did not end in time"),
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// How many connections of the `wanted` the system has files for, having asked it for them all.
pub fn room_for(wanted: u32) -> u32 {
    let files = u64::from(wanted) + OTHER_FILES;
    let granted = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let raised = files.clamp(soft, hard.max(soft));
        if raised > soft {
            setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
        }
        Ok(raised)
    });
    let granted = granted.unwrap_or_else(|error| {
        warn!(%error, "the limit on open files could not be raised");
        files
    });
    u32::try_from(granted.saturating_sub(OTHER_FILES)).unwrap_or(wanted).clamp(1, wanted)
}
