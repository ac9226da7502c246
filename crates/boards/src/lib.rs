//! What a score does: on which boards and in which windows it counts, how scores make a total, who
//! stands before whom.
//!
//! Pure: no clock, no I/O. The ranker asks for an event's [`effects`], folds them as [`changes`],
//! and the script in Redis merges these; [`oracle`] does the same in memory and is what the tests,
//! and the generator as judge, hold Redis, the API and SQL against.

pub mod rules;
pub mod set;

mod fingerprint;

pub mod calendar;
pub mod windows;

pub mod file;

pub mod changes;
pub mod effects;
pub mod order;

pub mod oracle;
pub mod ranking;
pub mod standings;

pub mod explain;

pub use changes::{Arrival, Change, Changes, Identified, ScopeChanges};
pub use effects::{Effect, Effects, Touched};
pub use file::BoardsError;
pub use oracle::Oracle;
pub use order::Reached;
pub use ranking::{RankMode, Ranking, Standing};
pub use rules::Board;
pub use set::BoardSet;
pub use standings::Standings;
pub use windows::{Scope, View, Window, WindowCache, WindowKind};
