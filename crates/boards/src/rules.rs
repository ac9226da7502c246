//! What a board takes, what a score does on it, who stands first.
//!
//! `boards.toml` says them (`docs/boards.md` explains every member); reading it is in [`crate::file`].

use crate::calendar::{Calendar, Period};
use crate::changes::{Arrival, Change, Recency};
use crate::order::{self, Reached, sorted_set_score};
use crate::windows::Window;
use contracts::event::MAX_FUTURE_SECONDS;
use contracts::{EventTime, Refusal, RefusalClass, Score, ScoreEvent};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest total in either direction, counted in units of the last decimal. A total that
/// would be beyond it stays there; a board's own limit may be lower.
pub const MAX_TOTAL_UNITS: i64 = 1_000_000_000_000_000;
/// The largest magnitude of one score, unless the board says otherwise.
const DEFAULT_MAX_SCORE: i64 = 1_000_000_000;
const DEFAULT_TOP: usize = 10;
const DEFAULT_LATENESS_SECONDS: u32 = 3_600;
const DEFAULT_GRACE_SECONDS: u32 = 86_400;
/// Decoding refuses what is further in the future; a board can only be stricter.
#[expect(clippy::cast_possible_truncation, reason = "it is 600")]
pub(crate) const MAX_FUTURE_LIMIT_SECONDS: u32 = MAX_FUTURE_SECONDS as u32;
/// What stands between a board's name and a tag's value.
pub(crate) const VALUE_SEPARATOR: char = ':';

/// How a player's events make a total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Scores add up. The total was reached at the latest event that changed it.
    #[default]
    Sum,
    /// The best single score. It was reached at the earliest event with that score.
    Best,
    /// The score of the newest event: by `created_at` to the microsecond, then offset, then
    /// partition. It was reached then.
    Last,
    /// The number of events, whatever their scores. It was reached at the latest of them.
    Count,
}

impl Aggregate {
    /// The name in `boards.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Best => "best",
            Self::Last => "last",
            Self::Count => "count",
        }
    }
}

/// Which totals stand first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The highest.
    #[default]
    Desc,
    /// The lowest, as in golf.
    Asc,
}

impl Order {
    /// The name in `boards.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Desc => "desc",
            Self::Asc => "asc",
        }
    }
}

/// Who of those with equal totals stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// Who reached the total first; of those who did so at once, the greater player id.
    #[default]
    First,
    /// The greater player id, in byte order.
    PlayerId,
}

impl TieBreak {
    /// The name in `boards.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::PlayerId => "player_id",
        }
    }
}

/// How long after its end a window takes events that lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lateness {
    /// For so many seconds.
    Seconds(u32),
    /// For ever, as history needs.
    Forever,
}

/// A tag of which each value has a board of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PerValue {
    /// The tag's key.
    pub tag: String,
    /// How many values get a board. A guard against tags that run wild: those that come first get
    /// one, and which these are may differ after a replay.
    pub max_values: usize,
}

/// One `[[board]]`. With [`per_value`](Self::per_value) it is many boards of the same rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The board's name: the key of its sorted set and its part in the API's paths.
    pub name: String,
    /// Tags that an event must carry: key and value.
    pub matches: BTreeMap<String, String>,
    /// The tag, if any, of which each value has a board of its own. An event must carry it.
    pub per_value: Option<PerValue>,
    /// How a player's events make a total.
    pub aggregate: Aggregate,
    /// Which totals stand first.
    pub order: Order,
    /// Who of those with equal totals stands first.
    pub tie_break: TieBreak,
    /// How many decimals scores may have.
    pub decimals: u8,
    /// How many rows a snapshot has.
    pub top: usize,
    /// The largest score, in whole points.
    pub max_score: i64,
    /// The smallest score, in whole points; `None`: minus [`max_score`](Self::max_score).
    pub min_score: Option<i64>,
    /// The largest magnitude of a total, in units of the last decimal, at most
    /// [`MAX_TOTAL_UNITS`]. A total that would be beyond it stays there.
    pub max_total_units: i64,
    /// Whether there is a window that takes everything.
    pub all_time: bool,
    /// The periods of the calendar that have windows: each once, the shortest first.
    pub periods: Vec<Period>,
    /// The seasons, by start.
    pub seasons: Vec<Arc<Window>>,
    /// Where periods begin and end.
    pub calendar: Calendar,
    /// How long after its end a window takes events that lie in it.
    pub allowed_lateness: Lateness,
    /// How far `created_at` may lie after the arrival, in seconds; at most
    /// [`MAX_FUTURE_SECONDS`], beyond which nothing is decoded.
    pub future_limit_seconds: u32,
    /// How long a window that is final stays in Redis, in seconds.
    pub grace_seconds: u32,
    /// Whether dense ranks of any place are kept.
    pub dense_ranks: bool,
}

impl Board {
    /// A board of that name by the rules of the one that is kept without a file: every score of
    /// every player added up, for all time, the highest first.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            matches: BTreeMap::new(),
            per_value: None,
            aggregate: Aggregate::default(),
            order: Order::default(),
            tie_break: TieBreak::default(),
            decimals: 0,
            top: DEFAULT_TOP,
            max_score: DEFAULT_MAX_SCORE,
            min_score: None,
            max_total_units: MAX_TOTAL_UNITS,
            all_time: true,
            periods: Vec::new(),
            seasons: Vec::new(),
            calendar: Calendar::default(),
            allowed_lateness: Lateness::Seconds(DEFAULT_LATENESS_SECONDS),
            future_limit_seconds: MAX_FUTURE_LIMIT_SECONDS,
            grace_seconds: DEFAULT_GRACE_SECONDS,
            dense_ranks: false,
        }
    }

    /// What the board is called in the API and in snapshots: `name`, or `name:value` of a board
    /// that there is per value.
    #[must_use]
    pub fn name_of(&self, value: Option<&str>) -> Cow<'_, str> {
        match value {
            None => Cow::Borrowed(&self.name),
            Some(value) => Cow::Owned(format!("{}{VALUE_SEPARATOR}{value}", self.name)),
        }
    }

    /// Whether the board is for events with these tags: `None` when it is not, else for which value
    /// of the tag that has a board per value.
    #[must_use]
    pub fn matched<'e>(&self, tags: &'e BTreeMap<String, String>) -> Option<Option<&'e str>> {
        if self.matches.iter().any(|(key, value)| tags.get(key) != Some(value)) {
            return None;
        }
        match &self.per_value {
            None => Some(None),
            Some(per_value) => tags.get(&per_value.tag).map(|value| Some(value.as_str())),
        }
    }

    /// The smallest and the largest score, in whole points.
    #[must_use]
    pub fn score_range(&self) -> (i64, i64) {
        (self.min_score.unwrap_or(-self.max_score), self.max_score)
    }

    /// What the event is worth, in units of the board's last decimal; a count has it worth 1.
    ///
    /// # Errors
    /// When the score has more decimals than the board keeps or is beyond its limits.
    pub fn units(&self, event: &ScoreEvent) -> Result<i64, Refusal> {
        if self.aggregate == Aggregate::Count {
            return Ok(1);
        }
        let refuse = |class, what: String| Refusal::of_field(class, "score", what);
        if event.score.scale() > self.decimals {
            return Err(refuse(
                RefusalClass::TooPrecise,
                format!("is {}; board {} keeps {} decimals", event.score, self.name, self.decimals),
            ));
        }
        let (min, max) = self.score_range();
        let in_units = |points: i64| points.saturating_mul(10i64.pow(u32::from(self.decimals)));
        let range = in_units(min)..=in_units(max);
        event.score.units_at(self.decimals).filter(|units| range.contains(units)).ok_or_else(|| {
            let takes = match self.min_score {
                None => format!("{max} points at most"),
                Some(min) => format!("{min} to {max} points"),
            };
            let what = format!("is {}; board {} takes {takes}", event.score, self.name);
            refuse(RefusalClass::OutOfRange, what)
        })
    }

    /// The same of an event that arrived at `arrived_at`.
    ///
    /// # Errors
    /// As [`units`](Self::units), and when the event claims a time too far after its arrival.
    pub fn judge(&self, event: &ScoreEvent, arrived_at: EventTime) -> Result<i64, Refusal> {
        let limit = self.future_limit_seconds;
        let created_at = event.created_at;
        if created_at > arrived_at.saturating_add_seconds(i64::from(limit)) {
            let what = format!(
                "is {created_at}, over {limit} s after its arrival at {arrived_at}; board {} takes no more",
                self.name
            );
            return Err(Refusal::of_field(RefusalClass::TooFarInFuture, "created_at", what));
        }
        self.units(event)
    }

    /// What an event does that is worth `units` and happened at `created_at`.
    #[must_use]
    pub fn change(&self, units: i64, created_at: EventTime, arrival: Arrival) -> Change {
        let value = self.stored(units);
        let reached = match self.tie_break {
            TieBreak::First => Reached::at(created_at),
            TieBreak::PlayerId => Reached::NEVER,
        };
        match self.aggregate {
            Aggregate::Sum | Aggregate::Count => Change::of(value, reached),
            Aggregate::Best => Change::Best { value, reached },
            Aggregate::Last => {
                let Arrival { partition, offset, .. } = arrival;
                Change::Last { value, reached, recency: Recency { created_at, offset, partition } }
            }
        }
    }

    /// A total as it is stored, or back: so that the highest is the best, a board that has the
    /// lowest first stores minus the total.
    #[must_use]
    pub fn stored(&self, total: i64) -> i64 {
        match self.order {
            Order::Desc => total,
            Order::Asc => -total,
        }
    }

    /// The double under which a player with this total, reached then, stands in the sorted set:
    /// the highest is the best. See [`crate::order`].
    #[must_use]
    pub fn encode(&self, total: i64, reached: Reached) -> f64 {
        let reached = match self.tie_break {
            TieBreak::First => reached,
            TieBreak::PlayerId => Reached::NEVER,
        };
        sorted_set_score(self.stored(total), reached)
    }

    /// The double under which a player stands to whom nothing but `change` has come.
    #[must_use]
    pub fn settled_score(&self, change: Change) -> f64 {
        let settled = change.settled(self.max_total_units);
        sorted_set_score(settled.value(), settled.reached())
    }

    /// The total within a double made by [`encode`](Self::encode), in units of the last decimal.
    #[must_use]
    pub fn total_of(&self, sorted_set_score: f64) -> i64 {
        self.stored(order::total_of(sorted_set_score))
    }

    /// When that total was reached, as exactly as it left room for; [`Reached::NEVER`] on a board
    /// that does not ask.
    #[must_use]
    pub fn reached_of(&self, sorted_set_score: f64) -> Reached {
        order::reached_of(sorted_set_score)
    }

    /// A number of units as a score.
    #[must_use]
    pub fn score(&self, units: i64) -> Score {
        Score::new(units, self.decimals)
    }

    /// A total within what the board can hold: those beyond stop at the limit.
    #[must_use]
    pub fn clamped(&self, total: i64) -> i64 {
        total.clamp(-self.max_total_units, self.max_total_units)
    }
}
