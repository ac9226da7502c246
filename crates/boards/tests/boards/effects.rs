//! What one event does on every board and in every window.

use crate::support::{arrival, board, boards, event, tagged, time};
use boards::{BoardSet, Change, Effects, Reached, WindowCache};
use contracts::{EventTime, RefusalClass, ScoreEvent};
use proptest::prelude::*;

fn effects<'e>(boards: &BoardSet, event: &'e ScoreEvent, arrived_at: &str) -> Effects<'e> {
    boards.effects(event, arrival(arrived_at), &mut WindowCache::new(boards))
}

/// Board's name, window's id and value, of those where the event counts and where it is late.
fn places(boards: &BoardSet, effects: &Effects<'_>) -> (Vec<String>, Vec<String>) {
    let place = |touched: &boards::Touched<'_>| {
        format!("{} {}", boards[touched.board].name_of(touched.value), touched.window.id)
    };
    let counted = effects.counted.iter().map(|(touched, _)| place(touched)).collect();
    (counted, effects.late.iter().map(place).collect())
}

#[test]
fn event_counts_on_every_board_that_it_matches_in_every_window() {
    let set = boards(
        r#"
        [[board]]
        name = "all"
        windows = ["all", "day"]
        [[board]]
        name = "ranked"
        match = { ranked = "yes" }
        [[board]]
        name = "countries"
        match = { ranked = "yes", country = "{country}" }
        windows = ["week"]
        "#,
    );
    let at = "2026-11-21T12:00:00Z";
    for (tags, expected) in [
        (&[][..], &["all all", "all 2026-11-21"][..]),
        (&[("ranked", "no"), ("country", "MT")], &["all all", "all 2026-11-21"]),
        (&[("ranked", "yes")], &["all all", "all 2026-11-21", "ranked all"]),
        (
            &[("ranked", "yes"), ("country", "MT:x")],
            &["all all", "all 2026-11-21", "ranked all", "countries:MT:x 2026-W47"],
        ),
    ] {
        let event = tagged(event("a", "5", at), tags);
        assert_eq!(
            places(&set, &effects(&set, &event, at)),
            (expected.iter().map(|s| (*s).into()).collect(), vec![])
        );
    }
}

#[test]
fn window_takes_what_lies_in_it_and_arrives_in_time() {
    let set = boards("[[board]]\nname = \"b\"\nwindows = [\"all\", \"day\"]\nallowed_lateness = \"2h\"\n");
    for (created_at, arrived_at, day, is_late) in [
        ("2026-11-21T00:00:00Z", "2026-11-21T00:00:01Z", "2026-11-21", false),
        ("2026-11-20T23:59:59.999999Z", "2026-11-21T00:00:01Z", "2026-11-20", false),
        ("2026-11-21T23:59:59Z", "2026-11-22T01:59:59.999999Z", "2026-11-21", false),
        ("2026-11-21T23:59:59Z", "2026-11-22T02:00:00Z", "2026-11-21", true),
        ("2026-11-21T00:00:00Z", "2026-11-22T02:00:00Z", "2026-11-21", true),
        // A clock that is ahead.
        ("2026-11-22T00:05:00Z", "2026-11-21T23:59:00Z", "2026-11-22", false),
    ] {
        let event = event("a", "5", created_at);
        let (counted, late) = places(&set, &effects(&set, &event, arrived_at));
        let day = format!("b {day}");
        let expected =
            if is_late { (vec!["b all".into()], vec![day]) } else { (vec!["b all".into(), day], vec![]) };
        assert_eq!((counted, late), expected, "{created_at} {arrived_at}");
    }
}

#[test]
fn seasons_overlap_and_end_as_windows_do() {
    let season = |name: &str, start: &str, end: &str| {
        format!("[[board.season]]\nname = \"{name}\"\nstart = {start}\nend = {end}\n")
    };
    let text = |lateness: &str| {
        "[[board]]\nname = \"b\"\nwindows = []\n".to_owned()
            + lateness
            + &season("spring", "2026-03-01", "2026-06-01")
            + &season("year", "2026-01-01", "2027-01-01")
    };
    let set = boards(&text(""));
    let counted = |set: &BoardSet, created_at: &str, arrived_at: &str| {
        let event = event("a", "5", created_at);
        places(set, &effects(set, &event, arrived_at))
    };
    let (year, spring) = ("b year".to_owned(), "b spring".to_owned());
    let at = "2026-03-01T00:00:00Z";
    assert_eq!(counted(&set, at, at), (vec![year.clone(), spring.clone()], vec![]));
    assert_eq!(counted(&set, "2026-06-01", "2026-06-01"), (vec![year.clone()], vec![]));
    assert_eq!(
        counted(&set, "2026-05-31", "2026-06-01T01:00:00Z"),
        (vec![year.clone()], vec![spring.clone()])
    );
    assert_eq!(counted(&set, "2027-01-01", "2027-01-01"), (vec![], vec![]));
    let forever = boards(&text("allowed_lateness = \"forever\"\n"));
    assert_eq!(counted(&forever, "2026-05-31", "2126-06-01"), (vec![year, spring], vec![]));
}

#[test]
fn windows_become_final_and_go() {
    let lasting = |members: &str| {
        let board = board(&format!("windows = [\"all\", \"day\"]\n{members}"));
        let day = board.window_of_id("2026-11-21").unwrap();
        (board.final_at(&day), board.gone_at(&day), board)
    };
    let (final_at, gone_at, board) = lasting("allowed_lateness = \"90s\"\ngrace = \"15m\"");
    assert_eq!(final_at, Some(time("2026-11-22T00:01:30Z")));
    assert_eq!(gone_at, Some(time("2026-11-22T00:16:30Z")));
    let all = board.window_of_id("all").unwrap();
    assert_eq!((board.final_at(&all), board.gone_at(&all)), (None, None));
    let (final_at, gone_at, _) = lasting("");
    assert_eq!(final_at, Some(time("2026-11-22T01:00:00Z")));
    assert_eq!(gone_at, Some(time("2026-11-23T01:00:00Z")));
    let (final_at, gone_at, _) = lasting("allowed_lateness = \"forever\"");
    assert_eq!((final_at, gone_at), (None, None));
}

#[test]
fn event_is_refused_exactly_if_every_board_that_is_for_it_refuses() {
    let set = boards(
        r#"
        [[board]]
        name = "whole"
        match = { game = "chess" }
        max_score = 10
        [[board]]
        name = "tenths"
        match = { game = "chess" }
        decimals = 1
        max_score = 20
        min_score = -1
        future_limit = "0s"
        [[board]]
        name = "counted"
        match = { counted = "yes" }
        aggregate = "count"
        "#,
    );
    let (now, later) = ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00.000001Z");
    let chess: &[_] = &[("game", "chess")];
    let both: &[_] = &[("game", "chess"), ("counted", "yes")];
    for (score, created_at, tags, counted, refused, judged) in [
        ("5", now, chess, vec![0, 1], vec![], None),
        ("0.5", now, chess, vec![1], vec![RefusalClass::TooPrecise], None),
        ("15", now, chess, vec![1], vec![RefusalClass::OutOfRange], None),
        ("-2", now, chess, vec![0], vec![RefusalClass::OutOfRange], None),
        ("5", later, chess, vec![0], vec![RefusalClass::TooFarInFuture], None),
        (
            "0.05",
            now,
            chess,
            vec![],
            vec![RefusalClass::TooPrecise, RefusalClass::TooPrecise],
            Some(RefusalClass::TooPrecise),
        ),
        (
            "15",
            later,
            chess,
            vec![],
            vec![RefusalClass::OutOfRange, RefusalClass::TooFarInFuture],
            Some(RefusalClass::OutOfRange),
        ),
        ("0.05", now, both, vec![2], vec![RefusalClass::TooPrecise, RefusalClass::TooPrecise], None),
        // No board is for it: it is archived and counts nowhere.
        ("0.05", now, &[], vec![], vec![], None),
    ] {
        let event = tagged(event("a", score, created_at), tags);
        let effects = effects(&set, &event, now);
        let on: Vec<usize> = effects.counted.iter().map(|(touched, _)| touched.board).collect();
        let classes: Vec<RefusalClass> = effects.refused.iter().map(|(_, refusal)| refusal.class).collect();
        let judgement = set.judge(&event, time(now));
        assert_eq!((on, classes), (counted, refused), "{score} {created_at} {tags:?}");
        assert_eq!(effects.refusal(), judgement.as_ref().err());
        assert_eq!(judgement.err().map(|refusal| refusal.class), judged);
        assert_eq!(effects.matched(), tags.len() + usize::from(tags.first() == chess.first()));
    }
}

#[test]
fn scores_are_taken_at_the_boards_decimals_up_to_its_limit() {
    let units = |members: &str, score| {
        board(members).units(&event("a", score, "2026-11-21")).map_err(|refusal| refusal.class)
    };
    assert_eq!(units("max_score = 100", "100"), Ok(100));
    assert_eq!(units("max_score = 100", "-100"), Ok(-100));
    assert_eq!(units("max_score = 100", "5.0"), Ok(5));
    assert_eq!(units("max_score = 100", "101"), Err(RefusalClass::OutOfRange));
    assert_eq!(units("max_score = 100", "-101"), Err(RefusalClass::OutOfRange));
    assert_eq!(units("max_score = 100", "0.5"), Err(RefusalClass::TooPrecise));
    let tenths = "max_score = 100\ndecimals = 1\nmin_score = 0";
    assert_eq!(units(tenths, "0.5"), Ok(5));
    assert_eq!(units(tenths, "100"), Ok(1000));
    assert_eq!(units(tenths, "100.1"), Err(RefusalClass::OutOfRange));
    assert_eq!(units(tenths, "-0.1"), Err(RefusalClass::OutOfRange));
    assert_eq!(units("aggregate = \"count\"", "-123456789012.5"), Ok(1));
    assert_eq!(board(tenths).score(1205).to_string(), "120.5");
    let refusal = board(tenths).units(&event("a", "101", "2026-11-21")).unwrap_err();
    assert_eq!(refusal.message, "`score` is 101; board b takes 0 to 100 points");
}

#[test]
fn change_is_what_the_aggregate_says() {
    let at = "2026-11-21T12:00:00.000001Z";
    let reached = Reached::at(time(at));
    let change = |members: &str, score: &str| {
        let board = board(members);
        let event = event("a", score, at);
        board.change(board.units(&event).unwrap(), event.created_at, arrival(at))
    };
    assert_eq!(change("", "5"), Change::Add { delta: 5, reached });
    assert_eq!(change("order = \"asc\"", "5"), Change::Add { delta: -5, reached });
    assert_eq!(change("", "0"), Change::Add { delta: 0, reached: Reached::NEVER });
    assert_eq!(change("aggregate = \"count\"", "0"), Change::Add { delta: 1, reached });
    assert_eq!(change("aggregate = \"best\"", "0"), Change::Best { value: 0, reached });
    assert_eq!(
        change("aggregate = \"best\"\ntie_break = \"player_id\"\norder = \"asc\"", "7"),
        Change::Best { value: -7, reached: Reached::NEVER }
    );
    let Change::Last { value: -3, reached: r, recency } = change("aggregate = \"last\"", "-3") else {
        panic!()
    };
    assert_eq!((r, recency.created_at), (reached, time(at)));
}

proptest! {
    /// The double holds total and time, and the better stands higher, on boards of either order.
    #[test]
    fn higher_double_is_the_better(
        order in prop::sample::select(vec!["desc", "asc"]),
        ties in prop::sample::select(vec!["first", "player_id"]),
        one in (-200_000..200_000i64, 0..10_000_000i64),
        other in (-200_000..200_000i64, 0..10_000_000i64),
    ) {
        let board = board(&format!("order = \"{order}\"\ntie_break = \"{ties}\""));
        let reached = |seconds: i64| Reached::at(EventTime::from_micros(seconds * 1_000_000).unwrap());
        let double = |(total, seconds): (i64, i64)| board.encode(total, reached(seconds));
        prop_assert_eq!(board.total_of(double(one)), one.0);
        let kept = if ties == "first" { reached(one.1).cut_for(one.0) } else { Reached::NEVER };
        prop_assert_eq!(board.reached_of(double(one)), kept);
        let better = if order == "desc" { one.0 > other.0 } else { one.0 < other.0 };
        if better {
            prop_assert!(double(one) > double(other));
        }
        if one.0 == other.0 && ties == "player_id" {
            prop_assert_eq!(double(one), double(other));
        }
    }

    /// Whoever asks with a cache is told the same as without.
    #[test]
    fn cached_windows_are_the_windows(
        minutes in prop::collection::vec(0..200_000i64, 1..40),
    ) {
        let set = boards(
            "[[board]]\nname = \"a\"\nwindows = [\"all\", \"hour\", \"day\", \"week\", \"month\"]\n\
             timezone = \"Australia/Lord_Howe\"\nallowed_lateness = \"forever\"\n\
             [[board]]\nname = \"b\"\nwindows = [\"day\"]\nallowed_lateness = \"forever\"\n\
             [[board.season]]\nname = \"s\"\nstart = 2026-03-01\nend = 2026-04-01\n",
        );
        let mut cache = WindowCache::new(&set);
        for minute in minutes {
            let at = time("2026-02-01").saturating_add_seconds(minute * 60);
            let event = event("a", "5", &at.to_string());
            let effects = set.effects(&event, arrival("2027-01-01"), &mut cache);
            let found: Vec<_> = effects.counted.iter().map(|(touched, _)| (*touched.window).clone()).collect();
            let expected: Vec<_> = set.iter().flat_map(|board| board.windows_at(at)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
