//! Imports go downwards only.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

/// The rooms from the lowest up. A crate may depend on those below it, and on `pipeline`'s
/// contract of a sink where it implements one; services never on each other.
const LEVELS: [&[&str]; 9] = [
    // What tests and the project's commands use; no program knows it.
    &["free-ports"],
    // Which servers the tests may use; no program knows it.
    &["contracts", "service", "test-servers"],
    &["boards", "pipeline", "api-client"],
    // What random boards and events the tests have of all above; no program knows it.
    &["board-generators", "board-store", "archive-store"],
    // What judges a load run knows no store but the archive, and is known by the generator alone.
    &["recovery", "judge"],
    &["score-generator", "score-ranker", "score-archiver", "board-cache", "boardctl", "controller"],
    // Knows of ours the ports alone; the whole-system tests start their servers with it.
    &["xtask"],
    &["e2e", "simulator"],
    &["bench"],
];
/// The whole-system tests and the benchmarks look at the servers themselves, or stand in for them.
const WHOLE: [&str; 3] = ["e2e", "simulator", "bench"];
/// Who alone, beside those, may know a client library.
const ALONE: [(&str, &str); 3] =
    [("rdkafka", "pipeline"), ("redis", "board-store"), ("sqlx", "archive-store")];

/// (crate → what it depends on), without what only its tests need.
type Manifests = BTreeMap<String, Vec<String>>;

fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&name))
}

fn faults(manifests: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, dependencies) in manifests {
        let Some(own) = level(name) else {
            faults.push(format!("{name} has no level: give it one"));
            continue;
        };
        for dependency in dependencies {
            if level(dependency).is_some_and(|other| other >= own) {
                faults.push(format!("{name} may not depend on {dependency}"));
            }
            let alone = ALONE.iter().find(|(library, _)| library == dependency);
            if alone.is_some_and(|(_, owner)| owner != name) && !WHOLE.contains(&name.as_str()) {
                faults.push(format!("{name} may not know {dependency}"));
            }
        }
    }
    faults
}

fn manifests() -> Manifests {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    crates
        .chain([root.join("controller")])
        .filter_map(|folder| std::fs::read_to_string(folder.join("Cargo.toml")).ok())
        .map(|text| {
            let manifest: toml::Table = text.parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            let tables = ["dependencies", "build-dependencies"];
            let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
            (name, tables.flat_map(|table| table.keys().cloned()).collect())
        })
        .collect()
}

#[test]
fn no_import_points_up() {
    let manifests = manifests();
    assert_eq!(manifests.len(), LEVELS.iter().map(|level| level.len()).sum::<usize>());
    assert_eq!(faults(&manifests), Vec::<String>::new());
}

#[test]
fn an_import_that_points_up_is_found() {
    for (name, dependency, reason) in [
        ("contracts", "pipeline", "may not depend"),
        ("board-store", "score-ranker", "may not depend"),
        ("score-ranker", "score-archiver", "may not depend"),
        ("controller", "redis", "may not know"),
        ("newcomer", "contracts", "has no level"),
    ] {
        let mut manifests = manifests();
        manifests.entry(name.to_owned()).or_default().push(dependency.to_owned());
        let faults = faults(&manifests);
        assert!(faults.len() == 1 && faults[0].contains(reason), "{faults:?}");
    }
}
