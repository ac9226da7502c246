//! The lists of `--map` and `--where`: `left=right` or `left!=right`, with commas between.
//!
//! A side may stand in quotes, where it holds a comma, `=` or spaces at its ends; the quote
//! itself is then doubled. A quote within an unquoted side is a character like any other.

use std::str::FromStr;

/// How a side was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// `as it is`
    Bare,
    /// `'in single quotes'`
    Single,
    /// `"in double quotes"`
    Double,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What stands left of the sign.
    pub left: String,
    /// The sign is `!=`.
    pub negated: bool,
    /// What stands right of it.
    pub right: String,
    /// How the right side was written.
    pub quoting: Quoting,
}

/// A list, as given with one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs(pub Vec<Pair>);

impl FromStr for Pairs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pairs = Vec::new();
        let mut rest = text;
        loop {
            let (pair, after) = take_pair(rest)?;
            pairs.push(pair);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return Ok(Self(pairs)),
            }
        }
    }
}

/// Takes one entry; what is left is empty or begins with a comma.
fn take_pair(text: &str) -> Result<(Pair, &str), String> {
    let (left, quoting, rest) = take_side(text, &['=', ','])?;
    // A bare side ends at the `=`, so the `!` of `!=` is its last character.
    let (left, rest, negated) = match (quoting, left.strip_suffix('!'), rest.strip_prefix('!')) {
        (Quoting::Bare, Some(left), _) => (left.trim_end().to_owned(), rest, true),
        (Quoting::Single | Quoting::Double, _, Some(rest)) => (left, rest, true),
        _ => (left, rest, false),
    };
    let entry = text.split(',').next().unwrap_or(text);
    let Some(rest) = rest.strip_prefix('=') else {
        return Err(format!("`{entry}` is not of the form left=right"));
    };
    if left.is_empty() {
        return Err(format!("`{entry}` has nothing before the `=`"));
    }
    let (right, quoting, rest) = take_side(rest, &[','])?;
    if !rest.is_empty() && !rest.starts_with(',') {
        return Err(format!("`{entry}`: a comma must follow the closing quote, not `{rest}`"));
    }
    Ok((Pair { left, negated, right, quoting }, rest))
}

/// Takes a side up to one of `ends`, or up to its closing quote.
fn take_side<'a>(text: &'a str, ends: &[char]) -> Result<(String, Quoting, &'a str), String> {
    let text = text.trim_start();
    for (quote, quoting) in [('\'', Quoting::Single), ('"', Quoting::Double)] {
        if let Some(inside) = text.strip_prefix(quote) {
            let (side, rest) =
                take_quoted(inside, quote).ok_or_else(|| format!("`{text}`: the quote is never closed"))?;
            return Ok((side, quoting, rest.trim_start()));
        }
    }
    let end = text.find(ends).unwrap_or(text.len());
    Ok((text[..end].trim_end().to_owned(), Quoting::Bare, &text[end..]))
}

fn take_quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut side = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(quote)?;
        side.push_str(&rest[..end]);
        rest = &rest[end + quote.len_utf8()..];
        match rest.strip_prefix(quote) {
            Some(after_doubled) => {
                side.push(quote);
                rest = after_doubled;
            }
            None => return Some((side, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Vec<(String, bool, String, Quoting)> {
        let pairs: Pairs = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        pairs.0.into_iter().map(|pair| (pair.left, pair.negated, pair.right, pair.quoting)).collect()
    }

    fn pair(left: &str, negated: bool, right: &str, quoting: Quoting) -> (String, bool, String, Quoting) {
        (left.to_owned(), negated, right.to_owned(), quoting)
    }

    #[test]
    fn lists_are_read_with_and_without_quotes() {
        use Quoting::{Bare, Double, Single};
        for (text, expected) in [
            ("a=b", vec![pair("a", false, "b", Bare)]),
            ("a=b, c != d ", vec![pair("a", false, "b", Bare), pair("c", true, "d", Bare)]),
            ("a!=b=c", vec![pair("a", true, "b=c", Bare)]),
            ("a='1, 2'", vec![pair("a", false, "1, 2", Single)]),
            ("a='it''s',b=1", vec![pair("a", false, "it's", Single), pair("b", false, "1", Bare)]),
            ("scorer=O'Brien", vec![pair("scorer", false, "O'Brien", Bare)]),
            (r#""total, ""net""" = "x=y""#, vec![pair(r#"total, "net""#, false, "x=y", Double)]),
            (r#""a"!=''"#, vec![pair("a", true, "", Single)]),
            ("a=", vec![pair("a", false, "", Bare)]),
            ("José=né", vec![pair("José", false, "né", Bare)]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_entry_at_fault() {
        for (text, says) in [
            ("", "`` is not of the form"),
            ("a", "`a` is not of the form"),
            ("a=1,b", "`b` is not of the form"),
            ("a=1,", "`` is not of the form"),
            ("=1", "`=1` has nothing before"),
            ("!=1", "`!=1` has nothing before"),
            ("a='1", "`'1`: the quote is never closed"),
            ("a='1'2", "not `2`"),
            (r#""a"b=1"#, "is not of the form"),
        ] {
            let error = text.parse::<Pairs>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn quoted_sides_hold_any_text(left in ".{1,20}", right in ".{0,20}", negated: bool) {
            let sign = if negated { "!=" } else { "=" };
            let text = format!("\"{}\"{sign}'{}'", left.replace('"', "\"\""), right.replace('\'', "''"));
            prop_assert_eq!(parse(&text), vec![(left, negated, right, Quoting::Single)]);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<Pairs>();
        }
    }
}
