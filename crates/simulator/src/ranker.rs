//! The ranker's surroundings in the simulation.

use crate::archive::ModelHistory;
use crate::desk::Desk;
use boards::Board;
use contracts::dead_letter::DeadLetter;
use contracts::{EventTime, Notice, Version};
use recovery::rebuild::DeadLetters;
use score_ranker::Surroundings;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// What the time is, and whether anything moved: shared by everyone in a run.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The wall clock in microseconds; it may step.
    pub(crate) now_micros: AtomicI64,
    /// Whether a notice is on its way.
    pub(crate) noticed: AtomicBool,
    tokens: AtomicU64,
}

/// Desk, clock and notices.
pub(crate) struct ModelSurroundings {
    /// Where requests go.
    pub(crate) desk: Desk,
    /// The board.
    pub(crate) board: Board,
    /// Clock and notices.
    pub(crate) shared: Arc<Shared>,
}

impl DeadLetters for ModelSurroundings {
    async fn bury(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        let keys: Vec<String> = letters.iter().map(|letter| letter.coordinates.key()).collect();
        self.desk.ask(move |stores| stores.dead_letters.extend(keys)).await
    }
}

impl Surroundings for ModelSurroundings {
    type History = ModelHistory;

    fn notify(&self, _: &Notice) {
        self.shared.noticed.store(true, Ordering::Relaxed);
    }

    async fn published(&self, _: &str) -> anyhow::Result<Version> {
        let newest = |stores: &mut crate::desk::Stores| {
            stores.leaderboard.iter().map(|snapshot| snapshot.version).max()
        };
        Ok(self.desk.ask(newest).await?.unwrap_or(Version { epoch: 0, version: 0 }))
    }

    async fn history(&self, _: u8, refused_from: BTreeMap<i32, i64>) -> Option<anyhow::Result<ModelHistory>> {
        Some(ModelHistory::take(&self.desk, self.board.clone(), refused_from).await)
    }

    fn token(&self) -> String {
        self.shared.tokens.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn now(&self) -> EventTime {
        EventTime::from_micros(self.shared.now_micros.load(Ordering::Relaxed))
            .unwrap_or(EventTime::UNIX_EPOCH)
    }
}
