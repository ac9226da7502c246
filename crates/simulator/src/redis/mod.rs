//! A model of one Redis server that runs the very scripts of the real one.
//!
//! It promises the replies of Redis 7.0 under RESP2, byte for byte, for the commands that
//! its module `commands` lists and for every script of `board-store`: `tests/redis_model` holds
//! it against a real server. Nothing in it depends on a clock, a random number or the layout of
//! memory, so that a run can be repeated exactly.
//!
//! What differs:
//! - Hashes keep the order in which fields came, as small ones do in Redis; sets are in byte order.
//! - `cjson.decode` takes exactly the JSON of the standard; its errors have other words.
//! - A sorted set has no minus zero, as small ones have none in Redis.
//! - Scripts have no random numbers, no clock but `TIME`, no `redis.log`; they may overwrite a
//!   global that exists.
//! - RESP3, databases other than 0, publishing, blocking and limits of memory are absent.
//! - Options that nothing of ours uses are answered with an error that says `not modelled`.

mod data;
mod sorted_set;

mod command;
mod commands;
mod reply;

mod cjson;
mod lua;
mod server;

mod connection;
mod network;

pub use command::Command;
pub use connection::ModelConnection;
pub use data::{ByteString, Hash, Keyspace, Set, Value};
pub use network::{Redis, RequestId, RequestView};
pub use reply::Reply;
pub use server::Server;
pub use sorted_set::SortedSet;
