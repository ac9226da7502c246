//! Where a board stands, and how it begins.

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use contracts::Version;
use std::collections::BTreeMap;

/// Where a board stands in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The board's epoch and version.
    pub version: Version,
    /// The epoch at which it was begun; the same for as long as its offsets belong together.
    pub begun: u64,
    /// `topic/partition` → the next offset to apply.
    pub offsets: BTreeMap<String, i64>,
}

/// What opening a board found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It can be written from here on.
    Stands(Stand),
    /// The log no longer reaches back to what the board needs: [`rebuild`](BoardStore::rebuild)
    /// it from the archive.
    History {
        /// The epoch at which it was found wanting; 0 when there is none.
        epoch: u64,
    },
    /// Someone is filling it from the archive.
    Filling,
}

/// What was seen of a board before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where it stood at most; `None` when it never was.
    pub version: Option<Version>,
    /// `topic/partition` → the offset that is known to have been stored, under the epoch of
    /// `version`.
    pub offsets: BTreeMap<String, i64>,
}

/// What the log holds of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// `topic/partition`.
    pub field: String,
    /// The oldest offset in the log.
    pub low: i64,
    /// The end of the log.
    pub high: i64,
}

impl<C: Connection> BoardStore<C> {
    /// Where the board stands, begun if it is not there; so are those of its `partitions` that it
    /// does not know, each at its oldest offset. A board that was begun where the log has something
    /// already is shown when it has caught up with that.
    ///
    /// A board that stands behind what was `seen` of it has lost its tail: it gets a new epoch,
    /// so that no viewer takes the newer state for an older one, and readers see what they saw
    /// last until it has caught up with the log. A board that was seen and is gone, or to which
    /// Redis applied a half of a write, is rebuilt from the log, beside what readers see, and
    /// takes its place when it is whole. Where the log does not reach back to the first record, a
    /// board that is not there needs the archive, also one that never was.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] when the board was made under other rules, or the key of its name
    /// is someone else's.
    pub async fn open(&self, seen: &Seen, partitions: &[Begin]) -> Result<Opened, StoreError> {
        self.open_by(seen, partitions, "").await
    }

    /// As [`open`](Self::open), for where nothing has what came before the log: a board that never
    /// was begins with the log.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_from_log(&self, seen: &Seen, partitions: &[Begin]) -> Result<Opened, StoreError> {
        self.open_by(seen, partitions, "log").await
    }

    async fn open_by(&self, seen: &Seen, partitions: &[Begin], begin: &str) -> Result<Opened, StoreError> {
        let name = &self.board.name;
        let version = seen.version.unwrap_or(Version { epoch: 0, version: 0 });
        let mut call = self.scripts.open.prepare_invoke();
        call.key(name).arg(version.epoch).arg(version.version);
        call.arg(self.board.fingerprint()).arg(&*self.meaning).arg(begin);
        for Begin { field, low, high } in partitions {
            let confirmed = seen.offsets.get(field).map(ToString::to_string).unwrap_or_default();
            call.arg(field).arg(*low).arg(*high).arg(confirmed);
        }
        let reply: Vec<String> = call.invoke_async(&mut self.connection.clone()).await?;
        let reply: Vec<&str> = reply.iter().map(String::as_str).collect();
        match reply.as_slice() {
            ["stands", epoch, version, begun, offsets @ ..] => {
                self.stand(epoch, version, begun, offsets).map(Opened::Stands)
            }
            ["rules", rules] => Err(StoreError::Foreign(format!(
                "board {name} was made under other rules ({rules}; the file says {}): totals would mean \
                 something else. Put the rules back, or `boardctl rebuild --board {name}`",
                self.board.fingerprint()
            ))),
            ["foreign"] => Err(StoreError::Foreign(format!(
                "key {name} is in Redis, but not as a board of ours: use another Redis or another board name"
            ))),
            ["history", epoch] => Ok(Opened::History { epoch: self.parse(epoch, "epoch")? }),
            ["filling"] => Ok(Opened::Filling),
            other => Err(self.corrupt(&format!("open answered {other:?}"))),
        }
    }

    /// Where the board stands, changing nothing; `None` when Redis knows nothing of it, or not
    /// all of it. A board that is being filled has no offsets.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn stands(&self) -> Result<Option<Stand>, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline
            .atomic()
            .hmget(keys::state(name), &["epoch", "version", "begun"])
            .hmget(keys::state(name), &["entered", "left"])
            .hgetall(keys::offsets(name));
        type State = (Option<u64>, Option<u64>, Option<u64>);
        type Reply = (State, (Option<u64>, Option<u64>), BTreeMap<String, i64>);
        let (state, (entered, left), offsets): Reply =
            pipeline.query_async(&mut self.connection.clone()).await?;
        let (Some(epoch), Some(version), Some(begun)) = state else { return Ok(None) };
        if entered != left {
            return Ok(None);
        }
        Ok(Some(Stand { version: Version { epoch, version }, begun, offsets }))
    }

    /// Whether what was just `read` may be shown to viewers, who were `shown` something before. If
    /// not, the board has got a new epoch: it stood behind that, or Redis was started since its
    /// epoch began, may have lost its tail, and may have been written on beyond that.
    ///
    /// # Errors
    /// When Redis does not answer or does not say who it is.
    pub async fn confirm(&self, read: Version, shown: Version) -> Result<bool, StoreError> {
        let mut connection = self.connection.clone();
        // After the reading: who answers now is at most a later process than the one that was read.
        let server: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let run_id = server.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run_id = run_id.ok_or_else(|| self.corrupt("INFO has no run_id"))?;
        let confirmed: u8 = self
            .scripts
            .confirm
            .key(keys::state(&self.board.name))
            .arg(run_id.trim_end())
            .arg(read.epoch)
            .arg(shown.epoch)
            .arg(shown.version)
            .invoke_async(&mut connection)
            .await?;
        Ok(confirmed == 1)
    }

    /// Whether someone fills the board from the archive and has lately said so.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn is_being_filled(&self) -> Result<bool, StoreError> {
        let mut command = redis::cmd("EXISTS");
        command.arg(keys::lease(&self.board.name));
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }

    fn stand(&self, epoch: &str, version: &str, begun: &str, offsets: &[&str]) -> Result<Stand, StoreError> {
        let offsets = offsets
            .chunks_exact(2)
            .map(|pair| Ok((pair[0].to_owned(), self.parse(pair[1], "an offset")?)))
            .collect::<Result<_, StoreError>>()?;
        Ok(Stand {
            version: Version { epoch: self.parse(epoch, "epoch")?, version: self.parse(version, "version")? },
            begun: self.parse(begun, "begun")?,
            offsets,
        })
    }

    fn parse<T: std::str::FromStr>(&self, text: &str, what: &str) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.corrupt(&format!("{what} is not a number: {text:?}")))
    }
}
