//! Strings, and what all keys have.

use super::{Outcome, integer, is_word};
use crate::redis::data::{Keyspace, Value};
use crate::redis::reply::{Fault, Reply};
use std::borrow::Cow;

pub(super) fn ping(_: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    match words {
        [_] => Ok(Reply::Status("PONG".into())),
        [_, text] => Ok(Reply::bulk(*text)),
        _ => Err(Fault::wrong_arity("PING")),
    }
}

/// Seconds and microseconds of the model's clock.
pub(super) fn time(keyspace: &mut Keyspace, _: &[&[u8]]) -> Outcome {
    let now_ms = keyspace.now_ms();
    let parts = [now_ms.div_euclid(1000), now_ms.rem_euclid(1000) * 1000];
    Ok(Reply::Array(parts.map(|part| Reply::bulk(part.to_string().into_bytes())).into()))
}

pub(super) fn flushall(keyspace: &mut Keyspace, _: &[&[u8]]) -> Outcome {
    keyspace.clear();
    Ok(Reply::OK)
}

pub(super) fn get(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    match keyspace.get(words[1]) {
        None => Ok(Reply::Nil),
        Some(Value::String(value)) => Ok(Reply::Bulk(value.clone())),
        Some(_) => Err(Fault::WRONG_TYPE),
    }
}

/// `SET key value [NX | XX] [EX seconds | PX milliseconds | KEEPTTL]`
pub(super) fn set(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let (key, value) = (words[1], words[2]);
    let (mut if_absent, mut if_there, mut keep) = (false, false, false);
    let mut expiry: Option<(&[u8], i64)> = None;
    let mut options = words[3..].iter();
    while let Some(option) = options.next() {
        let has_expiry = keep || expiry.is_some();
        if is_word(option, "NX") && !if_there {
            if_absent = true;
        } else if is_word(option, "XX") && !if_absent {
            if_there = true;
        } else if is_word(option, "KEEPTTL") && expiry.is_none() {
            keep = true;
        } else if (is_word(option, "EX") || is_word(option, "PX")) && !has_expiry {
            let unit_ms = if is_word(option, "EX") { 1000 } else { 1 };
            expiry = Some((options.next().ok_or(Fault::SYNTAX)?, unit_ms));
        } else if ["GET", "EXAT", "PXAT"].iter().any(|word| is_word(option, word)) {
            return Err(Fault::not_modelled(b"this option of SET"));
        } else {
            return Err(Fault::SYNTAX);
        }
    }
    let invalid = Fault::of("ERR invalid expire time in 'set' command");
    let expires_ms = match expiry {
        None => keyspace.expires_ms(key).flatten().filter(|_| keep),
        Some((text, unit_ms)) => {
            let life = integer(text)?;
            let expires = life.checked_mul(unit_ms).and_then(|ms| ms.checked_add(keyspace.now_ms()));
            Some(expires.filter(|_| life > 0).ok_or(invalid)?)
        }
    };
    let there = keyspace.contains(key);
    if (if_absent && there) || (if_there && !there) {
        return Ok(Reply::Nil);
    }
    keyspace.put(key, Value::String(value.into()), expires_ms);
    Ok(Reply::OK)
}

pub(super) fn exists(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(words[1..].iter().filter(|key| keyspace.contains(key)).count()))
}

pub(super) fn del(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(words[1..].iter().filter(|key| keyspace.remove(key)).count()))
}

pub(super) fn rename(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let (from, to) = (words[1], words[2]);
    if !keyspace.contains(from) {
        return Err(Fault::of("ERR no such key"));
    }
    if from != to {
        keyspace.copy(from, to);
        keyspace.remove(from);
    }
    Ok(Reply::OK)
}

/// `COPY source destination [REPLACE]`
pub(super) fn copy(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let (from, to) = (words[1], words[2]);
    let mut replace = false;
    for option in &words[3..] {
        if is_word(option, "DB") {
            return Err(Fault::not_modelled(b"COPY to another database"));
        }
        if !is_word(option, "REPLACE") {
            return Err(Fault::SYNTAX);
        }
        replace = true;
    }
    if from == to {
        return Err(Fault::of("ERR source and destination objects are the same"));
    }
    if !keyspace.contains(from) || (keyspace.contains(to) && !replace) {
        return Ok(Reply::Integer(0));
    }
    keyspace.copy(from, to);
    Ok(Reply::Integer(1))
}

pub(super) fn kind(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let kind = match keyspace.get(words[1]) {
        None => "none",
        Some(Value::String(_)) => "string",
        Some(Value::Hash(_)) => "hash",
        Some(Value::Set(_)) => "set",
        Some(Value::SortedSet(_)) => "zset",
    };
    Ok(Reply::Status(Cow::Borrowed(kind)))
}

pub(super) fn expire(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    expire_in(keyspace, words, 1000, "ERR invalid expire time in 'expire' command")
}

pub(super) fn pexpire(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    expire_in(keyspace, words, 1, "ERR invalid expire time in 'pexpire' command")
}

fn expire_in(keyspace: &mut Keyspace, words: &[&[u8]], unit_ms: i64, invalid: &'static str) -> Outcome {
    if words.len() > 3 {
        return Err(Fault::not_modelled(b"EXPIRE with an option"));
    }
    let life = integer(words[2])?.checked_mul(unit_ms);
    let at_ms = life.and_then(|ms| ms.checked_add(keyspace.now_ms())).ok_or(Fault::of(invalid))?;
    Ok(Reply::flag(keyspace.expire_at(words[1], at_ms)))
}

pub(super) fn persist(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::flag(keyspace.persist(words[1])))
}

pub(super) fn ttl(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let left = left_ms(keyspace, words[1]);
    Ok(Reply::Integer(if left < 0 { left } else { (left + 500) / 1000 }))
}

pub(super) fn pttl(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::Integer(left_ms(keyspace, words[1])))
}

/// -2: no such key; -1: it stays for good.
fn left_ms(keyspace: &Keyspace, key: &[u8]) -> i64 {
    match keyspace.expires_ms(key) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => at_ms - keyspace.now_ms(),
    }
}
