//! Positions and writes.

use crate::batch::{ArchiveBatch, COPY_EVENTS, COPY_REFUSED};
use crate::connection::{Connections, Failure, within};
use crate::copy::{CopyRows, Day, HEADER, TRAILER};
use metrics::counter;
use pipeline::WriteError;
use pipeline::sink::{LogBounds, Partition, Span, Step};
use service::Secret;
use sqlx::postgres::{PgConnection, PgTransaction};
use sqlx::{Connection as _, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long anything may take altogether. Each of its parts has a shorter limit on the server,
/// which cannot tell when the network is gone.
const LIMIT: Duration = Duration::from_secs(60);
/// How much is handed to the socket at once, so that its buffer stays small.
const CHUNK_BYTES: usize = 256 * 1024;

/// Whether the offsets guard the rows. No setting reaches this.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Rows and offsets change together, and only from the offsets that the writer expects.
    On,
    /// Together, whatever the offsets were. The primary key still refuses a row that is there.
    Off,
    /// Rows first, offsets in a transaction of their own: at least once. A negative control, as
    /// the next: tests must fail with it.
    Apart,
    /// Offsets first, in a transaction of their own. A crash in between loses the rows.
    AtMostOnce,
}

/// The archive, seen from its writer. It connects when it is first asked for something.
pub struct ArchiveStore {
    pub(crate) connections: Connections,
    pub(crate) topics: Vec<String>,
    fence: Fence,
    /// The days whose partition is there, and that of the day after.
    ready_days: Mutex<BTreeSet<Day>>,
}

impl ArchiveStore {
    /// The archive at `url`; `topics` are the names on the broker that [`Partition::topic`] counts.
    ///
    /// # Errors
    /// When `url` is not one of Postgres.
    pub fn new(url: &Secret, topics: Vec<String>) -> anyhow::Result<Self> {
        Self::with_fence(url, topics, Fence::On)
    }

    /// As [`new`](Self::new), with the protection switched off for a negative control.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[doc(hidden)]
    pub fn with_fence(url: &Secret, topics: Vec<String>, fence: Fence) -> anyhow::Result<Self> {
        let connections = Connections::new(url)?;
        Ok(Self { connections, topics, fence, ready_days: Mutex::default() })
    }

    /// Where the archive stands, with the partitions begun that it does not know.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn open(
        &self,
        partitions: &[Partition],
        log: &[LogBounds],
    ) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let positions = self.positions(partitions).await?;
        if partitions.iter().all(|partition| positions.contains_key(partition)) {
            return Ok(positions);
        }
        self.begin(log).await?;
        self.positions(partitions).await
    }

    /// The offsets stored with the rows: for each of `partitions` the next one to write. Those
    /// that were never begun are absent.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn positions(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, WriteError> {
        within_limit(async {
            let mut connection = self.connections.take().await?;
            let rows = sqlx::query(
                "SELECT topic, kafka_partition, next_offset FROM leaderboard.consumer_offset \
                 WHERE topic = ANY($1)",
            )
            .bind(&self.topics)
            .fetch_all(&mut connection)
            .await?;
            self.connections.keep(connection);
            let mut positions = BTreeMap::new();
            for row in rows {
                let (name, number, next): (&str, i32, i64) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let Some(topic) = self.topics.iter().position(|topic| topic == name) else { continue };
                let partition = Partition { topic, number };
                if partitions.contains(&partition) {
                    positions.insert(partition, next);
                }
            }
            Ok(positions)
        })
        .await
    }

    /// Begins the partitions that are not known yet, each at its oldest offset.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    async fn begin(&self, log: &[LogBounds]) -> Result<(), WriteError> {
        within_limit(async {
            let mut connection = self.connections.take().await?;
            sqlx::query(
                "INSERT INTO leaderboard.consumer_offset (topic, kafka_partition, first_offset, next_offset) \
                 SELECT topic, kafka_partition, low, low \
                 FROM unnest($1::text[], $2::int[], $3::bigint[]) AS log (topic, kafka_partition, low) \
                 ORDER BY topic, kafka_partition \
                 ON CONFLICT DO NOTHING",
            )
            .bind(self.names(log.iter().map(|bounds| bounds.partition)))
            .bind(log.iter().map(|bounds| bounds.partition.number).collect::<Vec<_>>())
            .bind(log.iter().map(|bounds| bounds.low).collect::<Vec<_>>())
            .execute(&mut connection)
            .await?;
            self.connections.keep(connection);
            Ok(())
        })
        .await
    }

    /// Writes all steps and advances the offsets over their spans, in one transaction.
    ///
    /// # Errors
    /// [`WriteError::Fenced`] when an offset stands elsewhere than where its span begins; nothing
    /// was written then. [`WriteError::Unavailable`] when that is unknown.
    pub async fn write(&self, chain: &[Step<ArchiveBatch>]) -> Result<(), WriteError> {
        let outcome = within_limit(async {
            let spans = joined(chain)?;
            let mut connection = self.connections.take().await?;
            self.ensure_days(&mut connection, chain).await?;
            let mut transaction = connection.begin().await?;
            match self.fence {
                Fence::On => self.advance(&mut transaction, &spans).await?,
                Fence::Off => self.set_unguarded(&mut transaction, &spans).await?,
                Fence::AtMostOnce => {
                    self.set_unguarded(&mut transaction, &spans).await?;
                    transaction.commit().await?;
                    transaction = connection.begin().await?;
                }
                Fence::Apart => {}
            }
            copy(&mut transaction, COPY_EVENTS, chain.iter().map(|step| &step.batch.events)).await?;
            copy(&mut transaction, COPY_REFUSED, chain.iter().map(|step| &step.batch.refused)).await?;
            transaction.commit().await?;
            if self.fence == Fence::Apart {
                let mut transaction = connection.begin().await?;
                self.set_unguarded(&mut transaction, &spans).await?;
                transaction.commit().await?;
            }
            self.connections.keep(connection);
            Ok(())
        })
        .await;
        if outcome.is_err() {
            // A partition may be gone: look again.
            self.ready_days.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return outcome;
        }
        for step in chain {
            counter!("archive_rows_total").increment(step.batch.events.rows() as u64);
            counter!("archive_refused_total").increment(step.batch.refused.rows() as u64);
        }
        Ok(())
    }

    /// The fence: moves each offset from where its span begins to where it ends, all or none. Rows
    /// are locked in one order, so that two writers never wait for each other in a circle.
    async fn advance(&self, transaction: &mut PgTransaction<'_>, spans: &[Span]) -> Result<(), Failure> {
        let moved = sqlx::query(
            "WITH span AS ( \
                 SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) \
                     AS span (topic, kafka_partition, from_offset, to_offset) \
             ), expected AS ( \
                 SELECT span.* \
                 FROM leaderboard.consumer_offset AS stored JOIN span USING (topic, kafka_partition) \
                 WHERE stored.next_offset = span.from_offset \
                 ORDER BY stored.topic, stored.kafka_partition \
                 FOR UPDATE OF stored \
             ) \
             UPDATE leaderboard.consumer_offset AS stored SET next_offset = expected.to_offset \
             FROM expected \
             WHERE (stored.topic, stored.kafka_partition, stored.next_offset) \
                 = (expected.topic, expected.kafka_partition, expected.from_offset)",
        )
        .bind(self.names(spans.iter().map(|span| span.partition)))
        .bind(spans.iter().map(|span| span.partition.number).collect::<Vec<_>>())
        .bind(spans.iter().map(|span| span.from).collect::<Vec<_>>())
        .bind(spans.iter().map(|span| span.to).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        if moved == spans.len() as u64 {
            return Ok(());
        }
        Err(Failure::Fenced(format!("{moved} of {} partitions stand where the write begins", spans.len())))
    }

    /// Sets the offsets, whatever they were.
    async fn set_unguarded(
        &self,
        transaction: &mut PgTransaction<'_>,
        spans: &[Span],
    ) -> Result<(), Failure> {
        for span in spans {
            sqlx::query(
                "UPDATE leaderboard.consumer_offset SET next_offset = $3 \
                 WHERE topic = $1 AND kafka_partition = $2",
            )
            .bind(&self.topics[span.partition.topic])
            .bind(span.partition.number)
            .bind(span.to)
            .execute(&mut **transaction)
            .await?;
        }
        Ok(())
    }

    /// Makes the partitions that the chain needs, and those of the days after, so that a new day
    /// finds its own. Outside the write's transaction, which then never waits for another's.
    async fn ensure_days(
        &self,
        connection: &mut PgConnection,
        chain: &[Step<ArchiveBatch>],
    ) -> Result<(), Failure> {
        let needed: BTreeSet<Day> = chain.iter().flat_map(|step| &step.batch.days).copied().collect();
        let missing: BTreeSet<Day> = {
            let ready = self.ready_days.lock().unwrap_or_else(PoisonError::into_inner);
            needed.difference(&ready).copied().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let days: BTreeSet<i32> = missing.iter().flat_map(|day| [day.0, day.0 + 1]).collect();
        sqlx::query("SELECT leaderboard.ensure_day(date '1970-01-01' + day) FROM unnest($1::int[]) AS day")
            .bind(days.into_iter().collect::<Vec<_>>())
            .execute(connection)
            .await?;
        self.ready_days.lock().unwrap_or_else(PoisonError::into_inner).extend(missing);
        Ok(())
    }

    fn names(&self, partitions: impl Iterator<Item = Partition>) -> Vec<&str> {
        partitions.map(|partition| self.topics[partition.topic].as_str()).collect()
    }
}

/// One span a partition over the whole chain.
fn joined(chain: &[Step<ArchiveBatch>]) -> Result<Vec<Span>, Failure> {
    let mut spans: BTreeMap<Partition, Span> = BTreeMap::new();
    for span in chain.iter().flat_map(|step| &step.spans) {
        let joined = spans.entry(span.partition).or_insert(Span { to: span.from, ..*span });
        if joined.to != span.from {
            return Err(Failure::Fenced(format!("the chain leaps from {} to {}", joined.to, span.from)));
        }
        joined.to = span.to;
    }
    Ok(spans.into_values().collect())
}

pub(crate) async fn copy(
    transaction: &mut PgTransaction<'_>,
    statement: &'static str,
    rows: impl Iterator<Item = &CopyRows> + Clone,
) -> Result<(), Failure> {
    if rows.clone().all(|rows| rows.rows() == 0) {
        return Ok(());
    }
    let mut copy = transaction.copy_in_raw(statement).await?;
    copy.send(HEADER).await?;
    for chunk in rows.flat_map(|rows| rows.bytes().chunks(CHUNK_BYTES)) {
        copy.send(chunk).await?;
    }
    copy.send(TRAILER).await?;
    copy.finish().await?;
    Ok(())
}

pub(crate) async fn within_limit<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, WriteError> {
    within(LIMIT, work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(spans: &[(i32, i64, i64)]) -> Step<ArchiveBatch> {
        let spans = spans
            .iter()
            .map(|&(number, from, to)| Span { partition: Partition { topic: 0, number }, from, to })
            .collect();
        Step { batch: ArchiveBatch::default(), spans, records: 0 }
    }

    #[test]
    fn spans_of_a_chain_become_one_a_partition() {
        let spans = joined(&[step(&[(0, 5, 7), (1, 0, 3)]), step(&[(1, 3, 9)]), step(&[(0, 7, 8)])]).unwrap();
        let expected = step(&[(0, 5, 8), (1, 0, 9)]).spans;
        assert_eq!(spans, expected);
    }

    #[test]
    fn a_chain_with_a_gap_is_refused() {
        let outcome = joined(&[step(&[(0, 5, 7)]), step(&[(0, 8, 9)])]);
        assert!(matches!(outcome, Err(Failure::Fenced(_))), "{outcome:?}");
    }
}
