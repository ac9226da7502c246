//! Rates that change over a run: stages, bursts and a wave, as exact integrals.
//!
//! Whatever the parts, the rate goes in straight lines from one instant to the next, so how many
//! events are due up to a millisecond is a fraction of whole numbers. Each part is rounded down
//! there, to a millionth of an event. Nothing is left to floating point, so every machine comes to
//! the same.

use super::schedule::MAX_PER_SECOND;
use crate::Misuse;
use jiff::SignedDuration;
use std::str::FromStr;

/// Millionths of an event.
pub(super) type MicroEvents = u128;

/// How many points `--stages` may have.
const MAX_POINTS: usize = 1000;
/// How many kinds of bursts a run may have: what is due within a millisecond stays within 64 bits.
const MAX_BURSTS: usize = 16;
/// The last instant that stages may name, and the longest period: the integrals stay within 128
/// bits.
const MAX_MILLIS: u64 = 30 * 24 * 3600 * 1000;
/// Quarter of a sine wave in 16 straight lines, in millionths: `sin(k × 90° / 16)`. The wave is
/// never off by more than 0.13 % of its swing.
const QUARTER: [u64; 17] = [
    0, 98_017, 195_090, 290_285, 382_683, 471_397, 555_570, 634_393, 707_107, 773_010, 831_470, 881_921,
    923_880, 956_940, 980_785, 995_185, 1_000_000,
];
/// What [`QUARTER`] calls one.
const ONE: u64 = 1_000_000;
/// Straight lines in one wave.
const LINES: u64 = 64;

/// A rate that is reached at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    at_millis: u64,
    per_second: u64,
}

/// Rates at instants after the start, straight between them; the last one holds.
///
/// Written as `0:1k,30s:20k`: `TIME:RATE` with commas between. Two points at one time are a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stages(Vec<Point>);

impl Stages {
    /// One rate for ever.
    #[must_use]
    pub fn even(per_second: u64) -> Self {
        Self(vec![Point { at_millis: 0, per_second }])
    }
}

impl FromStr for Stages {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut points: Vec<Point> = Vec::new();
        for part in text.split(',') {
            let (at, rate) = part.split_once(':').ok_or_else(|| format!("`{part}` is not TIME:RATE"))?;
            let point = Point { at_millis: millis(at)?, per_second: per_second(rate)? };
            match points.last() {
                None if point.at_millis > 0 => {
                    return Err("the first must be at 0, e.g. 0:1k,30s:20k".into());
                }
                Some(last) if last.at_millis > point.at_millis => {
                    return Err(format!("`{part}` is earlier than the one before it"));
                }
                _ => points.push(point),
            }
        }
        if points.len() > MAX_POINTS {
            return Err(format!("has {} points; at most {MAX_POINTS} are allowed", points.len()));
        }
        Ok(Self(points))
    }
}

/// A rate that comes on top, again and again. Written as `EVERY:LENGTH:RATE`; the first begins
/// `EVERY` after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    every_millis: u64,
    length_millis: u64,
    per_second: u64,
}

impl Burst {
    fn until(self, millis: u64) -> MicroEvents {
        // Before the first and in each pause, nothing is added.
        let begun = millis / self.every_millis;
        let on_millis = match begun.checked_sub(1) {
            None => 0,
            Some(over) => over * self.length_millis + (millis % self.every_millis).min(self.length_millis),
        };
        u128::from(on_millis) * u128::from(self.per_second) * 1000
    }
}

impl FromStr for Burst {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [every, length, rate] = split(text).ok_or("must be EVERY:LENGTH:RATE, e.g. 10s:500ms:20k")?;
        let burst = Self {
            every_millis: period(every)?,
            length_millis: period(length)?,
            per_second: per_second(rate)?,
        };
        if burst.length_millis > burst.every_millis {
            return Err("a burst must be over before the next".into());
        }
        Ok(burst)
    }
}

/// A rate that swings to either side. Written as `PERIOD:AMPLITUDE`; it rises first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sine {
    period_millis: u64,
    amplitude: u64,
}

impl Sine {
    /// The wave lifted by its amplitude, so that it only ever adds events: what was added is
    /// taken off the rate beneath.
    fn until(self, millis: u64) -> MicroEvents {
        let (waves, within) = (millis / self.period_millis, millis % self.period_millis);
        // In 64ths of a period: the line, and how far on it.
        let line = within * LINES / self.period_millis;
        let along = u128::from(within * LINES % self.period_millis);
        let period = u128::from(self.period_millis);
        let heights = |line: u64| (0..line).map(|line| lifted(line) + lifted(line + 1)).sum::<u64>();
        let (from, to) = (u128::from(lifted(line)), u128::from(lifted(line + 1)));
        let [whole, begun] = [u128::from(heights(LINES)) * u128::from(waves), u128::from(heights(line))];
        // Twice the area beneath the wave. A slope down is a triangle less.
        let rectangle = (whole + begun) * period * period + 2 * from * along * period;
        let area = if to >= from {
            rectangle + (to - from) * along * along
        } else {
            rectangle - (from - to) * along * along
        };
        u128::from(self.amplitude) * area / (2 * u128::from(LINES) * period * u128::from(ONE / 1000))
    }
}

impl FromStr for Sine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [length, rate] = split(text).ok_or("must be PERIOD:AMPLITUDE, e.g. 60s:800")?;
        Ok(Self { period_millis: period(length)?, amplitude: per_second(rate)? })
    }
}

/// One more than the sine at `line` 64ths of a wave, in millionths.
fn lifted(line: u64) -> u64 {
    let quarter = LINES / 4;
    let height = |at: u64| QUARTER[usize::try_from(at).expect("within a quarter")];
    let within = line % quarter;
    match line / quarter % 4 {
        0 => ONE + height(within),
        1 => ONE + height(quarter - within),
        2 => ONE - height(within),
        _ => ONE - height(quarter - within),
    }
}

/// A line from one rate to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    from: Point,
    /// How many events are due before it.
    before: MicroEvents,
}

/// A rate over time, of all its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    lines: Vec<Line>,
    bursts: Vec<Burst>,
    sine: Option<Sine>,
}

impl Shape {
    /// The sum of its parts.
    ///
    /// # Errors
    /// When the wave would take the rate below zero, or there are too many bursts.
    pub fn new(stages: &Stages, bursts: &[Burst], sine: Option<Sine>) -> Result<Self, Misuse> {
        if bursts.len() > MAX_BURSTS {
            let many = bursts.len();
            return Err(Misuse::new(format!(
                "--burst stands {many} times; at most {MAX_BURSTS} are allowed"
            )));
        }
        let lowered = sine.map_or(0, |sine| sine.amplitude);
        let mut before = 0;
        let mut lines: Vec<Line> = Vec::with_capacity(stages.0.len());
        for point in &stages.0 {
            let rate = point.per_second.checked_sub(lowered).ok_or_else(|| {
                Misuse::new(format!(
                    "--sine swings by {lowered} events/s to either side, so the rate beneath must \
                     nowhere be less; it is {}",
                    point.per_second
                ))
            })?;
            let from = Point { per_second: rate, ..*point };
            if let Some(Line { from: last, .. }) = lines.last() {
                let millis = u128::from(from.at_millis - last.at_millis);
                before += 500 * u128::from(last.per_second + rate) * millis;
            }
            lines.push(Line { from, before });
        }
        Ok(Self { lines, bursts: bursts.to_vec(), sine })
    }

    /// How many events are due before so many milliseconds have passed.
    pub(super) fn until(&self, millis: u64) -> MicroEvents {
        let bursts: MicroEvents = self.bursts.iter().map(|burst| burst.until(millis)).sum();
        self.stages_until(millis) + bursts + self.sine.map_or(0, |sine| sine.until(millis))
    }

    /// How many events there are in all, where the rate ends at zero for good.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        let last = self.lines.last().expect("there is a first point").from;
        let goes_on = last.per_second > 0
            || self.sine.is_some_and(|sine| sine.amplitude > 0)
            || self.bursts.iter().any(|burst| burst.per_second > 0);
        (!goes_on).then(|| whole(self.until(last.at_millis), u128::from(ONE)))
    }

    /// A rate that is nowhere exceeded.
    #[must_use]
    pub fn peak_per_second(&self) -> u64 {
        let highest = self.lines.iter().map(|line| line.from.per_second).max().unwrap_or(0);
        let bursts: u64 = self.bursts.iter().map(|burst| burst.per_second).sum();
        highest + bursts + self.sine.map_or(0, |sine| 2 * sine.amplitude)
    }

    fn stages_until(&self, millis: u64) -> MicroEvents {
        // Of two points at one time, the later one leads on.
        let next = self.lines.partition_point(|line| line.from.at_millis <= millis);
        let Line { from, before } = self.lines[next - 1];
        let passed = u128::from(millis - from.at_millis);
        let even = 1000 * u128::from(from.per_second) * passed;
        let Some(Line { from: to, .. }) = self.lines.get(next) else { return before + even };
        let length = u128::from(to.at_millis - from.at_millis);
        if to.per_second >= from.per_second {
            before + even + 500 * u128::from(to.per_second - from.per_second) * passed * passed / length
        } else {
            // Rounded up what is taken off, so that the whole is rounded down.
            let off = 500 * u128::from(from.per_second - to.per_second) * passed * passed;
            before + even - off.div_ceil(length)
        }
    }
}

/// `parts / one`, rounded up.
pub(super) fn whole(parts: u128, one: u128) -> u64 {
    u64::try_from(parts.div_ceil(one)).unwrap_or(u64::MAX)
}

/// Events per second as people write them: 500, 20k, 1.5M.
///
/// # Errors
/// What is wrong with the text.
pub fn per_second(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` must be a rate from 0 to {MAX_PER_SECOND} events/s, e.g. 500, 20k or 1.5M");
    let (digits, zeros) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 3),
        Some(b'M') => (&text[..text.len() - 1], 6),
        _ => (text, 0),
    };
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = !before.is_empty() && before.bytes().chain(after.bytes()).all(|byte| byte.is_ascii_digit());
    if !plain || after.len() > zeros || digits.ends_with('.') {
        return Err(wrong());
    }
    let rate: u64 = format!("{before}{after:0<zeros$}").parse().map_err(|_| wrong())?;
    if rate > MAX_PER_SECOND { Err(wrong()) } else { Ok(rate) }
}

pub(super) fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(':').collect::<Vec<_>>().try_into().ok()
}

/// A time after the start.
fn millis(text: &str) -> Result<u64, String> {
    if text == "0" {
        return Ok(0);
    }
    let duration: SignedDuration = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
    let whole = duration.subsec_nanos() % 1_000_000 == 0;
    match u64::try_from(duration.as_millis()) {
        Ok(millis) if whole && millis <= MAX_MILLIS => Ok(millis),
        _ => Err(format!("`{text}` must be whole milliseconds, from 0 to 30 days")),
    }
}

fn period(text: &str) -> Result<u64, String> {
    match millis(text)? {
        0 => Err(format!("`{text}` must be longer than nothing")),
        millis => Ok(millis),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(stages: &str, bursts: &[&str], sine: Option<&str>) -> Shape {
        let bursts: Vec<Burst> = bursts.iter().map(|burst| burst.parse().unwrap()).collect();
        let sine = sine.map(|sine| sine.parse().unwrap());
        Shape::new(&stages.parse().unwrap(), &bursts, sine).unwrap()
    }

    #[test]
    fn stages_are_straight_lines_steps_and_hold_the_last() {
        let ramp = shape("0:0,10s:100,10s:50,20s:0", &[], None);
        assert_eq!(ramp.until(5_000), 125 * 1_000_000);
        assert_eq!(ramp.until(10_000), 500 * 1_000_000);
        assert_eq!(ramp.until(15_000), (500 + 188) * 1_000_000 - 500_000);
        assert_eq!(ramp.until(20_000), 750 * 1_000_000);
        assert_eq!((ramp.until(99_000), ramp.total()), (750 * 1_000_000, Some(750)));
        let held = shape("0:1k", &[], None);
        assert_eq!((held.until(86_400_000), held.total()), (86_400_000 * 1_000_000, None));
    }

    #[test]
    fn bursts_begin_after_their_first_pause_and_add_up() {
        let bursts = shape("0:10", &["10s:1s:1k", "5s:500ms:20"], None);
        assert_eq!(bursts.until(4_999), 49_990_000);
        assert_eq!(bursts.until(5_500), (55 + 10) * 1_000_000);
        assert_eq!(bursts.until(10_000), (100 + 10) * 1_000_000);
        assert_eq!(bursts.until(10_250), (102 + 15 + 250) * 1_000_000 + 500_000);
        assert_eq!(bursts.until(20_000), (200 + 30 + 1000) * 1_000_000);
    }

    #[test]
    fn wave_rises_first_and_comes_back_to_the_rate_beneath() {
        let wave = shape("0:1k", &[], Some("60s:800"));
        let rate = |at: u64| u64::try_from(wave.until(at + 1) - wave.until(at)).unwrap() / 1000;
        assert_eq!([0, 15_000, 30_000, 45_000].map(rate), [1000, 1799, 999, 200]);
        assert_eq!(wave.peak_per_second(), 1800);
        assert_eq!(wave.until(60_000), 60_000 * 1_000_000);
        assert_eq!(wave.until(7 * 60_000), 420_000 * 1_000_000);
    }

    #[test]
    fn wave_is_that_of_the_standard_library() {
        for line in 0..=LINES {
            #[expect(clippy::cast_precision_loss, reason = "64 lines")]
            let angle = line as f64 / LINES as f64 * std::f64::consts::TAU;
            let expected = (1.0 + angle.sin()) * 1e6;
            #[expect(clippy::cast_precision_loss, reason = "two millions")]
            let found = lifted(line) as f64;
            assert!((found - expected).abs() <= 0.5, "{line}: {found} is not {expected}");
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, rate) in [("0", 0), ("500", 500), ("20k", 20_000), ("1.5M", 1_500_000), ("0.25k", 250)] {
            assert_eq!(per_second(text), Ok(rate));
        }
        for text in ["", "k", "-1", "1.5", "1.2345k", "1.k", ".5k", "1e3", "101M", "9999999999999999999999"] {
            assert!(per_second(text).unwrap_err().contains("e.g. 500, 20k or 1.5M"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_shape_is_said_with_its_reason() {
        for (text, says) in [
            ("30s:1k", "the first must be at 0"),
            ("0:1k,9s:1,8s:1", "`8s:1` is earlier"),
            ("0:1k,soon:1", "`soon`"),
            ("0", "TIME:RATE"),
            ("0:1k,1us:2", "whole milliseconds"),
            ("0:1k,31d:2", "`31d`"),
        ] {
            let error = text.parse::<Stages>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        for (text, says) in
            [("1s:2s:5", "before the next"), ("0:1s:5", "longer than"), ("1s:5", "EVERY:LENGTH:RATE")]
        {
            let error = text.parse::<Burst>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!("60s".parse::<Sine>().unwrap_err().contains("PERIOD:AMPLITUDE"));
        let too_deep =
            Shape::new(&"0:1k,9s:99".parse().unwrap(), &[], Some("1s:100".parse().unwrap())).unwrap_err();
        assert!(too_deep.to_string().contains("it is 99"), "{too_deep}");
    }

    fn any_stages() -> impl Strategy<Value = Stages> {
        prop::collection::vec((0u64..20_000, 100u64..2_000_000), 1..6).prop_map(|mut points| {
            points.sort_unstable();
            points[0].0 = 0;
            let point = |(at_millis, per_second)| Point { at_millis, per_second };
            Stages(points.into_iter().map(point).collect())
        })
    }

    prop_compose! {
        /// Shapes of every part, whose rate is nowhere below zero.
        pub(in crate::load) fn any_shape()(
            stages in any_stages(),
            bursts in prop::collection::vec((1u64..5000, 1u64..=100, 0u64..2_000_000), 0..3),
            sine in prop::option::of((1u64..70_000, 0u64..=100)),
        ) -> Shape {
            let burst = |(every_millis, percent, per_second): (u64, u64, u64)| {
                Burst { every_millis, length_millis: (every_millis * percent / 100).max(1), per_second }
            };
            let bursts: Vec<Burst> = bursts.into_iter().map(burst).collect();
            let sine = sine.map(|(period_millis, amplitude)| Sine { period_millis, amplitude });
            Shape::new(&stages, &bursts, sine).unwrap()
        }
    }

    /// The rate as its words say, in floating point.
    #[expect(clippy::cast_precision_loss, reason = "a test's own, rough figures")]
    fn rate_at(shape: &Shape, millis: f64) -> f64 {
        let next = shape.lines.partition_point(|line| line.from.at_millis as f64 <= millis);
        let from = shape.lines[next - 1].from;
        let stage = shape.lines.get(next).map_or(from.per_second as f64, |to| {
            let share = (millis - from.at_millis as f64) / (to.from.at_millis as f64 - from.at_millis as f64);
            from.per_second as f64 * (1.0 - share) + to.from.per_second as f64 * share
        });
        let burst = |burst: &Burst| {
            let on = millis >= burst.every_millis as f64
                && millis % (burst.every_millis as f64) < burst.length_millis as f64;
            if on { burst.per_second as f64 } else { 0.0 }
        };
        let sine = shape.sine.map_or(0.0, |sine| {
            let angle = millis / sine.period_millis as f64 * std::f64::consts::TAU;
            sine.amplitude as f64 * (1.0 + angle.sin())
        });
        stage + shape.bursts.iter().map(burst).sum::<f64>() + sine
    }

    proptest! {
        #[test]
        fn events_due_only_ever_grow(shape in any_shape(), at in 0u64..100_000) {
            for millis in at..at + 200 {
                prop_assert!(shape.until(millis) <= shape.until(millis + 1));
            }
        }

        /// Summed in steps of a 16th of a millisecond, the rate comes to what is due.
        #[test]
        #[expect(clippy::cast_precision_loss, reason = "rough figures")]
        fn integral_of_the_rate_is_met(shape in any_shape(), from in 0u64..30_000, length in 1u64..400) {
            let steps = length * 16;
            let summed: f64 = (0..steps)
                .map(|step| rate_at(&shape, from as f64 + (step as f64 + 0.5) / 16.0) / 16_000.0)
                .sum();
            let due = (shape.until(from + length) - shape.until(from)) as f64 / 1e6;
            // The wave is made of lines, which are off by 0.13 % of at most 100 events/s.
            let allowed = 1e-4 + summed * 1e-9 + 0.13 * length as f64 / 1000.0;
            prop_assert!((due - summed).abs() <= allowed, "{} is not {}", due, summed);
        }
    }
}
