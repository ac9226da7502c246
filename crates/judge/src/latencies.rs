//! Many latencies, and what is told of them.

use crate::expressions::Statistic;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::Serialize;
use std::time::Duration;

/// The longest latency that is told apart, in microseconds: an hour.
const MAX_MICROS: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
const NANOS_PER_MICRO: u64 = 1000;
/// How many points of a curve lie in each tenfold of 1 / (1 − share).
const POINTS_PER_DECADE: u32 = 12;

/// A histogram of latencies: a microsecond to an hour, good to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// None yet.
    ///
    /// # Panics
    /// Never: the bounds are valid ones.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_MICROS, SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are valid"))
    }

    /// Takes one in; what is beyond an hour counts as an hour.
    pub fn record_nanos(&mut self, nanos: u64) {
        self.0.saturating_record(nanos / NANOS_PER_MICRO);
    }

    /// Takes one in, as [`record_nanos`](Self::record_nanos).
    pub fn record(&mut self, latency: Duration) {
        self.record_nanos(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Takes all of `other` in.
    ///
    /// # Panics
    /// Never: all have the same bounds.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the bounds are the same");
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// A statistic in milliseconds; `None` of none.
    #[must_use]
    pub fn millis(&self, statistic: Statistic) -> Option<f64> {
        if self.0.is_empty() {
            return None;
        }
        Some(match statistic {
            Statistic::Percentile(percent) => millis(self.0.value_at_percentile(percent)),
            Statistic::Mean => self.0.mean() / 1000.0,
            Statistic::Max => millis(self.0.max()),
        })
    }

    /// What is told of them; `None` of none.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        let at = |percent| self.millis(Statistic::Percentile(percent));
        Some(Figures {
            samples: self.count(),
            mean_ms: self.millis(Statistic::Mean)?,
            p50_ms: at(50.0)?,
            p90_ms: at(90.0)?,
            p99_ms: at(99.0)?,
            p99_9_ms: at(99.9)?,
            max_ms: self.millis(Statistic::Max)?,
        })
    }

    /// (share of all, milliseconds that it took at most), the shares closer together towards 1, as
    /// far as there are enough to tell.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let mut curve = Vec::new();
        for step in 0.. {
            let share = 1.0 - 10f64.powf(-f64::from(step) / f64::from(POINTS_PER_DECADE));
            let Some(millis) = self.millis(Statistic::Percentile(100.0 * share)) else { break };
            curve.push((share, millis));
            #[expect(clippy::cast_precision_loss, reason = "samples are far below 2^53")]
            if (1.0 - share) * (self.count() as f64) < 1.0 {
                break;
            }
        }
        curve
    }

    /// All of it in few bytes: `HdrHistogram`'s V2 encoding.
    ///
    /// # Panics
    /// Never: a vector takes every byte.
    #[must_use]
    pub fn pack(&self) -> Packed {
        if self.0.is_empty() {
            return Packed::default();
        }
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&self.0, &mut bytes).expect("a vector takes every byte");
        Packed { bytes: bytes.into(), figures: self.figures() }
    }

    /// The histogram of microseconds itself.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }
}

/// Latencies of a short while, in few bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    bytes: Box<[u8]>,
    /// What is told of them; `None` of none.
    pub figures: Option<Figures>,
}

impl Packed {
    /// The latencies.
    ///
    /// # Panics
    /// Never: it was packed by us.
    #[must_use]
    pub fn unpack(&self) -> Latencies {
        if self.figures.is_none() {
            return Latencies::new();
        }
        Latencies(Deserializer::new().deserialize(&mut &*self.bytes).expect("it was packed by us"))
    }
}

/// What is told of many latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many there are.
    pub samples: u64,
    /// Their mean.
    pub mean_ms: f64,
    /// Half took at most this.
    pub p50_ms: f64,
    /// 90 of 100 took at most this.
    pub p90_ms: f64,
    /// 99 of 100 took at most this.
    pub p99_ms: f64,
    /// 999 of 1,000 took at most this.
    pub p99_9_ms: f64,
    /// The slowest took this.
    pub max_ms: f64,
}

#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is far below 2^53")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        millis.into_iter().for_each(|millis| latencies.record_nanos(millis * 1_000_000));
        latencies
    }

    #[test]
    fn figures_are_those_of_the_samples() {
        let figures = of(1..=1000).figures().unwrap();
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.002;
        assert!(figures.samples == 1000 && near(figures.mean_ms, 500.5), "{figures:?}");
        assert!(near(figures.p50_ms, 500.0) && near(figures.p99_ms, 990.0), "{figures:?}");
        assert!(near(figures.p99_9_ms, 999.0) && near(figures.max_ms, 1000.0), "{figures:?}");
        assert_eq!(Latencies::new().figures(), None);
    }

    #[test]
    fn what_is_beyond_the_range_counts_at_its_end() {
        let mut latencies = Latencies::new();
        latencies.record_nanos(0);
        latencies.record_nanos(u64::MAX);
        assert_eq!(latencies.count(), 2);
        assert!(latencies.millis(Statistic::Max).unwrap() >= 3_600_000.0);
    }

    #[test]
    fn curve_rises_and_reaches_as_far_as_there_are_samples() {
        let curve = of(1..=1000).curve();
        assert!(curve.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1));
        assert!((0.999..0.9999).contains(&curve.last().unwrap().0), "{:?}", curve.last());
        assert!(Latencies::new().curve().is_empty());
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(millis in proptest::collection::vec(0u64..4_000_000, 0..50)) {
            let latencies = of(millis);
            let again = latencies.pack().unpack();
            prop_assert_eq!(again.histogram(), latencies.histogram());
            prop_assert_eq!(latencies.pack().figures, latencies.figures());
        }
    }
}
