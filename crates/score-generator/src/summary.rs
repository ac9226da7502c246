//! What happened, for people and for machines.

use crate::drain::Drain;
use crate::load::Recipe;
use crate::load::faults::Tally;
use crate::outlet::Outcome;
use crate::pace::Lag;
use crate::replay::Rows;
use judge::expressions::Checked;
use judge::latencies::{Figures, Latencies};
use judge::report::Report;
use serde::Serialize;
use service::grouped;
use std::fmt;
use std::time::Duration;

/// How many refused rows are shown; the report file has them all.
const SHOWN_REFUSALS: usize = 10;

/// Milliseconds between the instant at which an event was due and its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the events took at most this.
    pub p50_ms: f64,
    /// 99 of 100 events took at most this.
    pub p99_ms: f64,
    /// The slowest event took this.
    pub max_ms: f64,
}

impl Latency {
    /// What is told of `latencies`; `None` of none.
    #[must_use]
    pub fn of(latencies: &Latencies) -> Option<Self> {
        let Figures { p50_ms, p99_ms, max_ms, .. } = latencies.figures()?;
        Some(Self { p50_ms, p99_ms, max_ms })
    }
}

/// How a run of made-up events can be repeated.
#[derive(Clone, Debug, Serialize)]
pub struct Seed {
    /// The seed.
    pub seed: u64,
    /// created_at of the first event.
    pub start: String,
}

impl From<Recipe> for Seed {
    fn from(recipe: Recipe) -> Self {
        Self { seed: recipe.seed, start: recipe.start.to_string() }
    }
}

/// Events that were handed over later than they may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lateness {
    /// How late they may be.
    pub limit_ms: f64,
    /// How many were later.
    pub events: u64,
    /// For how long.
    pub seconds: f64,
}

/// What happened in one run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What the events were made from.
    #[serde(flatten)]
    pub recipe: Option<Seed>,
    /// What the file held.
    #[serde(flatten)]
    pub rows: Option<Rows>,
    /// Events handed over.
    pub sent: u64,
    /// Events that Kafka acknowledged (or that were written).
    pub acknowledged: u64,
    /// Events that are known to have failed.
    pub failed: u64,
    /// The first failure.
    pub first_failure: Option<String>,
    /// From the first event's due time to the last outcome.
    pub seconds: f64,
    /// Acknowledged events per second.
    pub events_per_second: f64,
    /// From each event's due time to its acknowledgement.
    pub latency: Option<Latency>,
    /// How late the latest event was handed over.
    pub worst_lag_ms: f64,
    /// How many events were later than `--max-behind`, where events are due at set times.
    pub late: Option<Lateness>,
    /// How many records of each kind were sent, where faults were asked for.
    pub records: Option<Tally>,
    /// What came of a backlog.
    pub drain: Option<Drain>,
    /// What the judge found, where there was one.
    pub judge: Option<Report>,
    /// The conditions of `--fail-if`.
    pub conditions: Vec<Checked>,
    /// Whether the run was ended early.
    pub interrupted: bool,
    /// Why the run could not go on.
    pub fault: Option<String>,
}

impl Summary {
    /// Puts the parts together.
    #[must_use]
    pub fn new(outcome: Outcome, took: Duration, lag: Lag) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let acknowledged = outcome.acknowledged as f64;
        let seconds = took.as_secs_f64();
        Self {
            recipe: None,
            rows: None,
            sent: outcome.sent,
            acknowledged: outcome.acknowledged,
            failed: outcome.failed,
            first_failure: outcome.first_failure,
            seconds,
            events_per_second: if seconds > 0.0 { acknowledged / seconds } else { 0.0 },
            latency: outcome.latency,
            worst_lag_ms: lag.worst.as_secs_f64() * 1000.0,
            late: lag.late.map(|late| Lateness {
                limit_ms: late.limit.as_secs_f64() * 1000.0,
                events: late.events,
                seconds: late.time.as_secs_f64(),
            }),
            records: None,
            drain: None,
            judge: None,
            conditions: Vec::new(),
            interrupted: false,
            fault: None,
        }
    }

    /// Whether every event that was sent was acknowledged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.fault.is_none() && self.acknowledged == self.sent
    }

    /// Whether events were handed over later than they may be.
    #[must_use]
    pub fn fell_behind(&self) -> bool {
        self.late.is_some_and(|late| late.events > 0)
    }

    /// Whether the judge found no difference and no condition failed.
    #[must_use]
    pub fn is_as_asked_for(&self) -> bool {
        let differs = self.judge.as_ref().is_some_and(|report| !report.differences.is_empty());
        !differs && self.conditions.iter().all(|condition| !condition.failed)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rows) = &self.rows {
            writeln!(
                f,
                "rows      {} read, {} filtered out, {} refused",
                grouped(rows.read),
                grouped(rows.filtered),
                grouped(rows.refused)
            )?;
            for refusal in rows.refusals.iter().take(SHOWN_REFUSALS) {
                writeln!(f, "refused   {refusal}")?;
            }
            let more = rows.refused.saturating_sub(SHOWN_REFUSALS as u64);
            if more > 0 {
                writeln!(f, "          and {} more: --report FILE lists them", grouped(more))?;
            }
        }
        let unknown = self.sent.saturating_sub(self.acknowledged + self.failed);
        writeln!(
            f,
            "events    {} sent, {} acknowledged, {} failed{}",
            grouped(self.sent),
            grouped(self.acknowledged),
            grouped(self.failed),
            if unknown > 0 { format!(", {} without an answer", grouped(unknown)) } else { String::new() }
        )?;
        if let Some(failure) = &self.first_failure {
            writeln!(f, "failure   {failure}")?;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate from 0")]
        let rate = self.events_per_second.round() as u64;
        writeln!(f, "time      {:.2} s, {} events/s", self.seconds, grouped(rate))?;
        if let Some(Latency { p50_ms, p99_ms, max_ms }) = self.latency {
            writeln!(
                f,
                "latency   p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms, from when due"
            )?;
        }
        if self.worst_lag_ms > 0.0 {
            writeln!(f, "behind    {:.1} ms at worst", self.worst_lag_ms)?;
        }
        if let Some(Lateness { limit_ms, events, seconds }) = self.late
            && events > 0
        {
            writeln!(
                f,
                "late      {} events by over {limit_ms:.0} ms, for {seconds:.2} s in all",
                grouped(events)
            )?;
        }
        if let Some(records) = &self.records {
            let Tally { good, duplicates, late, out_of_order, oversize, future, malformed } = records;
            let malformed = malformed.values().sum();
            let [good, duplicates, late, out_of_order, oversize, future, malformed] =
                [*good, *duplicates, *late, *out_of_order, *oversize, *future, malformed].map(grouped);
            writeln!(
                f,
                "records   {good} good, {late} late, {out_of_order} out of order, {duplicates} duplicates"
            )?;
            writeln!(f, "unusable  {malformed} malformed, {oversize} oversize, {future} of the future")?;
        }
        if let Some(drain) = &self.drain {
            writeln!(f, "drained   {drain}")?;
        }
        if let Some(report) = &self.judge {
            write!(f, "{report}")?;
        }
        for condition in &self.conditions {
            writeln!(f, "{} {condition}", if condition.failed { "failed   " } else { "passed   " })?;
        }
        if let Some(Seed { seed, start }) = &self.recipe {
            writeln!(f, "again     --seed {seed} --start {start}")?;
        }
        if self.interrupted {
            writeln!(f, "ended     early, as asked")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Late;
    use crate::replay::Refused;

    #[test]
    fn run_is_complete_when_everything_sent_was_acknowledged() {
        let outcome = Outcome { sent: 3, acknowledged: 2, ..Outcome::default() };
        let mut summary = Summary::new(outcome, Duration::from_secs(2), Lag::default());
        assert!(!summary.is_complete());
        assert!(summary.to_string().contains("3 sent, 2 acknowledged, 0 failed, 1 without an answer"));
        summary.acknowledged = 3;
        assert!(summary.is_complete());
        summary.fault = Some("no Kafka".into());
        assert!(!summary.is_complete());
    }

    #[test]
    fn run_that_fell_behind_says_by_how_much() {
        let late = |events| {
            let limit = Duration::from_millis(1500);
            let late = Late { limit, events, time: Duration::from_millis(2250) };
            let lag = Lag { worst: Duration::from_secs(2), late: Some(late) };
            Summary::new(Outcome::default(), Duration::ZERO, lag)
        };
        assert!(!late(0).fell_behind() && !late(0).to_string().contains("late"));
        assert!(late(1234).fell_behind());
        let text = late(1234).to_string();
        assert!(text.contains("late      1,234 events by over 1500 ms, for 2.25 s in all"), "{text}");
    }

    #[test]
    fn run_is_as_asked_for_while_no_condition_fails() {
        let mut summary = Summary::new(Outcome::default(), Duration::ZERO, Lag::default());
        let condition = |failed| Checked { fail_if: "rate<5".into(), found: Some("4.0/s".into()), failed };
        summary.conditions = vec![condition(false)];
        assert!(summary.is_as_asked_for() && summary.to_string().contains("passed    rate<5: it was 4.0/s"));
        summary.conditions.push(condition(true));
        assert!(!summary.is_as_asked_for() && summary.to_string().contains("failed    rate<5: it was 4.0/s"));
    }

    #[test]
    fn ten_refusals_are_shown_and_the_rest_counted() {
        let refused = |line| Refused { line, column: Some("scorer".into()), reason: "has no value".into() };
        let mut summary = Summary::new(Outcome::default(), Duration::ZERO, Lag::default());
        summary.rows =
            Some(Rows { read: 20, filtered: 1, refused: 12, refusals: (1..=12).map(refused).collect() });
        let text = summary.to_string();
        assert!(text.contains("line 10, column `scorer`: has no value\n          and 2 more"), "{text}");
    }
}
