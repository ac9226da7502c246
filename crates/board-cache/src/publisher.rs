//! One board's way from Redis to the viewers.

use crate::board::{shows_something_new, snapshot, version_of};
use anyhow::Context as _;
use board_store::{BoardStore, Connection, Rows};
use boards::RankMode;
use contracts::{EventTime, Snapshot, Version};
use metrics::counter;
use service::Clock;
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

/// Publishes one board.
pub struct Publisher<C, O> {
    store: BoardStore<C>,
    outlet: O,
    clock: Clock,
    on_topic: OnTopic,
    /// Where the board stood when it was last looked at, and what its rows were worth.
    looked: Option<(Version, Rows)>,
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
    /// it was last looked at, or something that was looked at is not on the topic. Notices make
    /// us fast; this makes us sure.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn has_moved(&self) -> anyhow::Result<bool> {
        let version = self.store.version().await.context("asking where the board stands")?;
        Ok(version != self.looked.map(|(version, _)| version)
            || self.looked.is_some_and(|(_, state)| state != Rows::Current)
            || self.unsent
            || self.awaited.is_some()
            || self.on_topic.ends_with_an_older())
    }

    /// Looks at the board, in one round trip and one for the names, and publishes what is new.
    /// Says whether to look again.
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
        let page = self.store.all_time().page(board.top, None, RankMode::Ordinal).await;
        let Some(page) = page.context("reading the top")? else { return Ok(false) };
        let shown = self.on_topic.newest.as_ref();
        let names =
            self.store.names(page.found.rows.iter().map(|row| &row.player)).await.context("reading names")?;
        let now = EventTime::from_micros(self.clock.now_micros()).unwrap_or(EventTime::UNIX_EPOCH);
        let cached = if page.state == Rows::Unfit { self.cached().await? } else { None };
        let last = [shown, cached.as_ref()].into_iter().flatten().max_by_key(|snapshot| snapshot.version);
        let next = snapshot(&board.name, &page, names, last, now.to_millis_f64());
        let looked = (page.version, page.state);
        if page.version < version_of(shown) || shows_something_new(shown, &next) {
            let confirmed = self.store.confirm(page.version, version_of(shown)).await;
            if !confirmed.context("asking whether Redis has its tail")? {
                info!(
                    board = board.name,
                    "Redis was started again, or stands behind what was shown: a new epoch"
                );
                return Ok(true);
            }
            self.publish(next).await?;
        } else {
            self.awaited = None;
        }
        self.looked = Some(looked);
        Ok(false)
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
