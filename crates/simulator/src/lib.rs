//! The whole system in one thread, step by step, on models of its servers.
//!
//! What runs is real: how consumers decide what to do ([`pipeline::consumer`]), the ranker's
//! sink, the scripts in Redis, how boards are opened, filled and swapped, the throttle and the
//! publisher. What they run on is modelled: Kafka, Postgres, Redis' data, clocks and processes,
//! which crash, stop, answer late or never, lose their tail and come back as old copies. A run is
//! a function of its [`choices::Choices`]: a seed, or the tape of an earlier run.

pub mod choices;

mod archive;
mod desk;
mod log;
pub mod redis;
mod truth;

mod cache;
mod consumer;
mod ranker;

mod world;

pub mod search;

pub use world::{Happened, Protections, run};
