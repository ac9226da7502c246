//! A board in memory: the oracle that Redis, the API and SQL are held against.

use crate::changes::{Change, Changes, Identified, day_of};
use crate::order::{Reached, sorted_set_score};
use crate::rules::{Board, MAX_TOTAL_UNITS};
use contracts::{EventTime, PlayerId, Refusal, ScoreEvent};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Where one player stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The place, from 1, without gaps.
    pub rank: u64,
    /// The player.
    pub player: PlayerId,
    /// The total, in units of the board's last decimal.
    pub total: i64,
}

/// A board in memory.
#[derive(Clone, Debug, Default)]
pub struct Standings {
    players: HashMap<PlayerId, (i64, Reached)>,
    seen: HashSet<(PlayerId, Box<str>, i64)>,
}

impl Standings {
    /// Applies one event that arrived at `arrived_at`.
    ///
    /// # Errors
    /// When the board refuses it; nothing has changed then.
    pub fn apply(&mut self, board: &Board, event: &ScoreEvent, arrived_at: EventTime) -> Result<(), Refusal> {
        let change = Change::of(board.units(event)?, Reached::at(event.created_at));
        if let Some(event_id) = &event.event_id {
            let day = day_of(arrived_at);
            let key = |day| (event.player.clone(), event_id.clone(), day);
            let seen = self.seen.contains(&key(day))
                || self.seen.contains(&key(day - 1))
                || self.seen.contains(&key(day + 1));
            self.seen.insert(key(day));
            if seen {
                return Ok(());
            }
        }
        self.change(event.player.clone(), change);
        Ok(())
    }

    /// Applies a batch, as the script in Redis does.
    pub fn apply_changes(&mut self, changes: &Changes) {
        for (player, change) in &changes.players {
            self.change(player.clone(), *change);
        }
        for Identified { player, event_id, arrival_day, change } in &changes.identified {
            let key = |day| (player.clone(), event_id.clone(), day);
            let seen = (-1..=1).any(|near| self.seen.contains(&key(arrival_day + near)));
            self.seen.insert(key(*arrival_day));
            if !seen {
                self.change(player.clone(), *change);
            }
        }
    }

    fn change(&mut self, player: PlayerId, change: Change) {
        let (total, reached) = self.players.entry(player).or_insert((0, Reached::NEVER));
        *total = total.saturating_add(change.delta).clamp(-MAX_TOTAL_UNITS, MAX_TOTAL_UNITS);
        *reached = change.reached.max(*reached).cut_for(*total);
    }

    /// How many players there are.
    #[must_use]
    pub fn players(&self) -> usize {
        self.players.len()
    }

    /// A player's total, in units of the board's last decimal.
    #[must_use]
    pub fn total(&self, player: &str) -> Option<i64> {
        self.players.get(player).map(|(total, _)| *total)
    }

    /// The double under which a player stands in the sorted set.
    #[must_use]
    pub fn sorted_set_score(&self, player: &str) -> Option<f64> {
        self.players.get(player).map(|(total, reached)| sorted_set_score(*total, *reached))
    }

    /// The first `limit` players, best first.
    #[must_use]
    pub fn top(&self, limit: usize) -> Vec<Standing> {
        let mut rows: Vec<_> = self.players.iter().collect();
        rows.sort_unstable_by_key(|(player, (total, reached))| (Reverse(*total), *reached, Reverse(*player)));
        rows.into_iter()
            .zip(1..)
            .take(limit)
            .map(|((player, (total, _)), rank)| Standing { rank, player: player.clone(), total: *total })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::BoardSet;
    use proptest::prelude::*;

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

    fn standings(events: &[ScoreEvent]) -> Standings {
        let mut standings = Standings::default();
        for event in events {
            standings
                .apply(BoardSet::default().default_board(), event, EventTime::from_micros(0).unwrap())
                .unwrap();
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
            let arrived = EventTime::from_micros(day * 86_400_000_000).unwrap();
            board.apply(BoardSet::default().default_board(), &event("a", 1, 1, Some("x")), arrived).unwrap();
        }
        assert_eq!(board.total("a"), Some(2));
    }

    proptest! {
        #[test]
        fn order_of_arrival_and_batch_boundaries_do_not_matter(
            events in proptest::collection::vec((0..5usize, -300..300i64, 0..1000i64), 1..60),
            shuffled in any::<prop::sample::Index>(),
            batch in 1..10usize,
        ) {
            let events: Vec<ScoreEvent> = events.into_iter()
                .map(|(player, score, second)| event(["a", "b", "c", "d", "e"][player], score, second, None))
                .collect();
            let mut turned = events.clone();
            turned.rotate_left(shuffled.index(events.len()));
            let mut batched = Standings::default();
            for chunk in turned.chunks(batch) {
                let mut changes = Changes::default();
                for event in chunk {
                    let units = BoardSet::default().default_board().units(event).unwrap();
                    changes.add(event.player.clone(), Change::of(units, Reached::at(event.created_at)));
                }
                batched.apply_changes(&changes);
            }
            prop_assert_eq!(batched.top(10), standings(&events).top(10));
        }
    }
}
