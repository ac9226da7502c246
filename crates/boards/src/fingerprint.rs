//! By which rules data were made.

use crate::rules::{Board, Lateness, MAX_FUTURE_LIMIT_SECONDS, MAX_TOTAL_UNITS, PerValue, TieBreak};
use crate::windows::Window;
use std::fmt::Write as _;

impl Board {
    /// What the doubles in Redis mean, and whether dense ranks are kept beside: by other rules they
    /// would be read wrongly, or not have what is asked for.
    #[must_use]
    pub fn meaning(&self) -> String {
        let dense = if self.dense_ranks { " dense_ranks" } else { "" };
        format!("{} decimals={}{dense}", self.order.as_str(), self.decimals)
    }

    /// The rules that decide what stands in Redis: all but `top` and `grace`. Data made under other
    /// rules mean something else. What is as it is without being said is left out.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let (aggregate, order) = (self.aggregate.as_str(), self.order.as_str());
        let mut text = format!("{aggregate} {order} decimals={} max_score={}", self.decimals, self.max_score);
        let mut add = |part: std::fmt::Arguments<'_>| {
            text.write_fmt(part).expect("a String takes everything");
        };
        if let Some(min) = self.min_score.filter(|min| *min != -self.max_score) {
            add(format_args!(" min_score={min}"));
        }
        if self.max_total_units != MAX_TOTAL_UNITS {
            add(format_args!(" max_total_units={}", self.max_total_units));
        }
        if self.tie_break != TieBreak::default() {
            add(format_args!(" tie_break={}", self.tie_break.as_str()));
        }
        for (key, value) in &self.matches {
            let (key, value) = (key.escape_default(), value.escape_default());
            add(format_args!(" match=\"{key}\":\"{value}\""));
        }
        if let Some(PerValue { tag, max_values }) = &self.per_value {
            add(format_args!(" per_value=\"{}\" max_values={max_values}", tag.escape_default()));
        }
        if self.future_limit_seconds != MAX_FUTURE_LIMIT_SECONDS {
            add(format_args!(" future_limit={}s", self.future_limit_seconds));
        }
        if !self.all_time {
            add(format_args!(" not_all_time"));
        }
        for period in &self.periods {
            add(format_args!(" {}", period.as_str()));
        }
        if !self.periods.is_empty() {
            add(format_args!(" timezone={}", self.calendar.zone()));
        }
        for Window { id, start, end, .. } in self.seasons.iter().map(|season| &**season) {
            add(format_args!(" season={id}:{start}..{end}"));
        }
        if !self.periods.is_empty() || !self.seasons.is_empty() {
            match self.allowed_lateness {
                Lateness::Seconds(seconds) => add(format_args!(" allowed_lateness={seconds}s")),
                Lateness::Forever => add(format_args!(" allowed_lateness=forever")),
            }
        }
        if self.dense_ranks {
            add(format_args!(" dense_ranks"));
        }
        text
    }
}
