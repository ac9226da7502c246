//! Taking a player's name out of Redis.

use crate::keys;
use crate::store::{BoardStore, ERASE, StoreError};
use contracts::PlayerId;
use redis::Script;

/// Where a player was found, and now is under a pseudonym.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedFromBoard {
    /// In how many views, of values and windows, of the board that readers see.
    pub on_board: u64,
    /// In how many of what is being rebuilt beside it.
    pub in_rebuild: u64,
    /// In how many of these the pseudonym stood before, and now has the events of both.
    pub merged: u64,
    /// Whether there was a nickname, or a place for one.
    pub named: bool,
}

impl BoardStore {
    /// Gives what `player` has to `pseudonym`, in one atomic step over all views: the very same
    /// double, or, where the pseudonym stands already, what both players' events would have come to;
    /// the reach time of a sum is then as exact as the larger of the two left it. Then forgets the
    /// nickname. Doing it again changes nothing.
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
        let (on_board, in_rebuild, merged) = self.call_erase("erase", player, pseudonym.as_str()).await?;
        // Another slot on a cluster, so another command.
        let mut forget = redis::cmd("DEL");
        forget.arg(keys::player(player.as_str()));
        let named = forget.query_async(&mut self.connection.clone()).await?;
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
        let pseudonym = pseudonym.map_or("", PlayerId::as_str);
        let (on_board, in_rebuild, merged) = self.call_erase("look", player, pseudonym).await?;
        let mut exists = redis::cmd("EXISTS");
        exists.arg(keys::player(player.as_str()));
        let named = exists.query_async(&mut self.connection.clone()).await?;
        Ok(ErasedFromBoard { on_board, in_rebuild, merged, named })
    }

    async fn call_erase(
        &self,
        mode: &str,
        player: &PlayerId,
        pseudonym: &str,
    ) -> Result<(u64, u64, u64), StoreError> {
        let script = Script::new(ERASE);
        let mut call = script.key(&self.board.name);
        call.arg(mode).arg(self.aggregate()).arg(self.board.max_total_units);
        call.arg(self.dense()).arg(player.as_str()).arg(pseudonym);
        Ok(call.invoke_async(&mut self.connection.clone()).await?)
    }
}
