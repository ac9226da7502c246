//! Sorted sets.

use super::{Outcome, double, integer, is_word};
use crate::redis::data::Keyspace;
use crate::redis::reply::{Fault, Reply};
use crate::redis::sorted_set::{ScoreBound, SortedSet};
use std::ops::Range;

/// `ZADD key [NX | XX] [GT | LT] [CH] score member …`
pub(super) fn zadd(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let flags = ["NX", "XX", "GT", "LT", "CH", "INCR"];
    let mut given = [false; 6];
    let mut first = 2;
    while let Some(flag) = words.get(first).and_then(|word| flags.iter().position(|flag| is_word(word, flag)))
    {
        given[flag] = true;
        first += 1;
    }
    let [if_absent, if_there, if_greater, if_less, count_changed, increment] = given;
    let (pairs, rest) = words[first.min(words.len())..].as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(Fault::SYNTAX);
    }
    if if_absent && if_there {
        return Err(Fault::of("ERR XX and NX options at the same time are not compatible"));
    }
    if (if_greater && if_less) || (if_absent && (if_greater || if_less)) {
        return Err(Fault::of("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    if increment {
        return Err(Fault::not_modelled(b"ZADD with INCR"));
    }
    let scores = pairs.iter().map(|[score, _]| double(score)).collect::<Result<Vec<f64>, _>>()?;
    if if_there && keyspace.read::<SortedSet>(words[1])?.is_none() {
        return Ok(Reply::Integer(0));
    }
    let sorted_set = keyspace.write::<SortedSet>(words[1])?;
    let (mut added, mut changed) = (0, 0);
    for (score, [_, member]) in scores.into_iter().zip(pairs) {
        match sorted_set.score(member) {
            None if if_there => {}
            None => {
                sorted_set.insert(member, score);
                added += 1;
            }
            Some(old) => {
                let stays =
                    if_absent || score == old || (if_greater && score < old) || (if_less && score > old);
                if !stays {
                    sorted_set.insert(member, score);
                    changed += 1;
                }
            }
        }
    }
    Ok(Reply::Integer(if count_changed { added + changed } else { added }))
}

pub(super) fn zrem(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let gone = keyspace.take(words[1], |sorted_set: &mut SortedSet| {
        words[2..].iter().filter(|member| sorted_set.remove(member)).count()
    })?;
    Ok(Reply::count(gone))
}

pub(super) fn zcard(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(keyspace.read::<SortedSet>(words[1])?.map_or(0, SortedSet::len)))
}

pub(super) fn zscore(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let sorted_set = keyspace.read::<SortedSet>(words[1])?;
    Ok(Reply::or_nil(sorted_set.and_then(|set| set.score(words[2])).map(Reply::score)))
}

pub(super) fn zmscore(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let sorted_set = keyspace.read::<SortedSet>(words[1])?;
    let score = |member: &&[u8]| sorted_set.and_then(|set| set.score(member)).map(Reply::score);
    Ok(Reply::Array(words[2..].iter().map(|member| Reply::or_nil(score(member))).collect()))
}

pub(super) fn zcount(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let (low, high) = (bound(words[2])?, bound(words[3])?);
    let sorted_set = keyspace.read::<SortedSet>(words[1])?;
    Ok(Reply::count(sorted_set.map_or(0, |set| set.between(low, high).len())))
}

fn bound(text: &[u8]) -> Result<ScoreBound, Fault> {
    let (exclusive, score) = text.strip_prefix(b"(").map_or((false, text), |score| (true, score));
    // Here, unlike elsewhere, Redis takes no text for a zero.
    let score = if score.is_empty() { Ok(0.0) } else { double(score) };
    let score = score.map_err(|_| Fault::of("ERR min or max is not a float"))?;
    Ok(ScoreBound { score, exclusive })
}

pub(super) fn zrank(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let sorted_set = keyspace.read::<SortedSet>(words[1])?;
    Ok(Reply::or_nil(sorted_set.and_then(|set| set.rank(words[2])).map(Reply::count)))
}

pub(super) fn zrevrank(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let sorted_set = keyspace.read::<SortedSet>(words[1])?;
    let rank = sorted_set.and_then(|set| Some(set.len() - 1 - set.rank(words[2])?));
    Ok(Reply::or_nil(rank.map(Reply::count)))
}

/// `ZRANGE key start stop [REV] [WITHSCORES]`
pub(super) fn zrange(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    let (mut reverse, mut with_scores) = (false, false);
    for option in &words[4..] {
        if is_word(option, "REV") {
            reverse = true;
        } else if is_word(option, "WITHSCORES") {
            with_scores = true;
        } else if ["BYSCORE", "BYLEX", "LIMIT"].iter().any(|word| is_word(option, word)) {
            return Err(Fault::not_modelled(b"this option of ZRANGE"));
        } else {
            return Err(Fault::SYNTAX);
        }
    }
    range(keyspace, words, reverse, with_scores)
}

pub(super) fn zrevrange(keyspace: &mut Keyspace, words: &[&[u8]]) -> Outcome {
    if words[4..].iter().any(|option| !is_word(option, "WITHSCORES")) {
        return Err(Fault::SYNTAX);
    }
    range(keyspace, words, true, words.len() > 4)
}

fn range(keyspace: &mut Keyspace, words: &[&[u8]], reverse: bool, with_scores: bool) -> Outcome {
    let (start, stop) = (integer(words[2])?, integer(words[3])?);
    let Some(sorted_set) = keyspace.read::<SortedSet>(words[1])? else { return Ok(Reply::Array(Vec::new())) };
    let rows = sorted_set.rows();
    let places = places(start, stop, rows.len());
    let mut replies = Vec::with_capacity(places.len() * 2);
    for place in places {
        let (score, member) = &rows[if reverse { rows.len() - 1 - place } else { place }];
        replies.push(Reply::Bulk(member.clone()));
        if with_scores {
            replies.push(Reply::score(*score));
        }
    }
    Ok(Reply::Array(replies))
}

/// The places from `start` to `stop`, which count from the end when they are negative.
fn places(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = i64::try_from(len).expect("lengths fit");
    let place = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, end) = (place(start).max(0), place(stop).saturating_add(1).min(len));
    let place = |at: i64| usize::try_from(at).expect("cut to the length");
    if start >= end { 0..0 } else { place(start)..place(end) }
}
