//! Live updates as the examples of axum have them: one channel, and each connection forwards it.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// How many frames a slow viewer may be behind.
const BEHIND: usize = 16;

pub(crate) async fn run(address: &str) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let frames: broadcast::Sender<String> = broadcast::Sender::new(BEHIND);
    let router = Router::new().route("/live", get(live)).route("/publish", post(publish)).with_state(frames);
    Ok(axum::serve(TcpListener::bind(address).await?, router).await?)
}

async fn publish(State(frames): State<broadcast::Sender<String>>, frame: String) {
    // Nobody may be there yet.
    let _ = frames.send(frame);
}

async fn live(State(frames): State<broadcast::Sender<String>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        let mut frames = frames.subscribe();
        while let Ok(frame) = frames.recv().await {
            if socket.send(Message::text(frame)).await.is_err() {
                return;
            }
        }
    })
}
