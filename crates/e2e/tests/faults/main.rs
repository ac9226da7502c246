//! The fault harness in a step of its own of `cargo xtask test`: it wants the machine's cores,
//! and its servers are killed.
//!
//! Right must be found right, and, with a protection switched off, wrong must be found wrong.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use e2e::Service;
use e2e::faults::fault::{Fault, Instance, Link, Server};
use e2e::faults::{DECK, Invariant, Options, Plan, Protection, Servers, Step, run};
use std::sync::Arc;
use std::time::Duration;

/// In the target directory.
const FOLDER: &str = "faults-test-stack";
/// The schedule of CI; `RANKSTREAM_FAULTS_SEED` asks for another.
const SEED: u64 = 20_261_121;
const FAULTS: usize = 64;
const GAP: Duration = Duration::from_millis(3600);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn in_ci(seed: u64) -> Options {
    Options {
        plan: Plan::draw(seed, FAULTS, GAP, &DECK),
        slow: Duration::ZERO,
        length: Duration::ZERO,
        rate: 5000,
        viewers: 50,
        protection: Protection::Whole,
        end_limits: [seconds(90.0), seconds(30.0)],
    }
}

/// What a consumer without protection does not survive: a kill in the middle of a write, a lost
/// reply, a zombie. Writes take a while, so that there is always one to be in the middle of.
fn hard_on_consumers() -> Vec<Step> {
    let ranker = |second| Instance { service: Service::Ranker, second };
    let archiver = |second| Instance { service: Service::Archiver, second };
    let link = |client, server| Link { client: Some(client), server };
    let mut steps = Vec::new();
    // Longer than a session, while the group is settled: who owns nothing writes nothing late. Shorter
    // than a store may take to answer: who has given up on its write asks before the next.
    let (zombie, rounds) = (seconds(4.5), [(false, 4.0), (true, 10.0), (false, 16.0)]);
    for (second, at) in rounds {
        steps.push((seconds(at), Fault::Freeze(ranker(second), zombie)));
        steps.push((seconds(at + 0.2), Fault::Freeze(archiver(second), zombie)));
    }
    for (round, second) in [false, true, false].into_iter().enumerate() {
        let at = seconds(24.0) + seconds(5.0) * u32::try_from(round).unwrap();
        let lost = seconds(0.4);
        steps.extend([
            (at, Fault::LoseReplies(link(ranker(second), Server::Redis), lost)),
            (at + seconds(0.1), Fault::LoseReplies(link(archiver(second), Server::Postgres), lost)),
            (at + seconds(1.0), Fault::Kill(ranker(!second), seconds(0.2))),
            (at + seconds(1.5), Fault::Kill(archiver(!second), seconds(0.2))),
        ]);
    }
    steps.into_iter().map(|(at, fault)| Step { at, fault }).collect()
}

/// A short run without `protection`.
fn without(protection: Protection) -> Options {
    let is_of_consumers = protection != Protection::NoTrailingEdge;
    let steps = if is_of_consumers { hard_on_consumers() } else { Vec::new() };
    Options {
        plan: Plan { seed: SEED, steps },
        slow: if is_of_consumers { seconds(0.05) } else { Duration::ZERO },
        length: seconds(12.0),
        rate: 2000,
        viewers: 4,
        protection,
        // What is wrong stays wrong; what is late may be.
        end_limits: [seconds(15.0), seconds(6.0)],
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
#[ignore = "a step of its own: `cargo xtask test` runs it after the others"]
fn sixty_faults_lose_double_and_hide_nothing() {
    let asked = std::env::var("RANKSTREAM_FAULTS_SEED");
    let seed = asked.map_or(SEED, |seed| seed.parse().unwrap());
    runtime().block_on(async {
        let servers = Arc::new(Servers::start(FOLDER).await.unwrap());
        let report = run(&servers, &in_ci(seed)).await.unwrap();
        drop(servers);
        eprintln!("{report}");
        assert!(report.is_right(), "seed {seed}");
        assert!(report.faults.len() >= 60);
        assert!(report.records > 0 && report.poison > 0 && report.resubmitted > 0 && report.late > 0);
        // Seasons began, ended and left Redis meanwhile.
        assert!(report.views[0] > 0 && report.views[1] > 0, "{:?}", report.views);
    });
}

#[test]
#[ignore = "a step of its own: `cargo xtask test` runs it after the others"]
fn without_a_protection_a_run_is_found_wrong() {
    use Invariant::{ArchiveRowsAreItsOffset, BoardIsTheLog, LastFrameIsTheTop, VerifyFindsNothing};
    runtime().block_on(async {
        let servers = Arc::new(Servers::start(FOLDER).await.unwrap());
        for (protection, expected) in [
            (Protection::Whole, &[][..]),
            // The archive's primary key is a second fence.
            (Protection::NoFence, &[BoardIsTheLog, VerifyFindsNothing][..]),
            (Protection::Apart, &[BoardIsTheLog, ArchiveRowsAreItsOffset, VerifyFindsNothing]),
            (Protection::AtMostOnce, &[BoardIsTheLog, ArchiveRowsAreItsOffset, VerifyFindsNothing]),
            (Protection::NoTrailingEdge, &[LastFrameIsTheTop]),
        ] {
            eprintln!("=== {protection:?}");
            let report = run(&servers, &without(protection)).await.unwrap();
            eprintln!("{report}");
            // With everything on, the very same run is right.
            assert_eq!(report.is_right(), protection == Protection::Whole, "{protection:?}");
            for invariant in expected {
                let is_found = report.violations.contains_key(&invariant.to_string());
                assert!(is_found, "{protection:?}: that {invariant} still holds");
            }
        }
    });
}
