//! Brings the database to what this version writes and reads.

use crate::connection::{Failure, write_error};
use crate::store::ArchiveStore;
use pipeline::WriteError;
use sqlx::migrate::{MigrateError, Migrator};

/// Where it is kept which migrations were applied.
const TABLE: &str = "leaderboard.migration";

impl ArchiveStore {
    /// Applies the migrations that are missing, and makes the partitions for today and tomorrow.
    /// Two may do so at once: one waits for the other.
    ///
    /// # Errors
    /// [`WriteError::Unavailable`] when trying again later may help.
    pub async fn migrate(&self) -> Result<(), WriteError> {
        self.try_migrate().await.map_err(write_error)
    }

    async fn try_migrate(&self) -> Result<(), Failure> {
        let mut connection = self.connections.patient().await?;
        let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
        if encoding != "UTF8" {
            return Err(Failure::Impossible(format!(
                "the database's encoding is {encoding}; it must be UTF8 to hold every name"
            )));
        }
        migrator().run(&mut connection).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Failure::Impossible(format!("migrating Postgres: {error}")),
        })?;
        sqlx::query("SELECT leaderboard.ensure_day((now() AT TIME ZONE 'UTC')::date + day) FROM unnest(ARRAY[0, 1]) AS day")
            .execute(&mut connection)
            .await?;
        Ok(())
    }
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.create_schema("leaderboard");
    migrator.dangerous_set_table_name(TABLE);
    migrator
}
