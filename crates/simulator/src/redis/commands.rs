//! The commands on data: those that a client and a script may call alike.

mod hashes;
mod keys;
mod sets;
mod sorted_sets;

use super::data::Keyspace;
use super::reply::{Fault, Reply};

type Outcome = Result<Reply, Fault>;
type Handler = fn(&mut Keyspace, &[&[u8]]) -> Outcome;

/// How many words a command has, its name among them: exactly, or (negative) at least.
type Arity = i32;

/// In the order of the names.
const COMMANDS: [(&str, Arity, Handler); 41] = [
    ("COPY", -3, keys::copy),
    ("DEL", -2, keys::del),
    ("EXISTS", -2, keys::exists),
    ("EXPIRE", -3, keys::expire),
    ("FLUSHALL", -1, keys::flushall),
    ("GET", 2, keys::get),
    ("HDEL", -3, hashes::hdel),
    ("HEXISTS", 3, hashes::hexists),
    ("HGET", 3, hashes::hget),
    ("HGETALL", 2, hashes::hgetall),
    ("HINCRBY", 4, hashes::hincrby),
    ("HLEN", 2, hashes::hlen),
    ("HMGET", -3, hashes::hmget),
    ("HSET", -4, hashes::hset),
    ("HSETNX", 4, hashes::hsetnx),
    ("PERSIST", 2, keys::persist),
    ("PEXPIRE", -3, keys::pexpire),
    ("PING", -1, keys::ping),
    ("PTTL", 2, keys::pttl),
    ("RENAME", 3, keys::rename),
    ("SADD", -3, sets::sadd),
    ("SCARD", 2, sets::scard),
    ("SET", -3, keys::set),
    ("SISMEMBER", 3, sets::sismember),
    ("SMEMBERS", 2, sets::smembers),
    ("SMISMEMBER", -3, sets::smismember),
    ("SREM", -3, sets::srem),
    ("TIME", 1, keys::time),
    ("TTL", 2, keys::ttl),
    ("TYPE", 2, keys::kind),
    ("UNLINK", -2, keys::del),
    ("ZADD", -4, sorted_sets::zadd),
    ("ZCARD", 2, sorted_sets::zcard),
    ("ZCOUNT", 4, sorted_sets::zcount),
    ("ZMSCORE", -3, sorted_sets::zmscore),
    ("ZRANGE", -4, sorted_sets::zrange),
    ("ZRANK", 3, sorted_sets::zrank),
    ("ZREM", -3, sorted_sets::zrem),
    ("ZREVRANGE", -4, sorted_sets::zrevrange),
    ("ZREVRANK", 3, sorted_sets::zrevrank),
    ("ZSCORE", 3, sorted_sets::zscore),
];

/// What keeps a command from being tried at all.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    Unknown,
    WrongArity(&'static str),
}

/// The command of that name, if the number of words suits it.
pub(super) fn find(words: &[&[u8]]) -> Result<Handler, Refused> {
    let name = words.first().ok_or(Refused::Unknown)?;
    let order = |other: &str| {
        let upper = name.iter().map(u8::to_ascii_uppercase);
        other.bytes().cmp(upper)
    };
    let at = COMMANDS.binary_search_by(|(other, ..)| order(other)).map_err(|_| Refused::Unknown)?;
    let (name, arity, handler) = COMMANDS[at];
    if suits(arity, words.len()) { Ok(handler) } else { Err(Refused::WrongArity(name)) }
}

/// Whether a command of `arity` may have that many words.
pub(super) fn suits(arity: Arity, words: usize) -> bool {
    let asked = usize::try_from(arity.unsigned_abs()).expect("arities are small");
    if arity < 0 { words >= asked } else { words == asked }
}

/// The text with which a server refuses a command that it does not know.
pub(super) fn unknown(words: &[&[u8]]) -> Fault {
    const MOST: usize = 128;
    let mut arguments = String::new();
    for word in &words[1..] {
        if arguments.len() >= MOST {
            break;
        }
        let cut = word.len().min(MOST - arguments.len());
        arguments.push_str(&format!("'{}' ", String::from_utf8_lossy(&word[..cut])));
    }
    let name = String::from_utf8_lossy(words[0]);
    Fault(format!("ERR unknown command '{name}', with args beginning with: {arguments}").into())
}

/// An integer as Redis reads it: nothing but its canonical text.
pub(super) fn integer(text: &[u8]) -> Result<i64, Fault> {
    let parsed: Option<i64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let canonical = |digits: &[u8]| digits == b"0" || matches!(digits.first(), Some(b'1'..=b'9'));
    match text.strip_prefix(b"-") {
        Some(digits) if canonical(digits) && digits != b"0" => parsed,
        None if canonical(text) => parsed,
        _ => None,
    }
    .ok_or(Fault::NOT_AN_INTEGER)
}

/// A double as Redis reads it (hexadecimal ones aside).
pub(super) fn double(text: &[u8]) -> Result<f64, Fault> {
    let parsed: Option<f64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.filter(|double| !double.is_nan()).ok_or(Fault::NOT_A_FLOAT)
}

fn is_word(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        assert!(COMMANDS.is_sorted_by_key(|(name, ..)| *name));
        for (name, arity, _) in COMMANDS {
            let words = vec![name.as_bytes(); usize::try_from(arity.unsigned_abs()).unwrap()];
            assert!(find(&words).is_ok(), "{name}");
        }
        assert!(find(&[b"pInG"]).is_ok());
        assert_eq!(find(&[b"get"]).unwrap_err(), Refused::WrongArity("GET"));
        assert_eq!(find(&[b"nope"]).unwrap_err(), Refused::Unknown);
    }

    #[test]
    fn integers_have_one_text_only() {
        for (text, expected) in [("0", 0), ("-7", -7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(integer(text.as_bytes()), Ok(expected));
        }
        for text in ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "9223372036854775808"] {
            assert_eq!(integer(text.as_bytes()), Err(Fault::NOT_AN_INTEGER), "{text}");
        }
    }
}
