//! Counts and sums, where rows need not be held against the log one by one.

use super::{Audit, OffsetRange, Table, within};
use anyhow::Context as _;
use contracts::PlayerId;
use contracts::score::MAX_SCALE;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::{BTreeMap, HashMap};

/// How many rows a partition has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Of events.
    pub events: u64,
    /// Of refused records.
    pub refused: u64,
}

/// What a player's rows come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayerTally {
    /// How many events there are, duplicates included.
    pub events: u64,
    /// The sum of their scores, exact, in units of `10^-9`.
    pub sum_units: i128,
}

impl Audit {
    /// How many rows have their coordinates in `ranges`, by partition; those without rows are absent.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn row_counts(&mut self, ranges: &[OffsetRange]) -> anyhow::Result<BTreeMap<i32, RowCounts>> {
        let mut counts: BTreeMap<i32, RowCounts> = BTreeMap::new();
        if ranges.is_empty() {
            return Ok(counts);
        }
        for (table, name) in
            [(Table::Events, "leaderboard.game_score"), (Table::Refused, "leaderboard.refused_record")]
        {
            let query = format!(
                "SELECT kafka_partition, count(*) FROM {name} WHERE {} GROUP BY kafka_partition",
                within(ranges)
            );
            let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut self.connection).await;
            for row in rows.with_context(|| format!("counting the rows of {name}"))? {
                let of_partition = counts.entry(row.try_get(0)?).or_default();
                let rows = u64::try_from(row.try_get::<i64, _>(1)?)?;
                match table {
                    Table::Events => of_partition.events = rows,
                    Table::Refused => of_partition.refused = rows,
                }
            }
        }
        Ok(counts)
    }

    /// What the events of `players` in `ranges` come to; players without any are absent.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn player_tallies(
        &mut self,
        ranges: &[OffsetRange],
        players: &[&str],
    ) -> anyhow::Result<HashMap<PlayerId, PlayerTally>> {
        if ranges.is_empty() {
            return Ok(HashMap::new());
        }
        let query = format!(
            "SELECT user_id, count(*), trunc(sum(score) * 1e{MAX_SCALE})::text FROM leaderboard.game_score \
             WHERE user_id = ANY($1) AND ({}) GROUP BY user_id",
            within(ranges)
        );
        let rows = sqlx::query(AssertSqlSafe(query)).bind(players).fetch_all(&mut self.connection).await;
        let tally = |row: &sqlx::postgres::PgRow| {
            let player = PlayerId::new(row.try_get::<&str, _>(0)?)?;
            let events = u64::try_from(row.try_get::<i64, _>(1)?)?;
            let sum_units = row.try_get::<&str, _>(2)?.parse().context("a sum of scores")?;
            Ok((player, PlayerTally { events, sum_units }))
        };
        rows.context("adding up players' scores")?.iter().map(tally).collect()
    }
}
