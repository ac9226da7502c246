//! The history in Postgres. The only crate that knows sqlx.
//!
//! Every record of the score topic becomes one row: an event in `leaderboard.game_score`, anything
//! else in `leaderboard.refused_record`. People read the views of schema `analytics`; what each
//! column means is said in the database itself (`\d+`), and in `migrations/`.
//!
//! What it promises, to the archiver as its [`pipeline::Sink`]:
//!
//! - **The fence.** Rows and offsets change in one transaction, and only from the offsets that the
//!   writer expects. A replay, a zombie or a second writer changes nothing
//!   (`replayed_write_leaves_one_row`, `of_two_writers_exactly_one_wins_each_span`). The primary
//!   key is the second line of defence.
//! - **Nothing is bent.** Scores are exact decimals, times are good to the microsecond from year 1
//!   to 9999, text and unknown members come back as they were written.
//! - **A write that fails leaves nothing behind**, and its connection is not used again.
//!
//! What it refuses: to keep a b-tree beside the primary key. `examples/copy_rate.rs` writes 500,000
//! rows a second on two cores; with one on (user_id, created_at) it was 190,000, and a third more
//! disk. Analysts scan instead: of a million rows, one player's history takes 0.1 s and all
//! standings 0.6 s.
//!
//! Arrival is the log's own append time, so days come one after the other. A topic that lets its
//! producers set the timestamp would make a partition for every day that they name.

pub mod batch;
mod copy;

mod connection;
mod migrate;
mod store;

pub mod audit;
mod erase;
mod finals;
mod history;
mod peek;

pub use batch::{ArchiveBatch, Place, RefusedRecord};
pub use erase::{ErasedFromArchive, ErasedPlayers, Found, REDACTED};
pub use finals::{FinalRow, FinalStandings, FinalWindow};
pub use history::{ArchiveHistory, History, KeptWindow, Portion, Refused};
pub use store::{ArchiveStore, Fence};
