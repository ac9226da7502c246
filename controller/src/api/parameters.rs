//! What clients ask for. Whatever is not understood is refused by name: a typo does not pass for
//! a default.

use crate::problem::Problem;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use boards::rules::MAX_TOTAL_UNITS;
use boards::{Board, RankMode};
use contracts::{PlayerId, Score};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::RangeInclusive;
use utoipa::IntoParams;

const DEFAULT_ROWS: usize = 10;
/// How many rows, players or buckets one answer may have.
const MAX_ROWS: usize = 100;

/// The parts of a path, as `T` names them.
pub(crate) struct In<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for In<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(parts)| Self(parts)).map_err(|rejection| bad_path(&rejection))
    }
}

/// The path of a board.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct BoardPath {
    /// The board's name, percent-encoded; of boards per value `name:value`.
    #[param(example = "game-score")]
    pub(crate) board: String,
}

/// The path of a player on a board.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct PlayerPath {
    /// The board's name, percent-encoded; of boards per value `name:value`.
    #[param(example = "game-score")]
    pub(super) board: String,
    /// The player's id, percent-encoded.
    #[param(example = "42")]
    pub(super) id: String,
}

/// The path of a player.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct IdPath {
    /// The player's id, percent-encoded.
    #[param(example = "42")]
    pub(crate) id: String,
}

/// How ranks are counted, as it is documented.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(super) struct RankParameter {
    /// How ranks are counted among equal scores: `ordinal` (1, 2, 3, 4), `competition` (1, 2, 2, 4)
    /// or `dense` (1, 2, 2, 3; known up to 200).
    #[param(nullable = false, default = "ordinal", pattern = "^(ordinal|competition|dense)$")]
    rank: Option<String>,
}

/// The window, as it is documented.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(super) struct WindowParameter {
    /// The window: `all`, `hour`, `day`, `week` or `month` for the present one, `previous-hour` and so
    /// on for the one before, a season's name, or a window's id. Without it, the board's first kind of
    /// window at present.
    #[param(nullable = false, example = "all")]
    window: Option<String>,
}

/// The query of a page from the top.
#[derive(Debug, PartialEq)]
pub(super) struct TopQuery<'q> {
    pub(super) limit: usize,
    pub(super) cursor: Option<Text<'q>>,
    pub(super) mode: RankMode,
    pub(super) window: Option<Text<'q>>,
}

/// A text of a query, decoded.
type Text<'q> = Cow<'q, str>;

impl<'q> TopQuery<'q> {
    pub(super) fn read(query: Option<&'q str>) -> Result<Self, Problem> {
        let [limit, cursor, rank, window] = known(query, ["limit", "cursor", "rank", "window"])?;
        Ok(Self {
            limit: whole("limit", limit, 1..=MAX_ROWS)?.unwrap_or(DEFAULT_ROWS),
            cursor: text("cursor", cursor)?,
            mode: rank_mode(rank)?,
            window: text("window", window)?,
        })
    }
}

/// The query of the rows around a player.
#[derive(Debug, PartialEq)]
pub(super) struct AroundQuery<'q> {
    pub(super) size: usize,
    pub(super) mode: RankMode,
    pub(super) window: Option<Text<'q>>,
}

impl<'q> AroundQuery<'q> {
    pub(super) fn read(query: Option<&'q str>) -> Result<Self, Problem> {
        let [size, rank, window] = known(query, ["size", "rank", "window"])?;
        let size = whole("size", size, 1..=MAX_ROWS)?.unwrap_or(DEFAULT_ROWS);
        Ok(Self { size, mode: rank_mode(rank)?, window: text("window", window)? })
    }
}

/// The query of one player: how ranks are counted, and the window.
pub(super) fn of_player(query: Option<&str>) -> Result<(RankMode, Option<Text<'_>>), Problem> {
    let [rank, window] = known(query, ["rank", "window"])?;
    Ok((rank_mode(rank)?, text("window", window)?))
}

/// The query of some players.
#[derive(Debug, PartialEq)]
pub(super) struct PlayersQuery<'q> {
    /// Each once, in the order of their first mention.
    pub(super) players: Vec<PlayerId>,
    pub(super) mode: RankMode,
    pub(super) window: Option<Text<'q>>,
}

impl<'q> PlayersQuery<'q> {
    pub(super) fn read(query: Option<&'q str>) -> Result<Self, Problem> {
        let [ids, rank, window] = known(query, ["ids", "rank", "window"])?;
        let ids = ids.ok_or_else(|| Problem::of_field("ids", "is missing"))?;
        let ids = list("ids", ids)?.into_iter().map(|id| player("ids", id)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { players: each_once(ids), mode: rank_mode(rank)?, window: text("window", window)? })
    }
}

/// The query of a player's boards.
#[derive(Debug, PartialEq)]
pub(super) struct PlayerBoardsQuery<'q> {
    /// Their names, each once; `None` for all there are.
    pub(super) boards: Option<Vec<String>>,
    pub(super) mode: RankMode,
    pub(super) window: Option<Text<'q>>,
}

impl<'q> PlayerBoardsQuery<'q> {
    pub(super) fn read(query: Option<&'q str>) -> Result<Self, Problem> {
        let [boards, rank, window] = known(query, ["boards", "rank", "window"])?;
        let boards = boards.map(|boards| list("boards", boards)).transpose()?;
        let named = |boards: Vec<Cow<'_, str>>| each_once(boards.into_iter().map(Cow::into_owned).collect());
        Ok(Self { boards: boards.map(named), mode: rank_mode(rank)?, window: text("window", window)? })
    }
}

/// The query of a distribution: how many buckets, and the window.
pub(super) fn of_distribution(query: Option<&str>) -> Result<(usize, Option<Text<'_>>), Problem> {
    let [buckets, window] = known(query, ["buckets", "window"])?;
    let buckets = whole("buckets", buckets, 1..=MAX_ROWS)?.unwrap_or(DEFAULT_ROWS);
    Ok((buckets, text("window", window)?))
}

/// The query of a score's rank: the score, in units of the board's last decimal, and the window.
pub(super) fn of_rank_of<'q>(
    query: Option<&'q str>,
    board: &Board,
) -> Result<(i64, Option<Text<'q>>), Problem> {
    let [score, window] = known(query, ["score", "window"])?;
    let score = score.ok_or_else(|| Problem::of_field("score", "is missing"))?;
    Ok((units(&decoded("score", score)?, board)?, text("window", window)?))
}

/// A score in units of the board's last decimal.
fn units(text: &str, board: &Board) -> Result<i64, Problem> {
    let problem = |what: &str| Problem::of_field("score", what);
    // RawValue checks the form, and lets blanks around it pass.
    let number = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get);
    let number = number.filter(|number| {
        *number == text && number.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    });
    let number = number.ok_or_else(|| problem("must be a JSON number"))?;
    let score = Score::parse_json_number(number, "score")
        .map_err(|refusal| problem(refusal.message.trim_start_matches("`score` ")))?;
    let units = score.units_at(board.decimals);
    units.filter(|units| units.abs() <= MAX_TOTAL_UNITS).ok_or_else(|| {
        let most = board.score(MAX_TOTAL_UNITS);
        problem(&format!("must have at most {} decimals and be from -{most} to {most}", board.decimals))
    })
}

/// That nothing is asked.
pub(crate) fn none(query: Option<&str>) -> Result<(), Problem> {
    known(query, []).map(|[]| ())
}

/// The values of the parameters of these names, as they were sent; refuses any other, and any
/// given twice.
pub(crate) fn known<'q, const N: usize>(
    query: Option<&'q str>,
    names: [&str; N],
) -> Result<[Option<&'q str>; N], Problem> {
    let mut values = [None; N];
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("query", name)?;
        let Some(at) = names.iter().position(|known| *known == name) else {
            return Err(Problem::of_field(&name, "is not a parameter of this path"));
        };
        if values[at].replace(value).is_some() {
            return Err(Problem::of_field(&name, "is given twice"));
        }
    }
    Ok(values)
}

/// A value percent-decoded, with `+` for a space, as forms and browsers encode.
fn decoded<'v>(name: &str, value: &'v str) -> Result<Cow<'v, str>, Problem> {
    let mut escapes = value.split('%').skip(1);
    let is_hex =
        |escape: &str| escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !escapes.all(is_hex) {
        return Err(Problem::of_field(name, "has a `%` that two hexadecimal digits do not follow"));
    }
    let not_utf8 = |_| Problem::of_field(name, "is not UTF-8 once it is percent-decoded");
    if value.contains('+') {
        let spaced = value.replace('+', " ");
        let text = percent_decode_str(&spaced).decode_utf8().map_err(not_utf8)?;
        return Ok(Cow::Owned(text.into_owned()));
    }
    percent_decode_str(value).decode_utf8().map_err(not_utf8)
}

/// The same of a value that need not be there.
fn text<'q>(name: &str, value: Option<&'q str>) -> Result<Option<Text<'q>>, Problem> {
    value.map(|value| decoded(name, value)).transpose()
}

/// The items of a list: split at its commas first and decoded then, so that `%2C` is a comma
/// within an item.
fn list<'v>(name: &str, value: &'v str) -> Result<Vec<Cow<'v, str>>, Problem> {
    let items: Vec<&str> = value.split(',').take(MAX_ROWS + 1).collect();
    if items.len() > MAX_ROWS {
        return Err(Problem::of_field(name, format_args!("must be at most {MAX_ROWS}, with commas between")));
    }
    items.into_iter().map(|item| decoded(name, item)).collect()
}

fn each_once<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut once = Vec::with_capacity(items.len());
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

fn whole(name: &str, value: Option<&str>, range: RangeInclusive<usize>) -> Result<Option<usize>, Problem> {
    let Some(value) = value else { return Ok(None) };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number| digits && range.contains(number));
    number.map(Some).ok_or_else(|| {
        let (least, most) = range.into_inner();
        Problem::of_field(name, format_args!("must be a whole number from {least} to {most}"))
    })
}

fn rank_mode(value: Option<&str>) -> Result<RankMode, Problem> {
    match value {
        None | Some("ordinal") => Ok(RankMode::Ordinal),
        Some("competition") => Ok(RankMode::Competition),
        Some("dense") => Ok(RankMode::Dense),
        Some(_) => Err(Problem::of_field("rank", "must be ordinal, competition or dense")),
    }
}

/// A player's id; `field` is where it stood.
pub(crate) fn player(field: &str, id: impl Into<Box<str>>) -> Result<PlayerId, Problem> {
    PlayerId::new(id).map_err(|refusal| {
        let what = refusal.message.trim_start_matches("`user_id` ");
        Problem::of_field(field, what)
    })
}

/// A part of the path that cannot be decoded.
fn bad_path(rejection: &PathRejection) -> Problem {
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = failed.kind()
    {
        return Problem::of_field(key, "is not UTF-8 once it is percent-decoded");
    }
    Problem::of_field("path", rejection.body_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::BoardSet;
    use proptest::prelude::*;

    fn field<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        result.unwrap_err().field.unwrap()
    }

    #[test]
    fn numbers_have_defaults_and_bounds() {
        let usual = TopQuery { limit: 10, cursor: None, mode: RankMode::Ordinal, window: None };
        assert_eq!(TopQuery::read(None), Ok(usual));
        assert_eq!(TopQuery::read(Some("limit=1")).unwrap().limit, 1);
        assert_eq!(TopQuery::read(Some("limit=100")).unwrap().limit, 100);
        for bad in ["0", "-0", "101", "-1", "+1", "ten", "", "1.5", "99999999999999999999999"] {
            assert_eq!(field(TopQuery::read(Some(&format!("limit={bad}")))), "limit", "{bad}");
            assert_eq!(field(AroundQuery::read(Some(&format!("size={bad}")))), "size", "{bad}");
            assert_eq!(field(of_distribution(Some(&format!("buckets={bad}")))), "buckets", "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        for (query, name) in [
            ("limt=5", "limt"),
            ("limit=5&limit=6", "limit"),
            ("a%20b=", "a b"),
            ("rank=best", "rank"),
            ("rank", "rank"),
            ("window=%", "window"),
            ("cursor=%zz", "cursor"),
        ] {
            assert_eq!(field(TopQuery::read(Some(query))), name, "{query}");
        }
        let asked = TopQuery::read(Some("&rank=dense&&window=2026-10-25T02+0200&")).unwrap();
        assert_eq!((asked.mode, asked.window.as_deref()), (RankMode::Dense, Some("2026-10-25T02 0200")));
        assert_eq!(field(none(Some("x=1"))), "x");
    }

    #[test]
    fn ids_are_split_first_and_decoded_then() {
        let ids = |text: &str| {
            let query = format!("ids={text}");
            let ids = PlayersQuery::read(Some(&query))?.players;
            Ok::<_, Problem>(ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(ids("a,b,a").unwrap(), ["a", "b"]);
        assert_eq!(
            ids("a%2Cb,c%2Fd,e/f,g+h,i%20j,k%2Bl,50%25").unwrap(),
            ["a,b", "c/d", "e/f", "g h", "i j", "k+l", "50%"]
        );
        assert_eq!(ids("%F0%9F%8E%AF").unwrap(), ["🎯"]);
        for bad in ["", "a,,b", "a,", "%", "a%2", "%GG", "%FF", "%00", "a%0Ab", &"x".repeat(129)] {
            assert_eq!(field(ids(bad)), "ids", "{bad}");
        }
        assert_eq!(field(PlayersQuery::read(None)), "ids");
        let many = |count: usize| (0..count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(ids(&many(100)).unwrap().len(), 100);
        assert_eq!(field(ids(&many(101))), "ids");
    }

    proptest! {
        #[test]
        fn any_ids_come_through_a_query(ids in proptest::collection::vec("[^\\p{Cc}]{1,20}", 1..5)) {
            let encoded: Vec<String> = ids
                .iter()
                .map(|id| id.bytes().map(|byte| format!("%{byte:02X}")).collect())
                .collect();
            let query = format!("ids={}", encoded.join(","));
            let read = PlayersQuery::read(Some(&query)).unwrap().players;
            let read: Vec<String> = read.iter().map(ToString::to_string).collect();
            prop_assert_eq!(read, each_once(ids));
        }

        #[test]
        fn no_query_breaks_the_reading(query in ".{0,60}") {
            let _ = TopQuery::read(Some(&query));
            let _ = PlayersQuery::read(Some(&query));
            let _ = of_rank_of(Some(&query), BoardSet::default().default_board());
        }
    }

    #[test]
    fn score_is_a_number_within_what_a_total_can_be() {
        let mut board = BoardSet::default().default_board().clone();
        let units = |board: &Board, text: &str| {
            of_rank_of(Some(&format!("score={text}")), board).map(|(units, _)| units)
        };
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("-5", -5),
            ("1e3", 1000),
            ("5.0", 5),
            ("1000000000000000", MAX_TOTAL_UNITS),
            ("-1000000000000000", -MAX_TOTAL_UNITS),
        ] {
            assert_eq!(units(&board, text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "x",
            "+5",
            "%205",
            "5%20",
            "0x5",
            "5.5",
            "1e99",
            "1000000000000001",
            "NaN",
            "null",
            "\"5\"",
            "[5]",
        ] {
            assert_eq!(field(units(&board, bad)), "score", "{bad}");
        }
        assert_eq!(field(of_rank_of(None, &board)), "score");
        board.decimals = 2;
        assert_eq!(units(&board, "5.25"), Ok(525));
        assert_eq!(field(units(&board, "5.255")), "score");
    }

    #[test]
    fn bad_player_ids_name_where_they_stood() {
        for bad in ["", "a\nb", &"x".repeat(129)] {
            let problem = player("id", bad).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("id"));
            assert!(problem.detail.starts_with("`id` "), "{}", problem.detail);
        }
    }
}
