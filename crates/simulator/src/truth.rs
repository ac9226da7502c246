//! What must be so at every moment, and at the end.

use crate::desk::Stores;
use crate::log::{LogRecord, SCORES};
use crate::redis::{Keyspace, Value};
use boards::{Arrival, BoardSet, Standings};
use contracts::{EventTime, ScoreEvent};
use pipeline::sink::Partition;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was ever appended to the score topic, whatever became of the log.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    boards: BoardSet,
    /// For each partition, each record: the event, or `None` for a poisoned one.
    records: BTreeMap<Partition, Vec<Option<(ScoreEvent, EventTime)>>>,
}

/// (player, total), best first.
type Rows = Vec<(String, i64)>;

impl Truth {
    /// Takes a record in.
    pub(crate) fn append(&mut self, partition: Partition, record: &LogRecord) {
        let arrived_at = EventTime::from_millis(record.timestamp_ms).expect("a sane time");
        let event = ScoreEvent::decode(Some(&record.payload), arrived_at)
            .and_then(|event| self.boards.judge(&event, arrived_at).map(|()| (event, arrived_at)));
        self.records.entry(partition).or_default().push(event.ok());
    }

    /// The board that the log up to these offsets makes.
    fn board_at(&self, offset_of: impl Fn(Partition) -> i64) -> Rows {
        let mut standings = Standings::of(self.boards.default_board());
        for (partition, records) in &self.records {
            let until = usize::try_from(offset_of(*partition)).unwrap_or(0).min(records.len());
            for (record, offset) in records[..until].iter().zip(0..) {
                let Some((event, arrived_at)) = record else { continue };
                let arrival = Arrival { at: *arrived_at, partition: partition.number, offset };
                standings.apply(event, arrival).expect("it was judged before");
            }
        }
        let rows = standings.top(usize::MAX).into_iter();
        rows.map(|row| (row.player.to_string(), row.total)).collect()
    }

    /// The sum on the board is that of the log up to the stored offsets, player by player and in
    /// order.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn check_board(&self, redis: &Keyspace) -> Result<(), String> {
        let name = &self.boards.default_board().name;
        let state = hash(redis, &format!("{{{name}}}:state"));
        ensure(state.get("entered") == state.get("left"), || {
            format!("a script left its write open: {state:?}")
        })?;
        if !state.contains_key("epoch") || state.contains_key("filling") {
            return Ok(());
        }
        let rebuilt = matches!(state.get("rebuilding").map(String::as_str), Some("log" | "archive"));
        let key = if rebuilt { format!("{{{name}}}:rebuild") } else { name.clone() };
        let offsets = hash(redis, &format!("{{{name}}}:offsets"));
        let expected = self.board_at(|partition| {
            let stored = offsets.get(&format!("game-score/{}", partition.number));
            stored.and_then(|offset| offset.parse().ok()).unwrap_or(0)
        });
        let found = rows(redis, &key);
        if found == expected {
            return Ok(());
        }
        Err(format!("{key} at {offsets:?} is {found:?}, not {expected:?}; state {state:?}"))
    }

    /// Everything that was appended is where it belongs, once.
    ///
    /// # Errors
    /// Saying what is not.
    pub(crate) fn check_end(&self, redis: &Keyspace, stores: &Stores) -> Result<(), String> {
        self.check_board(redis)?;
        let expected = self.board_at(|_| i64::MAX);
        let name = &self.boards.default_board().name;
        let state = hash(redis, &format!("{{{name}}}:state"));
        ensure(!state.contains_key("rebuilding"), || format!("the rebuild has not ended: {state:?}"))?;
        let found = rows(redis, name);
        ensure(found == expected, || format!("the board is {found:?}, not {expected:?}"))?;

        for (partition, records) in &self.records {
            let next = stores.archive.offsets.get(partition).copied().unwrap_or(0);
            let high = i64::try_from(records.len()).expect("a short log");
            ensure(next == high, || format!("the archive stands at {next} of {high} in {partition:?}"))?;
            for (record, offset) in records.iter().zip(0..) {
                let row = stores.archive.rows.get(&(*partition, offset));
                let is_right = row.is_some_and(|(row, times)| row == record && *times == 1);
                ensure(is_right, || format!("the archive has {row:?} at {partition:?}/{offset}"))?;
            }
        }

        let poison: BTreeSet<String> = self
            .records
            .iter()
            .flat_map(|(partition, records)| {
                let bad = records.iter().zip(0..).filter(|(record, _)| record.is_none());
                bad.map(|(_, offset)| format!("game-score/{}/{offset}", partition.number))
            })
            .collect();
        let dead: BTreeSet<String> = stores.dead_letters.iter().cloned().collect();
        ensure(dead == poison, || format!("dead letters are {dead:?}, poison {poison:?}"))?;

        let newest = stores.leaderboard.iter().max_by_key(|snapshot| snapshot.version);
        let shown: Rows = newest.map_or_else(Vec::new, |snapshot| {
            let rows = snapshot.user_list.iter();
            rows.map(|row| (row.user_id.clone(), row.score.units())).collect()
        });
        let top: Rows = expected.into_iter().take(self.boards.default_board().top).collect();
        ensure(shown == top, || format!("viewers see {shown:?} ({newest:?}), not {top:?}; state {state:?}"))?;
        ensure(newest.is_none_or(|newest| !newest.rebuilding), || "viewers see it rebuilding".to_owned())?;
        let last = stores.leaderboard.last();
        ensure(last.map(|snapshot| snapshot.version) == newest.map(|snapshot| snapshot.version), || {
            format!("compaction leaves {last:?}, not {newest:?}")
        })
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Which offsets are stored with the board.
#[must_use]
pub(crate) fn stored(redis: &Keyspace) -> Vec<(Partition, i64)> {
    let offsets = hash(redis, &format!("{{{}}}:offsets", BoardSet::default().default_board().name));
    let scores = offsets.iter().filter_map(|(field, offset)| {
        let number = field.strip_prefix("game-score/")?.parse().ok()?;
        Some((scores(number), offset.parse().ok()?))
    });
    scores.collect()
}

/// A partition of the score topic.
#[must_use]
pub(crate) fn scores(number: i32) -> Partition {
    Partition { topic: SCORES, number }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hash(redis: &Keyspace, key: &str) -> BTreeMap<String, String> {
    match redis.get(key.as_bytes()) {
        Some(Value::Hash(hash)) => hash.iter().map(|(field, value)| (text(field), text(value))).collect(),
        _ => BTreeMap::new(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "totals are far below 2^53")]
fn rows(redis: &Keyspace, key: &str) -> Rows {
    match redis.get(key.as_bytes()) {
        Some(Value::SortedSet(set)) => {
            let rows = set.rows().iter().rev();
            rows.map(|(score, player)| (text(player), score.floor() as i64)).collect()
        }
        _ => Vec::new(),
    }
}
