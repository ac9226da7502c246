//! One board's way from Redis to the viewers.

use crate::board::{shows_something_new, snapshot, version_of};
use anyhow::Context as _;
use board_store::BoardStore;
use contracts::{EventTime, Snapshot, Version};
use metrics::counter;
use pipeline::{AckProducer, Message};
use tracing::debug;

/// Publishes one board.
pub(crate) struct Publisher {
    store: BoardStore,
    producer: AckProducer,
    topic: String,
    /// What viewers have.
    last: Option<Snapshot>,
    /// Where the board stood when it was last looked at.
    looked: Option<(Version, bool)>,
    /// Whether what is cached may be missing on the topic.
    unsent: bool,
}

impl Publisher {
    /// `last` is the newest snapshot on the topic.
    pub(crate) fn new(
        store: BoardStore,
        producer: AckProducer,
        topic: String,
        last: Option<Snapshot>,
    ) -> Self {
        Self { store, producer, topic, last, looked: None, unsent: true }
    }

    /// Whether the board stands elsewhere than when it was last looked at. Notices make us fast;
    /// this makes us sure.
    pub(crate) async fn has_moved(&self) -> anyhow::Result<bool> {
        let version = self.store.version().await.context("asking where the board stands")?;
        Ok(self.unsent || version != self.looked.map(|(version, _)| version) || self.is_rebuilding())
    }

    fn is_rebuilding(&self) -> bool {
        self.looked.is_some_and(|(_, rebuilding)| rebuilding)
    }

    /// Looks at the board, in one round trip and one for the names, and publishes what is new.
    pub(crate) async fn look(&mut self) -> anyhow::Result<()> {
        let board = self.store.board();
        let Some(page) = self.store.page(board.top, None).await.context("reading the top")? else {
            return Ok(());
        };
        let looked = (page.version, page.rebuilding);
        if self.looked == Some(looked) && !self.unsent {
            return Ok(());
        }
        let names =
            self.store.names(page.rows.iter().map(|row| &row.player)).await.context("reading names")?;
        let next = snapshot(&board.name, &page, names, self.last.as_ref(), now_ms());
        // What another instance published since is newer: it is not taken back.
        if next.version < version_of(self.last.as_ref()) {
            return Ok(());
        }
        if shows_something_new(self.last.as_ref(), &next) {
            self.publish(&next).await?;
            self.last = Some(next);
        }
        self.unsent = false;
        self.looked = Some(looked);
        Ok(())
    }

    /// To the cache, and if it was new there, to the viewers.
    async fn publish(&mut self, next: &Snapshot) -> anyhow::Result<()> {
        let payload = serde_json::to_string(next).context("encoding")?;
        let cached = self.store.publish(&payload, next.version, next.rebuilding).await.context("caching")?;
        if !cached && !self.unsent {
            debug!(version = ?next.version, "published by another instance");
            return Ok(());
        }
        self.unsent = true;
        let message = Message {
            topic: &self.topic,
            key: next.board.as_bytes(),
            payload: Some(payload.as_bytes()),
            headers: &[],
        };
        self.producer.send_all(&[message]).await.context("publishing")?;
        self.unsent = false;
        counter!("board_cache_snapshots_total").increment(1);
        Ok(())
    }
}

fn now_ms() -> f64 {
    let micros = jiff::Timestamp::now().as_microsecond();
    EventTime::from_micros(micros).map_or(0.0, EventTime::to_millis_f64)
}
