//! Changing a board and its offsets in one atomic step.

use crate::keys;
use crate::store::{APPLY, BoardStore, Connection, StoreError};
use boards::changes::Recency;
use boards::rules::Aggregate;
use boards::{Change, Changes, Identified, Scope, ScopeChanges};
use contracts::{EventTime, Stages, Version};
use redis::{Cmd, Pipeline, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Whether offsets are compared before a write. Everything but `On` is a negative control of the
/// whole-system tests, which must fail with it; no setting reaches it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    On,
    /// Offsets and data in one step, but nothing is compared.
    Off,
    /// Data first, offsets in a step of their own: at least once.
    Apart,
    /// Offsets first, data in a step of its own.
    AtMostOnce,
}

impl Fence {
    /// What each step of a write does, as the script is told.
    fn steps(self) -> &'static [&'static str] {
        match self {
            Self::On => &["on"],
            Self::Off => &["off"],
            Self::Apart => &["data", "offsets"],
            Self::AtMostOnce => &["offsets", "data"],
        }
    }
}

/// One step of a chain of writes.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What the events do.
    pub changes: &'a Changes,
    /// For each partition: `topic/partition`, the first offset, the offset after the last.
    pub spans: &'a [(String, i64, i64)],
    /// The stages of the newest event; `None` when none changes the board.
    pub stages: Option<Stages>,
    /// When the newest event arrived, whichever boards it is for; `None` when no event is in the
    /// batch.
    pub newest: Option<EventTime>,
}

/// What became of a chain of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where the board stands after it.
    pub version: Version,
    /// How many entries, one for each player, scope and view, had no room for their value.
    pub without_room: u64,
}

impl<C: Connection> BoardStore<C> {
    /// Applies `writes` to the board that was begun at that epoch, in order, in one round trip, each
    /// atomically with its offsets.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when one was refused; those after it that are of the same partitions
    /// were refused too, because they begin where it would have ended. After [`StoreError::Redis`] nobody knows which took
    /// effect: [`open`](Self::open) tells.
    pub async fn apply(&self, fence: Fence, begun: u64, writes: &[Write<'_>]) -> Result<Applied, StoreError> {
        let mut all: Option<Applied> = None;
        for step in fence.steps() {
            let mut pipeline = Pipeline::with_capacity(writes.len());
            for (at, write) in writes.iter().enumerate() {
                pipeline.add_command(self.apply_command(step, begun, write, at == 0));
            }
            let replies: Vec<Value> = pipeline.query_async(&mut self.connection.clone()).await?;
            for reply in replies {
                let Applied { version, without_room } = self.read_reply(reply)?;
                let before = all.map_or(0, |applied| applied.without_room);
                all = Some(Applied { version, without_room: before + without_room });
            }
        }
        all.ok_or_else(|| self.corrupt("no reply"))
    }

    /// The first call of a chain carries the script itself, so that a server that forgot it
    /// learns it; the others carry its hash.
    fn apply_command(&self, step: &str, begun: u64, write: &Write<'_>, whole: bool) -> Cmd {
        let Write { changes, spans, stages, newest } = write;
        let views = Views::of(changes);
        let mut command = redis::cmd(if whole { "EVAL" } else { "EVALSHA" });
        command.arg(if whole { APPLY } else { self.scripts.apply.get_hash() });
        command.arg(1).arg(&self.board.name);
        command.arg(step).arg(self.aggregate()).arg(self.board.max_total_units);
        command.arg(self.board.per_value.as_ref().map_or(0, |per_value| per_value.max_values)).arg(begun);
        command.arg(self.dense());
        match stages {
            Some(stages) => {
                command.arg(stages.created_ms.to_string()).arg(stages.in_kafka_ms.to_string());
                command.arg(stages.applied_ms.to_string());
            }
            None => drop(command.arg("").arg("").arg("")),
        }
        command.arg(newest.map(|at| at.to_millis_f64().to_string()).unwrap_or_default());
        command.arg(spans.len()).arg(views.names.len());
        command.arg(changes.scopes().len()).arg(changes.identified().len());
        for (field, from, to) in *spans {
            command.arg(field).arg(*from).arg(*to);
        }
        for (value, window) in &views.names {
            command.arg(keys::view(*value, window)).arg(value.unwrap_or_default());
        }
        for ScopeChanges { scope, players } in changes.scopes() {
            views.add_scope(&mut command, scope);
            command.arg(players.len());
            for (player, change) in players {
                command.arg(player.as_str());
                self.add_words(&mut command, *change);
            }
        }
        for Identified { player, event_id, arrival_day, scope, change } in changes.identified() {
            views.add_scope(&mut command, scope);
            command.arg(*arrival_day).arg(player.as_str()).arg(keys::id(player, event_id));
            self.add_words(&mut command, *change);
        }
        command
    }

    /// What the scripts call the board's aggregate: a count is a sum of ones.
    pub(crate) fn aggregate(&self) -> &'static str {
        match self.board.aggregate {
            Aggregate::Sum | Aggregate::Count => "sum",
            Aggregate::Best => "best",
            Aggregate::Last => "last",
        }
    }

    /// What the scripts are told of dense ranks.
    pub(crate) fn dense(&self) -> &'static str {
        if self.board.dense_ranks { "dense" } else { "" }
    }

    /// What an entry says beside its player.
    fn add_words(&self, command: &mut Cmd, change: Change) {
        match change {
            Change::Add { delta, reached } => command.arg(delta).arg(reached.step()),
            // Rust's shortest text of a double reads back as the same double.
            Change::Best { .. } => command.arg(self.board.settled_score(change).to_string()),
            Change::Last { recency, .. } => {
                command.arg(self.board.settled_score(change).to_string()).arg(text_of(recency))
            }
        };
    }

    fn read_reply(&self, reply: Value) -> Result<Applied, StoreError> {
        let items: Vec<String> =
            redis::from_redis_value(reply).map_err(|error| self.corrupt(&error.to_string()))?;
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        match items.as_slice() {
            ["ok", epoch, version, without_room] => {
                match (epoch.parse(), version.parse(), without_room.parse()) {
                    (Ok(epoch), Ok(version), Ok(without_room)) => {
                        Ok(Applied { version: Version { epoch, version }, without_room })
                    }
                    _ => Err(self.corrupt("what should be a number is none")),
                }
            }
            ["lost"] => {
                Err(StoreError::Fenced(format!("board {} is gone, or was begun anew", self.board.name)))
            }
            ["fenced", field, stored, from] => Err(StoreError::Fenced(format!(
                "board {}: {field} stands at {stored}, the batch begins at {from}",
                self.board.name
            ))),
            other => Err(self.corrupt(&format!("{other:?}"))),
        }
    }
}

/// Which event is newer, as a text of which the greater one is the newer event's: digits only, of
/// one length.
pub(crate) fn text_of(recency: Recency) -> String {
    let Recency { created_at, offset, partition } = recency;
    let since_the_first = created_at.micros() - EventTime::MIN.micros();
    format!("{since_the_first:018}{offset:019}{partition:010}")
}

/// Which event a text of [`text_of`] names; `None` for one that it does not make.
pub(crate) fn recency_of(text: &str) -> Option<Recency> {
    let (since_the_first, rest) = text.split_at_checked(18)?;
    let (offset, partition) = rest.split_at_checked(19)?;
    let micros = since_the_first.parse::<i64>().ok()?.checked_add(EventTime::MIN.micros())?;
    let created_at = EventTime::from_micros(micros)?;
    let recency = Recency { created_at, offset: offset.parse().ok()?, partition: partition.parse().ok()? };
    (text_of(recency) == text).then_some(recency)
}

/// A view: its value, where it has one, and its window's id.
type ViewRef<'c> = (Option<&'c str>, &'c str);

/// Each view that the changes are of, once, with its number.
#[derive(Default)]
struct Views<'c> {
    names: Vec<ViewRef<'c>>,
    numbers: HashMap<ViewRef<'c>, usize>,
}

impl<'c> Views<'c> {
    fn of(changes: &'c Changes) -> Self {
        let mut views = Self::default();
        let plain = changes.scopes().iter().map(|changes| &changes.scope);
        for scope in plain.chain(changes.identified().iter().map(|event| &event.scope)) {
            for view in views_in(scope) {
                if let Entry::Vacant(vacant) = views.numbers.entry(view) {
                    views.names.push(view);
                    vacant.insert(views.names.len());
                }
            }
        }
        views
    }

    /// Says of which views a scope is: how many, and their numbers.
    fn add_scope(&self, command: &mut Cmd, scope: &Scope) {
        command.arg(scope.windows.len());
        for view in views_in(scope) {
            command.arg(self.numbers[&view]);
        }
    }
}

fn views_in(scope: &Scope) -> impl Iterator<Item = ViewRef<'_>> {
    scope.windows.iter().map(|window| (scope.value.as_deref(), &*window.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_event_is_the_newest_is_read_as_it_was_written() {
        for (created_at, offset, partition) in
            [(EventTime::MIN, 0, 0), (EventTime::UNIX_EPOCH, 7, 3), (EventTime::MAX, i64::MAX, i32::MAX)]
        {
            let recency = Recency { created_at, offset, partition };
            assert_eq!(recency_of(&text_of(recency)), Some(recency));
        }
        for other in ["", "7", "é", &"9".repeat(47), &format!("{}-1", "0".repeat(45))] {
            assert_eq!(recency_of(other), None, "{other}");
        }
    }
}
