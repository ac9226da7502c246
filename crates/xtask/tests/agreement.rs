//! What is written in more than one place says the same everywhere.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use contracts::topics::TOPICS;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

#[test]
fn script_makes_the_topics_of_the_code() {
    let script = text("kafka-topics.sh");
    let made: Vec<Vec<&str>> = script
        .lines()
        .filter_map(|line| line.strip_prefix("topic "))
        .map(|line| line.split(' ').collect())
        .collect();
    let listed: Vec<Vec<String>> = TOPICS
        .iter()
        .map(|topic| {
            let settings = topic.config.iter().map(|(key, value)| format!("{key}={value}"));
            [topic.name.to_owned(), topic.partitions.to_string()].into_iter().chain(settings).collect()
        })
        .collect();
    assert_eq!(made, listed);
}

#[test]
fn documents_name_every_topic_with_its_partitions() {
    let document = text("docs/wire-formats.md");
    for topic in TOPICS {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{}` |", topic.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", topic.name));
        let compacted = topic.config.contains(&("cleanup.policy", "compact"));
        assert_eq!(row.contains("compacted"), compacted, "{row}");
        assert!(compacted || row.contains(&format!("{} partition", topic.partitions)), "{row}");
    }
}

#[test]
fn tests_that_the_architecture_names_exist() {
    let architecture = text("ARCHITECTURE.md");
    let mut sources = String::new();
    let mut folders = vec![root().join("crates"), root().join("controller")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let table = architecture.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let named: Vec<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|name| name.trim_end_matches('…'))
        .filter(|name| name.matches('_').count() >= 3)
        .collect();
    assert!(named.len() >= 8, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}")), "no test is called {name}");
    }
}
