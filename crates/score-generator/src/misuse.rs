//! Faults of the command line that only show once the file has been looked at.

/// What was asked for cannot be done: the person at the command line must change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

impl Misuse {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
