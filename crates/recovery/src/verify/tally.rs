//! What a player's events come to in a view, and whether what Redis has says the same. Pure.

use board_store::AuditedRow;
use boards::changes::Recency;
use boards::order::{Reached, reached_of, sorted_set_score, total_of};
use boards::rules::Aggregate;
use boards::{Board, Change};
use contracts::EventTime;

/// What a player's events come to. Adding is commutative, so neither the order of the log nor
/// the number of its readers matters. Values are as they are stored: the highest is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Scores, or events that are counted. Both directions apart, since totals have a limit.
    Added {
        gained: i64,
        lost: i64,
        /// When the last event happened that was worth something, at full resolution.
        reached: Reached,
    },
    Best {
        value: i64,
        reached: Reached,
    },
    /// With what makes up its [`Recency`], laid out so that a tally has 32 bytes.
    Last {
        value: i64,
        created_at: EventTime,
        offset: i64,
        partition: i32,
    },
}

/// What stands of a player is to a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Bit for bit what it must be.
    Exact,
    /// The total is right, and the reach time is one that [`boards::order`] says may be left
    /// when totals above 2^17 go down and events arrive out of order.
    CoarserReach,
    /// The player gained or lost more than a total can be and did both: what stands depends on
    /// the order in which the board took the events.
    BeyondLimit,
    /// The total is right, the reach time is not.
    WrongReach,
    /// The total is wrong.
    WrongTotal,
    /// The double is right, and another event is remembered as the newest.
    WrongNewest,
}

impl From<Change> for Tally {
    /// What a player has to whom nothing but `change` has come.
    fn from(change: Change) -> Self {
        match change {
            Change::Add { delta, reached } => {
                Self::Added { gained: delta.max(0), lost: delta.min(0).saturating_neg(), reached }
            }
            Change::Best { value, reached } => Self::Best { value, reached },
            Change::Last { value, recency: Recency { created_at, offset, partition }, .. } => {
                Self::Last { value, created_at, offset, partition }
            }
        }
    }
}

impl Tally {
    /// Takes in what an event does.
    pub(crate) fn add(&mut self, change: Change) {
        let other = Self::from(change);
        match (&mut *self, other) {
            (
                Self::Added { gained, lost, reached },
                Self::Added { gained: more, lost: less, reached: later },
            ) => {
                *gained = gained.saturating_add(more);
                *lost = lost.saturating_add(less);
                *reached = later.max(*reached);
            }
            (Self::Best { value, reached }, Self::Best { value: rival, reached: time }) => {
                if rival > *value || (rival == *value && time < *reached) {
                    *self = other;
                }
            }
            (Self::Last { .. }, Self::Last { .. }) => {
                if other.recency() > self.recency() {
                    *self = other;
                }
            }
            _ => unreachable!("a board's changes are of one aggregate"),
        }
    }

    /// The player's total on `board`.
    pub(crate) fn total(&self, board: &Board) -> i64 {
        board.stored(self.value(board))
    }

    /// The total as it is stored.
    fn value(&self, board: &Board) -> i64 {
        board.clamped(match self {
            Self::Added { gained, lost, .. } => gained.saturating_sub(*lost),
            Self::Best { value, .. } | Self::Last { value, .. } => *value,
        })
    }

    /// The double that must stand in the sorted set.
    pub(crate) fn sorted_set_score(&self, board: &Board) -> f64 {
        let reached = match self {
            Self::Added { reached, .. } | Self::Best { reached, .. } => *reached,
            Self::Last { created_at, .. } => Reached::at(*created_at),
        };
        board.encode(self.total(board), reached)
    }

    /// The event that must be remembered as the newest, on a board of last scores.
    pub(crate) fn recency(&self) -> Option<Recency> {
        match *self {
            Self::Last { created_at, offset, partition, .. } => {
                Some(Recency { created_at, offset, partition })
            }
            Self::Added { .. } | Self::Best { .. } => None,
        }
    }

    /// Judges what stands on `board`: the double, and the event that is remembered as the newest.
    pub(crate) fn judge(&self, board: &Board, stored: f64, newest: Option<Recency>) -> Standing {
        let exact = self.sorted_set_score(board);
        if stored.to_bits() == exact.to_bits() {
            return if newest == self.recency() { Standing::Exact } else { Standing::WrongNewest };
        }
        if let Self::Added { gained, lost, reached } = *self {
            // On its way the total was never larger than this, in whatever order the events came.
            let peak = gained.max(lost);
            if peak > board.max_total_units && gained.min(lost) > 0 {
                return Standing::BeyondLimit;
            }
            // Each cut on the way was at most as coarse as the peak's, and cuts only make a time
            // earlier: what is left lies between the exact time and the exact time cut for the peak.
            let earliest = board.encode(self.total(board), reached.cut_for(peak));
            if exact <= stored && stored <= earliest {
                return Standing::CoarserReach;
            }
        }
        if total_of(stored) == self.value(board) { Standing::WrongReach } else { Standing::WrongTotal }
    }
}

/// What stands of one player under two names, as if it stood under one: as erasing the one joins
/// them.
pub(crate) fn joined(board: &Board, one: AuditedRow, other: AuditedRow) -> AuditedRow {
    let (Some(score), Some(more)) = (one.score, other.score) else {
        return if one.score.is_some() { one } else { other };
    };
    let other_is_ahead = match board.aggregate {
        Aggregate::Sum | Aggregate::Count => {
            let total = board.clamped(total_of(score).saturating_add(total_of(more)));
            let score = sorted_set_score(total, reached_of(score).max(reached_of(more)));
            return AuditedRow { score: Some(score), newest: None };
        }
        Aggregate::Best => more > score,
        Aggregate::Last => other.newest > one.newest,
    };
    if other_is_ahead { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::rules::MAX_TOTAL_UNITS;
    use boards::{Arrival, BoardSet};
    use proptest::prelude::*;

    fn at(micros: i64) -> Reached {
        Reached::at(EventTime::from_micros(micros).unwrap())
    }

    fn plain() -> Board {
        BoardSet::default().default_board().clone()
    }

    fn board(rules: &str) -> Board {
        BoardSet::parse(&format!("[[board]]\nname = \"b\"\n{rules}")).unwrap().default_board().clone()
    }

    /// Of events that are worth so much and happened then; each is one place behind in the log.
    fn tally_on(board: &Board, events: &[(i64, i64)]) -> Tally {
        let changes = events.iter().zip(0..).map(|((units, micros), offset)| {
            let created_at = EventTime::from_micros(*micros).unwrap();
            board.change(*units, created_at, Arrival { at: created_at, partition: 0, offset })
        });
        let mut tally: Option<Tally> = None;
        for change in changes {
            match &mut tally {
                Some(tally) => tally.add(change),
                None => tally = Some(change.into()),
            }
        }
        tally.unwrap()
    }

    fn tally(events: &[(i64, i64)]) -> Tally {
        tally_on(&plain(), events)
    }

    fn judge(tally: &Tally, stored: f64) -> Standing {
        tally.judge(&plain(), stored, None)
    }

    #[test]
    fn a_tally_is_small() {
        assert_eq!(size_of::<Tally>(), 32);
    }

    #[test]
    fn a_double_that_is_off_is_told_by_what_is_off() {
        let tally = tally(&[(10, 1_000_000), (-3, 5_000_000), (0, 9_000_000)]);
        let right = sorted_set_score(7, at(5_000_000));
        assert_eq!(judge(&tally, right), Standing::Exact);
        assert_eq!(judge(&tally, right + 1.0), Standing::WrongTotal);
        assert_eq!(judge(&tally, sorted_set_score(7, at(5_125_000))), Standing::WrongReach);
        assert_eq!(judge(&tally, sorted_set_score(7, at(4_875_000))), Standing::WrongReach);
        assert_eq!(judge(&tally, f64::NAN), Standing::WrongTotal);
        assert_eq!(judge(&tally, f64::INFINITY), Standing::WrongTotal);
    }

    #[test]
    fn best_and_last_are_exact_and_a_last_score_is_of_its_event() {
        for order in ["desc", "asc"] {
            let board = board(&format!("aggregate = \"best\"\norder = \"{order}\""));
            let tally = tally_on(&board, &[(5, 2_000_000), (5, 1_000_000), (5, 3_000_000)]);
            let stands = |total, micros| tally.judge(&board, board.encode(total, at(micros)), None);
            assert_eq!(stands(5, 1_000_000), Standing::Exact);
            assert_eq!(stands(5, 2_000_000), Standing::WrongReach);
            assert_eq!(stands(6, 1_000_000), Standing::WrongTotal);
            assert_eq!(stands(4, 1_000_000), Standing::WrongTotal);

            let board = self::board(&format!("aggregate = \"last\"\norder = \"{order}\""));
            let tally = tally_on(&board, &[(5, 1_000_000), (3, 2_000_000), (4, 2_000_000), (9, 1)]);
            let (score, newest) = (board.encode(4, at(2_000_000)), tally.recency());
            assert_eq!(newest.unwrap().offset, 2);
            assert_eq!(tally.judge(&board, score, newest), Standing::Exact);
            assert_eq!(tally.judge(&board, board.encode(3, at(2_000_000)), newest), Standing::WrongTotal);
            assert_eq!(tally.judge(&board, board.encode(4, at(1_000_000)), newest), Standing::WrongReach);
            let older = newest.map(|newest| Recency { offset: 1, ..newest });
            for newest in [older, None] {
                assert_eq!(tally.judge(&board, score, newest), Standing::WrongNewest);
            }
        }
    }

    #[test]
    fn who_stands_under_two_names_is_one_player() {
        let (first, second) = ([(10, 1_000_000)], [(-3, 5_000_000)]);
        for rules in
            ["", "order = \"asc\"", "aggregate = \"best\"", "aggregate = \"last\"", "aggregate = \"count\""]
        {
            let board = board(rules);
            let row = |tally: &Tally| AuditedRow {
                score: Some(tally.sorted_set_score(&board)),
                newest: tally.recency(),
            };
            // The second event is of another place in the log.
            let both = tally_on(&board, &[first[0], second[0]]);
            let before = tally_on(&board, &first);
            let mut after = tally_on(&board, &second);
            if let Tally::Last { offset, .. } = &mut after {
                *offset = 1;
            }
            for (one, other) in [(row(&before), row(&after)), (row(&after), row(&before))] {
                let stands = joined(&board, one, other);
                assert_eq!(
                    both.judge(&board, stands.score.unwrap(), stands.newest),
                    Standing::Exact,
                    "{rules}"
                );
            }
            let none = AuditedRow::default();
            assert_eq!(joined(&board, none, row(&before)), row(&before));
            assert_eq!(joined(&board, row(&before), none), row(&before));
        }
    }

    #[test]
    fn only_what_had_a_large_total_may_have_a_coarse_time() {
        let time = 1_000_125_000;
        let coarse = sorted_set_score(100_000, at(time).cut_for(1 << 20));
        assert_eq!(judge(&tally(&[(100_000, time)]), coarse), Standing::WrongReach);
        let down = tally(&[(1 << 20, 1), (100_000 - (1 << 20), time)]);
        assert_eq!(judge(&down, coarse), Standing::CoarserReach);
    }

    #[test]
    fn beyond_the_limit_of_totals_nothing_is_said_of_those_who_also_lost() {
        let most = MAX_TOTAL_UNITS;
        let up = tally(&[(most, 1), (5, 1)]);
        assert_eq!(judge(&up, sorted_set_score(most, at(1))), Standing::Exact);
        assert_eq!(judge(&up, sorted_set_score(most - 1, at(1))), Standing::WrongTotal);
        let both = tally(&[(most, 1), (5, 1), (-5, 1)]);
        assert_eq!(judge(&both, sorted_set_score(most - 5, at(1))), Standing::BeyondLimit);
        let board = board("max_score = 9\nmax_total = 10");
        let up = tally_on(&board, &[(9, 1), (9, 1)]);
        assert_eq!(up.judge(&board, board.encode(10, at(1)), None), Standing::Exact);
    }

    proptest! {
        /// As the board does it: a total and a time cut for it, after every event.
        #[test]
        fn whatever_a_board_can_be_left_with_is_accepted(
            events in proptest::collection::vec((-400_000..400_000i64, 0..400_000_000_000i64), 1..12),
            batch in 1..4usize,
        ) {
            let (mut total, mut reached) = (0, Reached::NEVER);
            for chunk in events.chunks(batch) {
                for (units, micros) in chunk {
                    total += units;
                    if *units != 0 {
                        reached = reached.max(at(*micros));
                    }
                }
                reached = reached.cut_for(total);
            }
            let standing = judge(&tally(&events), sorted_set_score(total, reached));
            prop_assert!(matches!(standing, Standing::Exact | Standing::CoarserReach), "{standing:?}");
            let never_down = events.iter().all(|(units, _)| *units >= 0);
            prop_assert!(!never_down || standing == Standing::Exact, "{standing:?}");
        }
    }
}
