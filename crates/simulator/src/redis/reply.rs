//! What a server answers, and how it writes numbers.

use super::data::ByteString;
use std::borrow::Cow;

/// A reply under RESP2.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// An integer.
    Integer(i64),
    /// Bytes.
    Bulk(ByteString),
    /// A word such as `OK`.
    Status(Cow<'static, str>),
    /// An error: its code, a space, what is wrong.
    Error(String),
    /// Replies in a row.
    Array(Vec<Self>),
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault(pub(super) Cow<'static, str>);

impl Fault {
    pub(super) const WRONG_TYPE: Self =
        Self::of("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(super) const NOT_AN_INTEGER: Self = Self::of("ERR value is not an integer or out of range");
    pub(super) const NOT_A_FLOAT: Self = Self::of("ERR value is not a valid float");
    pub(super) const SYNTAX: Self = Self::of("ERR syntax error");
    pub(super) const OVERFLOW: Self = Self::of("ERR increment or decrement would overflow");

    pub(super) const fn of(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub(super) fn wrong_arity(command: &str) -> Self {
        Self(format!("ERR wrong number of arguments for '{}' command", command.to_lowercase()).into())
    }

    pub(super) fn not_modelled(what: &[u8]) -> Self {
        Self(format!("ERR not modelled: {}", String::from_utf8_lossy(what)).into())
    }
}

impl From<Result<Reply, Fault>> for Reply {
    fn from(result: Result<Reply, Fault>) -> Self {
        result.unwrap_or_else(|fault| Self::Error(fault.0.into_owned()))
    }
}

impl Reply {
    pub(super) const OK: Self = Self::Status(Cow::Borrowed("OK"));

    pub(super) fn bulk(bytes: impl Into<ByteString>) -> Self {
        Self::Bulk(bytes.into())
    }

    pub(super) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).expect("counts fit"))
    }

    pub(super) fn flag(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }

    pub(super) fn score(score: f64) -> Self {
        Self::bulk(format_score(score).into_bytes())
    }

    pub(super) fn or_nil(reply: Option<Self>) -> Self {
        reply.unwrap_or(Self::Nil)
    }

    /// The reply as the client library hands it out.
    #[must_use]
    pub fn into_value(self) -> redis::Value {
        match self {
            Self::Nil => redis::Value::Nil,
            Self::Integer(integer) => redis::Value::Int(integer),
            Self::Bulk(bytes) => redis::Value::BulkString(bytes.to_vec()),
            Self::Status(word) if word == "OK" => redis::Value::Okay,
            Self::Status(word) => redis::Value::SimpleString(word.into_owned()),
            // The library makes its error values only by reading them.
            Self::Error(text) => redis::parse_redis_value(format!("-{}\r\n", one_line(&text)).as_bytes())
                .expect("an error of one line can be read"),
            Self::Array(items) => redis::Value::Array(items.into_iter().map(Self::into_value).collect()),
        }
    }
}

fn one_line(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).replace(['\r', '\n'], " ")
}

/// A score as Redis 7.0 writes it: `%.17g`. (From 7.2 on it is the shortest text that reads back
/// as the same double.)
#[must_use]
pub(super) fn format_score(score: f64) -> String {
    format_general(score, 17)
}

/// `%.<digits>g` of C.
pub(super) fn format_general(number: f64, digits: usize) -> String {
    if number.is_nan() {
        // As glibc writes the NaN that 0/0 makes on x86.
        return if number.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a small integer")]
    if number.fract() == 0.0 && number.abs() < 1e14 && (number != 0.0 || number.is_sign_positive()) {
        return (number as i64).to_string();
    }
    // Rust writes every digit of a double exactly, as C does: "d.ddddde<exponent>".
    let scientific = format!("{number:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("it was asked for");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let trim = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    let digits = i32::try_from(digits).expect("a number of digits is small");
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mantissa = if mantissa.contains('.') { trim(mantissa) } else { mantissa.to_owned() };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let decimals = usize::try_from(digits - 1 - exponent).expect("the exponent is below the digits");
    let fixed = format!("{number:.decimals$}");
    if decimals == 0 { fixed } else { trim(&fixed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_does() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.5, "3.5"),
            (0.1, "0.10000000000000001"),
            (-12.25, "-12.25"),
            (1e14, "100000000000000"),
            (12_345_678_901_234_567.0, "12345678901234568"),
            (1e17, "1e+17"),
            (1e20, "1e+20"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_score(number), expected);
        }
        assert_eq!(format_general(2f64.powi(53), 14), "9.007199254741e+15");
        assert_eq!(format_general(1.0 / 3.0, 14), "0.33333333333333");
    }

    #[test]
    fn errors_reach_the_client_library_as_those_of_a_server() {
        let code = |text: &str| match Reply::Error(text.to_owned()).into_value() {
            redis::Value::ServerError(error) => {
                (error.code().to_owned(), error.details().unwrap_or_default().to_owned())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(code("NOSCRIPT No matching script."), ("NOSCRIPT".into(), "No matching script.".into()));
        assert_eq!(code("ERR a\nb\r\n"), ("ERR".into(), "a b".into()));
        assert_eq!(code("bad"), ("bad".into(), String::new()));
    }
}
