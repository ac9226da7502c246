//! Reading a board: one round trip, whatever the number of rows.

use crate::keys;
use crate::store::{BoardStore, StoreError};
use boards::order::total_of;
use contracts::{PlayerId, Score, Stages, Version};
use redis::aio::ConnectionLike;

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

/// Rows of a board with where the board stood when they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Where the board stood.
    pub version: Version,
    /// Whether the rows are the last good ones while the board is being rebuilt.
    pub rebuilding: bool,
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
    /// How many players are on the board.
    pub players: u64,
    /// The place, from 1, without gaps.
    pub rank: u64,
    /// The total.
    pub score: Score,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> BoardStore<C> {
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
            rebuilding: rebuilding.is_some(),
            stages,
            players: self.number(players)?,
            rows,
            has_more,
        }))
    }

    /// Where `player` stands; `None` when the player is not on the board.
    ///
    /// # Errors
    /// When Redis does not answer or holds what is not ours.
    pub async fn standing(&self, player: &PlayerId) -> Result<Option<PlayerStanding>, StoreError> {
        let name = &self.board.name;
        let mut pipeline = redis::pipe();
        pipeline.atomic().hmget(keys::state(name), &["epoch", "version"]).zcard(name);
        pipeline.zrevrank(name, player.as_str()).zscore(name, player.as_str());
        type Reply = ((Option<u64>, Option<u64>), u64, Option<u64>, Option<f64>);
        let reply: Reply = pipeline.query_async(&mut self.connection.clone()).await?;
        let ((epoch, version), players, rank, score) = reply;
        let (Some(rank), Some(score)) = (rank, score) else { return Ok(None) };
        Ok(Some(PlayerStanding {
            version: Version { epoch: epoch.unwrap_or(0), version: version.unwrap_or(0) },
            players,
            rank: rank + 1,
            score: self.board.score(total_of(score)),
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

    fn number(&self, text: &Option<String>) -> Result<u64, StoreError> {
        text.as_ref()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.corrupt("a count is not a number"))
    }

    fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt { key: self.board.name.clone(), what: what.to_owned() }
    }
}
