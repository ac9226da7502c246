//! A board-cache process: the real throttle and publisher, with modelled hands.

use crate::desk::Desk;
use crate::redis::ModelConnection;
use board_cache::{Outlet, Publisher, Throttle, TrailingEdge};
use board_store::BoardStore;
use contracts::Snapshot;
use service::Clock;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(500);
const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);

/// The topic `leaderboard`.
pub(crate) struct ModelOutlet(Desk);

impl Outlet for ModelOutlet {
    async fn send(&self, _: &str, payload: &str) -> anyhow::Result<()> {
        let snapshot: Snapshot = serde_json::from_str(payload)?;
        self.0.ask(move |stores| stores.leaderboard.push(snapshot)).await
    }
}

type Owned = Publisher<ModelConnection, ModelOutlet>;
type Work = Pin<Box<dyn Future<Output = (Owned, Done)> + Send>>;

enum Done {
    Looked(anyhow::Result<bool>),
    Asked(anyhow::Result<bool>),
}

/// A board-cache process that runs.
pub(crate) struct Caches(Vec<Cache>);

impl Caches {
    /// One that has just started, and has read the topic whole.
    pub(crate) fn start(
        stores: Vec<BoardStore<ModelConnection>>,
        desk: &Desk,
        clock: &Clock,
        trailing_edge: TrailingEdge,
        topic: &[Snapshot],
        now: Instant,
    ) -> Self {
        let cache = |store| Cache::start(store, desk.clone(), clock.clone(), trailing_edge, topic, now);
        Self(stores.into_iter().map(cache).collect())
    }

    /// Hears that a board moved.
    pub(crate) fn notice(&mut self, now: Instant) {
        self.0.iter_mut().for_each(|cache| cache.throttle.change(now));
    }

    /// Goes on with each board; says whether anything happened.
    pub(crate) fn step(&mut self, topic: &[Snapshot], now: Instant) -> bool {
        self.0.iter_mut().map(|cache| cache.step(topic, now)).fold(false, |any, this| any | this)
    }
}

/// What it does for one board.
struct Cache {
    board: String,
    /// `None` while it works.
    publisher: Option<Owned>,
    work: Option<Work>,
    throttle: Throttle,
    reconcile_at: Instant,
    /// How many records of the topic it has read.
    read: usize,
    trailing_edge: TrailingEdge,
}

impl Cache {
    fn start(
        store: BoardStore<ModelConnection>,
        desk: Desk,
        clock: Clock,
        trailing_edge: TrailingEdge,
        topic: &[Snapshot],
        now: Instant,
    ) -> Self {
        let board = store.board().name.clone();
        let mut publisher = Publisher::new(store, ModelOutlet(desk), clock);
        let of_board = topic.iter().filter(|snapshot| snapshot.board == board);
        of_board.for_each(|snapshot| publisher.take(snapshot.clone()));
        Self {
            board,
            publisher: Some(publisher),
            work: None,
            throttle: Throttle::new(INTERVAL, trailing_edge),
            reconcile_at: now,
            read: topic.len(),
            trailing_edge,
        }
    }

    fn step(&mut self, topic: &[Snapshot], now: Instant) -> bool {
        if let Some(work) = &mut self.work {
            let Poll::Ready((publisher, done)) = work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            else {
                return false;
            };
            (self.work, self.publisher) = (None, Some(publisher));
            let look_again = match done {
                Done::Looked(Ok(again)) | Done::Asked(Ok(again)) => again,
                Done::Looked(Err(_)) => true,
                Done::Asked(Err(_)) => false,
            };
            if look_again {
                self.throttle.change(now);
            }
            return true;
        }
        let Some(mut publisher) = self.publisher.take() else { return false };
        if let Some(snapshot) = topic.get(self.read) {
            if snapshot.board == self.board {
                publisher.take(snapshot.clone());
            }
            self.read += 1;
        } else if self.throttle.due(now).is_some_and(|at| at <= now) {
            self.throttle.look(now);
            self.work = Some(Box::pin(async move {
                let looked = publisher.look().await;
                (publisher, Done::Looked(looked))
            }));
            return true;
        } else if self.trailing_edge == TrailingEdge::On && self.reconcile_at <= now {
            self.reconcile_at = now + RECONCILE_INTERVAL;
            self.work = Some(Box::pin(async move {
                let moved = publisher.has_moved().await;
                (publisher, Done::Asked(moved))
            }));
            return true;
        } else {
            self.publisher = Some(publisher);
            return false;
        }
        self.publisher = Some(publisher);
        true
    }
}
