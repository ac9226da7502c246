//! The windows of a board: which of them an event counts in, and until when.
//!
//! Windows go by **event time** (`created_at`): a score earned at 23:59:59 counts for its own day
//! when it arrives a minute later. It does so while the window is open for it: an event counts in a
//! window exactly if it lies in `[start, end)` and arrived before `end + allowed_lateness`, or the
//! lateness is `"forever"`. Arrival is the record's Kafka timestamp, not anyone's clock, so that
//! every replay decides the same. The window `all` is open for ever. What is late is archived and
//! counts nowhere in that window.
//!
//! A window is **final** at `end + allowed_lateness`: what arrives from then on changes nothing. It
//! goes from Redis at `end + allowed_lateness + grace`.

use crate::calendar::Period;
use crate::rules::{Board, Lateness};
use crate::set::BoardSet;
use contracts::EventTime;
use std::sync::Arc;

/// The id of the window that takes everything.
pub const ALL: &str = "all";

/// What makes a window begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowKind {
    /// Nothing: all time.
    All,
    /// The calendar.
    Period(Period),
    /// `boards.toml`.
    Season,
}

impl WindowKind {
    /// The name: `all`, `hour`, `day`, `week`, `month` or `season`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => ALL,
            Self::Period(period) => period.as_str(),
            Self::Season => "season",
        }
    }
}

/// A stretch of time over which scores are ranked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// What makes it begin and end.
    pub kind: WindowKind,
    /// What it is called in keys, paths and snapshots: `all`, an id of [`crate::calendar`], or the
    /// season's name. It is unique on its board.
    pub id: Box<str>,
    /// Its first instant.
    pub start: EventTime,
    /// The first instant after it; the last of time is in every window that reaches it.
    pub end: EventTime,
}

impl Window {
    /// The window that takes everything.
    #[must_use]
    pub fn all() -> Self {
        Self { kind: WindowKind::All, id: ALL.into(), start: EventTime::MIN, end: EventTime::MAX }
    }

    /// Whether `time` lies in it.
    #[must_use]
    pub fn contains(&self, time: EventTime) -> bool {
        self.start <= time && (time < self.end || self.end == EventTime::MAX)
    }
}

/// A ranking of a board: of all its players, or of one value where the board is per value, in one
/// window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The value of the board's tag; `None` where the board is not per value.
    pub value: Option<Box<str>>,
    /// The window.
    pub window: Arc<Window>,
}

impl View {
    /// Of all players, for all time.
    #[must_use]
    pub fn all_time() -> Self {
        Self { value: None, window: Arc::new(Window::all()) }
    }

    /// Whether it is the one of this value in this window.
    #[must_use]
    pub fn is(&self, value: Option<&str>, window: &Arc<Window>) -> bool {
        (Arc::ptr_eq(&self.window, window) || self.window == *window) && self.value.as_deref() == value
    }
}

/// The rankings of a board that an event counts in: of all its players, or of one value where the
/// board is per value, in each window that the event lies in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The value of the board's tag; `None` where the board is not per value.
    pub value: Option<Box<str>>,
    /// The windows: at least one.
    pub windows: Vec<Arc<Window>>,
}

impl Scope {
    /// Of this value, in these windows.
    #[must_use]
    pub fn new(value: Option<&str>, windows: &[Arc<Window>]) -> Self {
        Self { value: value.map(Into::into), windows: windows.to_vec() }
    }

    /// Of all players, for all time.
    #[must_use]
    pub fn all_time() -> Self {
        Self { value: None, windows: vec![Arc::new(Window::all())] }
    }

    /// Whether it is that of this value in these windows, which stand in the same order.
    #[must_use]
    pub fn is(&self, value: Option<&str>, windows: &[Arc<Window>]) -> bool {
        let same = |(one, other): (&Arc<Window>, &Arc<Window>)| Arc::ptr_eq(one, other) || one == other;
        self.value.as_deref() == value
            && self.windows.len() == windows.len()
            && self.windows.iter().zip(windows).all(same)
    }

    /// Whether the ranking of this view is one of them.
    #[must_use]
    pub fn has(&self, view: &View) -> bool {
        self.windows.iter().any(|window| view.is(self.value.as_deref(), window))
    }
}

impl Board {
    /// The window of that id; `None` when the board keeps none of its kind, or there is none.
    #[must_use]
    pub fn window_of_id(&self, id: &str) -> Option<Window> {
        if id == ALL {
            return self.all_time.then(Window::all);
        }
        if let Some(season) = self.seasons.iter().find(|season| *season.id == *id) {
            return Some(Window::clone(season));
        }
        let keeps = |window: &Window| self.periods.iter().any(|p| window.kind == WindowKind::Period(*p));
        self.calendar.window_of_id(id).filter(keeps)
    }

    /// The board's windows that `time` lies in: `all`, periods from the shortest, seasons by start.
    #[must_use]
    pub fn windows_at(&self, time: EventTime) -> Vec<Window> {
        let all = self.all_time.then(Window::all);
        let periods = self.periods.iter().map(|period| self.calendar.window_at(*period, time));
        let seasons = self.seasons.iter().filter(|season| season.contains(time));
        all.into_iter().chain(periods).chain(seasons.map(|season| Window::clone(season))).collect()
    }

    /// The window before `window`: the one of its period that ends where it begins, or the season
    /// that was over last when it began. `None` when there is none.
    #[must_use]
    pub fn previous(&self, window: &Window) -> Option<Window> {
        match window.kind {
            WindowKind::All => None,
            WindowKind::Period(period) => {
                let before = EventTime::from_micros(window.start.micros() - 1)?;
                Some(self.calendar.window_at(period, before))
            }
            WindowKind::Season => {
                let over = self.seasons.iter().filter(|season| season.end <= window.start);
                over.max_by_key(|season| (season.end, season.start)).map(|season| Window::clone(season))
            }
        }
    }

    /// The window that is meant where none is named, and since when it has been: `all`; else the
    /// present one of the shortest period; else the season that is on, of several the one that began
    /// last; else the one that was over last; before all of them, the first. The later `time` is, the
    /// later is that instant, also where seasons overlap.
    #[must_use]
    pub fn usual_window(&self, time: EventTime) -> (Arc<Window>, EventTime) {
        if self.all_time {
            return (Arc::new(Window::all()), EventTime::MIN);
        }
        if let Some(period) = self.periods.first() {
            let window = self.calendar.window_at(*period, time);
            return (window.clone().into(), window.start);
        }
        let began_last = |season: &&Arc<Window>| (season.start, season.end);
        let is_on = self.seasons.iter().filter(|season| season.contains(time)).max_by_key(began_last);
        let over = self.seasons.iter().filter(|season| season.end <= time);
        let season = is_on.or_else(|| over.max_by_key(|season| (season.end, season.start)));
        let turns = self.seasons.iter().flat_map(|season| [season.start, season.end]);
        let since = turns.filter(|turn| *turn <= time).max().unwrap_or(EventTime::MIN);
        let season = season.or(self.seasons.first()).expect("a board has a window");
        (Arc::clone(season), since)
    }

    /// From which arrival on nothing changes the window any more; `None`: from none.
    #[must_use]
    pub fn final_at(&self, window: &Window) -> Option<EventTime> {
        match (window.kind, self.allowed_lateness) {
            (WindowKind::All, _) | (_, Lateness::Forever) => None,
            (_, Lateness::Seconds(seconds)) => Some(window.end.saturating_add_seconds(i64::from(seconds))),
        }
    }

    /// Whether it has windows that come to be final.
    #[must_use]
    pub fn has_windows_that_end(&self) -> bool {
        self.allowed_lateness != Lateness::Forever && !(self.periods.is_empty() && self.seasons.is_empty())
    }

    /// When the window goes from Redis; `None`: never.
    #[must_use]
    pub fn gone_at(&self, window: &Window) -> Option<EventTime> {
        Some(self.final_at(window)?.saturating_add_seconds(i64::from(self.grace_seconds)))
    }

    /// Whether an event that arrived at `arrived_at` and lies in the window is too late for it.
    #[must_use]
    pub fn is_late(&self, window: &Window, arrived_at: EventTime) -> bool {
        self.final_at(window).is_some_and(|final_at| final_at <= arrived_at)
    }
}

/// The windows that were asked for last, for whoever asks with every event. It is for one
/// [`BoardSet`].
#[derive(Clone, Debug)]
pub struct WindowCache {
    all: Arc<Window>,
    /// For each board, for each of its periods.
    boards: Vec<Vec<Recent>>,
    /// Of the event that was asked about last.
    open: Vec<Arc<Window>>,
}

/// The two windows of a period that were met last: about midnight, events of both days come mixed.
type Recent = [Option<Arc<Window>>; 2];

impl WindowCache {
    /// An empty cache for `boards`.
    #[must_use]
    pub fn new(boards: &BoardSet) -> Self {
        let slots = |board: &Board| vec![Recent::default(); board.periods.len()];
        Self { all: Arc::new(Window::all()), boards: boards.iter().map(slots).collect(), open: Vec::new() }
    }

    /// The windows of the board at `index` that an event of `time` lies in and counts in if it
    /// arrived at `arrived_at`, in the order of [`Board::windows_at`]. Calls `on_late` with each that
    /// it came too late for.
    pub(crate) fn open(
        &mut self,
        index: usize,
        board: &Board,
        (time, arrived_at): (EventTime, EventTime),
        mut on_late: impl FnMut(&Arc<Window>),
    ) -> &[Arc<Window>] {
        self.open.clear();
        let mut on_window = |window: &Arc<Window>| {
            if board.is_late(window, arrived_at) {
                on_late(window);
            } else {
                self.open.push(Arc::clone(window));
            }
        };
        if board.all_time {
            on_window(&self.all);
        }
        for (period, recent) in board.periods.iter().zip(&mut self.boards[index]) {
            let is = |slot: &Option<Arc<Window>>| slot.as_ref().is_some_and(|window| window.contains(time));
            if !is(&recent[0]) {
                recent.swap(0, 1);
                if !is(&recent[0]) {
                    recent[0] = Some(Arc::new(board.calendar.window_at(*period, time)));
                }
            }
            recent[0].iter().for_each(&mut on_window);
        }
        board.seasons.iter().filter(|season| season.contains(time)).for_each(on_window);
        &self.open
    }
}
