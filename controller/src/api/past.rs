//! Windows that have left Redis: their standings, from the archive.
//!
//! The ranker keeps a window's standings before it takes the window from Redis. They change no more,
//! so they are read whole and ranked in memory, and what was read last is kept for a while. That
//! nothing is kept is never remembered: it may be kept the next moment.

use super::boards::Subject;
use crate::problem::{Kind, Problem};
use archive_store::{ArchiveStore, FinalRow, FinalStandings, FinalWindow};
use board_store::{Bucket, Cursor, Page, Place, RankOf, Reading, Row, Rows};
use boards::ranking::RankOfScore;
use boards::rules::{MAX_TOTAL_UNITS, Order};
use boards::{Board, RankMode, Ranking, Standing, Window};
use contracts::{PlayerId, Score};
use futures_util::future::BoxFuture;
use pipeline::WriteError;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, warn};

/// How many rows are kept in memory, some 250 bytes each.
const MAX_ROWS: u64 = 2_000_000;
const USUAL_WINDOWS: usize = 1_000;
/// How many rows a window may have to be answered for: less than is kept.
const MAX_WINDOW_ROWS: u64 = 1_500_000;
/// How many windows are read at once: so many connections, and so much memory beside what is kept.
const MAX_READ_AT_ONCE: usize = 2;
/// How many requests may wait for windows to be read. Those in flight are bounded, too, by more
/// than that, so that there is room for others.
const MAX_WAITING: usize = 128;
/// How long they are believed: a player may be erased.
const KEPT: Duration = Duration::from_secs(60);
/// How long reading a window may take, with waiting for others.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Where the standings of windows that have left Redis are kept.
pub trait Archive: Send + Sync {
    /// As [`ArchiveStore::final_standings`].
    fn final_standings<'a>(
        &'a self,
        board: &'a str,
        window: &'a str,
        max_rows: u64,
    ) -> BoxFuture<'a, Result<FinalStandings, WriteError>>;
}

impl Archive for ArchiveStore {
    fn final_standings<'a>(
        &'a self,
        board: &'a str,
        window: &'a str,
        max_rows: u64,
    ) -> BoxFuture<'a, Result<FinalStandings, WriteError>> {
        Box::pin(self.final_standings(board, window, max_rows))
    }
}

/// The windows that have left Redis.
pub(super) struct PastWindows {
    /// `None` where no archive is named.
    archive: Option<Box<dyn Archive>>,
    read: Cache<Subject, Read, Size>,
    waiting: Semaphore,
    reading: Arc<Semaphore>,
}

/// What was read of a window, and when.
#[derive(Clone)]
struct Read {
    past: Arc<Past>,
    at: Instant,
}

#[derive(Clone)]
struct Size;

impl Weighter<Subject, Read> for Size {
    fn weight(&self, _: &Subject, read: &Read) -> u64 {
        1 + read.past.rows.len() as u64
    }
}

/// Why there is nothing to answer with.
enum Unread {
    /// Nothing is kept of the window.
    NotKept,
    Problem(Problem),
}

impl PastWindows {
    pub(super) fn new(archive: Option<Box<dyn Archive>>) -> Self {
        // In one shard, since each of several would take its part of the rows at most.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(USUAL_WINDOWS)
            .weight_capacity(MAX_ROWS)
            .build()
            .expect("both capacities are given");
        let read =
            Cache::with_options(options, Size, DefaultHashBuilder::default(), DefaultLifecycle::default());
        let (waiting, reading) = (Semaphore::new(MAX_WAITING), Semaphore::new(MAX_READ_AT_ONCE));
        Self { archive, read, waiting, reading: Arc::new(reading) }
    }

    /// Whether there is an archive to ask.
    pub(super) fn are_kept(&self) -> bool {
        self.archive.is_some()
    }

    /// The standings of a window; `None` when none are kept now.
    pub(super) async fn get(
        &self,
        subject: &Subject,
        board: &Board,
        name: &str,
    ) -> Result<Option<Arc<Past>>, Problem> {
        let Some(archive) = &self.archive else { return Ok(None) };
        match self.read.get(subject) {
            Some(read) if read.at.elapsed() < KEPT => return Ok(Some(read.past)),
            Some(_) => drop(self.read.remove(subject)),
            None => {}
        }
        let _waits = self.waiting.try_acquire().map_err(|_| busy())?;
        // One reads, those who come meanwhile wait for it; when it finds nothing, each asks anew.
        let read = self.read.get_or_insert_async(subject, async {
            let past = self.read_window(&**archive, board, name, subject.window()).await?;
            Ok(Read { past: Arc::new(past), at: Instant::now() })
        });
        match timeout(READ_LIMIT, read).await {
            Ok(Ok(read)) => Ok(Some(read.past)),
            Ok(Err(Unread::NotKept)) => Ok(None),
            Ok(Err(Unread::Problem(problem))) => Err(problem),
            Err(_) => Err(away()),
        }
    }

    async fn read_window(
        &self,
        archive: &dyn Archive,
        board: &Board,
        name: &str,
        window: &str,
    ) -> Result<Past, Unread> {
        let turn = Arc::clone(&self.reading).acquire_owned().await.expect("it is never closed");
        match archive.final_standings(name, window, MAX_WINDOW_ROWS).await {
            Ok(FinalStandings::Kept(kept, rows)) => {
                let board = board.clone();
                // A million players take a second; nobody else on the runtime waits for it.
                let past = spawn_blocking(move || {
                    let past = Past::of(&board, kept, rows);
                    drop(turn);
                    past
                });
                past.await.map_err(|error| {
                    error!(%error, "ranking a past window");
                    Unread::Problem(Problem::new(Kind::Internal, "the window cannot be ranked"))
                })
            }
            Ok(FinalStandings::NotKept) => Err(Unread::NotKept),
            Ok(FinalStandings::TooMany(players)) => Err(Unread::Problem(too_many(name, window, players))),
            Err(error) => {
                warn!(%error, "reading a past window");
                Err(Unread::Problem(away()))
            }
        }
    }
}

fn away() -> Problem {
    Problem::new(Kind::BoardUnavailable, "the archive of past windows does not answer")
}

fn busy() -> Problem {
    Problem::new(Kind::TooManyRequests, "too many wait for past windows to be read")
}

/// The standings of a window that is over.
pub(super) struct Past {
    /// With decimals and order as they were when the standings were kept, which these are by.
    board: Board,
    window: FinalWindow,
    rows: Vec<FinalRow>,
    ranking: Ranking,
}

impl Past {
    fn of(board: &Board, window: FinalWindow, rows: Vec<FinalRow>) -> Self {
        let order = if window.lowest_first { Order::Asc } else { Order::Desc };
        let board = Board { decimals: window.decimals, order, ..board.clone() };
        let doubles = rows.iter().map(|row| (row.player.clone(), row.sorted_set_score));
        Self { ranking: Ranking::of_sorted_set(&board, doubles), board, window, rows }
    }

    /// Whether it is that very window: one of the same id may have begun or ended at another time.
    pub(super) fn is_of(&self, window: &Window) -> bool {
        (self.window.start, self.window.end) == (window.start, window.end)
    }

    /// What was found, with where the board stood when the window was kept.
    pub(super) fn reading<T>(&self, found: T) -> Reading<T> {
        let players = self.rows.len() as u64;
        Reading { version: self.window.version, state: Rows::Current, players, found }
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

    /// As [`board_store::Reader::neighbours`].
    pub(super) fn neighbours(&self, players: &[PlayerId]) -> Vec<Vec<Row>> {
        let of_player = |player: &PlayerId| {
            let place = self.ranking.place(RankMode::Ordinal, player.as_str()).map(|row| index(row.rank));
            let rows = place.map(|at| {
                self.rows_from(at.saturating_sub(1), at + 2 - at.saturating_sub(1), RankMode::Ordinal)
            });
            rows.unwrap_or_default()
        };
        players.iter().map(of_player).collect()
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

    /// As [`board_store::Reader::rank_of`], of a score with any decimals.
    pub(super) fn rank_of(&self, score: Score) -> RankOf {
        let power = |decimals: u8| 10i128.pow(u32::from(decimals));
        let (units, one) = (i128::from(score.units()) * power(self.board.decimals), power(score.scale()));
        // Between two totals that there can be, it stands just before the worse.
        let (below, is_between) = (units.div_euclid(one), units.rem_euclid(one) != 0);
        let worse = below + i128::from(is_between && self.board.order == Order::Asc);
        let beyond = i128::from(MAX_TOTAL_UNITS) + 1;
        let worse = i64::try_from(worse.clamp(-beyond, beyond)).expect("totals are below 2^53");
        let RankOfScore { ordinal, competition, dense, players } = self.ranking.rank_of_score(worse);
        let (players_at, ordinal) = if is_between { (0, competition) } else { (players, ordinal) };
        RankOf { players_at, ordinal, competition, dense: Some(dense) }
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

/// What is answered about a window that has left Redis and has so many players.
fn too_many(board: &str, window: &str, players: u64) -> Problem {
    let detail = format!(
        "window `{window}` of board `{board}` is over and has {players} players, of which at most {MAX_WINDOW_ROWS} \
         are read here: its standings are in the archive"
    );
    Problem::new(Kind::WindowGone, detail).about("window")
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::{BoardSet, View};
    use futures_util::FutureExt as _;
    use futures_util::stream::{FuturesUnordered, StreamExt as _};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// One that never answers.
    #[derive(Clone, Default)]
    struct Silent {
        asked: Arc<AtomicUsize>,
    }

    impl Archive for Silent {
        fn final_standings<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            _: u64,
        ) -> BoxFuture<'a, Result<FinalStandings, WriteError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }

    fn subject(board: &Board, day: usize) -> Subject {
        let id = format!("19{:02}-01-01", day);
        Subject { index: 0, view: View { value: None, window: board.window_of_id(&id).unwrap().into() } }
    }

    #[tokio::test]
    async fn few_are_read_at_once_and_who_would_wait_too_long_is_told() {
        let set = BoardSet::parse("[[board]]\nname = \"b\"\nwindows = [\"day\", \"hour\"]\n").unwrap();
        let board = set.default_board();
        let silent = Silent::default();
        let windows = PastWindows::new(Some(Box::new(silent.clone())));
        let subjects: Vec<Subject> = (0..=MAX_WAITING).map(|waits| subject(board, waits % 100)).collect();
        let mut waiting: FuturesUnordered<_> =
            subjects[1..].iter().map(|subject| windows.get(subject, board, "b")).collect();
        assert!(waiting.next().now_or_never().is_none(), "all of them wait");
        assert_eq!(silent.asked.load(Ordering::Relaxed), MAX_READ_AT_ONCE);
        let problem = windows.get(&subjects[0], board, "b").await.err().unwrap();
        assert_eq!(problem.kind, Kind::TooManyRequests);
        // Who goes away makes room.
        drop(waiting);
        assert!(windows.get(&subjects[0], board, "b").now_or_never().is_none());
    }

    #[tokio::test]
    async fn window_of_a_million_players_is_kept() {
        let windows = PastWindows::new(None);
        let set = BoardSet::parse("[[board]]\nname = \"b\"\nwindows = [\"day\"]\n").unwrap();
        let (board, window) = (set.default_board(), subject(set.default_board(), 7));
        let kept = FinalWindow {
            board: "b".to_owned(),
            window: window.window().to_owned(),
            start: window.view.window.start,
            end: window.view.window.end,
            version: contracts::Version { epoch: 1, version: 1 },
            decimals: 0,
            lowest_first: false,
            rules: None,
        };
        let player = PlayerId::new("p").unwrap();
        let row = FinalRow { sorted_set_score: 1.0, player, score: Score::new(1, 0) };
        let rows = vec![row; usize::try_from(MAX_WINDOW_ROWS).unwrap()];
        let past = Arc::new(Past::of(board, kept, rows));
        windows.read.insert(window.clone(), Read { past, at: Instant::now() });
        assert!(windows.read.get(&window).is_some());
    }
}
