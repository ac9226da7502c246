//! A database of one's own, and short ways to put things into it.

use archive_store::{ArchiveBatch, ArchiveStore, Fence, Place, RefusedRecord};
use contracts::{EventTime, PlayerId, Score, ScoreEvent};
use pipeline::WriteError;
use pipeline::sink::{LogBounds, Partition, Span, Step};
use service::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use std::collections::BTreeMap;
use std::str::FromStr as _;

pub(crate) const TOPIC: &str = "game-score";

/// Dropped with everything in it, also when the test panics, and so is a role of its name.
pub(crate) struct TestDatabase {
    server: PgConnectOptions,
    pub(crate) name: String,
}

impl TestDatabase {
    /// `None`, said aloud, when there is no server to test on.
    pub(crate) async fn create() -> Option<Self> {
        let url = test_servers::variable("RANKSTREAM_TEST_POSTGRES")?;
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("archive_test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = server.connect().await.unwrap();
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
        Some(Self { server, name })
    }

    /// One with the migrations applied.
    pub(crate) async fn migrated() -> Option<Self> {
        let database = Self::create().await?;
        database.store(Fence::On).migrate().await.unwrap();
        Some(database)
    }

    pub(crate) fn url(&self) -> Secret {
        self.server.clone().database(&self.name).to_url_lossy().to_string().parse().unwrap()
    }

    pub(crate) fn store(&self, fence: Fence) -> ArchiveStore {
        ArchiveStore::with_fence(&self.url(), vec![TOPIC.to_owned()], fence).unwrap()
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.unwrap()
    }

    /// One value, as text.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let mut values = self.values(sql).await;
        assert_eq!(values.len(), 1, "{sql}: {values:?}");
        values.remove(0)
    }

    /// The first column, as text.
    pub(crate) async fn values(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let sql = format!("SELECT coalesce(value::text, 'NULL') FROM ({sql}) AS answer (value)");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let name = self.name.clone();
        // A thread of its own, since the test's runtime may be in the middle of a panic.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server.connect().await.unwrap();
                execute(&mut connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                execute(&mut connection, &format!("DROP ROLE IF EXISTS {name}")).await;
                connection.close().await.unwrap();
            });
        });
        if dropped.join().is_err() {
            eprintln!("database {} is left behind", self.name);
        }
    }
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

pub(crate) fn partition(number: i32) -> Partition {
    Partition { topic: 0, number }
}

pub(crate) fn time(text: &str) -> EventTime {
    EventTime::parse_iso(text, "test").unwrap()
}

/// An event worth one point in November 2026.
pub(crate) fn event(player: &str) -> ScoreEvent {
    ScoreEvent {
        player: PlayerId::new(player).unwrap(),
        score: Score::new(1, 0),
        created_at: time("2026-11-21T12:00:00"),
        event_id: None,
        nickname: None,
        tags: BTreeMap::new(),
        unknown: BTreeMap::new(),
    }
}

pub(crate) fn arrived(partition: i32, offset: i64, at: &str) -> Place {
    Place { partition, offset, arrived_at: time(at) }
}

/// A step of one partition whose records begin at offset `from`, all of the same arrival.
pub(crate) fn step(
    number: i32,
    from: i64,
    records: &[Result<ScoreEvent, RefusedRecord>],
) -> Step<ArchiveBatch> {
    let mut batch = ArchiveBatch::default();
    for (record, offset) in records.iter().zip(from..) {
        let place = arrived(number, offset, "2026-11-21T12:00:01");
        match record {
            Ok(event) => batch.add_event(place, event),
            Err(refused) => batch.add_refused(place, refused),
        }
    }
    let to = from + i64::try_from(records.len()).unwrap();
    let spans = vec![Span { partition: partition(number), from, to }];
    Step { batch, spans, records: records.len() as u64 }
}

pub(crate) async fn begin(store: &ArchiveStore, partitions: i32) {
    let log: Vec<LogBounds> = (0..partitions)
        .map(|number| LogBounds { partition: partition(number), low: 0, high: 1_000 })
        .collect();
    store.open(&log.iter().map(|bounds| bounds.partition).collect::<Vec<_>>(), &log).await.unwrap();
}

pub(crate) async fn position(store: &ArchiveStore, number: i32) -> i64 {
    store.positions(&[partition(number)]).await.unwrap()[&partition(number)]
}

pub(crate) fn is_fenced(outcome: &Result<(), WriteError>) -> bool {
    matches!(outcome, Err(WriteError::Fenced(_)))
}
