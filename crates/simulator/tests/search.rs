//! A hundred thousand runs, and the protections switched off one by one.

#![allow(clippy::unwrap_used, reason = "tests")]

use board_cache::TrailingEdge;
use board_store::Fence;
use simulator::Protections;
use simulator::choices::Choices;
use simulator::search::{attempt, search};

/// How many runs; a minute and a quarter on two cores.
const RUNS: u64 = 100_000;
/// Within so many runs a protection that is off must be missed.
const CONTROL_RUNS: u64 = 5_000;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn no_schedule_of_faults_loses_doubles_or_hides_anything() {
    let seen = search(0, RUNS, threads(), Protections::default(), |_| ());
    let seen = seen.unwrap_or_else(|failure| panic!("{failure}"));
    eprintln!("{seen:?}");
    assert_eq!(seen.runs, RUNS);
    // It was not idle.
    let happened = seen.happened;
    assert!(happened.faults > RUNS && happened.fenced > RUNS / 10 && happened.snapshots > RUNS, "{seen:?}");
}

/// What was found once is right by now.
#[test]
fn tapes_that_failed_once_do_not_fail_again() {
    let tapes = include_str!("found.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut runs = 0;
    for tape in tapes {
        let tape: Vec<u16> = tape.split(' ').map(|value| value.parse().unwrap()).collect();
        if let Err((_, why)) = attempt(Choices::of_tape(&tape), Protections::default()) {
            panic!("{why}\n{tape:?}");
        }
        runs += 1;
    }
    assert!(runs > 0);
}

fn is_missed(protections: Protections) {
    let outcome = search(0, CONTROL_RUNS, threads(), protections, |_| ());
    let failure = outcome.expect_err("nobody misses what is switched off");
    eprintln!("{} choices: {}", failure.tape.len(), failure.tape_why);
}

#[test]
fn rankers_fence_is_missed() {
    is_missed(Protections { fence: Fence::Off, ..Protections::default() });
}

#[test]
fn offsets_apart_from_data_are_found() {
    is_missed(Protections { fence: Fence::Apart, ..Protections::default() });
}

#[test]
fn at_most_once_is_found() {
    is_missed(Protections { fence: Fence::AtMostOnce, ..Protections::default() });
}

#[test]
fn archivers_fence_is_missed() {
    is_missed(Protections { archive_fenced: false, ..Protections::default() });
}

#[test]
fn trailing_edge_is_missed() {
    is_missed(Protections { trailing_edge: TrailingEdge::Off, ..Protections::default() });
}
