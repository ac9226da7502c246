//! What clients are told. Pure.

use super::names::Name;
use crate::problem::ProblemBody;
use board_store::{Bucket, Place, Reading, Row, Rows};
use boards::Board;
use contracts::{PlayerId, Score, Snapshot, Version};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// The only window there is yet.
pub(super) const ALL: &str = "all";

/// Which board, and where it stood: the beginning of every answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stand<'a> {
    /// The board.
    board: &'a str,
    /// The window; `all` is all time.
    window: &'a str,
    /// Counts how often the board was begun anew. A newer epoch means: forget what you had.
    epoch: u64,
    /// Counts the changes within the epoch.
    version: u64,
    /// How many players are on the board.
    players: u64,
    /// There, and true, while the board is being rebuilt: the rest is as it last was.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rebuilding: bool,
}

impl<'a> Stand<'a> {
    pub(super) fn of<T>(board: &'a str, reading: &Reading<T>) -> Self {
        let Version { epoch, version } = reading.version;
        let (players, rebuilding) = (reading.players, reading.state != Rows::Current);
        Self { board, window: ALL, epoch, version, players, rebuilding }
    }

    /// As viewers have been shown it.
    pub(super) fn of_last_good(board: &'a str, last: &Snapshot) -> Self {
        let Version { epoch, version } = last.version;
        Self { board, window: ALL, epoch, version, players: last.players, rebuilding: true }
    }
}

/// A player's row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entry<'a> {
    /// The place, from 1, counted as was asked.
    pub(super) rank: u64,
    /// The total.
    #[schema(value_type = f64)]
    pub(super) score: Score,
    /// The player's id, always as text.
    pub(super) user_id: &'a str,
    /// What the player is called; `user-<id>` without a nickname.
    #[schema(value_type = String)]
    pub(super) nickname: Nickname<'a>,
    /// The share of the players who stand at this place or below, in percent, whatever the way
    /// of counting ranks; where one player was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) percentile: Option<f64>,
    /// There, and true, for the player that was asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) me: bool,
}

impl<'a> Entry<'a> {
    pub(super) fn of_row(row: &'a Row, name: &'a Name) -> Self {
        let Row { rank, ref player, score, .. } = *row;
        let nickname = Nickname::of(player, name);
        Self { rank, score, user_id: player.as_str(), nickname, percentile: None, me: false }
    }

    pub(super) fn of_place(player: &'a PlayerId, place: Place, name: &'a Name, players: u64) -> Self {
        let Place { rank, ordinal, score } = place;
        let nickname = Nickname::of(player, name);
        let percentile = Some(percentile(ordinal, players));
        Self { rank, score, user_id: player.as_str(), nickname, percentile, me: false }
    }
}

/// What a player is called.
#[derive(Debug, PartialEq)]
pub(super) enum Nickname<'a> {
    Given(&'a str),
    /// Made of the id, without a text of its own.
    Of(&'a str),
}

impl<'a> Nickname<'a> {
    pub(super) fn of(player: &'a PlayerId, name: &'a Name) -> Self {
        name.as_deref().map_or(Self::Of(player.as_str()), Self::Given)
    }
}

impl Serialize for Nickname<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(name) => serializer.serialize_str(name),
            // As `PlayerId::default_nickname`.
            Self::Of(id) => serializer.collect_str(&format_args!("user-{id}")),
        }
    }
}

/// A page of a board.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct PageAnswer<'a> {
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
    /// The rows, best first.
    pub(super) entries: Vec<Entry<'a>>,
    /// The `cursor` of the next page.
    #[schema(required)]
    pub(super) next: Option<String>,
    /// Whether there are more rows.
    pub(super) has_more: bool,
}

/// The rows around a player.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Around)]
pub(super) struct AroundAnswer<'a> {
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
    /// The rows, best first; the player's own has `me` and `percentile`.
    pub(super) entries: Vec<Entry<'a>>,
}

/// Where one player stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Player)]
pub(super) struct PlayerAnswer<'a> {
    #[serde(flatten)]
    pub(super) entry: Entry<'a>,
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
}

/// Where some players stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Players)]
pub(super) struct PlayersAnswer<'a> {
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
    /// Those who are on the board, in the order in which they were asked for.
    pub(super) entries: Vec<Entry<'a>>,
    /// Those who are not.
    #[schema(value_type = Vec<String>)]
    pub(super) not_found: Vec<&'a PlayerId>,
}

/// How a board's totals are spread.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Distribution)]
pub(super) struct DistributionAnswer<'a> {
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
    /// Ranges of equal width, the lowest first.
    pub(super) buckets: Vec<BucketAnswer>,
}

/// A range of totals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bucket)]
pub(super) struct BucketAnswer {
    /// The least total in it.
    #[schema(value_type = f64)]
    from: Score,
    /// The greatest total in it, which belongs to it.
    #[schema(value_type = f64)]
    to: Score,
    /// How many players.
    count: u64,
}

impl From<Bucket> for BucketAnswer {
    fn from(Bucket { from, to, players }: Bucket) -> Self {
        Self { from, to, count: players }
    }
}

/// Where a score would stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RankOf)]
pub(super) struct RankOfAnswer<'a> {
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
    /// The score that was asked about.
    #[schema(value_type = f64)]
    pub(super) score: Score,
    /// The rank it would have.
    pub(super) ranks: Ranks,
    /// How many players have it.
    pub(super) players_at: u64,
}

/// A rank, counted in three ways.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ranks {
    /// Behind everyone who has the score already.
    pub(super) ordinal: u64,
    /// One more than there are players with a better score.
    pub(super) competition: u64,
    /// One more than there are better scores; null beyond 200.
    #[schema(required)]
    pub(super) dense: Option<u64>,
}

/// Where one player stands on several boards.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlayerBoards)]
pub(super) struct PlayerBoardsAnswer<'a> {
    /// The player's id.
    pub(super) user_id: &'a str,
    /// What the player is called.
    #[schema(value_type = String)]
    pub(super) nickname: Nickname<'a>,
    /// One for each board, in the order in which they were asked for.
    pub(super) boards: Vec<BoardOrProblem<'a>>,
}

/// Where the player stands on one of several boards, or why that is not said.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum BoardOrProblem<'a> {
    Board(OnBoard<'a>),
    Problem {
        /// The board's name, as it was asked for.
        board: &'a str,
        /// What a request for this board alone would have answered.
        problem: ProblemBody,
    },
}

/// Where the player stands on one of several boards.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OnBoard<'a> {
    #[serde(flatten)]
    pub(super) stand: Stand<'a>,
    /// The place, from 1, counted as was asked.
    pub(super) rank: u64,
    /// The total.
    #[schema(value_type = f64)]
    pub(super) score: Score,
    /// The share of the players who stand at this place or below, in percent.
    pub(super) percentile: f64,
}

/// All boards.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Boards)]
pub(super) struct BoardsAnswer<'a> {
    /// In the order of `boards.toml`.
    pub(super) boards: Vec<BoardAnswer<'a>>,
}

/// A board's rules and sizes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Board)]
pub(super) struct BoardAnswer<'a> {
    /// The board's name.
    board: &'a str,
    /// How a player's scores make a total: `sum`, `best`, `last` or `count`.
    aggregate: &'static str,
    /// Which totals stand first: `desc`, the highest, or `asc`, the lowest.
    order: &'static str,
    /// How many decimals a score may have.
    decimals: u8,
    /// The largest magnitude of one score, in whole points.
    max_score: i64,
    /// How many rows the live board shows.
    top: usize,
    /// The board's windows.
    windows: Vec<WindowAnswer>,
}

impl<'a> BoardAnswer<'a> {
    pub(super) fn of(board: &'a Board, windows: Vec<WindowAnswer>) -> Self {
        Self {
            board: &board.name,
            aggregate: board.aggregate.as_str(),
            order: board.order.as_str(),
            decimals: board.decimals,
            max_score: board.max_score,
            top: board.top,
            windows,
        }
    }
}

/// One window of a board.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub(super) struct WindowAnswer {
    /// Its name in queries; `all` is all time.
    pub(super) window: &'static str,
    /// Counts how often the board was begun anew.
    pub(super) epoch: u64,
    /// Counts the changes within the epoch.
    pub(super) version: u64,
    /// How many players there are; null while that is not known.
    #[schema(required)]
    pub(super) players: Option<u64>,
    /// There, and true, while the board is being rebuilt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) rebuilding: bool,
}

/// The share of the board's players who stand at this place or below it, in percent:
/// `100 × (players − place + 1) / players`. The first of a board is at 100, the last of n at 100 / n.
pub(super) fn percentile(place: u64, players: u64) -> f64 {
    let at_or_below = (players + 1).saturating_sub(place);
    100.0 * at_or_below as f64 / players.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(state: Rows) -> Reading<()> {
        Reading { version: Version { epoch: 2, version: 9 }, state, players: 4, found: () }
    }

    fn text(answer: &impl Serialize) -> String {
        serde_json::to_string(answer).unwrap()
    }

    #[test]
    fn page_has_the_shape_that_was_promised() {
        let row = Row {
            rank: 1,
            ordinal: 1,
            player: PlayerId::new("7").unwrap(),
            score: Score::new(55, 1),
            sorted_set_score: 5.5,
        };
        let given: Name = Some("Zo".into());
        let mut page = PageAnswer {
            stand: Stand::of("b", &reading(Rows::Current)),
            entries: vec![Entry::of_row(&row, &None), Entry::of_row(&row, &given)],
            next: None,
            has_more: false,
        };
        assert_eq!(
            text(&page),
            r#"{"board":"b","window":"all","epoch":2,"version":9,"players":4,"entries":[{"rank":1,"score":5.5,"user_id":"7","nickname":"user-7"},{"rank":1,"score":5.5,"user_id":"7","nickname":"Zo"}],"next":null,"has_more":false}"#
        );
        page.entries.clear();
        page.stand = Stand::of("b", &reading(Rows::LastGood));
        assert!(text(&page).contains(r#""players":4,"rebuilding":true,"#), "{}", text(&page));
    }

    #[test]
    fn player_has_the_shape_that_was_promised() {
        let player = PlayerId::new("a/b").unwrap();
        let place = Place { rank: 1, ordinal: 2, score: Score::new(-3, 0) };
        let answer = PlayerAnswer {
            entry: Entry::of_place(&player, place, &None, 4),
            stand: Stand::of("b", &reading(Rows::Current)),
        };
        assert_eq!(
            text(&answer),
            r#"{"rank":1,"score":-3,"user_id":"a/b","nickname":"user-a/b","percentile":75.0,"board":"b","window":"all","epoch":2,"version":9,"players":4}"#
        );
        assert_eq!(text(&Nickname::of(&player, &None)), text(&player.default_nickname()));
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
