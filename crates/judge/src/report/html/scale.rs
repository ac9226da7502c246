//! Where values stand on an axis, and which of them are named. Pure.

use std::ops::Range;

/// How many values a straight axis names, about.
const TICKS: f64 = 4.0;
/// On a logarithmic axis with fewer decades, 2 and 5 are named, too.
const FEW_DECADES: f64 = 2.5;
/// Steps of time that people count in, in seconds.
const TIME_STEPS: [u32; 15] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];

/// An axis: values from one to another, on a stretch of the drawing.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    values: Range<f64>,
    onto: Range<f64>,
    logarithmic: bool,
}

impl Scale {
    /// From 0 to a round value at or above `greatest`.
    pub(super) fn linear(greatest: f64, onto: Range<f64>) -> Self {
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let step = round_step(greatest / TICKS);
        // A little below counts as reached, so that a value on a tick gets no further one.
        let end = (greatest / step - 1e-9).ceil().max(1.0) * step;
        Self { values: 0.0..end, onto, logarithmic: false }
    }

    /// From 0 to exactly `end`.
    pub(super) fn exact(end: f64, onto: Range<f64>) -> Self {
        Self { values: 0.0..end.max(f64::MIN_POSITIVE), onto, logarithmic: false }
    }

    /// From a round value at or below `least`, above 0, to one at or above `greatest`.
    pub(super) fn logarithmic(least: f64, greatest: f64, onto: Range<f64>) -> Self {
        let below = round_down(least);
        let above = round_up(greatest.max(least));
        let values = if above > below { below..above } else { below..below * 10.0 };
        Self { values, onto, logarithmic: true }
    }

    /// Where a value stands; those beyond the ends stand at them.
    pub(super) fn at(&self, value: f64) -> f64 {
        let Range { start, end } = self.values;
        let share = if self.logarithmic {
            (value.max(start) / start).log10() / (end / start).log10()
        } else {
            (value - start) / (end - start)
        };
        self.onto.start + share.clamp(0.0, 1.0) * (self.onto.end - self.onto.start)
    }

    /// The values that are named.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let Range { start, end } = self.values;
        if !self.logarithmic {
            let step = round_step(end / TICKS);
            return steps(step, end);
        }
        let few = (end / start).log10() < FEW_DECADES;
        let factors: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut decade = 10f64.powf(start.log10().floor());
        let mut ticks = Vec::new();
        while decade <= end * 1.000_001 {
            let within = |tick: &f64| (start * 0.999_999..=end * 1.000_001).contains(tick);
            ticks.extend(factors.iter().map(|factor| factor * decade).filter(within));
            decade *= 10.0;
        }
        ticks
    }

    /// The instants that are named on an axis of seconds, at most `most` after the first.
    pub(super) fn time_ticks(&self, most: f64) -> Vec<f64> {
        let end = self.values.end;
        let fits = |step: &&u32| end / f64::from(**step) <= most;
        let step = TIME_STEPS.iter().find(fits).copied().map_or(end / most, f64::from);
        steps(step, end)
    }
}

fn steps(step: f64, end: f64) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut number = 0.0;
    while number * step <= end * 1.000_001 {
        ticks.push(number * step);
        number += 1.0;
    }
    ticks
}

/// 1, 2 or 5 times a power of ten: the least that is not below `value`.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|round| *round >= value * 0.999_999)
        .unwrap_or(value)
}

/// The greatest such that is not above `value`.
fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|round| *round <= value * 1.000_001)
        .unwrap_or(power)
}

fn round_step(value: f64) -> f64 {
    round_up(value.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn straight_axes_end_at_a_round_value_and_name_few() {
        for (greatest, ticks) in [
            (0.0, &[0.0, 0.5, 1.0][..]),
            (1000.0, &[0.0, 500.0, 1000.0]),
            (1400.0, &[0.0, 500.0, 1000.0, 1500.0]),
            (20_000.0, &[0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0]),
            (512.0, &[0.0, 200.0, 400.0, 600.0]),
        ] {
            assert_eq!(Scale::linear(greatest, 0.0..1.0).ticks(), ticks, "{greatest}");
        }
    }

    #[test]
    fn logarithmic_axes_name_decades_or_where_they_are_few_more() {
        let near = |found: Vec<f64>, expected: &[f64]| {
            assert!(
                found.len() == expected.len()
                    && found.iter().zip(expected).all(|(a, b)| (a / b - 1.0).abs() < 1e-9),
                "{found:?}"
            );
        };
        near(Scale::logarithmic(1.3, 740.0, 0.0..1.0).ticks(), &[1.0, 10.0, 100.0, 1000.0]);
        near(Scale::logarithmic(120.0, 480.0, 0.0..1.0).ticks(), &[100.0, 200.0, 500.0]);
        near(Scale::logarithmic(5.0, 5.0, 0.0..1.0).ticks(), &[5.0, 10.0, 20.0, 50.0]);
    }

    #[test]
    fn time_is_counted_in_steps_of_people() {
        for (end, most, ticks) in
            [(10.0, 10.0, 11), (60.0, 6.0, 7), (95.0, 8.0, 7), (3600.0, 6.0, 7), (1.0, 6.0, 2)]
        {
            assert_eq!(Scale::exact(end, 0.0..1.0).time_ticks(most).len(), ticks, "{end}");
        }
    }

    proptest! {
        #[test]
        fn every_value_and_tick_stands_on_the_axis(least in 0.01f64..1e4, times in 1.0f64..1e5) {
            let greatest = least * times;
            for scale in [
                Scale::linear(greatest, 40.0..10.0),
                Scale::logarithmic(least, greatest, 40.0..10.0),
            ] {
                prop_assert!(scale.at(least) >= scale.at(greatest), "upwards is less");
                prop_assert!((10.0..=40.0).contains(&scale.at(greatest)));
                let ticks = scale.ticks();
                prop_assert!((2..=12).contains(&ticks.len()), "{:?}", ticks);
                prop_assert!(ticks.is_sorted_by(|one, next| scale.at(*one) > scale.at(*next)));
            }
        }
    }
}
