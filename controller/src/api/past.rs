//! Windows that have left Redis.
//!
//! A window goes from Redis when it has been final for its board's `grace`
//! ([`boards::Board::gone_at`]). What is answered about it from then on is decided here, and nowhere
//! else: its standings are no longer served, and that is said as a problem of its own, so that a
//! window that is gone never passes for one in which nobody played. Its events are in the archive.

use crate::problem::{Kind, Problem};

/// What is answered to every question about the standings of a past window.
pub(super) fn standings(board: &str, window: &str) -> Problem {
    let detail =
        format!("window `{window}` of board `{board}` is over and its standings are no longer served");
    Problem::new(Kind::WindowGone, detail).about("window")
}
