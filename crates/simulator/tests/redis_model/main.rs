//! The model of Redis, held against a real server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod connection;
mod conversions;
mod cost;
mod live;
mod raw;
mod store;
