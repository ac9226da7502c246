//! Reading a board view by view and player by player, for those who hold it against the log.

use crate::apply::recency_of;
use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use boards::View;
use boards::changes::Recency;
use boards::rules::Aggregate;
use contracts::PlayerId;
use redis::{FromRedisValue, Value};
use std::collections::BTreeMap;

/// How many members one look through a set asks for at a time: about a millisecond of the server.
const MEMBERS_A_LOOK: usize = 1000;

/// Some players of a board and where it stood, read in one atomic step.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// The board's epoch.
    pub epoch: u64,
    /// The rules under which it was made.
    pub rules: String,
    /// Whether a board that is not whole yet is filled beside what stands under the board's name.
    /// The offsets are those of that one.
    pub rebuilding: bool,
    /// Of the topic asked for: partition → the next offset to apply.
    pub offsets: BTreeMap<i32, i64>,
    /// The views asked for, in their order.
    pub views: Vec<AuditedView>,
}

/// Some players of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditedView {
    /// Whether it is among the board's views; that of all players for all time always is.
    pub listed: bool,
    /// How many players it has.
    pub players: u64,
    /// Where the players asked for stand, in their order.
    pub rows: Vec<AuditedRow>,
}

/// What stands of a player in a view.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AuditedRow {
    /// The double in the sorted set.
    pub score: Option<f64>,
    /// On a board of last scores, which event that is of; `None` also for what nobody writes so.
    pub newest: Option<Recency>,
}

/// Where a board stands, and whether it is whole.
type Head = (Option<u64>, Option<String>, Option<String>, Option<u64>, Option<u64>);

impl<C: Connection> BoardStore<C> {
    /// Where players of some views stand and where the board stands, by the offsets of `topic` (its
    /// name without prefix); `None` when Redis knows nothing of the board. Redis serves nobody else
    /// meanwhile: about 1 µs a player, 2 µs on a board of last scores, and 3 µs a view.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn audit_page(
        &self,
        topic: &str,
        asked: &[(&View, &[PlayerId])],
    ) -> Result<Option<AuditPage>, StoreError> {
        let name = &self.board.name;
        let last = self.board.aggregate == Aggregate::Last;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.hmget(keys::state(name), &["epoch", "rules", "rebuilding", "entered", "left"]);
        pipeline.hgetall(keys::offsets(name));
        for (view, players) in asked {
            let view = keys::view(view.value.as_deref(), &view.window.id);
            let set = keys::set(name, &view);
            pipeline.sismember(keys::views(name), &view).zcard(&*set);
            if !players.is_empty() {
                let words = || players.iter().map(PlayerId::as_str).collect::<Vec<_>>();
                pipeline.cmd("ZMSCORE").arg(&*set).arg(words());
                if last {
                    pipeline.cmd("HMGET").arg(keys::newest(name, &view)).arg(words());
                }
            }
        }
        let replies: Vec<Value> = pipeline.query_async(&mut self.connection.clone()).await?;
        let mut replies = replies.into_iter();
        let (head, offsets): (Head, BTreeMap<String, i64>) =
            (self.next(&mut replies)?, self.next(&mut replies)?);
        let (Some(epoch), Some(rules), rebuilding, entered, left) = head else { return Ok(None) };
        let offsets = offsets
            .into_iter()
            .filter_map(|(field, offset)| {
                let (of, partition) = field.rsplit_once('/')?;
                (of == topic).then_some((partition.parse().ok()?, offset))
            })
            .collect();
        let mut views = Vec::with_capacity(asked.len());
        for (view, players) in asked {
            let listed = self.next::<bool>(&mut replies)? || **view == View::all_time();
            let count = self.next(&mut replies)?;
            let mut rows = Vec::new();
            if !players.is_empty() {
                let scores: Vec<Option<f64>> = self.next(&mut replies)?;
                rows.extend(scores.into_iter().map(|score| AuditedRow { score, newest: None }));
                if last {
                    let newest: Vec<Option<String>> = self.next(&mut replies)?;
                    for (row, newest) in rows.iter_mut().zip(newest) {
                        row.newest = newest.as_deref().and_then(recency_of);
                    }
                }
            }
            views.push(AuditedView { listed, players: count, rows });
        }
        let rebuilding = rebuilding.is_some() || entered != left;
        Ok(Some(AuditPage { epoch, rules, rebuilding, offsets, views }))
    }

    /// The next reply of a pipeline.
    fn next<T: FromRedisValue>(&self, replies: &mut impl Iterator<Item = Value>) -> Result<T, StoreError> {
        let reply = replies.next().ok_or_else(|| self.corrupt("fewer replies than questions"))?;
        redis::from_redis_value(reply).map_err(|error| self.corrupt(&error.to_string()))
    }

    /// Some players of a view, and the cursor of the next; 0 begins and ends. Those who are there all
    /// the while are given at least once.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn members(&self, view: &View, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        let name = keys::view(view.value.as_deref(), &view.window.id);
        let mut command = redis::cmd("ZSCAN");
        command.arg(&*keys::set(&self.board.name, &name)).arg(cursor).arg("COUNT").arg(MEMBERS_A_LOOK);
        let (next, pairs): (u64, Vec<String>) = command.query_async(&mut self.connection.clone()).await?;
        Ok((next, pairs.into_iter().step_by(2).collect()))
    }

    /// Some of the views that the board has besides that of all players for all time, and the cursor
    /// of the next, as [`members`](Self::members); what is no view of the board as it stands there.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn listed_views(&self, cursor: u64) -> Result<(u64, Vec<Result<View, String>>), StoreError> {
        let (next, names) = self.look_through(&keys::views(&self.board.name), cursor).await?;
        let view = |name: String| keys::view_of_name(&self.board, &name).ok_or(name);
        Ok((next, names.into_iter().map(view).collect()))
    }

    /// Some of the values that have a board, and the cursor of the next, as
    /// [`members`](Self::members).
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn listed_values(&self, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        self.look_through(&keys::values(&self.board.name), cursor).await
    }

    async fn look_through(&self, set: &str, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        let mut command = redis::cmd("SSCAN");
        command.arg(set).arg(cursor).arg("COUNT").arg(MEMBERS_A_LOOK);
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }
}
