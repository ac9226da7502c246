//! The archive's rows once more, into a table of the same columns that has nothing but its key.

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, PgConnection};
use std::ops::Range;

/// How many rows a COPY has: as many as the archiver writes at once.
const COPY_ROWS: usize = 16_384;
/// What a binary COPY begins with: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, where a row would have the number of its fields.
const TRAILER: &[u8] = &[0xff, 0xff];

/// How rows are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Many in a COPY, each of which is a transaction
    Copy,
    /// A transaction each
    Rows,
}

pub(crate) async fn run(mode: Mode, url: &str, rows: u64) -> anyhow::Result<()> {
    let mut postgres = PgConnection::connect(url).await?;
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE leaderboard.game_score INCLUDING DEFAULTS); \
         ALTER TABLE bare ADD PRIMARY KEY (arrived_on, kafka_partition, kafka_offset)",
    )
    .execute(&mut postgres)
    .await?;
    let rows = usize::try_from(rows)?;
    match mode {
        Mode::Copy => copy(&mut postgres, rows).await,
        Mode::Rows => insert(&mut postgres, rows).await,
    }
}

async fn copy(postgres: &mut PgConnection, rows: usize) -> anyhow::Result<()> {
    let statement =
        format!("COPY (SELECT * FROM leaderboard.game_score LIMIT {rows}) TO STDOUT (FORMAT binary)");
    let mut bytes = Vec::new();
    let mut stream = postgres.copy_out_raw(&statement).await?;
    while let Some(part) = stream.try_next().await? {
        bytes.extend_from_slice(&part);
    }
    drop(stream);
    let found = rows_in(&bytes).context("a COPY of another shape")?;
    anyhow::ensure!(found.len() == rows, "{} of {rows} rows are there", found.len());
    let copies: Vec<Vec<u8>> = found
        .chunks(COPY_ROWS)
        .map(|rows| [HEADER, &bytes[rows[0].start..rows[rows.len() - 1].end], TRAILER].concat())
        .collect();
    let begun = crate::ready()?;
    for bytes in copies {
        let mut copy = postgres.copy_in_raw("COPY bare FROM STDIN (FORMAT binary)").await?;
        copy.send(bytes).await?;
        copy.finish().await?;
    }
    crate::took(begun)
}

/// Where each row stands.
fn rows_in(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut rows = Vec::new();
    let mut at = HEADER.len();
    loop {
        let begin = at;
        let fields = i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
        at += 2;
        let Ok(fields) = u16::try_from(fields) else { return Some(rows) };
        for _ in 0..fields {
            let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
            // -1 is null, and has no bytes.
            at += 4 + usize::try_from(length).unwrap_or(0);
        }
        rows.push(begin..at);
    }
}

async fn insert(postgres: &mut PgConnection, rows: usize) -> anyhow::Result<()> {
    let begun = crate::ready()?;
    for offset in 0..i64::try_from(rows)? {
        sqlx::query(
            "INSERT INTO bare (arrived_on, kafka_partition, kafka_offset, arrived_at, created_at, user_id, score) \
             VALUES ('2026-01-01', 0, $1, now(), now(), $2, $3::text::numeric)",
        )
        .bind(offset)
        .bind(offset.to_string())
        .bind((offset % 100).to_string())
        .execute(&mut *postgres)
        .await?;
    }
    crate::took(begun)
}
