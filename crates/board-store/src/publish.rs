//! The cached snapshot.

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use contracts::Version;

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

    /// The cached snapshot, as it was published.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn cached(&self) -> Result<Option<String>, StoreError> {
        let mut connection = self.connection.clone();
        Ok(redis::cmd("GET").arg(keys::cache(&self.board.name)).query_async(&mut connection).await?)
    }
}
