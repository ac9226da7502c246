//! One snapshot on its way to the viewers.

use super::events::event_of;
use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use contracts::{Snapshot, Version};
use std::sync::OnceLock;

/// A snapshot, decoded for us and untouched for the viewers. All viewers share the bytes.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The text, byte for byte as it was published.
    pub(crate) text: Utf8Bytes,
    /// What it says.
    pub(crate) snapshot: Snapshot,
    /// Counts the frames of this process, so that a viewer knows how many it skipped.
    pub(super) number: u64,
    /// The same as a Server-Sent Event, made when the first viewer wants it.
    event: OnceLock<Bytes>,
    /// The same as a message of the full form, made likewise.
    typed: OnceLock<Utf8Bytes>,
}

impl Frame {
    /// Takes a record's value.
    ///
    /// # Errors
    /// When it is not a snapshot.
    pub fn decode(value: &[u8]) -> Result<Self, serde_json::Error> {
        let snapshot = serde_json::from_slice(value)?;
        // serde_json has seen that strings are UTF-8, and all else is ASCII.
        let text = Utf8Bytes::try_from(Bytes::copy_from_slice(value))
            .map_err(<serde_json::Error as serde::de::Error>::custom)?;
        Ok(Self { text, snapshot, number: 0, event: OnceLock::new(), typed: OnceLock::new() })
    }

    /// The frame as a Server-Sent Event. All viewers share the bytes.
    pub(super) fn event(&self) -> Bytes {
        self.event.get_or_init(|| event_of(self)).clone()
    }

    /// The frame as a message of the full form: the snapshot with its `type`. All viewers share the
    /// bytes.
    pub(super) fn typed(&self) -> Utf8Bytes {
        let typed = || {
            let members = self.text.trim_start().strip_prefix('{').expect("a snapshot is an object");
            format!(r#"{{"type":"snapshot",{members}"#).into()
        };
        self.typed.get_or_init(typed).clone()
    }

    /// Where the board stood.
    #[must_use]
    pub fn version(&self) -> Version {
        self.snapshot.version
    }

    /// Whether viewers who have `current` are to get this: it is not older, and not the same.
    pub(super) fn replaces(&self, current: &Self) -> bool {
        self.version() > current.version()
            || (self.version() == current.version() && self.text != current.text)
    }
}
