//! Runs the real programs against real servers, each test in a deployment of its own: topics with
//! a prefix, a Redis, a database. Only the benchmarks depend on this crate.

pub mod infra;

pub mod stack;

pub mod program;
pub mod viewer;

pub mod faults;

pub mod bad_records;
pub mod goals;
pub mod wait;

pub use infra::Infra;
pub use program::Program;
pub use stack::{Service, Stack};
pub use viewer::Viewer;
pub use wait::until;
