//! Which window is asked about.

use super::boards::{Named, Subject};
use crate::problem::Problem;
use boards::calendar::Period;
use boards::{Board, Window, WindowKind};
use contracts::EventTime;
use std::sync::Arc;

/// What stands before a period's name for the one before the present.
const PREVIOUS: &str = "previous-";

impl Named<'_> {
    /// What the board ranks in the window that is called so at this time; without a name, in its
    /// usual one.
    pub(super) fn in_window(&self, name: Option<&str>, now: EventTime) -> Result<Subject, Problem> {
        let window = match name {
            None => Some(self.rules.usual_window(now).0),
            Some(name) => window_of(self.rules, name, now).map(Arc::new),
        };
        window.map(|window| self.within(window)).ok_or_else(|| unknown(self.rules))
    }
}

/// The window of that id, or the one that is meant by that word now.
fn window_of(board: &Board, name: &str, now: EventTime) -> Option<Window> {
    let of_word = || {
        let (word, previous) = name.strip_prefix(PREVIOUS).map_or((name, false), |word| (word, true));
        let period = Period::named(word).filter(|period| board.periods.contains(period))?;
        let present = board.calendar.window_at(period, now);
        if previous { board.previous(&present) } else { Some(present) }
    };
    board.window_of_id(name).or_else(of_word)
}

fn unknown(board: &Board) -> Problem {
    let kinds = kinds(board).into_iter().filter(|kind| *kind != WindowKind::Season);
    let mut known: Vec<&str> = kinds.map(WindowKind::as_str).collect();
    known.extend((!board.seasons.is_empty()).then_some("a season's name"));
    known.extend((!board.periods.is_empty()).then_some("the id of a window"));
    Problem::of_field("window", format_args!("must be one that the board keeps: {}", known.join(", ")))
}

/// The kinds of window that a board keeps.
pub(super) fn kinds(board: &Board) -> Vec<WindowKind> {
    let all = board.all_time.then_some(WindowKind::All);
    let periods = board.periods.iter().copied().map(WindowKind::Period);
    let seasons = (!board.seasons.is_empty()).then_some(WindowKind::Season);
    all.into_iter().chain(periods).chain(seasons).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::BoardSet;

    fn at(text: &str) -> EventTime {
        EventTime::parse_iso(text, "t").unwrap()
    }

    /// The id of the window that the first board of the file keeps under that name.
    fn id(rules: &str, name: Option<&str>, now: &str) -> Result<String, Problem> {
        let set = BoardSet::parse(&format!("[[board]]\nname = \"b\"\n{rules}")).unwrap();
        let named = Named { index: 0, value: None, rules: set.default_board() };
        named.in_window(name, at(now)).map(|subject| subject.window().to_owned())
    }

    const NOW: &str = "2026-11-21T12:30:00Z";
    const SEASONS: &str = "windows = []\n\
        [[board.season]]\nname = \"spring\"\nstart = 2026-03-01\nend = 2026-06-01\n\
        [[board.season]]\nname = \"cup\"\nstart = 2026-04-01\nend = 2026-05-01\n";

    #[test]
    fn words_mean_the_present_window_or_the_one_before() {
        let all = "windows = [\"all\", \"hour\", \"day\", \"week\", \"month\"]";
        for (word, expected) in [
            ("all", "all"),
            ("hour", "2026-11-21T12+0000"),
            ("day", "2026-11-21"),
            ("week", "2026-W47"),
            ("month", "2026-11"),
            ("previous-hour", "2026-11-21T11+0000"),
            ("previous-day", "2026-11-20"),
            ("previous-week", "2026-W46"),
            ("previous-month", "2026-10"),
            ("2024-02-29", "2024-02-29"),
            ("2024-02-29T00 0000", "2024-02-29T00+0000"),
        ] {
            assert_eq!(id(all, Some(word), NOW).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn hour_that_comes_twice_is_two_windows_by_word_and_by_id() {
        let berlin = "windows = [\"hour\"]\ntimezone = \"Europe/Berlin\"";
        let first = (Some("hour"), "2026-10-25T00:10:00Z", "2026-10-25T02+0200");
        let second = (Some("hour"), "2026-10-25T01:10:00Z", "2026-10-25T02+0100");
        let before = (Some("previous-hour"), "2026-10-25T01:10:00Z", "2026-10-25T02+0200");
        for (name, now, expected) in [first, second, before] {
            assert_eq!(id(berlin, name, now).as_deref(), Ok(expected));
            assert_eq!(id(berlin, Some(expected), NOW).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn without_a_name_it_is_the_first_kind() {
        assert_eq!(id("windows = [\"day\", \"all\"]", None, NOW).as_deref(), Ok("all"));
        assert_eq!(id("windows = [\"month\", \"day\"]", None, NOW).as_deref(), Ok("2026-11-21"));
        for (now, season) in
            [("2026-01-01", "spring"), ("2026-04-15", "cup"), ("2026-05-02", "spring"), (NOW, "spring")]
        {
            assert_eq!(id(SEASONS, None, now).as_deref(), Ok(season), "{now}");
        }
    }

    #[test]
    fn what_the_board_does_not_keep_is_refused_by_name() {
        let days = "windows = [\"day\"]";
        for name in ["all", "hour", "2026-11", "2026-11-31", "previous-", "previous-all", "Day", "", "x"] {
            assert_eq!(id(days, Some(name), NOW).unwrap_err().field.as_deref(), Some("window"), "{name}");
        }
        assert_eq!(id(SEASONS, Some("cup"), NOW).as_deref(), Ok("cup"));
        let problem = id(SEASONS, Some("day"), NOW).unwrap_err();
        assert_eq!(problem.detail, "`window` must be one that the board keeps: a season's name");
    }
}
