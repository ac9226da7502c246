//! Taking a player's name out of Redis.

use crate::keys;
use crate::store::{BoardStore, StoreError};
use contracts::PlayerId;
use redis::Script;

/// Where a player was found, and now is under a pseudonym.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedFromBoard {
    /// On the board that readers see.
    pub on_board: bool,
    /// On the one that is being rebuilt beside it.
    pub in_rebuild: bool,
    /// Whether the pseudonym was on one of them before, and got the points added.
    pub merged: bool,
    /// Whether there was a nickname, or a place for one.
    pub named: bool,
}

impl BoardStore {
    /// Gives what `player` has to `pseudonym`, in one atomic step: the very same double, or, where
    /// the pseudonym stands already, both totals added up as one player's events would be; the
    /// reach time is then as exact as the larger of the two left it. Then forgets the nickname.
    /// Doing it again changes nothing.
    ///
    /// The ids of the player's events are left: without them a resubmission would count again.
    /// They go by themselves three days after the last event of their day.
    ///
    /// # Errors
    /// When Redis does not answer; then do it again.
    pub async fn erase(
        &self,
        player: &PlayerId,
        pseudonym: &PlayerId,
    ) -> Result<ErasedFromBoard, StoreError> {
        let name = &self.board.name;
        let mut connection = self.connection.clone();
        let (on_board, in_rebuild, merged): (bool, bool, bool) =
            Script::new(concat!(include_str!("scripts/write.lua"), include_str!("scripts/erase.lua")))
                .key(keys::state(name))
                .key(name)
                .key(keys::rebuild(name))
                .arg(player.as_str())
                .arg(pseudonym.as_str())
                .arg(boards::rules::MAX_TOTAL_UNITS)
                .invoke_async(&mut connection)
                .await?;
        // Another slot on a cluster, so another command.
        let mut forget = redis::cmd("DEL");
        let named: bool = forget.arg(keys::player(player.as_str())).query_async(&mut connection).await?;
        Ok(ErasedFromBoard { on_board, in_rebuild, merged, named })
    }

    /// Where [`erase`](Self::erase) would find `player`. Changes nothing.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn find(
        &self,
        player: &PlayerId,
        pseudonym: Option<&PlayerId>,
    ) -> Result<ErasedFromBoard, StoreError> {
        let name = &self.board.name;
        let rebuild = keys::rebuild(name);
        let pseudonym = pseudonym.map_or("", PlayerId::as_str);
        let mut pipeline = redis::pipe();
        for zset in [name, &rebuild] {
            pipeline.zscore(zset, player.as_str()).zscore(zset, pseudonym);
        }
        pipeline.exists(keys::player(player.as_str()));
        type Reply = (Option<f64>, Option<f64>, Option<f64>, Option<f64>, bool);
        let (board, board_known, rebuild, rebuild_known, named): Reply =
            pipeline.query_async(&mut self.connection.clone()).await?;
        Ok(ErasedFromBoard {
            on_board: board.is_some(),
            in_rebuild: rebuild.is_some(),
            merged: (board.is_some() && board_known.is_some())
                || (rebuild.is_some() && rebuild_known.is_some()),
            named,
        })
    }
}
