//! Where a board stands, and how it begins.

use crate::keys;
use crate::store::{BoardStore, StoreError};
use contracts::Version;
use redis::Value;
use redis::aio::ConnectionLike;
use std::collections::BTreeMap;

/// Where a board stands in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The board's epoch and version.
    pub version: Version,
    /// `topic/partition` → the next offset to apply.
    pub offsets: BTreeMap<String, i64>,
}

/// A partition to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// `topic/partition`.
    pub field: String,
    /// The oldest offset in the log.
    pub low: i64,
    /// The end of the log.
    pub high: i64,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> BoardStore<C> {
    /// Where the board stands; `None` when Redis knows nothing of it.
    ///
    /// `seen` is where it was seen before, if it was: a board that stands behind that has lost
    /// its tail and gets a new epoch, so that no viewer takes the newer state for an older one.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] when the board was made under other rules.
    pub async fn open(&self, seen: Option<Version>) -> Result<Option<Opened>, StoreError> {
        let name = &self.board.name;
        let seen = seen.unwrap_or(Version { epoch: 0, version: 0 });
        let reply: Vec<Option<String>> = self
            .scripts
            .open
            .key(keys::state(name))
            .key(keys::offsets(name))
            .arg(seen.epoch)
            .arg(seen.version)
            .invoke_async(&mut self.connection.clone())
            .await?;
        let corrupt = |key: String, what: &str| StoreError::Corrupt { key, what: what.to_owned() };
        let Some((Some(epoch), rest)) = reply.split_first() else { return Ok(None) };
        let [Some(version), Some(rules), offsets @ ..] = rest else {
            return Err(corrupt(keys::state(name), "version or rules are missing"));
        };
        if *rules != self.board.fingerprint() {
            return Err(StoreError::Foreign(format!(
                "board {name} was made under other rules ({rules}; the file says {}): totals would mean \
                 something else. Put the rules back, or give the board a new name",
                self.board.fingerprint()
            )));
        }
        let number = |text: &str| text.parse::<u64>().ok();
        let version = Version {
            epoch: number(epoch).ok_or_else(|| corrupt(keys::state(name), "epoch is not a number"))?,
            version: number(version).ok_or_else(|| corrupt(keys::state(name), "version is not a number"))?,
        };
        let offsets = offsets
            .chunks_exact(2)
            .map(|pair| match pair {
                [Some(field), Some(offset)] => Some((field.clone(), offset.parse().ok()?)),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| corrupt(keys::offsets(name), "an offset is not a number"))?;
        Ok(Some(Opened { version, offsets }))
    }

    /// Begins the board, or those of its partitions that are new, each at its oldest offset.
    ///
    /// A board that was seen before and is gone is rebuilt: it begins anew under the next epoch,
    /// beside what readers see, and takes its place when it is whole.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] when the key of the board's name is someone else's, or when the
    /// log does not reach back to the beginning of a board that is to be rebuilt.
    pub async fn begin(&self, seen: Option<Version>, partitions: &[Begin]) -> Result<(), StoreError> {
        let name = &self.board.name;
        let mut call = self.scripts.begin.prepare_invoke();
        call.key(name).key(keys::state(name)).key(keys::offsets(name));
        call.key(keys::rebuild(name)).key(keys::targets(name));
        call.arg(seen.map_or(0, |seen| seen.epoch)).arg(self.board.fingerprint());
        for partition in partitions {
            call.arg(&partition.field).arg(partition.low).arg(partition.high);
        }
        match call.invoke_async(&mut self.connection.clone()).await? {
            Value::BulkString(reply) if reply == b"ok" => Ok(()),
            Value::BulkString(reply) if reply == b"foreign" => Err(StoreError::Foreign(format!(
                "key {name} is in Redis, but not as a board of ours: use another Redis or another board name"
            ))),
            Value::BulkString(reply) if reply == b"history" => Err(StoreError::Foreign(format!(
                "board {name} is gone from Redis, and the log no longer reaches back to its beginning: \
                 nothing is applied, so that no half board is shown"
            ))),
            other => {
                Err(StoreError::Corrupt { key: name.clone(), what: format!("begin answered {other:?}") })
            }
        }
    }
}
