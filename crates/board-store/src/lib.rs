//! The boards in Redis: keys, scripts, reads. The only crate that knows redis.
//!
//! | key | what |
//! | --- | --- |
//! | `B` | the sorted set of board `B`: `ZREVRANGE B 0 9` is its top ten |
//! | `{B}:w:<window>`, `{B}:v:<value>`, `{B}:v:<value>:w:<window>` | those of its other views, by window and by the value of its tag (`%` and `:` in a value as `%25` and `%3A`) |
//! | `{B}:views`, `{B}:values` | which of these there are, and which values |
//! | `{B}:newest…` | on a board of last scores: player → which event is the newest |
//! | `{B}:totals…`, `{B}:counts…` | on a board that keeps dense ranks: the totals that there are, and how many players have each |
//! | `{B}:offsets` | `topic/partition` → the next offset to apply |
//! | `{B}:state` | epoch, version, rules, what the doubles mean that readers see and those that are rebuilt, the stages of the newest event, whether rebuilding, the marks of entered and left writes, the server that its epoch was shown from, the window that it is turned to |
//! | `{B}:ids:<epoch>:<day>` | the event ids that arrived on that UTC day, as `player` newline `id`; the epoch is that at which the board was begun |
//! | `{B}:rebuild…`, `{B}:targets` | all of that for the board being rebuilt, and the offsets at which it is whole |
//! | `{B}:lease` | who fills the board from the archive |
//! | `player:<id>` | nickname, and when it was given |
//! | `idempotency:<hash>` | that a write with an `Idempotency-Key` is in work, or what was answered to it |
//! | `B-cache` | the newest snapshot, as JSON |
//!
//! Everything that one write of a board changes hashes to one slot, so one script call changes
//! it atomically, on a single server and on a cluster alike.

mod store;

mod apply;
mod open;
mod rebuild;
mod views;

mod names;
mod publish;
mod read;

mod idempotency;

mod audit;
mod erase;
mod peek;

mod keys;

pub use apply::{Applied, Fence, Write};
pub use audit::{AuditPage, AuditedRow, AuditedView};
pub use erase::ErasedFromBoard;
pub use idempotency::{Claim, Claimed};
pub use keys::sorted_set;
pub use names::NameChange;
pub use open::{Begin, Opened, Seen, Stand};
pub use peek::Peek;
pub use read::{
    Bucket, Cursor, DENSE_RANK_LIMIT, NamedPlace, Page, Place, RankOf, Reader, Reading, Row, Rows,
};
pub use rebuild::{Filling, IdSet, Source};
pub use store::{BoardStore, Connection, RedisSettings, StoreError};
