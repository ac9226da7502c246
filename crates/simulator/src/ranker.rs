//! The ranker's surroundings in the simulation.

use crate::archive::ModelHistory;
use crate::desk::Desk;
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

    async fn published(&self, boards: &[String]) -> anyhow::Result<Vec<Version>> {
        let boards = boards.to_vec();
        let newest = move |stores: &mut crate::desk::Stores| {
            let newest_of = |board: &String| {
                let snapshots = stores.leaderboard.iter().filter(|snapshot| snapshot.board == *board);
                snapshots.map(|snapshot| snapshot.version).max().unwrap_or(Version { epoch: 0, version: 0 })
            };
            boards.iter().map(newest_of).collect()
        };
        self.desk.ask(newest).await
    }

    async fn history(&self, refused_from: BTreeMap<i32, i64>) -> Option<anyhow::Result<ModelHistory>> {
        Some(ModelHistory::take(&self.desk, refused_from).await)
    }

    fn token(&self) -> String {
        self.shared.tokens.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn now(&self) -> EventTime {
        EventTime::from_micros(self.shared.now_micros.load(Ordering::Relaxed))
            .unwrap_or(EventTime::UNIX_EPOCH)
    }
}
