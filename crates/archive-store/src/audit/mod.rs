//! Reading the archive whole, as it stood at one moment, for those who hold it against the log.
//!
//! A row is handed out as the bytes of its columns in Postgres' binary COPY format, with one
//! exception: tags, which Postgres keeps as `jsonb` and prints in a form of its own, are brought
//! back to the form of the writer. So two rows are equal when their bytes are, and the row that
//! must stand for a record is made by the code that writes it ([`ExpectedRow`]).

mod columns;
mod counts;
pub(crate) mod fields;

pub use columns::{ColumnDifference, differing_columns, player_of};
pub use counts::{PlayerTally, RowCounts};

use crate::batch::{COPY_EVENTS, COPY_REFUSED, Place, RefusedRecord, event_row, refused_row};
use crate::connection::write_error;
use crate::copy::CopyRows;
use crate::erase::{ErasedPlayers, erased};
use crate::history::copy_events;
use crate::store::ArchiveStore;
use anyhow::Context as _;
use contracts::ScoreEvent;
use fields::{Fields, Unpacked};
use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which table a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `leaderboard.game_score`
    Events,
    /// `leaderboard.refused_record`
    Refused,
}

/// A row of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchivedRow<'a> {
    /// Where it stands.
    pub table: Table,
    /// The partition that it names.
    pub partition: i32,
    /// The offset that it names.
    pub offset: i64,
    /// All columns, the coordinates included; equal exactly when the rows are.
    pub columns: &'a [u8],
}

/// Makes the row that must stand in the archive for a record.
#[derive(Clone, Debug, Default)]
pub struct ExpectedRow {
    rows: CopyRows,
}

impl ExpectedRow {
    /// The columns of an event.
    pub fn event(&mut self, place: Place, event: &ScoreEvent) -> &[u8] {
        self.rows.clear();
        event_row(&mut self.rows, place, event);
        self.rows.bytes()
    }

    /// The columns of a refused record.
    pub fn refused(&mut self, place: Place, record: &RefusedRecord) -> &[u8] {
        self.rows.clear();
        refused_row(&mut self.rows, place, record);
        self.rows.bytes()
    }
}

/// The offsets of one partition that the archive says it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it began to read.
    pub first: i64,
    /// The first offset that it does not have.
    pub next: i64,
}

/// Offsets of one partition, from one up to, not including, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetRange {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
}

/// The archive as it stands at one moment: a transaction that sees no later one.
pub struct Audit {
    pub(crate) connection: PgConnection,
    stretches: BTreeMap<i32, Stretch>,
    erased: ErasedPlayers,
}

impl ArchiveStore {
    /// Takes hold of the archive of `topic` as it stands now.
    ///
    /// # Errors
    /// When Postgres does not answer or has no archive.
    pub async fn audit(&self, topic: &str) -> anyhow::Result<Audit> {
        let mut connection = self.connections.patient().await?;
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut connection).await?;
        let rows = sqlx::query(
            "SELECT kafka_partition, first_offset, next_offset FROM leaderboard.consumer_offset WHERE topic = $1",
        )
        .bind(topic)
        .fetch_all(&mut connection)
        .await
        .context("reading the archive's offsets")?;
        let mut stretches = BTreeMap::new();
        for row in rows {
            stretches.insert(row.try_get(0)?, Stretch { first: row.try_get(1)?, next: row.try_get(2)? });
        }
        let erased = erased(&mut connection).await.map_err(write_error).context("reading who was erased")?;
        Ok(Audit { connection, stretches, erased })
    }
}

impl Audit {
    /// What the archive says it has: partition → offsets.
    #[must_use]
    pub fn stretches(&self) -> &BTreeMap<i32, Stretch> {
        &self.stretches
    }

    /// Who was erased.
    #[must_use]
    pub fn erased(&self) -> &ErasedPlayers {
        &self.erased
    }

    /// Hands out every row of both tables, in no order.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn rows(&mut self, on_row: impl FnMut(ArchivedRow<'_>)) -> anyhow::Result<()> {
        self.rows_where("", on_row).await
    }

    /// Hands out the rows whose coordinates lie in `ranges`, in no order. Reads the tables once,
    /// however many ranges there are.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn rows_in(
        &mut self,
        ranges: &[OffsetRange],
        on_row: impl FnMut(ArchivedRow<'_>),
    ) -> anyhow::Result<()> {
        if ranges.is_empty() {
            return Ok(());
        }
        self.rows_where(&format!(" WHERE {}", within(ranges)), on_row).await
    }

    async fn rows_where(
        &mut self,
        condition: &str,
        mut on_row: impl FnMut(ArchivedRow<'_>),
    ) -> anyhow::Result<()> {
        let mut canonical = Vec::new();
        for (table, copy_in) in [(Table::Events, COPY_EVENTS), (Table::Refused, COPY_REFUSED)] {
            // The columns in the order in which they are written, so that the bytes are the same.
            let (name, columns) = copy_in
                .trim_start_matches("COPY ")
                .split_once(" (")
                .and_then(|(name, rest)| Some((name, rest.split_once(')')?.0)))
                .expect("the writer's statement names its columns");
            let statement =
                format!("COPY (SELECT {columns} FROM {name}{condition}) TO STDOUT (FORMAT binary)");
            self.copy_out(&statement, |row| {
                on_row(fields::archived_row(table, row, &mut canonical)?);
                Ok(())
            })
            .await
            .with_context(|| format!("reading {name}"))?;
        }
        Ok(())
    }

    /// Hands out the events below the given offsets (partition → offset), in the order of their
    /// days of arrival and, within a day and partition, of the log; without the members that boards
    /// do not know.
    ///
    /// # Errors
    /// When Postgres fails or `on_event` does.
    pub async fn events_below(
        &mut self,
        offsets: &BTreeMap<i32, i64>,
        mut on_event: impl FnMut(Place, ScoreEvent) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let ranges: Vec<OffsetRange> =
            offsets.iter().map(|(&partition, &to)| OffsetRange { partition, from: i64::MIN, to }).collect();
        if ranges.is_empty() {
            return Ok(());
        }
        self.copy_out(&copy_events(&format!("WHERE {}", within(&ranges))), |row| {
            let (place, event) = fields::archived_event(row)?;
            on_event(place, event)
        })
        .await
        .context("reading the events that the log no longer has")
    }

    pub(crate) async fn copy_out(
        &mut self,
        statement: &str,
        mut on_row: impl FnMut(Fields<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut stream = self.connection.copy_out_raw(statement).await?;
        let mut unpacked = Unpacked::default();
        while let Some(message) = stream.try_next().await? {
            for row in unpacked.rows(&message)? {
                on_row(row?)?;
            }
        }
        anyhow::ensure!(unpacked.ended(), "the copy ended early");
        Ok(())
    }
}

/// The condition that a row's coordinates lie in one of the ranges.
fn within(ranges: &[OffsetRange]) -> String {
    let mut condition = String::new();
    for OffsetRange { partition, from, to } in ranges {
        let or = if condition.is_empty() { "" } else { " OR " };
        let _ = write!(
            condition,
            "{or}(kafka_partition = {partition} AND kafka_offset >= {from} AND kafka_offset < {to})"
        );
    }
    condition
}
