//! What `boards.toml` may say.

use crate::support::{board, boards};
use boards::rules::{Aggregate, Lateness, MAX_TOTAL_UNITS, Order, PerValue, TieBreak};
use boards::{Board, BoardSet};
use std::path::Path;

const SHIPPED: &str = include_str!("../../../../boards.toml");
const FOOTBALL: &str = include_str!("../../../../examples/football.toml");

#[test]
fn shipped_file_is_the_default() {
    assert_eq!(BoardSet::parse(SHIPPED), Ok(BoardSet::default()));
}

#[test]
fn rules_of_the_default_board_are_written_as_ever() {
    let rules = "sum desc decimals=0 max_score=1000000000";
    assert_eq!(BoardSet::default().default_board().fingerprint(), rules);
}

#[test]
fn football_example_is_what_it_says() {
    let football = boards(FOOTBALL);
    let goals = football.default_board();
    let decades: Vec<&str> = goals.seasons.iter().map(|season| &*season.id).collect();
    assert_eq!(decades.len(), 12);
    assert_eq!((decades[0], decades[11]), ("1910s", "2020s"));
    assert!(goals.seasons.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(goals.all_time);
    assert_eq!(goals.allowed_lateness, Lateness::Forever);
    assert_eq!(football.find("goals-by-team:Uruguay"), Some((1, Some("Uruguay"))));
    assert_eq!(football[1].per_value, Some(PerValue { tag: "team".into(), max_values: 500 }));
}

#[test]
fn every_member_is_read() {
    let set = boards(
        r#"
        [[board]]
        name = "first"

        [[board]]
        name = "golf.2026"
        match = { ranked = "yes", country = "{country}" }
        max_values = 300
        aggregate = "best"
        order = "asc"
        tie_break = "player_id"
        decimals = 1
        top = 25
        max_score = 200
        min_score = -10
        max_total = 1_000
        windows = ["month", "all", "hour"]
        timezone = "Australia/Lord_Howe"
        allowed_lateness = "2h"
        future_limit = "90s"
        grace = "7d"
        dense_ranks = true
        [[board.season]]
        name = "late"
        start = "2026-07-01T00:00:00+10:30"
        end = 2026-08-01T00:00:00Z
        [[board.season]]
        name = "2026-27"
        start = 2026-01-01
        end = "2026-12-31T12:00:00"
        "#,
    );
    let board = &set[1];
    let plain = &set[0];
    let expected = Board {
        name: "golf.2026".into(),
        matches: [("ranked".to_owned(), "yes".to_owned())].into(),
        per_value: Some(PerValue { tag: "country".into(), max_values: 300 }),
        aggregate: Aggregate::Best,
        order: Order::Asc,
        tie_break: TieBreak::PlayerId,
        decimals: 1,
        top: 25,
        max_score: 200,
        min_score: Some(-10),
        max_total_units: 10_000,
        all_time: true,
        allowed_lateness: Lateness::Seconds(7_200),
        future_limit_seconds: 90,
        grace_seconds: 7 * 86_400,
        dense_ranks: true,
        periods: board.periods.clone(),
        seasons: board.seasons.clone(),
        calendar: board.calendar.clone(),
    };
    assert_eq!(*board, expected);
    let periods: Vec<&str> = board.periods.iter().map(|period| period.as_str()).collect();
    assert_eq!(periods, ["hour", "month"]);
    let seasons: Vec<String> =
        board.seasons.iter().map(|season| format!("{} {} {}", season.id, season.start, season.end)).collect();
    assert_eq!(
        seasons,
        [
            "2026-27 2025-12-31T13:00:00Z 2026-12-31T01:00:00Z",
            "late 2026-06-30T13:30:00Z 2026-08-01T00:00:00Z"
        ]
    );
    assert_eq!(plain.fingerprint(), BoardSet::default().default_board().fingerprint());
    assert_eq!(
        board.fingerprint(),
        "best asc decimals=1 max_score=200 min_score=-10 max_total_units=10000 tie_break=player_id \
         match=\"ranked\":\"yes\" per_value=\"country\" max_values=300 future_limit=90s hour month \
         timezone=Australia/Lord_Howe season=2026-27:2025-12-31T13:00:00Z..2026-12-31T01:00:00Z \
         season=late:2026-06-30T13:30:00Z..2026-08-01T00:00:00Z allowed_lateness=7200s dense_ranks"
    );
}

/// Each change of a rule that decides what stands in Redis changes the fingerprint, and no other.
#[test]
fn fingerprint_tells_the_rules_that_need_a_rebuild() {
    let base = "windows = [\"all\", \"day\"]\nmatch = { a = \"b\" }\n";
    let rules = |more: &str| board(&format!("{base}{more}")).fingerprint();
    for more in ["top = 3", "grace = \"2d\"", "timezone = \"UTC\"", "min_score = -1_000_000_000"] {
        assert_eq!(rules(more), rules(""), "{more}");
    }
    let season = |end: &str| format!("[[board.season]]\nname = \"s\"\nstart = 2026-01-01\nend = {end}");
    let mut seen = vec![rules("")];
    for more in [
        "aggregate = \"best\"",
        "aggregate = \"last\"",
        "aggregate = \"count\"",
        "order = \"asc\"",
        "tie_break = \"player_id\"",
        "decimals = 1",
        "max_score = 5",
        "min_score = 0",
        "max_total = 1_000_000_001",
        "timezone = \"Europe/Malta\"",
        "allowed_lateness = \"0s\"",
        "allowed_lateness = \"forever\"",
        "future_limit = \"1s\"",
        "dense_ranks = true",
        &season("2026-02-01"),
        &season("2026-03-01"),
    ] {
        seen.push(rules(more));
    }
    for members in [
        "windows = [\"all\", \"day\"]",
        "windows = [\"day\"]",
        "windows = [\"week\"]",
        "match = { a = \"c\" }",
    ] {
        seen.push(board(members).fingerprint());
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

/// The line at fault, counted from 1 among the members, and what is said of it.
const FAULTS: &[(&str, usize, &str)] = &[
    ("colour = \"red\"", 1, "`colour` is not known"),
    ("name = \"B\"", 1, "`name` must be 1 to 64 of a-z"),
    ("name = \"\"", 1, "`name` must be"),
    ("name = \"a:b\"", 1, "`name` must be"),
    ("name = 5", 1, "`name` must be"),
    ("match = \"all\"", 1, "`match` must be at most 32 tags"),
    ("match = { a = 5 }", 1, "`a` must be 1 to 128 bytes of text"),
    ("match = { a = \"\" }", 1, "`a` must be 1 to 128 bytes of text"),
    ("match = { a = \"x\\ny\" }", 1, "`a` must be 1 to 128 bytes of text"),
    ("match = { \"\" = \"x\" }", 1, "a tag is 1 to 64 bytes"),
    ("match = { a = \"{b}\" }", 1, "`a` must be \"{a}\""),
    ("match = { a = \"{a}\", b = \"{b}\" }", 1, "only one tag"),
    ("max_values = 5", 1, "`max_values` is for a board per value"),
    ("match = { a = \"{a}\" }\nmax_values = 0", 2, "`max_values` must be a whole number from 1 to 100000"),
    ("match = { a = \"{a}\" }\nmax_values = 100_001", 2, "`max_values` must be"),
    ("aggregate = \"mean\"", 1, "`aggregate` must be \"sum\" or \"best\" or \"last\" or \"count\""),
    ("order = \"down\"", 1, "`order` must be \"desc\" or \"asc\""),
    ("tie_break = \"last\"", 1, "`tie_break` must be \"first\" or \"player_id\""),
    ("decimals = 10", 1, "`decimals` must be a whole number from 0 to 9"),
    ("decimals = 1.0", 1, "`decimals` must be"),
    ("top = 0", 1, "`top` must be a whole number from 1 to 1000"),
    ("top = 1001", 1, "`top` must be"),
    ("max_score = \"lots\"", 1, "`max_score` must be a whole number"),
    ("max_score = 0", 1, "`max_score` must be"),
    ("max_score = 99999999999999999999", 1, "`max_score` must be"),
    ("decimals = 9", 0, "`max_score` is beyond 1000000, the most that 9 decimals leave room for"),
    ("max_score = 5\nmin_score = 6", 2, "`min_score` is over 5"),
    ("max_score = 1\ndecimals = 9\nmin_score = -1_000_001", 3, "`min_score` is beyond 1000000"),
    ("max_score = 5\nmin_score = true", 2, "`min_score` must be"),
    ("max_score = 10\nmax_total = 9", 2, "`max_total` is below 10"),
    ("max_score = 10\nmin_score = -20\nmax_total = 19", 3, "`max_total` is below 20"),
    ("max_score = 10\nmax_total = 0", 2, "`max_total` must be"),
    ("max_score = 1\ndecimals = 9\nmax_total = 1_000_001", 3, "`max_total` is beyond 1000000"),
    ("aggregate = \"count\"\ndecimals = 1", 2, "`decimals` does not go with \"count\""),
    ("max_score = 5\naggregate = \"count\"", 1, "`max_score` does not go with \"count\""),
    ("aggregate = \"count\"\nmin_score = 1", 2, "`min_score` does not go with \"count\""),
    ("windows = \"all\"", 1, "`windows` must be a list"),
    ("windows = []", 1, "a board needs a window or a season"),
    ("windows = [\"all\", \"all\"]", 1, "`windows` must be a list"),
    ("windows = [\n\"day\",\n\"day\"]", 3, "`windows` must be a list"),
    ("windows = [\"year\"]", 1, "`windows` must be a list"),
    ("windows = [7]", 1, "`windows` must be a list"),
    ("timezone = \"Malta\"", 1, "`timezone` must be the IANA name"),
    ("timezone = 2", 1, "`timezone` must be the IANA name"),
    ("allowed_lateness = \"always\"", 1, "`allowed_lateness` must be a duration"),
    ("allowed_lateness = \"401d\"", 1, "\"400d\" at most, or \"forever\""),
    ("allowed_lateness = 60", 1, "`allowed_lateness` must be a duration"),
    (
        "future_limit = \"11m\"",
        1,
        "`future_limit` must be a duration such as \"90s\", \"15m\", \"2h\" or \"1d\", \"10m\" at most",
    ),
    ("future_limit = \"-1s\"", 1, "`future_limit` must be"),
    ("future_limit = \"1 s\"", 1, "`future_limit` must be"),
    ("future_limit = \"s\"", 1, "`future_limit` must be"),
    ("grace = \"1y\"", 1, "`grace` must be"),
    ("grace = \"1h30m\"", 1, "`grace` must be"),
    ("grace = \"99999999999d\"", 1, "`grace` must be"),
    ("grace = \"60000d\"", 1, "`grace` must be"),
    ("grace = \"\"", 1, "`grace` must be"),
    ("dense_ranks = \"yes\"", 1, "`dense_ranks` must be true or false"),
    ("season = 5", 1, "a season is written as [[board.season]]"),
    ("season = []", 1, "a season is written as [[board.season]]"),
    ("season = [5]", 1, "a season is written as [[board.season]]"),
    ("[[board.season]]\nstart = 2026-01-01\nend = 2027-01-01", 1, "`name` is missing"),
    ("[[board.season]]\nname = \"s\"\nend = 2027-01-01", 1, "`start` is missing"),
    ("[[board.season]]\nname = \"s\"\nstart = 2027-01-01", 1, "`end` is missing"),
    (
        "[[board.season]]\nname = \"s\"\nstart = 2026-01-01\nend = 2027-01-01\nlength = 5",
        5,
        "`length` is not known",
    ),
    ("[[board.season]]\nname = \"s\"\nstart = 2026-01-01\nend = 2026-01-01", 4, "must end after its start"),
    ("[[board.season]]\nname = \"s\"\nstart = 5\nend = 2026-01-01", 3, "`start` is not an ISO 8601 time"),
    (
        "[[board.season]]\nname = \"s\"\nstart = 2026-01-01\nend = 12:00:00",
        4,
        "`end` is not an ISO 8601 time",
    ),
    (
        "timezone = \"Europe/Malta\"\n[[board.season]]\nname = \"s\"\nstart = 2026-03-29T02:30:00\nend = 2027-01-01",
        4,
        "which the clocks of Europe/Malta have left out",
    ),
    ("[[board.season]]\nname = \"S\"\nstart = 2026-01-01\nend = 2027-01-01", 2, "`name` must be"),
    (
        "[[board.season]]\nname = \"all\"\nstart = 2026-01-01\nend = 2027-01-01",
        2,
        "what another window is called",
    ),
    (
        "[[board.season]]\nname = \"day\"\nstart = 2026-01-01\nend = 2027-01-01",
        2,
        "what another window is called",
    ),
    (
        "[[board.season]]\nname = \"2026-11\"\nstart = 2026-01-01\nend = 2027-01-01",
        2,
        "what another window is called",
    ),
    (
        "[[board.season]]\nname = \"s\"\nstart = 2026-01-01\nend = 2027-01-01\n\
         [[board.season]]\nname = \"s\"\nstart = 2027-01-01\nend = 2028-01-01",
        6,
        "there are two seasons \"s\"",
    ),
];

#[test]
fn every_fault_is_told_with_its_line_and_reason() {
    for (members, line, reason) in FAULTS {
        let name = if members.starts_with("name =") { "" } else { "name = \"b\"" };
        // The entry stands in line 3, its members from line 5 on.
        let text = format!("[[board]]\nname = \"default\"\n[[board]]\n{name}\n{members}\n");
        let error = BoardSet::parse(&text).unwrap_err();
        let expected = if *line == 0 { 3 } else { line + 4 };
        let [fault] = error.faults() else { panic!("{members}: {error}") };
        assert!(fault.reason.contains(reason), "{members}: {error}");
        assert_eq!(fault.line, expected, "{members}: {error}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let text = "[[board]]\nname = \"Game Score\"\naggregate = \"mean\"\norder = \"up\"\nwindows = [\"year\"]\n\
                decimals = 12\ntop = 0\nmax_score = \"lots\"\ncolour = \"red\"\n\n[other]\n";
    let error = BoardSet::parse(text).unwrap_err();
    let lines: Vec<usize> = error.faults().iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 11], "{error}");
}

#[test]
fn boards_stand_beside_each_other() {
    let per_value = "match = { a = \"{a}\" }\n";
    for (text, reason) in [
        ("", "boards.toml:1: no [[board]] is given"),
        ("[[board\n", "boards.toml:1: "),
        ("board = 5\n", "boards.toml:1: `board` is not known; boards stand under [[board]]"),
        ("board = [5]\n", "boards.toml:1: a board is written as [[board]]"),
        ("[[board]]\ntop = 5\n", "boards.toml:1: `name` is missing"),
        ("[[board]]\nname = \"a\"\n[[board]]\nname = \"a\"\n", "boards.toml:4: there are two boards \"a\""),
        ("[[board]]\nname = \"a\"\n[[board]]\nname = \"a-cache\"\n", "boards.toml:4: there cannot be both"),
        ("[[board]]\nname = \"a-cache\"\n[[board]]\nname = \"a\"\n", "boards.toml:4: there cannot be both"),
        (&format!("[[board]]\nname = \"a\"\n{per_value}"), "boards.toml:3: the first board"),
        (
            &format!("[[board]]\nname = \"a\"\n[[board]]\nname = \"player\"\n{per_value}"),
            "boards.toml:4: a board per value cannot be called \"player\"",
        ),
    ] {
        let error = BoardSet::parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with(reason) && !error.contains('\n') || reason.ends_with(": "),
            "{text}: {error}"
        );
    }
    let many = |count: usize| (0..count).map(|i| format!("[[board]]\nname = \"b{i}\"\n")).collect::<String>();
    assert_eq!(boards(&many(100)).iter().count(), 100);
    let error = BoardSet::parse(&many(101)).unwrap_err().to_string();
    assert_eq!(error, "boards.toml:201: there are more than 100 boards");
    let season =
        |i: usize| format!("[[board.season]]\nname = \"s{i}\"\nstart = 2026-01-01\nend = 2027-01-01\n");
    let many =
        |count: usize| format!("[[board]]\nname = \"b\"\n{}", (0..count).map(season).collect::<String>());
    assert_eq!(boards(&many(200)).default_board().seasons.len(), 200);
    let error = BoardSet::parse(&many(201)).unwrap_err().to_string();
    assert_eq!(error, "boards.toml:803: there are more than 200 seasons");
}

#[test]
fn boards_are_found_by_the_names_that_the_api_gives_them() {
    let set = boards("[[board]]\nname = \"a\"\n[[board]]\nname = \"b\"\nmatch = { t = \"{t}\" }\n");
    assert_eq!(set.find("a"), Some((0, None)));
    assert_eq!(set.find("b:x"), Some((1, Some("x"))));
    assert_eq!(set.find("b:x:y/z"), Some((1, Some("x:y/z"))));
    for name in ["b", "b:", "a:", "a:x", "c", "c:x", ":", ""] {
        assert_eq!(set.find(name), None, "{name}");
    }
    assert_eq!(set[1].name_of(Some("x:y")), "b:x:y");
    assert_eq!(set[0].name_of(None), "a");
    assert_eq!(set.get("b"), Some(&set[1]));
}

#[test]
fn error_names_file_line_and_reason() {
    let missing = BoardSet::load(Path::new("no/such/boards.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/boards.toml:0: cannot be read"), "{missing}");
}

#[test]
fn file_of_the_repository_says_what_is_kept_without_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert_eq!(BoardSet::load(&folder.join("boards.toml")), Ok(BoardSet::default()));
    assert_eq!(MAX_TOTAL_UNITS, board("").max_total_units);
}
