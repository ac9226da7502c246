//! Where players stand.

use super::{Reading, View};
use crate::store::{Connection, StoreError};
use boards::RankMode;
use contracts::{PlayerId, Score};

/// Where one player stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The rank, from 1, counted as was asked.
    pub rank: u64,
    /// The ordinal rank: one more than there are players before this one.
    pub ordinal: u64,
    /// The total.
    pub score: Score,
}

impl<C: Connection> View<'_, C> {
    /// Where `players` stand, in their order, `None` for those who are not on the board; `None`
    /// for all of it when Redis knows nothing of the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours;
    /// [`StoreError::DenseRankUnknown`] when a player is beyond what is counted.
    pub async fn places<'p>(
        self,
        players: impl IntoIterator<Item = &'p PlayerId>,
        mode: RankMode,
    ) -> Result<Option<Reading<Vec<Option<Place>>>>, StoreError> {
        let mut call = self.script(&self.store.scripts.places);
        call.arg(mode.as_str());
        for player in players {
            call.arg(player.as_str());
        }
        self.ask(&call, |reply| reply.chunks_exact(3).map(|place| self.place(mode, place)).collect()).await
    }

    fn place(&self, mode: RankMode, reply: &[Option<String>]) -> Result<Option<Place>, StoreError> {
        let [score, before, above] = reply else {
            return Err(self.store.corrupt("a place is not a score and two counts"));
        };
        if score.is_none() {
            return Ok(None);
        }
        let before = self.number(before)?;
        Ok(Some(Place {
            rank: self.rank(mode, before, above)?,
            ordinal: before + 1,
            score: self.total(self.number(score)?),
        }))
    }
}
