//! Windows that have left Redis: their standings, from the archive.
//!
//! The ranker keeps a window's standings before it takes the window from Redis. They change no more,
//! so they are read whole and ranked in memory, and what was read last is kept for a while.

use super::boards::Subject;
use crate::problem::{Kind, Problem};
use archive_store::{ArchiveStore, FinalRow};
use board_store::{Bucket, Cursor, Page, Place, RankOf, Reading, Row, Rows};
use boards::ranking::RankOfScore;
use boards::{Board, RankMode, Ranking, Standing};
use contracts::{PlayerId, Version};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tracing::warn;

/// How many rows are kept in memory, some 250 bytes each. A larger window is read for each request.
const MAX_ROWS: u64 = 2_000_000;
const USUAL_WINDOWS: usize = 1_000;
/// How long they are believed: a player may be erased.
const KEPT: Duration = Duration::from_secs(60);
/// How long reading a window may take.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// The windows that have left Redis.
pub(super) struct PastWindows {
    /// `None` where no archive is named.
    archive: Option<ArchiveStore>,
    read: Cache<Subject, Read, Size>,
}

/// What was read of a window, and when; `None` when no standings of it are kept.
#[derive(Clone)]
struct Read {
    past: Option<Arc<Past>>,
    at: Instant,
}

#[derive(Clone)]
struct Size;

impl Weighter<Subject, Read> for Size {
    fn weight(&self, _: &Subject, read: &Read) -> u64 {
        1 + read.past.as_ref().map_or(0, |past| past.rows.len() as u64)
    }
}

impl PastWindows {
    pub(super) fn new(archive: Option<ArchiveStore>) -> Self {
        Self { archive, read: Cache::with_weighter(USUAL_WINDOWS, MAX_ROWS, Size) }
    }

    /// Whether there is an archive to ask.
    pub(super) fn are_kept(&self) -> bool {
        self.archive.is_some()
    }

    /// The standings of a window; `None` when none are kept.
    pub(super) async fn get(
        &self,
        subject: &Subject,
        board: &Board,
        name: &str,
    ) -> Result<Option<Arc<Past>>, Problem> {
        let Some(archive) = &self.archive else { return Ok(None) };
        if self.read.get(subject).is_some_and(|read| read.at.elapsed() >= KEPT) {
            self.read.remove(subject);
        }
        // One reads, those who come meanwhile wait for it.
        let read = self.read.get_or_insert_async(subject, async {
            let past = read(archive, board, name, subject.window()).await?;
            Ok(Read { past: past.map(Arc::new), at: Instant::now() })
        });
        read.await.map(|read| read.past)
    }
}

async fn read(
    archive: &ArchiveStore,
    board: &Board,
    name: &str,
    window: &str,
) -> Result<Option<Past>, Problem> {
    let away = || Problem::new(Kind::BoardUnavailable, "the archive of past windows does not answer");
    match timeout(READ_LIMIT, archive.final_standings(name, window)).await {
        Ok(Ok(kept)) => Ok(kept.map(|(kept, rows)| Past::of(board, kept.version, rows))),
        Ok(Err(error)) => {
            warn!(%error, "reading a past window");
            Err(away())
        }
        Err(_) => Err(away()),
    }
}

/// The standings of a window that is over.
pub(super) struct Past {
    board: Board,
    version: Version,
    rows: Vec<FinalRow>,
    ranking: Ranking,
}

impl Past {
    fn of(board: &Board, version: Version, rows: Vec<FinalRow>) -> Self {
        let doubles = rows.iter().map(|row| (row.player.clone(), row.sorted_set_score));
        Self { board: board.clone(), version, ranking: Ranking::of_sorted_set(board, doubles), rows }
    }

    /// What was found, with where the board stood when the window was kept.
    pub(super) fn reading<T>(&self, found: T) -> Reading<T> {
        let players = self.rows.len() as u64;
        Reading { version: self.version, state: Rows::Current, players, found }
    }

    /// As [`board_store::Reader::page`].
    pub(super) fn page(&self, limit: usize, after: Option<&Cursor>, mode: RankMode) -> Page {
        let begin = after.map_or(0, |cursor| self.rows.partition_point(|row| is_before(row, cursor)));
        let rows = self.rows_from(begin, limit, mode);
        let has_more = begin + rows.len() < self.rows.len();
        Page { stages: None, turned_to: None, rows, has_more }
    }

    /// As [`board_store::Reader::around`].
    pub(super) fn around(&self, player: &PlayerId, size: usize, mode: RankMode) -> Vec<Row> {
        let around = self.ranking.around(RankMode::Ordinal, player.as_str(), size).unwrap_or_default();
        let first = around.first().map_or(0, |row| index(row.rank));
        self.rows_from(first, around.len(), mode)
    }

    /// As [`board_store::Reader::places`].
    pub(super) fn places(&self, players: &[&PlayerId], mode: RankMode) -> Vec<Option<Place>> {
        let place = |player: &&PlayerId| {
            let Standing { rank, total, .. } = self.ranking.place(mode, player.as_str())?;
            let ordinal = self.ranking.place(RankMode::Ordinal, player.as_str())?.rank;
            Some(Place { rank, ordinal, score: self.board.score(total) })
        };
        players.iter().map(place).collect()
    }

    /// As [`board_store::Reader::distribution`].
    pub(super) fn distribution(&self, buckets: usize) -> Vec<Bucket> {
        let score = |units| self.board.score(units);
        let bucket = |boards::ranking::Bucket { from, to, players }| Bucket {
            from: score(from),
            to: score(to - 1),
            players,
        };
        self.ranking.distribution(buckets).into_iter().map(bucket).collect()
    }

    /// As [`board_store::Reader::rank_of`].
    pub(super) fn rank_of(&self, units: i64) -> RankOf {
        let RankOfScore { ordinal, competition, dense, players } = self.ranking.rank_of_score(units);
        RankOf { players_at: players, ordinal, competition, dense: Some(dense) }
    }

    fn rows_from(&self, begin: usize, limit: usize, mode: RankMode) -> Vec<Row> {
        let standings = self.ranking.page(mode, begin, limit);
        let rows =
            standings.into_iter().zip(&self.rows[begin.min(self.rows.len())..]).zip(begin as u64 + 1..);
        rows.map(|((Standing { rank, player, total }, kept), ordinal)| Row {
            rank,
            ordinal,
            player,
            score: self.board.score(total),
            sorted_set_score: kept.sorted_set_score,
        })
        .collect()
    }
}

/// Whether the row stands at the cursor's place or before it: doubles descend, and the players of
/// equal ones.
fn is_before(row: &FinalRow, cursor: &Cursor) -> bool {
    let (score, player) = (row.sorted_set_score, row.player.as_str().as_bytes());
    score > cursor.sorted_set_score
        || (score.total_cmp(&cursor.sorted_set_score).is_eq() && player >= cursor.player.as_str().as_bytes())
}

/// Of an ordinal rank.
fn index(rank: u64) -> usize {
    usize::try_from(rank - 1).unwrap_or(usize::MAX)
}

/// What is answered about a window that has left Redis where no archive is named.
pub(super) fn gone(board: &str, window: &str) -> Problem {
    let detail = format!(
        "window `{window}` of board `{board}` is over and no longer kept here: its standings are in the archive"
    );
    Problem::new(Kind::WindowGone, detail).about("window")
}
