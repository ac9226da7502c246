//! A leaderboard as the first page of every tutorial has it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use score_generator::load::popularity::{Popularity, scale};

const BOARD: &str = "board";
const WINDOW: &str = "board:day";
const PIPELINE: usize = 1_000;

/// How scores are sent.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    /// A thousand in one round trip
    Pipelined,
    /// The same, each in a second set as well
    Twice,
    /// A round trip each
    OneByOne,
}

pub(crate) fn run(mode: Mode, url: &str, events: u64, players: u32, zipf: f64) -> anyhow::Result<()> {
    let mut redis = redis::Client::open(url)?.get_connection()?;
    let popularity = Popularity::zipf(players, zipf);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let scores: Vec<(String, u64)> = (0..events)
        .map(|_| (popularity.pick(random.next_u64()).to_string(), 1 + scale(random.next_u64(), 100)))
        .collect();
    let begun = crate::ready()?;
    match mode {
        Mode::Pipelined | Mode::Twice => {
            for scores in scores.chunks(PIPELINE) {
                let mut pipeline = redis::Pipeline::with_capacity(scores.len());
                for (player, score) in scores {
                    pipeline.zincr(BOARD, player, *score).ignore();
                    if matches!(mode, Mode::Twice) {
                        pipeline.zincr(WINDOW, player, *score).ignore();
                    }
                }
                pipeline.query::<()>(&mut redis)?;
            }
        }
        Mode::OneByOne => {
            for (player, score) in &scores {
                redis::Cmd::zincr(BOARD, player, *score).query::<f64>(&mut redis)?;
            }
        }
    }
    crate::took(begun)
}
