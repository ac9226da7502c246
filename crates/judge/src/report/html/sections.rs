//! The sections of the page, each a plot with its legend and the table of its values.

use super::plot::{self, Caption, Curve, Line, Segment, Unit};
use super::{difference_row, escaped, table};
use crate::expressions::Checked;
use crate::latencies::{Figures, Latencies};
use crate::report::course::{Course, Part};
use crate::report::{Compared, Report, count, millis};
use crate::truth::LogFigures;
use crate::watching::{Stage, StageFigures};
use service::grouped;
use std::fmt::Write as _;

/// In how many parts time is drawn at most.
const PARTS: usize = 120;

fn begin(out: &mut String, title: &str, text: &str) {
    let _ = write!(out, "<section><h2>{}</h2><p>{}</p>", escaped(title), escaped(text));
}

fn end(out: &mut String) {
    out.push_str("</section>\n");
}

fn legend(out: &mut String, entries: &[(&str, &str)]) {
    out.push_str("<ul class=\"legend\">");
    for (class, name) in entries {
        let _ = write!(out, r#"<li><span class="swatch {class}"></span>{}</li>"#, escaped(name));
    }
    out.push_str("</ul>");
}

/// Values that are too many to be shown at once.
fn folded(out: &mut String, caption: &str, head: &[&str], rows: &[Vec<String>]) {
    out.push_str("<details><summary>Values</summary>");
    table(out, caption, head, &[], rows);
    out.push_str("</details>");
}

pub(super) fn conditions(out: &mut String, checked: &[Checked]) {
    if checked.is_empty() {
        return;
    }
    begin(
        out,
        "Conditions",
        "What the run was held to: it fails if one of these holds, or if nothing was measured.",
    );
    out.push_str(
        r#"<div class="scroll"><table aria-label="Conditions"><thead><tr><th scope="col">fail if</th><th scope="col">found</th><th scope="col">outcome</th></tr></thead><tbody>"#,
    );
    for Checked { fail_if, found, failed } in checked {
        let (class, outcome) = if *failed { ("failed", "✕ failed") } else { ("passed", "✓ passed") };
        let _ = write!(
            out,
            r#"<tr><td>{}</td><td>{}</td><td class="{class}">{outcome}</td></tr>"#,
            escaped(fail_if),
            escaped(found.as_deref().unwrap_or("nothing")),
        );
    }
    out.push_str("</tbody></table></div>");
    end(out);
}

pub(super) fn differences(out: &mut String, report: &Report) {
    let found = &report.differences;
    if found.is_empty() {
        return;
    }
    let named = found.first().len() as u64;
    let text = if named < found.total() {
        format!("{} in all; the first {named} of them.", grouped(found.total()))
    } else {
        "All that were found.".to_owned()
    };
    begin(out, "Differences", &text);
    let rows: Vec<Vec<String>> = found.first().into_iter().map(difference_row).collect();
    table(out, "Differences", &["where", "of", "expected", "found"], &[0, 1, 2, 3], &rows);
    end(out);
}

pub(super) fn percentiles(out: &mut String, course: &Course) {
    let all = [
        ("to Kafka", "ack", &course.ack),
        ("to the screen", "frame", &course.frame),
        ("idle edge", "idle", &course.edge),
    ];
    let measured: Vec<(&str, &str, &Latencies)> = all.into_iter().filter(|(.., l)| l.count() > 0).collect();
    if measured.is_empty() {
        return;
    }
    begin(
        out,
        "Latency by percentile",
        "From the instant at which an event was due, so that a late sender counts against itself: to Kafka's acknowledgement, to the first frame in a viewer's hand that counts it, and the same of lone events after quiet.",
    );
    legend(out, &measured.iter().map(|(name, class, _)| (*class, *name)).collect::<Vec<_>>());
    let curves: Vec<Curve<'_>> =
        measured.iter().map(|(name, class, latencies)| Curve { name, class, latencies }).collect();
    let caption = Caption {
        id: "percentiles",
        title: "Latency by percentile",
        description: "Curves of latency over the share of events that took at most so long, both logarithmic; the table below has the values.",
    };
    out.push_str(&plot::percentiles(caption, &curves));
    let figures = |(name, _, latencies): &(&str, &str, &Latencies)| {
        let Figures { samples, mean_ms, p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms } = latencies.figures()?;
        let mut row = vec![(*name).to_owned()];
        row.extend([p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms, mean_ms].map(millis));
        row.push(grouped(samples));
        Some(row)
    };
    let rows: Vec<Vec<String>> = measured.iter().filter_map(figures).collect();
    let head = ["from when due", "p50", "p90", "p99", "p99.9", "max", "mean", "samples"];
    table(out, "Latency by percentile", &head, &[], &rows);
    end(out);
}

pub(super) fn throughput(out: &mut String, course: &Course) {
    let (each, parts) = course.parts(PARTS);
    if parts.is_empty() {
        return;
    }
    begin(out, "Throughput", &format!("Events per second{}.", averaged(each)));
    legend(out, &[("due block", "due"), ("sent under", "sent"), ("ack", "acknowledged")]);
    let line = |which: usize, class: &'static str| Line {
        class,
        values: parts.iter().map(|part| Some(part.rates[which])).collect(),
        area: which == 0,
    };
    // What was sent shows below what was acknowledged, where these are the same.
    let lines = [line(0, "due"), line(1, "sent under"), line(2, "ack")];
    let caption = Caption {
        id: "throughput",
        title: "Events per second",
        description: "Events due, sent and acknowledged over time; the table below has the values.",
    };
    let words: Vec<String> = parts
        .iter()
        .map(|part| {
            let [due, sent, acknowledged] = part.rates.map(whole);
            format!("{}: {due} due, {sent} sent, {acknowledged} acknowledged a second", when(part))
        })
        .collect();
    out.push_str(&plot::over_time(caption, Unit::PerSecond, &lines, &lengths(&parts), &words));
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|part| {
            let mut row = vec![when(part)];
            row.extend(part.rates.map(whole));
            row.extend([part.ack.map(|ack| ack.p50_ms), part.ack.map(|ack| ack.p99_ms)].map(or_dash));
            row
        })
        .collect();
    let head = ["time", "due/s", "sent/s", "acknowledged/s", "to Kafka p50", "p99"];
    folded(out, "Events per second", &head, &rows);
    end(out);
}

pub(super) fn over_time(out: &mut String, course: &Course, report: &Report) {
    let (each, parts) = course.parts(PARTS);
    if parts.iter().all(|part| part.in_hand.is_none() && part.lag_ms.is_none()) {
        return;
    }
    let text = format!(
        "How late viewers saw what changed on their screens, and the lag: how long ago the oldest event was due that is of a player on a screen and not shown there yet, at its worst{}.",
        if each == 1 { String::new() } else { format!("; each point is of {each} seconds") }
    );
    begin(out, "On the screen", &text);
    legend(out, &[("frame", "median"), ("frame dash", "99th percentile"), ("lag", "lag")]);
    let values = |of: fn(&Part) -> Option<f64>| parts.iter().map(of).collect::<Vec<_>>();
    let lines = [
        Line { class: "frame", values: values(|part| part.in_hand.map(|f| f.p50_ms)), area: false },
        Line { class: "frame dash", values: values(|part| part.in_hand.map(|f| f.p99_ms)), area: false },
        Line { class: "lag", values: values(|part| part.lag_ms), area: false },
    ];
    let caption = Caption {
        id: "screen",
        title: "Latency on the screen and lag",
        description: "Median and 99th percentile of the latency to the screen, and the lag, over time; the table below has the values.",
    };
    let words: Vec<String> = parts
        .iter()
        .map(|part| {
            let [p50, p99] = [part.in_hand.map(|f| f.p50_ms), part.in_hand.map(|f| f.p99_ms)].map(or_dash);
            let frames = count(part.frames, "frame");
            format!("{}: median {p50}, p99 {p99}, lag {}, {frames}", when(part), or_dash(part.lag_ms))
        })
        .collect();
    out.push_str(&plot::over_time(caption, Unit::Millis, &lines, &lengths(&parts), &words));
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|part| {
            let samples = part.in_hand.map_or(0, |figures| figures.samples);
            let [p50, p99] = [part.in_hand.map(|f| f.p50_ms), part.in_hand.map(|f| f.p99_ms)].map(or_dash);
            vec![when(part), grouped(part.frames), grouped(samples), p50, p99, or_dash(part.lag_ms)]
        })
        .collect();
    let timed = count(report.timed_events, "event");
    let _ = write!(
        out,
        "<p class=\"below\">{timed} could be timed: those of players who were on a screen already when they came.</p>"
    );
    folded(out, "Latency on the screen", &["time", "frames", "samples", "p50", "p99", "lag"], &rows);
    end(out);
}

/// A row of the table of stages.
struct StageRow<'a> {
    class: String,
    name: &'a str,
    mean_ms: f64,
    took: Option<Figures>,
}

pub(super) fn stages(out: &mut String, report: &Report) {
    let mut stages: Vec<StageRow<'static>> = Vec::new();
    for (StageFigures { stage, took }, number) in report.stages.iter().zip(1..) {
        if let Some(figures) = took {
            let class = format!("stage{number}");
            stages.push(StageRow { class, name: stage.words(), mean_ms: figures.mean_ms, took: *took });
        }
    }
    if stages.is_empty() {
        return;
    }
    let way: f64 = stages.iter().map(|stage| stage.mean_ms).sum();
    let mut text = "Means between the stages, as each frame says of the newest event it contains.".to_owned();
    // Only where the way begins when events were due, as their latency does.
    if let Some(frame) = report.frame.filter(|frame| stages.len() == Stage::ALL.len() && frame.mean_ms > way)
    {
        text += " All other events have waited for the frame, so there is one more part: what the mean latency to the screen is above that.";
        let (class, mean_ms) = ("due".to_owned(), frame.mean_ms - way);
        stages.insert(3, StageRow { class, name: "waiting for the next frame", mean_ms, took: None });
    }
    begin(out, "Where the time goes", &text);
    let segment = |stage: &StageRow<'static>| Segment {
        name: stage.name,
        class: stage.class.clone(),
        ms: stage.mean_ms,
    };
    let segments: Vec<Segment<'_>> = stages.iter().map(segment).collect();
    let caption = Caption {
        id: "stages",
        title: "Stages of an event",
        description: "A bar of the mean times between the stages; the table below has the values.",
    };
    out.push_str(&plot::stacked(caption, &segments));
    let whole: f64 = stages.iter().map(|stage| stage.mean_ms).sum();
    out.push_str(
        r#"<div class="scroll"><table aria-label="Stages of an event"><thead><tr><th scope="col">stage</th><th scope="col">mean</th><th scope="col">share</th><th scope="col">p50</th><th scope="col">p99</th><th scope="col">max</th><th scope="col">frames</th></tr></thead><tbody>"#,
    );
    for StageRow { class, name, mean_ms, took } in &stages {
        let share = if whole > 0.0 { 100.0 * mean_ms / whole } else { 0.0 };
        let [p50, p99, max] =
            [took.map(|t| t.p50_ms), took.map(|t| t.p99_ms), took.map(|t| t.max_ms)].map(or_dash);
        let frames = took.map_or_else(|| "–".to_owned(), |took| grouped(took.samples));
        let _ = write!(
            out,
            r#"<tr><td><span class="swatch block {class}"></span>{}</td><td>{}</td><td>{share:.0} %</td><td>{p50}</td><td>{p99}</td><td>{max}</td><td>{frames}</td></tr>"#,
            escaped(name),
            millis(*mean_ms),
        );
    }
    out.push_str("</tbody></table></div>");
    end(out);
}

pub(super) fn compared(out: &mut String, report: &Report) {
    let LogFigures { records, refused, found, unacknowledged, foreign } = report.log;
    let Compared { window, players, drawn, surroundings, archive_rows, settled_seconds } = &report.compared;
    begin(
        out,
        "What was compared",
        "The log, read from its first record on, is what all else is held against.",
    );
    let facts = [
        (
            "Log",
            format!(
                "{}; {} of the run where Kafka acknowledged them, with the very bytes, {} not acknowledged, {} of others, {} refused",
                count(records, "record"),
                grouped(found),
                grouped(unacknowledged),
                grouped(foreign),
                grouped(refused)
            ),
        ),
        (
            "Board",
            format!(
                "{} in window {window}: {}; ranks and totals of {} drawn at random and the rows around {surroundings}, each in three ways of ranking; the first 100 rows",
                report.board,
                count(*players, "player"),
                count(*drawn, "player"),
            ),
        ),
        ("Archive", format!("{}; count and sum of the drawn players' scores", count(*archive_rows, "row"))),
        (
            "Viewers",
            format!(
                "{}: the last frame of each; {}, {} different, {} connected again",
                count(report.viewers.viewers, "viewer"),
                count(report.viewers.frames, "frame"),
                grouped(report.viewers.different_frames),
                grouped(report.viewers.reconnects)
            ),
        ),
        ("Settled", format!("{settled_seconds:.1} s after the log was read")),
    ];
    facts_list(out, &facts);
    end(out);
}

pub(super) fn facts(out: &mut String, facts: &[(&str, String)]) {
    if facts.is_empty() {
        return;
    }
    begin(out, "The run", "What was asked for, so that it can be asked for again.");
    facts_list(out, facts);
    end(out);
}

fn facts_list(out: &mut String, facts: &[(&str, String)]) {
    out.push_str("<dl class=\"facts\">");
    for (name, text) in facts {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(text));
    }
    out.push_str("</dl>");
}

fn lengths(parts: &[Part]) -> Vec<usize> {
    parts.iter().map(|part| part.seconds).collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
fn when(part: &Part) -> String {
    plot::clock(part.from as f64)
}

fn averaged(each: usize) -> String {
    if each == 1 { String::new() } else { format!(", means of {each} seconds") }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate from 0")]
fn whole(rate: f64) -> String {
    grouped(rate.round() as u64)
}

fn or_dash(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), millis)
}
