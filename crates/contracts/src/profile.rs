//! A player's profile (topic `player-profile`, key: the player's id; a tombstone removes it).

use crate::event::object_members;
use crate::player::{MAX_NICKNAME_BYTES, check_name};
use crate::{PlayerId, Refusal, RefusalClass};

/// What a player wants to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The player.
    pub player: PlayerId,
    /// The nickname; `None` removes the one there was.
    pub nickname: Option<String>,
}

impl Profile {
    /// Decodes a record of `player-profile`. Unknown members are ignored.
    ///
    /// # Errors
    /// A [`Refusal`] that names the member.
    pub fn decode(key: Option<&[u8]>, payload: Option<&[u8]>) -> Result<Self, Refusal> {
        let Some(payload) = payload else {
            let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or_else(|| {
                Refusal::of_record(RefusalClass::Empty, "a tombstone needs the player's id as its key")
            })?;
            return Ok(Self { player: PlayerId::new(key)?, nickname: None });
        };
        let mut player = None;
        let mut nickname = None;
        for (name, raw) in object_members(payload)? {
            match &*name {
                "user_id" => player = Some(raw.player_id()?),
                "nickname" => nickname = raw.optional_text("nickname")?,
                _ => {}
            }
        }
        let player =
            player.ok_or_else(|| Refusal::of_field(RefusalClass::MissingField, "user_id", "is missing"))?;
        if let Some(nickname) = &nickname {
            check_name(nickname, "nickname", MAX_NICKNAME_BYTES)?;
        }
        Ok(Self { player, nickname: nickname.map(std::borrow::Cow::into_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_names_a_player_and_a_tombstone_forgets() {
        let named = Profile::decode(Some(b"7"), Some(br#"{"user_id":7,"nickname":"Zo","x":1}"#)).unwrap();
        assert_eq!((named.player.as_str(), named.nickname.as_deref()), ("7", Some("Zo")));
        let gone = Profile::decode(Some(b"7"), None).unwrap();
        assert_eq!((gone.player.as_str(), gone.nickname), ("7", None));
    }

    #[test]
    fn bad_profiles_name_the_member() {
        for (payload, field) in [
            (br#"{"nickname":"Zo"}"#.as_slice(), "user_id"),
            (br#"{"user_id":7,"nickname":3}"#, "nickname"),
            (br#"{"user_id":7,"nickname":"\u0007"}"#, "nickname"),
        ] {
            let refusal = Profile::decode(None, Some(payload)).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some(field));
        }
    }
}
