//! Changing a board and its offsets in one atomic step.

use crate::keys;
use crate::store::{APPLY, BoardStore, Connection, StoreError};
use boards::Changes;
use boards::rules::MAX_TOTAL_UNITS;
use contracts::{Stages, Version};
use redis::{Cmd, Pipeline, Value};
use std::collections::BTreeSet;

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
    /// The stages of the newest event; `None` when no event is in the batch.
    pub stages: Option<Stages>,
}

/// Where the board stands after a chain of writes.
pub type Applied = Version;

impl<C: Connection> BoardStore<C> {
    /// Applies `writes` to the board that was begun at that epoch, in order, in one round trip, each atomically with its offsets.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when one was refused: then those after it were refused too, because
    /// they begin where it would have ended. After [`StoreError::Redis`] nobody knows which took
    /// effect: [`open`](Self::open) tells.
    pub async fn apply(&self, fence: Fence, begun: u64, writes: &[Write<'_>]) -> Result<Applied, StoreError> {
        let mut applied = None;
        for step in fence.steps() {
            let mut pipeline = Pipeline::with_capacity(writes.len());
            for (at, write) in writes.iter().enumerate() {
                pipeline.add_command(self.apply_command(step, begun, write, at == 0));
            }
            let replies: Vec<Value> = pipeline.query_async(&mut self.connection.clone()).await?;
            for reply in replies {
                applied = Some(self.read_reply(reply)?);
            }
        }
        applied.ok_or_else(|| self.corrupt("no reply"))
    }

    /// The first call of a chain carries the script itself, so that a server that forgot it
    /// learns it; the others carry its hash.
    fn apply_command(&self, step: &str, begun: u64, write: &Write<'_>, whole: bool) -> Cmd {
        let name = &self.board.name;
        let Write { changes, spans, stages } = write;
        let days: BTreeSet<i64> = changes
            .identified
            .iter()
            .flat_map(|event| event.arrival_day - 1..=event.arrival_day + 1)
            .collect();
        let days: Vec<i64> = days.into_iter().collect();

        let mut command = redis::cmd(if whole { "EVAL" } else { "EVALSHA" });
        command.arg(if whole { APPLY } else { self.scripts.apply.get_hash() });
        command.arg(5 + days.len()).arg(name).arg(keys::state(name)).arg(keys::offsets(name));
        command.arg(keys::rebuild(name)).arg(keys::targets(name));
        for day in &days {
            command.arg(keys::ids(name, begun, *day));
        }
        command.arg(step).arg(MAX_TOTAL_UNITS).arg(begun);
        match stages {
            Some(stages) => {
                command.arg(stages.created_ms.to_string()).arg(stages.in_kafka_ms.to_string());
                command.arg(stages.applied_ms.to_string());
            }
            None => drop(command.arg("").arg("").arg("")),
        }
        command.arg(spans.len()).arg(changes.players.len()).arg(changes.identified.len());
        for (field, from, to) in *spans {
            command.arg(field).arg(*from).arg(*to);
        }
        for (player, change) in &changes.players {
            command.arg(player.as_str()).arg(change.value()).arg(change.reached().step());
        }
        for event in &changes.identified {
            let before =
                days.binary_search(&(event.arrival_day - 1)).expect("the days of every event are in");
            command.arg(6 + before).arg(event.player.as_str());
            command.arg(keys::id(&event.player, &event.event_id));
            command.arg(event.change.value()).arg(event.change.reached().step());
        }
        command
    }

    fn read_reply(&self, reply: Value) -> Result<Applied, StoreError> {
        let items: Vec<String> =
            redis::from_redis_value(reply).map_err(|error| self.corrupt(&error.to_string()))?;
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        match items.as_slice() {
            ["ok", epoch, version] => match (epoch.parse(), version.parse()) {
                (Ok(epoch), Ok(version)) => Ok(Version { epoch, version }),
                _ => Err(self.corrupt("epoch or version is not a number")),
            },
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
