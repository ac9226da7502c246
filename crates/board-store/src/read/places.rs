//! Where players stand.

use super::{Reader, Reading, Reply};
use crate::store::{Connection, StoreError};
use boards::RankMode;
use contracts::{PlayerId, Score};
use redis::ScriptInvocation;

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

/// Where a player stands, unless it is not on the board, and its nickname if it has one.
pub type NamedPlace = (Option<Place>, Option<String>);

impl<C: Connection> Reader<'_, C> {
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
        self.ask(&self.call_for(players, mode), |reply| self.places_in(mode, reply)).await
    }

    /// The same, each with the player's nickname if there is one, in the same round trip.
    ///
    /// # Errors
    /// As for [`places`](Self::places).
    pub async fn named_places(
        self,
        players: &[&PlayerId],
        mode: RankMode,
    ) -> Result<Option<Reading<Vec<NamedPlace>>>, StoreError> {
        let call = self.call_for(players.iter().copied(), mode);
        let reading = self.ask_with_names(&call, players, |reply| self.places_in(mode, reply)).await?;
        let named = |(places, names): (Vec<_>, Vec<_>)| places.into_iter().zip(names).collect();
        Ok(reading.map(|reading| reading.map(named)))
    }

    fn call_for<'p>(
        &self,
        players: impl IntoIterator<Item = &'p PlayerId>,
        mode: RankMode,
    ) -> ScriptInvocation<'static> {
        let mut call = self.script(&self.store.scripts.places);
        call.arg(mode.as_str());
        for player in players {
            call.arg(player.as_str());
        }
        call
    }

    fn places_in(&self, mode: RankMode, reply: &Reply) -> Result<Vec<Option<Place>>, StoreError> {
        reply.chunks_exact(3).map(|place| self.place(mode, place)).collect()
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
