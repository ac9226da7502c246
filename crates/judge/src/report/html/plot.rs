//! Plots as SVG. Pure.
//!
//! Each is drawn twice, for wide screens and for phones, so that text has one size on both; the style
//! sheet shows one of them.

use super::escaped;
use super::scale::Scale;
use crate::latencies::Latencies;
use crate::report::words::millis;
use service::grouped;
use std::fmt::Write as _;

/// Widths and heights of the two drawings.
const SIZES: [Size; 2] = [
    Size { class: "wide", width: 920.0, height: 280.0, time_ticks: 10.0 },
    Size { class: "narrow", width: 380.0, height: 240.0, time_ticks: 4.0 },
];
/// Room for what is named on the axes.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 30.0;
/// How high the bar of stages is, without its axis.
const BAR_HEIGHT: f64 = 34.0;
/// Between two parts of the bar.
const BAR_GAP: f64 = 2.0;
/// No part of the bar is narrower, so that each can be seen and pointed at.
const LEAST_PART: f64 = 2.0;
/// The shares that are marked on a curve and named below it.
const SHARES: [(f64, &str); 7] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (0.9999, "p99.99"),
    (0.99999, "p99.999"),
    (0.999_999, "p99.9999"),
];
/// How wide a sign of a name is, about, and how far apart two names on an axis must be.
const SIGN: f64 = 6.8;
const APART: f64 = 7.0;

#[derive(Clone, Copy)]
struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    time_ticks: f64,
}

impl Size {
    fn right(self) -> f64 {
        self.width - RIGHT
    }

    fn bottom(self) -> f64 {
        self.height - BOTTOM
    }
}

/// What a plot is about, for those who see it and those who do not.
#[derive(Clone, Copy)]
pub(super) struct Caption<'a> {
    /// Names its elements; unique on the page.
    pub(super) id: &'a str,
    /// Its title.
    pub(super) title: &'a str,
    /// What it shows, in a sentence.
    pub(super) description: &'a str,
}

/// Both drawings of a plot.
fn drawings(caption: Caption<'_>, height: impl Fn(Size) -> f64, draw: impl Fn(Size) -> String) -> String {
    let Caption { id, title, description } = caption;
    let mut out = String::from("<figure>");
    for size in SIZES {
        let (class, width, height) = (size.class, size.width, height(size));
        let _ = write!(
            out,
            r#"<svg class="{class}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-{class}-t {id}-{class}-d"><title id="{id}-{class}-t">{}</title><desc id="{id}-{class}-d">{}</desc>{}</svg>"#,
            escaped(title),
            escaped(description),
            draw(size)
        );
    }
    out.push_str("</figure>");
    out
}

/// What is named on the axis upwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    PerSecond,
}

impl Unit {
    fn words(self, value: f64) -> String {
        match self {
            Self::Millis => tick_millis(value),
            Self::PerSecond => tick_rate(value),
        }
    }
}

/// A line over time; there is a gap where nothing was measured.
pub(super) struct Line<'a> {
    /// Its classes, which give it its colour.
    pub(super) class: &'a str,
    /// One value for each part of the time.
    pub(super) values: Vec<Option<f64>>,
    /// Whether what is below it is filled.
    pub(super) area: bool,
}

/// Lines over time. Part `i` of the time lasts `seconds[i]`; `words` says what happened in it.
pub(super) fn over_time(
    caption: Caption<'_>,
    unit: Unit,
    lines: &[Line<'_>],
    seconds: &[usize],
    words: &[String],
) -> String {
    let whole: usize = seconds.iter().sum();
    let greatest = lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(0.0, f64::max);
    drawings(
        caption,
        |size| size.height,
        |size| {
            let across = Scale::exact(to_f64(whole), LEFT..size.right());
            let up = Scale::linear(greatest, size.bottom()..TOP);
            let mut out = String::new();
            rows(&mut out, size, &up, unit);
            let mut free = 0.0;
            for tick in across.time_ticks(size.time_ticks) {
                name_below(&mut out, across.at(tick), size, &clock(tick), &mut free);
            }
            let mut middles = Vec::new();
            let mut from = 0;
            for part in seconds {
                middles.push(across.at(to_f64(from) + to_f64(*part) / 2.0));
                from += part;
            }
            for line in lines {
                draw_line(&mut out, line, &middles, &up, size);
            }
            let mut from = 0;
            for (part, words) in seconds.iter().zip(words) {
                let (left, right) = (across.at(to_f64(from)), across.at(to_f64(from + part)));
                let (width, height) = (right - left, size.bottom() - TOP);
                let _ = write!(
                    out,
                    r#"<rect class="hit" x="{left:.1}" y="{TOP}" width="{width:.1}" height="{height}"><title>{}</title></rect>"#,
                    escaped(words)
                );
                from += part;
            }
            out
        },
    )
}

fn draw_line(out: &mut String, line: &Line<'_>, middles: &[f64], up: &Scale, size: Size) {
    let Line { class, values, area } = line;
    let points: Vec<Option<(f64, f64)>> =
        values.iter().zip(middles).map(|(value, x)| value.map(|value| (*x, up.at(value)))).collect();
    for stretch in points.split(Option::is_none).filter(|stretch| !stretch.is_empty()) {
        let stretch: Vec<(f64, f64)> = stretch.iter().flatten().copied().collect();
        let mut path = String::new();
        for (index, (x, y)) in stretch.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
        if stretch.len() == 1 && !area {
            let _ =
                write!(out, r#"<circle class="dot {class}" cx="{:.1}" cy="{:.1}" r="4"/>"#, first.0, first.1);
        } else if *area {
            let bottom = size.bottom();
            // To the ends of its first and last part.
            let (left, right) = (LEFT, size.right());
            let _ = write!(
                out,
                r#"<path class="area {class}" d="M{left} {bottom}L{left} {:.1}{}L{right} {:.1}L{right} {bottom}Z"/>"#,
                first.1,
                path.replacen('M', "L", 1),
                last.1
            );
        } else {
            let _ = write!(out, r#"<path class="line {class}" d="{path}"/>"#);
        }
    }
}

/// A curve of latencies by the share of all that took at most so long.
pub(super) struct Curve<'a> {
    /// What it is of.
    pub(super) name: &'a str,
    /// Its class, which gives it its colour.
    pub(super) class: &'a str,
    /// The latencies.
    pub(super) latencies: &'a Latencies,
}

/// Latency by percentile; both axes are logarithmic, the one across in 1 / (1 − share).
pub(super) fn percentiles(caption: Caption<'_>, curves: &[Curve<'_>]) -> String {
    let curves: Vec<(&Curve<'_>, Vec<(f64, f64)>)> = curves
        .iter()
        .map(|curve| (curve, curve.latencies.curve()))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let all = || curves.iter().flat_map(|(_, points)| points.iter());
    let nines = |share: f64| -(1.0 - share).log10();
    let farthest = all().map(|(share, _)| nines(*share)).fold(1.0, f64::max);
    let least = all().map(|(_, ms)| *ms).fold(f64::MAX, f64::min).clamp(0.001, 1e6);
    let greatest = all().map(|(_, ms)| *ms).fold(least, f64::max);
    drawings(
        caption,
        |size| size.height,
        |size| {
            let across = Scale::exact(farthest, LEFT..size.right());
            let up = Scale::logarithmic(least, greatest, size.bottom()..TOP);
            let mut out = String::new();
            rows(&mut out, size, &up, Unit::Millis);
            let mut free = 0.0;
            for (share, name) in SHARES.iter().filter(|(share, _)| nines(*share) <= farthest * 1.000_1) {
                let x = across.at(nines(*share));
                let _ = write!(out, r#"<path class="grid" d="M{x:.1} {TOP}V{}"/>"#, size.bottom());
                name_below(&mut out, x, size, name, &mut free);
            }
            for (curve, points) in &curves {
                let mut path = String::new();
                for (index, (share, ms)) in points.iter().enumerate() {
                    let command = if index == 0 { 'M' } else { 'L' };
                    let _ = write!(path, "{command}{:.1} {:.1}", across.at(nines(*share)), up.at(*ms));
                }
                let _ = write!(out, r#"<path class="line {}" d="{path}"/>"#, curve.class);
                draw_marks(&mut out, curve, &across, &up, farthest);
            }
            out
        },
    )
}

/// Dots on the shares that are named, with what they say.
fn draw_marks(out: &mut String, curve: &Curve<'_>, across: &Scale, up: &Scale, farthest: f64) {
    use crate::expressions::Statistic::Percentile;
    #[expect(clippy::cast_precision_loss, reason = "samples are far below 2^53")]
    let samples = curve.latencies.count() as f64;
    for (share, name) in SHARES {
        let nines = -(1.0 - share).log10();
        let told = nines <= farthest * 1.000_1 && (1.0 - share) * samples >= 0.999;
        let Some(ms) = curve.latencies.millis(Percentile(100.0 * share)).filter(|_| told) else { continue };
        let (x, y) = (across.at(nines), up.at(ms));
        let _ = write!(
            out,
            r#"<circle class="dot {}" cx="{x:.1}" cy="{y:.1}" r="5"><title>{}, {name}: {}</title></circle>"#,
            curve.class,
            escaped(curve.name),
            millis(ms)
        );
    }
}

/// A part of a bar.
pub(super) struct Segment<'a> {
    /// What it is of.
    pub(super) name: &'a str,
    /// Its class, which gives it its colour.
    pub(super) class: String,
    /// How long it is, in milliseconds.
    pub(super) ms: f64,
}

/// A bar of parts that add up.
pub(super) fn stacked(caption: Caption<'_>, segments: &[Segment<'_>]) -> String {
    let whole: f64 = segments.iter().map(|segment| segment.ms).sum();
    let bottom = TOP + BAR_HEIGHT + 8.0;
    drawings(
        caption,
        |_| bottom + BOTTOM,
        |size| {
            let left = 6.0;
            let across = Scale::linear(whole, left..size.right() - 10.0);
            let mut out = String::new();
            for tick in across.ticks() {
                let x = across.at(tick);
                let _ = write!(
                    out,
                    r#"<path class="grid" d="M{x:.1} {TOP}V{bottom}"/><text x="{x:.1}" y="{}" text-anchor="{}">{}</text>"#,
                    bottom + 18.0,
                    if tick == 0.0 { "start" } else { "middle" },
                    tick_millis(tick)
                );
            }
            let (mut from, mut free) = (0.0, left);
            for Segment { name, class, ms } in segments {
                let x = across.at(from).max(free);
                let width = (across.at(from + ms) - x - BAR_GAP).max(LEAST_PART);
                free = x + width + BAR_GAP;
                let _ = write!(
                    out,
                    r#"<rect class="segment {class}" x="{x:.1}" y="{TOP}" width="{width:.1}" height="{BAR_HEIGHT}" rx="2"><title>{}: {}</title></rect>"#,
                    escaped(name),
                    millis(*ms)
                );
                from += ms;
            }
            out
        },
    )
}

/// The lines across and what they are called.
fn rows(out: &mut String, size: Size, up: &Scale, unit: Unit) {
    for tick in up.ticks() {
        let y = up.at(tick);
        let class = if y >= size.bottom() - 0.01 { "axis" } else { "grid" };
        let _ = write!(
            out,
            r#"<path class="{class}" d="M{LEFT} {y:.1}H{}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            size.right(),
            LEFT - 8.0,
            y + 4.0,
            unit.words(tick)
        );
    }
}

/// What stands below the plot, within its ends, where it is `free` from; nothing where it is not.
fn name_below(out: &mut String, x: f64, size: Size, name: &str, free: &mut f64) {
    let half = to_f64(name.chars().count()) * SIGN / 2.0;
    let x = x.min(size.width - half);
    if x - half < *free {
        return;
    }
    *free = x + half + APART;
    let y = size.bottom() + 20.0;
    let _ = write!(out, r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{name}</text>"#);
}

/// Milliseconds in few signs: `250 ms`, `1.5 s`.
fn tick_millis(ms: f64) -> String {
    let (value, unit) = match ms {
        0.0 => return "0".to_owned(),
        _ if ms < 0.999_999 => (ms * 1000.0, "µs"),
        _ if ms < 999.999 => (ms, "ms"),
        _ => (ms / 1000.0, "s"),
    };
    format!("{} {unit}", short(value))
}

/// Events per second in few signs: `500`, `20 k`, `1.5 M`.
fn tick_rate(rate: f64) -> String {
    match rate {
        _ if rate < 9_999.0 => short(rate),
        _ if rate < 999_999.0 => format!("{} k", short(rate / 1e3)),
        _ => format!("{} M", short(rate / 1e6)),
    }
}

/// A number without zeros at its end; with commas where it is a whole one.
fn short(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks are from 0 and small")]
    let whole = value.round() as u64;
    if (value - value.round()).abs() < 1e-6 {
        return grouped(whole);
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').to_owned()
}

/// Seconds after the start: `45 s`, `2:30`, `1:00:00`.
pub(super) fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day at most")]
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
fn to_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'_> = Caption { id: "x", title: "A & B", description: "<none>" };

    #[test]
    fn axes_are_named_in_few_signs() {
        let times: Vec<String> = [0.0, 0.05, 2.0, 500.0, 1000.0, 1500.0].map(tick_millis).into();
        assert_eq!(times, ["0", "50 µs", "2 ms", "500 ms", "1 s", "1.5 s"]);
        let rates: Vec<String> = [0.0, 0.5, 500.0, 5000.0, 20_000.0, 2_500_000.0].map(tick_rate).into();
        assert_eq!(rates, ["0", "0.5", "500", "5,000", "20 k", "2.5 M"]);
        assert_eq!([5.0, 90.0, 3600.0].map(clock), ["5 s", "1:30", "1:00:00"]);
    }

    #[test]
    fn lines_break_where_nothing_was_measured_and_each_part_says_what_happened() {
        let values = vec![Some(1.0), Some(2.0), None, Some(3.0), None, Some(1.0), Some(1.0)];
        let lines = [Line { class: "ack", values, area: false }];
        let words: Vec<String> = (0..7).map(|part| format!("part {part} < 8")).collect();
        let plot = over_time(CAPTION, Unit::Millis, &lines, &[1; 7], &words);
        assert_eq!((plot.matches("class=\"line ack\"").count(), plot.matches("<circle").count()), (4, 2));
        assert_eq!(plot.matches("part 3 &lt; 8</title>").count(), 2);
        assert!(plot.contains("A &amp; B</title>") && plot.contains("&lt;none&gt;</desc>"), "{plot}");
        assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
    }

    #[test]
    fn plots_of_nothing_are_still_plots() {
        let plot = over_time(CAPTION, Unit::PerSecond, &[], &[], &[]);
        assert!(plot.contains("</svg>") && !plot.contains("NaN"), "{plot}");
        let none = Latencies::new();
        let curves = [Curve { name: "n", class: "ack", latencies: &none }];
        let plot = percentiles(CAPTION, &curves);
        assert!(plot.contains("</svg>") && !plot.contains("NaN") && !plot.contains("inf"), "{plot}");
        assert!(!stacked(CAPTION, &[]).contains("NaN"));
    }

    #[test]
    fn a_curve_is_marked_only_as_far_as_there_are_samples() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|step| latencies.record_nanos(step * 1_000_000));
        let plot = percentiles(CAPTION, &[Curve { name: "c", class: "ack", latencies: &latencies }]);
        let marks: Vec<&str> =
            plot.split("<title>c, ").skip(1).map(|mark| &mark[..mark.find(':').unwrap()]).collect();
        assert_eq!(marks, ["p50", "p90", "p99", "p99.9", "p50", "p90", "p99", "p99.9"]);
    }

    #[test]
    fn parts_of_a_bar_stand_one_after_the_other() {
        let segment = |name, ms| Segment { name, class: "stage1".to_owned(), ms };
        let plot = stacked(CAPTION, &[segment("a", 1.0), segment("b", 100.0), segment("c", 0.0)]);
        let numbers = |attribute: &str| -> Vec<f64> {
            let wide = plot.split("</svg>").next().unwrap();
            let parts = wide.split("<rect ").skip(1);
            parts
                .map(|part| {
                    let from = part.find(&format!(" {attribute}=\"")).unwrap() + attribute.len() + 3;
                    part[from..].split('"').next().unwrap().parse().unwrap()
                })
                .collect()
        };
        let (x, width) = (numbers("x"), numbers("width"));
        assert!(x[0] < x[1] && x[1] < x[2] && x[0] + width[0] <= x[1] + 0.1, "{x:?} {width:?}");
        assert!(width.iter().all(|width| *width >= LEAST_PART));
    }
}
