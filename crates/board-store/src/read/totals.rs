//! The totals of a board, whoever has them.

use super::{Reading, View};
use crate::store::{Connection, StoreError};
use contracts::Score;

/// A range of totals and how many players are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The least total in it.
    pub from: Score,
    /// The greatest total in it, which belongs to it.
    pub to: Score,
    /// How many players.
    pub players: u64,
}

/// Where a total would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankOf {
    /// How many players have this total.
    pub players_at: u64,
    /// The rank of a player who reached it now: behind all who have it.
    pub ordinal: u64,
    /// One more than there are players with a better total.
    pub competition: u64,
    /// One more than there are better totals; `None` beyond
    /// [`DENSE_RANK_LIMIT`](super::DENSE_RANK_LIMIT).
    pub dense: Option<u64>,
}

impl<C: Connection> View<'_, C> {
    /// How many players there are in each of at most `buckets` ranges of totals, lowest first;
    /// `None` when Redis knows nothing of the board.
    ///
    /// With totals counted in units of the board's last decimal, all ranges are
    /// `⌈(greatest − least + 1) / buckets⌉` units wide, the first begins at the least total, and
    /// the last is the one that holds the greatest, beyond which it may reach. Nobody on the
    /// board: no ranges.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn distribution(self, buckets: usize) -> Result<Option<Reading<Vec<Bucket>>>, StoreError> {
        let mut call = self.script(&self.store.scripts.distribution);
        // Totals are stored so that the highest is the best.
        call.arg(buckets).arg(self.store.board.order.as_str());
        self.ask(&call, |reply| {
            let [least, width, counts @ ..] = reply else { return Ok(Vec::new()) };
            let (mut next, width): (i64, i64) = (self.number(least)?, self.number(width)?);
            let score = |units| self.store.board.score(units);
            counts
                .iter()
                .map(|count| {
                    let from = next;
                    next += width;
                    Ok(Bucket { from: score(from), to: score(next - 1), players: self.number(count)? })
                })
                .collect()
        })
        .await
    }

    /// Where a total of so many `units` of the board's last decimal would stand; `None` when Redis
    /// knows nothing of the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn rank_of(self, units: i64) -> Result<Option<Reading<RankOf>>, StoreError> {
        let mut call = self.script(&self.store.scripts.rank_of);
        call.arg(self.store.board.stored(units));
        self.ask(&call, |reply| {
            let [players_at, better, better_totals] = reply else {
                return Err(self.store.corrupt("the rank_of script answered otherwise"));
            };
            let players_at: u64 = self.number(players_at)?;
            let better: u64 = self.number(better)?;
            let better_totals = better_totals.as_ref().map(|_| self.number::<u64>(better_totals));
            Ok(RankOf {
                players_at,
                ordinal: better + players_at + 1,
                competition: better + 1,
                dense: better_totals.transpose()?.map(|totals| totals + 1),
            })
        })
        .await
    }
}
