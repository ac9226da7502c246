//! Score events (topic `game-score`, key: the user id as text).
//!
//! ```json
//! {"score": 5, "user_id": 42, "created_at": "2026-11-21T12:00:00.123456"}
//! ```
//!
//! | member | shape | |
//! | --- | --- | --- |
//! | `user_id` | integer, or string of 1 to 128 bytes without control characters | required |
//! | `score` | JSON number, kept exactly: at most 18 digits, 9 of them decimals | required |
//! | `created_at` | ISO 8601, UTC unless it says otherwise | absent: the record's own timestamp |
//! | `event_id` | string of 1 to 64 bytes: the same id from the same player counts once | optional |
//! | `nickname` | string of 1 to 128 bytes | optional |
//! | `tags` | object of strings: at most 32, keys to 64 bytes, values to 128 | optional |
//! | any other | kept in the archive as it was written | optional |
//!
//! `null` for an optional member is the same as its absence.

use crate::player::{MAX_NICKNAME_BYTES, check_name};
use crate::refusal::{Refusal, RefusalClass};
use crate::{EventTime, PlayerId, Score};
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The largest payload of a score event.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;
/// How deep unknown members may be nested: serde_json's own limit.
pub const MAX_DEPTH: usize = 128;
/// How far `created_at` may lie after the record's arrival: clocks differ, but not by more.
pub const MAX_FUTURE_SECONDS: i64 = 600;
/// The longest `event_id`, in bytes of UTF-8.
pub const MAX_EVENT_ID_BYTES: usize = 64;
/// How many tags an event may have.
pub const MAX_TAGS: usize = 32;
/// The longest key of a tag, in bytes of UTF-8.
pub const MAX_TAG_KEY_BYTES: usize = 64;
/// The longest value of a tag, in bytes of UTF-8.
pub const MAX_TAG_VALUE_BYTES: usize = 128;

/// One score, earned by one player at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreEvent {
    /// Who scored.
    pub player: PlayerId,
    /// How much. What it does is the board's rule.
    pub score: Score,
    /// When it happened.
    pub created_at: EventTime,
    /// The producer's own id of the event, by which resubmissions are recognised.
    pub event_id: Option<Box<str>>,
    /// What the player wants to be called from now on.
    pub nickname: Option<Box<str>>,
    /// What boards may match on.
    pub tags: BTreeMap<String, String>,
    /// Members this version does not know, as JSON text.
    pub unknown: BTreeMap<String, String>,
}

impl ScoreEvent {
    /// Decodes a record of `game-score` that arrived at `arrived_at`, the record's timestamp.
    ///
    /// # Errors
    /// A [`Refusal`] that names the member at fault.
    pub fn decode(payload: Option<&[u8]>, arrived_at: EventTime) -> Result<Self, Refusal> {
        let payload = payload.unwrap_or_default();
        if payload.is_empty() {
            return Err(Refusal::of_record(RefusalClass::Empty, "the record has no value"));
        }
        let mut player = None;
        let mut score = None;
        let mut created_at = None;
        let mut event_id = None;
        let mut nickname = None;
        let mut tags = None;
        let mut unknown = BTreeMap::new();
        visit_members(payload, |name, member| match &*name {
            "user_id" => once(&mut player, "user_id", member.player_id()?),
            "score" => once(&mut score, "score", member.score()?),
            "created_at" => once(&mut created_at, "created_at", member.time("created_at")?),
            "event_id" => once(&mut event_id, "event_id", member.name("event_id", MAX_EVENT_ID_BYTES)?),
            "nickname" => once(&mut nickname, "nickname", member.name("nickname", MAX_NICKNAME_BYTES)?),
            "tags" => once(&mut tags, "tags", member.tags()?),
            _ => {
                member.check_storable(&name)?;
                match unknown.insert(name.into_owned(), member.0.to_owned()) {
                    None => Ok(()),
                    Some(_) => Err(Refusal::of_record(
                        RefusalClass::DuplicateMember,
                        "an unknown member stands twice",
                    )),
                }
            }
        })?;
        let missing = |field| Refusal::of_field(RefusalClass::MissingField, field, "is missing");
        let created_at = created_at.flatten().unwrap_or(arrived_at);
        if created_at > arrived_at.saturating_add_seconds(MAX_FUTURE_SECONDS) {
            return Err(Refusal::of_field(
                RefusalClass::TooFarInFuture,
                "created_at",
                format_args!(
                    "is {created_at}, over {MAX_FUTURE_SECONDS} s after its arrival at {arrived_at}"
                ),
            ));
        }
        Ok(Self {
            player: player.ok_or_else(|| missing("user_id"))?,
            score: score.ok_or_else(|| missing("score"))?,
            created_at,
            event_id: event_id.flatten(),
            nickname: nickname.flatten(),
            tags: tags.unwrap_or_default(),
            unknown,
        })
    }

    /// Encodes the event. The plain form's members come first, in its order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let string = |out: &mut Vec<u8>, text: &str| {
            serde_json::to_writer(out, text).expect("a string always encodes");
        };
        out.extend_from_slice(format!(r#"{{"score":{},"user_id":"#, self.score).as_bytes());
        match self.player.as_str().parse::<i64>() {
            Ok(number) if number.to_string() == self.player.as_str() => {
                out.extend_from_slice(self.player.as_str().as_bytes());
            }
            _ => string(&mut out, self.player.as_str()),
        }
        out.extend_from_slice(format!(r#","created_at":"{}""#, self.created_at).as_bytes());
        for (name, value) in [("event_id", &self.event_id), ("nickname", &self.nickname)] {
            if let Some(value) = value {
                out.extend_from_slice(format!(r#","{name}":"#).as_bytes());
                string(&mut out, value);
            }
        }
        if !self.tags.is_empty() {
            out.extend_from_slice(br#","tags":"#);
            serde_json::to_writer(&mut out, &self.tags).expect("a map of strings always encodes");
        }
        for (name, raw) in &self.unknown {
            out.push(b',');
            string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(raw.as_bytes());
        }
        out.push(b'}');
        out
    }
}

/// The payload of a good event that has no `event_id`, with this one. All else stays as it was
/// written, byte for byte.
///
/// # Panics
/// When the payload is not one that [`ScoreEvent::decode`] takes.
#[must_use]
pub fn with_event_id(payload: &[u8], event_id: &str) -> Vec<u8> {
    let id = serde_json::to_string(event_id).expect("a string always encodes");
    let members = object_members(payload).expect("it was decoded before");
    // `null` stands for no id, and a second member of the name would be refused.
    let (at, gone, text) = match members.iter().find(|(name, _)| name == "event_id") {
        Some((_, null)) => (null.0.as_ptr().addr() - payload.as_ptr().addr(), null.0.len(), id),
        None => {
            let end = payload.iter().rposition(|byte| *byte == b'}').expect("an object ends");
            (end, 0, format!(r#","event_id":{id}"#))
        }
    };
    [&payload[..at], text.as_bytes(), &payload[at + gone..]].concat()
}

/// Takes a member's value, refusing the second one of the same name.
fn once<T>(slot: &mut Option<T>, field: &'static str, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::of_field(RefusalClass::DuplicateMember, field, "stands twice")),
    }
}

/// One member's value as it stands in the payload: valid JSON, not yet looked at.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a>(&'a str);

impl<'a> Member<'a> {
    fn json_type(self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    fn wrong_type(self, field: &'static str, expected: &str) -> Refusal {
        let found = self.json_type();
        Refusal::of_field(RefusalClass::WrongType, field, format_args!("is {found}; it must be {expected}"))
    }

    fn is_null(self) -> bool {
        self.0 == "null"
    }

    fn text(self, field: &'static str) -> Result<Cow<'a, str>, Refusal> {
        let Some(inner) = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Err(self.wrong_type(field, "a string"));
        };
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        serde_json::from_str::<String>(self.0).map(Cow::Owned).map_err(|error| {
            Refusal::of_field(RefusalClass::InvalidValue, field, format_args!("is not text: {error}"))
        })
    }

    pub(crate) fn optional_text(self, field: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
        if self.is_null() { Ok(None) } else { self.text(field).map(Some) }
    }

    fn name(self, field: &'static str, max_bytes: usize) -> Result<Option<Box<str>>, Refusal> {
        let Some(text) = self.optional_text(field)? else { return Ok(None) };
        check_name(&text, field, max_bytes)?;
        Ok(Some(text.into()))
    }

    pub(crate) fn player_id(self) -> Result<PlayerId, Refusal> {
        match self.json_type() {
            "a string" => PlayerId::new(self.text("user_id")?),
            "a number" if self.0.bytes().all(|b| b.is_ascii_digit() || b == b'-') && self.0 != "-0" => {
                PlayerId::new(self.0)
            }
            "a number" => Err(Refusal::of_field(
                RefusalClass::InvalidValue,
                "user_id",
                format_args!("is {}; a number must be an integer", shortened(self.0)),
            )),
            _ => Err(self.wrong_type("user_id", "an integer or a string")),
        }
    }

    fn score(self) -> Result<Score, Refusal> {
        match self.json_type() {
            "a number" => Score::parse_json_number(self.0, "score"),
            _ => Err(self.wrong_type("score", "a number")),
        }
    }

    fn time(self, field: &'static str) -> Result<Option<EventTime>, Refusal> {
        let Some(text) = self.optional_text(field)? else { return Ok(None) };
        EventTime::parse_iso(&text, field).map(Some)
    }

    fn tags(self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut tags = BTreeMap::new();
        if self.is_null() {
            return Ok(tags);
        }
        if self.json_type() != "an object" {
            return Err(self.wrong_type("tags", "an object of strings"));
        }
        visit_members(self.0.as_bytes(), |name, member| {
            check_name(&name, "tags", MAX_TAG_KEY_BYTES)?;
            let value = member.text("tags")?;
            check_name(&value, "tags", MAX_TAG_VALUE_BYTES)?;
            match tags.insert(name.into_owned(), value.into_owned()) {
                None => Ok(()),
                Some(_) => {
                    Err(Refusal::of_field(RefusalClass::DuplicateMember, "tags", "has the same key twice"))
                }
            }
        })?;
        if tags.len() > MAX_TAGS {
            return Err(Refusal::of_field(
                RefusalClass::OutOfRange,
                "tags",
                format_args!("has {} entries; at most {MAX_TAGS} are allowed", tags.len()),
            ));
        }
        Ok(tags)
    }

    /// Refuses what the archive or its readers could not keep: U+0000, lone surrogates, deep
    /// nesting and numbers beyond a double.
    fn check_storable(self, name: &str) -> Result<(), Refusal> {
        let refuse = |class, what: &str| Err(Refusal::of_field(class, shortened(name).into_owned(), what));
        let value = match serde_json::from_str::<Value>(self.0) {
            Ok(value) => value,
            Err(error) if error.to_string().starts_with("recursion limit") => {
                return refuse(RefusalClass::TooDeep, &format!("is nested deeper than {MAX_DEPTH}"));
            }
            Err(error) if error.to_string().starts_with("number out of range") => {
                return refuse(RefusalClass::OutOfRange, "holds a number beyond a double");
            }
            Err(error) => return refuse(RefusalClass::InvalidValue, &format!("cannot be kept: {error}")),
        };
        if name.contains('\0') || holds_nul(&value) {
            return refuse(RefusalClass::InvalidValue, "holds the character U+0000");
        }
        Ok(())
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// At most the first 64 characters, so that a message stays a message.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(64) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The members of the JSON object in `payload`, in the order they stand there.
pub(crate) fn object_members(payload: &[u8]) -> Result<Vec<(Cow<'_, str>, Member<'_>)>, Refusal> {
    let mut members = Vec::new();
    visit_members(payload, |name, member| {
        members.push((name, member));
        Ok(())
    })?;
    Ok(members)
}

/// Calls `on_member` for each member of the JSON object in `payload`, without copying any.
fn visit_members<'a, F>(payload: &'a [u8], on_member: F) -> Result<(), Refusal>
where
    F: FnMut(Cow<'a, str>, Member<'a>) -> Result<(), Refusal>,
{
    if payload.len() > MAX_EVENT_BYTES {
        return Err(Refusal::of_record(
            RefusalClass::TooLarge,
            format!("the record is {} bytes; at most {MAX_EVENT_BYTES} are allowed", payload.len()),
        ));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|error| Refusal::of_record(RefusalClass::NotUtf8, error.to_string()))?;
    let mut refusal = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let outcome =
        Members { on_member, refusal: &mut refusal }.deserialize(&mut json).and_then(|()| json.end());
    match (refusal, outcome) {
        (Some(refusal), _) => Err(refusal),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if error.is_data() => {
            Err(Refusal::of_record(RefusalClass::NotAnObject, "the record must be a JSON object"))
        }
        (None, Err(error)) => Err(Refusal::of_record(RefusalClass::NotJson, error.to_string())),
    }
}

/// Carries a typed refusal out of serde, whose own errors are text.
struct Members<'s, F> {
    on_member: F,
    refusal: &'s mut Option<Refusal>,
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, F> DeserializeSeed<'de> for Members<'_, F>
where
    F: FnMut(Cow<'de, str>, Member<'de>) -> Result<(), Refusal>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F> Visitor<'de> for Members<'_, F>
where
    F: FnMut(Cow<'de, str>, Member<'de>) -> Result<(), Refusal>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            if let Err(refusal) = (self.on_member)(name, Member(raw.get())) {
                *self.refusal = Some(refusal);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
