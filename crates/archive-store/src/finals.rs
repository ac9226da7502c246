//! Windows that are over: their standings leave Redis and stay in the archive.

use crate::audit::fields::{Unpacked, final_row};
use crate::connection::{Failure, write_error};
use crate::copy::CopyRows;
use crate::store::{ArchiveStore, copy};
use contracts::{EventTime, PlayerId, Score};
use futures_util::TryStreamExt as _;
use pipeline::WriteError;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

const COPY_STANDINGS: &str = "COPY leaderboard.final_standing (board, window_id, place, sorted_set_score, user_id, \
     score) FROM STDIN (FORMAT binary)";

/// A window of a board that nothing changes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalWindow {
    /// The board as the API calls it: `name`, or `name:value`.
    pub board: String,
    /// The window's id.
    pub window: String,
    /// Its first instant.
    pub start: EventTime,
    /// The first instant after it.
    pub end: EventTime,
    /// The board's epoch and version when its standings were read.
    pub version: contracts::Version,
    /// How many decimals scores have.
    pub decimals: u8,
}

/// A player's place in a window that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalRow {
    /// The double under which the player stood in Redis.
    pub sorted_set_score: f64,
    /// The player.
    pub player: PlayerId,
    /// The total.
    pub score: Score,
}

impl ArchiveStore {
    /// Whether the standings of the window are kept.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn has_final(&self, board: &str, window: &str) -> Result<bool, WriteError> {
        let read = async {
            let mut connection = self.connections.patient().await?;
            let window = read_window(&mut connection, board, window).await?;
            connection.close().await?;
            Ok(window.is_some())
        };
        read.await.map_err(write_error)
    }

    /// Keeps the standings of a window, best first, unless they are kept already; says whether it
    /// did.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn keep_final(&self, window: &FinalWindow, rows: &[FinalRow]) -> Result<bool, WriteError> {
        let keep = async {
            let mut connection = self.connections.patient().await?;
            let mut transaction = connection.begin().await?;
            if !insert_window(&mut transaction, window, rows.len()).await? {
                return Ok(false);
            }
            let mut encoded = CopyRows::default();
            for (row, place) in rows.iter().zip(1..) {
                encoded.row(6).text(&window.board).text(&window.window).bigint(place);
                encoded.double(row.sorted_set_score).text(row.player.as_str()).numeric(row.score);
            }
            copy(&mut transaction, COPY_STANDINGS, std::iter::once(&encoded)).await?;
            transaction.commit().await?;
            connection.close().await?;
            Ok(true)
        };
        keep.await.map_err(write_error)
    }

    /// The standings of a window that are kept, best first; `None` when they are not.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn final_standings(
        &self,
        board: &str,
        window: &str,
    ) -> Result<Option<(FinalWindow, Vec<FinalRow>)>, WriteError> {
        let read = async {
            let mut connection = self.connections.patient().await?;
            let mut transaction = connection.begin().await?;
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .execute(&mut *transaction)
                .await?;
            let Some(window) = read_window(&mut transaction, board, window).await? else { return Ok(None) };
            let rows = read_rows(&mut transaction, &window).await?;
            transaction.commit().await?;
            connection.close().await?;
            Ok(Some((window, rows)))
        };
        read.await.map_err(write_error)
    }
}

/// Says whether it was not there.
async fn insert_window(
    connection: &mut PgConnection,
    window: &FinalWindow,
    players: usize,
) -> Result<bool, Failure> {
    let FinalWindow { board, window, start, end, version, decimals } = window;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let inserted = sqlx::query(
        "INSERT INTO leaderboard.final_window \
             (board, window_id, starts_at, ends_at, epoch, version, players, decimals, kept_at) \
         VALUES ($1, $2, timestamptz 'epoch' + $3 * interval '1 microsecond', \
             timestamptz 'epoch' + $4 * interval '1 microsecond', $5, $6, $7, $8, now()) \
         ON CONFLICT DO NOTHING",
    )
    .bind(board)
    .bind(window)
    .bind(start.micros())
    .bind(end.micros())
    .bind(number(version.epoch))
    .bind(number(version.version))
    .bind(number(players as u64))
    .bind(i32::from(*decimals))
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn read_window(
    connection: &mut PgConnection,
    board: &str,
    window: &str,
) -> Result<Option<FinalWindow>, Failure> {
    let row = sqlx::query(
        "SELECT (extract(epoch FROM starts_at) * 1000000)::bigint, (extract(epoch FROM ends_at) * 1000000)::bigint, \
             epoch, version, decimals \
         FROM leaderboard.final_window WHERE board = $1 AND window_id = $2",
    )
    .bind(board)
    .bind(window)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let time = |micros: i64| {
        let cause =
            || Failure::Impossible(format!("window {window} of {board} lies beyond the years 1 to 9999"));
        EventTime::from_micros(micros).ok_or_else(cause)
    };
    Ok(Some(FinalWindow {
        board: board.to_owned(),
        window: window.to_owned(),
        start: time(row.try_get(0)?)?,
        end: time(row.try_get(1)?)?,
        version: contracts::Version {
            epoch: row.try_get::<i64, _>(2)?.unsigned_abs(),
            version: row.try_get::<i64, _>(3)?.unsigned_abs(),
        },
        decimals: u8::try_from(row.try_get::<i32, _>(4)?).unwrap_or_default(),
    }))
}

async fn read_rows(connection: &mut PgConnection, window: &FinalWindow) -> Result<Vec<FinalRow>, Failure> {
    // COPY takes no parameters; the names are quoted as text.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let statement = format!(
        "COPY (SELECT sorted_set_score, user_id, score FROM leaderboard.final_standing \
         WHERE board = {} AND window_id = {} ORDER BY place) TO STDOUT (FORMAT binary)",
        quoted(&window.board),
        quoted(&window.window)
    );
    let impossible =
        |error: anyhow::Error| Failure::Impossible(format!("reading final standings: {error:#}"));
    let mut stream = connection.copy_out_raw(&statement).await?;
    let (mut unpacked, mut rows) = (Unpacked::default(), Vec::new());
    while let Some(message) = stream.try_next().await? {
        for row in unpacked.rows(&message).map_err(impossible)? {
            rows.push(row.and_then(final_row).map_err(impossible)?);
        }
    }
    if unpacked.ended() { Ok(rows) } else { Err(impossible(anyhow::anyhow!("the copy ended early"))) }
}
