//! Hashes.

use super::{Outcome, integer};
use crate::redis::data::{Hash, Keyspace};
use crate::redis::reply::{Fault, Reply};

pub(super) fn hget(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let hash = keyspace.read::<Hash>(words[1])?;
    Ok(Reply::or_nil(hash.and_then(|hash| hash.get(words[2])).map(|value| Reply::Bulk(value.clone()))))
}

pub(super) fn hmget(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let hash = keyspace.read::<Hash>(words[1])?;
    let value =
        |field: &&[u8]| hash.and_then(|hash| hash.get(*field)).map(|value| Reply::Bulk(value.clone()));
    Ok(Reply::Array(words[2..].iter().map(|field| Reply::or_nil(value(field))).collect()))
}

pub(super) fn hgetall(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let pairs = keyspace.read::<Hash>(words[1])?.into_iter().flatten();
    Ok(Reply::Array(pairs.flat_map(|(field, value)| [field, value]).cloned().map(Reply::Bulk).collect()))
}

pub(super) fn hlen(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(keyspace.read::<Hash>(words[1])?.map_or(0, Hash::len)))
}

pub(super) fn hexists(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::flag(keyspace.read::<Hash>(words[1])?.is_some_and(|hash| hash.contains_key(words[2]))))
}

pub(super) fn hset(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let (pairs, rest) = words[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::wrong_arity("HSET"));
    }
    let hash = keyspace.write::<Hash>(words[1])?;
    let new = |[field, value]: &&[&[u8]; 2]| hash.insert((*field).into(), (*value).into()).is_none();
    Ok(Reply::count(pairs.iter().filter(new).count()))
}

pub(super) fn hsetnx(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let hash = keyspace.write::<Hash>(words[1])?;
    let new = !hash.contains_key(words[2]);
    if new {
        hash.insert(words[2].into(), words[3].into());
    }
    Ok(Reply::flag(new))
}

pub(super) fn hdel(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let gone = keyspace.take(words[1], |hash: &mut Hash| {
        words[2..].iter().filter(|field| hash.shift_remove(**field).is_some()).count()
    })?;
    Ok(Reply::count(gone))
}

pub(super) fn hincrby(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let by = integer(words[3])?;
    let there = keyspace.read::<Hash>(words[1])?.and_then(|hash| hash.get(words[2]));
    let old = match there {
        None => 0,
        Some(text) => integer(text).map_err(|_| Fault::of("ERR hash value is not an integer"))?,
    };
    let new = old.checked_add(by).ok_or(Fault::OVERFLOW)?;
    let hash = keyspace.write::<Hash>(words[1])?;
    hash.insert(words[2].into(), new.to_string().into_bytes().into());
    Ok(Reply::Integer(new))
}
