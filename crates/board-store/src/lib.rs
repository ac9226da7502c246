//! The boards in Redis: keys, scripts, reads. The only crate that knows redis.
//!
//! | key | what |
//! | --- | --- |
//! | `B` | the sorted set of board `B`: `ZREVRANGE B 0 9` is its top ten |
//! | `{B}:offsets` | `topic/partition` → the next offset to apply |
//! | `{B}:state` | epoch, version, rules, the stages of the newest event, whether rebuilding, the marks of entered and left writes, the server that its epoch was shown from |
//! | `{B}:ids:<epoch>:<day>` | the event ids that arrived on that UTC day, as `player` newline `id`; the epoch is that at which the board was begun |
//! | `{B}:rebuild`, `{B}:targets` | the board being rebuilt, and the offsets at which it is whole |
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

mod names;
mod publish;
mod read;

mod idempotency;

mod audit;
mod erase;
mod peek;

mod keys;

pub use apply::{Applied, Fence, Write};
pub use audit::AuditPage;
pub use erase::ErasedFromBoard;
pub use idempotency::{Claim, Claimed};
pub use names::NameChange;
pub use open::{Begin, Opened, Seen, Stand};
pub use peek::Peek;
pub use read::{Bucket, Cursor, DENSE_RANK_LIMIT, Page, Place, RankOf, Reading, Row, Rows, View};
pub use rebuild::{Filling, IdSet, Source};
pub use store::{BoardStore, Connection, RedisSettings, StoreError};
