//! One board of the file.

use super::reader::{Entry, Reader, Value, duration_seconds, duration_shape};
use crate::calendar::{Calendar, Period};
use crate::rules::{
    Aggregate, Board, Lateness, MAX_FUTURE_LIMIT_SECONDS, MAX_TOTAL_UNITS, Order, PerValue, TieBreak,
};
use crate::windows::{ALL, Window, WindowKind};
use contracts::EventTime;
use contracts::event::{MAX_TAG_KEY_BYTES, MAX_TAG_VALUE_BYTES, MAX_TAGS};
use contracts::score::MAX_SCALE;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeString, DeValue};

const BOARD_MEMBERS: [&str; 18] = [
    "name",
    "match",
    "max_values",
    "aggregate",
    "order",
    "tie_break",
    "decimals",
    "top",
    "max_score",
    "min_score",
    "max_total",
    "windows",
    "season",
    "timezone",
    "allowed_lateness",
    "future_limit",
    "grace",
    "dense_ranks",
];
const SEASON_MEMBERS: [&str; 3] = ["name", "start", "end"];
/// Every event is held against every season.
const MAX_SEASONS: usize = 200;
/// How many rows a snapshot may have: it travels whole to every viewer, twice a second.
const MAX_TOP: usize = 1000;
const DEFAULT_MAX_VALUES: usize = 1000;
/// Each value has keys of its own in Redis.
const MAX_MAX_VALUES: usize = 100_000;
/// A window that stays open for longer may as well do so for ever.
const MAX_LATENESS_SECONDS: u32 = 400 * 86_400;
const MAX_GRACE_SECONDS: u32 = 400 * 86_400;
/// What no season may be called: the names of other windows.
const TAKEN_BY_WINDOWS: [&str; 6] = [ALL, "hour", "day", "week", "month", "season"];

impl Reader<'_> {
    pub(super) fn board(&mut self, entry: &Entry<'_, '_>) -> Board {
        for key in entry.members.keys().filter(|key| !BOARD_MEMBERS.contains(&key.get_ref().as_ref())) {
            self.fault(key.span(), format!("`{}` is not known", key.get_ref()));
        }
        let mut board = Board::named(&self.name(entry).unwrap_or_default());
        self.matches(entry, &mut board);

        let aggregates = [Aggregate::Sum, Aggregate::Best, Aggregate::Last, Aggregate::Count];
        let ties = [TieBreak::First, TieBreak::PlayerId];
        board.aggregate = self.choice(entry, "aggregate", aggregates, Aggregate::as_str);
        board.order = self.choice(entry, "order", [Order::Desc, Order::Asc], Order::as_str);
        board.tie_break = self.choice(entry, "tie_break", ties, TieBreak::as_str);
        board.top = self.size(entry, "top", MAX_TOP).unwrap_or(board.top);
        board.dense_ranks = self.boolean(entry, "dense_ranks").unwrap_or(board.dense_ranks);
        self.limits(entry, &mut board);
        self.windows(entry, &mut board);
        board
    }

    fn matches(&mut self, entry: &Entry<'_, '_>, board: &mut Board) {
        let max_values = self.size(entry, "max_values", MAX_MAX_VALUES);
        if let Some(value) = entry.members.get("match") {
            match value.get_ref() {
                DeValue::Table(tags) if tags.len() <= MAX_TAGS => {
                    for (tag, value) in tags {
                        self.tag(tag, value, max_values.unwrap_or(DEFAULT_MAX_VALUES), board);
                    }
                }
                _ => {
                    let reason = format!(
                        "`match` must be at most {MAX_TAGS} tags and their values, such as {{ ranked = \"yes\" }}"
                    );
                    self.fault(value.span(), reason);
                    return;
                }
            }
        }
        if max_values.is_some() && board.per_value.is_none() {
            let reason = "`max_values` is for a board per value, such as match = { country = \"{country}\" }";
            self.fault(entry.span_of("max_values"), reason);
        }
    }

    fn tag(&mut self, key: &Spanned<DeString<'_>>, value: &Value<'_>, max_values: usize, board: &mut Board) {
        let (tag, wanted) = (key.get_ref().as_ref(), value.get_ref().as_str().unwrap_or_default());
        let is_text =
            |text: &str, max: usize| (1..=max).contains(&text.len()) && !text.contains(char::is_control);
        let placeholder = wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if !is_text(tag, MAX_TAG_KEY_BYTES) {
            self.fault(key.span(), format!("a tag is 1 to {MAX_TAG_KEY_BYTES} bytes of text"));
        } else if !is_text(wanted, MAX_TAG_VALUE_BYTES) {
            let reason = format!("`{tag}` must be 1 to {MAX_TAG_VALUE_BYTES} bytes of text");
            self.fault(value.span(), reason);
        } else if placeholder.is_none() {
            board.matches.insert(tag.to_owned(), wanted.to_owned());
        } else if placeholder != Some(tag) {
            let reason = format!("`{tag}` must be \"{{{tag}}}\" for a board per value");
            self.fault(value.span(), reason);
        } else if board.per_value.is_some() {
            self.fault(value.span(), "only one tag can have a board per value");
        } else {
            board.per_value = Some(PerValue { tag: tag.to_owned(), max_values });
        }
    }

    fn limits(&mut self, entry: &Entry<'_, '_>, board: &mut Board) {
        const MAX: i64 = MAX_TOTAL_UNITS;
        for member in ["decimals", "max_score", "min_score"] {
            if board.aggregate == Aggregate::Count && entry.has(member) {
                let reason = format!("`{member}` does not go with \"count\", for which scores do not matter");
                self.fault(entry.span_of(member), reason);
            }
        }
        let decimals = self.number(entry, "decimals", 0..=i64::from(MAX_SCALE));
        board.decimals = decimals.and_then(|number| u8::try_from(number).ok()).unwrap_or(board.decimals);
        board.max_score = self.number(entry, "max_score", 1..=MAX).unwrap_or(board.max_score);
        board.min_score = self.number(entry, "min_score", -MAX..=MAX);
        let max_total = self.number(entry, "max_total", 1..=MAX);

        let units_of_point = 10i64.pow(u32::from(board.decimals));
        let most = MAX / units_of_point;
        let given =
            [("max_score", Some(board.max_score)), ("min_score", board.min_score), ("max_total", max_total)];
        for (member, points) in given {
            if points.is_some_and(|points| points.abs() > most) {
                let room = format!("the most that {} decimals leave room for", board.decimals);
                self.fault(entry.span_of(member), format!("`{member}` is beyond {most}, {room}"));
            }
        }
        let (min, max) = board.score_range();
        if min > max {
            self.fault(entry.span_of("min_score"), format!("`min_score` is over {max}, the largest score"));
        }
        if let Some(max_total) = max_total {
            board.max_total_units = max_total.saturating_mul(units_of_point);
            let magnitude = min.abs().max(max.abs());
            if board.aggregate != Aggregate::Count && max_total < magnitude {
                let reason = format!("`max_total` is below {magnitude}, the magnitude of a score");
                self.fault(entry.span_of("max_total"), reason);
            }
        }
    }

    fn windows(&mut self, entry: &Entry<'_, '_>, board: &mut Board) {
        let zone = || "the IANA name of a time zone, such as \"Europe/Malta\"".to_owned();
        let calendar =
            self.member(entry, "timezone", zone, |value| value.as_str().and_then(Calendar::of_zone));
        board.calendar = calendar.unwrap_or_default();
        let shape = || duration_shape(MAX_LATENESS_SECONDS) + ", or \"forever\"";
        let lateness = self.member(entry, "allowed_lateness", shape, |value| match value.as_str()? {
            "forever" => Some(Lateness::Forever),
            text => duration_seconds(text, MAX_LATENESS_SECONDS).map(Lateness::Seconds),
        });
        board.allowed_lateness = lateness.unwrap_or(board.allowed_lateness);
        let future_limit = self.duration(entry, "future_limit", MAX_FUTURE_LIMIT_SECONDS);
        board.future_limit_seconds = future_limit.unwrap_or(board.future_limit_seconds);
        board.grace_seconds = self.duration(entry, "grace", MAX_GRACE_SECONDS).unwrap_or(board.grace_seconds);

        self.window_names(entry, board);
        if let Some(value) = entry.members.get("season") {
            self.seasons(value, board);
        }
    }

    fn window_names(&mut self, entry: &Entry<'_, '_>, board: &mut Board) {
        let Some(value) = entry.members.get("windows") else { return };
        let must_be =
            "`windows` must be a list of \"all\", \"hour\", \"day\", \"week\", \"month\", each once";
        let Some(names) = value.get_ref().as_array() else {
            self.fault(value.span(), must_be);
            return;
        };
        board.all_time = false;
        for name in names {
            let window = name.get_ref().as_str().unwrap_or_default();
            match Period::named(window) {
                None if window == ALL && !board.all_time => board.all_time = true,
                Some(period) if !board.periods.contains(&period) => board.periods.push(period),
                _ => self.fault(name.span(), must_be),
            }
        }
        board.periods.sort_unstable();
        if names.is_empty() && !entry.has("season") {
            self.fault(value.span(), "a board needs a window or a season");
        }
    }

    fn seasons(&mut self, value: &Value<'_>, board: &mut Board) {
        let seasons = value.get_ref().as_array().map_or(&[][..], |seasons| seasons);
        if seasons.is_empty() {
            self.fault(value.span(), "a season is written as [[board.season]]");
        }
        if let Some(beyond) = seasons.get(MAX_SEASONS) {
            self.fault(beyond.span(), format!("there are more than {MAX_SEASONS} seasons"));
        }
        for value in seasons.iter().take(MAX_SEASONS) {
            let Some(entry) = Entry::of(value) else {
                self.fault(value.span(), "a season is written as [[board.season]]");
                continue;
            };
            if let Some(season) = self.season(&entry, board) {
                board.seasons.push(Arc::new(season));
            }
        }
        board
            .seasons
            .sort_by(|one, other| (one.start, one.end, &one.id).cmp(&(other.start, other.end, &other.id)));
    }

    fn season(&mut self, entry: &Entry<'_, '_>, board: &Board) -> Option<Window> {
        for key in entry.members.keys().filter(|key| !SEASON_MEMBERS.contains(&key.get_ref().as_ref())) {
            self.fault(key.span(), format!("`{}` is not known", key.get_ref()));
        }
        let name = self.name(entry);
        let start = self.instant(entry, "start", &board.calendar);
        let end = self.instant(entry, "end", &board.calendar);
        let (name, start, end) = (name?, start?, end?);
        if TAKEN_BY_WINDOWS.contains(&name.as_str()) || Calendar::default().window_of_id(&name).is_some() {
            self.fault(entry.span_of("name"), format!("\"{name}\" is what another window is called"));
        }
        if board.seasons.iter().any(|season| *season.id == *name) {
            self.fault(entry.span_of("name"), format!("there are two seasons \"{name}\""));
        }
        if start >= end {
            self.fault(entry.span_of("end"), "a season must end after its start");
        }
        Some(Window { kind: WindowKind::Season, id: name.into(), start, end })
    }

    /// An instant, as a string or as TOML's own.
    fn instant(
        &mut self,
        entry: &Entry<'_, '_>,
        member: &'static str,
        calendar: &Calendar,
    ) -> Option<EventTime> {
        if !entry.has(member) {
            self.fault(entry.span.clone(), format!("`{member}` is missing"));
        }
        let text = match entry.members.get(member)?.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(instant) => instant.to_string(),
            _ => String::new(),
        };
        calendar
            .parse_instant(&text, member)
            .map_err(|refusal| self.fault(entry.span_of(member), refusal.message))
            .ok()
    }
}
