//! `.env.example` is complete and says the programs' own defaults.

use e2e::{Infra, Service};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Settings that are no program's own: the log filter, and what two subcommands of a tool share.
const ELSEWHERE: [&str; 1] = ["RUST_LOG"];

/// Variable → default, as `--help` of a program or subcommand tells.
fn told_by(infra: &Infra, program: &str, subcommand: &[&str]) -> BTreeMap<String, String> {
    let output = Command::new(infra.programs.join(program))
        .args(subcommand)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    // Lines are wrapped anywhere.
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut told = BTreeMap::new();
    for rest in help.split("[env: ").skip(1) {
        // What is said of this option, before the next one begins.
        let said = rest.split("--").next().unwrap();
        let (name, said) = said.split_once(']').unwrap();
        let default = said.split_once("[default: ").and_then(|(_, default)| default.split_once(']'));
        let default = default.map_or("", |(default, _)| default.trim_matches('"'));
        told.insert(name.trim_end_matches('=').to_owned(), default.to_owned());
    }
    told
}

#[test]
fn env_example_is_complete_and_true() {
    let Some(infra) = Infra::from_env() else { return };
    let mut told = BTreeMap::new();
    for service in Service::ALL {
        for (name, default) in told_by(&infra, service.program(), &[]) {
            // Some can do without what others need.
            let told: &mut String = told.entry(name).or_default();
            if told.is_empty() {
                *told = default;
            }
        }
    }
    for (program, subcommand) in [
        ("boardctl", &["topics", "create"][..]),
        ("boardctl", &["migrate"]),
        ("boardctl", &["dead-letters", "replay"]),
        ("boardctl", &["offsets"]),
        ("boardctl", &["erase-player"]),
        ("boardctl", &["verify"]),
        ("score-generator", &["load"]),
        ("score-generator", &["replay"]),
    ] {
        for (name, default) in told_by(&infra, program, subcommand) {
            told.entry(name).or_insert(default);
        }
    }
    assert!(told.len() > 15, "{told:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env.example");
    let text = std::fs::read_to_string(file).unwrap();
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let assignment = line.strip_prefix('#').unwrap_or(line);
        if let Some((name, value)) = assignment.split_once('=')
            && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        {
            assert!(listed.insert(name.to_owned(), value.to_owned()).is_none(), "{name} stands twice");
        }
    }
    for name in ELSEWHERE {
        assert!(listed.remove(name).is_some(), "{name} is missing");
    }
    assert_eq!(listed, told);
}
