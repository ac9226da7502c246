//! What is shown to viewers: the window, and the cached snapshot.

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use boards::Window;
use contracts::{EventTime, Version};

impl<C: Connection> BoardStore<C> {
    /// Caches an encoded snapshot unless one as new is there already; says whether it was cached.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn publish(
        &self,
        snapshot: &str,
        version: Version,
        rebuilding: bool,
    ) -> Result<bool, StoreError> {
        let cached: u8 = self
            .scripts
            .publish
            .key(keys::cache(&self.board.name))
            .arg(snapshot)
            .arg(version.epoch)
            .arg(version.version)
            .arg(u8::from(rebuilding))
            .invoke_async(&mut self.connection.clone())
            .await?;
        Ok(cached == 1)
    }

    /// Turns the board to the window that it shows `since` that instant, and moves its version; nothing
    /// happens when it is turned to it already, or to one that has been shown for less long. Says which
    /// window it is turned to; `None` when Redis knows nothing of the board, or only half of it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn turn(&self, window: &Window, since: EventTime) -> Result<Option<String>, StoreError> {
        let mut call = self.scripts.turn.key(keys::state(&self.board.name));
        call.arg(&*window.id).arg(since.micros());
        Ok(call.invoke_async(&mut self.connection.clone()).await?)
    }

    /// The cached snapshot, as it was published.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn cached(&self) -> Result<Option<String>, StoreError> {
        let mut connection = self.connection.clone();
        Ok(redis::cmd("GET").arg(keys::cache(&self.board.name)).query_async(&mut connection).await?)
    }
}
