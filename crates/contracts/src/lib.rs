//! What travels between the services: score events, change notices, snapshots, player profiles
//! and dead letters, and the topics they travel on.
//!
//! This crate has no clock and no I/O. Decoding never panics and never guesses: a payload is
//! either a value of the documented shape or a [`Refusal`] that names the field and the reason.
//!
//! Read in this order: [`score`], [`time`], [`event`], [`refusal`], then the messages.

pub mod score;
pub mod time;

pub mod player;

pub mod event;
pub mod refusal;

pub mod notice;
pub mod profile;
pub mod snapshot;

pub mod dead_letter;
pub mod replay;
pub mod topics;

pub mod naming;

pub mod api_key;

pub use api_key::ApiKey;
pub use event::ScoreEvent;
pub use notice::Notice;
pub use player::PlayerId;
pub use profile::Profile;
pub use refusal::{Refusal, RefusalClass};
pub use score::Score;
pub use snapshot::{Snapshot, SnapshotEntry, Stages, Version};
pub use time::EventTime;
