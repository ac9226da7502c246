//! The notice that something on a board moved (topic `leaderboard-change`, key: the board).

use crate::EventTime;
use crate::snapshot::Version;
use serde::{Deserialize, Serialize};

/// Says that a board changed, not how: whoever cares reads the board.
///
/// Notices make the board-cache fast; they are not what it relies on. A lost notice costs at
/// most one reconcile interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The board that changed.
    pub board: String,
    /// Where the board stands now.
    #[serde(flatten)]
    pub version: Version,
    /// When the notice was written.
    pub created_at: EventTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notice_has_the_documented_members() {
        let notice = Notice {
            board: "game-score".into(),
            version: Version { epoch: 3, version: 88_121 },
            created_at: EventTime::from_micros(1_795_262_400_123_456).unwrap(),
        };
        let text = serde_json::to_string(&notice).unwrap();
        assert_eq!(
            text,
            r#"{"board":"game-score","epoch":3,"version":88121,"created_at":"2026-11-21T12:00:00.123456Z"}"#
        );
        assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice);
    }
}
