//! The log against the standings that the archive keeps of windows that are over.
//!
//! Nothing changes them any more, neither events nor a rebuild. So they must be what the events come
//! to by the rules by which they were kept; where the board has other rules now, that is not known.

use crate::verify::board::{judged, said};
use crate::verify::findings::{At, Difference, Findings, Kind};
use crate::verify::fold::{Fold, Mark};
use crate::verify::tally::{Standing, Tally, joined};
use crate::verify::views::{Met, ViewId};
use archive_store::audit::Audit;
use archive_store::{FinalRow, FinalWindow};
use board_store::AuditedRow;
use boards::{Board, BoardSet, View};
use contracts::PlayerId;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many players in windows that have left Redis are compared, on all boards together, unless
/// everything is asked for: they take half a gigabyte.
pub(crate) const PLAYERS: u64 = 4_000_000;
/// How many players are looked through at once for those who are missing.
const PAGE_ROWS: usize = 2048;

/// What was compared of a board's windows that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FinalPart {
    /// How many windows, each value's counted for itself.
    pub windows: u64,
    /// How many players were in them, each counted in every window.
    pub players: u64,
    /// Of those: the ones whose reach time is known to the coarser step only, as documented.
    pub coarser_reach: u64,
    /// Of those: the ones of whom nothing can be said, since the limit of totals was in their way.
    pub beyond_limit: u64,
    /// How many windows were not compared, since they were kept by other rules or with other bounds
    /// than the board has now.
    pub of_other_rules: u64,
    /// How many windows were not compared, since those that ended later have players enough.
    pub left_out: u64,
}

/// The windows of a board that are compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finals {
    kept: Vec<(View, FinalWindow, u64)>,
    /// How much room their players take.
    pub(crate) taken: u64,
    part: FinalPart,
}

impl Finals {
    /// Those of the board at `index`. Windows in Redis, which are `listed`, are folded in any case; the
    /// others as long as their players have `room`, those that ended last first.
    pub(crate) async fn choose(
        audit: &mut Audit,
        boards: &BoardSet,
        index: usize,
        listed: &HashSet<View>,
        room: &mut u64,
    ) -> anyhow::Result<Self> {
        let board = &boards[index];
        let rules = board.fingerprint();
        let mut finals = Self::default();
        for (window, players) in audit.final_windows(&board.name).await? {
            let has_rules = window.rules.as_ref() == Some(&rules);
            let Some(view) = view_of(boards, index, &window).filter(|_| has_rules) else {
                finals.part.of_other_rules += 1;
                continue;
            };
            if !listed.contains(&view) {
                let Some(left) = room.checked_sub(players) else {
                    finals.part.left_out += 1;
                    continue;
                };
                *room = left;
                finals.taken += players;
            }
            finals.kept.push((view, window, players));
        }
        Ok(finals)
    }

    /// The views whose events are to be folded, also where Redis does not have them any more.
    pub(crate) fn views(&self) -> HashSet<View> {
        self.kept.iter().map(|(view, ..)| view.clone()).collect()
    }

    /// Holds them against a fold that has every event that counted in them.
    pub(crate) async fn compare(
        &self,
        audit: &mut Audit,
        board: &Board,
        fold: &Fold,
        findings: &mut Findings,
    ) -> anyhow::Result<FinalPart> {
        let mut part = self.part.clone();
        for (view, window, players) in &self.kept {
            let rows = audit.final_rows(window).await?;
            part.windows += 1;
            part.players += rows.len() as u64;
            let id = match fold.views().met(view) {
                Some(Met::Folded(id)) => Some(id),
                Some(Met::Gone | Met::WithoutRoom) | None => None,
            };
            let mut standings = Standings { board, fold, window, id, part: &mut part, findings };
            standings.compare(&rows, *players);
        }
        Ok(part)
    }
}

/// The view that the board has under the same name with the same bounds.
fn view_of(boards: &BoardSet, index: usize, kept: &FinalWindow) -> Option<View> {
    let (_, value) = boards.find(&kept.board).filter(|(of, _)| *of == index)?;
    let window = boards[index].window_of_id(&kept.window)?;
    let has_its_bounds = (window.start, window.end) == (kept.start, kept.end);
    has_its_bounds.then(|| View { value: value.map(Into::into), window: window.into() })
}

/// What is kept of one window.
struct Standings<'a> {
    board: &'a Board,
    fold: &'a Fold,
    window: &'a FinalWindow,
    /// The view's number; `None` when no event counted in it.
    id: Option<ViewId>,
    part: &'a mut FinalPart,
    findings: &'a mut Findings,
}

impl Standings<'_> {
    fn compare(&mut self, rows: &[(i64, FinalRow)], players: u64) {
        if players != rows.len() as u64 {
            self.name(None, || format!("says that it has {players} players, has {}", rows.len()));
        }
        self.compare_places(rows);
        let erased = self.fold.names();
        let mut kept: HashMap<&PlayerId, AuditedRow> = HashMap::new();
        for (_, row) in rows {
            let stands = AuditedRow { score: Some(row.sorted_set_score), newest: None };
            let before = kept.insert(&row.player, stands);
            if let Some(before) = before {
                kept.insert(&row.player, joined(self.board, before, stands));
                // Who was erased stands twice where more events had arrived under the name.
                if !erased.contains_key(&row.player) {
                    self.name(Some(&row.player), || "stands there twice".to_owned());
                }
            }
        }
        for (player, stands) in &kept {
            self.judge(player, *stands);
        }
        let must = self.id.map_or(0, |id| self.fold.views().players(id));
        if must > kept.len() as u64 || kept.keys().any(|player| self.tally(player).is_none()) {
            self.name_missing(&kept);
        }
    }

    /// Holds places and totals against the doubles by which they are ordered.
    fn compare_places(&mut self, rows: &[(i64, FinalRow)]) {
        let erased = self.fold.names();
        let is_behind = |row: &FinalRow, before: &FinalRow| {
            let renamed = || [row, before].iter().any(|row| erased.contains_key(&row.player));
            row.sorted_set_score < before.sorted_set_score
                || (row.sorted_set_score.to_bits() == before.sorted_set_score.to_bits()
                    && (row.player < before.player || renamed()))
        };
        let mut before: Option<&FinalRow> = None;
        for ((place, row), must) in rows.iter().zip(1..) {
            if *place != must || before.is_some_and(|before| !is_behind(row, before)) {
                self.name(Some(&row.player), || format!("has place {place}, which is not its own"));
            }
            let total = said(self.board, row.sorted_set_score);
            if row.score != total {
                let what = || format!("has the total {}, and stands where {total} belongs", row.score);
                self.name(Some(&row.player), what);
            }
            before = Some(row);
        }
    }

    fn judge(&mut self, player: &PlayerId, stands: AuditedRow) {
        let Some(tally) = self.tally(player) else {
            let total = stands.score.map(|score| said(self.board, score));
            self.name(Some(player), || format!("is there with {total:?}, and not in the log"));
            return;
        };
        // Which event was the newest is not kept.
        match judged(self.board, &tally, AuditedRow { newest: tally.recency(), ..stands }) {
            Ok(Standing::CoarserReach) => self.part.coarser_reach += 1,
            Ok(Standing::BeyondLimit) => self.part.beyond_limit += 1,
            Ok(_) => {}
            Err((_, what)) => self.name(Some(player), || what),
        }
    }

    fn tally(&self, player: &PlayerId) -> Option<Tally> {
        self.fold.tally(self.id?, player.as_str())
    }

    /// Looks through the fold for those who are not kept.
    fn name_missing(&mut self, kept: &HashMap<&PlayerId, AuditedRow>) {
        let Some(id) = self.id else { return };
        let (mut mark, end) = (Mark::default(), self.fold.end());
        loop {
            let rows: BTreeMap<ViewId, Vec<PlayerId>> = self.fold.next_rows(&mut mark, &end, PAGE_ROWS);
            if rows.is_empty() {
                return;
            }
            for player in rows.get(&id).into_iter().flatten().filter(|player| !kept.contains_key(player)) {
                self.name(Some(player), || "is missing".to_owned());
            }
        }
    }

    fn name(&mut self, player: Option<&PlayerId>, what: impl FnOnce() -> String) {
        let (board, window) = (self.window.board.clone(), self.window.window.clone());
        self.findings.add(Kind::WrongFinalStanding, || Difference {
            at: match player {
                Some(player) => At::Player { board, window, player: player.to_string() },
                None => At::View { board, window },
            },
            what: what(),
        });
    }
}
