//! Sends score events to `game-score`: synthetic load at a set rate, or a file of real ones.
//!
//! Two commands share one way out:
//!
//! - [`load`]: an open loop. Every event has an instant at which it is due, whatever became of
//!   the ones before it; latency counts from there. The same seed gives the same bytes.
//! - [`replay`]: the rows of a CSV or JSON-lines file, mapped to events. A row that cannot be an
//!   event is reported with its line and reason, never sent, and never stops the rest.
//!
//! [`outlet`] is where events go (Kafka, the API over [`http`], or standard output), [`pace`] waits
//! for what is due, [`drain`] for the board to have it all, and [`summary`] says what happened; crate
//! `judge` holds a load run against what became of it. What is decided (schedule, players, names, faults,
//! mapping, filter) is plain functions without clock or I/O.

pub mod settings;

pub mod load;
pub mod replay;

pub mod drain;
pub mod http;
pub mod outlet;
pub mod pace;

mod judging;
mod kafka;
mod misuse;
mod progress;
mod run;
mod stop;
pub mod summary;

pub use misuse::Misuse;
pub use run::main;
pub use stop::Stop;
