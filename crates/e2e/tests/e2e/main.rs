//! The promises of the README, shown on the real programs and servers.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests")]

mod api_docs;
mod bad_input;
mod boards;
mod browser;
mod bursts;
mod changed_boards;
mod edges;
mod faults;
mod journey;
mod judge;
mod lifecycle;
mod load;
mod operator;
mod plain_form;
mod recovery;
mod replay;
mod sampling;
mod settings;
mod truth;
mod verify;
mod viewers;
mod windows;
mod writes;
