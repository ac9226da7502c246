//! The controller from outside: over real connections, without Kafka.
//!
//! Snapshots are offered to the feed as the tail would; REST is asked of a real Redis.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends where it goes wrong")]

mod support;

mod access;
mod deployment;
mod events;
mod full;
mod fuzz;
mod live;
mod openapi;
mod oracle;
mod pages;
mod past;
mod reads;
mod rest;
mod round_trips;
mod server;
mod windows;
mod writes;

mod load;
