//! Which event brought a player to which total, of those who were on a screen. Pure.
//!
//! A player's events stand in one partition and are applied in its order, so a total on a screen says
//! which of them it counts: exactly those up to the one that brought it there. That holds while totals
//! only rise; players whose totals fell, or whose events stand in several partitions, are left out.

use boards::Oracle;
use boards::rules::{Aggregate, Board};
use std::collections::HashMap;

/// That a point is not of an event of ours.
const NOT_OURS: u32 = u32::MAX;

/// An event that brought a player to another total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    total: i64,
    /// Its number, or [`NOT_OURS`].
    event: u32,
}

/// The way of one player in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// The total before the run; `None` who was not on the board.
    baseline: Option<i64>,
    points: Vec<Point>,
    partition: Option<i32>,
    in_several_partitions: bool,
    fell: bool,
}

/// How far a total is on a player's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The player had it after so many points.
    Points(u32),
    /// It is of before the run.
    Before,
    /// The player never had it.
    Never,
}

impl Track {
    /// Whether a total says which events it counts.
    #[must_use]
    pub fn can_tell(&self) -> bool {
        !self.fell && !self.in_several_partitions
    }

    /// How far `total` is.
    #[must_use]
    pub fn reach(&self, total: i64) -> Reach {
        let counted = self.points.partition_point(|point| point.total <= total);
        let of_counted = match counted.checked_sub(1) {
            Some(last) => Some(self.points[last].total),
            None => self.baseline,
        };
        let counted = u32::try_from(counted).expect("events are few enough to be judged");
        match of_counted {
            Some(exact) if exact == total => Reach::Points(counted),
            _ if counted == 0 && self.baseline.is_some_and(|baseline| total < baseline) => Reach::Before,
            _ => Reach::Never,
        }
    }

    /// The events of ours from point `from` up to, not including, `to`.
    pub fn events(&self, from: u32, to: u32) -> impl Iterator<Item = u32> {
        let points = self.points.get(from as usize..to as usize).unwrap_or_default();
        points.iter().map(|point| point.event).filter(|event| *event != NOT_OURS)
    }

    /// The first event of ours from point `from` on.
    #[must_use]
    pub fn next_event(&self, from: u32) -> Option<u32> {
        self.events(from, u32::try_from(self.points.len()).unwrap_or(u32::MAX)).next()
    }
}

/// The ways of all players who were on a screen, in the windows that were.
#[derive(Clone, Debug)]
pub struct Tracks {
    windows: Vec<Box<str>>,
    players: HashMap<Box<str>, usize>,
    /// By player, then by window.
    tracks: Vec<Track>,
}

/// A player's totals, in each window.
pub(crate) struct Totals {
    player: usize,
    totals: Vec<Option<i64>>,
}

impl Tracks {
    /// The ways of `players` in the windows of these ids, of which nothing is known yet.
    #[must_use]
    pub fn new<'p, 'w>(
        players: impl Iterator<Item = &'p str>,
        windows: impl Iterator<Item = &'w str>,
    ) -> Self {
        let windows: Vec<Box<str>> = windows.map(Into::into).collect();
        let players: HashMap<Box<str>, usize> = players.map(Into::into).zip(0..).collect();
        let tracks = vec![Track::default(); windows.len() * players.len()];
        Self { windows, players, tracks }
    }

    /// Whether totals on such a board say which events they count.
    #[must_use]
    pub fn can_be_kept(board: &Board) -> bool {
        matches!(board.aggregate, Aggregate::Sum | Aggregate::Count)
    }

    /// The way of a player in a window; `None` when it is not kept.
    #[must_use]
    pub fn track(&self, player: &str, window: &str) -> Option<(usize, &Track)> {
        let window = self.windows.iter().position(|id| **id == *window)?;
        let index = self.players.get(player)? * self.windows.len() + window;
        Some((index, &self.tracks[index]))
    }

    /// The ways themselves, by their index.
    #[must_use]
    pub fn all(&self) -> &[Track] {
        &self.tracks
    }

    /// Of how many players the totals in some window do not tell which events they count.
    #[must_use]
    pub fn players_who_cannot_tell(&self) -> u64 {
        let of_each = self.tracks.chunks(self.windows.len().max(1));
        of_each.filter(|tracks| tracks.iter().any(|track| !track.can_tell())).count() as u64
    }

    /// Where the player stands now in the default board's windows; `None` of those who are not
    /// tracked.
    pub(crate) fn totals(&self, oracle: &Oracle, player: &str) -> Option<Totals> {
        let index = *self.players.get(player)?;
        let board = &oracle.boards().default_board().name;
        let total = |window: &str| oracle.view(board, window)?.total(player);
        let totals = self.windows.iter().map(|window| total(window)).collect();
        Some(Totals { player: index, totals })
    }

    /// A record of the partition has brought a player from some totals to others; `event` is its
    /// number, if it is ours.
    pub(crate) fn took(
        &mut self,
        before: &Totals,
        after: &Totals,
        partition: i32,
        in_run: bool,
        event: Option<u32>,
    ) {
        let first = before.player * self.windows.len();
        for (window, (before, after)) in before.totals.iter().zip(&after.totals).enumerate() {
            let track = &mut self.tracks[first + window];
            track.in_several_partitions |= track.partition.is_some_and(|other| other != partition);
            track.partition = Some(partition);
            if !in_run {
                track.baseline = *after;
            } else if let Some(total) = *after
                && before != after
            {
                track.fell |= before.is_some_and(|before| total < before);
                track.points.push(Point { total, event: event.unwrap_or(NOT_OURS) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::tests::{at, event, ledger, record};
    use crate::truth::{Sent, Truth};
    use boards::BoardSet;
    use pipeline::producer::Place;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The ways of `a` and `b` after this log, of which the first record is of before the run, and
    /// all others are ours.
    fn tracks(log: &[(Place, String)]) -> Tracks {
        let ours: Vec<_> = log[1..].iter().map(|(place, text)| (text.as_str(), Some(*place))).collect();
        let ledger = ledger(&ours);
        let from = BTreeMap::from([(0, 1), (1, 0)]);
        let sent = Sent { ledger: &ledger, count: ours.len() as u64, from: &from };
        let tracks = Tracks::new(["a", "b"].into_iter(), ["all"].into_iter());
        let mut truth = Truth::new(BoardSet::default(), sent, tracks, 1);
        log.iter().for_each(|(place, text)| truth.take(&record(*place, text)).unwrap());
        truth.tracks().clone()
    }

    #[test]
    fn totals_say_which_events_they_count() {
        let log = [
            (at(0, 0), event("a", 10, "")),
            (at(0, 1), event("a", 5, "")),
            (at(1, 0), event("b", 7, "")),
            (at(0, 2), event("a", 0, "")),
            (at(0, 3), event("a", 2, r#","event_id":"x""#)),
            (at(0, 4), event("a", 2, r#","event_id":"x""#)),
            (at(0, 5), event("a", 1, "")),
        ];
        let tracks = tracks(&log);
        let (_, a) = tracks.track("a", "all").unwrap();
        let reaches = [9, 10, 11, 15, 17, 18, 19].map(|total| a.reach(total));
        use Reach::{Before, Never, Points};
        assert_eq!(reaches, [Before, Points(0), Never, Points(1), Points(2), Points(3), Never]);
        // What changes nothing, and an id that comes again, bring nobody anywhere.
        assert_eq!(a.events(0, 3).collect::<Vec<_>>(), [0, 3, 5]);
        assert_eq!((a.next_event(1), a.next_event(3)), (Some(3), None));
        let (_, b) = tracks.track("b", "all").unwrap();
        assert_eq!([b.reach(7), b.reach(0)], [Points(1), Never]);
        assert!(a.can_tell() && b.can_tell());
        assert!(tracks.track("c", "all").is_none() && tracks.track("a", "2026-11-21").is_none());
    }

    #[test]
    fn players_whose_totals_cannot_tell_are_left_out() {
        let fell =
            [(at(0, 0), event("a", 1, "")), (at(0, 1), event("a", 5, "")), (at(0, 2), event("a", -1, ""))];
        assert!(!tracks(&fell).track("a", "all").unwrap().1.can_tell());
        let apart = [(at(0, 0), event("a", 1, "")), (at(1, 0), event("a", 5, ""))];
        assert!(!tracks(&apart).track("a", "all").unwrap().1.can_tell());
    }

    proptest! {
        #[test]
        fn each_total_counts_exactly_the_events_that_make_it(scores in proptest::collection::vec(1i64..9, 1..40)) {
            let mut log = vec![(at(0, 0), event("a", 3, ""))];
            log.extend(scores.iter().zip(1..).map(|(score, offset)| (at(0, offset), event("a", *score, ""))));
            let tracks = tracks(&log);
            let (_, track) = tracks.track("a", "all").unwrap();
            let mut total = 3;
            for (counted, score) in scores.iter().enumerate() {
                prop_assert_eq!(track.reach(total), Reach::Points(u32::try_from(counted).unwrap()));
                for between in 1..*score {
                    prop_assert_eq!(track.reach(total + between), Reach::Never);
                }
                total += score;
            }
            let all = u32::try_from(scores.len()).unwrap();
            prop_assert_eq!(track.events(0, all).collect::<Vec<_>>(), (0..all).collect::<Vec<_>>());
        }
    }
}
