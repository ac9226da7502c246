//! Looking at how far the archive has read, without touching it.

use crate::connection::Failure;
use crate::store::{ArchiveStore, within_limit};
use pipeline::WriteError;
use sqlx::Row as _;
use std::collections::BTreeMap;

impl ArchiveStore {
    /// For each topic, with its prefix, and partition that was begun: the first offset that is
    /// not in the archive.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn next_offsets(&self) -> Result<BTreeMap<(String, i32), i64>, WriteError> {
        within_limit(async {
            let mut connection = self.connections.take().await?;
            let rows =
                sqlx::query("SELECT topic, kafka_partition, next_offset FROM leaderboard.consumer_offset")
                    .fetch_all(&mut connection)
                    .await?;
            self.connections.keep(connection);
            let next = |row: &sqlx::postgres::PgRow| {
                Ok::<_, Failure>(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))
            };
            rows.iter().map(next).collect()
        })
        .await
    }
}
