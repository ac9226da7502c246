//! Whether a record names a player, also one that cannot be used.

use crate::PlayerId;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Whether the JSON object in `payload` has a member `user_id` that is `player`, as text or as a
/// number. As far as the payload can be read counts: it may be cut off, or refused for anything
/// else. What is not the beginning of a JSON object names nobody.
#[must_use]
pub fn names_player(payload: &[u8], player: &PlayerId) -> bool {
    names_any(payload, |named| named == player.as_str())
}

/// The same for any player that `is_meant`.
pub fn names_any(payload: &[u8], is_meant: impl Fn(&str) -> bool) -> bool {
    let mut found = false;
    let mut json = serde_json::Deserializer::from_slice(payload);
    // Whatever is wrong behind what was found does not matter.
    let _ = Naming { is_meant, found: &mut found }.deserialize(&mut json);
    found
}

struct Naming<'s, F> {
    is_meant: F,
    found: &'s mut bool,
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, F: Fn(&str) -> bool> DeserializeSeed<'de> for Naming<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Naming<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            if name != "user_id" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw = map.next_value::<&'de RawValue>()?.get();
            let text = serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned);
            *self.found |= (self.is_meant)(&text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn player_is_found_as_far_as_the_record_can_be_read() {
        let who = |id: &str| PlayerId::new(id).unwrap();
        for (payload, id) in [
            (r#"{"user_id":42}"#, "42"),
            (r#"{"user_id":"42","score":"five"}"#, "42"),
            (r#"{"user_id":42,"score":5"#, "42"),
            (r#"{"user_id":1,"user_id":42}"#, "42"),
            (r#" {"score":[1,{"a":2}],"user_\u0069d":"zo\u00eb"} trailing"#, "zoë"),
        ] {
            assert!(names_player(payload.as_bytes(), &who(id)), "{payload}");
            assert!(!names_player(payload.as_bytes(), &who("4")), "{payload}");
        }
        for payload in ["", "42", r#"[{"user_id":42}]"#, r#"{"a":{"user_id":42}}"#, r#"x{"user_id":42}"#] {
            assert!(!names_player(payload.as_bytes(), &who("42")), "{payload}");
        }
        assert!(names_player(b"{\"user_id\":42,\"x\":\"\xff\"}", &who("42")));
    }
}
