//! The fault harness: the real stack, two of each service, under load and under every fault that
//! we can make; and the proof that each record counted once and the last state was shown.
//!
//! Read in this order: [`fault`] is what can happen, [`plan`] says when, [`servers`] and [`deployment`] are what it
//! happens to, through [`proxy`]; [`sources`] send and [`viewers`] watch meanwhile.
//! [`invariants`] hold at any time, for which [`log_book`] reads the log along; [`truth`] is held
//! against everything at the end, [`mod@boards`] in every view. [`run`] puts it together, and [`report`] tells.
//!
//! A harness that finds nothing proves nothing by itself: with a protection switched off
//! ([`deployment::Protection`]) the same run must fail (`tests/faults`).

pub mod fault;
pub mod plan;

pub mod proxy;
pub mod servers;

pub mod deployment;
pub mod sources;
pub mod viewers;

pub mod boards;
pub mod log_book;

pub mod invariants;
pub mod truth;

mod damage;
mod inject;
mod progress;
pub mod report;
pub mod run;

pub use deployment::Protection;
pub use invariants::Invariant;
pub use plan::{DECK, Plan, Step};
pub use report::Report;
pub use run::{Options, run};
pub use servers::Servers;
