//! The real program on real goals, as the shared data's README counts them.

use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The file with a century of goals; it is not part of the repository.
fn goalscorers() -> Option<PathBuf> {
    let path = std::env::var_os("GOALSCORERS_CSV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/goalscorers.csv"),
        PathBuf::from,
    );
    path.exists().then_some(path)
}

fn score_generator(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_score-generator"))
        .args(arguments)
        .output()
        .expect("the program can be run")
}

#[test]
fn a_century_of_goals_is_mapped_as_counted_independently() {
    let Some(file) = goalscorers() else {
        eprintln!("SKIPPED: no goalscorers.csv; say where it is in GOALSCORERS_CSV");
        return;
    };
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("goalscorers.json");
    let output = score_generator(&[
        "replay",
        file.to_str().unwrap(),
        "--map",
        "user_id=scorer,created_at=date,score=1",
        "--where",
        "own_goal=FALSE",
        "--print",
        "--report",
        report.to_str().unwrap(),
    ]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("47,914 read, 936 filtered out, 44 refused"), "{told}");
    assert!(told.contains("46,934 sent, 46,934 acknowledged, 0 failed"), "{told}");
    assert!(told.contains("and 34 more"), "{told}");

    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(["read", "filtered", "refused", "sent"].map(count), [47_914, 936, 44, 46_934]);
    let refusals = report["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), 44);
    assert!(refusals.iter().all(|refused| refused["column"] == "scorer"));

    let mut goals: HashMap<String, u32> = HashMap::new();
    let events = String::from_utf8(output.stdout).unwrap();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        *goals.entry(event["user_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(goals.len(), 14_853);
    for (scorer, expected) in [
        ("Cristiano Ronaldo", 124),
        ("Harry Kane", 75),
        ("Lionel Messi", 71),
        ("Robert Lewandowski", 69),
        ("Edin Džeko", 58),
        ("Luis Suárez", 51),
    ] {
        assert_eq!(goals[scorer], expected, "{scorer}");
    }
    assert!(events.starts_with(r#"{"score":1,"user_id":"José Piendibene","created_at":"1916-07-02"}"#));
}

#[test]
fn printed_load_is_events_on_stdout_and_the_summary_on_stderr() {
    let output = score_generator(&["load", "--seed", "42", "--count", "5", "--rate", "0", "--print"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let golden = include_str!("golden/load-seed-42-rate-0.jsonl");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), golden);
    assert!(told.contains("--seed 42 --start 2026-01-01T00:00:00Z"), "{told}");
}

#[test]
fn wrong_command_lines_end_with_code_2() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two-columns.csv");
    std::fs::write(&file, "who,points\n1,2\n").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        &["replay", file, "--print", "--map", "user_id=player,score=points"][..],
        &["replay", file, "--print", "--map", "user_id"],
        &["replay", file, "--print", "--map", "user_id=who,score=points", "--where", "when=now"],
        &["load", "--rate", "-1"],
        &["play"],
    ] {
        let output = score_generator(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty());
    }
    let absent = score_generator(&["replay", "absent.csv", "--print"]);
    assert_eq!(absent.status.code(), Some(1));
}
