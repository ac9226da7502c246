//! The log against one board, view by view and player by player.

use crate::verify::finals::FinalPart;
use crate::verify::findings::{At, Difference, Findings, Kind};
use crate::verify::fold::{Fold, Mark, Reader};
use crate::verify::log::Log;
use crate::verify::now;
use crate::verify::progress::Progress;
use crate::verify::report::Outcome;
use crate::verify::tally::{Standing, Tally, joined};
use crate::verify::views::{Coverage, ViewId, is_gone};
use anyhow::Context as _;
use board_store::{AuditPage, AuditedRow, AuditedView, BoardStore};
use boards::{Board, View, order};
use contracts::PlayerId;
use contracts::topics::GAME_SCORE;
use pipeline::scan::Scan;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many rows one page has: Redis serves nobody else for 2 to 4 ms, or for up to 8 when nearly
/// each of them is of another view.
pub(crate) const PAGE_ROWS: usize = 2048;
/// How often those who appeared meanwhile are gone through, too.
const ROUNDS: usize = 3;
/// How long a board that is being rebuilt is waited for.
const REBUILD_LIMIT: Duration = Duration::from_secs(60);
const REBUILD_PAUSE: Duration = Duration::from_millis(500);

/// What was compared of a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoardPart {
    /// The board's epoch.
    pub epoch: u64,
    /// How many views, of values and windows, it had in the end.
    pub views: u64,
    /// How many players were in them in the end, each counted in every view.
    pub players: u64,
    /// How many were compared one by one, each in every view.
    pub compared: u64,
    /// Of those: the ones whose reach time is known to the coarser step only, as documented.
    pub coarser_reach: u64,
    /// Of those: the ones of whom nothing can be said, since the limit of totals was in their way.
    pub beyond_limit: u64,
    /// Players who were erased and stand under their names again, since more of their events
    /// arrived or the board was rebuilt.
    pub named_again: u64,
    /// How many views there were no more, since their windows are gone by their age.
    pub gone_views: u64,
    /// How many values have no board, since there was no room for them.
    pub values_without_room: u64,
    /// Partition → the offset up to which all events are in the number of players.
    pub offsets: BTreeMap<i32, i64>,
    /// How many events were taken from the archive, since the log no longer has them.
    pub from_archive: u64,
    /// How many event ids were remembered in the end.
    pub ids: u64,
    /// Why the board was read again, each time.
    pub read_again: Vec<String>,
    /// What was compared of its windows that are over and kept in the archive.
    pub finals: Outcome<FinalPart>,
}

/// Why a comparison came to no end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The board was begun anew, lost its tail, or is not what was read of it in the beginning: try
    /// again.
    Moved(String),
    /// It cannot be done.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Where the board stands, once it is whole, and what of it is worth folding.
pub(crate) async fn stands(store: &BoardStore) -> anyhow::Result<(AuditPage, Coverage)> {
    let name = &store.board().name;
    let begun = Instant::now();
    let page = loop {
        let page = store.audit_page(GAME_SCORE.name, &[]).await?;
        let page = page.with_context(|| format!("Redis knows nothing of board {name}"))?;
        let rules = store.board().fingerprint();
        anyhow::ensure!(
            page.rules == rules,
            "board {name} was made under other rules ({}; the file says {rules})",
            page.rules
        );
        if !page.rebuilding {
            break page;
        }
        anyhow::ensure!(
            begun.elapsed() < REBUILD_LIMIT,
            "board {name} is being rebuilt, for more than {REBUILD_LIMIT:?}"
        );
        tokio::time::sleep(REBUILD_PAUSE).await;
    };
    let (mut listed, mut cursor) = (HashSet::new(), 0);
    loop {
        let (next, views) = store.listed_views(cursor).await?;
        listed.extend(views.into_iter().filter_map(Result::ok));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let values = values(store).await?;
    let full = values.len() >= room(store.board());
    Ok((page, Coverage { listed, kept: HashSet::new(), values: full.then_some(values), now: now() }))
}

/// How many values may have a board; a board that is not per value has no bound.
fn room(board: &Board) -> usize {
    board.per_value.as_ref().map_or(usize::MAX, |per_value| per_value.max_values)
}

/// The values that have a board. They only become more.
async fn values(store: &BoardStore) -> anyhow::Result<HashSet<Box<str>>> {
    let (mut values, mut cursor) = (HashSet::new(), 0);
    loop {
        let (next, some) = store.listed_values(cursor).await?;
        values.extend(some.into_iter().map(String::into_boxed_str));
        cursor = next;
        if cursor == 0 {
            return Ok(values);
        }
    }
}

/// What stands of a player.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    /// Of one who was erased: what stands under the pseudonym.
    pub(crate) own: AuditedRow,
    /// Of one who was erased: what stands under the name.
    pub(crate) named: AuditedRow,
}

/// What stands in a view.
#[derive(Clone, Debug)]
pub(crate) struct Stands {
    pub(crate) view: ViewId,
    /// Whether it is among the board's views.
    pub(crate) listed: bool,
    /// How many players it has.
    pub(crate) players: u64,
    /// Those who were asked for.
    pub(crate) rows: Vec<(PlayerId, Stored)>,
}

/// Holds a fold against the board, and lets it grow as the board does.
pub(crate) struct Comparison<'a> {
    pub(crate) store: &'a BoardStore,
    pub(crate) fold: Arc<Fold>,
    log: &'a Log,
    /// Partition → the offset up to which the fold has all events.
    folded: BTreeMap<i32, i64>,
    /// Reads on from there; made when there is something to read, and away while it reads.
    following: Option<(Scan, Reader)>,
    pub(crate) part: BoardPart,
    pub(crate) findings: Findings,
    /// How many players are known to be missing from a view.
    pub(crate) missing: BTreeMap<ViewId, u64>,
    /// The views that are named as missing.
    missing_views: BTreeSet<ViewId>,
    /// The views that were found to be gone.
    gone: BTreeSet<ViewId>,
}

impl<'a> Comparison<'a> {
    /// Of a `fold` that has every event up to `offsets`.
    pub(crate) fn new(
        store: &'a BoardStore,
        log: &'a Log,
        fold: Arc<Fold>,
        epoch: u64,
        offsets: BTreeMap<i32, i64>,
        all: bool,
    ) -> Self {
        Self {
            store,
            fold,
            log,
            folded: offsets,
            following: None,
            part: BoardPart { epoch, ..BoardPart::default() },
            findings: Findings::new(all),
            missing: BTreeMap::new(),
            missing_views: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Compares every player in every view, each at the offsets at which it was read.
    pub(crate) async fn run(mut self, progress: &Progress) -> Result<(BoardPart, Findings), Broken> {
        let mut mark = Mark::default();
        for _ in 0..ROUNDS {
            let end = self.fold.end();
            progress.players.expect(self.fold.rows() as u64);
            progress.players.advance(self.part.compared);
            loop {
                let rows = self.fold.next_rows(&mut mark, &end, PAGE_ROWS);
                if rows.is_empty() {
                    break;
                }
                progress.players.advance(rows.values().map(Vec::len).sum::<usize>() as u64);
                self.compare(rows).await?;
            }
        }
        self.count_players().await?;
        self.find_unknown_views().await?;
        if let Some(place) = self.fold.unknown() {
            return Err(Broken::Failed(anyhow::anyhow!(
                "the event at {}/{}/{} arrived days before others that were read earlier: whether its id was \
                 seen is not known any more",
                self.log.topic,
                place.partition,
                place.offset
            )));
        }
        let (gone, without_room) = self.fold.views().left_out();
        self.part.gone_views = gone + self.gone.len() as u64;
        self.part.values_without_room = without_room;
        self.part.ids = self.fold.ids() as u64;
        Ok((self.part, self.findings))
    }

    async fn compare(&mut self, mut rows: BTreeMap<ViewId, Vec<PlayerId>>) -> Result<(), Broken> {
        rows.retain(|view, _| !self.gone.contains(view));
        for Stands { view, listed, players, rows } in self.page_of(rows).await? {
            if !self.is_there(view, listed, players).await? {
                continue;
            }
            for (player, stored) in rows {
                let tally = self.fold.tally(view, player.as_str()).context("a player left the fold")?;
                self.part.compared += 1;
                self.judge(view, &player, tally, joined(self.store.board(), stored.own, stored.named));
            }
        }
        Ok(())
    }

    /// Reads some players of the fold in their views, those who were erased by their names, too.
    pub(crate) async fn page_of(
        &mut self,
        rows: BTreeMap<ViewId, Vec<PlayerId>>,
    ) -> Result<Vec<Stands>, Broken> {
        loop {
            let names = self.fold.names();
            let with_name = |player: &PlayerId| {
                iter::once(player.clone()).chain(names.get(player).cloned()).collect::<Vec<_>>()
            };
            let asked: Vec<(View, Vec<PlayerId>)> = rows
                .iter()
                .map(|(view, players)| {
                    (self.fold.views().view(*view), players.iter().flat_map(with_name).collect())
                })
                .collect();
            let asked: Vec<_> = asked.iter().map(|(view, players)| (view, players.as_slice())).collect();
            let views = self.page(&asked).await?;
            // Reading on, the fold may have met a name that was not asked for.
            if self.fold.names().len() != names.len() {
                continue;
            }
            let stands = rows.into_iter().zip(views).map(|((view, players), stands)| {
                let AuditedView { listed, players: count, rows } = stands;
                let mut rows = rows.into_iter();
                let mut next = || rows.next().unwrap_or_default();
                let stored = |player: PlayerId| {
                    let own = next();
                    let named = if names.contains_key(&player) { next() } else { AuditedRow::default() };
                    (player, Stored { own, named })
                };
                Stands { view, listed, players: count, rows: players.into_iter().map(stored).collect() }
            });
            return Ok(stands.collect());
        }
    }

    /// Says whether the view has anybody who can be compared; names it if it is missing.
    pub(crate) async fn is_there(&mut self, id: ViewId, listed: bool, players: u64) -> Result<bool, Broken> {
        let view = self.fold.views().view(id);
        // Without players that view has no key; those who must be there are named one by one.
        if (listed && players > 0) || view == View::all_time() {
            return Ok(true);
        }
        let board = self.store.board();
        if players == 0 && !listed {
            if is_gone(board, &view.window, now()) {
                self.gone.insert(id);
                return Ok(false);
            }
            if let Some(value) = &view.value {
                let values = values(self.store).await?;
                if values.len() >= room(board) && !values.contains(value) {
                    return Err(Broken::Moved(format!("board {} has no room for more values", board.name)));
                }
            }
        }
        if self.missing_views.insert(id) {
            let must = self.fold.views().players(id);
            let at = self.at(&view);
            self.findings.add(Kind::MissingView, || Difference {
                at,
                what: match (listed, players) {
                    (_, 1..) => "is not among the board's views".to_owned(),
                    (true, 0) => format!("has nobody, must have {must} players"),
                    (false, 0) => format!("is not there, must have {must} players"),
                },
            });
        }
        Ok(players > 0)
    }

    fn judge(&mut self, view: ViewId, player: &PlayerId, tally: Tally, stored: AuditedRow) {
        let (kind, what) = match judged(self.store.board(), &tally, stored) {
            Ok(Standing::CoarserReach) => return self.part.coarser_reach += 1,
            Ok(Standing::BeyondLimit) => return self.part.beyond_limit += 1,
            Ok(_) => return,
            Err(wrong) => wrong,
        };
        if kind == Kind::MissingPlayer {
            *self.missing.entry(view).or_default() += 1;
        }
        let at = self.at_player(&self.fold.views().view(view), player.as_str());
        self.findings.add(kind, || Difference { at, what });
    }

    /// Where a view is, as the API calls it.
    pub(crate) fn at(&self, view: &View) -> At {
        let board = self.store.board().name_of(view.value.as_deref()).into_owned();
        At::View { board, window: view.window.id.to_string() }
    }

    /// Where a player of a view is.
    pub(crate) fn at_player(&self, view: &View, player: &str) -> At {
        let board = self.store.board().name_of(view.value.as_deref()).into_owned();
        At::Player { board, window: view.window.id.to_string(), player: player.to_owned() }
    }

    /// Reads some players; when this returns, the fold stands where the board did.
    pub(crate) async fn page(&mut self, asked: &[(&View, &[PlayerId])]) -> Result<Vec<AuditedView>, Broken> {
        let name = &self.store.board().name;
        let page = self.store.audit_page(GAME_SCORE.name, asked).await.map_err(anyhow::Error::from)?;
        let page = page.ok_or_else(|| Broken::Moved(format!("board {name} was lost")))?;
        if page.epoch != self.part.epoch {
            let why = format!("the epoch went from {} to {}", self.part.epoch, page.epoch);
            return Err(Broken::Moved(why));
        }
        if page.rebuilding {
            return Err(Broken::Moved("the board is being rebuilt".to_owned()));
        }
        self.follow(&page.offsets).await?;
        self.part.offsets = page.offsets;
        Ok(page.views)
    }

    /// Lets the fold grow up to `offsets`, no farther.
    async fn follow(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), Broken> {
        let mut grown = false;
        for (partition, offset) in offsets {
            let position = self.folded.get(partition).copied().unwrap_or(0);
            if *offset < position {
                let why = format!("partition {partition} went back from {position} to {offset}");
                return Err(Broken::Moved(why));
            }
            grown |= *offset > position;
        }
        if !grown {
            return Ok(());
        }
        let (mut scan, mut reader) = match self.following.take() {
            Some(following) => following,
            None => (self.log.scan(self.folded.clone())?, Reader::new(&self.log.boards)),
        };
        let (log, fold, offsets) = (self.log.clone(), Arc::clone(&self.fold), offsets.clone());
        let read = tokio::task::spawn_blocking(move || {
            scan.read_to(&offsets, |record| {
                log.fold(&fold, &mut reader, record);
                Ok(())
            })
            .map(|()| (scan, reader))
        });
        let (scan, reader) = read.await.context("following the log").flatten()?;
        self.folded.clone_from(scan.positions());
        self.following = Some((scan, reader));
        Ok(())
    }
}

/// How a player stands who is not wrong; otherwise what is.
pub(crate) fn judged(board: &Board, tally: &Tally, stored: AuditedRow) -> Result<Standing, (Kind, String)> {
    let must = || format!("must be {}", board.score(tally.total(board)));
    let Some(score) = stored.score else { return Err((Kind::MissingPlayer, must())) };
    let standing = tally.judge(board, score, stored.newest);
    Err(match standing {
        Standing::Exact | Standing::CoarserReach | Standing::BeyondLimit => return Ok(standing),
        Standing::WrongTotal => (Kind::WrongTotal, format!("is {}, {}", said(board, score), must())),
        Standing::WrongReach => {
            let exact = tally.sorted_set_score(board);
            let when = if score > exact { "earlier" } else { "later" };
            let total = board.score(tally.total(board));
            let what =
                format!("total {total} is right, reached {when} than it was: {score:?}, must be {exact:?}");
            (Kind::WrongReachTime, what)
        }
        Standing::WrongNewest => {
            (Kind::WrongNewestEvent, format!("is {:?}, must be {:?}", stored.newest, tally.recency()))
        }
    })
}

/// The total in a double, whoever put it there.
pub(crate) fn said(board: &Board, stored: f64) -> contracts::Score {
    board.score(board.stored(order::total_of(stored).max(-i64::MAX)))
}

#[cfg(test)]
mod tests;
