//! Who stands where: the answers that Redis and the API are held against.

use crate::changes::Change;
use crate::order::Reached;
use crate::rules::Board;
use contracts::PlayerId;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;

/// How places are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RankMode {
    /// 1, 2, 3, 4: everybody has a place of their own; ties are broken as the board says.
    #[default]
    Ordinal,
    /// 1, 2, 2, 4: one more than there are players with a better total.
    Competition,
    /// 1, 2, 2, 3: one more than there are better totals.
    Dense,
}

impl RankMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ordinal, Self::Competition, Self::Dense];

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinal => "ordinal",
            Self::Competition => "competition",
            Self::Dense => "dense",
        }
    }
}

/// Where one player stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The place, from 1.
    pub rank: u64,
    /// The player.
    pub player: PlayerId,
    /// The total, in units of the board's last decimal.
    pub total: i64,
}

/// The places that a total would have that a new player reached now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RankOfScore {
    /// Behind all who have it.
    pub ordinal: u64,
    /// One more than there are players with a better total.
    pub competition: u64,
    /// One more than there are better totals.
    pub dense: u64,
    /// How many players have just this total.
    pub players: u64,
}

/// A part of a histogram: the totals `from ≤ total < to`, in units of the board's last decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// The least total in it.
    pub from: i64,
    /// The least total above it.
    pub to: i64,
    /// How many players it holds.
    pub players: u64,
}

/// A view's players in their places.
#[derive(Clone, Debug)]
pub struct Ranking<'a> {
    board: &'a Board,
    /// Best first.
    rows: Vec<Row<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    player: &'a PlayerId,
    /// As it is stored: the highest is the best.
    stored: i64,
    reached: Reached,
    competition: u64,
    dense: u64,
}

impl<'a> Ranking<'a> {
    pub(crate) fn of(board: &'a Board, players: &'a HashMap<PlayerId, Change>) -> Self {
        let row = |(player, stands): (&'a PlayerId, &Change)| Row {
            player,
            stored: stands.value(),
            reached: stands.reached(),
            competition: 1,
            dense: 1,
        };
        let mut rows: Vec<Row<'a>> = players.iter().map(row).collect();
        rows.sort_unstable_by_key(|row| (Reverse(row.stored), row.reached, Reverse(row.player)));
        let mut before: Option<Row<'a>> = None;
        for (row, ordinal) in rows.iter_mut().zip(1..) {
            (row.competition, row.dense) = match before {
                None => (1, 1),
                Some(before) if before.stored == row.stored => (before.competition, before.dense),
                Some(before) => (ordinal, before.dense + 1),
            };
            before = Some(*row);
        }
        Self { board, rows }
    }

    /// How many players there are.
    #[must_use]
    pub fn players(&self) -> usize {
        self.rows.len()
    }

    /// `limit` players after the first `offset`, best first.
    #[must_use]
    pub fn page(&self, mode: RankMode, offset: usize, limit: usize) -> Vec<Standing> {
        let end = offset.saturating_add(limit).min(self.rows.len());
        (offset.min(end)..end).map(|index| self.standing(mode, index)).collect()
    }

    /// Where a player stands; `None` who is not on the board.
    #[must_use]
    pub fn place(&self, mode: RankMode, player: &str) -> Option<Standing> {
        Some(self.standing(mode, self.index_of(player)?))
    }

    /// Where each of them stands, in their order; `None` who is not on the board.
    #[must_use]
    pub fn by_ids(&self, mode: RankMode, players: &[&str]) -> Vec<Option<Standing>> {
        let index: HashMap<&str, usize> =
            self.rows.iter().enumerate().map(|(index, row)| (row.player.as_str(), index)).collect();
        players.iter().map(|player| Some(self.standing(mode, *index.get(player)?))).collect()
    }

    /// The `size` rows about a player, or all where there are not so many. Of these,
    /// `floor((size - 1) / 2)` stand above; where an end of the board does not allow that, the rows
    /// that are missing there stand on the other side. `None` when the player is not on the board.
    #[must_use]
    pub fn around(&self, mode: RankMode, player: &str, size: usize) -> Option<Vec<Standing>> {
        let size = size.min(self.rows.len());
        let above = size.saturating_sub(1) / 2;
        let first = self.index_of(player)?.saturating_sub(above).min(self.rows.len() - size);
        Some(self.page(mode, first, size))
    }

    /// The places that `total` would have, in units of the board's last decimal.
    #[must_use]
    pub fn rank_of_score(&self, total: i64) -> RankOfScore {
        let stored = self.board.stored(total);
        let better = self.rows.partition_point(|row| row.stored > stored);
        let not_worse = self.rows.partition_point(|row| row.stored >= stored);
        RankOfScore {
            ordinal: count(not_worse) + 1,
            competition: count(better) + 1,
            dense: better.checked_sub(1).map_or(0, |last| self.rows[last].dense) + 1,
            players: count(not_worse - better),
        }
    }

    /// A histogram of the totals in at most `buckets` parts, the lowest first. All are
    /// `⌈(greatest − least + 1) / buckets⌉` units wide, the first begins at the least total, and the
    /// last is the one that holds the greatest, beyond which it may reach. None when there are no
    /// players.
    #[must_use]
    pub fn distribution(&self, buckets: usize) -> Vec<Bucket> {
        let mut totals: Vec<i64> = self.rows.iter().map(|row| self.board.stored(row.stored)).collect();
        totals.sort_unstable();
        let (Some(least), Some(greatest)) = (totals.first().copied(), totals.last().copied()) else {
            return Vec::new();
        };
        let Ok(parts @ 1..) = i64::try_from(buckets) else { return Vec::new() };
        let width = (greatest - least) / parts + 1;
        let below = |total: i64| totals.partition_point(|other| *other < total);
        let bucket = |part: i64| {
            let from = least + part * width;
            Bucket { from, to: from + width, players: count(below(from + width) - below(from)) }
        };
        (0..=(greatest - least) / width).map(bucket).collect()
    }

    /// The share of players who stand at the player's ordinal rank or below it, in percent:
    /// `100 × (players − rank + 1) / players`. The first is at 100, the last of n at 100 / n.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "players are far below 2^53")]
    pub fn percentile(&self, player: &str) -> Option<f64> {
        let at_or_below = self.rows.len() - self.index_of(player)?;
        Some(100.0 * at_or_below as f64 / self.rows.len() as f64)
    }

    fn index_of(&self, player: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.player.as_str() == player)
    }

    fn standing(&self, mode: RankMode, index: usize) -> Standing {
        let row = &self.rows[index];
        let rank = match mode {
            RankMode::Ordinal => count(index) + 1,
            RankMode::Competition => row.competition,
            RankMode::Dense => row.dense,
        };
        Standing { rank, player: row.player.clone(), total: self.board.stored(row.stored) }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("usize is at most 64 bits")
}
