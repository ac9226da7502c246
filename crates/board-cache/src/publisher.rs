//! One board's way from Redis to the viewers.

use crate::board::{shows_something_new, snapshot, version_of};
use anyhow::Context as _;
use board_store::{BoardStore, Connection, Page, Reading, Rows};
use boards::{RankMode, View, Window};
use contracts::{EventTime, Snapshot, Version};
use metrics::counter;
use service::Clock;
use std::sync::Arc;
use tracing::{debug, info};

/// Where snapshots go.
pub trait Outlet: Send + Sync + 'static {
    /// Puts an encoded snapshot on the topic; returns when it is acknowledged.
    fn send(&self, board: &str, payload: &str) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What is on the topic, of one board.
#[derive(Clone, Debug, Default)]
struct OnTopic {
    /// The newest snapshot: what viewers have.
    newest: Option<Snapshot>,
    /// Where the board stood in the last record: what compaction leaves.
    last: Option<Version>,
}

impl OnTopic {
    /// Takes the next record.
    fn take(&mut self, snapshot: Snapshot) {
        self.last = Some(snapshot.version);
        if self.newest.as_ref().is_none_or(|newest| newest.version <= snapshot.version) {
            self.newest = Some(snapshot);
        }
    }

    /// Whether someone who reads the compacted topic later would find an older snapshot than
    /// those who read it now: another instance was stopped between looking and sending.
    fn ends_with_an_older(&self) -> bool {
        self.last < self.newest.as_ref().map(|newest| newest.version)
    }
}

/// What a look at the board found.
#[derive(Clone, Debug)]
struct Looked {
    /// Where the board stood.
    version: Version,
    /// What its rows were worth.
    state: Rows,
    /// Since when the window was meant to be shown that was the present one then.
    since: EventTime,
}

/// Publishes one board: the top of its usual window.
///
/// When that window turns, the board itself is turned, once, whoever of several publishers does it:
/// its version moves, so that what is shown of the new window is newer than all of the old, and it
/// says to which window it is turned, so that nobody shows another at that version.
pub struct Publisher<C, O> {
    store: BoardStore<C>,
    outlet: O,
    clock: Clock,
    on_topic: OnTopic,
    /// What was found when the board was last looked at.
    looked: Option<Looked>,
    /// Whether what we have cached may be missing on the topic.
    unsent: bool,
    /// What another instance has cached, and has yet to send.
    awaited: Option<Version>,
}

impl<C: Connection, O: Outlet> Publisher<C, O> {
    /// A publisher that knows nothing yet: tell it what is on the topic.
    pub fn new(store: BoardStore<C>, outlet: O, clock: Clock) -> Self {
        Self {
            store,
            outlet,
            clock,
            on_topic: OnTopic::default(),
            looked: None,
            unsent: false,
            awaited: None,
        }
    }

    /// Takes the next record of the topic, of this board.
    pub fn take(&mut self, snapshot: Snapshot) {
        self.on_topic.take(snapshot);
    }

    /// Whether there is reason to look, without any notice: the board stands elsewhere than when
    /// it was last looked at, its window has turned, or something that was looked at is not on the topic. Notices make
    /// us fast; this makes us sure.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn has_moved(&self) -> anyhow::Result<bool> {
        let version = self.store.version().await.context("asking where the board stands")?;
        let looked = self.looked.as_ref();
        let (_, since) = self.store.board().usual_window(self.now());
        Ok(version != looked.map(|looked| looked.version)
            || looked.is_some_and(|looked| looked.state != Rows::Current || looked.since < since)
            || self.unsent
            || self.awaited.is_some()
            || self.on_topic.ends_with_an_older())
    }

    /// Looks at the board, in one round trip and one for the names, and publishes what is new; where
    /// the window turns, in two more. Says whether to look again.
    ///
    /// # Errors
    /// When Redis or Kafka does not answer.
    pub async fn look(&mut self) -> anyhow::Result<bool> {
        if self.on_topic.ends_with_an_older()
            && let Some(newest) = self.on_topic.newest.clone()
        {
            self.send(newest).await?;
        }
        let board = self.store.board();
        let now = self.now();
        let (mut window, since) = board.usual_window(now);
        let Some(mut page) = self.top_of(&window).await? else { return Ok(false) };
        if !board.all_time
            && page.found.turned_to.as_deref() != Some(&window.id)
            && let Some(turned) = self.store.turn(&window, since).await.context("turning the window")?
        {
            // Another publisher's clock may be ahead of ours.
            window = board.window_of_id(&turned).map_or(window, Arc::new);
            match self.top_of(&window).await? {
                Some(read) if read.found.turned_to == Some(turned) => page = read,
                _ => return Ok(true),
            }
        }
        let shown = self.on_topic.newest.as_ref();
        let names =
            self.store.names(page.found.rows.iter().map(|row| &row.player)).await.context("reading names")?;
        let cached = if page.state.are_fit() { None } else { self.cached().await? };
        let last = [shown, cached.as_ref()].into_iter().flatten().max_by_key(|snapshot| snapshot.version);
        if page.state == Rows::Foreign && last.is_none() {
            return Ok(false);
        }
        let next = snapshot(&board.name, &window.id, &page, names, last, now.to_millis_f64());
        let looked = Looked { version: page.version, state: page.state, since };
        let has_news = page.version < version_of(shown) || shows_something_new(shown, &next);
        // Of a board per value nothing is shown but its epoch; all else is only asked for.
        let moves_unseen = board.per_value.is_some()
            && self.looked.as_ref().is_none_or(|before| before.version != looked.version);
        if has_news || moves_unseen {
            let confirmed = self.store.confirm(page.version, version_of(shown)).await;
            if !confirmed.context("asking whether Redis has its tail")? {
                info!(
                    board = board.name,
                    "Redis was started again, or stands behind what was shown: a new epoch"
                );
                return Ok(true);
            }
        }
        if has_news {
            self.publish(next).await?;
        } else {
            self.awaited = None;
        }
        self.looked = Some(looked);
        Ok(false)
    }

    fn now(&self) -> EventTime {
        EventTime::from_micros(self.clock.now_micros()).unwrap_or(EventTime::UNIX_EPOCH)
    }

    async fn top_of(&self, window: &Arc<Window>) -> anyhow::Result<Option<Reading<Page>>> {
        let board = self.store.board();
        let view = View { value: None, window: Arc::clone(window) };
        let page = self.store.view(&view).page(board.top, None, RankMode::Ordinal).await;
        page.context("reading the top")
    }

    /// What is cached: another instance may have shown more than we have read of the topic, as
    /// after we were stopped for a while.
    async fn cached(&self) -> anyhow::Result<Option<Snapshot>> {
        let cached = self.store.cached().await.context("reading what is cached")?;
        Ok(cached.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// To the cache, and if it was new there, to the viewers. If it was not, another instance is
    /// about to send it; should that take until we look again, we do.
    async fn publish(&mut self, next: Snapshot) -> anyhow::Result<()> {
        let payload = serde_json::to_string(&next).context("encoding")?;
        let cached = self.store.publish(&payload, next.version, next.rebuilding).await.context("caching")?;
        if !cached && !self.unsent && self.awaited.is_none_or(|awaited| awaited > next.version) {
            debug!(version = ?next.version, "cached by another instance");
            self.awaited = Some(next.version);
            return Ok(());
        }
        self.send(next).await
    }

    async fn send(&mut self, next: Snapshot) -> anyhow::Result<()> {
        let payload = serde_json::to_string(&next).context("encoding")?;
        self.unsent = true;
        self.outlet.send(&next.board, &payload).await.context("publishing")?;
        (self.unsent, self.awaited) = (false, None);
        self.on_topic.take(next);
        counter!("board_cache_snapshots_total").increment(1);
        Ok(())
    }
}
