//! What is done with the log, the boards and the archive together.
//!
//! - [`rebuild`]: fills a board from the archive, beside what readers see.
//! - [`verify`]: holds all three against each other while traffic flows.

pub mod rebuild;
pub mod verify;
