//! Who scored.

use crate::refusal::{Refusal, RefusalClass};
use serde::{Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;

/// The longest player id, in bytes of UTF-8.
pub const MAX_PLAYER_ID_BYTES: usize = 128;
/// The longest nickname, in bytes of UTF-8.
pub const MAX_NICKNAME_BYTES: usize = 128;

/// A player's id: 1 to 128 bytes of UTF-8 without control characters. The number 42 and the
/// text `"42"` are the same player.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayerId(Box<str>);

impl PlayerId {
    /// Checks and takes `text` as a player id.
    ///
    /// # Errors
    /// [`RefusalClass::InvalidValue`], naming `user_id`.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, Refusal> {
        let text = text.into();
        check_name(&text, "user_id", MAX_PLAYER_ID_BYTES)?;
        Ok(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a player without a nickname is called: `user-<id>`.
    #[must_use]
    pub fn default_nickname(&self) -> String {
        format!("user-{}", self.0)
    }
}

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for PlayerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for PlayerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Refuses text that is empty, too long or holds control characters.
pub(crate) fn check_name(text: &str, field: &'static str, max_bytes: usize) -> Result<(), Refusal> {
    let refuse = |what: String| Err(Refusal::of_field(RefusalClass::InvalidValue, field, what));
    if text.is_empty() {
        return refuse("is empty".into());
    }
    if text.len() > max_bytes {
        return refuse(format!("is {} bytes long; at most {max_bytes} are allowed", text.len()));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return refuse(format!("holds the control character U+{:04X}", u32::from(control)));
    }
    Ok(())
}
