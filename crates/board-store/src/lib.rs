//! The boards in Redis: keys, scripts, reads. The only crate that knows redis.
//!
//! | key | what |
//! | --- | --- |
//! | `B` | the sorted set of board `B`: `ZREVRANGE B 0 9` is its top ten |
//! | `{B}:offsets` | `topic/partition` → the next offset to apply |
//! | `{B}:state` | epoch, version, rules, the stages of the newest event, whether rebuilding |
//! | `{B}:ids:<day>` | the event ids that arrived on that UTC day, as `player` newline `id` |
//! | `{B}:rebuild`, `{B}:targets` | the board being rebuilt, and the offsets at which it is whole |
//! | `player:<id>` | nickname, and when it was given |
//! | `B-cache` | the newest snapshot, as JSON |
//!
//! Everything that one write of a board changes hashes to one slot, so one script call changes
//! it atomically, on a single server and on a cluster alike.

mod store;

mod apply;
mod open;

mod names;
mod publish;
mod read;

mod audit;

mod keys;

pub use apply::{Applied, Fence, Write};
pub use audit::AuditPage;
pub use names::NameChange;
pub use open::{Begin, Opened};
pub use read::{Cursor, Page, PlayerStanding, Row};
pub use store::{BoardStore, RedisSettings, StoreError};
