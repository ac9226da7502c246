//! The real program making load.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Crowds, sessions and streaks, all at once.
const LIVELY: &[&str] =
    &["--lively", "--players", "200", "--seed", "42", "--churn", "5000", "--hot", "0.2:5", "--rate", "0"];
/// Every fault.
const FAULTY: &[&str] = &[
    "--seed",
    "42",
    "--rate",
    "0",
    "--event-ids",
    "--duplicates",
    "0.1",
    "--late",
    "0.1",
    "--late-by",
    "1h",
    "--out-of-order",
    "0.1",
    "--malformed",
    "0.2",
    "--future",
    "0.05",
    "--oversize",
    "0.001",
];

fn load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_score-generator"))
        .arg("load")
        .args(arguments)
        .env_remove("API_KEY")
        .output()
        .expect("the program can be run")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// FNV-1a, which is short enough to be written down here.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

fn holds(recipe: &[&str], golden: &[u8], expected: u64) {
    let output = load(&[recipe, &["--print", "--count", "20000"]].concat());
    assert!(output.status.success(), "{}", told(&output));
    assert!(output.stdout.starts_with(golden), "{}", String::from_utf8_lossy(&output.stdout[..golden.len()]));
    let found = fingerprint(&output.stdout);
    assert_eq!(found, expected, "the bytes have changed: {found:#X}");
}

#[test]
fn lively_load_of_a_seed_is_the_same_bytes_on_every_machine() {
    holds(LIVELY, include_bytes!("golden/load-lively-seed-42.jsonl"), 0x3374_FE01_8162_DD06);
}

#[test]
fn faulty_load_of_a_seed_is_the_same_bytes_on_every_machine() {
    holds(FAULTY, include_bytes!("golden/load-faulty-seed-42.jsonl"), 0x17C7_2EE5_9C73_63E4);
}

#[test]
fn faults_are_counted_by_kind() {
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faulty.json");
    let output =
        load(&[FAULTY, &["--print", "--count", "20000", "--report", report.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", told(&output));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let records = report["records"].as_object().unwrap();
    let malformed = records["malformed"].as_object().unwrap();
    assert_eq!(malformed.len(), 13, "{malformed:?}");
    let count = |value: &Value| value.as_u64().unwrap();
    let all: u64 =
        records.iter().filter(|(name, _)| *name != "malformed").map(|(_, value)| count(value)).sum();
    assert_eq!(all + malformed.values().map(count).sum::<u64>(), 20_000);
    assert!(told(&output).contains(" duplicates\nunusable "), "{}", told(&output));
}

#[test]
fn shaped_load_sends_what_its_schedule_comes_to() {
    let shape = ["--stages", "0:0,200ms:10k,200ms:0", "--burst", "50ms:10ms:5k", "--max-behind", "1h"];
    let output = load(&[&shape[..], &["--seed", "1", "--print", "--duration", "200ms"]].concat());
    assert!(output.status.success(), "{}", told(&output));
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    // A triangle of 1,000 and three bursts of 50.
    assert_eq!(lines.len(), 1150);
    let micros = |line: &Value| line["created_at"].as_str().unwrap()[20..].parse::<u64>().unwrap();
    let within = |from: u64, to: u64| lines.iter().filter(|line| (from..to).contains(&micros(line))).count();
    assert_eq!((within(0, 50_000), within(50_000, 60_000)), (63, 27 + 50));
    assert!(lines.is_sorted_by_key(micros));
}

#[test]
fn run_that_cannot_keep_its_rate_says_so_with_code_3() {
    // No machine makes so many: behind for certain, however long the run.
    let flat_out = ["--rate", "100M", "--duration", "30ms", "--print", "--max-behind", "1ms"];
    let output = load(&flat_out);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).contains("events by over 1 ms, for "), "{}", told(&output));
    // Without a rate there is nothing to be behind of.
    let output = load(&["--rate", "0", "--count", "10", "--print", "--max-behind", "1ms"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[test]
fn what_cannot_be_ends_with_code_2_and_its_reason() {
    for (arguments, says) in [
        (&["--stages", "0:1k", "--rate", "5"][..], "cannot be used with"),
        (&["--rate", "0", "--burst", "1s:1s:5"], "--stages 0:0"),
        (&["--rate", "10", "--sine", "1s:11"], "swings by 11"),
        (&["--players", "5", "--hot", "0.5:6"], "there are 5"),
        (&["--duplicates", "0.1"], "--event-ids"),
        (&["--late", "0.6", "--malformed", "0.6"], "more than 1"),
        (&["--target", "http", "--malformed", "0.1"], "--target kafka"),
        (&["--target", "http", "--judge"], "--target kafka"),
        (&["--target", "http", "--api", "ftp://here"], "http://"),
    ] {
        let output = load(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(says), "{arguments:?}: {}", told(&output));
        assert!(output.stdout.is_empty());
    }
}
