//! `boardctl boards check` as a program: what it says, and how it ends.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of the test's own, away from any .env.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Exit code, standard output, standard error.
fn check(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boardctl"));
    command.current_dir(folder).args(["boards", "check"]).args(arguments).env_remove("BOARDS_FILE");
    // It touches no server: there is none here.
    for server in ["REDIS_URL", "POSTGRES_URL", "KAFKA_BROKERS"] {
        command.env(server, "nowhere");
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn file_without_faults_is_explained_and_ends_well() {
    let folder = folder("boards-check-right");
    let file = "[[board]]\nname = \"goals\"\nwindows = [\"day\"]\ntimezone = \"Europe/Malta\"\n";
    // The one that is taken when none is named.
    std::fs::write(folder.join("boards.toml"), file).unwrap();
    let (code, said, errors) = check(&folder, &["--at", "1999-12-31T23:30:00Z"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.starts_with("boards.toml has no faults; its windows at 1999-12-31T23:30:00Z:"), "{said}");
    assert!(said.contains("\nboard goals\n") && said.contains("2000-01-01T00:00:00+01:00"), "{said}");

    let (code, said, _) = check(&folder, &["boards.toml", "--at", "1999-12-31T23:30:00Z", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["faults"]), (Some(0), &Value::Array(Vec::new())));
    assert_eq!(said["boards"][0]["windows"][0]["id"], "2000-01-01");
}

#[test]
fn files_of_the_project_have_no_faults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in ["boards.toml", "examples/football.toml"] {
        let (code, said, errors) = check(&root.join("crates"), &[root.join(file).to_str().unwrap()]);
        assert_eq!(code, Some(0), "{said}{errors}");
    }
}

#[test]
fn every_fault_is_named_with_its_line_and_the_exit_code_tells() {
    let folder = folder("boards-check-wrong");
    let file =
        "[[board]]\nname = \"goals\"\naggregate = \"mean\"\ntop = 0\n\n[[board]]\nname = \"b\"\ncolour = 1\n";
    std::fs::write(folder.join("bad.toml"), file).unwrap();
    let (code, said, _) = check(&folder, &["bad.toml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("bad.toml has 3 faults:\n"), "{said}");
    for (line, member) in [(3, "aggregate"), (4, "top"), (8, "colour")] {
        let fault = said.lines().find(|fault| fault.starts_with(&format!("bad.toml:{line}: ")));
        assert!(fault.is_some_and(|fault| fault.contains(&format!("`{member}`"))), "{line}: {said}");
    }

    let (code, said, _) = check(&folder, &["bad.toml", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let lines: Vec<_> =
        said["faults"].as_array().unwrap().iter().map(|fault| fault["line"].as_u64()).collect();
    assert_eq!((code, lines), (Some(1), vec![Some(3), Some(4), Some(8)]), "{said}");
    assert_eq!(said["boards"], Value::Array(Vec::new()));
}

#[test]
fn file_that_is_not_there_and_an_instant_that_is_none_are_told_apart() {
    let folder = folder("boards-check-none");
    let (code, said, errors) = check(&folder, &["nowhere.toml"]);
    assert_eq!(code, Some(1), "{said}{errors}");
    assert!((said + &errors).contains("nowhere.toml"));
    let (code, _, errors) = check(&folder, &["nowhere.toml", "--at", "yesterday"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("--at"), "{errors}");
}
