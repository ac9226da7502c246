//! The boards of a deployment.

use crate::rules::{Board, VALUE_SEPARATOR};
use contracts::{EventTime, Refusal, ScoreEvent};

/// The boards of a deployment: at least one, the first of which is not per value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardSet {
    boards: Vec<Board>,
}

impl Default for BoardSet {
    fn default() -> Self {
        Self { boards: vec![Board::named("game-score")] }
    }
}

impl BoardSet {
    /// The boards that a file was found to say.
    pub(crate) fn of(boards: Vec<Board>) -> Self {
        Self { boards }
    }

    /// The board that the plain websocket path shows: the file's first.
    #[must_use]
    pub fn default_board(&self) -> &Board {
        &self.boards[0]
    }

    /// The boards as they stand in the file; effects name them by their index.
    pub fn iter(&self) -> std::slice::Iter<'_, Board> {
        self.boards.iter()
    }

    /// The `[[board]]` of that name, whether or not it is per value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Board> {
        self.boards.iter().find(|board| board.name == name)
    }

    /// The board that the API calls so, `name` or `name:value`: its index and the value. Whether
    /// there are events of that value is not asked.
    #[must_use]
    pub fn find<'n>(&self, name: &'n str) -> Option<(usize, Option<&'n str>)> {
        let (name, value) = match name.split_once(VALUE_SEPARATOR) {
            None => (name, None),
            Some((_, "")) => return None,
            Some((name, value)) => (name, Some(value)),
        };
        let is = |board: &Board| board.name == name && board.per_value.is_some() == value.is_some();
        Some((self.boards.iter().position(is)?, value))
    }

    /// Whether the event is taken: it is refused exactly if a board is for it, and every board that
    /// is refuses it. What no board is for is archived and counts nowhere. Ranker and archiver ask
    /// the same, so that it is a dead letter for both or for neither.
    ///
    /// # Errors
    /// The refusal of the first board that would have taken it.
    pub fn judge(&self, event: &ScoreEvent, arrived_at: EventTime) -> Result<(), Refusal> {
        let mut first = Ok(());
        for board in self.boards.iter().filter(|board| board.matched(&event.tags).is_some()) {
            match board.judge(event, arrived_at) {
                Ok(_) => return Ok(()),
                Err(refusal) => first = first.and(Err(refusal)),
            }
        }
        first
    }
}

impl<'s> IntoIterator for &'s BoardSet {
    type Item = &'s Board;
    type IntoIter = std::slice::Iter<'s, Board>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::ops::Index<usize> for BoardSet {
    type Output = Board;

    fn index(&self, index: usize) -> &Board {
        &self.boards[index]
    }
}
