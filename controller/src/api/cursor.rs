//! The cursor of a page, as clients carry it: opaque to them, exact for us.
//!
//! Form 1: base64url without padding of the byte 1, the row's double (8 bytes, big-endian) and
//! the row's player. Another form gets another first byte.

use crate::problem::Problem;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use board_store::Cursor;
use contracts::PlayerId;

const FORM: u8 = 1;

pub(super) fn encode(cursor: &Cursor) -> String {
    let mut bytes = vec![FORM];
    bytes.extend(cursor.sorted_set_score.to_be_bytes());
    bytes.extend(cursor.player.as_str().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Result<Cursor, Problem> {
    parse(text).ok_or_else(|| Problem::of_field("cursor", "must be the `next` of an earlier page"))
}

fn parse(text: &str) -> Option<Cursor> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (&form, rest) = bytes.split_first()?;
    let (score, player) = rest.split_first_chunk()?;
    let sorted_set_score = f64::from_be_bytes(*score);
    let player = PlayerId::new(std::str::from_utf8(player).ok()?).ok()?;
    (form == FORM && sorted_set_score.is_finite()).then_some(Cursor { sorted_set_score, player })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursor_survives_the_client(score in -1e16f64..1e16, name in "[^\\p{Cc}]{1,30}") {
            let cursor = Cursor { sorted_set_score: score, player: PlayerId::new(name).unwrap() };
            let text = encode(&cursor);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(decode(&text), Ok(cursor));
        }

        #[test]
        fn what_is_not_a_cursor_is_refused_by_name(text in ".{0,40}") {
            if let Err(problem) = decode(&text) {
                prop_assert_eq!(problem.field.as_deref(), Some("cursor"));
            }
        }
    }

    #[test]
    fn cursor_without_a_finite_score_or_a_player_is_refused() {
        let made = |form: u8, score: f64, player: &[u8]| {
            let bytes = [&[form], score.to_be_bytes().as_slice(), player].concat();
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        assert!(decode(&made(1, 5.0, b"7")).is_ok());
        for bad in [
            made(2, 5.0, b"7"),
            made(1, f64::NAN, b"7"),
            made(1, f64::INFINITY, b"7"),
            made(1, 5.0, b""),
            made(1, 5.0, b"a\nb"),
            made(1, 5.0, b"\xff"),
            made(1, 5.0, &[b'x'; 200]),
            String::new(),
            "AQ".to_owned(),
        ] {
            assert!(decode(&bad).is_err(), "{bad}");
        }
    }
}
