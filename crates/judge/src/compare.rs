//! What board and archive must say, against what they say. Pure.

use crate::findings::{Findings, Part};
use crate::report::count;
use crate::sample::Tally;
use crate::sightings::{Seen, Sightings};
use archive_store::audit::{PlayerTally, RowCounts};
use boards::{Board, RankMode, Ranking, Standing};
use contracts::{PlayerId, Score};
use serde::Deserialize;
use service::grouped;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The greatest dense rank that the API must know on a board that does not keep them.
pub const DENSE_RANKS_KNOWN: u64 = 200;

/// What the API answered about a board.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// These rows.
    Rows(Rows),
    /// That it does not know ranks so low: `rank-unknown`.
    RankUnknown,
    /// That the player is not on the board.
    UnknownPlayer,
}

/// Rows of the board, as the API has them. Members that are not compared are left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Rows {
    /// The window's id.
    pub window: String,
    /// How many players there are.
    pub players: u64,
    /// Whether the board is being rebuilt.
    #[serde(default)]
    pub rebuilding: bool,
    /// The rows.
    pub entries: Vec<Entry>,
    /// Who is not on the board.
    #[serde(default)]
    pub not_found: Vec<String>,
}

/// A player's row.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    /// The place, counted as was asked.
    pub rank: u64,
    /// The total.
    pub score: Score,
    /// The player.
    pub user_id: String,
    /// Whether this is the player whose surroundings were asked for.
    #[serde(default)]
    pub me: bool,
}

/// What the board must say.
pub struct Expected<'t> {
    /// By whose rules.
    pub board: &'t Board,
    /// The window's id.
    pub window: &'t str,
    /// Everybody in their places.
    pub ranking: &'t Ranking,
}

impl Expected<'_> {
    /// Whether the API must know this rank.
    #[must_use]
    pub fn must_be_known(&self, mode: RankMode, rank: u64) -> bool {
        mode != RankMode::Dense || self.board.dense_ranks || rank <= DENSE_RANKS_KNOWN
    }

    /// Holds the first `limit` rows from the top against the API's.
    pub fn check_top(&self, mode: RankMode, limit: usize, answer: &Answer, findings: &mut Findings) {
        let of = format!("top by {} rank", mode.as_str());
        let Some(rows) = self.rows(&of, answer, findings) else { return };
        let players = self.ranking.players() as u64;
        // It is the same number in every answer, so it is compared once.
        if mode == RankMode::Ordinal && rows.players != players {
            findings.add(Part::Board, "all of it", count(players, "player"), grouped(rows.players));
        }
        self.check_rows(&of, &self.ranking.page(mode, 0, limit), rows, findings);
    }

    /// Holds the rows of players who were asked for by id against the API's.
    pub fn check_players(&self, mode: RankMode, asked: &[&str], answer: &Answer, findings: &mut Findings) {
        let places = self.ranking.by_ids(mode, asked);
        let unknown = |place: &Standing| !self.must_be_known(mode, place.rank);
        if *answer == Answer::RankUnknown && places.iter().flatten().any(unknown) {
            return;
        }
        let of = format!("players by {} rank", mode.as_str());
        let Some(rows) = self.rows(&of, answer, findings) else { return };
        let found: HashMap<&str, &Entry> =
            rows.entries.iter().map(|entry| (entry.user_id.as_str(), entry)).collect();
        let not_found: HashSet<&str> = rows.not_found.iter().map(String::as_str).collect();
        for (player, place) in asked.iter().zip(&places) {
            let of = format!("player {player} by {} rank", mode.as_str());
            let expected = self.words(place.as_ref());
            match (place, found.get(player), not_found.contains(player)) {
                (Some(place), Some(entry), false) if self.is(place, entry) => {}
                (None, None, true) => {}
                (_, Some(entry), _) => findings.add(Part::Board, of, expected, words(entry)),
                (_, None, true) => findings.add(Part::Board, of, expected, "not on the board"),
                (_, None, false) => findings.add(Part::Board, of, expected, "no answer about this player"),
            }
        }
    }

    /// Holds the `size` rows around a player against the API's.
    pub fn check_around(
        &self,
        mode: RankMode,
        player: &str,
        size: usize,
        answer: &Answer,
        findings: &mut Findings,
    ) {
        let of = format!("around player {player} by {} rank", mode.as_str());
        let Some(expected) = self.ranking.around(mode, player, size) else {
            if *answer != Answer::UnknownPlayer {
                findings.add(Part::Board, of, "not on the board", "an answer");
            }
            return;
        };
        let first = expected.first().map_or(1, |row| row.rank);
        if *answer == Answer::RankUnknown && !self.must_be_known(mode, first) {
            return;
        }
        let Some(rows) = self.rows(&of, answer, findings) else { return };
        self.check_rows(&of, &expected, rows, findings);
        let marked: Vec<&str> =
            rows.entries.iter().filter(|entry| entry.me).map(|entry| entry.user_id.as_str()).collect();
        if marked != [player] {
            findings.add(Part::Board, of, format_args!("the own row marked, {player}"), marked.join(", "));
        }
    }

    /// The rows of an answer, if it is one of the board as it must stand now.
    fn rows<'a>(&self, of: &str, answer: &'a Answer, findings: &mut Findings) -> Option<&'a Rows> {
        let rows = match answer {
            Answer::Rows(rows) => rows,
            Answer::RankUnknown => {
                findings.add(Part::Board, of, "ranks", "that they are not known");
                return None;
            }
            Answer::UnknownPlayer => {
                findings.add(Part::Board, of, "rows", "that the player is not on the board");
                return None;
            }
        };
        if rows.rebuilding {
            findings.add(Part::Board, of, "the board", "a board that is being rebuilt");
            return None;
        }
        if rows.window != self.window {
            findings.add(Part::Board, of, format_args!("window {}", self.window), &rows.window);
            return None;
        }
        Some(rows)
    }

    fn check_rows(&self, of: &str, expected: &[Standing], rows: &Rows, findings: &mut Findings) {
        for (index, row) in expected.iter().enumerate() {
            match rows.entries.get(index) {
                Some(entry) if self.is(row, entry) => {}
                found => {
                    let found = found.map_or_else(|| "no row".to_owned(), words);
                    let of = format_args!("{of}, row {}", index + 1);
                    findings.add(Part::Board, of, self.words(Some(row)), found);
                }
            }
        }
        for entry in rows.entries.iter().skip(expected.len()) {
            findings.add(Part::Board, of, format_args!("{} rows", expected.len()), words(entry));
        }
    }

    fn is(&self, place: &Standing, entry: &Entry) -> bool {
        (place.rank, place.player.as_str(), self.board.score(place.total))
            == (entry.rank, entry.user_id.as_str(), entry.score)
    }

    fn words(&self, place: Option<&Standing>) -> String {
        match place {
            Some(Standing { rank, player, total }) => {
                format!("player {player} at rank {rank} with {}", self.board.score(*total))
            }
            None => "not on the board".to_owned(),
        }
    }

    /// Holds the newest frame of every viewer against the board's top.
    pub fn check_viewers(&self, sightings: &Sightings, findings: &mut Findings) {
        let top = self.ranking.page(RankMode::Ordinal, 0, self.board.top);
        for (viewer, seen) in sightings.viewers().iter().enumerate() {
            self.check_viewer(viewer, seen, &top, sightings, findings);
        }
    }

    fn check_viewer(
        &self,
        viewer: usize,
        seen: &Seen,
        top: &[Standing],
        sightings: &Sightings,
        findings: &mut Findings,
    ) {
        let of = format!("viewer {viewer}");
        if !seen.connected {
            let why = seen.fault.as_deref().unwrap_or("not connected");
            findings.add(Part::Viewers, &of, "a connection", why);
        }
        let Some(frame) = seen.newest.map(|newest| sightings.frame(newest)) else {
            if !top.is_empty() {
                findings.add(Part::Viewers, of, "the board's top", "no frame at all");
            }
            return;
        };
        if frame.rebuilding {
            findings.add(Part::Viewers, &of, "the board", "a board that is being rebuilt");
        }
        if *frame.window != *self.window {
            findings.add(Part::Viewers, of, format_args!("window {}", self.window), &frame.window);
            return;
        }
        let rows: Vec<(&str, i64)> =
            frame.rows.iter().map(|(player, total)| (sightings.player(*player), *total)).collect();
        for index in 0..top.len().max(rows.len()) {
            let (expected, shown) = (top.get(index), rows.get(index));
            if expected.map(|row| (row.player.as_str(), row.total)).as_ref() == shown {
                continue;
            }
            let shown = shown.map_or_else(
                || "no row".to_owned(),
                |(player, total)| {
                    format!("player {player} at rank {} with {}", index + 1, self.board.score(*total))
                },
            );
            let version = frame.version;
            let of = format_args!("{of} after its last frame ({}.{})", version.epoch, version.version);
            findings.add(Part::Viewers, of, self.words(expected), shown);
            // All that is below follows from it.
            return;
        }
    }
}

fn words(entry: &Entry) -> String {
    format!("player {} at rank {} with {}", entry.user_id, entry.rank, entry.score)
}

/// Holds the archive against the log: of each partition the number of rows, of the drawn players the
/// number of events and the sum of their scores.
pub fn check_archive(
    log_rows: &BTreeMap<i32, u64>,
    archived: &BTreeMap<i32, RowCounts>,
    sample: &[(&PlayerId, Tally)],
    tallies: &HashMap<PlayerId, PlayerTally>,
    findings: &mut Findings,
) {
    for (partition, records) in log_rows {
        let RowCounts { events, refused } = archived.get(partition).copied().unwrap_or_default();
        if events + refused != *records {
            let found = format!("{} and {}", count(events, "event"), count(refused, "refused record"));
            findings.add(Part::Archive, format_args!("partition {partition}"), count(*records, "row"), found);
        }
    }
    for (player, expected) in sample {
        let found = tallies.get(*player).copied().unwrap_or_default();
        let found = Tally { events: found.events, sum_units: found.sum_units };
        if found != *expected {
            let of = format_args!("player {player}");
            findings.add(Part::Archive, of, tally_words(expected), tally_words(&found));
        }
    }
}

fn tally_words(tally: &Tally) -> String {
    let units = tally.sum_units;
    let (whole, rest) = (units.unsigned_abs() / 1_000_000_000, units.unsigned_abs() % 1_000_000_000);
    let sign = if units < 0 { "-" } else { "" };
    let decimals = format!(".{rest:09}");
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    format!("{} with {sign}{whole}{decimals} in all", count(tally.events, "event"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sightings::tests::text;
    use boards::{Arrival, BoardSet, Standings};
    use contracts::{EventTime, ScoreEvent};

    /// A board on which `p0` has n points, `p1` one less, and so on; each total twice.
    fn ranking(players: i64) -> Ranking {
        let at = EventTime::from_micros(0).unwrap();
        let mut standings = Standings::default();
        for number in 0..players {
            let payload = format!(r#"{{"score":{},"user_id":"p{number}"}}"#, players - number / 2);
            let event = ScoreEvent::decode(Some(payload.as_bytes()), at).unwrap();
            standings.apply(&event, Arrival { at, partition: 0, offset: 0 }).unwrap();
        }
        standings.ranking()
    }

    fn entry(standing: &Standing) -> Entry {
        let user_id = standing.player.to_string();
        Entry { rank: standing.rank, score: Score::new(standing.total, 0), user_id, me: false }
    }

    fn answer(rows: &[Standing], players: u64) -> Rows {
        let entries = rows.iter().map(entry).collect();
        Rows { window: "all".into(), players, entries, ..Rows::default() }
    }

    fn found(check: impl FnOnce(&Expected<'_>, &mut Findings), ranking: &Ranking) -> Vec<String> {
        let boards = BoardSet::default();
        let expected = Expected { board: boards.default_board(), window: "all", ranking };
        let mut findings = Findings::default();
        check(&expected, &mut findings);
        findings.first().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_right_answer_has_no_difference_and_each_wrong_one_is_named() {
        let ranking = ranking(6);
        let right = || answer(&ranking.page(RankMode::Competition, 0, 4), 6);
        let top = |rows: Rows| {
            let check = |expected: &Expected<'_>, findings: &mut Findings| {
                expected.check_top(RankMode::Competition, 4, &Answer::Rows(rows), findings);
            };
            found(check, &ranking)
        };
        assert_eq!(top(right()), Vec::<String>::new());
        let mut wrong = right();
        wrong.entries[2].score = Score::new(7, 0);
        let third = "board: top by competition rank, row 3: expected player p3 at rank 3 with 5, found player p3 at rank 3 with 7";
        assert_eq!(top(wrong), [third]);
        let mut wrong = right();
        wrong.entries.pop();
        assert_eq!(
            top(wrong),
            ["board: top by competition rank, row 4: expected player p2 at rank 3 with 5, found no row"]
        );
        let count = Rows { players: 5, ..answer(&ranking.page(RankMode::Ordinal, 0, 4), 6) };
        let check = |expected: &Expected<'_>, findings: &mut Findings| {
            expected.check_top(RankMode::Ordinal, 4, &Answer::Rows(count), findings);
        };
        assert_eq!(found(check, &ranking), ["board: all of it: expected 6 players, found 5"]);
        let mut wrong = right();
        wrong.entries[0].rank = 2;
        assert_eq!(top(wrong).len(), 1);
        let mut wrong = right();
        wrong.entries.push(wrong.entries[0].clone());
        assert_eq!(
            top(wrong),
            ["board: top by competition rank: expected 4 rows, found player p1 at rank 1 with 6"]
        );
        let stale = Rows { rebuilding: true, ..right() };
        assert_eq!(top(stale).len(), 1);
        let other = Rows { window: "2026-11-21".into(), ..right() };
        assert_eq!(top(other), ["board: top by competition rank: expected window all, found 2026-11-21"]);
    }

    #[test]
    fn players_by_id_are_compared_one_by_one() {
        let ranking = ranking(6);
        let players = |mode, asked: &[&str], answer: Answer| {
            let check = |expected: &Expected<'_>, findings: &mut Findings| {
                expected.check_players(mode, asked, &answer, findings);
            };
            found(check, &ranking)
        };
        let asked = ["p4", "nobody", "p0"];
        let rows: Vec<Standing> = ranking.by_ids(RankMode::Dense, &asked).into_iter().flatten().collect();
        let right = Rows { not_found: vec!["nobody".into()], ..answer(&rows, 6) };
        assert_eq!(players(RankMode::Dense, &asked, Answer::Rows(right.clone())), Vec::<String>::new());
        let mut wrong = right.clone();
        wrong.entries.remove(0);
        wrong.not_found.clear();
        assert_eq!(
            players(RankMode::Dense, &asked, Answer::Rows(wrong)),
            [
                "board: player p4 by dense rank: expected player p4 at rank 3 with 4, found no answer about this player",
                "board: player nobody by dense rank: expected not on the board, found no answer about this player",
            ]
        );
        let mut wrong = right;
        wrong.not_found.push("p4".into());
        wrong.entries.remove(0);
        assert_eq!(
            players(RankMode::Dense, &asked, Answer::Rows(wrong)),
            ["board: player p4 by dense rank: expected player p4 at rank 3 with 4, found not on the board"]
        );
        let refused = players(RankMode::Dense, &asked, Answer::RankUnknown);
        assert_eq!(refused, ["board: players by dense rank: expected ranks, found that they are not known"]);
    }

    #[test]
    fn dense_ranks_may_be_unknown_only_beyond_the_limit() {
        let ranking = ranking(420);
        let ask = |mode, player: &str| {
            let check = |expected: &Expected<'_>, findings: &mut Findings| {
                expected.check_players(mode, &[player], &Answer::RankUnknown, findings);
                expected.check_around(mode, player, 1, &Answer::RankUnknown, findings);
            };
            found(check, &ranking).len()
        };
        // Two have each total: the players 398 and 399 are the 200th, 400 is the 201st.
        assert_eq!([ask(RankMode::Dense, "p399"), ask(RankMode::Dense, "p400")], [2, 0]);
        assert_eq!(ask(RankMode::Competition, "p419"), 2);
    }

    #[test]
    fn rows_around_a_player_mark_the_own_one() {
        let ranking = ranking(9);
        let around = |answer: Answer, player: &str| {
            let check = |expected: &Expected<'_>, findings: &mut Findings| {
                expected.check_around(RankMode::Ordinal, player, 3, &answer, findings);
            };
            found(check, &ranking)
        };
        let mut right = answer(&ranking.around(RankMode::Ordinal, "p5", 3).unwrap(), 9);
        let own = right.entries.iter().position(|entry| entry.user_id == "p5").unwrap();
        right.entries[own].me = true;
        assert_eq!(around(Answer::Rows(right.clone()), "p5"), Vec::<String>::new());
        right.entries[own].me = false;
        assert_eq!(around(Answer::Rows(right), "p5").len(), 1);
        assert_eq!(around(Answer::UnknownPlayer, "nobody"), Vec::<String>::new());
        assert_eq!(around(Answer::UnknownPlayer, "p5").len(), 1);
    }

    #[test]
    fn a_viewer_whose_last_frame_is_not_the_last_state_is_named() {
        let ranking = ranking(3);
        let viewers = |frames: &[(usize, &[(&str, &str)])], connected: &[usize]| {
            let mut sightings = Sightings::new(2, 0);
            for ((viewer, rows), version) in frames.iter().zip(1..) {
                sightings.see(*viewer, 0, &text(version, rows));
            }
            connected.iter().for_each(|viewer| sightings.connected(*viewer));
            found(|expected, findings| expected.check_viewers(&sightings, findings), &ranking)
        };
        let (old, last): (&[_], &[_]) =
            (&[("p0", "3"), ("p1", "2")], &[("p1", "3"), ("p0", "3"), ("p2", "2")]);
        assert_eq!(viewers(&[(0, old), (0, last), (1, last)], &[0, 1]), Vec::<String>::new());
        assert_eq!(
            viewers(&[(0, last), (1, last), (1, old)], &[0, 1]),
            [
                "viewers: viewer 1 after its last frame (1.3): expected player p1 at rank 1 with 3, found player p0 at rank 1 with 3"
            ]
        );
        assert_eq!(
            viewers(&[(0, last)], &[0]),
            [
                "viewers: viewer 1: expected a connection, found not connected",
                "viewers: viewer 1: expected the board's top, found no frame at all",
            ]
        );
    }

    #[test]
    fn an_archive_that_lacks_or_alters_rows_is_named() {
        let player = PlayerId::new("a").unwrap();
        let expected = Tally { events: 2, sum_units: 5_500_000_000 };
        let check = |refused: u64, tally: Option<PlayerTally>| {
            let archived = BTreeMap::from([(0, RowCounts { events: 7, refused })]);
            let tallies = tally.map(|tally| (player.clone(), tally)).into_iter().collect();
            let mut findings = Findings::default();
            let log_rows = BTreeMap::from([(0, 8)]);
            check_archive(&log_rows, &archived, &[(&player, expected)], &tallies, &mut findings);
            findings.first().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let tally = |events, sum_units| Some(PlayerTally { events, sum_units });
        assert_eq!(check(1, tally(2, 5_500_000_000)), Vec::<String>::new());
        assert_eq!(
            check(0, tally(2, 5_500_000_001)),
            [
                "archive: partition 0: expected 8 rows, found 7 events and 0 refused records",
                "archive: player a: expected 2 events with 5.5 in all, found 2 events with 5.500000001 in all",
            ]
        );
        assert_eq!(
            check(1, None),
            ["archive: player a: expected 2 events with 5.5 in all, found 0 events with 0 in all"]
        );
    }
}
