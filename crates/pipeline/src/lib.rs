//! How events are consumed and produced. The only crate that knows rdkafka.
//!
//! Three ways to read and one to write:
//!
//! - [`runner`]: reads topics as a member of a group into a [`Sink`], exactly once. This is what
//!   the ranker and the archiver are made of. [`sink`] is the contract, [`flow`] and
//!   [`consumer`] the state machine without I/O, [`source`] the polling thread.
//! - [`scan`]: reads a stretch of a topic once, as fast as it comes.
//! - [`tail`]: reads a small topic whole, without a group, for as long as the process lives.
//! - [`producer`]: idempotent, bounded, acknowledged by callback.

pub mod settings;

pub mod sink;

pub mod flow;

pub mod consumer;
pub mod runner;
mod source;

pub mod scan;
pub mod tail;

pub mod admin;
pub mod producer;

pub use producer::{AckProducer, Message, Producer};
pub use runner::run;
pub use settings::KafkaSettings;
pub use sink::{Partition, Record, Sink, WriteError};
