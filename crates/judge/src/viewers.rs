//! Viewers of our own: websockets in the plain form, on a thread of their own.
//!
//! A frame is timed when its message has been read, before anything is done with it. One thread serves
//! all viewers, so of a thousand the last is timed some milliseconds after it could have been.

use crate::recording::Recording;
use crate::sightings::Sightings;
use anyhow::Context as _;
use api_client::ApiSettings;
use futures_util::StreamExt as _;
use service::Stop;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

/// Where the controller shows the default board.
const LIVE_BOARD: &str = "/live-updates/leaderboard";
/// How many viewers there may be: one thread serves them all.
pub const MAX_VIEWERS: u16 = 2_000;
/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a viewer waits after its connection has ended or was refused.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);
/// How long nothing may come, not even a ping; the controller pings every 20 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// What the viewers have seen, and word of what is new.
struct Screens {
    sightings: Mutex<Sightings>,
    changed: Condvar,
}

/// Viewers that are watching.
pub struct Viewers {
    screens: Arc<Screens>,
    recording: Arc<Recording>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Viewers {
    /// So many viewers of the default board, which has so many decimals, of that controller.
    ///
    /// # Errors
    /// When the controller's URL or the key cannot be asked with, or no thread can be started. Whoever
    /// cannot connect tries again until the end.
    pub fn start(
        api: &ApiSettings,
        count: u16,
        decimals: u8,
        recording: &Arc<Recording>,
    ) -> anyhow::Result<Self> {
        let request = request(api)?;
        let sightings = Mutex::new(Sightings::new(usize::from(count), decimals));
        let screens = Arc::new(Screens { sightings, changed: Condvar::new() });
        let stop = Stop::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = {
            let (screens, recording, stop) = (Arc::clone(&screens), Arc::clone(recording), stop.clone());
            let watch_all = async move {
                let mut viewers = JoinSet::new();
                for viewer in 0..usize::from(count) {
                    let (screens, recording) = (Arc::clone(&screens), Arc::clone(&recording));
                    viewers.spawn(watch(request.clone(), viewer, screens, recording));
                }
                stop.cancelled().await;
                viewers.shutdown().await;
            };
            std::thread::Builder::new().name("viewers".into()).spawn(move || runtime.block_on(watch_all))?
        };
        Ok(Self { screens, recording: Arc::clone(recording), stop, thread: Some(thread) })
    }

    /// What was seen so far. Nothing is timed while it is held, so it is not to be held long before
    /// the viewers are [stopped](Self::stop).
    pub fn sightings(&self) -> MutexGuard<'_, Sightings> {
        self.screens.lock()
    }

    /// Waits until what was seen is as `wanted`, at most `limit`, and says whether it is.
    pub fn wait(&self, limit: Duration, mut wanted: impl FnMut(&Sightings) -> bool) -> bool {
        let begun = Instant::now();
        let mut seen = self.screens.lock();
        while !wanted(&seen) {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.screens.changed.wait_timeout(seen, left);
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until nothing new has come to anyone for `quiet`, at most `limit`, and says when the last
    /// frame came, in nanoseconds after the run's beginning.
    pub fn wait_for_quiet(&self, quiet: Duration, limit: Duration) -> u64 {
        let begun = Instant::now();
        let newest =
            |seen: &Sightings| seen.viewers().iter().map(|viewer| viewer.newest_nanos).max().unwrap_or(0);
        loop {
            let last = newest(&self.sightings());
            let since_last = self.recording.nanos(Instant::now()).saturating_sub(last);
            let left = quiet.saturating_sub(Duration::from_nanos(since_last).min(begun.elapsed()));
            if left.is_zero() || begun.elapsed() >= limit {
                return last;
            }
            std::thread::sleep(left.min(limit.saturating_sub(begun.elapsed())));
        }
    }

    /// Takes the viewers away, and gives what they saw.
    ///
    /// # Errors
    /// When their thread panicked.
    pub fn stop(mut self) -> anyhow::Result<Sightings> {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the viewers panicked"))?;
        }
        let nothing = Sightings::new(0, 0);
        Ok(std::mem::replace(&mut *self.screens.lock(), nothing))
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Screens {
    fn lock(&self) -> MutexGuard<'_, Sightings> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sightings)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// What a viewer asks for.
fn request(api: &ApiSettings) -> anyhow::Result<Request> {
    let mut request = api.websocket_url(LIVE_BOARD).into_client_request().context("--api")?;
    if let Some(authorization) = api.authorization() {
        let mut value = HeaderValue::try_from(authorization).context("--api-key")?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// Watches for as long as it is let, and connects again whenever it must.
async fn watch(request: Request, viewer: usize, screens: Arc<Screens>, recording: Arc<Recording>) {
    loop {
        let Err(why) = watch_once(&request, viewer, &screens, &recording).await;
        screens.change(|seen| seen.disconnected(viewer, format!("{why:#}")));
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn watch_once(
    request: &Request,
    viewer: usize,
    screens: &Screens,
    recording: &Recording,
) -> anyhow::Result<std::convert::Infallible> {
    let connected = tokio::time::timeout(CONNECT_LIMIT, connect_async(request.clone())).await;
    let (mut socket, _) =
        connected.context("no answer in time")?.with_context(|| request.uri().to_string())?;
    screens.change(|seen| seen.connected(viewer));
    loop {
        let message = tokio::time::timeout(SILENCE_LIMIT, socket.next()).await.context("nothing came")?;
        let at_nanos = recording.nanos(Instant::now());
        match message.context("the connection has ended")?? {
            Message::Text(text) => screens.change(|seen| seen.see(viewer, at_nanos, &text)),
            Message::Close(_) => anyhow::bail!("the controller has said goodbye"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Keep;
    use crate::sightings::tests::text;
    use futures_util::SinkExt as _;
    use std::net::TcpListener;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Response};

    const PATIENCE: Duration = Duration::from_secs(20);

    #[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "what the library asks for")]
    fn holder_of_key(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        assert_eq!(request.headers()["authorization"], "Bearer s3cret");
        Ok(response)
    }

    /// A controller that shows each of `frames` to whoever has the key, and hangs up after each.
    fn controller(frames: Vec<String>) -> (ApiSettings, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                for frame in frames {
                    let (socket, _) = listener.accept().await.unwrap();
                    let mut socket = accept_hdr_async(socket, holder_of_key).await.unwrap();
                    socket.send(Message::text(frame)).await.unwrap();
                    let _ = socket.close(None).await;
                }
            });
        });
        (ApiSettings { api_key: Some("s3cret".parse().unwrap()), ..ApiSettings::open(&url) }, thread)
    }

    #[test]
    fn viewers_time_what_they_see_and_come_back_when_they_are_cut_off() {
        let frames = vec![text(1, &[("a", "1")]), text(2, &[("a", "2")])];
        let (api, server) = controller(frames);
        let recording = Recording::new(Keep::Seconds);
        let samples = recording.begin_run().unwrap();
        let viewers = Viewers::start(&api, 1, 0, &recording).unwrap();
        assert!(viewers.wait(PATIENCE, |seen| seen.kept() == 2));
        let last = viewers.wait_for_quiet(Duration::from_millis(5), PATIENCE);
        assert!(viewers.wait(PATIENCE, |seen| !seen.viewers()[0].connected));
        assert!(!viewers.wait(Duration::from_millis(1), |seen| seen.kept() == 3));
        let seen = viewers.stop().unwrap();
        server.join().unwrap();
        recording.end_run();
        samples.join().unwrap();
        let viewer = &seen.viewers()[0];
        assert_eq!((viewer.connects, viewer.newest, viewer.fault.is_some()), (2, Some(1), true));
        assert_eq!(viewer.sightings[1].at_nanos, last);
        assert!(viewer.sightings[0].at_nanos < last && last <= recording.nanos(Instant::now()));
    }
}
