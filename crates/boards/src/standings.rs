//! One view in memory: a board, or one of its values, in one window.

use crate::changes::{Arrival, Change, Changes, Identified, day_of};
use crate::ranking::{RankMode, Ranking, Standing};
use crate::rules::Board;
use crate::set::BoardSet;
use crate::windows::View;
use contracts::{PlayerId, Refusal, ScoreEvent};
use std::collections::{HashMap, HashSet};

/// A view in memory.
#[derive(Clone, Debug)]
pub struct Standings {
    board: Board,
    players: HashMap<PlayerId, Change>,
    seen: SeenIds,
}

impl Default for Standings {
    fn default() -> Self {
        Self::of(BoardSet::default().default_board())
    }
}

impl Standings {
    /// Nobody yet, by the rules of `board`.
    #[must_use]
    pub fn of(board: &Board) -> Self {
        Self { board: board.clone(), players: HashMap::new(), seen: SeenIds::default() }
    }

    /// Applies one event, unless its id was seen, whatever the board matches and in whatever
    /// window it lies: [`Oracle`](crate::Oracle) asks for these.
    ///
    /// # Errors
    /// When the board refuses it; nothing has changed then.
    pub fn apply(&mut self, event: &ScoreEvent, arrival: Arrival) -> Result<(), Refusal> {
        let units = self.board.judge(event, arrival.at)?;
        let change = self.board.change(units, event.created_at, arrival);
        let new =
            event.event_id.as_ref().is_none_or(|id| self.seen.is_new(&event.player, id, day_of(arrival.at)));
        if new {
            self.change(event.player.clone(), change);
        }
        Ok(())
    }

    /// Applies what a batch does for all time on a board that is not per value, as the script in
    /// Redis does.
    pub fn apply_changes(&mut self, changes: &Changes) {
        let view = View::all_time();
        for counted in changes.scopes().iter().filter(|changes| changes.scope.has(&view)) {
            for (player, change) in &counted.players {
                self.change(player.clone(), *change);
            }
        }
        for Identified { player, event_id, arrival_day, scope, change } in changes.identified() {
            if scope.has(&view) && self.seen.is_new(player, event_id, *arrival_day) {
                self.change(player.clone(), *change);
            }
        }
    }

    /// Applies a change that counts.
    pub fn change(&mut self, player: PlayerId, change: Change) {
        let limit = self.board.max_total_units;
        self.players
            .entry(player)
            .and_modify(|stands| *stands = stands.merge(change).settled(limit))
            .or_insert(change.settled(limit));
    }

    /// How many players there are.
    #[must_use]
    pub fn players(&self) -> usize {
        self.players.len()
    }

    /// A player's total, in units of the board's last decimal.
    #[must_use]
    pub fn total(&self, player: &str) -> Option<i64> {
        self.players.get(player).map(|stands| self.board.stored(stands.value()))
    }

    /// The double under which a player stands in the sorted set.
    #[must_use]
    pub fn sorted_set_score(&self, player: &str) -> Option<f64> {
        let stands = self.players.get(player)?;
        Some(self.board.encode(self.board.stored(stands.value()), stands.reached()))
    }

    /// Everybody in their places, for any number of questions.
    #[must_use]
    pub fn ranking(&self) -> Ranking {
        Ranking::of(&self.board, &self.players)
    }

    /// The first `limit` players, best first.
    #[must_use]
    pub fn top(&self, limit: usize) -> Vec<Standing> {
        self.ranking().page(RankMode::Ordinal, 0, limit)
    }
}

/// Event ids that a board has seen: the same id from the same player counts once when it arrives
/// again on the same UTC day or the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenIds(HashSet<(PlayerId, Box<str>, i64)>);

impl SeenIds {
    /// Whether the id has not been seen about that day of arrival; from now on it has.
    pub(crate) fn is_new(&mut self, player: &PlayerId, event_id: &str, arrival_day: i64) -> bool {
        let key = |day| (player.clone(), event_id.into(), day);
        let seen = (-1..=1).any(|near| self.0.contains(&key(arrival_day + near)));
        self.0.insert(key(arrival_day));
        !seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::EventTime;

    fn event(player: &str, score: i64, second: i64, event_id: Option<&str>) -> ScoreEvent {
        ScoreEvent {
            player: PlayerId::new(player).unwrap(),
            score: contracts::Score::new(score, 0),
            created_at: EventTime::from_micros(second * 1_000_000).unwrap(),
            event_id: event_id.map(Into::into),
            nickname: None,
            tags: Default::default(),
            unknown: Default::default(),
        }
    }

    fn on_day(day: i64) -> Arrival {
        Arrival { at: EventTime::from_micros(day * 86_400_000_000).unwrap(), partition: 0, offset: 0 }
    }

    fn standings(events: &[ScoreEvent]) -> Standings {
        let mut standings = Standings::default();
        for event in events {
            standings.apply(event, on_day(1)).unwrap();
        }
        standings
    }

    fn names(standings: &Standings) -> Vec<String> {
        standings.top(usize::MAX).into_iter().map(|row| row.player.to_string()).collect()
    }

    #[test]
    fn first_to_reach_a_total_is_ahead() {
        let board = standings(&[event("a", 5, 30, None), event("b", 2, 10, None), event("b", 3, 20, None)]);
        assert_eq!(names(&board), ["b", "a"]);
    }

    #[test]
    fn equal_even_in_time_is_ordered_by_id_descending() {
        let board = standings(&[event("a", 5, 1, None), event("b", 5, 1, None), event("B", 5, 1, None)]);
        assert_eq!(names(&board), ["b", "a", "B"]);
    }

    #[test]
    fn losing_points_moves_the_time_and_nothing_moves_none() {
        let board = standings(&[
            event("a", 10, 10, None),
            event("b", 15, 5, None),
            event("b", -5, 20, None),
            event("a", 0, 99, None),
            event("c", 0, 1, None),
        ]);
        assert_eq!(names(&board), ["a", "b", "c"]);
        assert_eq!(board.total("c"), Some(0));
    }

    #[test]
    fn same_id_of_the_same_player_counts_once() {
        let board = standings(&[
            event("a", 5, 1, Some("x")),
            event("a", 5, 1, Some("x")),
            event("b", 5, 1, Some("x")),
            event("a", 5, 1, Some("y")),
        ]);
        assert_eq!((board.total("a"), board.total("b")), (Some(10), Some(5)));
    }

    #[test]
    fn an_id_counts_again_two_days_later() {
        let mut board = Standings::default();
        for day in [0, 1, 3] {
            board.apply(&event("a", 1, 1, Some("x")), on_day(day)).unwrap();
        }
        assert_eq!(board.total("a"), Some(2));
    }
}
