//! Why a record was refused.

use std::borrow::Cow;
use std::fmt;

/// The kinds of refusal, as they stand in the `error_class` header of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalClass {
    /// The record has no value (a tombstone), or an empty one.
    Empty,
    /// The payload is over [`crate::event::MAX_EVENT_BYTES`].
    TooLarge,
    /// The payload is not UTF-8.
    NotUtf8,
    /// The payload is not one JSON text.
    NotJson,
    /// The JSON text is not an object.
    NotAnObject,
    /// The same member stands twice.
    DuplicateMember,
    /// A required member is absent.
    MissingField,
    /// A member has another JSON type than it must have.
    WrongType,
    /// A member has the right type but a value that cannot be, such as an empty id.
    InvalidValue,
    /// A number is beyond what the wire or the board can hold.
    OutOfRange,
    /// A score has more decimals than the wire or the board can hold.
    TooPrecise,
    /// An unknown member is nested deeper than [`crate::event::MAX_DEPTH`].
    TooDeep,
    /// The event claims a time too far after its arrival.
    TooFarInFuture,
}

impl RefusalClass {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::TooLarge,
        Self::NotUtf8,
        Self::NotJson,
        Self::NotAnObject,
        Self::DuplicateMember,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidValue,
        Self::OutOfRange,
        Self::TooPrecise,
        Self::TooDeep,
        Self::TooFarInFuture,
    ];

    /// The name used on the wire, in metrics and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateMember => "duplicate_member",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidValue => "invalid_value",
            Self::OutOfRange => "out_of_range",
            Self::TooPrecise => "too_precise",
            Self::TooDeep => "too_deep",
            Self::TooFarInFuture => "too_far_in_future",
        }
    }
}

impl fmt::Display for RefusalClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record was refused: the class, the member at fault, and a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Refusal {
    /// The kind of fault.
    pub class: RefusalClass,
    /// The member at fault, where there is one.
    pub field: Option<Cow<'static, str>>,
    /// A sentence that names the field and says what was wrong with it.
    pub message: String,
}

impl Refusal {
    /// A refusal of the record as a whole.
    #[must_use]
    pub fn of_record(class: RefusalClass, message: impl Into<String>) -> Self {
        Self { class, field: None, message: message.into() }
    }

    /// A refusal because of one member.
    #[must_use]
    pub fn of_field(
        class: RefusalClass,
        field: impl Into<Cow<'static, str>>,
        what: impl fmt::Display,
    ) -> Self {
        let field = field.into();
        let message = format!("`{field}` {what}");
        Self { class, field: Some(field), message }
    }
}
