//! A whole deployment in memory.

use crate::support::{arrival, boards, event, tagged, time, with_id};
use boards::oracle::Outcome;
use boards::{Arrival, BoardSet, Oracle, Standings};
use contracts::{EventTime, RefusalClass, Score, ScoreEvent};
use proptest::prelude::*;

fn top(oracle: &Oracle, board: &str, window: &str) -> Vec<(String, i64)> {
    let rows = oracle.view(board, window).map(|view| view.top(10)).unwrap_or_default();
    rows.into_iter().map(|row| (row.player.to_string(), row.total)).collect()
}

#[test]
fn every_view_has_what_counts_there() {
    let mut oracle = Oracle::new(boards(
        r#"
        [[board]]
        name = "points"
        windows = ["all", "day"]
        [[board]]
        name = "laps"
        match = { track = "{track}" }
        aggregate = "best"
        order = "asc"
        decimals = 3
        "#,
    ));
    let day = "2026-11-21T12:00:00Z";
    let lap = |player, score, track| tagged(event(player, score, day), &[("track", track)]);
    for event in
        [lap("a", "83", "monza"), lap("b", "82", "monza"), lap("a", "81.5", "monza"), lap("a", "90", "spa")]
    {
        oracle.apply(&event, arrival(day)).unwrap();
    }
    let late = event("b", "1", "2026-11-20T23:00:00Z");
    let outcome = oracle.apply(&late, arrival("2026-11-21T01:00:00Z")).unwrap();
    assert_eq!(outcome, Outcome { counted: 1, late: 1, ..Outcome::default() });

    assert_eq!(top(&oracle, "laps:monza", "all"), [("a".into(), 81_500), ("b".into(), 82_000)]);
    assert_eq!(top(&oracle, "laps:spa", "all"), [("a".into(), 90_000)]);
    assert_eq!(top(&oracle, "points", "2026-11-21"), [("a".into(), 173), ("b".into(), 82)]);
    assert_eq!(top(&oracle, "points", "all"), [("a".into(), 173), ("b".into(), 83)]);
    assert!(oracle.view("points", "2026-11-20").is_none());
    assert!(oracle.view("laps", "all").is_none());
    let views: Vec<String> = oracle.views().map(|(board, window, _)| format!("{board} {window}")).collect();
    assert_eq!(views, ["points 2026-11-21", "points all", "laps:monza all", "laps:spa all"]);
}

#[test]
fn id_counts_once_on_a_board_in_whatever_window_and_of_whatever_value() {
    let mut oracle = Oracle::new(boards(
        r#"
        [[board]]
        name = "days"
        windows = ["all", "day"]
        [[board]]
        name = "countries"
        match = { country = "{country}" }
        "#,
    ));
    let first = with_id(event("a", "5", "2026-11-20T23:59:59Z"), "x");
    let again = with_id(tagged(event("a", "7", "2026-11-21"), &[("country", "MT")]), "x");
    oracle.apply(&first, arrival("2026-11-21T00:00:01Z")).unwrap();
    let outcome = oracle.apply(&again, arrival("2026-11-21T00:00:02Z")).unwrap();
    assert_eq!(outcome, Outcome { counted: 1, repeated: 1, ..Outcome::default() }, "new to the countries");
    assert_eq!(top(&oracle, "days", "all"), [("a".into(), 5)]);
    assert!(oracle.view("days", "2026-11-21").is_none());
    let elsewhere = tagged(again, &[("country", "IT")]);
    let outcome = oracle.apply(&elsewhere, arrival("2026-11-21T00:00:03Z")).unwrap();
    assert_eq!(outcome, Outcome { repeated: 2, ..Outcome::default() });
    assert!(oracle.view("countries:IT", "all").is_none());
}

#[test]
fn board_per_value_has_room_for_so_many_values() {
    let mut oracle = Oracle::new(boards(
        "[[board]]\nname = \"a\"\n[[board]]\nname = \"b\"\nmatch = { t = \"{t}\" }\nmax_values = 2\n",
    ));
    let at = "2026-11-21";
    let mut outcome = |value: &str| {
        let event = with_id(tagged(event("a", "1", at), &[("t", value)]), value);
        oracle.apply(&event, arrival(at)).unwrap()
    };
    let counted = Outcome { counted: 2, ..Outcome::default() };
    assert_eq!((outcome("x"), outcome("y")), (counted, counted));
    assert_eq!(outcome("z"), Outcome { counted: 1, without_room: 1, ..Outcome::default() });
    assert_eq!(outcome("x"), Outcome { repeated: 2, ..Outcome::default() });
    assert!(oracle.view("b:y", "all").is_some() && oracle.view("b:z", "all").is_none());
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut oracle = Oracle::new(BoardSet::default());
    let refused = oracle.apply(&with_id(event("a", "0.5", "2026-11-21"), "x"), arrival("2026-11-21"));
    assert_eq!(refused.unwrap_err().class, RefusalClass::TooPrecise);
    assert_eq!(oracle.views().count(), 0);
    let outcome = oracle.apply(&with_id(event("a", "5", "2026-11-21"), "x"), arrival("2026-11-21")).unwrap();
    assert_eq!(outcome, Outcome { counted: 1, ..Outcome::default() }, "its id was not seen");
}

proptest! {
    /// A view is what one board alone makes of just the events that the view's definition has.
    #[test]
    fn views_are_what_the_rules_say(
        events in prop::collection::vec((0..3usize, -5..6i64, 0..96i64, 0..30i64, 0..3usize), 1..60),
    ) {
        let set = boards(
            "[[board]]\nname = \"a\"\nwindows = [\"all\", \"day\"]\nallowed_lateness = \"3h\"\n\
             [[board]]\nname = \"b\"\nmatch = { t = \"{t}\" }\naggregate = \"last\"\n",
        );
        let mut oracle = Oracle::new(set.clone());
        let hour = |hours: i64| time("2026-11-20").saturating_add_seconds(3600 * hours);
        let log: Vec<(ScoreEvent, Arrival)> = events
            .into_iter()
            .zip(0..)
            .map(|((player, score, created, delay, value), offset)| {
                let event = tagged(event(["x", "y", "z"][player], "0", "2026-11-20"), &[("t", ["1", "2", "3"][value])]);
                let event = ScoreEvent { score: Score::new(score, 0), created_at: hour(created), ..event };
                (event, Arrival { at: hour(created + delay), partition: 0, offset })
            })
            .collect();
        for (event, arrival) in &log {
            oracle.apply(event, *arrival).unwrap();
        }
        let alone = |board: usize, takes: &dyn Fn(&ScoreEvent, EventTime) -> bool| {
            let mut standings = Standings::of(&set[board]);
            for (event, arrival) in log.iter().filter(|(event, arrival)| takes(event, arrival.at)) {
                standings.apply(event, *arrival).unwrap();
            }
            standings.top(10)
        };
        let view = |board: &str, window: &str| oracle.view(board, window).map(|view| view.top(10)).unwrap_or_default();
        for (day, start) in [("2026-11-20", 0), ("2026-11-21", 24), ("2026-11-22", 48), ("2026-11-23", 72)] {
            let (start, end, closed) = (hour(start), hour(start + 24), hour(start + 27));
            let takes = |event: &ScoreEvent, arrived_at| {
                start <= event.created_at && event.created_at < end && arrived_at < closed
            };
            prop_assert_eq!(view("a", day), alone(0, &takes));
        }
        prop_assert_eq!(view("a", "all"), alone(0, &|_, _| true));
        for value in ["1", "2", "3"] {
            prop_assert_eq!(view(&format!("b:{value}"), "all"), alone(1, &|event, _| event.tags["t"] == value));
        }
    }
}
