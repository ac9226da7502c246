//! Where several players stand, in one round trip.

use crate::keys;
use crate::read::Rows;
use crate::store::{BoardStore, StoreError};
use boards::order::total_of;
use contracts::{PlayerId, Score};

/// A player's rank, from 1, and total.
pub type PlayerPlace = (u64, Score);

impl BoardStore {
    /// The rank and total of each of `players`, in their order, all at one moment; `None` for one
    /// who is not on the board. `None` altogether when the board's rows are not current.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn places(&self, players: &[PlayerId]) -> Result<Option<Vec<Option<PlayerPlace>>>, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline.atomic().hget(keys::state(name), "rebuilding").zcard(name);
        for player in players {
            pipeline.zrevrank(name, player.as_str()).zscore(name, player.as_str());
        }
        let reply: Vec<Option<String>> = pipeline.query_async(&mut self.connection.clone()).await?;
        let [rebuilding, size, places @ ..] = reply.as_slice() else {
            return Err(self.corrupt("a transaction answered too little"));
        };
        if Rows::of(rebuilding.as_deref(), self.number(size)?) != Rows::Current {
            return Ok(None);
        }
        let place = |pair: &[Option<String>]| match pair {
            [Some(rank), Some(score)] => {
                let rank: u64 = rank.parse().map_err(|_| self.corrupt("a rank is not a number"))?;
                let score: f64 = score.parse().map_err(|_| self.corrupt("a score is not a number"))?;
                Ok(Some((rank + 1, self.board.score(total_of(score)))))
            }
            _ => Ok(None),
        };
        places.chunks_exact(2).map(place).collect::<Result<_, _>>().map(Some)
    }
}
