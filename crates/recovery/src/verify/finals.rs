//! The log against the standings that the archive keeps of windows that are over.
//!
//! Nothing changes them any more, neither events nor a rebuild. So they must be what the events come
//! to by the rules by which they were kept; where the board has other rules now, that is not known.

use crate::verify::board::{BoardPart, PAGE_ROWS, judged, said};
use crate::verify::findings::{At, Difference, Findings, Kind};
use crate::verify::fold::{Fold, Mark};
use crate::verify::tally::{Standing, Tally, joined};
use crate::verify::views::{Coverage, Met, ViewId};
use archive_store::audit::Audit;
use archive_store::{FinalRow, FinalWindow};
use board_store::AuditedRow;
use boards::rules::Aggregate;
use boards::{Board, BoardSet, View};
use contracts::PlayerId;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many players in windows that have left Redis are compared, on all boards together, unless
/// everything is asked for: they take half a gigabyte.
pub(crate) const PLAYERS: u64 = 4_000_000;
/// In how many windows of a board those who are missing are looked for; in others they are counted.
const LOOKED_INTO: usize = 20;

/// What was compared of a board's windows that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FinalPart {
    /// How many windows, each value's counted for itself.
    pub windows: u64,
    /// How many players were in them, each counted in every window.
    pub players: u64,
    /// How many windows were not compared, since they were kept by other rules or with other bounds
    /// than the board has now.
    pub of_other_rules: u64,
    /// How many windows were not compared, since their value has no board any more: another rebuild
    /// gave the room to others.
    pub without_room: u64,
    /// How many windows were not compared, since those that ended later have players enough.
    pub left_out: u64,
}

/// The windows of a board that are compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finals {
    kept: Vec<(View, FinalWindow, u64)>,
    /// How many players are in them.
    pub(crate) players: u64,
    part: FinalPart,
}

impl Finals {
    /// Those of the board at `index`. Windows in Redis are folded in any case; the others as long as
    /// their players have `room`, those that ended last first.
    pub(crate) async fn choose(
        audit: &mut Audit,
        boards: &BoardSet,
        index: usize,
        coverage: &Coverage,
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
            if !coverage.has_room(&view) {
                finals.part.without_room += 1;
                continue;
            }
            if !coverage.listed.contains(&view) {
                if players > *room {
                    *room = 0;
                    finals.part.left_out += 1;
                    continue;
                }
                *room -= players;
            }
            finals.players += players;
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
        self,
        audit: &mut Audit,
        board: &Board,
        fold: &Fold,
        part: &mut BoardPart,
        findings: &mut Findings,
    ) -> anyhow::Result<FinalPart> {
        let erased: HashSet<PlayerId> = audit.erased().pseudonyms().cloned().collect();
        let mut finals = self.part;
        let mut looked_into = 0;
        for (view, window, players) in &self.kept {
            let rows = audit.final_rows(window).await?;
            finals.windows += 1;
            finals.players += rows.len() as u64;
            let id = match fold.views().met(view) {
                Some(Met::Folded(id)) => Some(id),
                // No event has come to it: the others were left out.
                Some(Met::Gone | Met::WithoutRoom) | None => None,
            };
            let mut standings = Standings { board, fold, window, id, erased: &erased, part, findings };
            let kept = standings.compare(&rows, *players);
            if standings.lacks_players(&kept) {
                standings.name_missing(&kept, looked_into < LOOKED_INTO);
                looked_into += 1;
            }
        }
        Ok(finals)
    }
}

/// The view that the board has under the same name with the same bounds.
fn view_of(boards: &BoardSet, index: usize, kept: &FinalWindow) -> Option<View> {
    let (_, value) = boards.find(&kept.board).filter(|(of, _)| *of == index)?;
    let window = boards[index].window_of_id(&kept.window)?;
    let has_its_bounds = (window.start, window.end) == (kept.start, kept.end);
    has_its_bounds.then(|| View { value: value.map(Into::into), window: window.into() })
}

/// The doubles of each player: one, or two of who was erased and stood under the name as well.
type Kept<'r> = HashMap<&'r PlayerId, (f64, Option<f64>)>;

/// What is kept of one window.
struct Standings<'a> {
    board: &'a Board,
    fold: &'a Fold,
    window: &'a FinalWindow,
    /// The view's number; `None` when no event counted in it.
    id: Option<ViewId>,
    /// The pseudonyms.
    erased: &'a HashSet<PlayerId>,
    part: &'a mut BoardPart,
    findings: &'a mut Findings,
}

impl Standings<'_> {
    fn compare<'r>(&mut self, rows: &'r [(i64, FinalRow)], players: u64) -> Kept<'r> {
        if players != rows.len() as u64 {
            self.name(None, || format!("says that it has {players} players, has {}", rows.len()));
        }
        self.compare_places(rows);
        let mut kept = Kept::new();
        for (_, FinalRow { player, sorted_set_score, .. }) in rows {
            if let Some((before, _)) = kept.insert(player, (*sorted_set_score, None)) {
                kept.insert(player, (before, Some(*sorted_set_score)));
                if !self.erased.contains(player) {
                    self.name(Some(player), || "stands there twice".to_owned());
                }
            }
        }
        for (player, stands) in &kept {
            self.judge(player, *stands);
        }
        kept
    }

    /// Holds places and totals against the doubles by which they are ordered.
    fn compare_places(&mut self, rows: &[(i64, FinalRow)]) {
        let erased = self.erased;
        let is_behind = |row: &FinalRow, before: &FinalRow| {
            // Pseudonyms stand where the names stood.
            let renamed = || [row, before].iter().any(|row| erased.contains(&row.player));
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

    fn judge(&mut self, player: &PlayerId, (score, other): (f64, Option<f64>)) {
        let Some(tally) = self.tally(player) else {
            let total = said(self.board, score);
            self.name(Some(player), || format!("is there with {total}, and not in the log"));
            return;
        };
        // Which event was the newest is not kept.
        let row = |score| AuditedRow { score: Some(score), newest: tally.recency() };
        let verdict = match other {
            None => judged(self.board, &tally, row(score)),
            // Of two last scores the newer one counts, whichever that was.
            Some(other) if self.board.aggregate == Aggregate::Last => {
                judged(self.board, &tally, row(score)).or_else(|_| judged(self.board, &tally, row(other)))
            }
            Some(other) => judged(self.board, &tally, joined(self.board, row(score), row(other))),
        };
        match verdict {
            Ok(Standing::CoarserReach) => self.part.coarser_reach += 1,
            Ok(Standing::BeyondLimit) => self.part.beyond_limit += 1,
            Ok(_) => {}
            Err((_, what)) => self.name(Some(player), || what),
        }
    }

    fn tally(&self, player: &PlayerId) -> Option<Tally> {
        self.fold.tally(self.id?, player.as_str())
    }

    fn lacks_players(&self, kept: &Kept<'_>) -> bool {
        let known = kept.keys().filter(|player| self.tally(player).is_some()).count() as u64;
        self.id.is_some_and(|id| self.fold.views().players(id) > known)
    }

    /// Says who is not kept, or that there are such players.
    fn name_missing(&mut self, kept: &Kept<'_>, look: bool) {
        let Some(id) = self.id else { return };
        if !look {
            let must = self.fold.views().players(id);
            self.name(None, || format!("has {} players, must have {must}", kept.len()));
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fold::{Reader, Scored};
    use archive_store::Place;
    use boards::order::total_of;
    use contracts::{EventTime, ScoreEvent, Version};

    fn board(rules: &str) -> BoardSet {
        BoardSet::parse(&format!("[[board]]\nname = \"b\"\n{rules}")).unwrap()
    }

    /// (player, points), one event after the other.
    fn folded(boards: &BoardSet, events: &[(&str, i64)]) -> Fold {
        let coverage =
            Coverage { listed: HashSet::new(), kept: HashSet::new(), values: None, now: EventTime::MIN };
        let (fold, mut reader) = (Fold::new(boards, 0, coverage), Reader::new(boards));
        fold.begin(0..1);
        for ((player, points), offset) in events.iter().zip(0..) {
            let text = format!(r#"{{"score":{points},"user_id":"{player}"}}"#);
            let arrived_at = EventTime::from_micros(offset * 1_000_000).unwrap();
            let event = ScoreEvent::decode(Some(text.as_bytes()), arrived_at).unwrap();
            let place = Place { partition: 0, offset, arrived_at };
            fold.take(&mut reader, Scored { place, event: &event, forgotten: None });
        }
        fold
    }

    fn all_time(fold: &Fold) -> ViewId {
        let Some(Met::Folded(id)) = fold.views().met(&View::all_time()) else { panic!("it is there") };
        id
    }

    type Rows = Vec<(i64, FinalRow)>;

    /// What must be kept of those players.
    fn rows(board: &Board, fold: &Fold, players: &[&str]) -> Rows {
        let mut rows: Vec<FinalRow> = players
            .iter()
            .map(|player| {
                let tally = fold.tally(all_time(fold), player).unwrap();
                let player = PlayerId::new(*player).unwrap();
                let sorted_set_score = tally.sorted_set_score(board);
                FinalRow { sorted_set_score, player, score: board.score(tally.total(board)) }
            })
            .collect();
        rows.sort_by(|one, other| other.sorted_set_score.total_cmp(&one.sorted_set_score));
        (1..).zip(rows).collect()
    }

    /// Who is named, where these players were erased.
    fn named(board: &Board, fold: &Fold, rows: &[(i64, FinalRow)], erased: &[&str]) -> Vec<String> {
        let window = FinalWindow {
            board: "b".to_owned(),
            window: "w".to_owned(),
            start: EventTime::MIN,
            end: EventTime::MAX,
            version: Version { epoch: 1, version: 1 },
            decimals: 0,
            lowest_first: false,
            rules: None,
        };
        let erased = erased.iter().map(|player| PlayerId::new(*player).unwrap()).collect();
        let (mut part, mut findings) = (BoardPart::default(), Findings::new(true));
        let id = Some(all_time(fold));
        let mut standings = Standings {
            board,
            fold,
            window: &window,
            id,
            erased: &erased,
            part: &mut part,
            findings: &mut findings,
        };
        let kept = standings.compare(rows, rows.len() as u64);
        if standings.lacks_players(&kept) {
            standings.name_missing(&kept, true);
        }
        let differences = findings.into_vec().into_iter().flat_map(|finding| finding.first);
        let mut named: Vec<String> = differences
            .map(|difference| match difference.at {
                At::Player { player, .. } => player,
                at => at.to_string(),
            })
            .collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    #[test]
    fn whatever_is_not_as_the_events_have_it_is_named() {
        let boards = board("");
        let (board, fold) = (&boards[0], folded(&boards, &[("a", 5), ("b", 7), ("c", 5), ("a", -1)]));
        let right = rows(board, &fold, &["a", "b", "c"]);
        assert_eq!(named(board, &fold, &right, &[]), Vec::<String>::new());
        let changed = |change: &dyn Fn(&mut Rows)| {
            let mut rows = right.clone();
            change(&mut rows);
            named(board, &fold, &rows, &[])
        };
        assert_eq!(changed(&|rows| rows[2].0 = 9), ["a"]);
        assert_eq!(changed(&|rows| rows[2].1.score = board.score(3)), ["a"]);
        assert_eq!(changed(&|rows| rows[2].1.sorted_set_score -= 2f64.powi(-30)), ["a"]);
        assert_eq!(changed(&|rows| drop(rows.pop())), ["a"]);
        assert_eq!(changed(&|rows| rows[2].1.player = PlayerId::new("x").unwrap()), ["a", "x"]);
        assert_eq!(changed(&|rows| rows.push((4, rows[2].1.clone()))), ["a"]);
        assert_eq!(changed(&|rows| rows.swap(0, 1)), ["b", "c"]);
    }

    #[test]
    fn who_was_erased_may_stand_twice_and_anywhere_among_equals() {
        for rules in ["", "aggregate = \"best\"", "aggregate = \"last\"", "aggregate = \"count\""] {
            let boards = board(rules);
            let (board, fold) = (&boards[0], folded(&boards, &[("e", 5), ("b", 7), ("e", 3)]));
            // One row of each of the two events, as if the first had come under the name.
            let apart = [("e", 5), ("other", 1), ("e2", 3)];
            let apart = folded(&boards, &apart);
            let both = [rows(board, &fold, &["b"]), rows(board, &apart, &["e", "e2"])].concat();
            let mut both: Vec<FinalRow> = both.into_iter().map(|(_, row)| row).collect();
            both.iter_mut().filter(|row| row.player.as_str() == "e2").for_each(|row| {
                row.player = PlayerId::new("e").unwrap();
            });
            both.sort_by(|one, other| other.sorted_set_score.total_cmp(&one.sorted_set_score));
            let both: Vec<_> = (1..).zip(both).collect();
            assert_eq!(named(board, &fold, &both, &["e"]), Vec::<String>::new(), "{rules}: {both:?}");
            assert_eq!(named(board, &fold, &both, &[]), ["e"], "{rules}");
        }
        let boards = board("tie_break = \"player_id\"");
        let (board, fold) = (&boards[0], folded(&boards, &[("a", 5), ("b", 5)]));
        let mut equal = rows(board, &fold, &["b", "a"]);
        assert_eq!(total_of(equal[0].1.sorted_set_score), 5);
        equal.swap(0, 1);
        (equal[0].0, equal[1].0) = (1, 2);
        let first = equal[0].1.player.as_str().to_owned();
        assert_eq!(first, "a", "{equal:?}");
        assert_eq!(named(board, &fold, &equal, &["a"]), Vec::<String>::new());
        assert_eq!(named(board, &fold, &equal, &[]), ["b"]);
    }
}
