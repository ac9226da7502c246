//! A board's top at one moment (topic `leaderboard`, Redis key `<board>-cache`, websocket frame).

use crate::{PlayerId, Score};
use serde::{Deserialize, Serialize};

/// Where a board stands. Only grows for one board, compared epoch first: a newer epoch means
/// "forget what you had".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Counts how often the board was begun anew.
    pub epoch: u64,
    /// Counts the writes that changed the board within the epoch.
    pub version: u64,
}

/// A board's top, best first.
///
/// The first two members are the plain form: a page that knows only these works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The top rows, best first.
    pub user_list: Vec<SnapshotEntry>,
    /// When the snapshot was taken, in milliseconds since the Unix epoch.
    pub current_time_ms: f64,
    /// The board.
    pub board: String,
    /// The window of the board; `all` is the board without one.
    pub window: String,
    /// Where the board stood when the rows were read.
    #[serde(flatten)]
    pub version: Version,
    /// How many players are on the board.
    pub players: u64,
    /// Whether the rows are the last good ones while the board is being rebuilt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuilding: bool,
    /// When the newest event on the board passed each stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
}

/// One row of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// The row's place, from 1.
    pub rank: u64,
    /// The player's total.
    pub score: Score,
    /// What the player is called; `user-<id>` without a nickname.
    pub nickname: String,
    /// The player's id, always as text.
    pub user_id: String,
}

impl SnapshotEntry {
    /// A row for `player`, named `user-<id>` without a nickname.
    #[must_use]
    pub fn new(rank: u64, player: &PlayerId, score: Score, nickname: Option<String>) -> Self {
        let nickname = nickname.unwrap_or_else(|| player.default_nickname());
        Self { rank, score, nickname, user_id: player.as_str().to_owned() }
    }
}

/// When the newest event passed each stage, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// When the event says it happened.
    pub created_ms: f64,
    /// When Kafka took it.
    pub in_kafka_ms: f64,
    /// When the ranker handed it to Redis.
    pub applied_ms: f64,
    /// When the board-cache published the snapshot that first contains it; 0 before that.
    #[serde(default)]
    pub published_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Snapshot {
        Snapshot {
            user_list: vec![SnapshotEntry::new(1, &PlayerId::new("7").unwrap(), Score::new(124, 0), None)],
            current_time_ms: 1_795_260_000_123.4,
            board: "game-score".into(),
            window: "all".into(),
            version: Version { epoch: 3, version: 88_121 },
            players: 14_853,
            rebuilding: false,
            stages: None,
        }
    }

    #[test]
    fn plain_members_come_first_and_the_rest_follows() {
        assert_eq!(
            serde_json::to_string(&sample()).unwrap(),
            r#"{"user_list":[{"rank":1,"score":124,"nickname":"user-7","user_id":"7"}],"current_time_ms":1795260000123.4,"board":"game-score","window":"all","epoch":3,"version":88121,"players":14853}"#
        );
    }

    #[test]
    fn snapshot_survives_the_wire() {
        let mut snapshot = sample();
        snapshot.rebuilding = true;
        snapshot.stages =
            Some(Stages { created_ms: 1.5, in_kafka_ms: 2.0, applied_ms: 3.0, published_ms: 4.0 });
        let text = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }

    #[test]
    fn newer_epoch_beats_any_version() {
        assert!(Version { epoch: 2, version: 0 } > Version { epoch: 1, version: u64::MAX });
    }
}
