//! The archive as the source of a board: what everybody has, and up to which offsets.

use crate::batch::Place;
use crate::store::ArchiveStore;
use anyhow::Context as _;
use contracts::{EventTime, PlayerId};
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many rows a portion has: a script that takes it in keeps its readers waiting for about 1 ms.
const PORTION_ROWS: usize = 512;
/// How many portions may wait to be taken.
const PORTIONS_AHEAD: usize = 64;
/// For how many days before the archive's newest the event ids are told: as long as a board
/// keeps them.
const ID_DAYS: i32 = 3;

/// A player's total over all events that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// Who.
    pub player: PlayerId,
    /// The scores added up, in units of the board's last decimal.
    pub units: i64,
    /// When the last event happened that changed the total; `None` when none did.
    pub reached_at: Option<EventTime>,
}

/// A part of what the archive knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Portion {
    /// Players' totals, each player once over all portions.
    Totals(Vec<Total>),
    /// (player, event id) of events that arrived on one UTC day, counted from 1970-01-01.
    Ids {
        /// The day.
        day: i64,
        /// Possibly some twice.
        ids: Vec<(PlayerId, Box<str>)>,
    },
    /// (player, nickname, when it was given in ms): each player's newest.
    Names(Vec<(PlayerId, Box<str>, i64)>),
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

/// What an archive knows at one moment, portion by portion.
pub trait History: Send {
    /// For each partition of the score topic, the first offset that is not in it.
    fn offsets(&self) -> &BTreeMap<i32, i64>;

    /// The next portion; `None` after the last.
    fn next(&mut self) -> impl Future<Output = anyhow::Result<Option<Portion>>> + Send;
}

/// One snapshot of the archive being read, ahead of whoever takes it.
pub struct ArchiveHistory {
    offsets: BTreeMap<i32, i64>,
    portions: mpsc::Receiver<Portion>,
    reader: Option<JoinHandle<anyhow::Result<()>>>,
}

impl History for ArchiveHistory {
    fn offsets(&self) -> &BTreeMap<i32, i64> {
        &self.offsets
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
    /// What the archive knows now, with scores at `decimals`; of refused records, those from
    /// these offsets on.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn history(
        &self,
        decimals: u8,
        refused_from: BTreeMap<i32, i64>,
    ) -> anyhow::Result<ArchiveHistory> {
        let mut connection = self.connections.patient().await.context("Postgres")?;
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut connection).await?;
        // The hash table of a million players; else they are sorted on disk.
        sqlx::query("SET LOCAL work_mem = '256MB'").execute(&mut connection).await?;
        let rows = sqlx::query(
            "SELECT kafka_partition, next_offset FROM leaderboard.consumer_offset WHERE topic = ANY($1)",
        )
        .bind(&self.topics)
        .fetch_all(&mut connection)
        .await?;
        let offsets = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let offsets = offsets.collect::<Result<_, sqlx::Error>>()?;
        let (sender, portions) = mpsc::channel(PORTIONS_AHEAD);
        let reader = tokio::spawn(async move {
            tell_totals(&mut connection, decimals, &sender).await.context("reading totals")?;
            tell_ids(&mut connection, &sender).await.context("reading event ids")?;
            tell_names(&mut connection, &sender).await.context("reading nicknames")?;
            tell_refused(&mut connection, &refused_from, &sender).await.context("reading refused records")?;
            connection.close().await?;
            Ok(())
        });
        Ok(ArchiveHistory { offsets, portions, reader: Some(reader) })
    }
}

type Sender = mpsc::Sender<Portion>;

async fn tell_totals(connection: &mut PgConnection, decimals: u8, sender: &Sender) -> anyhow::Result<()> {
    // A total stops at the board's limit, which is far below a bigint's.
    let query = format!(
        "SELECT user_id, \
             greatest(-1e18, least(1e18, sum(score) * 1e{decimals}))::bigint AS units, \
             max(created_at) FILTER (WHERE score <> 0) AS reached_at \
         FROM analytics.scores GROUP BY user_id"
    );
    let total = |row: &PgRow| {
        let reached_at: Option<Micros> = row.try_get(2)?;
        Ok(Total {
            player: player(row.try_get(0)?)?,
            units: row.try_get(1)?,
            reached_at: reached_at.map(Micros::time).transpose()?,
        })
    };
    tell(connection, query, total, sender, Portion::Totals).await
}

async fn tell_ids(connection: &mut PgConnection, sender: &Sender) -> anyhow::Result<()> {
    let query = format!(
        "SELECT DISTINCT arrived_on FROM leaderboard.game_score \
         WHERE arrived_on >= (SELECT max(arrived_on) FROM leaderboard.game_score) - {ID_DAYS}"
    );
    let query = format!("SELECT arrived_on - date '1970-01-01' FROM ({query}) AS newest ORDER BY 1");
    let days: Vec<i32> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut *connection).await?;
    for day in days {
        let query = format!(
            "SELECT user_id, event_id FROM leaderboard.game_score \
             WHERE arrived_on = date '1970-01-01' + {day} AND event_id IS NOT NULL"
        );
        let id = |row: &PgRow| Ok((player(row.try_get(0)?)?, row.try_get::<String, _>(1)?.into_boxed_str()));
        let day = i64::from(day);
        tell(connection, query, id, sender, |ids| Portion::Ids { day, ids }).await?;
    }
    Ok(())
}

async fn tell_names(connection: &mut PgConnection, sender: &Sender) -> anyhow::Result<()> {
    let query = "SELECT DISTINCT ON (user_id) user_id, nickname, arrived_at \
                 FROM leaderboard.game_score WHERE nickname IS NOT NULL \
                 ORDER BY user_id, arrived_at DESC, kafka_partition DESC, kafka_offset DESC";
    let name = |row: &PgRow| {
        let given_ms = row.try_get::<Micros, _>(2)?.time()?.micros().div_euclid(1000);
        Ok((player(row.try_get(0)?)?, row.try_get::<String, _>(1)?.into_boxed_str(), given_ms))
    };
    tell(connection, query.to_owned(), name, sender, Portion::Names).await
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
        let refused = |row: &PgRow| {
            Ok(Refused {
                place: Place {
                    partition: row.try_get(0)?,
                    offset: row.try_get(1)?,
                    arrived_at: row.try_get::<Micros, _>(2)?.time()?,
                },
                key: row.try_get(3)?,
                payload: row.try_get(4)?,
            })
        };
        tell(connection, query, refused, sender, Portion::Refused).await?;
    }
    Ok(())
}

/// Runs a query and tells its rows in portions.
async fn tell<T>(
    connection: &mut PgConnection,
    query: String,
    read: impl Fn(&PgRow) -> anyhow::Result<T>,
    sender: &Sender,
    portion: impl Fn(Vec<T>) -> Portion,
) -> anyhow::Result<()> {
    let mut rows = sqlx::query(AssertSqlSafe(query)).fetch(connection);
    let mut waiting = Vec::with_capacity(PORTION_ROWS);
    while let Some(row) = rows.try_next().await? {
        waiting.push(read(&row)?);
        if waiting.len() == PORTION_ROWS {
            let full = std::mem::replace(&mut waiting, Vec::with_capacity(PORTION_ROWS));
            // Whoever asked has gone.
            sender.send(portion(full)).await.context("nobody listens")?;
        }
    }
    if !waiting.is_empty() {
        sender.send(portion(waiting)).await.context("nobody listens")?;
    }
    Ok(())
}

fn player(id: &str) -> anyhow::Result<PlayerId> {
    PlayerId::new(id).map_err(|refusal| anyhow::anyhow!("user_id {id:?} {}", refusal.message))
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
