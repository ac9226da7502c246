//! Windows that are over: their standings are kept in the archive, and leave Redis after their
//! grace.
//!
//! A window is final for events that arrive from [`Board::final_at`] on, and Kafka stamps arrivals.
//! So an event that arrived later than that shows that nothing that is appended from now on changes
//! the window; the margin is for how far the brokers' clocks may be apart, ours is not asked. What
//! may still count lies before the log's end as it is then: when the board's offsets have reached
//! that, its standings are final. Several rankers may do this at once: the archive takes them once.

use anyhow::Context as _;
use archive_store::{ArchiveStore, FinalRow, FinalWindow};
use board_store::{BoardStore, Connection, Cursor, Row, Rows, Stand};
use boards::rules::Order;
use boards::{Board, RankMode, View};
use contracts::EventTime;
use contracts::topics::GAME_SCORE;
use metrics::counter;
use pipeline::KafkaSettings;
use pipeline::scan::extents;
use recovery::rebuild::field;
use service::{Clock, Stop};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often is looked for windows that are over.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long is waited for a board to take what is in the log.
const REACH_LIMIT: Duration = Duration::from_secs(5);
const REACH_POLL: Duration = Duration::from_millis(100);
/// How far the brokers' clocks may be apart.
const MARGIN_SECONDS: i64 = 5;
/// How many rows are read from Redis at once.
const PAGE_ROWS: usize = 1000;

/// Who keeps final standings.
pub(crate) struct Finals<C> {
    stores: Vec<BoardStore<C>>,
    archive: ArchiveStore,
    kafka: KafkaSettings,
    clock: Clock,
    /// For each board, which of its views that are still in Redis are known to be kept.
    kept: Vec<BTreeSet<Place>>,
}

impl<C: Connection> Finals<C> {
    pub(crate) fn new(
        stores: Vec<BoardStore<C>>,
        archive: ArchiveStore,
        kafka: KafkaSettings,
        clock: Clock,
    ) -> Self {
        Self { kept: vec![BTreeSet::new(); stores.len()], stores, archive, kafka, clock }
    }

    /// Looks again and again until the process is stopped. What goes wrong is tried again.
    pub(crate) async fn keep(mut self, stop: &Stop) {
        let keeping = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                for board in 0..self.stores.len() {
                    if let Err(error) = self.look(board).await {
                        let board = &self.stores[board].board().name;
                        warn!(board, "keeping final standings: {error:#}");
                    }
                }
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    async fn look(&mut self, board: usize) -> anyhow::Result<()> {
        let Self { stores, archive, kept, .. } = self;
        let (store, rules, kept) = (&stores[board], stores[board].board(), &mut kept[board]);
        let now = EventTime::from_micros(self.clock.now_micros()).context("the clock")?;
        // Between seasons the last one is shown on.
        let (usual, _) = rules.usual_window(now);
        let is_gone = |view: &View| {
            view.window.id != usual.id && rules.gone_at(&view.window).is_some_and(|gone_at| gone_at <= now)
        };
        let Some(newest) = store.newest_arrival().await? else { return Ok(()) };
        let mut over = store.views().await?;
        over.retain(|view| is_over(rules, view, newest));
        // What Redis has lost, and gets again, is looked up anew.
        let still: BTreeSet<Place> = over.iter().map(|view| place(rules, view)).collect();
        kept.retain(|place| still.contains(place));
        over.retain(|view| is_gone(view) || !kept.contains(&place(rules, view)));
        if over.is_empty() {
            return Ok(());
        }
        let log_ends = log_ends(&self.kafka).await?;
        let Some(stand) = stand_beyond(store, &log_ends).await? else { return Ok(()) };
        // By other rules a window of the same id may end later, and what is kept be of before that.
        if !store.has_these_rules().await? {
            return Ok(());
        }
        over.sort_by(|one, other| (one.window.end, &one.value).cmp(&(other.window.end, &other.value)));
        for view in over {
            let place = place(rules, &view);
            if !kept.contains(&place) {
                match keep_view(store, archive, &view, &stand).await {
                    Ok(true) => drop(kept.insert(place.clone())),
                    Ok(false) => continue,
                    // The others can be kept all the same.
                    Err(error) => {
                        warn!(board = place.0, window = place.1, "keeping final standings: {error:#}");
                        continue;
                    }
                }
            }
            if is_gone(&view) && store.drop_view(stand.begun, &view).await? {
                kept.remove(&place);
                info!(board = place.0, window = place.1, "a window that is over has left Redis");
            }
        }
        Ok(())
    }
}

/// What the archive calls a view: the board as the API calls it, and the window.
type Place = (String, String);

fn place(board: &Board, view: &View) -> Place {
    (board.name_of(view.value.as_deref()).into_owned(), view.window.id.to_string())
}

/// Says whether the standings are in the archive now.
async fn keep_view<C: Connection>(
    store: &BoardStore<C>,
    archive: &ArchiveStore,
    view: &View,
    stand: &Stand,
) -> anyhow::Result<bool> {
    let (name, window) = place(store.board(), view);
    let kept = FinalWindow {
        board: name,
        window,
        start: view.window.start,
        end: view.window.end,
        version: stand.version,
        decimals: store.board().decimals,
        lowest_first: store.board().order == Order::Asc,
        rules: Some(store.board().fingerprint()),
    };
    if archive.has_final(&kept).await? {
        return Ok(true);
    }
    let Some(rows) = rows_of(store, view, stand).await? else { return Ok(false) };
    if archive.keep_final(&kept, &rows).await? {
        counter!("ranker_final_windows_total", "board" => store.board().name.clone()).increment(1);
        info!(board = kept.board, window = kept.window, players = rows.len(), "final standings are kept");
    }
    Ok(true)
}

/// `topic/partition` → the end of the log.
async fn log_ends(kafka: &KafkaSettings) -> anyhow::Result<BTreeMap<String, i64>> {
    let (kafka, topic) = (kafka.clone(), kafka.topic(&GAME_SCORE));
    let ends = tokio::task::spawn_blocking(move || extents(&kafka, &topic)).await??;
    Ok(ends.into_iter().map(|(partition, extent)| (field(GAME_SCORE.name, partition), extent.to)).collect())
}

/// Whether nothing changes the view that arrives from now on, when something has arrived at `newest`.
fn is_over(board: &Board, view: &View, newest: EventTime) -> bool {
    board.final_at(&view.window).is_some_and(|at| at.saturating_add_seconds(MARGIN_SECONDS) <= newest)
}

/// How the board stands once it has taken everything up to there; `None` when that takes long.
async fn stand_beyond<C: Connection>(
    store: &BoardStore<C>,
    log_ends: &BTreeMap<String, i64>,
) -> anyhow::Result<Option<Stand>> {
    let begun = Instant::now();
    loop {
        match store.stands().await? {
            Some(stand) if reached(&stand, log_ends) => return Ok(Some(stand)),
            _ if begun.elapsed() >= REACH_LIMIT => return Ok(None),
            _ => tokio::time::sleep(REACH_POLL).await,
        }
    }
}

fn reached(stand: &Stand, log_ends: &BTreeMap<String, i64>) -> bool {
    log_ends.iter().all(|(field, end)| stand.offsets.get(field).is_some_and(|offset| offset >= end))
}

/// All rows of a view, best first; `None` when the board is being mended or was begun anew.
async fn rows_of<C: Connection>(
    store: &BoardStore<C>,
    view: &View,
    stand: &Stand,
) -> anyhow::Result<Option<Vec<FinalRow>>> {
    let mut rows: Vec<FinalRow> = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = store.view(view).page(PAGE_ROWS, after.as_ref(), RankMode::Ordinal).await?;
        let whole = page.filter(|page| page.state == Rows::Current);
        let Some(page) = whole.filter(|page| page.version.epoch == stand.version.epoch) else {
            return Ok(None);
        };
        let (players, page) = (page.players, page.found);
        after = page.rows.last().map(Row::cursor);
        rows.extend(page.rows.into_iter().map(|Row { player, score, sorted_set_score, .. }| FinalRow {
            sorted_set_score,
            player,
            score,
        }));
        if !page.has_more {
            // A player who was erased meanwhile may be missing: it is read again.
            return Ok((rows.len() as u64 == players).then_some(rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::BoardSet;

    #[test]
    fn view_is_over_when_nothing_that_arrives_counts_there() {
        let boards = "[[board]]\nname = \"b\"\nwindows = [\"all\", \"day\"]\nallowed_lateness = \"10m\"";
        let board = BoardSet::parse(boards).unwrap().default_board().clone();
        let at = |text| EventTime::parse_iso(text, "t").unwrap();
        let view = |id: &str| View { value: None, window: board.window_of_id(id).unwrap().into() };
        for (window, newest, over) in [
            ("2026-11-20", "2026-11-21T00:10:04Z", false),
            ("2026-11-20", "2026-11-21T00:10:05Z", true),
            ("2026-11-21", "2026-11-21T12:00:00Z", false),
            ("all", "2999-01-01T00:00:00Z", false),
        ] {
            assert_eq!(is_over(&board, &view(window), at(newest)), over, "{window} at {newest}");
        }
    }
}
