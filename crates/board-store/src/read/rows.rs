//! Rows that follow one another: pages, and the rows around a player.

use super::{Reading, Reply, View};
use crate::store::{Connection, StoreError};
use boards::RankMode;
use contracts::{PlayerId, Score, Stages};

/// A row of a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The rank, from 1, counted as was asked.
    pub rank: u64,
    /// The ordinal rank: one more than there are rows before this one.
    pub ordinal: u64,
    /// The player.
    pub player: PlayerId,
    /// The total.
    pub score: Score,
    /// The double under which the player stands.
    pub sorted_set_score: f64,
}

/// A place between two rows, which stays where it is while scores move.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The double under which the last row before it stood.
    pub sorted_set_score: f64,
    /// That row's player.
    pub player: PlayerId,
}

impl Row {
    /// Where a page that begins after this row begins.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { sorted_set_score: self.sorted_set_score, player: self.player.clone() }
    }
}

/// Rows of a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The stages of the newest event; not published yet.
    pub stages: Option<Stages>,
    /// The rows, best first.
    pub rows: Vec<Row>,
    /// Whether there are more.
    pub has_more: bool,
}

impl<C: Connection> View<'_, C> {
    /// Up to `limit` rows from the top, or from after the cursor; `None` when Redis knows nothing
    /// of the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours;
    /// [`StoreError::DenseRankUnknown`] when the first row is beyond what is counted.
    pub async fn page(
        self,
        limit: usize,
        after: Option<&Cursor>,
        mode: RankMode,
    ) -> Result<Option<Reading<Page>>, StoreError> {
        let mut call = self.script(&self.store.scripts.page);
        call.arg(mode.as_str()).arg(limit);
        if let Some(cursor) = after {
            // Rust's shortest text of a double reads back as the same double.
            call.arg(cursor.sorted_set_score.to_string()).arg(cursor.player.as_str());
        }
        self.ask(&call, |reply| {
            let [created, arrived, applied, rows @ ..] = reply else {
                return Err(self.store.corrupt("the page script answered too little"));
            };
            let mut rows = self.rows(mode, rows)?;
            let has_more = rows.len() > limit;
            rows.truncate(limit);
            let millis = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
            let stages = match (millis(created), millis(arrived), millis(applied)) {
                (Some(created_ms), Some(in_kafka_ms), Some(applied_ms)) => {
                    Some(Stages { created_ms, in_kafka_ms, applied_ms, published_ms: 0.0 })
                }
                _ => None,
            };
            Ok(Page { stages, rows, has_more })
        })
        .await
    }

    /// The rows around `player`, best first: `size` of them, or all there are. As many stand above
    /// the player as below, one less where that is not possible; near an end of the board, where
    /// there are not so many, more stand on the other side. Empty when the player is not on the
    /// board, `None` when Redis knows nothing of the board.
    ///
    /// # Errors
    /// As for [`page`](Self::page).
    pub async fn around(
        self,
        player: &PlayerId,
        size: usize,
        mode: RankMode,
    ) -> Result<Option<Reading<Vec<Row>>>, StoreError> {
        let mut call = self.script(&self.store.scripts.around);
        call.arg(mode.as_str()).arg(size).arg(player.as_str());
        self.ask(&call, |rows| self.rows(mode, rows)).await
    }

    /// What `add_rows` of the scripts has added.
    fn rows(&self, mode: RankMode, reply: &Reply) -> Result<Vec<Row>, StoreError> {
        let [before, above, rows @ ..] = reply else {
            return Err(self.store.corrupt("a script answered with too few rows"));
        };
        let before: u64 = self.number(before)?;
        let mut ranked: Vec<Row> = Vec::with_capacity(rows.len() / 2);
        for (pair, ordinal) in rows.chunks_exact(2).zip(before + 1..) {
            let [Some(player), Some(score)] = pair else {
                return Err(self.store.corrupt("a row is not a player and a score"));
            };
            let sorted_set_score: f64 =
                score.parse().map_err(|_| self.store.corrupt("a score is not a number"))?;
            let player =
                PlayerId::new(player.as_str()).map_err(|refusal| self.store.corrupt(&refusal.message))?;
            let score = self.total(sorted_set_score);
            let rank = match (ranked.last(), mode) {
                (None, _) => self.rank(mode, before, above)?,
                (Some(row), RankMode::Competition | RankMode::Dense) if row.score == score => row.rank,
                (Some(row), RankMode::Dense) => row.rank + 1,
                _ => ordinal,
            };
            ranked.push(Row { rank, ordinal, player, score, sorted_set_score });
        }
        Ok(ranked)
    }
}
