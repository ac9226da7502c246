//! The cursor of a page, as clients carry it: opaque to them, exact for us.
//!
//! Form 2: base64url without padding of the byte 2, a hash of what is ranked (4 bytes), the row's
//! double (8 bytes, big-endian) and the row's player. Another form gets another first byte.

use crate::problem::Problem;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use board_store::Cursor;
use contracts::PlayerId;
use xxhash_rust::xxh3::xxh3_64;

const FORM: u8 = 2;

/// A hash of what is ranked: doubles of another board or window mean nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranked([u8; 4]);

impl Ranked {
    /// Of the board that the API calls so, in the window of that id.
    pub(super) fn of(board: &str, window: &str) -> Self {
        // No window has a line break in its id.
        let [a, b, c, d, ..] = xxh3_64(format!("{window}\n{board}").as_bytes()).to_be_bytes();
        Self([a, b, c, d])
    }
}

pub(super) fn encode(cursor: &Cursor, ranked: Ranked) -> String {
    let mut bytes = vec![FORM];
    bytes.extend(ranked.0);
    bytes.extend(cursor.sorted_set_score.to_be_bytes());
    bytes.extend(cursor.player.as_str().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str, ranked: Ranked) -> Result<Cursor, Problem> {
    let (of, cursor) =
        parse(text).ok_or_else(|| Problem::of_field("cursor", "must be the `next` of an earlier page"))?;
    if of != ranked {
        return Err(Problem::of_field("cursor", "is of another board or window"));
    }
    Ok(cursor)
}

fn parse(text: &str) -> Option<(Ranked, Cursor)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (&form, rest) = bytes.split_first()?;
    let (ranked, rest) = rest.split_first_chunk()?;
    let (score, player) = rest.split_first_chunk()?;
    let sorted_set_score = f64::from_be_bytes(*score);
    let player = PlayerId::new(std::str::from_utf8(player).ok()?).ok()?;
    let is_ours = form == FORM && sorted_set_score.is_finite();
    is_ours.then_some((Ranked(*ranked), Cursor { sorted_set_score, player }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursor_survives_the_client(score in -1e16f64..1e16, name in "[^\\p{Cc}]{1,30}") {
            let cursor = Cursor { sorted_set_score: score, player: PlayerId::new(name).unwrap() };
            let ranked = Ranked::of("b", "all");
            let text = encode(&cursor, ranked);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(decode(&text, ranked), Ok(cursor));
            for other in [Ranked::of("b:x", "all"), Ranked::of("b", "2026-11-21")] {
                let problem = decode(&text, other).unwrap_err();
                prop_assert_eq!(problem.field.as_deref(), Some("cursor"));
            }
        }

        #[test]
        fn what_is_not_a_cursor_is_refused_by_name(text in ".{0,40}") {
            if let Err(problem) = decode(&text, Ranked::of("b", "all")) {
                prop_assert_eq!(problem.field.as_deref(), Some("cursor"));
            }
        }
    }

    #[test]
    fn cursor_without_a_finite_score_or_a_player_is_refused() {
        let ranked = Ranked::of("b", "all");
        let made = |form: u8, score: f64, player: &[u8]| {
            let bytes = [&[form], ranked.0.as_slice(), &score.to_be_bytes(), player].concat();
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        assert!(decode(&made(FORM, 5.0, b"7"), ranked).is_ok());
        for bad in [
            made(1, 5.0, b"7"),
            made(FORM, f64::NAN, b"7"),
            made(FORM, f64::INFINITY, b"7"),
            made(FORM, 5.0, b""),
            made(FORM, 5.0, b"a\nb"),
            made(FORM, 5.0, b"\xff"),
            made(FORM, 5.0, &[b'x'; 200]),
            String::new(),
            "Ag".to_owned(),
        ] {
            assert!(decode(&bad, ranked).is_err(), "{bad}");
        }
    }
}
