//! What is done with the log, the boards and the archive together.
//!
//! - [`verify`]: holds all three against each other while traffic flows.

pub mod verify;
