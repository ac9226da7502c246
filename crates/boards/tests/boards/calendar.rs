//! Windows in zones that make it hard.

use crate::support::{board, time};
use boards::calendar::{Calendar, Period};
use boards::{Window, WindowKind};
use contracts::EventTime;
use proptest::prelude::*;

const HOUR: Period = Period::Hour;
const DAY: Period = Period::Day;
const WEEK: Period = Period::Week;
const MONTH: Period = Period::Month;

/// Zone, period, an instant, and the window that it lies in: id, start, end.
const WINDOWS: &[(&str, Period, &str, &str, &str, &str)] = &[
    ("UTC", HOUR, "2026-11-21T12:00:00Z", "2026-11-21T12+0000", "2026-11-21T12:00Z", "2026-11-21T13:00Z"),
    (
        "UTC",
        HOUR,
        "2026-11-21T12:59:59.999999Z",
        "2026-11-21T12+0000",
        "2026-11-21T12:00Z",
        "2026-11-21T13:00Z",
    ),
    ("UTC", DAY, "2026-11-21T00:00:00Z", "2026-11-21", "2026-11-21", "2026-11-22"),
    ("UTC", DAY, "2026-11-20T23:59:59.999999Z", "2026-11-20", "2026-11-20", "2026-11-21"),
    ("UTC", DAY, "1916-07-02T15:00Z", "1916-07-02", "1916-07-02", "1916-07-03"),
    ("UTC", WEEK, "2026-11-21T12:00Z", "2026-W47", "2026-11-16", "2026-11-23"),
    ("UTC", MONTH, "2026-11-21T12:00Z", "2026-11", "2026-11-01", "2026-12-01"),
    ("UTC", MONTH, "2024-02-29T12:00Z", "2024-02", "2024-02-01", "2024-03-01"),
    // Years that end within a week, the 53rd week, and years that begin in one.
    ("UTC", WEEK, "2026-12-31T12:00Z", "2026-W53", "2026-12-28", "2027-01-04"),
    ("UTC", WEEK, "2027-01-03T23:59:59.999999Z", "2026-W53", "2026-12-28", "2027-01-04"),
    ("UTC", WEEK, "2027-01-04", "2027-W01", "2027-01-04", "2027-01-11"),
    ("UTC", WEEK, "2024-12-30", "2025-W01", "2024-12-30", "2025-01-06"),
    ("UTC", MONTH, "2026-12-31T23:59:59.999999Z", "2026-12", "2026-12-01", "2027-01-01"),
    ("UTC", DAY, "2026-12-31T23:59:59.999999Z", "2026-12-31", "2026-12-31", "2027-01-01"),
    // Both ends of time.
    ("UTC", DAY, "0001-01-01", "0001-01-01", "0001-01-01", "0001-01-02"),
    // The clocks put forward: 23 hours.
    ("America/New_York", DAY, "2026-03-08T12:00Z", "2026-03-08", "2026-03-08T05:00Z", "2026-03-09T04:00Z"),
    (
        "America/New_York",
        HOUR,
        "2026-03-08T06:59:59Z",
        "2026-03-08T01-0500",
        "2026-03-08T06:00Z",
        "2026-03-08T07:00Z",
    ),
    (
        "America/New_York",
        HOUR,
        "2026-03-08T07:00:00Z",
        "2026-03-08T03-0400",
        "2026-03-08T07:00Z",
        "2026-03-08T08:00Z",
    ),
    ("America/New_York", WEEK, "2026-03-08T12:00Z", "2026-W10", "2026-03-02T05:00Z", "2026-03-09T04:00Z"),
    ("America/New_York", MONTH, "2026-03-08T12:00Z", "2026-03", "2026-03-01T05:00Z", "2026-04-01T04:00Z"),
    // The clocks put back: 25 hours, one of them twice.
    ("America/New_York", DAY, "2026-11-01T12:00Z", "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
    (
        "America/New_York",
        HOUR,
        "2026-11-01T05:30Z",
        "2026-11-01T01-0400",
        "2026-11-01T05:00Z",
        "2026-11-01T06:00Z",
    ),
    (
        "America/New_York",
        HOUR,
        "2026-11-01T06:00Z",
        "2026-11-01T01-0500",
        "2026-11-01T06:00Z",
        "2026-11-01T07:00Z",
    ),
    (
        "America/New_York",
        DAY,
        "2027-01-01T04:59:59.999999Z",
        "2026-12-31",
        "2026-12-31T05:00Z",
        "2027-01-01T05:00Z",
    ),
    (
        "Europe/Malta",
        HOUR,
        "2026-10-25T00:30Z",
        "2026-10-25T02+0200",
        "2026-10-25T00:00Z",
        "2026-10-25T01:00Z",
    ),
    (
        "Europe/Malta",
        HOUR,
        "2026-10-25T01:30Z",
        "2026-10-25T02+0100",
        "2026-10-25T01:00Z",
        "2026-10-25T02:00Z",
    ),
    // Half an hour: the day has 24.5 hours, and two windows are half an hour long.
    ("Australia/Lord_Howe", DAY, "2026-04-05T00:00Z", "2026-04-05", "2026-04-04T13:00Z", "2026-04-05T13:30Z"),
    (
        "Australia/Lord_Howe",
        HOUR,
        "2026-04-04T14:59Z",
        "2026-04-05T01+1100",
        "2026-04-04T14:00Z",
        "2026-04-04T15:00Z",
    ),
    (
        "Australia/Lord_Howe",
        HOUR,
        "2026-04-04T15:00Z",
        "2026-04-05T01+1030",
        "2026-04-04T15:00Z",
        "2026-04-04T15:30Z",
    ),
    (
        "Australia/Lord_Howe",
        HOUR,
        "2026-04-04T15:30Z",
        "2026-04-05T02+1030",
        "2026-04-04T15:30Z",
        "2026-04-04T16:30Z",
    ),
    (
        "Australia/Lord_Howe",
        HOUR,
        "2026-10-03T15:29Z",
        "2026-10-04T01+1030",
        "2026-10-03T14:30Z",
        "2026-10-03T15:30Z",
    ),
    (
        "Australia/Lord_Howe",
        HOUR,
        "2026-10-03T15:30Z",
        "2026-10-04T02+1100",
        "2026-10-03T15:30Z",
        "2026-10-03T16:00Z",
    ),
    // A date that was left out.
    ("Pacific/Apia", DAY, "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),
    ("Pacific/Apia", DAY, "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),
    ("Pacific/Apia", WEEK, "2011-12-30T10:00:00Z", "2011-W52", "2011-12-26T10:00Z", "2012-01-01T10:00Z"),
    ("Pacific/Apia", MONTH, "2011-12-30T10:00:00Z", "2011-12", "2011-12-01T10:00Z", "2011-12-31T10:00Z"),
    // An offset of a quarter of an hour, and the day on which it came.
    ("Asia/Kathmandu", DAY, "2026-11-21T00:00Z", "2026-11-21", "2026-11-20T18:15Z", "2026-11-21T18:15Z"),
    (
        "Asia/Kathmandu",
        HOUR,
        "2026-11-21T00:00Z",
        "2026-11-21T05+0545",
        "2026-11-20T23:15Z",
        "2026-11-21T00:15Z",
    ),
    ("Asia/Kathmandu", DAY, "1985-12-31T18:40Z", "1986-01-01", "1985-12-31T18:30Z", "1986-01-01T18:15Z"),
    (
        "Asia/Kathmandu",
        HOUR,
        "1985-12-31T18:40Z",
        "1986-01-01T00+0545",
        "1985-12-31T18:30Z",
        "1985-12-31T19:15Z",
    ),
    // Midnight twice.
    ("America/Havana", DAY, "2026-11-01T05:30Z", "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
    (
        "America/Havana",
        HOUR,
        "2026-11-01T05:30Z",
        "2026-11-01T00-0500",
        "2026-11-01T05:00Z",
        "2026-11-01T06:00Z",
    ),
    // A minute after midnight, back to the day before: a day that has begun goes on.
    ("America/St_Johns", DAY, "2006-10-29T02:30:30Z", "2006-10-29", "2006-10-29T02:30Z", "2006-10-30T03:30Z"),
    ("America/St_Johns", DAY, "2006-10-29T02:45Z", "2006-10-29", "2006-10-29T02:30Z", "2006-10-30T03:30Z"),
    (
        "America/St_Johns",
        HOUR,
        "2006-10-29T02:30:30Z",
        "2006-10-29T00-0230",
        "2006-10-29T02:30Z",
        "2006-10-29T02:31Z",
    ),
    (
        "America/St_Johns",
        HOUR,
        "2006-10-29T02:45Z",
        "2006-10-28T23-0330",
        "2006-10-29T02:31Z",
        "2006-10-29T03:30Z",
    ),
    // War time becomes peace time in the middle of an hour, and the clocks go on as they did.
    (
        "America/St_Johns",
        HOUR,
        "1945-08-14T22:59Z",
        "1945-08-14T20-0230",
        "1945-08-14T22:30Z",
        "1945-08-14T23:30Z",
    ),
    (
        "America/St_Johns",
        HOUR,
        "1945-08-14T23:00Z",
        "1945-08-14T20-0230",
        "1945-08-14T22:30Z",
        "1945-08-14T23:30Z",
    ),
    // From half past eleven to half past midnight.
    ("America/Toronto", DAY, "1919-03-31T04:30Z", "1919-03-31", "1919-03-31T04:30Z", "1919-04-01T04:00Z"),
    ("America/Toronto", DAY, "1919-03-31T04:29:59Z", "1919-03-30", "1919-03-30T05:00Z", "1919-03-31T04:30Z"),
    // An offset to the second.
    (
        "Africa/Monrovia",
        HOUR,
        "1970-01-01T01:00Z",
        "1970-01-01T00-004430",
        "1970-01-01T00:44:30Z",
        "1970-01-01T01:44:30Z",
    ),
];

fn calendar(zone: &str) -> Calendar {
    Calendar::of_zone(zone).unwrap()
}

#[test]
fn windows_are_those_of_the_zones_clocks() {
    for (zone, period, at, id, start, end) in WINDOWS {
        let window = calendar(zone).window_at(*period, time(at));
        let expected = Window {
            kind: WindowKind::Period(*period),
            id: (*id).into(),
            start: time(start),
            end: time(end),
        };
        assert_eq!(window, expected, "{zone} {at}");
    }
}

/// What the rows about war time rest on: a change of the zone's rules within an hour that leaves its
/// offset alone, at which no window may be cut.
#[test]
fn zone_data_have_a_change_within_an_hour_that_keeps_the_offset() {
    let zone = jiff::tz::TimeZoneDatabase::bundled().get("America/St_Johns").unwrap();
    let at: jiff::Timestamp = "1945-08-14T22:59:59Z".parse().unwrap();
    let change = zone.following(at).next().unwrap();
    assert_eq!(change.timestamp().to_string(), "1945-08-14T23:00:00Z");
    assert_eq!(change.offset(), zone.to_offset(at));
}

#[test]
fn window_is_found_by_its_id_and_nothing_else_is() {
    for (zone, _, at, id, ..) in WINDOWS {
        let found = calendar(zone).window_of_id(id);
        assert!(found.is_some_and(|window| window.contains(time(at))), "{zone} {id}");
    }
    for (zone, id) in [
        ("Pacific/Apia", "2011-12-30"),
        ("America/New_York", "2026-03-08T02-0500"),
        ("America/New_York", "2026-03-08T02-0400"),
        ("America/New_York", "2026-11-01T02-0400"),
        ("UTC", "2026-11-21T24+0000"),
        ("UTC", "2026-11-21T99+0000"),
        ("UTC", "2026-11-21T12+0100"),
        ("UTC", "2026-11-21T12-0000"),
        ("UTC", "2026-11-21T12+9999"),
        ("UTC", "2026-11-21T12+000000"),
        ("UTC", "2026-11-21t12+0000"),
        ("UTC", "2025-W53"),
        ("UTC", "2026-W54"),
        ("UTC", "2026-W00"),
        ("UTC", "2026-w47"),
        ("UTC", "2026-W4"),
        ("UTC", "2026-13"),
        ("UTC", "2026-00"),
        ("UTC", "2026-1"),
        ("UTC", "2026-02-30"),
        ("UTC", "2026-2-3"),
        ("UTC", "20261121"),
        ("UTC", "+026-11-21"),
        ("UTC", "2026-+1"),
        ("UTC", "20é6-11-21"),
        ("UTC", "day"),
        ("UTC", ""),
    ] {
        assert_eq!(calendar(zone).window_of_id(id), None, "{zone} {id:?}");
    }
    let hour = calendar("Europe/Malta").window_of_id("2026-10-25T02 0200").unwrap();
    assert_eq!(&*hour.id, "2026-10-25T02+0200", "a form has made a space of the plus");
}

#[test]
fn first_and_last_instant_are_in_a_window() {
    for zone in ["UTC", "America/New_York", "Pacific/Apia"] {
        for period in Period::ALL {
            for at in [EventTime::MIN, EventTime::MAX] {
                let window = calendar(zone).window_at(period, at);
                assert!(window.contains(at), "{zone} {window:?}");
                assert_eq!(calendar(zone).window_of_id(&window.id), Some(window), "{zone}");
            }
        }
    }
}

#[test]
fn board_goes_back_window_by_window() {
    let board = board(
        "timezone = \"Pacific/Apia\"\nwindows = [\"all\", \"day\"]\n\
         [[board.season]]\nname = \"one\"\nstart = 2010-01-01\nend = 2011-01-01\n\
         [[board.season]]\nname = \"beside-one\"\nstart = 2010-06-01\nend = 2011-06-01\n\
         [[board.season]]\nname = \"two\"\nstart = 2011-01-01\nend = 2012-01-01\n\
         [[board.season]]\nname = \"three\"\nstart = 2012-01-01\nend = 2013-01-01\n",
    );
    let before = |id: &str| {
        let window = board.window_of_id(id).unwrap();
        board.previous(&window).map(|window| window.id.to_string())
    };
    assert_eq!(before("2011-12-31").as_deref(), Some("2011-12-29"));
    assert_eq!(before("two").as_deref(), Some("one"));
    assert_eq!(before("three").as_deref(), Some("two"));
    assert_eq!(before("one"), None);
    assert_eq!(before("all"), None);
    assert_eq!(board.window_of_id("2011-12"), None, "the board keeps no months");
    let ids: Vec<_> = board.windows_at(time("2010-07-01T12:00Z")).into_iter().map(|w| w.id).collect();
    assert_eq!(ids, ["all".into(), "2010-07-01".into(), "one".into(), "beside-one".into()]);
    let first = board.calendar.window_at(DAY, EventTime::MIN);
    assert_eq!(board.previous(&first), None);
}

#[test]
fn instants_are_read_by_the_zones_clocks() {
    let new_york = calendar("America/New_York");
    let read = |text| new_york.parse_instant(text, "start").map_err(|refusal| refusal.message);
    for (text, instant) in [
        ("2026-07-01", "2026-07-01T04:00Z"),
        ("2026-07-01T00:00:00", "2026-07-01T04:00Z"),
        ("2026-01-01 12:30", "2026-01-01T17:30Z"),
        ("2026-01-01T12:30:00Z", "2026-01-01T12:30Z"),
        ("2026-01-01T12:30:00+01:00", "2026-01-01T11:30Z"),
        ("2026-11-01T01:30:00-05:00", "2026-11-01T06:30Z"),
    ] {
        assert_eq!(read(text), Ok(time(instant)), "{text}");
    }
    for (text, why) in [
        (
            "2026-03-08T02:30:00",
            "`start` is 2026-03-08T02:30:00, which the clocks of America/New_York have left out",
        ),
        ("2026-11-01T01:30:00", "have shown twice: say -04 or -05 behind it"),
        ("2026-07-01T00:00[Europe/Malta]", "a time zone's name"),
        ("soon", "`start` is not an ISO 8601 time"),
        ("", "`start` is not an ISO 8601 time"),
        ("-000100-01-01", "`start` is out of range"),
    ] {
        let message = read(text);
        assert!(message.as_ref().is_err_and(|message| message.contains(why)), "{text}: {message:?}");
    }
    assert_eq!(calendar("Pacific/Apia").parse_instant("2011-12-30", "t"), Ok(time("2011-12-30T10:00Z")));
}

#[test]
fn what_is_no_zone_is_none() {
    for name in ["", "Europe/Valetta", "+02:00", "CET-1CEST", "Etc/Unknown", "local"] {
        assert_eq!(Calendar::of_zone(name), None, "{name}");
    }
    assert_eq!(calendar("europe/malta").zone(), "Europe/Malta");
}

fn zones() -> Vec<String> {
    let all = jiff::tz::TimeZoneDatabase::bundled();
    let names = all.available().map(|name| name.as_str().to_owned());
    names.filter(|name| Calendar::of_zone(name).is_some()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn windows_of_every_zone_follow_without_gap_or_overlap(
        zone in prop::sample::select(zones()),
        period in prop::sample::select(Period::ALL.to_vec()),
        micros in -3_786_825_600_000_000i64..7_258_118_400_000_000,
        steps in 1..30usize,
    ) {
        let calendar = calendar(&zone);
        let mut window = calendar.window_at(period, EventTime::from_micros(micros).unwrap());
        prop_assert!(window.contains(EventTime::from_micros(micros).unwrap()));
        for _ in 0..steps {
            prop_assert!(window.start < window.end, "{window:?}");
            prop_assert_eq!(calendar.window_of_id(&window.id), Some(window.clone()));
            let last = EventTime::from_micros(window.end.micros() - 1).unwrap();
            prop_assert_eq!(&calendar.window_at(period, window.start), &window);
            prop_assert_eq!(&calendar.window_at(period, last), &window);
            let next = calendar.window_at(period, window.end);
            prop_assert_eq!(next.start, window.end);
            prop_assert_ne!(&next.id, &window.id);
            window = next;
        }
    }

    /// Where clocks change, all at once: the windows about every change of a zone.
    #[test]
    fn windows_about_a_change_of_clocks_follow_too(
        zone in prop::sample::select(zones()),
        period in prop::sample::select(Period::ALL.to_vec()),
        seconds in -3_786_825_600i64..4_102_444_800,
    ) {
        let calendar = calendar(&zone);
        let from = jiff::Timestamp::from_second(seconds).unwrap();
        let rules = jiff::tz::TimeZoneDatabase::bundled().get(&zone).unwrap();
        let Some(change) = rules.following(from).next() else { return Ok(()) };
        let at = change.timestamp().as_microsecond();
        for near in [-1, 0, 1, 1_800_000_000, -1_800_000_000, 3_600_000_000, -3_600_000_000] {
            let time = EventTime::from_micros(at + near).unwrap();
            let window = calendar.window_at(period, time);
            prop_assert!(window.contains(time), "{window:?} {time}");
            prop_assert_eq!(calendar.window_of_id(&window.id), Some(window.clone()));
            prop_assert_eq!(calendar.window_at(period, window.end).start, window.end);
            if let Some(before) = EventTime::from_micros(window.start.micros() - 1) {
                prop_assert_eq!(calendar.window_at(period, before).end, window.start);
            }
        }
    }
}

proptest! {
    /// What turns a board relies on it: two whose clocks differ agree on what came later.
    #[test]
    fn usual_window_is_told_by_since_when_it_is_usual_and_that_only_grows(
        seasons in prop::collection::vec((0..30u32, 1..12u32), 1..6),
        periods in prop_oneof![Just("[]"), Just("[\"day\"]"), Just("[\"all\"]"), Just("[\"month\", \"hour\"]")],
        mut days in prop::collection::vec(0..45 * 24u32, 2..20),
    ) {
        let day = |day: u32| format!("2026-{:02}-{:02}", 3 + day / 28, 1 + day % 28);
        let seasons: String = seasons.iter().enumerate().map(|(index, (start, length))| {
            let (start, end) = (day(*start), day(start + length));
            format!("[[board.season]]\nname = \"s{index}\"\nstart = {start}\nend = {end}\n")
        }).collect();
        let board = board(&format!("windows = {periods}\n{seasons}"));
        days.sort_unstable();
        let mut before: Option<(std::sync::Arc<Window>, EventTime)> = None;
        for hour in days {
            let at = time("2026-02-25").saturating_add_seconds(i64::from(hour) * 3600);
            let (window, since) = board.usual_window(at);
            prop_assert!(since <= at);
            if let Some((was, since_before)) = before {
                prop_assert!(since_before <= since);
                prop_assert!(was == window || since_before < since, "{} and {}", was.id, window.id);
            }
            let present = board.windows_at(at);
            let on = |window: &Window| present.contains(window);
            prop_assert!(on(&window) || present.is_empty(), "{} is not on", window.id);
            before = Some((window, since));
        }
    }
}
