//! Reading a board player by player, for those who hold it against the log.

use crate::keys;
use crate::store::{BoardStore, StoreError};
use contracts::PlayerId;
use std::collections::BTreeMap;

/// How many members one look through the whole board asks for at a time: about a millisecond of
/// the server.
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
    /// How many players are on the board.
    pub players: u64,
    /// The doubles under which the players asked for stand, in their order.
    pub scores: Vec<Option<f64>>,
}

impl BoardStore {
    /// Where `players` stand and where the board stands, by the offsets of `topic` (its name
    /// without prefix); `None` when Redis knows nothing of the board. Redis serves nobody else
    /// meanwhile: about 1 µs a player.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn audit_page(
        &self,
        topic: &str,
        players: &[PlayerId],
    ) -> Result<Option<AuditPage>, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.hmget(keys::state(name), &["epoch", "rules", "rebuilding", "entered", "left"]);
        pipeline.hgetall(keys::offsets(name)).zcard(name);
        if !players.is_empty() {
            let command = pipeline.cmd("ZMSCORE").arg(name);
            for player in players {
                command.arg(player.as_str());
            }
        }
        type Head = (Option<u64>, Option<String>, Option<String>, Option<u64>, Option<u64>);
        type Offsets = BTreeMap<String, i64>;
        let mut connection = self.connection.clone();
        let (head, offsets, count, scores): (Head, Offsets, u64, Vec<Option<f64>>) = if players.is_empty() {
            let (head, offsets, count) = pipeline.query_async(&mut connection).await?;
            (head, offsets, count, Vec::new())
        } else {
            pipeline.query_async(&mut connection).await?
        };
        let (Some(epoch), Some(rules), rebuilding, entered, left) = head else { return Ok(None) };
        let offsets = offsets
            .into_iter()
            .filter_map(|(field, offset)| {
                let (of, partition) = field.rsplit_once('/')?;
                (of == topic).then_some((partition.parse().ok()?, offset))
            })
            .collect();
        let rebuilding = rebuilding.is_some() || entered != left;
        Ok(Some(AuditPage { epoch, rules, rebuilding, offsets, players: count, scores }))
    }

    /// Some members of the sorted set, and the cursor of the next; 0 begins and ends. Members
    /// that are there all the while are given at least once.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn members(&self, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        let mut command = redis::cmd("ZSCAN");
        command.arg(&self.board.name).arg(cursor).arg("COUNT").arg(MEMBERS_A_LOOK);
        let (next, pairs): (u64, Vec<String>) = command.query_async(&mut self.connection.clone()).await?;
        Ok((next, pairs.into_iter().step_by(2).collect()))
    }
}
