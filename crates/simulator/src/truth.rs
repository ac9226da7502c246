//! What must be so at every moment, and at the end.

use crate::desk::Stores;
use crate::log::{LogRecord, SCORES};
use crate::redis::{Keyspace, Value};
use boards::{Arrival, Board, BoardSet, Oracle, Standings};
use contracts::{EventTime, ScoreEvent};
use pipeline::sink::Partition;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Everything that was ever appended to the score topic, whatever became of the log.
#[derive(Debug)]
pub(crate) struct Truth {
    boards: BoardSet,
    /// For each partition, each record: the event, or `None` for a poisoned one.
    records: BTreeMap<Partition, Vec<Option<(ScoreEvent, EventTime)>>>,
    /// By board, the views that were last asked for and what they were made of: most of what Redis
    /// does changes neither.
    made: RefCell<BTreeMap<String, (Ends, Rc<Views>)>>,
}

/// How many records of each partition count.
type Ends = BTreeMap<Partition, usize>;

/// (player, total), best first.
type Rows = Vec<(String, i64)>;
/// By the name of the view: that of all players for all time has none.
type Views = BTreeMap<String, Rows>;

impl Truth {
    /// Nothing yet, by the rules of `boards`.
    pub(crate) fn of(boards: BoardSet) -> Self {
        Self { boards, records: BTreeMap::new(), made: RefCell::default() }
    }

    /// Takes a record in.
    pub(crate) fn append(&mut self, partition: Partition, record: &LogRecord) {
        let arrived_at = EventTime::from_millis(record.timestamp_ms).expect("a sane time");
        let event = ScoreEvent::decode(Some(&record.payload), arrived_at)
            .and_then(|event| self.boards.judge(&event, arrived_at).map(|()| (event, arrived_at)));
        self.records.entry(partition).or_default().push(event.ok());
    }

    /// What the log up to these offsets makes of a board.
    fn views_at(&self, board: &Board, offset_of: impl Fn(Partition) -> i64) -> Rc<Views> {
        let ends = self.records.iter().map(|(partition, records)| {
            let end = usize::try_from(offset_of(*partition)).unwrap_or(0).min(records.len());
            (*partition, end)
        });
        let ends: Ends = ends.collect();
        let mut made = self.made.borrow_mut();
        if let Some((made_of, views)) = made.get(&board.name)
            && *made_of == ends
        {
            return Rc::clone(views);
        }
        let views = Rc::new(self.fold(board, &ends));
        made.insert(board.name.clone(), (ends, Rc::clone(&views)));
        views
    }

    fn fold(&self, board: &Board, ends: &Ends) -> Views {
        let mut oracle = Oracle::new(self.boards.clone());
        for (partition, records) in &self.records {
            for (record, offset) in records[..ends[partition]].iter().zip(0..) {
                let Some((event, arrived_at)) = record else { continue };
                let arrival = Arrival { at: *arrived_at, partition: partition.number, offset };
                oracle.apply(event, arrival).expect("it was judged before");
            }
        }
        let rows = |standings: &Standings| {
            let rows = standings.top(usize::MAX).into_iter();
            rows.map(|row| (row.player.to_string(), row.total)).collect()
        };
        let views = oracle.views().filter_map(|(name, window, standings)| {
            let (index, value) = self.boards.find(&name)?;
            let name = (self.boards[index].name == board.name).then(|| view_name(value, window))?;
            Some((name, rows(standings)))
        });
        views.collect()
    }

    /// What stands on every board is what the log up to its stored offsets makes of it, view by
    /// view, player by player and in order.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn check_boards(&self, redis: &Keyspace) -> Result<(), String> {
        self.boards.iter().try_for_each(|board| self.check_board(board, redis))
    }

    fn check_board(&self, board: &Board, redis: &Keyspace) -> Result<(), String> {
        let name = &board.name;
        let state = hash(redis, &format!("{{{name}}}:state"));
        ensure(state.get("entered") == state.get("left"), || {
            format!("a script left its write to {name} open: {state:?}")
        })?;
        if !state.contains_key("epoch") || state.contains_key("filling") {
            return Ok(());
        }
        let rebuilt = matches!(state.get("rebuilding").map(String::as_str), Some("log" | "archive"));
        let offsets = hash(redis, &format!("{{{name}}}:offsets"));
        let expected = self.views_at(board, |partition| {
            let stored = offsets.get(&format!("game-score/{}", partition.number));
            stored.and_then(|offset| offset.parse().ok()).unwrap_or(0)
        });
        let found = views(redis, board, rebuilt);
        ensure(found == *expected, || {
            format!("{name} at {offsets:?} is {found:?}, not {expected:?}; state {state:?}")
        })
    }

    /// Everything that was appended is where it belongs, once.
    ///
    /// # Errors
    /// Saying what is not.
    pub(crate) fn check_end(&self, redis: &Keyspace, stores: &Stores) -> Result<(), String> {
        self.check_boards(redis)?;
        for board in &self.boards {
            let state = hash(redis, &format!("{{{}}}:state", board.name));
            ensure(!state.contains_key("rebuilding"), || format!("the rebuild has not ended: {state:?}"))?;
            let (found, expected) = (views(redis, board, false), self.views_at(board, |_| i64::MAX));
            ensure(found == *expected, || format!("{} is {found:?}, not {expected:?}", board.name))?;
        }

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

        let default = self.boards.default_board();
        let of_default = || stores.leaderboard.iter().filter(|snapshot| snapshot.board == default.name);
        let newest = of_default().max_by_key(|snapshot| snapshot.version);
        let shown: Rows = newest.map_or_else(Vec::new, |snapshot| {
            let rows = snapshot.user_list.iter();
            rows.map(|row| (row.user_id.clone(), row.score.units())).collect()
        });
        let views = self.views_at(default, |_| i64::MAX);
        let top: Rows = views.get("").into_iter().flatten().take(default.top).cloned().collect();
        ensure(shown == top, || format!("viewers see {shown:?} ({newest:?}), not {top:?}"))?;
        ensure(newest.is_none_or(|newest| !newest.rebuilding), || "viewers see it rebuilding".to_owned())?;
        let last = of_default().next_back();
        ensure(last.map(|snapshot| snapshot.version) == newest.map(|snapshot| snapshot.version), || {
            format!("compaction leaves {last:?}, not {newest:?}")
        })
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Which offsets are stored with every board: for each partition those of the least advanced.
#[must_use]
pub(crate) fn stored(redis: &Keyspace, boards: &BoardSet) -> BTreeMap<Partition, i64> {
    let mut least = BTreeMap::new();
    for board in boards {
        let offsets = hash(redis, &format!("{{{}}}:offsets", board.name));
        let scores = offsets.iter().filter_map(|(field, offset)| {
            let number = field.strip_prefix("game-score/")?.parse().ok()?;
            Some((scores(number), offset.parse::<i64>().ok()?))
        });
        for (partition, offset) in scores {
            let at = least.entry(partition).or_insert(offset);
            *at = offset.min(*at);
        }
    }
    least
}

/// A partition of the score topic.
#[must_use]
pub(crate) fn scores(number: i32) -> Partition {
    Partition { topic: SCORES, number }
}

/// What a view is called in the keys (a contract).
fn view_name(value: Option<&str>, window: &str) -> String {
    let window = (window != boards::windows::ALL).then(|| format!("w:{window}"));
    value.map(|value| format!("v:{value}")).into_iter().chain(window).collect::<Vec<_>>().join(":")
}

/// All views of a board that have players: those that readers see, or those that are rebuilt.
fn views(redis: &Keyspace, board: &Board, rebuilt: bool) -> Views {
    let name = &board.name;
    let (whole, prefix) =
        if rebuilt { (format!("{{{name}}}:rebuild"), "rebuild:") } else { (name.clone(), "") };
    let others = match redis.get(format!("{{{name}}}:{prefix}views").as_bytes()) {
        Some(Value::Set(views)) => views.iter().map(|view| text(view)).collect(),
        _ => Vec::new(),
    };
    let key = |view: &str| format!("{{{name}}}:{prefix}{view}");
    let others = others.into_iter().map(|view| (view.clone(), rows(redis, board, &key(&view))));
    let whole = (String::new(), rows(redis, board, &whole));
    others.chain([whole]).filter(|(_, rows)| !rows.is_empty()).collect()
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

fn rows(redis: &Keyspace, board: &Board, key: &str) -> Rows {
    match redis.get(key.as_bytes()) {
        Some(Value::SortedSet(set)) => {
            let rows = set.rows().iter().rev();
            rows.map(|(score, player)| (text(player), board.total_of(*score))).collect()
        }
        _ => Vec::new(),
    }
}
