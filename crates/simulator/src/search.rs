//! Many runs at once, and what to do when one fails.

use crate::choices::{Choices, shrink};
use crate::world::{Happened, Protections, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many runs a failing one is shrunk with at most.
const SHRINK_TRIES: usize = 4000;

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was wrong.
    pub why: String,
    /// The shortest tape found that fails too.
    pub tape: Vec<u16>,
    /// What is wrong with that.
    pub tape_why: String,
    /// What happens in it.
    pub story: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tape: Vec<String> = self.tape.iter().map(ToString::to_string).collect();
        write!(
            formatter,
            "seed {}: {}\nshrunk to {} choices: {}\n{}\ntape: {}",
            self.seed,
            self.why,
            self.tape.len(),
            self.tape_why,
            self.story.join("\n"),
            tape.join(" ")
        )
    }
}

/// What many runs saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How many runs there were.
    pub runs: u64,
    /// What happened in all of them.
    pub happened: Happened,
}

/// One run; a panic is a failure like any other.
///
/// # Errors
/// What was wrong.
pub fn attempt(choices: Choices, protections: Protections) -> Result<(Choices, Happened), (Choices, String)> {
    let kept = choices.clone();
    match catch_unwind(AssertUnwindSafe(|| run(choices, protections))) {
        Ok((choices, Ok(happened))) => Ok((choices, happened)),
        Ok((choices, Err(why))) => Err((choices, why)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err((kept, format!("panicked: {}", text.unwrap_or_default())))
        }
    }
}

/// Runs the seeds from `first` on, `runs` of them, on `threads` threads, until one fails.
///
/// # Errors
/// The failure of the lowest seed that failed first, shrunk.
///
/// # Panics
/// When a thread cannot be started.
pub fn search(
    first: u64,
    runs: u64,
    threads: usize,
    protections: Protections,
    on_progress: impl Fn(u64) + Sync,
) -> Result<Seen, Failure> {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let seen = Mutex::new(Seen::default());
    let failure: Mutex<Option<(u64, Choices, String)>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Seen::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs || failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    match attempt(Choices::of_seed(seed), protections) {
                        Ok((_, happened)) => {
                            mine.runs += 1;
                            mine.happened.add(happened);
                        }
                        Err((choices, why)) => {
                            failed.store(true, Ordering::Relaxed);
                            let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                            if failure.as_ref().is_none_or(|(other, ..)| seed < *other) {
                                *failure = Some((seed, choices, why));
                            }
                        }
                    }
                    on_progress(number + 1);
                }
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.runs += mine.runs;
                seen.happened.add(mine.happened);
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner)),
        Some((seed, choices, why)) => Err(shrunk(seed, &choices, why, protections)),
    }
}

fn shrunk(seed: u64, choices: &Choices, why: String, protections: Protections) -> Failure {
    let wrong = |tape: &[u16]| attempt(Choices::of_tape(tape), protections).err().map(|(_, why)| why);
    // A run that panicked has left no tape: then its seed must do.
    let tape = shrink(choices.taken(), SHRINK_TRIES, |tape| wrong(tape).is_some());
    let (story, tape_why) = match attempt(Choices::of_tape(&tape).told(), protections) {
        Err((choices, why)) => (choices.story().to_vec(), why),
        Ok(_) => (Vec::new(), "only the seed fails".to_owned()),
    };
    Failure { seed, why, tape, tape_why, story }
}
