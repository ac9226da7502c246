//! What clients are told. Pure.

use super::window::kinds;
use crate::problem::ProblemBody;
use board_store::{Bucket, Place, Reading, Row, Rows};
use boards::rules::{Lateness, PerValue};
use boards::{Board, Window, WindowKind};
use contracts::{EventTime, PlayerId, Score, Snapshot, Version};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Which board, and where it stood: the beginning of every answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stand<'a> {
    /// The board.
    board: &'a str,
    /// The window's id; `all` is all time.
    window: &'a str,
    /// Counts how often the board was begun anew. A newer epoch means: forget what you had.
    epoch: u64,
    /// Counts the changes within the epoch.
    version: u64,
    /// How many players are on the board in that window.
    players: u64,
    /// There, and true, while the board is being rebuilt: the rest is as it last was.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rebuilding: bool,
}

impl<'a> Stand<'a> {
    /// `window` is its id.
    pub(super) fn of<T>(board: &'a str, window: &'a str, reading: &Reading<T>) -> Self {
        let Version { epoch, version } = reading.version;
        let (players, rebuilding) = (reading.players, reading.state != Rows::Current);
        Self { board, window, epoch, version, players, rebuilding }
    }

    /// As viewers have been shown it.
    pub(super) fn of_last_good(board: &'a str, last: &'a Snapshot) -> Self {
        let Version { epoch, version } = last.version;
        Self { board, window: &last.window, epoch, version, players: last.players, rebuilding: true }
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
    pub(super) fn of_row(row: &'a Row, name: Option<&'a str>) -> Self {
        let Row { rank, ref player, score, .. } = *row;
        let nickname = Nickname::of(player, name);
        Self { rank, score, user_id: player.as_str(), nickname, percentile: None, me: false }
    }

    pub(super) fn of_place(player: &'a PlayerId, place: Place, name: Option<&'a str>, players: u64) -> Self {
        let Place { rank, ordinal, score } = place;
        let nickname = Nickname::of(player, name);
        let percentile = Some(percentile(ordinal, players));
        Self { rank, score, user_id: player.as_str(), nickname, percentile, me: false }
    }
}

/// The row of a player whom a viewer follows, with those next to it.
#[derive(Debug, Serialize)]
pub(super) struct FollowedEntry<'a> {
    #[serde(flatten)]
    pub(super) own: &'a Entry<'a>,
    /// The row above, if there is one.
    pub(super) above: &'a [Entry<'a>],
    /// The row below, if there is one.
    pub(super) below: &'a [Entry<'a>],
}

/// What a player is called.
#[derive(Debug, PartialEq)]
pub(super) enum Nickname<'a> {
    Given(&'a str),
    /// Made of the id, without a text of its own.
    Of(&'a str),
}

impl<'a> Nickname<'a> {
    pub(super) fn of(player: &'a PlayerId, name: Option<&'a str>) -> Self {
        name.map_or(Self::Of(player.as_str()), Self::Given)
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
    /// The board's name. Of boards per value, in the list of all boards, it stands for all of them.
    board: &'a str,
    /// Tags, with their values, that an event must have to count.
    r#match: &'a BTreeMap<String, String>,
    /// There where each value of a tag has a board of its own, called `name:value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    per_value: Option<PerValueAnswer<'a>>,
    /// How a player's scores make a total: `sum`, `best`, `last` or `count`.
    aggregate: &'static str,
    /// Which totals stand first: `desc`, the highest, or `asc`, the lowest.
    order: &'static str,
    /// Who of those with equal totals stands first: `first`, who reached it first, or `player_id`, the
    /// greater id.
    tie_break: &'static str,
    /// How many decimals a score may have.
    decimals: u8,
    /// The greatest score, in whole points.
    max_score: i64,
    /// The least score, in whole points.
    min_score: i64,
    /// The greatest magnitude of a total, which stops there.
    #[schema(value_type = f64)]
    max_total: Score,
    /// How many rows the live board shows.
    top: usize,
    /// The IANA time zone by whose clocks windows begin and end.
    timezone: &'a str,
    /// How long after its end a window takes events, in seconds; null: for ever.
    #[schema(required)]
    allowed_lateness_seconds: Option<u32>,
    /// How long a window that is final is still served, in seconds.
    grace_seconds: u32,
    /// How far in the future an event may lie when it arrives, in seconds.
    future_limit_seconds: u32,
    /// The kinds of window that the board keeps: `all`, `hour`, `day`, `week`, `month`, `season`.
    window_kinds: Vec<&'static str>,
    /// The seasons, by their start.
    seasons: Vec<SeasonAnswer<'a>>,
    /// The board's windows at present.
    windows: Vec<WindowAnswer>,
}

/// The tag of which each value has a board.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PerValue)]
pub(super) struct PerValueAnswer<'a> {
    /// The tag.
    tag: &'a str,
    /// How many values get a board.
    max_values: usize,
}

/// A season of a board.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Season)]
pub(super) struct SeasonAnswer<'a> {
    /// Its name, which is the window's id.
    window: &'a str,
    /// Its first instant.
    #[schema(value_type = String)]
    start: EventTime,
    /// The first instant after it.
    #[schema(value_type = String)]
    end: EventTime,
}

impl<'a> BoardAnswer<'a> {
    /// `name` is what the API calls the board.
    pub(super) fn of(name: &'a str, board: &'a Board, windows: Vec<WindowAnswer>) -> Self {
        let (min_score, max_score) = board.score_range();
        let per_value = board.per_value.as_ref();
        let season = |season: &'a std::sync::Arc<Window>| SeasonAnswer {
            window: &season.id,
            start: season.start,
            end: season.end,
        };
        Self {
            board: name,
            r#match: &board.matches,
            per_value: per_value
                .map(|PerValue { tag, max_values }| PerValueAnswer { tag, max_values: *max_values }),
            aggregate: board.aggregate.as_str(),
            order: board.order.as_str(),
            tie_break: board.tie_break.as_str(),
            decimals: board.decimals,
            max_score,
            min_score,
            max_total: board.score(board.max_total_units),
            top: board.top,
            timezone: board.calendar.zone(),
            allowed_lateness_seconds: match board.allowed_lateness {
                Lateness::Seconds(seconds) => Some(seconds),
                Lateness::Forever => None,
            },
            grace_seconds: board.grace_seconds,
            future_limit_seconds: board.future_limit_seconds,
            window_kinds: kinds(board).into_iter().map(WindowKind::as_str).collect(),
            seasons: board.seasons.iter().map(season).collect(),
            windows,
        }
    }
}

/// One window of a board.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub(super) struct WindowAnswer {
    /// Its id; `all` is all time.
    window: Box<str>,
    /// `all`, `hour`, `day`, `week`, `month` or `season`.
    kind: &'static str,
    /// Its first instant; null for all time.
    #[schema(value_type = Option<String>, required)]
    start: Option<EventTime>,
    /// The first instant after it; null for all time.
    #[schema(value_type = Option<String>, required)]
    end: Option<EventTime>,
    /// From when on nothing that arrives changes it; null: never.
    #[schema(value_type = Option<String>, required)]
    final_at: Option<EventTime>,
    /// Counts how often the board was begun anew.
    epoch: u64,
    /// Counts the changes within the epoch.
    version: u64,
    /// How many players there are; null while that is not known, and of boards per value together.
    #[schema(required)]
    players: Option<u64>,
    /// There, and true, while the board is being rebuilt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rebuilding: bool,
}

impl WindowAnswer {
    /// A window of `board` with so many players.
    pub(super) fn of(
        board: &Board,
        window: &Window,
        version: Version,
        players: Option<u64>,
        rebuilding: bool,
    ) -> Self {
        let bounded = window.kind != WindowKind::All;
        Self {
            window: window.id.clone(),
            kind: window.kind.as_str(),
            start: bounded.then_some(window.start),
            end: bounded.then_some(window.end),
            final_at: board.final_at(window),
            epoch: version.epoch,
            version: version.version,
            players,
            rebuilding,
        }
    }
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
        let mut page = PageAnswer {
            stand: Stand::of("b", "all", &reading(Rows::Current)),
            entries: vec![Entry::of_row(&row, None), Entry::of_row(&row, Some("Zo"))],
            next: None,
            has_more: false,
        };
        assert_eq!(
            text(&page),
            r#"{"board":"b","window":"all","epoch":2,"version":9,"players":4,"entries":[{"rank":1,"score":5.5,"user_id":"7","nickname":"user-7"},{"rank":1,"score":5.5,"user_id":"7","nickname":"Zo"}],"next":null,"has_more":false}"#
        );
        page.entries.clear();
        page.stand = Stand::of("b", "all", &reading(Rows::LastGood));
        assert!(text(&page).contains(r#""players":4,"rebuilding":true,"#), "{}", text(&page));
    }

    #[test]
    fn player_has_the_shape_that_was_promised() {
        let player = PlayerId::new("a/b").unwrap();
        let place = Place { rank: 1, ordinal: 2, score: Score::new(-3, 0) };
        let answer = PlayerAnswer {
            entry: Entry::of_place(&player, place, None, 4),
            stand: Stand::of("b", "all", &reading(Rows::Current)),
        };
        assert_eq!(
            text(&answer),
            r#"{"rank":1,"score":-3,"user_id":"a/b","nickname":"user-a/b","percentile":75.0,"board":"b","window":"all","epoch":2,"version":9,"players":4}"#
        );
        assert_eq!(text(&Nickname::of(&player, None)), text(&player.default_nickname()));
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
