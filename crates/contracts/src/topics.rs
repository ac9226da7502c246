//! The topics, once for everybody: code, `kafka-topics.sh`, compose and documents are held to
//! this list by tests.

/// How a topic is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The name without the deployment's prefix.
    pub name: &'static str,
    /// How many partitions it has when it is made.
    pub partitions: i32,
    /// Broker settings that differ from Kafka's defaults.
    pub config: &'static [(&'static str, &'static str)],
}

impl Topic {
    /// The name on the broker.
    #[must_use]
    pub fn full_name(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.name)
    }
}

/// Score events; the log is the truth. Key: the user id as text.
pub const GAME_SCORE: Topic = Topic {
    name: "game-score",
    partitions: 6,
    config: &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "604800000")],
};
/// Notices that a board moved. Key: the board.
pub const LEADERBOARD_CHANGE: Topic =
    Topic { name: "leaderboard-change", partitions: 1, config: &[("retention.ms", "3600000")] };
/// Every board's newest snapshot. Key: the board. Small segments, cleaned often: a reader starts
/// with the whole topic, and two snapshots a second would otherwise grow to hundreds of
/// megabytes a day before the first cleaning.
pub const LEADERBOARD: Topic = Topic {
    name: "leaderboard",
    partitions: 1,
    config: &[
        ("cleanup.policy", "compact"),
        ("segment.bytes", "4194304"),
        ("min.cleanable.dirty.ratio", "0.1"),
        ("max.compaction.lag.ms", "600000"),
    ],
};
/// Every player's newest profile. Key: the user id.
pub const PLAYER_PROFILE: Topic =
    Topic { name: "player-profile", partitions: 6, config: &[("cleanup.policy", "compact")] };
/// Refused records. Key: `topic/partition/offset`.
pub const GAME_SCORE_DLQ: Topic =
    Topic { name: "game-score-dlq", partitions: 1, config: &[("retention.ms", "2592000000")] };

/// All topics of a deployment.
pub const TOPICS: [Topic; 5] = [GAME_SCORE, LEADERBOARD_CHANGE, LEADERBOARD, PLAYER_PROFILE, GAME_SCORE_DLQ];
