//! Holds what a load run sent against what log, board, viewers and archive show, and reports it.
//!
//! While the run goes on, little is done: [`recording`] keeps counters and latencies by second and, of
//! each event, 24 bytes ([`ledger`]); [`viewers`] watch the board, and what they see is kept by frame
//! ([`sightings`]). Afterwards [`judge`] reads the log once, from its first record on: [`truth`] folds it
//! by the rules of the board and finds each event of the run in it, [`tracks`] says which event brought
//! whom to which total, and [`watching`] from that how late viewers saw it. [`compare`] holds board and
//! archive against the log. [`report`] tells it, [`expressions`] hold it against what was asked for.
//!
//! What is decided is plain functions without clock or I/O; [`viewers`], [`api`] and parts of [`judge`]
//! are thin.
//!
//! **What it cannot see.** It compares the boards file's first board in its usual window, a thousand
//! players, and the archive's counts and sums: `boardctl verify` compares everything. Players who were
//! erased stand under pseudonyms in the stores, which it takes for differences. Names are not compared.

pub mod settings;

pub mod ledger;
pub mod recording;

pub mod sightings;
pub mod viewers;

pub mod truth;

pub mod sample;
pub mod tracks;

pub mod watching;

pub mod api;
pub mod compare;

pub mod judge;

pub mod expressions;
pub mod findings;
pub mod latencies;
pub mod report;

pub use judge::{Judge, Judgement, Run};
pub use recording::{Keep, Pen, Recording};
pub use settings::JudgeSettings;
