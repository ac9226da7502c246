//! Reading a board: one round trip, whatever the number of rows.

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use boards::order::total_of;
use contracts::{PlayerId, Score, Stages, Version};

/// A row of a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The place, from 1, without gaps.
    pub rank: u64,
    /// The player.
    pub player: PlayerId,
    /// The total.
    pub score: Score,
    /// Where a page that begins after this row begins.
    pub cursor: Cursor,
}

/// A place between two rows, which stays where it is while scores move.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The double under which the last row before it stood.
    pub sorted_set_score: f64,
    /// That row's player.
    pub player: PlayerId,
}

/// What rows are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// They are the board.
    Current,
    /// They are the last good ones, while the board is rebuilt beside them.
    LastGood,
    /// They are older than what was shown already, half written, or gone: the board is being mended.
    Unfit,
}

impl Rows {
    /// `rebuilding` is what the board's state says.
    pub(crate) fn of(rebuilding: Option<&str>, players: u64) -> Self {
        match rebuilding {
            None => Self::Current,
            Some("rewind" | "torn") => Self::Unfit,
            Some(_) if players == 0 => Self::Unfit,
            Some(_) => Self::LastGood,
        }
    }
}

/// Rows of a board with where the board stood when they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Where the board stood.
    pub version: Version,
    /// What the rows are worth.
    pub state: Rows,
    /// The stages of the newest event; not published yet.
    pub stages: Option<Stages>,
    /// How many players are on the board.
    pub players: u64,
    /// The rows, best first.
    pub rows: Vec<Row>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Where one player stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayerStanding {
    /// Where the board stood.
    pub version: Version,
    /// What the answer is worth.
    pub state: Rows,
    /// How many players are on the board.
    pub players: u64,
    /// The place, from 1, without gaps, and the total; `None` when the player is not on the board.
    pub place: Option<(u64, Score)>,
}

impl<C: Connection> BoardStore<C> {
    /// Up to `limit` rows from the top, or from after the cursor; `None` when Redis knows nothing
    /// of the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn page(&self, limit: usize, after: Option<&Cursor>) -> Result<Option<Page>, StoreError> {
        let name = &self.board.name;
        let mut call = self.scripts.page.prepare_invoke();
        call.key(name).key(keys::state(name)).arg(limit);
        if let Some(cursor) = after {
            // Rust's shortest text of a double reads back as the same double.
            call.arg(cursor.sorted_set_score.to_string()).arg(cursor.player.as_str());
        }
        let reply: Vec<Option<String>> = call.invoke_async(&mut self.connection.clone()).await?;
        let [epoch, version, rebuilding, created, arrived, applied, players, before, rows @ ..] =
            reply.as_slice()
        else {
            return Err(self.corrupt("the page script answered too little"));
        };
        if epoch.is_none() {
            return Ok(None);
        }
        let mut rows = rows
            .chunks_exact(2)
            .zip(self.number(before)? + 1..)
            .map(|(pair, rank)| match pair {
                [Some(player), Some(score)] => self.row(rank, player, score),
                _ => Err(self.corrupt("a row is not a player and a score")),
            })
            .collect::<Result<Vec<Row>, _>>()?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let millis = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
        let stages = match (millis(created), millis(arrived), millis(applied)) {
            (Some(created_ms), Some(in_kafka_ms), Some(applied_ms)) => {
                Some(Stages { created_ms, in_kafka_ms, applied_ms, published_ms: 0.0 })
            }
            _ => None,
        };
        Ok(Some(Page {
            version: Version { epoch: self.number(epoch)?, version: self.number(version)? },
            state: Rows::of(rebuilding.as_deref(), self.number(players)?),
            stages,
            players: self.number(players)?,
            rows,
            has_more,
        }))
    }

    /// Where `player` stands; `None` when Redis knows nothing of the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn standing(&self, player: &PlayerId) -> Result<Option<PlayerStanding>, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline
            .atomic()
            .hmget(keys::state(name), &["epoch", "version"])
            .hmget(keys::state(name), &["rebuilding", "entered", "left"]);
        pipeline.zcard(name).zrevrank(name, player.as_str()).zscore(name, player.as_str());
        type Marks = (Option<String>, Option<u64>, Option<u64>);
        type Reply = ((Option<u64>, Option<u64>), Marks, u64, Option<u64>, Option<f64>);
        let reply: Reply = pipeline.query_async(&mut self.connection.clone()).await?;
        let ((epoch, version), (rebuilding, entered, left), players, rank, score) = reply;
        let rebuilding = if entered == left { rebuilding.as_deref() } else { Some("torn") };
        let (Some(epoch), Some(version)) = (epoch, version) else { return Ok(None) };
        Ok(Some(PlayerStanding {
            version: Version { epoch, version },
            state: Rows::of(rebuilding, players),
            players,
            place: rank.zip(score).map(|(rank, score)| (rank + 1, self.board.score(total_of(score)))),
        }))
    }

    /// Where the board stands; `None` when Redis knows nothing of it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn version(&self) -> Result<Option<Version>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(keys::state(&self.board.name)).arg("epoch").arg("version");
        let found: (Option<u64>, Option<u64>) = command.query_async(&mut self.connection.clone()).await?;
        Ok(match found {
            (Some(epoch), Some(version)) => Some(Version { epoch, version }),
            _ => None,
        })
    }

    fn row(&self, rank: u64, player: &str, score: &str) -> Result<Row, StoreError> {
        let sorted_set_score: f64 = score.parse().map_err(|_| self.corrupt("a score is not a number"))?;
        let player = PlayerId::new(player).map_err(|refusal| self.corrupt(&refusal.message))?;
        let score = self.board.score(total_of(sorted_set_score));
        let cursor = Cursor { sorted_set_score, player: player.clone() };
        Ok(Row { rank, player, score, cursor })
    }

    pub(crate) fn number(&self, text: &Option<String>) -> Result<u64, StoreError> {
        text.as_ref()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.corrupt("a count is not a number"))
    }

    pub(crate) fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt { key: self.board.name.clone(), what: what.to_owned() }
    }
}
