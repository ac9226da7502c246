//! The fault harness in a step of its own of `cargo xtask test`: it wants the machine's cores,
//! and its servers are killed.
//!
//! Right must be found right, and, with a protection switched off, wrong must be found wrong.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use e2e::faults::plan::Kind;
use e2e::faults::{DECK, Invariant, Options, Protection, Report, Servers, run};
use std::sync::Arc;
use std::time::Duration;

/// In the folder of the target directory that is the tests' own.
const FOLDER: &str = "faults-test-stack";
/// The schedule of CI; `RANKSTREAM_FAULTS_SEED` asks for another.
const SEED: u64 = 20_261_121;
const FAULTS: usize = 64;
const GAP: Duration = Duration::from_millis(3600);

/// What makes a consumer without protection fail soon.
const FOR_CONSUMERS: [(Kind, usize); 4] =
    [(Kind::Kill, 3), (Kind::Freeze, 2), (Kind::Delay, 2), (Kind::LoseReplies, 3)];

fn seed() -> u64 {
    let asked = std::env::var("RANKSTREAM_FAULTS_SEED");
    asked.ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

fn in_ci(seed: u64) -> Options {
    Options {
        seed,
        faults: FAULTS,
        gap: GAP,
        deck: DECK.to_vec(),
        length: Duration::ZERO,
        rate: 5000,
        viewers: 50,
        protection: Protection::Whole,
        end_limits: [Duration::from_secs(90), Duration::from_secs(30)],
    }
}

/// A short run without `protection`.
fn without(protection: Protection) -> Options {
    let faults = if protection == Protection::NoTrailingEdge { 0 } else { 16 };
    Options {
        faults,
        gap: Duration::from_millis(1000),
        deck: FOR_CONSUMERS.to_vec(),
        length: Duration::from_secs(12),
        viewers: 4,
        protection,
        // What is wrong stays wrong; what is late may be.
        end_limits: [Duration::from_secs(10), Duration::from_secs(6)],
        ..in_ci(SEED)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn told(report: &Report) -> &Report {
    eprintln!("{report}");
    report
}

#[test]
#[ignore = "a step of its own: `cargo xtask test` runs it after the others"]
fn sixty_faults_lose_double_and_hide_nothing() {
    runtime().block_on(async {
        let servers = Arc::new(Servers::start(FOLDER).await.unwrap());
        let report = run(&servers, &in_ci(seed())).await.unwrap();
        drop(servers);
        assert!(told(&report).is_right(), "seed {}: {:?}", report.seed, report.violations);
        assert!(report.records >= 5000 * 100 && report.poison > 0 && report.resubmitted > 0);
        assert!(report.faults.len() >= 60);
    });
}

#[test]
#[ignore = "a step of its own: `cargo xtask test` runs it after the others"]
fn without_a_protection_the_same_run_is_found_wrong() {
    use Invariant::{ArchiveRowsAreItsOffset, BoardIsTheLog, BoardIsTheLogUpToItsOffsets, LastFrameIsTheTop};
    let consumers = &[BoardIsTheLogUpToItsOffsets, BoardIsTheLog][..];
    let both = &[BoardIsTheLogUpToItsOffsets, BoardIsTheLog, ArchiveRowsAreItsOffset][..];
    runtime().block_on(async {
        let servers = Arc::new(Servers::start(FOLDER).await.unwrap());
        for (protection, expected) in [
            (Protection::NoFence, both),
            (Protection::Apart, both),
            (Protection::AtMostOnce, consumers),
            (Protection::NoTrailingEdge, &[LastFrameIsTheTop]),
        ] {
            eprintln!("=== {protection:?}");
            let report = run(&servers, &without(protection)).await.unwrap();
            let found = &told(&report).violations;
            let is_found = |invariant: &Invariant| found.contains_key(&invariant.to_string());
            assert!(
                expected.iter().all(is_found),
                "{protection:?} was not found wrong as it is, seed {}: {found:?}",
                report.seed
            );
        }
    });
}
