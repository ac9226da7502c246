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
        for (index, board) in self.iter().enumerate() {
            let Some(value) = board.matched(&event.tags) else { continue };
            effects.matched += 1;
            let units = match board.judge(event, arrival.at) {
                Ok(units) => units,
                Err(refusal) => {
                    effects.refused.push((index, refusal));
                    continue;
                }
            };
            let change = board.change(units, event.created_at, arrival);
            windows.visit(index, board, event.created_at, |window| {
                let touched = Touched { board: index, value, window: Arc::clone(window) };
                if board.is_late(window, arrival.at) {
                    effects.late.push(touched);
                } else {
                    effects.counted.push((touched, change));
                }
            });
        }
        effects
    }
}
