//! The table of bad records that the decoder's own tests use.

#[path = "../../contracts/tests/bad_records/mod.rs"]
mod table;

pub use table::{BadRecord, bad_records};
