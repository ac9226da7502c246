//! What one event does, on every board and in every window.

use crate::changes::{Arrival, Change};
use crate::set::BoardSet;
use crate::windows::{Window, WindowCache};
use contracts::{Refusal, ScoreEvent};
use std::sync::Arc;

/// A ranking that an event touches: of a board, of a value where the board is per value, in a
/// window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched<'e> {
    /// Which board of the [`BoardSet`].
    pub board: usize,
    /// The value of the board's tag; `None` where the board is not per value.
    pub value: Option<&'e str>,
    /// The window.
    pub window: Arc<Window>,
}

/// One thing that an event does, as it is found.
#[derive(Debug)]
pub enum Effect<'e, 'w> {
    /// It counts on a board.
    Counts {
        /// Which board of the [`BoardSet`].
        board: usize,
        /// The value of the board's tag; `None` where the board is not per value.
        value: Option<&'e str>,
        /// In which windows: at least one.
        windows: &'w [Arc<Window>],
        /// What it does in each.
        change: Change,
    },
    /// It lies in a window that it came too late for.
    Late {
        /// Which board of the [`BoardSet`].
        board: usize,
        /// The value of the board's tag; `None` where the board is not per value.
        value: Option<&'e str>,
        /// The window.
        window: &'w Arc<Window>,
    },
    /// A board that it is for refuses it.
    Refused {
        /// Which board of the [`BoardSet`].
        board: usize,
        /// Why.
        refusal: Refusal,
    },
}

/// What one event does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects<'e> {
    /// Where it counts and what it does there: by board as in the file, then by window as in
    /// [`Board::windows_at`](crate::Board::windows_at).
    pub counted: Vec<(Touched<'e>, Change)>,
    /// The windows that it lies in and came too late for.
    pub late: Vec<Touched<'e>>,
    /// The boards that it is for and that refuse it.
    pub refused: Vec<(usize, Refusal)>,
    /// How many boards it is for.
    matched: usize,
}

impl Effects<'_> {
    /// Why the event is refused, as [`BoardSet::judge`] says; `None` when it is taken.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        let (_, first) = self.refused.first()?;
        (self.refused.len() == self.matched).then_some(first)
    }

    /// How many boards it is for, whether or not they refuse it. What none is for is archived and
    /// counts nowhere.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.matched
    }
}

impl BoardSet {
    /// What `event` does that came to the log at `arrival`. Whether its id was seen, and whether a
    /// board per value has room for another one, is for whoever keeps the board to say.
    #[must_use]
    pub fn effects<'e>(
        &self,
        event: &'e ScoreEvent,
        arrival: Arrival,
        windows: &mut WindowCache,
    ) -> Effects<'e> {
        let mut effects = Effects::default();
        let matched = self.visit_effects(event, arrival, windows, |effect| match effect {
            Effect::Counts { board, value, windows, change } => {
                let touched =
                    windows.iter().map(|window| Touched { board, value, window: Arc::clone(window) });
                effects.counted.extend(touched.map(|touched| (touched, change)));
            }
            Effect::Late { board, value, window } => {
                effects.late.push(Touched { board, value, window: Arc::clone(window) });
            }
            Effect::Refused { board, refusal } => effects.refused.push((board, refusal)),
        });
        effects.matched = matched;
        effects
    }

    /// The same one by one, by board, what is late before what counts, without allocating for either;
    /// returns how many boards the event is for. If that is any, and all of them refuse it, it
    /// is a dead letter.
    pub fn visit_effects<'e>(
        &self,
        event: &'e ScoreEvent,
        arrival: Arrival,
        windows: &mut WindowCache,
        mut on_effect: impl FnMut(Effect<'e, '_>),
    ) -> usize {
        let boards = 0..self.iter().len();
        boards.filter(|board| self.visit_effects_on(*board, event, arrival, windows, &mut on_effect)).count()
    }

    /// The same on one board alone; returns whether the event is for it.
    pub fn visit_effects_on<'e>(
        &self,
        index: usize,
        event: &'e ScoreEvent,
        arrival: Arrival,
        windows: &mut WindowCache,
        mut on_effect: impl FnMut(Effect<'e, '_>),
    ) -> bool {
        let board = &self[index];
        let Some(value) = board.matched(&event.tags) else { return false };
        match board.judge(event, arrival.at) {
            Err(refusal) => on_effect(Effect::Refused { board: index, refusal }),
            Ok(units) => {
                let change = board.change(units, event.created_at, arrival);
                let times = (event.created_at, arrival.at);
                let late = |window: &_| on_effect(Effect::Late { board: index, value, window });
                let windows = windows.open(index, board, times, late);
                if !windows.is_empty() {
                    on_effect(Effect::Counts { board: index, value, windows, change });
                }
            }
        }
        true
    }
}
