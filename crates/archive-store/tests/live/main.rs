//! The archive on a real Postgres.
//!
//! `RANKSTREAM_TEST_POSTGRES` is the URL of a superuser; every test makes a database of its own
//! and drops it. Without the URL the tests are skipped aloud, or fail when
//! `RANKSTREAM_TEST_REQUIRED` is set.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

mod counts;
mod erase;
mod fence;
mod finals;
mod partitions;
mod rows;
mod schema;
mod views;
