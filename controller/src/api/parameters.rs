//! What clients ask for. Whatever is not understood is refused by name: a typo does not pass for
//! a default.

use super::cursor;
use crate::problem::Problem;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use board_store::Cursor;
use contracts::PlayerId;

/// How many rows a page may have.
const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 10;

/// The query's parameters in their order, decoded.
pub(crate) type Query = axum::extract::Query<Vec<(String, String)>>;

/// The query of a page from the top.
#[derive(Debug, PartialEq)]
pub(super) struct TopQuery {
    pub(super) limit: usize,
    pub(super) after: Option<Cursor>,
}

impl TopQuery {
    pub(super) fn read(query: &Query) -> Result<Self, Problem> {
        let [limit, after] = known(query, ["limit", "cursor"])?;
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
                    Problem::of_field("limit", format_args!("must be a whole number from 1 to {MAX_LIMIT}"))
                })?
            }
        };
        Ok(Self { limit, after: after.map(cursor::decode).transpose()? })
    }
}

/// The values of the parameters of these names; refuses any other, and any given twice.
pub(crate) fn known<'a, const N: usize>(
    query: &'a Query,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], Problem> {
    let mut values = [None; N];
    for (name, value) in &query.0 {
        let Some(at) = names.iter().position(|known| known == name) else {
            return Err(Problem::of_field(name, "is not a parameter of this path"));
        };
        if values[at].replace(value.as_str()).is_some() {
            return Err(Problem::of_field(name, "is given twice"));
        }
    }
    Ok(values)
}

pub(crate) fn player(id: &str) -> Result<PlayerId, Problem> {
    PlayerId::new(id).map_err(|refusal| {
        let what = refusal.message.trim_start_matches("`user_id` ");
        Problem::of_field("id", what)
    })
}

/// A part of the path that cannot be decoded.
pub(crate) fn bad_path(rejection: &PathRejection) -> Problem {
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

    fn read(query: &str) -> Result<TopQuery, Problem> {
        let uri = format!("/?{query}").parse().unwrap();
        TopQuery::read(&Query::try_from_uri(&uri).unwrap())
    }

    #[test]
    fn limit_has_a_default_and_bounds() {
        assert_eq!(read(""), Ok(TopQuery { limit: 10, after: None }));
        assert_eq!(read("limit=1").unwrap().limit, 1);
        assert_eq!(read("limit=100").unwrap().limit, 100);
        for bad in ["0", "101", "-1", "ten", "", "1.5", "99999999999999999999999"] {
            let problem = read(&format!("limit={bad}")).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("limit"), "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        for (query, field) in [("limt=5", "limt"), ("limit=5&limit=6", "limit"), ("a%20b=", "a b")] {
            assert_eq!(read(query).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
    }

    #[test]
    fn bad_player_ids_name_the_part_of_the_path() {
        for bad in ["", "a\nb", &"x".repeat(129)] {
            let problem = player(bad).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("id"));
            assert!(problem.detail.starts_with("`id` "), "{}", problem.detail);
        }
    }
}
