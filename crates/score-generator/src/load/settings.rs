//! What can be asked for of made-up events, beside the rate and the players.

use super::chance::Chance;
use super::faults::FaultTraits;
use super::shape::{Burst, Sine, Stages};
use service::duration;
use std::time::Duration;

/// How the rate changes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shape of the rate")]
pub struct ShapeSettings {
    /// The rate at times after the start, in place of --rate: straight lines between them, and
    /// the last holds; two points at one time are a step. E.g. 0:1k,30s:20k,60s:20k,60s:0
    #[arg(long, value_name = "TIME:RATE,…", conflicts_with = "rate")]
    pub stages: Option<Stages>,
    /// Adds RATE for LENGTH, once EVERY so often; may stand several times. E.g. 10s:500ms:20k
    #[arg(long = "burst", value_name = "EVERY:LENGTH:RATE")]
    pub bursts: Vec<Burst>,
    /// Lets the rate swing by AMPLITUDE to either side, e.g. 60s:800 for a day in a minute
    #[arg(long, value_name = "PERIOD:AMPLITUDE")]
    pub sine: Option<Sine>,
}

impl ShapeSettings {
    /// Whether nothing changes the rate.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.stages.is_none() && self.bursts.is_empty() && self.sine.is_none()
    }
}

/// What is to be wrong.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Faults, each with a probability from 0 to 1")]
pub struct FaultSettings {
    /// Send a record of just before again, byte by byte (needs --event-ids)
    #[arg(long, value_name = "P", default_value = "0", hide_default_value = true)]
    pub duplicates: Chance,
    /// Send an event that happened earlier
    #[arg(long, value_name = "P", default_value = "0", hide_default_value = true)]
    pub late: Chance,
    /// How much earlier at most
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub late_by: Duration,
    /// Send an event after up to 16 that happened later
    #[arg(long, value_name = "P", default_value = "0", hide_default_value = true)]
    pub out_of_order: Chance,
    /// Send a record that must be refused: not JSON, no score, an empty id … (13 kinds)
    #[arg(long, value_name = "P", default_value = "0", hide_default_value = true)]
    pub malformed: Chance,
    /// Send an event of more than 64 KiB, which must be refused
    #[arg(long, value_name = "P", default_value = "0", hide_default_value = true)]
    pub oversize: Chance,
    /// Send an event of the year 9000, which must be refused
    #[arg(long, value_name = "P", default_value = "0", hide_default_value = true)]
    pub future: Chance,
}

impl FaultSettings {
    /// What is to be wrong how often; [`FaultTraits::NONE`] where nothing was asked for.
    #[must_use]
    pub fn traits(&self) -> FaultTraits {
        let Self { duplicates, late, late_by, out_of_order, malformed, oversize, future } = *self;
        let traits = FaultTraits { duplicates, late, late_by, out_of_order, malformed, oversize, future };
        let none = FaultTraits { late_by, ..FaultTraits::NONE };
        if traits == none { FaultTraits::NONE } else { traits }
    }

    /// Whether events are asked for that happened before they are due.
    #[must_use]
    pub fn happen_earlier(&self) -> bool {
        [self.duplicates, self.late, self.out_of_order].iter().any(|chance| *chance > Chance::NEVER)
    }

    /// Whether records are asked for that must be refused.
    #[must_use]
    pub fn are_refused(&self) -> bool {
        [self.malformed, self.oversize, self.future].iter().any(|chance| *chance > Chance::NEVER)
    }
}
