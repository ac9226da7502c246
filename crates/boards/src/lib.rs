//! What a score does: the rules of a board, how scores add up, who stands before whom.
//!
//! Pure: no clock, no I/O. The ranker folds events with [`changes`] and the script in Redis
//! merges them; [`standings`] does the same in memory and is what the tests, and the generator
//! as judge, hold Redis, the API and SQL against.

pub mod rules;

pub mod order;

pub mod changes;
pub mod standings;

pub use changes::{Change, Changes, Identified};
pub use order::Reached;
pub use rules::{Board, BoardSet, BoardsError};
pub use standings::Standings;
