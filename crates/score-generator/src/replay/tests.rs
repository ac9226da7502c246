//! Files as people have them, and what becomes of their rows.

use super::*;
use crate::outlet::Lines;
use crate::settings::{Command, Settings};
use clap::Parser as _;

/// What a replay of `file` sends, and what it says of its rows.
fn replay(name: &str, file: &[u8], flags: &[&str]) -> anyhow::Result<(Vec<String>, Rows)> {
    let all = ["score-generator", "replay", name].into_iter().chain(flags.iter().copied());
    let Command::Replay(settings) = Settings::try_parse_from(all)?.command else { unreachable!() };
    let mut sent = Vec::new();
    let mut outlet = Lines::new(&mut sent);
    let mut replay = Replay::open(&settings, file)?;
    replay.run(&mut outlet, &Stop::default())?;
    outlet.finish(Duration::ZERO)?;
    drop(outlet);
    let lines = String::from_utf8(sent)?.lines().map(str::to_owned).collect();
    Ok((lines, replay.into_rows()))
}

fn reasons(rows: &Rows) -> Vec<String> {
    rows.refusals.iter().map(ToString::to_string).collect()
}

fn misuse(name: &str, file: &str, flags: &[&str]) -> String {
    let error = replay(name, file.as_bytes(), flags).unwrap_err();
    assert!(error.is::<Misuse>(), "{error:#}");
    error.to_string()
}

const GOALS: &str = "\
date,team,scorer,minute,own_goal
1916-07-02,Uruguay,José Piendibene,44,FALSE
1916-07-02,Uruguay,NA,55,FALSE
1916-07-03,Chile,\"Smith, \"\"Jo\"\"\",1,TRUE
1916-07-03,Chile,7,,FALSE
";

#[test]
fn goals_are_mapped_filtered_and_refused() {
    let flags = ["--map", "user_id=scorer,created_at=date,score=1", "--where", "own_goal=FALSE"];
    let (sent, rows) = replay("goals.csv", GOALS.as_bytes(), &flags).unwrap();
    assert_eq!(
        sent,
        [
            r#"{"score":1,"user_id":"José Piendibene","created_at":"1916-07-02"}"#,
            r#"{"score":1,"user_id":7,"created_at":"1916-07-03"}"#,
        ]
    );
    assert_eq!((rows.read, rows.filtered, rows.refused), (4, 1, 1));
    assert_eq!(reasons(&rows), ["line 3, column `scorer`: `user_id` has no value: `NA`"]);
}

#[test]
fn every_member_can_come_from_a_column_or_be_given() {
    let map = "tags.team=team,nickname=scorer,user_id='x,\"1',score=minute,event_id=date,tags.kind='a''b'";
    let flags = ["--map", map, "--where", "scorer!=NA,minute!=''"];
    let (sent, _) = replay("goals.csv", GOALS.as_bytes(), &flags).unwrap();
    assert_eq!(
        sent[1],
        r#"{"score":1,"user_id":"x,\"1","event_id":"1916-07-03","nickname":"Smith, \"Jo\"","tags":{"kind":"a'b","team":"Chile"}}"#
    );
}

#[test]
fn bad_rows_are_told_with_line_column_and_reason_and_stop_nothing() {
    let mut file = b"user_id,score,created_at,tags.country\n".to_vec();
    file.extend_from_slice(b"1,5,2026-01-01,MT\n1,five,2026-01-01,MT\n1,5\n\"two\nlines\",5,2026-01-01,\n");
    file.extend_from_slice(b"1,5,02/07/1916,MT\n\xff,5,2026-01-01,MT\n1,1e400,2026-01-01,MT\n");
    file.extend_from_slice(b"1,5,9000-01-01,MT\n1,5,NA,MT\n2,-2.50,2026-01-01T10:00:00+02:00,NA\n");
    let (sent, rows) = replay("scores.csv", &file, &[]).unwrap();
    assert_eq!(
        sent,
        [
            r#"{"score":5,"user_id":1,"created_at":"2026-01-01","tags":{"country":"MT"}}"#,
            r#"{"score":-2.50,"user_id":2,"created_at":"2026-01-01T10:00:00+02:00"}"#,
        ]
    );
    let told = reasons(&rows);
    assert_eq!((rows.read, rows.refused), (10, 8));
    for (told, expected) in told.iter().zip([
        "line 3, column `score`: `score` is not a number: `five`",
        "line 4: has 2 fields; the header has 4",
        "line 5, column `user_id`: `user_id` holds the control character U+000A",
        "line 7, column `created_at`: `created_at` is not an ISO 8601 time",
        "line 8, column `user_id`: is not UTF-8",
        "line 9, column `score`: `score` is out of range",
        "line 10, column `created_at`: `created_at` is 9000-01-01T00:00:00Z, over 600 s after its arrival",
        "line 11, column `created_at`: `created_at` has no value: `NA`",
    ]) {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn json_lines_that_are_events_go_as_they_stand() {
    let file = concat!(
        "\u{feff}{\"user_id\":\"7\", \"score\": 1.50, \"tags\": {\"a\":\"b\"}, \"extra\": [1, null]}\r\n",
        "\n",
        "{\"user_id\":7,\"score\":\"5\"}\n",
        "[1]\n",
        "{\"user_id\":7,\n",
        "{\"user_id\":null,\"score\":1}\n",
        "{\"user_id\":7,\"score\":1,\"score\":2}\n",
        "{\"user_id\":7,\"score\":2,\"nickname\":\"NA\",\"note\":\"NA\"}",
    );
    let (sent, rows) = replay("events.ndjson", file.as_bytes(), &[]).unwrap();
    assert_eq!(
        sent,
        [
            r#"{"user_id":"7","score":1.50,"tags":{"a":"b"},"extra":[1, null]}"#,
            r#"{"user_id":7,"score":2,"note":"NA"}"#,
        ]
    );
    let told = reasons(&rows);
    assert_eq!((rows.read, rows.refused), (7, 5));
    for (told, expected) in told.iter().zip([
        "line 3, column `score`: `score` is a string; it must be a number",
        "line 4: is not a JSON object: invalid type: sequence, expected an object",
        "line 5: is not a JSON object: EOF while parsing",
        "line 6, column `user_id`: `user_id` is missing",
        "line 7, column `score`: `score` stands twice",
    ]) {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn json_lines_can_be_mapped_too() {
    let file = r#"{"who":42,"when":"2026-01-01","points":3,"level":9,"ok":true}
{"who":42,"points":3,"ok":true}
{"who":42,"ok":false}"#;
    let map = "user_id=who,created_at=when,score=points,tags.level=level";
    let (sent, rows) = replay("x.jsonl", file.as_bytes(), &["--map", map, "--where", "ok=true"]).unwrap();
    assert_eq!(sent, [r#"{"score":3,"user_id":42,"created_at":"2026-01-01","tags":{"level":"9"}}"#]);
    assert_eq!(reasons(&rows), ["line 2, column `when`: `created_at` has no value"]);
    assert_eq!(rows.filtered, 1);
}

#[test]
fn overlong_and_undecodable_json_lines_are_rows_too() {
    let mut file = vec![b' '; 3 * 1024 * 1024];
    file.extend_from_slice(b"{}\n\xff\xfe\n{\"user_id\":1,\"score\":1}\n");
    let (sent, rows) = replay("x", &file, &["--format", "jsonl"]).unwrap();
    assert_eq!(sent.len(), 1);
    let told = reasons(&rows);
    assert!(told[0].starts_with("line 1: is longer than 1048576 bytes"), "{told:?}");
    assert!(told[1].starts_with("line 2: is not UTF-8"), "{told:?}");
}

#[test]
fn what_means_no_value_can_be_said() {
    let flags = ["--map", "user_id=scorer,score=1", "--missing", "José Piendibene,7"];
    let (sent, rows) = replay("goals.csv", GOALS.as_bytes(), &flags).unwrap();
    assert_eq!((sent.len(), rows.refused), (2, 2));
    assert!(sent[0].contains(r#""user_id":"NA""#));
}

#[test]
fn wrong_maps_are_usage_errors_that_list_the_columns() {
    let columns = "; the columns are: date, team, scorer, minute, own_goal";
    for (map, says) in [
        (
            "user_id=player,score=1",
            "--map user_id=player: `player` is neither a column nor a number nor 'text in single quotes'",
        ),
        ("user_id=\"player\",score=1", "--map: there is no column `player`"),
        ("score=1", "nothing says where `user_id` comes from: --map user_id=…"),
        ("user_id=scorer", "nothing says where `score` comes from: --map score=…"),
    ] {
        assert_eq!(misuse("goals.csv", GOALS, &["--map", map]), format!("{says}{columns}"));
    }
    for (map, says) in [
        ("player=scorer", "--map: an event has no member `player`"),
        ("tags.=scorer", "--map: an event has no member `tags.`"),
        ("user_id=scorer,user_id=1", "--map: `user_id` is mapped twice"),
        ("user_id!=scorer", "`!=` is for --where"),
    ] {
        assert!(misuse("goals.csv", GOALS, &["--map", map]).contains(says), "{map}");
    }
    assert!(misuse("goals.csv", GOALS, &[]).starts_with("nothing says where `user_id` comes from"));
    assert!(misuse("a.csv", "a,a,b\n", &["--map", "user_id=a,score=1"]).contains("several columns"));
    assert!(misuse("goals.txt", GOALS, &[]).contains("use --format"));
    assert!(misuse("goals.csv", "", &[]).contains("begins with a header row"));
}

#[test]
fn replay_keeps_the_distances_of_its_rows_times_the_factor() {
    let at = |seconds: i64| EventTime::from_micros(seconds * 1_000_000).unwrap();
    let mut tempo = Tempo { speed: Some(60.0), first: None };
    let due: Vec<_> = [100, 160, 130, 50, 100 + 3600].map(|seconds| tempo.due(at(seconds))).into();
    let expected = [0, 1000, 500, 0, 60_000].map(|millis| Some(Duration::from_millis(millis)));
    assert_eq!(due, expected);
    assert_eq!(Tempo { speed: None, first: None }.due(at(1)), None);
}
