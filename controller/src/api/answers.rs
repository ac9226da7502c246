//! What clients are told. Pure.

use super::cursor;
use board_store::{Page, PlayerStanding, Rows};
use contracts::{Snapshot, SnapshotEntry, Version};
use serde::Serialize;
use utoipa::ToSchema;

/// The only window there is yet.
const ALL: &str = "all";

/// One row of a board.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Entry {
    /// From 1.
    rank: u64,
    /// The total.
    score: f64,
    /// `user-<id>` for players without one.
    nickname: String,
    /// The player.
    user_id: String,
}

/// Where a board stood. Both only grow; a newer epoch means: forget what you had.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Stand {
    epoch: u64,
    version: u64,
}

/// A page of a board.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct PageAnswer {
    board: String,
    window: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Stand)]
    version: Version,
    players: u64,
    #[schema(value_type = Vec<Entry>)]
    entries: Vec<SnapshotEntry>,
    next: Option<String>,
    has_more: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rebuilding: bool,
}

impl PageAnswer {
    /// The rows of `page` with their players' names, which stand in the same order.
    pub(super) fn of_page(board: &str, page: &Page, names: Vec<Option<String>>) -> Self {
        let rows = page.rows.iter().zip(names);
        let next = page.rows.last().filter(|_| page.has_more);
        Self {
            board: board.to_owned(),
            window: ALL,
            version: page.version,
            players: page.players,
            entries: rows
                .map(|(row, name)| SnapshotEntry::new(row.rank, &row.player, row.score, name))
                .collect(),
            next: next.map(|row| cursor::encode(&row.cursor)),
            has_more: page.has_more,
            rebuilding: page.state != Rows::Current,
        }
    }

    /// The rows that viewers have been shown, while the board is being rebuilt. What comes after
    /// them cannot be asked for until that is done.
    pub(super) fn of_last_good(board: &str, last: &Snapshot, limit: usize) -> Self {
        let entries: Vec<_> = last.user_list.iter().take(limit).cloned().collect();
        Self {
            board: board.to_owned(),
            window: ALL,
            version: last.version,
            players: last.players,
            next: None,
            has_more: u64::try_from(entries.len()).is_ok_and(|shown| shown < last.players),
            entries,
            rebuilding: true,
        }
    }

    /// A board on which nothing has happened yet.
    pub(super) fn of_nothing(board: &str) -> Self {
        Self {
            board: board.to_owned(),
            window: ALL,
            version: Version { epoch: 0, version: 0 },
            players: 0,
            entries: Vec::new(),
            next: None,
            has_more: false,
            rebuilding: false,
        }
    }
}

/// Where one player stands.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Player)]
pub(super) struct PlayerAnswer {
    #[serde(flatten)]
    #[schema(value_type = Entry)]
    entry: SnapshotEntry,
    percentile: f64,
    players: u64,
    board: String,
    window: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Stand)]
    version: Version,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rebuilding: bool,
}

impl PlayerAnswer {
    pub(super) fn new(board: &str, entry: SnapshotEntry, standing: &PlayerStanding) -> Self {
        Self {
            percentile: percentile(entry.rank, standing.players),
            entry,
            players: standing.players,
            board: board.to_owned(),
            window: ALL,
            version: standing.version,
            rebuilding: standing.state != Rows::Current,
        }
    }
}

/// The share of the board's players who stand at this rank or below it, in percent:
/// `100 × (players − rank + 1) / players`. The first of a board is at 100, the last of n at 100 / n.
fn percentile(rank: u64, players: u64) -> f64 {
    let at_or_below = (players + 1).saturating_sub(rank);
    100.0 * at_or_below as f64 / players.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use board_store::{Cursor, Row};
    use contracts::{PlayerId, Score};
    use proptest::prelude::*;

    fn page(has_more: bool) -> Page {
        let player = PlayerId::new("7").unwrap();
        let cursor = Cursor { sorted_set_score: 5.5, player: player.clone() };
        let row = Row { rank: 1, player, score: Score::new(55, 1), cursor };
        let version = Version { epoch: 2, version: 9 };
        Page { version, state: Rows::Current, stages: None, players: 3, rows: vec![row], has_more }
    }

    #[test]
    fn page_has_the_shape_that_was_promised() {
        let answer = PageAnswer::of_page("b", &page(false), vec![None]);
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"board":"b","window":"all","epoch":2,"version":9,"players":3,"entries":[{"rank":1,"score":5.5,"nickname":"user-7","user_id":"7"}],"next":null,"has_more":false}"#
        );
        let answer = PageAnswer::of_page("b", &page(true), vec![Some("Zo".into())]);
        let next = cursor::decode(answer.next.as_deref().unwrap()).unwrap();
        assert_eq!(next, page(true).rows[0].cursor);
        assert_eq!(answer.entries[0].nickname, "Zo");
    }

    #[test]
    fn player_has_the_shape_that_was_promised() {
        let player = PlayerId::new("a/b").unwrap();
        let version = Version { epoch: 2, version: 9 };
        let score = Score::new(-3, 0);
        let standing = PlayerStanding { version, state: Rows::Current, players: 4, place: Some((2, score)) };
        let entry = SnapshotEntry::new(2, &player, score, None);
        assert_eq!(
            serde_json::to_string(&PlayerAnswer::new("b", entry, &standing)).unwrap(),
            r#"{"rank":2,"score":-3,"nickname":"user-a/b","user_id":"a/b","percentile":75.0,"players":4,"board":"b","window":"all","epoch":2,"version":9}"#
        );
    }

    proptest! {
        #[test]
        fn percentile_is_the_share_at_or_below(players in 1u64..2_000, place in 0u64..2_000) {
            let rank = 1 + place % players;
            let at_or_below = (1..=players).filter(|other| *other >= rank).count();
            prop_assert_eq!(percentile(rank, players), 100.0 * at_or_below as f64 / players as f64);
            prop_assert!(percentile(rank, players) > 0.0 && percentile(rank, players) <= 100.0);
        }
    }

    #[test]
    fn first_is_at_100_percent_and_only_the_first() {
        assert_eq!(percentile(1, 1), 100.0);
        assert_eq!(percentile(1, 1_000_000), 100.0);
        assert!(percentile(2, 1_000_000) < 100.0);
    }
}
