//! A websocket client that knows only the plain form.

use contracts::Snapshot;
use futures_util::StreamExt as _;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A connected viewer.
pub struct Viewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// One text frame and when it came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When.
    pub at: Instant,
    /// The frame's text.
    pub text: String,
}

impl Frame {
    /// (name, score) of each row, best first.
    ///
    /// # Panics
    /// When the frame is not a snapshot.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, i64)> {
        let snapshot = self.snapshot();
        snapshot.user_list.into_iter().map(|row| (row.user_id, row.score.units())).collect()
    }

    /// The frame as a snapshot.
    ///
    /// # Panics
    /// When it is not one.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("not a snapshot: {error}: {}", self.text))
    }
}

impl Viewer {
    /// Connects.
    ///
    /// # Panics
    /// When the controller refuses.
    pub async fn connect(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.expect("a websocket");
        Self { socket }
    }

    /// Connects, or says why not.
    ///
    /// # Errors
    /// When the controller is away or refuses.
    pub async fn try_connect(url: &str) -> anyhow::Result<Self> {
        let (socket, _) = connect_async(url).await?;
        Ok(Self { socket })
    }

    /// The next text frame, whenever it comes; `None` when the connection has ended.
    pub async fn until_end(&mut self) -> Option<Frame> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => {
                    return Some(Frame { at: Instant::now(), text: text.as_str().to_owned() });
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next text frame within `limit`; `None` when none came, or the connection ended.
    pub async fn next(&mut self, limit: Duration) -> Option<Frame> {
        tokio::time::timeout(limit, self.until_end()).await.ok().flatten()
    }

    /// The first frame within `limit` that `wanted` accepts.
    ///
    /// # Panics
    /// When none came.
    pub async fn expect(&mut self, limit: Duration, mut wanted: impl FnMut(&Frame) -> bool) -> Frame {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < limit {
            match self.next(limit.saturating_sub(begun.elapsed())).await {
                Some(frame) if wanted(&frame) => return frame,
                Some(frame) => last = Some(frame.text),
                None => break,
            }
        }
        panic!("no such frame within {limit:?}; last: {last:?}");
    }
}
