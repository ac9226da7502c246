//! One viewer, from the first frame to the last.
//!
//! A viewer has no queue: it takes the newest frame when it is done with the one before. Nothing
//! that a viewer does, or does not do, is felt by another.

use super::feed::Newest;
use super::seats::Seat;
use super::{Frame, ViewerLimits};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use metrics::{Counter, counter};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

/// How long a viewer has to answer our goodbye, or to take our answer to theirs.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// Why a viewer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It said goodbye.
    Left,
    /// The connection broke, or carried what is not a websocket message of ours.
    Broken,
    /// Nothing was heard of it, not even answers to pings.
    Silent,
    /// It did not take a frame in time.
    Stalled,
    /// It talked too much.
    Flood,
    /// We are stopping.
    GoingAway,
}

impl Closed {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Flood => "flood",
            Self::GoingAway => "going_away",
        }
    }
}

/// What a viewer is told, and what it may say.
pub(super) trait Form: Send {
    /// What is said first. `newest` is the newest frame.
    fn greeting(&self, newest: Option<&Frame>) -> Option<Utf8Bytes>;

    /// The message that shows a frame, unless the viewer has seen it.
    fn show(&mut self, frame: &Frame) -> Option<Utf8Bytes>;

    /// What is answered to a message.
    fn answer(&mut self, message: &Message) -> Option<Utf8Bytes>;

    /// The next news beside the frames. It can be dropped without loss.
    fn news(&mut self) -> impl Future<Output = Utf8Bytes> + Send;
}

/// Each message is a snapshot as it was published; what the viewer says is not heard.
pub(super) struct Plain;

impl Form for Plain {
    fn greeting(&self, _: Option<&Frame>) -> Option<Utf8Bytes> {
        None
    }

    fn show(&mut self, frame: &Frame) -> Option<Utf8Bytes> {
        Some(frame.text.clone())
    }

    fn answer(&mut self, _: &Message) -> Option<Utf8Bytes> {
        None
    }

    fn news(&mut self) -> impl Future<Output = Utf8Bytes> + Send {
        std::future::pending()
    }
}

pub(super) struct Viewer<F> {
    socket: WebSocket,
    form: F,
    limits: ViewerLimits,
    last_number: Option<u64>,
    sent: Counter,
    skipped: Counter,
}

impl<F: Form> Viewer<F> {
    pub(super) fn new(socket: WebSocket, form: F, limits: ViewerLimits) -> Self {
        Self {
            socket,
            form,
            limits,
            last_number: None,
            sent: counter!("controller_frames_sent_total"),
            skipped: counter!("controller_frames_skipped_total"),
        }
    }

    /// Shows the newest frame, and every one that is the newest when there is time for it.
    pub(super) async fn watch(mut self, mut newest: Newest, seat: &Seat) {
        let Err(closed) = self.follow(&mut newest, seat).await;
        counter!("controller_viewers_closed_total", "reason" => closed.as_str()).increment(1);
        // Whoever is dead or stuck gets no goodbye: the socket is just dropped.
        match closed {
            Closed::GoingAway => self.say_goodbye(close_code::AWAY, "going away").await,
            Closed::Flood => self.say_goodbye(close_code::POLICY, "too many messages").await,
            Closed::Left => self.hear_out().await,
            Closed::Broken | Closed::Silent | Closed::Stalled => {}
        }
    }

    async fn follow(&mut self, newest: &mut Newest, seat: &Seat) -> Result<std::convert::Infallible, Closed> {
        let greeting = self.form.greeting(newest.borrow().as_deref());
        if let Some(greeting) = greeting {
            self.send(Message::Text(greeting)).await?;
        }
        // What is there already is news to this viewer.
        newest.mark_changed();
        let ViewerLimits { ping_every, silence, messages_per_ping, .. } = self.limits;
        let mut ping = interval_at(Instant::now() + ping_every, ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = pin!(sleep(silence));
        let mut farewell = pin!(seat.farewell());
        let mut messages = 0;
        loop {
            // Each branch waits for one thing and can be dropped without loss.
            tokio::select! {
                changed = newest.changed() => {
                    changed.map_err(|_| Closed::GoingAway)?;
                    let frame = newest.borrow_and_update().clone();
                    if let Some(frame) = frame {
                        self.show(&frame).await?;
                    }
                }
                message = self.socket.recv() => {
                    let message = match message {
                        Some(Ok(Message::Close(_))) => return Err(Closed::Left),
                        Some(Ok(message)) => message,
                        Some(Err(_)) | None => return Err(Closed::Broken),
                    };
                    messages += 1;
                    if messages > messages_per_ping {
                        return Err(Closed::Flood);
                    }
                    silent.as_mut().reset(Instant::now() + silence);
                    if let Some(answer) = self.form.answer(&message) {
                        self.send(Message::Text(answer)).await?;
                    }
                }
                news = self.form.news() => self.send(Message::Text(news)).await?,
                _ = ping.tick() => {
                    messages = 0;
                    self.send(Message::Ping(bytes::Bytes::new())).await?;
                }
                () = &mut silent => return Err(Closed::Silent),
                () = &mut farewell => return Err(Closed::GoingAway),
            }
        }
    }

    async fn show(&mut self, frame: &Frame) -> Result<(), Closed> {
        let Some(text) = self.form.show(frame) else { return Ok(()) };
        self.send(Message::Text(text)).await?;
        self.sent.increment(1);
        if let Some(last) = self.last_number.replace(frame.number) {
            self.skipped.increment(frame.number.saturating_sub(last + 1));
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        match timeout(self.limits.write, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Closed::Broken),
            Err(_) => Err(Closed::Stalled),
        }
    }

    async fn say_goodbye(&mut self, code: u16, reason: &'static str) {
        let goodbye = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        if let Ok(Ok(())) = timeout(GOODBYE_LIMIT, self.socket.send(goodbye)).await {
            self.hear_out().await;
        }
    }

    /// Reads to the end: dropping a socket with something unread would take back what we sent.
    async fn hear_out(&mut self) {
        let end = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        drop(timeout(GOODBYE_LIMIT, end).await);
    }
}
