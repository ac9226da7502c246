//! The views of a board that its events come to, numbered. Pure.

use boards::{Board, View, Window, WindowKind};
use contracts::EventTime;
use indexmap::{Equivalent, IndexMap};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// How far the clocks of two machines may be apart: one takes away what is gone by its clock.
const CLOCKS_APART_SECONDS: i64 = 60;

/// A view by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ViewId(u32);

impl ViewId {
    /// Of all players for all time, where the board has that view.
    const ALL_TIME: Self = Self(0);

    /// The number.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// What of a board has no place in the stores, and so is not held in memory either.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    /// The views that Redis has.
    pub(crate) listed: HashSet<View>,
    /// Those that are over and kept in the archive, and to be compared with it.
    pub(crate) kept: HashSet<View>,
    /// The values that have a board; `None` while there is room for more.
    pub(crate) values: Option<HashSet<Box<str>>>,
    /// What this machine's clock said then.
    pub(crate) now: EventTime,
}

/// What becomes of the events of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// They are folded.
    Folded(ViewId),
    /// The window is gone by its age. Its events count, and nobody can see them.
    Gone,
    /// The value has no board, since others came before it: its events count nowhere.
    WithoutRoom,
}

/// Whether the window has left Redis by `now`.
pub(crate) fn is_gone(board: &Board, window: &Window, now: EventTime) -> bool {
    let now = now.saturating_add_seconds(CLOCKS_APART_SECONDS);
    board.gone_at(window).is_some_and(|gone_at| gone_at <= now)
}

impl Coverage {
    /// Whether the view's value, if it is of one, has a board or may get one.
    pub(crate) fn has_room(&self, view: &View) -> bool {
        let has_board = |value| self.values.as_ref().is_none_or(|values| values.contains(value));
        view.value.as_ref().is_none_or(has_board)
    }

    fn meets(&self, board: &Board, view: &View, number: ViewId) -> Met {
        if !self.has_room(view) {
            return Met::WithoutRoom;
        }
        let is_there = || self.listed.contains(view) || self.kept.contains(view);
        if is_gone(board, &view.window, self.now) && !is_there() {
            return Met::Gone;
        }
        Met::Folded(number)
    }
}

/// The views that were met. Several may ask at once.
#[derive(Debug)]
pub(crate) struct Views {
    board: Board,
    coverage: Coverage,
    met: RwLock<IndexMap<View, Known>>,
}

#[derive(Debug)]
struct Known {
    met: Met,
    players: AtomicU64,
}

/// A view, before it is known.
#[derive(Hash)]
struct Asked<'a> {
    value: Option<&'a str>,
    window: &'a Arc<Window>,
}

impl Equivalent<View> for Asked<'_> {
    fn equivalent(&self, view: &View) -> bool {
        view.is(self.value, self.window)
    }
}

impl Views {
    /// That of all players for all time, if the board has it.
    pub(crate) fn new(board: Board, coverage: Coverage) -> Self {
        let all_time = board.all_time && board.per_value.is_none();
        let met = all_time.then(|| (View::all_time(), Known::of(Met::Folded(ViewId::ALL_TIME))));
        Self { board, coverage, met: RwLock::new(met.into_iter().collect()) }
    }

    fn read(&self) -> RwLockReadGuard<'_, IndexMap<View, Known>> {
        self.met.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of an event of that view.
    pub(crate) fn meet(&self, value: Option<&str>, window: &Arc<Window>) -> Met {
        // The one that nearly every board has needs no looking up.
        if value.is_none() && window.kind == WindowKind::All {
            return Met::Folded(ViewId::ALL_TIME);
        }
        let asked = Asked { value, window };
        if let Some(known) = self.read().get(&asked) {
            return known.met;
        }
        let mut met = self.met.write().unwrap_or_else(PoisonError::into_inner);
        let number = ViewId(u32::try_from(met.len()).expect("fewer views than 2^32"));
        let view = View { value: value.map(Into::into), window: Arc::clone(window) };
        let becomes = self.coverage.meets(&self.board, &view, number);
        met.entry(view).or_insert_with(|| Known::of(becomes)).met
    }

    /// What became of the events of that view; `None` when there were none.
    pub(crate) fn met(&self, view: &View) -> Option<Met> {
        self.read().get(view).map(|known| known.met)
    }

    /// Counts a player who was not in the view before.
    pub(crate) fn add_player(&self, view: ViewId) {
        self.read()[view.0 as usize].players.fetch_add(1, Ordering::Relaxed);
    }

    /// How many players are in the view.
    pub(crate) fn players(&self, view: ViewId) -> u64 {
        self.read()[view.0 as usize].players.load(Ordering::Relaxed)
    }

    /// The view of that number.
    pub(crate) fn view(&self, view: ViewId) -> View {
        self.read().get_index(view.0 as usize).expect("a number that was given").0.clone()
    }

    /// How many were met.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    /// The folded views of which at least `from` were met before, `limit` at most, and how many were
    /// met up to the last of them.
    pub(crate) fn after(&self, from: usize, limit: usize) -> (Vec<ViewId>, usize) {
        let met = self.read();
        let to = met.len().min(from + limit);
        let range = met.get_range(from..to).into_iter().flat_map(|part| part.values());
        let folded = range.filter_map(|known| match known.met {
            Met::Folded(view) => Some(view),
            Met::Gone | Met::WithoutRoom => None,
        });
        (folded.collect(), to)
    }

    /// How many views are gone by their age, and how many values have no board.
    pub(crate) fn left_out(&self) -> (u64, u64) {
        let met = self.read();
        let gone = met.values().filter(|known| known.met == Met::Gone).count();
        let without = met.iter().filter(|(_, known)| known.met == Met::WithoutRoom);
        let values: HashSet<&str> = without.filter_map(|(view, _)| view.value.as_deref()).collect();
        (gone as u64, values.len() as u64)
    }
}

impl Known {
    fn of(met: Met) -> Self {
        Self { met, players: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::BoardSet;

    #[test]
    fn what_has_no_place_in_redis_is_left_out() {
        let text = "[[board]]\nname = \"a\"\n[[board]]\nname = \"b\"\nmatch = { team = \"{team}\" }\n\
                    windows = [\"day\"]\nallowed_lateness = \"1h\"\ngrace = \"1d\"";
        let board = BoardSet::parse(text).unwrap()[1].clone();
        let view = |value: &str, window: &str| View {
            value: Some(value.into()),
            window: board.window_of_id(window).unwrap().into(),
        };
        let coverage = Coverage {
            listed: [view("reds", "2026-11-10")].into(),
            kept: [view("reds", "2026-11-09")].into(),
            values: Some(["reds".into(), "blues".into()].into()),
            now: EventTime::parse_iso("2026-11-20", "t").unwrap(),
        };
        let views = Views::new(board.clone(), coverage);
        let meet = |view: &View| views.meet(view.value.as_deref(), &view.window);
        for (value, window, is) in [
            ("reds", "2026-11-19", Met::Folded(ViewId(0))),
            ("greens", "2026-11-19", Met::WithoutRoom),
            ("reds", "2026-11-11", Met::Gone),
            ("reds", "2026-11-10", Met::Folded(ViewId(3))),
            ("greens", "2026-11-10", Met::WithoutRoom),
            ("reds", "2026-11-18", Met::Folded(ViewId(5))),
            ("reds", "2026-11-09", Met::Folded(ViewId(6))),
        ] {
            let view = view(value, window);
            assert_eq!((meet(&view), meet(&view), views.met(&view)), (is, is, Some(is)), "{value} {window}");
        }
        assert_eq!(views.left_out(), (1, 1));
        assert_eq!(views.after(0, 4), (vec![ViewId(0), ViewId(3)], 4));
        assert_eq!(views.after(4, 9), (vec![ViewId(5), ViewId(6)], 7));
    }
}
