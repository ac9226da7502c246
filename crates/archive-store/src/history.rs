//! The archive as the source of a board: every event, and up to which offsets.

use crate::audit::fields::{Unpacked, archived_event};
use crate::batch::Place;
use crate::store::ArchiveStore;
use anyhow::Context as _;
use contracts::{EventTime, ScoreEvent};
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many rows a portion has, about.
const PORTION_ROWS: usize = 512;
/// How many portions may wait to be taken.
const PORTIONS_AHEAD: usize = 64;
/// Has Postgres send the events for which the condition holds, as [`archived_event`] reads them: by
/// their day of arrival and, within a day and partition, in the order of the log.
pub(crate) fn copy_events(condition: &str) -> String {
    // The primary key's order: an index gives it, nothing is sorted.
    format!(
        "COPY (SELECT kafka_partition, kafka_offset, arrived_at, created_at, user_id, score, event_id, \
         nickname, tags FROM leaderboard.game_score {condition} \
         ORDER BY arrived_on, kafka_partition, kafka_offset) TO STDOUT (FORMAT binary)"
    )
}

/// A part of what the archive knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Portion {
    /// Events, by their day of arrival and, within a day and partition, in the order of the log;
    /// without the members that boards do not know.
    Events(Vec<(Place, ScoreEvent)>),
    /// Records that are no score events, of those offsets that were asked for.
    Refused(Vec<Refused>),
}

/// A record that is no score event, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it stands.
    pub place: Place,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// A window of a board whose final standings are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWindow {
    /// The board as the API calls it: `name`, or `name:value`.
    pub board: String,
    /// The window's id.
    pub window: String,
    /// Its first instant.
    pub start: EventTime,
    /// The first instant after it.
    pub end: EventTime,
}

/// What an archive knows at one moment, portion by portion.
pub trait History: Send {
    /// For each partition of the score topic, the first offset that is not in it.
    fn offsets(&self) -> &BTreeMap<i32, i64>;

    /// The windows whose final standings it keeps.
    fn kept_windows(&self) -> &[KeptWindow];

    /// The next portion; `None` after the last.
    fn next(&mut self) -> impl Future<Output = anyhow::Result<Option<Portion>>> + Send;
}

/// One snapshot of the archive being read, ahead of whoever takes it.
pub struct ArchiveHistory {
    offsets: BTreeMap<i32, i64>,
    kept_windows: Vec<KeptWindow>,
    portions: mpsc::Receiver<Portion>,
    reader: Option<JoinHandle<anyhow::Result<()>>>,
}

impl History for ArchiveHistory {
    fn offsets(&self) -> &BTreeMap<i32, i64> {
        &self.offsets
    }

    fn kept_windows(&self) -> &[KeptWindow] {
        &self.kept_windows
    }

    async fn next(&mut self) -> anyhow::Result<Option<Portion>> {
        if let Some(portion) = self.portions.recv().await {
            return Ok(Some(portion));
        }
        if let Some(reader) = self.reader.take() {
            reader.await.context("reading the archive")??;
        }
        Ok(None)
    }
}

impl Drop for ArchiveHistory {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

impl ArchiveStore {
    /// What the archive knows now; of refused records, those from these offsets on.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn history(&self, refused_from: BTreeMap<i32, i64>) -> anyhow::Result<ArchiveHistory> {
        let mut connection = self.connections.patient().await.context("Postgres")?;
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut connection).await?;
        let rows = sqlx::query(
            "SELECT kafka_partition, next_offset FROM leaderboard.consumer_offset WHERE topic = ANY($1)",
        )
        .bind(&self.topics)
        .fetch_all(&mut connection)
        .await?;
        let offsets = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let offsets = offsets.collect::<Result<_, sqlx::Error>>()?;
        let rows = sqlx::query("SELECT board, window_id, starts_at, ends_at FROM leaderboard.final_window")
            .fetch_all(&mut connection)
            .await?;
        let kept_windows = rows.iter().map(kept_window).collect::<anyhow::Result<_>>()?;
        let (sender, portions) = mpsc::channel(PORTIONS_AHEAD);
        let reader = tokio::spawn(async move {
            tell_events(&mut connection, &sender).await.context("reading events")?;
            tell_refused(&mut connection, &refused_from, &sender).await.context("reading refused records")?;
            connection.close().await?;
            Ok(())
        });
        Ok(ArchiveHistory { offsets, kept_windows, portions, reader: Some(reader) })
    }
}

type Sender = mpsc::Sender<Portion>;

async fn tell_events(connection: &mut PgConnection, sender: &Sender) -> anyhow::Result<()> {
    let mut stream = connection.copy_out_raw(&copy_events("")).await?;
    let mut unpacked = Unpacked::default();
    let mut waiting = Vec::with_capacity(PORTION_ROWS);
    while let Some(message) = stream.try_next().await? {
        for row in unpacked.rows(&message)? {
            waiting.push(archived_event(row?)?);
        }
        if waiting.len() >= PORTION_ROWS {
            let full = std::mem::replace(&mut waiting, Vec::with_capacity(PORTION_ROWS));
            // Whoever asked has gone.
            sender.send(Portion::Events(full)).await.context("nobody listens")?;
        }
    }
    anyhow::ensure!(unpacked.ended(), "the copy ended early");
    sender.send(Portion::Events(waiting)).await.context("nobody listens")
}

async fn tell_refused(
    connection: &mut PgConnection,
    from: &BTreeMap<i32, i64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    for (partition, from) in from {
        let query = format!(
            "SELECT kafka_partition, kafka_offset, arrived_at, record_key, payload \
             FROM leaderboard.refused_record WHERE kafka_partition = {partition} AND kafka_offset >= {from}"
        );
        let mut rows = sqlx::query(AssertSqlSafe(query)).fetch(&mut *connection);
        let mut waiting = Vec::new();
        while let Some(row) = rows.try_next().await? {
            waiting.push(refused(&row)?);
            if waiting.len() == PORTION_ROWS {
                sender
                    .send(Portion::Refused(std::mem::take(&mut waiting)))
                    .await
                    .context("nobody listens")?;
            }
        }
        sender.send(Portion::Refused(waiting)).await.context("nobody listens")?;
    }
    Ok(())
}

fn kept_window(row: &PgRow) -> anyhow::Result<KeptWindow> {
    Ok(KeptWindow {
        board: row.try_get(0)?,
        window: row.try_get(1)?,
        start: row.try_get::<Micros, _>(2)?.time()?,
        end: row.try_get::<Micros, _>(3)?.time()?,
    })
}

fn refused(row: &PgRow) -> anyhow::Result<Refused> {
    let arrived_at = row.try_get::<Micros, _>(2)?.time()?;
    Ok(Refused {
        place: Place { partition: row.try_get(0)?, offset: row.try_get(1)?, arrived_at },
        key: row.try_get(3)?,
        payload: row.try_get(4)?,
    })
}

/// A `timestamptz` as Postgres sends it: microseconds since 2000.
#[derive(Clone, Copy, Debug)]
struct Micros(i64);

/// 2000-01-01T00:00:00Z in microseconds since the Unix epoch.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Micros {
    fn time(self) -> anyhow::Result<EventTime> {
        EventTime::from_micros(self.0 + POSTGRES_EPOCH_MICROS).context("a time outside the years 1 to 9999")
    }
}

impl sqlx::Type<sqlx::Postgres> for Micros {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        sqlx::postgres::PgTypeInfo::with_name("timestamptz")
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for Micros {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        // Prepared statements answer in binary.
        Ok(Self(i64::from_be_bytes(value.as_bytes()?.try_into()?)))
    }
}
