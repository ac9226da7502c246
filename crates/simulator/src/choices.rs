//! Where a run's decisions come from: a seed, or the tape of an earlier run.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// The decisions of one run. A run is a function of these and nothing else.
#[derive(Clone, Debug)]
pub struct Choices {
    source: Source,
    /// What was decided so far.
    taken: Vec<u16>,
    /// What came of it, for a person, if one wants to know.
    story: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(Box<ChaCha8Rng>),
    /// After its end, everything is 0: by convention what happens when nothing goes wrong.
    Tape {
        values: Vec<u16>,
        next: usize,
    },
}

impl Choices {
    /// Those of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self {
            source: Source::Seed(Box::new(ChaCha8Rng::seed_from_u64(seed))),
            taken: Vec::new(),
            story: None,
        }
    }

    /// Those of a tape.
    #[must_use]
    pub fn of_tape(values: &[u16]) -> Self {
        Self { source: Source::Tape { values: values.to_vec(), next: 0 }, taken: Vec::new(), story: None }
    }

    /// A number below `limit`; 0 is the calmest.
    ///
    /// # Panics
    /// When `limit` is 0 or above 65,536.
    pub fn below(&mut self, limit: usize) -> usize {
        assert!((1..=1 << 16).contains(&limit), "{limit}");
        let raw = match &mut self.source {
            // The low bits of ChaCha are as good as any.
            Source::Seed(rng) => (rng.next_u32() & 0xffff) as u16,
            Source::Tape { values, next } => {
                *next += 1;
                values.get(*next - 1).copied().unwrap_or(0)
            }
        };
        let value = usize::from(raw) % limit;
        self.taken.push(u16::try_from(value).expect("below 65,536"));
        value
    }

    /// Whether something happens that does in `percent` of all cases; never on an ended tape.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// The same, told to a person as it goes.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.story = Some(Vec::new());
        self
    }

    /// Adds to the story.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(what());
        }
    }

    /// What happened, if it was to be told.
    #[must_use]
    pub fn story(&self) -> &[String] {
        self.story.as_deref().unwrap_or_default()
    }

    /// What was decided so far: a tape that leads here again.
    #[must_use]
    pub fn taken(&self) -> &[u16] {
        &self.taken
    }
}

/// Makes a failing tape as short and calm as it gets: leaves out pieces, and lowers numbers, for as
/// long as `fails` says that the run still fails; at most `tries` runs.
#[must_use]
pub fn shrink(tape: &[u16], mut tries: usize, mut fails: impl FnMut(&[u16]) -> bool) -> Vec<u16> {
    let mut best = tape.to_vec();
    let mut attempt = |candidate: Vec<u16>, best: &mut Vec<u16>| {
        if tries == 0 || candidate == *best {
            return false;
        }
        tries -= 1;
        let worse = fails(&candidate);
        if worse {
            *best = candidate;
        }
        worse
    };
    loop {
        let before = best.clone();
        let mut size = best.len().next_power_of_two() / 2;
        while size > 0 {
            let mut at = 0;
            while at < best.len() {
                let end = (at + size).min(best.len());
                let without = [&best[..at], &best[end..]].concat();
                let mut calm = best.clone();
                calm[at..end].fill(0);
                if !attempt(without, &mut best) {
                    attempt(calm, &mut best);
                    at += size;
                }
            }
            size /= 2;
        }
        for at in 0..best.len() {
            for value in [best[at] / 2, best[at].saturating_sub(1)] {
                let mut lower = best.clone();
                lower[at] = value;
                attempt(lower, &mut best);
            }
        }
        while best.last() == Some(&0) {
            best.pop();
        }
        if best == before {
            return best;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything_and_its_tape_decides_the_same() {
        let decide = |mut choices: Choices| (0..50).map(|_| choices.below(7)).collect::<Vec<_>>();
        assert_eq!(decide(Choices::of_seed(1)), decide(Choices::of_seed(1)));
        assert_ne!(decide(Choices::of_seed(1)), decide(Choices::of_seed(2)));
        let mut first = Choices::of_seed(1);
        let taken: Vec<_> = (0..50).map(|_| first.below(7)).collect();
        assert_eq!(decide(Choices::of_tape(first.taken())), taken);
    }

    #[test]
    fn shrinking_leaves_what_matters() {
        // Fails when a 5 or more comes anywhere before a 9.
        let fails = |tape: &[u16]| {
            let five = tape.iter().position(|value| *value >= 5);
            five.is_some_and(|at| tape[at + 1..].contains(&9))
        };
        let tape = [1, 7, 3, 2, 8, 8, 9, 4, 4, 9, 1];
        assert_eq!(shrink(&tape, 10_000, fails), [5, 9]);
    }
}
