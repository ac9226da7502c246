//! What a run is held to: `--fail-if 'frame.p99>600ms'`. Pure.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The names of everything that can be asked about.
const KNOWN: &str = "frame.PCT, ack.PCT, edge.PCT (PCT: p50, p99, p99.9, …, mean or max; PCT alone is frame.PCT), \
                     lag, behind, rate, failed, differences";

/// Whose latency is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// From an event's due time to the frame that first counts it, in a viewer's hand.
    Frame,
    /// From an event's due time to Kafka's acknowledgement.
    Ack,
    /// As `Frame`, of lone events after quiet.
    Edge,
}

/// What is taken of many latencies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// So many percent took at most this.
    Percentile(f64),
    /// The mean.
    Mean,
    /// The slowest.
    Max,
}

/// Something that a run has a figure of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// A latency, in milliseconds.
    Latency(Of, Statistic),
    /// The worst lag of what viewers see, in milliseconds.
    Lag,
    /// How late the latest event was handed over, in milliseconds.
    Behind,
    /// Acknowledged events per second.
    Rate,
    /// Events that are known to have failed.
    Failed,
    /// Differences that the judge found.
    Differences,
}

impl Metric {
    /// Whether only the judge measures it.
    #[must_use]
    pub fn needs_judge(self) -> bool {
        matches!(self, Self::Latency(Of::Frame | Of::Edge, _) | Self::Lag | Self::Differences)
    }

    /// A value of it as people write it.
    #[must_use]
    pub fn words(self, value: f64) -> String {
        match self {
            Self::Latency(..) | Self::Lag | Self::Behind => format!("{value:.1}ms"),
            Self::Rate => format!("{value:.1}/s"),
            Self::Failed | Self::Differences => format!("{value}"),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let metric = match text.split_once('.') {
            Some(("frame", statistic)) => Statistic::parse(statistic).map(|s| Self::Latency(Of::Frame, s)),
            Some(("ack", statistic)) => Statistic::parse(statistic).map(|s| Self::Latency(Of::Ack, s)),
            Some(("edge", statistic)) => Statistic::parse(statistic).map(|s| Self::Latency(Of::Edge, s)),
            _ => match text {
                "lag" => Some(Self::Lag),
                "behind" => Some(Self::Behind),
                "rate" => Some(Self::Rate),
                "failed" => Some(Self::Failed),
                "differences" => Some(Self::Differences),
                _ => Statistic::parse(text).map(|s| Self::Latency(Of::Frame, s)),
            },
        };
        metric.ok_or_else(|| format!("`{text}` is not known; known are {KNOWN}"))
    }

    /// The number that `text` says, in the metric's unit.
    fn limit(self, text: &str) -> Result<f64, String> {
        let units: &[(&str, f64)] = match self {
            Self::Latency(..) | Self::Lag | Self::Behind => {
                &[("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("min", 60_000.0), ("s", 1000.0)]
            }
            Self::Rate => &[("k/s", 1e3), ("M/s", 1e6), ("/s", 1.0), ("k", 1e3), ("M", 1e6), ("", 1.0)],
            Self::Failed | Self::Differences => &[("k", 1e3), ("M", 1e6), ("", 1.0)],
        };
        let read = units.iter().find_map(|(unit, factor)| {
            let number = text.strip_suffix(unit)?.trim_end();
            // Digits only: `f64` would also read `inf` and `1e3`.
            let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            Some(number.parse::<f64>().ok().filter(|_| plain)? * factor)
        });
        read.ok_or_else(|| {
            let names: Vec<&str> =
                units.iter().map(|(unit, _)| *unit).filter(|unit| !unit.is_empty()).collect();
            let none = if units.iter().any(|(unit, _)| unit.is_empty()) { " or without a unit" } else { "" };
            format!("`{text}` must be a number in {}{none}", names.join(", "))
        })
    }
}

impl Statistic {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "max" => Some(Self::Max),
            "mean" => Some(Self::Mean),
            _ => {
                let digits = text.strip_prefix('p')?;
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let percent: f64 = digits.parse().ok().filter(|_| plain)?;
                (percent > 0.0 && percent <= 100.0).then_some(Self::Percentile(percent))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Relation {
    /// Those of two characters first: they begin like those of one.
    const ALL: [(&str, Self); 4] =
        [(">=", Self::AtLeast), ("<=", Self::AtMost), (">", Self::Above), ("<", Self::Below)];

    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }
}

/// A condition under which a run has failed, such as `p99>650ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct FailIf {
    text: String,
    /// What it is about.
    pub metric: Metric,
    relation: Relation,
    limit: f64,
}

impl FromStr for FailIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Relation::ALL
            .iter()
            .filter_map(|(sign, relation)| text.find(sign).map(|at| (at, *sign, *relation)))
            .min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
        let (at, sign, relation) = found.ok_or("must be METRIC>VALUE, with >, >=, < or <=")?;
        let metric = Metric::parse(text[..at].trim())?;
        let limit = metric.limit(text[at + sign.len()..].trim())?;
        Ok(Self { text: text.trim().to_owned(), metric, relation, limit })
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A condition, held against what was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The condition.
    pub fail_if: String,
    /// The value that was found, with its unit; `None` when nothing was measured.
    pub found: Option<String>,
    /// Whether the run has failed by it. What was not measured cannot be vouched for: it has.
    pub failed: bool,
}

impl FailIf {
    /// Holds it against the value of its metric; `None` when there is none.
    #[must_use]
    pub fn check(&self, value: Option<f64>) -> Checked {
        Checked {
            fail_if: self.text.clone(),
            found: value.map(|value| self.metric.words(value)),
            failed: value.is_none_or(|value| self.relation.holds(value, self.limit)),
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{}: it was {found}", self.fail_if),
            None => write!(f, "{}: nothing was measured", self.fail_if),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> FailIf {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn conditions_are_read_as_people_write_them() {
        let frame = |percent| Metric::Latency(Of::Frame, Statistic::Percentile(percent));
        for (text, metric, relation, limit) in [
            ("p99>650ms", frame(99.0), Relation::Above, 650.0),
            ("frame.p99 > 600 ms", frame(99.0), Relation::Above, 600.0),
            ("frame.p99.9>=1s", frame(99.9), Relation::AtLeast, 1000.0),
            ("max>2min", Metric::Latency(Of::Frame, Statistic::Max), Relation::Above, 120_000.0),
            ("ack.p99>50ms", Metric::Latency(Of::Ack, Statistic::Percentile(99.0)), Relation::Above, 50.0),
            ("edge.mean>500us", Metric::Latency(Of::Edge, Statistic::Mean), Relation::Above, 0.5),
            ("rate<1000", Metric::Rate, Relation::Below, 1000.0),
            ("rate<=1.5k/s", Metric::Rate, Relation::AtMost, 1500.0),
            ("behind>100ms", Metric::Behind, Relation::Above, 100.0),
            ("lag>5s", Metric::Lag, Relation::Above, 5000.0),
            ("differences>0", Metric::Differences, Relation::Above, 0.0),
            ("failed>1k", Metric::Failed, Relation::Above, 1000.0),
        ] {
            let read = parse(text);
            assert_eq!((read.metric, read.relation), (metric, relation), "{text}");
            assert!((read.limit - limit).abs() < 1e-9, "{text}: {}", read.limit);
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (text, says) in [
            ("latency>5ms", "`latency` is not known; known are frame.PCT, ack.PCT"),
            ("disk.p99>5ms", "`disk.p99` is not known"),
            ("p101>5ms", "`p101` is not known"),
            ("pinf>5ms", "`pinf` is not known"),
            ("p99", "must be METRIC>VALUE"),
            ("p99=5ms", "must be METRIC>VALUE"),
            ("p99>5", "`5` must be a number in ms, us, µs, min, s"),
            ("p99>fast", "`fast` must be a number"),
            ("p99>infs", "must be a number"),
            ("rate<10ms", "`10ms` must be a number in k/s, M/s, /s, k, M or without a unit"),
            ("differences>-1", "`-1` must be a number in k, M or without a unit"),
            ("", "must be METRIC>VALUE"),
        ] {
            let error = text.parse::<FailIf>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_not_measured_has_failed() {
        let condition = parse("frame.p99>600ms");
        assert_eq!(condition.check(None).to_string(), "frame.p99>600ms: nothing was measured");
        assert!(condition.check(None).failed);
        assert_eq!(condition.check(Some(702.13)).to_string(), "frame.p99>600ms: it was 702.1ms");
        assert!(condition.check(Some(702.0)).failed && !condition.check(Some(600.0)).failed);
    }

    proptest! {
        #[test]
        fn a_condition_fails_exactly_beyond_its_limit(limit in 0u32..100_000, value in 0u32..100_000) {
            let value_ms = f64::from(value);
            for (sign, fails) in [
                (">", value > limit), (">=", value >= limit), ("<", value < limit), ("<=", value <= limit),
            ] {
                let checked = parse(&format!("ack.p50{sign}{limit}ms")).check(Some(value_ms));
                prop_assert_eq!(checked.failed, fails, "{} {} {}", value, sign, limit);
            }
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in ".{0,30}") {
            let _ = text.parse::<FailIf>();
        }
    }
}
