//! The rules of boards, from outside.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod calendar;
mod effects;
mod explain;
mod file;
mod goals;
mod merging;
mod oracle;
mod ranks;
mod support;
