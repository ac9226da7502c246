//! What a `boards.toml` means, in words, for whoever wrote it.

use crate::file::duration_text;
use crate::order::resolution_micros;
use crate::rules::{Aggregate, Board, Lateness, MAX_TOTAL_UNITS, Order, TieBreak};
use crate::set::BoardSet;
use crate::windows::{Window, WindowKind};
use contracts::{EventTime, Score};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// What a player in a window takes of the memory of Redis 7.0, measured with ids of 8 bytes; an
/// id's further bytes come on top.
const BYTES_PER_PLAYER: u64 = 120;
/// The largest total beside which reach times are kept to their finest step.
const FINEST_TOTAL_UNITS: i64 = (1 << 17) - 1;

/// What one `[[board]]` means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Its name; `name:{tag}` of a board per value.
    pub board: String,
    /// Which events it is for.
    pub takes: String,
    /// What a score does, and who stands first.
    pub ranks: String,
    /// The smallest score; `None` where scores do not matter.
    pub min_score: Option<Score>,
    /// The largest score; `None` where scores do not matter.
    pub max_score: Option<Score>,
    /// The largest magnitude of a total.
    pub max_total: Score,
    /// How far events may lie after their arrival, in seconds.
    pub future_limit_seconds: u32,
    /// How long after its end a window takes events, in seconds; `None`: for ever.
    pub allowed_lateness_seconds: Option<u32>,
    /// How long a final window stays in Redis, in seconds.
    pub grace_seconds: u32,
    /// The zone of the calendar.
    pub timezone: String,
    /// The window of each period that the instant lies in, and every season.
    pub windows: Vec<ExplainedWindow>,
    /// How exactly it is known when a total was reached; nothing where that is not asked.
    pub reach_times: Vec<Resolution>,
    /// About how many bytes of Redis' memory a player takes in each window.
    pub bytes_per_player: u64,
    /// Whether dense ranks of any place are kept.
    pub dense_ranks: bool,
    /// What to think of.
    pub notes: Vec<String>,
    /// The rules that a rebuild is needed to change.
    pub rules: String,
}

/// A window as it stands at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedWindow {
    /// `all`, `hour`, `day`, `week`, `month` or `season`.
    pub kind: &'static str,
    /// What it is called.
    pub id: String,
    /// Its first instant by the zone's clocks; `None` for all time.
    pub start: Option<String>,
    /// The first instant after it.
    pub end: Option<String>,
    /// What is going on.
    pub state: WindowState,
    /// From which arrival on nothing changes it; `None`: from none.
    pub final_at: Option<String>,
    /// When it goes from Redis; `None`: never.
    pub gone_at: Option<String>,
    /// How many windows of its kind are in Redis at once at most; `None`: more and more.
    pub at_once: Option<u64>,
}

/// What is going on with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// It has not begun.
    ToCome,
    /// Now is in it.
    Running,
    /// It is over and takes events that are late.
    Over,
    /// Nothing changes it any more.
    Final,
    /// It is no longer in Redis.
    Gone,
}

impl WindowState {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToCome => "to come",
            Self::Running => "running",
            Self::Over => "over, open for what is late",
            Self::Final => "final",
            Self::Gone => "gone from Redis",
        }
    }
}

/// How exactly it is known when a total was reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Resolution {
    /// The magnitude of the total up to which it is so.
    pub total: Score,
    /// Times nearer than this may be taken for one.
    pub seconds: f64,
}

impl BoardSet {
    /// What the boards mean, with their windows as they stand at `now`.
    #[must_use]
    pub fn explain(&self, now: EventTime) -> Vec<Explanation> {
        self.iter().map(|board| board.explain(now)).collect()
    }
}

impl Board {
    /// What the board means, with its windows as they stand at `now`.
    #[must_use]
    pub fn explain(&self, now: EventTime) -> Explanation {
        let (min, max) = self.score_range();
        let limit = |points| (self.aggregate != Aggregate::Count).then(|| Score::new(points, 0));
        let value = self.per_value.as_ref().map(|per_value| format!("{{{}}}", per_value.tag));
        Explanation {
            board: self.name_of(value.as_deref()).into_owned(),
            takes: self.explain_match(),
            ranks: self.explain_ranks(),
            min_score: limit(min),
            max_score: limit(max),
            max_total: self.score(self.max_total_units),
            future_limit_seconds: self.future_limit_seconds,
            allowed_lateness_seconds: match self.allowed_lateness {
                Lateness::Seconds(seconds) => Some(seconds),
                Lateness::Forever => None,
            },
            grace_seconds: self.grace_seconds,
            timezone: self.calendar.zone().to_owned(),
            windows: self.explain_windows(now),
            reach_times: self.explain_reach_times(),
            bytes_per_player: BYTES_PER_PLAYER,
            dense_ranks: self.dense_ranks,
            notes: self.notes(),
            rules: self.fingerprint(),
        }
    }

    fn explain_match(&self) -> String {
        let mut tags: Vec<String> =
            self.matches.iter().map(|(tag, value)| format!("{tag} = {value:?}")).collect();
        let per_value = self.per_value.as_ref();
        tags.extend(per_value.map(|per_value| format!("any {}", per_value.tag)));
        let events = match tags.as_slice() {
            [] => "every event".to_owned(),
            tags => format!("events with {}", tags.join(" and ")),
        };
        let values = |values: usize| format!("; a board for each value, for {values} of them at most");
        events + &per_value.map_or(String::new(), |per_value| values(per_value.max_values))
    }

    fn explain_ranks(&self) -> String {
        let what = match self.aggregate {
            Aggregate::Sum => "the sum of scores",
            Aggregate::Best => "each player's best score",
            Aggregate::Last => "each player's newest score",
            Aggregate::Count => "the number of events",
        };
        let first = match self.order {
            Order::Desc => "the highest first",
            Order::Asc => "the lowest first",
        };
        let ties = match self.tie_break {
            TieBreak::First => "whoever reached it first",
            TieBreak::PlayerId => "the greater player id",
        };
        format!("{what}, {first}; of equal ones, {ties}")
    }

    fn explain_windows(&self, now: EventTime) -> Vec<ExplainedWindow> {
        let periods = self.windows_at(now).into_iter().filter(|window| window.kind != WindowKind::Season);
        let seasons = self.seasons.iter().map(Arc::as_ref).cloned();
        periods.chain(seasons).map(|window| self.explain_window(&window, now)).collect()
    }

    fn explain_window(&self, window: &Window, now: EventTime) -> ExplainedWindow {
        let (final_at, gone_at) = (self.final_at(window), self.gone_at(window));
        let is_past = |instant: Option<EventTime>| instant.is_some_and(|instant| instant <= now);
        let state = if now < window.start {
            WindowState::ToCome
        } else if window.contains(now) {
            WindowState::Running
        } else if is_past(gone_at) {
            WindowState::Gone
        } else if is_past(final_at) {
            WindowState::Final
        } else {
            WindowState::Over
        };
        let shown = |instant: EventTime| self.calendar.local(instant);
        let bounded = window.kind != WindowKind::All;
        ExplainedWindow {
            kind: window.kind.as_str(),
            id: window.id.to_string(),
            start: bounded.then(|| shown(window.start)),
            end: bounded.then(|| shown(window.end)),
            state,
            final_at: final_at.map(shown),
            gone_at: gone_at.map(shown),
            at_once: self.at_once(window),
        }
    }

    /// The window that runs, the next one for what lies in the future, and those that are over and
    /// not gone.
    fn at_once(&self, window: &Window) -> Option<u64> {
        let WindowKind::Period(period) = window.kind else { return Some(1) };
        let Lateness::Seconds(lateness) = self.allowed_lateness else { return None };
        let kept_seconds = u64::from(lateness) + u64::from(self.grace_seconds);
        Some(kept_seconds.div_ceil(period.seconds()) + 2)
    }

    fn explain_reach_times(&self) -> Vec<Resolution> {
        if self.tie_break != TieBreak::First {
            return Vec::new();
        }
        let max_score = self.max_score.saturating_mul(10i64.pow(u32::from(self.decimals)));
        let max_score = Some(max_score).filter(|_| self.aggregate != Aggregate::Count);
        let max_total = Some(self.max_total_units)
            .filter(|_| matches!(self.aggregate, Aggregate::Sum | Aggregate::Count));
        let beyond = [max_score, max_total].into_iter().flatten().filter(|total| *total > FINEST_TOTAL_UNITS);
        let mut totals: Vec<i64> = [FINEST_TOTAL_UNITS].into_iter().chain(beyond).collect();
        totals.dedup();
        let resolution = |total| Resolution {
            total: self.score(total),
            seconds: std::time::Duration::from_micros(resolution_micros(total).unsigned_abs()).as_secs_f64(),
        };
        totals.into_iter().map(resolution).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let (min, max) = self.score_range();
        let stops = self.max_total_units < MAX_TOTAL_UNITS;
        if self.aggregate == Aggregate::Sum && stops && min < 0 && max > 0 {
            let note = "a total that stops at `max_total` forgets what lay beyond; as scores may be negative, \
                        where it goes from there depends on the order in which events arrive; `min_score = 0` \
                        would not let it";
            notes.push(note.to_owned());
        }
        if !self.periods.is_empty() && self.allowed_lateness == Lateness::Forever {
            let note =
                "no window becomes final, so that none goes from Redis: memory grows with every period";
            notes.push(note.to_owned());
        }
        notes
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "board {}", self.board)?;
        writeln!(f, "  takes    {}", self.takes)?;
        writeln!(f, "  ranks    {}", self.ranks)?;
        write!(f, "  limits   ")?;
        if let (Some(min), Some(max)) = (self.min_score, self.max_score) {
            write!(f, "scores from {min} to {max}, ")?;
        }
        let future = duration_text(self.future_limit_seconds);
        writeln!(f, "totals to {} either way, times at most {future} after the arrival", self.max_total)?;
        for window in &self.windows {
            writeln!(f, "  {window}")?;
        }
        if self.windows.iter().any(|window| window.kind != "all") {
            let grace = duration_text(self.grace_seconds);
            match self.allowed_lateness_seconds.map(duration_text) {
                Some(late) => writeln!(
                    f,
                    "  late     windows take events until {late} after their end, and stay for {grace} then"
                )?,
                None => writeln!(f, "  late     windows take events for ever, and stay")?,
            }
        }
        if self.reach_times.is_empty() {
            writeln!(f, "  ties     are broken by player id alone")?;
        } else {
            let known =
                |Resolution { total, seconds }: &Resolution| format!("{} up to {total}", span(*seconds));
            let known: Vec<String> = self.reach_times.iter().map(known).collect();
            writeln!(f, "  ties     reach times are told apart from {}", known.join(", "))?;
        }
        writeln!(f, "  memory   about {} bytes for each player in each window", self.bytes_per_player)?;
        for note in &self.notes {
            writeln!(f, "  note     {note}")?;
        }
        write!(f, "  rules    {}", self.rules)
    }
}

impl fmt::Display for ExplainedWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, .. } = self;
        let (Some(start), Some(end)) = (&self.start, &self.end) else {
            return write!(f, "{kind:8} everything, for ever");
        };
        write!(f, "{kind:8} {id}, {start} to {end}: {}", self.state.as_str())?;
        match (&self.final_at, &self.gone_at) {
            (Some(final_at), Some(gone_at)) => write!(f, "; final {final_at}, gone {gone_at}")?,
            _ => write!(f, "; never final")?,
        }
        match self.at_once {
            Some(1) => Ok(()),
            Some(at_once) => write!(f, "; at most {at_once} at once"),
            None => write!(f, "; more and more of them"),
        }
    }
}

/// A stretch of time in the unit in which it is best imagined, rounded up.
fn span(seconds: f64) -> String {
    let units = [(31_557_600.0, "years"), (86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    match units.into_iter().find(|(each, _)| seconds >= 2.0 * each) {
        Some((each, unit)) => format!("{} {unit}", (seconds / each).ceil()),
        None => format!("{seconds} s"),
    }
}
