//! A whole deployment in memory: what Redis, the API and SQL are held against.

use crate::changes::{Arrival, day_of};
use crate::effects::{Effects, Touched};
use crate::set::BoardSet;
use crate::standings::{SeenIds, Standings};
use crate::windows::WindowCache;
use contracts::{Refusal, ScoreEvent};
use std::collections::{BTreeMap, BTreeSet};

/// Every view of a set of boards. It keeps all windows, also those that Redis has let go.
#[derive(Clone, Debug)]
pub struct Oracle {
    boards: BoardSet,
    windows: WindowCache,
    kept: Vec<Kept>,
}

/// What is kept of one board.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Ids of events that counted in at least one window, whatever their value.
    seen: SeenIds,
    /// The values that have a board.
    values: BTreeSet<Box<str>>,
    /// By value and window.
    views: BTreeMap<(Option<Box<str>>, Box<str>), Standings>,
}

/// What became of an event that was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In how many views it counts.
    pub counted: usize,
    /// How many windows it was too late for.
    pub late: usize,
    /// How many boards have counted its id before, and do not again.
    pub repeated: usize,
    /// How many boards have no room for its value.
    pub without_room: usize,
}

impl Oracle {
    /// Nobody on any board yet.
    #[must_use]
    pub fn new(boards: BoardSet) -> Self {
        let windows = WindowCache::new(&boards);
        let kept = boards.iter().map(|_| Kept::default()).collect();
        Self { boards, windows, kept }
    }

    /// The boards.
    #[must_use]
    pub fn boards(&self) -> &BoardSet {
        &self.boards
    }

    /// Applies one event of the log.
    ///
    /// # Errors
    /// When it is a dead letter ([`BoardSet::judge`]); nothing has changed then.
    pub fn apply(&mut self, event: &ScoreEvent, arrival: Arrival) -> Result<Outcome, Refusal> {
        let effects = self.boards.effects(event, arrival, &mut self.windows);
        if let Some(refusal) = effects.refusal() {
            return Err(refusal.clone());
        }
        let Effects { counted, late, .. } = effects;
        let mut outcome = Outcome { late: late.len(), ..Outcome::default() };
        for of_board in counted.chunk_by(|(one, _), (other, _)| one.board == other.board) {
            let Touched { board: index, value, .. } = of_board[0].0;
            let (board, kept) = (&self.boards[index], &mut self.kept[index]);
            let new_value = value.filter(|value| !kept.values.contains(*value));
            let room = board.per_value.as_ref().map_or(0, |per_value| per_value.max_values);
            if new_value.is_some() && kept.values.len() >= room {
                outcome.without_room += 1;
                continue;
            }
            let id = event.event_id.as_deref();
            if id.is_some_and(|id| !kept.seen.is_new(&event.player, id, day_of(arrival.at))) {
                outcome.repeated += 1;
                continue;
            }
            kept.values.extend(new_value.map(Into::into));
            for (touched, change) in of_board {
                let view = (value.map(Into::into), touched.window.id.clone());
                let standings = kept.views.entry(view).or_insert_with(|| Standings::of(board));
                standings.change(event.player.clone(), *change);
                outcome.counted += 1;
            }
        }
        Ok(outcome)
    }

    /// The view of the board that the API calls so, `name` or `name:value`, in the window of that
    /// id; `None` when nothing has counted there.
    #[must_use]
    pub fn view(&self, board: &str, window: &str) -> Option<&Standings> {
        let (index, value) = self.boards.find(board)?;
        self.kept[index].views.get(&(value.map(Into::into), window.into()))
    }

    /// All views in which something has counted: the board's name in the API, the window's id, the
    /// standings. By board as in the file, then by value and window.
    pub fn views(&self) -> impl Iterator<Item = (String, &str, &Standings)> {
        self.boards.iter().zip(&self.kept).flat_map(|(board, kept)| {
            kept.views.iter().map(|((value, window), standings)| {
                (board.name_of(value.as_deref()).into_owned(), &**window, standings)
            })
        })
    }
}
