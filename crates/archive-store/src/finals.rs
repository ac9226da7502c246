//! Windows that are over: their standings leave Redis and stay in the archive.

use crate::audit::Audit;
use crate::audit::fields::{Unpacked, final_row, placed_row};
use crate::connection::{Failure, within, write_error};
use crate::copy::CopyRows;
use crate::erase::erased;
use crate::store::{ArchiveStore, copy, within_limit};
use anyhow::Context as _;
use contracts::{EventTime, PlayerId, Score};
use futures_util::TryStreamExt as _;
use pipeline::WriteError;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::time::Duration;

/// How long keeping standings may take: some minutes for ten million players.
const KEEP_LIMIT: Duration = Duration::from_secs(600);
/// How long reading them may take on the server, which may not notice that nobody waits any more.
const READ_LIMIT: &str = "SET LOCAL statement_timeout = '10s'";

const COPY_STANDINGS: &str = "COPY leaderboard.final_standing (board, window_id, place, sorted_set_score, user_id, \
     score) FROM STDIN (FORMAT binary)";

const SELECT_WINDOWS: &str = "SELECT board, window_id, (extract(epoch FROM starts_at) * 1000000)::bigint, \
     (extract(epoch FROM ends_at) * 1000000)::bigint, epoch, version, decimals, lowest_first, rules, players \
     FROM leaderboard.final_window";

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
    /// How many decimals the board's scores had.
    pub decimals: u8,
    /// Whether the lowest total is the best. [`FinalRow::sorted_set_score`] has minus the total then.
    pub lowest_first: bool,
    /// The board's rules by which events counted, as its fingerprint; `None` where that was not
    /// written down yet.
    pub rules: Option<String>,
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

/// What is kept of a window that is over.
#[derive(Clone, Debug, PartialEq)]
pub enum FinalStandings {
    /// Nothing.
    NotKept,
    /// More rows than were asked for: so many.
    TooMany(u64),
    /// Everything, the rows best first.
    Kept(FinalWindow, Vec<FinalRow>),
}

impl ArchiveStore {
    /// Whether the standings of this very window are kept. One of the same id that begins or ends at
    /// another time, as a season that was extended since, is another window.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn has_final(&self, window: &FinalWindow) -> Result<bool, WriteError> {
        within_limit(async {
            let mut connection = self.connections.take_alive().await?;
            let kept = read_window(&mut connection, &window.board, &window.window).await?;
            self.connections.keep(connection);
            Ok(kept.is_some_and(|(kept, _)| (kept.start, kept.end) == (window.start, window.end)))
        })
        .await
    }

    /// Keeps the standings of a window, best first, unless they are kept already; says whether it
    /// did. Those of a window of the same id that begins or ends at another time are replaced. Players
    /// who were erased stand under their pseudonyms, whatever `rows` call them.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn keep_final(&self, window: &FinalWindow, rows: &[FinalRow]) -> Result<bool, WriteError> {
        within(KEEP_LIMIT, async {
            let mut connection = self.connections.patient().await?;
            let mut transaction = connection.begin().await?;
            // Whoever erases a player writes to this table first, and renames what is kept then: either
            // that is done and known here, or it waits for these rows.
            sqlx::query("LOCK TABLE leaderboard.erased_player IN SHARE MODE")
                .execute(&mut *transaction)
                .await?;
            let erased = erased(&mut transaction).await?;
            delete_other_bounds(&mut transaction, window).await?;
            if !insert_window(&mut transaction, window, rows.len()).await? {
                return Ok(false);
            }
            let mut encoded = CopyRows::default();
            for (row, place) in rows.iter().zip(1..) {
                let player = erased.pseudonym(&row.player).unwrap_or(&row.player);
                encoded.row(6).text(&window.board).text(&window.window).bigint(place);
                encoded.double(row.sorted_set_score).text(player.as_str()).numeric(row.score);
            }
            copy(&mut transaction, COPY_STANDINGS, std::iter::once(&encoded)).await?;
            transaction.commit().await?;
            connection.close().await?;
            Ok(true)
        })
        .await
    }

    /// The standings that are kept of the window of that id, if they have at most `max_rows`.
    ///
    /// # Errors
    /// Never [`WriteError::Fenced`].
    pub async fn final_standings(
        &self,
        board: &str,
        window: &str,
        max_rows: u64,
    ) -> Result<FinalStandings, WriteError> {
        within_limit(async {
            let mut connection = self.connections.take_alive().await?;
            let mut transaction =
                connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            sqlx::query(READ_LIMIT).execute(&mut *transaction).await?;
            let found = match read_window(&mut transaction, board, window).await? {
                None => FinalStandings::NotKept,
                Some((_, players)) if players > max_rows => FinalStandings::TooMany(players),
                Some((window, _)) => {
                    let rows = read_rows(&mut transaction, &window).await?;
                    FinalStandings::Kept(window, rows)
                }
            };
            transaction.commit().await?;
            self.connections.keep(connection);
            Ok(found)
        })
        .await
    }
}

/// Takes away what was kept of a window of the same id with another beginning or end.
async fn delete_other_bounds(connection: &mut PgConnection, window: &FinalWindow) -> Result<(), Failure> {
    sqlx::query(
        "DELETE FROM leaderboard.final_window WHERE board = $1 AND window_id = $2 \
             AND (starts_at, ends_at) <> (timestamptz 'epoch' + $3 * interval '1 microsecond', \
                 timestamptz 'epoch' + $4 * interval '1 microsecond')",
    )
    .bind(&window.board)
    .bind(&window.window)
    .bind(window.start.micros())
    .bind(window.end.micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// Says whether it was not there.
async fn insert_window(
    connection: &mut PgConnection,
    window: &FinalWindow,
    players: usize,
) -> Result<bool, Failure> {
    let FinalWindow { board, window, start, end, version, decimals, lowest_first, rules } = window;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let inserted = sqlx::query(
        "INSERT INTO leaderboard.final_window \
             (board, window_id, starts_at, ends_at, epoch, version, players, decimals, lowest_first, rules, kept_at) \
         VALUES ($1, $2, timestamptz 'epoch' + $3 * interval '1 microsecond', \
             timestamptz 'epoch' + $4 * interval '1 microsecond', $5, $6, $7, $8, $9, $10, now()) \
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
    .bind(lowest_first)
    .bind(rules)
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// With the number of its players.
async fn read_window(
    connection: &mut PgConnection,
    board: &str,
    window: &str,
) -> Result<Option<(FinalWindow, u64)>, Failure> {
    let statement = format!("{SELECT_WINDOWS} WHERE board = $1 AND window_id = $2");
    let row =
        sqlx::query(AssertSqlSafe(statement)).bind(board).bind(window).fetch_optional(connection).await?;
    row.as_ref().map(window_of).transpose()
}

/// With the number of its players.
fn window_of(row: &PgRow) -> Result<(FinalWindow, u64), Failure> {
    let (board, window): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let time = |column| {
        let time = EventTime::from_micros(row.try_get(column)?);
        time.ok_or_else(|| {
            Failure::Impossible(format!("window {window} of {board} lies beyond the years 1 to 9999"))
        })
    };
    let number = |column| Ok::<_, Failure>(row.try_get::<i64, _>(column)?.unsigned_abs());
    let (start, end) = (time(2)?, time(3)?);
    let kept = FinalWindow {
        start,
        end,
        version: contracts::Version { epoch: number(4)?, version: number(5)? },
        decimals: u8::try_from(row.try_get::<i32, _>(6)?).unwrap_or_default(),
        lowest_first: row.try_get(7)?,
        rules: row.try_get(8)?,
        board,
        window,
    };
    Ok((kept, number(9)?))
}

impl Audit {
    /// The windows that are kept of the board of that name and of its values, those that ended last
    /// first, each with the number of its players.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn final_windows(&mut self, board: &str) -> anyhow::Result<Vec<(FinalWindow, u64)>> {
        let statement = format!(
            "{SELECT_WINDOWS} WHERE board = $1 OR starts_with(board, $1 || ':') ORDER BY ends_at DESC, 1, 2"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(board).fetch_all(&mut self.connection).await;
        let windows = rows.map_err(Failure::from).and_then(|rows| rows.iter().map(window_of).collect());
        windows.map_err(write_error).context("reading which windows are kept")
    }

    /// What is kept of a window, by place: (place, row).
    ///
    /// # Errors
    /// When Postgres fails, or has rows that no board has.
    pub async fn final_rows(&mut self, window: &FinalWindow) -> anyhow::Result<Vec<(i64, FinalRow)>> {
        // Read to its end in any case, so that others can be read after it.
        let mut rows = Ok(Vec::new());
        let statement = copy_rows("place, sorted_set_score, user_id, score", window);
        let read = self.copy_out(&statement, |row| {
            if let Ok(read) = &mut rows {
                match placed_row(row) {
                    Ok(row) => read.push(row),
                    Err(error) => rows = Err(error),
                }
            }
            Ok(())
        });
        read.await
            .and(rows)
            .with_context(|| format!("reading what is kept of {} in {}", window.board, window.window))
    }
}

/// What reads those columns of the window's rows, by place.
fn copy_rows(columns: &str, window: &FinalWindow) -> String {
    // COPY takes no parameters; the names are quoted as text.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    format!(
        "COPY (SELECT {columns} FROM leaderboard.final_standing WHERE board = {} AND window_id = {} \
         ORDER BY place) TO STDOUT (FORMAT binary)",
        quoted(&window.board),
        quoted(&window.window)
    )
}

async fn read_rows(connection: &mut PgConnection, window: &FinalWindow) -> Result<Vec<FinalRow>, Failure> {
    let impossible =
        |error: anyhow::Error| Failure::Impossible(format!("reading final standings: {error:#}"));
    let mut stream = connection.copy_out_raw(&copy_rows("sorted_set_score, user_id, score", window)).await?;
    let (mut unpacked, mut rows) = (Unpacked::default(), Vec::new());
    while let Some(message) = stream.try_next().await? {
        for row in unpacked.rows(&message).map_err(impossible)? {
            rows.push(row.and_then(final_row).map_err(impossible)?);
        }
    }
    if unpacked.ended() { Ok(rows) } else { Err(impossible(anyhow::anyhow!("the copy ended early"))) }
}
