//! Sets.

use super::Outcome;
use crate::redis::data::{Keyspace, Set};
use crate::redis::reply::Reply;

pub(super) fn sadd(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let set = keyspace.write::<Set>(words[1])?;
    Ok(Reply::count(words[2..].iter().filter(|member| set.insert((**member).into())).count()))
}

pub(super) fn srem(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let gone = keyspace
        .take(words[1], |set: &mut Set| words[2..].iter().filter(|member| set.remove(**member)).count())?;
    Ok(Reply::count(gone))
}

pub(super) fn scard(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(keyspace.read::<Set>(words[1])?.map_or(0, Set::len)))
}

pub(super) fn sismember(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::flag(keyspace.read::<Set>(words[1])?.is_some_and(|set| set.contains(words[2]))))
}

pub(super) fn smismember(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let set = keyspace.read::<Set>(words[1])?;
    let is_in = |member: &&[u8]| Reply::flag(set.is_some_and(|set| set.contains(*member)));
    Ok(Reply::Array(words[2..].iter().map(is_in).collect()))
}

pub(super) fn smembers(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let members = keyspace.read::<Set>(words[1])?.into_iter().flatten();
    Ok(Reply::Array(members.cloned().map(Reply::Bulk).collect()))
}
