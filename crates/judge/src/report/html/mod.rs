//! A page to show to others: one file, without scripts, that asks the network for nothing. Pure.

mod plot;
mod scale;
mod sections;

use super::course::Course;
use super::{Report, Verdict, count, millis};
use crate::expressions::Checked;
use crate::findings::Difference;
use crate::latencies::Figures;
use jiff::Timestamp;
use service::grouped;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// What a page shows.
pub struct Page<'a> {
    /// Events that were handed over.
    pub sent: u64,
    /// Events that Kafka acknowledged.
    pub acknowledged: u64,
    /// Acknowledged events per second.
    pub rate: f64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// How late the latest event was handed over, in milliseconds.
    pub behind_ms: f64,
    /// Why the run could not go on or be judged, if it could not.
    pub fault: Option<&'a str>,
    /// What the judge found, if there was one.
    pub report: Option<&'a Report>,
    /// Conditions that were asked for.
    pub checked: &'a [Checked],
    /// The course of the run.
    pub course: &'a Course,
    /// What was run: names and values.
    pub facts: &'a [(&'a str, String)],
}

/// How the run ended.
struct Headline {
    class: &'static str,
    /// The path of its sign.
    sign: &'static str,
    title: String,
    text: String,
}

const CHECK: &str = "M14 23l6 6 11-13";
const CROSS: &str = "M15 15l14 14M29 15l-14 14";
const DASH: &str = "M14 22h16";

impl Page<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let headline = self.headline();
        let began = Timestamp::try_from(self.course.began_at).unwrap_or_default();
        let began = began.strftime("%Y-%m-%d %H:%M:%S UTC");
        let title = escaped(&headline.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Load run: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        );
        let Headline { class, sign, text, .. } = &headline;
        let _ = write!(
            out,
            r#"<header class="verdict {class}"><svg viewBox="0 0 44 44" aria-hidden="true"><circle class="mark" cx="22" cy="22" r="22"/><path d="{sign}"/></svg><div><p class="over">Load run of {began}</p><h1>{title}</h1><p>{}</p></div></header>"#,
            escaped(text)
        );
        out.push('\n');
        self.tiles(&mut out);
        sections::conditions(&mut out, self.checked);
        if let Some(report) = self.report {
            sections::differences(&mut out, report);
        }
        sections::percentiles(&mut out, self.course);
        sections::throughput(&mut out, self.course);
        if let Some(report) = self.report {
            sections::over_time(&mut out, self.course, report);
            sections::stages(&mut out, report);
            sections::compared(&mut out, report);
        }
        sections::facts(&mut out, self.facts);
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }

    fn headline(&self) -> Headline {
        let broken = self.checked.iter().filter(|checked| checked.failed).count() as u64;
        let differences = self.report.map_or(0, |report| report.differences.total());
        let lost = self.sent - self.acknowledged.min(self.sent);
        let bad = |title: String, text: String| Headline { class: "bad", sign: CROSS, title, text };
        let sent = count(self.sent, "event");
        if let Some(fault) = self.fault {
            return bad("The run could not be finished".to_owned(), format!("{sent} sent. {fault}"));
        }
        if differences > 0 {
            let text = format!(
                "{sent} sent. What log, board, archive or viewers show is not what these events come to; the first are named below."
            );
            return bad(count(differences, "difference"), text);
        }
        if lost > 0 {
            let text = format!("Of {sent}, Kafka acknowledged {}.", grouped(self.acknowledged));
            return bad(format!("{} not acknowledged", count(lost, "event")), text);
        }
        let all_right = self.all_right();
        if broken > 0 {
            let was = if self.report.is_some() { "Right, but " } else { "" };
            return bad(format!("{was}{} failed", count(broken, "condition")), all_right);
        }
        match self.report {
            Some(Report { verdict: Verdict::Right, .. }) => {
                let title = "Everything compared is right".to_owned();
                Headline { class: "good", sign: CHECK, title, text: all_right }
            }
            _ => {
                let title = format!("{sent} acknowledged");
                Headline { class: "calm", sign: DASH, title, text: all_right }
            }
        }
    }

    fn all_right(&self) -> String {
        let took = format!("{} in {:.1} s", count(self.acknowledged, "event"), self.seconds);
        match self.report {
            None => format!("{took}. Nobody has judged what the board made of them."),
            Some(report) => format!(
                "{took}: each stands in the log once, with the very bytes that were sent; the board {}, {} drawn from those who scored, the archive and {} show what they come to.",
                report.board,
                count(report.compared.drawn, "player"),
                count(report.viewers.viewers, "viewer"),
            ),
        }
    }

    fn tiles(&self, out: &mut String) {
        let mut tiles: Vec<(&str, String, String)> = Vec::new();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate from 0")]
        let rate = self.rate.round() as u64;
        let handed = match self.behind_ms {
            0.0 => "as fast as they were taken".to_owned(),
            behind => format!("{} behind at worst", millis(behind)),
        };
        tiles.push(("Acknowledged", grouped(self.acknowledged), format!("of {} sent", grouped(self.sent))));
        tiles.push(("Events per second", grouped(rate), handed));
        let latency = |figures: Figures| {
            let tail = format!("p99 {}, max {}", millis(figures.p99_ms), millis(figures.max_ms));
            (millis(figures.p50_ms), tail)
        };
        let course = self.course;
        for (name, latencies) in [
            ("To Kafka, median", &course.ack),
            ("To the screen, median", &course.frame),
            ("Idle edge, median", &course.edge),
        ] {
            if let Some(figures) = latencies.figures() {
                let (value, note) = latency(figures);
                tiles.push((name, value, note));
            }
        }
        if let Some(report) = self.report {
            if let Some(lag) = report.lag_ms {
                tiles.push(("Lag at worst", millis(lag), "age of the oldest event not shown".to_owned()));
            }
            let of = format!("{} on the board", count(report.compared.players, "player"));
            tiles.push(("Differences", grouped(report.differences.total()), of));
        }
        out.push_str("<dl class=\"tiles\">");
        for (name, value, note) in tiles {
            let _ = write!(
                out,
                r#"<div class="tile"><dt>{name}</dt><dd class="value">{value}</dd><dd class="note">{note}</dd></div>"#
            );
        }
        out.push_str("</dl>\n");
    }
}

/// Text that cannot be taken for markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// A table's head and rows, all of them text to be escaped; `text` says which columns are words.
fn table(out: &mut String, caption: &str, head: &[&str], text: &[usize], rows: &[Vec<String>]) {
    let class = |column: usize| if text.contains(&column) { " class=\"text\"" } else { "" };
    let _ = write!(out, r#"<div class="scroll"><table aria-label="{}"><thead><tr>"#, escaped(caption));
    for (column, name) in head.iter().enumerate() {
        let _ = write!(out, r#"<th scope="col"{}>{}</th>"#, class(column), escaped(name));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(column), escaped(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn difference_row(difference: &Difference) -> Vec<String> {
    let Difference { part, of, expected, found } = difference;
    vec![part.words().to_owned(), of.clone(), expected.clone(), found.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Part;
    use crate::report::course::tests::course;
    use crate::report::tests::report;

    fn page<'a>(course: &'a Course, report: Option<&'a Report>, checked: &'a [Checked]) -> Page<'a> {
        Page {
            sent: 1_000_000,
            acknowledged: 1_000_000,
            rate: 19_987.0,
            seconds: 50.03,
            behind_ms: 1.4,
            fault: None,
            report,
            checked,
            course,
            facts: &[],
        }
    }

    fn checked(fail_if: &str, failed: bool) -> Checked {
        Checked { fail_if: fail_if.to_owned(), found: Some("5.0ms".to_owned()), failed }
    }

    /// The elements of `html` that are not closed, or closed in another order than they were opened.
    fn unbalanced(html: &str) -> Vec<String> {
        const EMPTY: [&str; 2] = ["meta", "!DOCTYPE"];
        let (mut open, mut faults) = (Vec::new(), Vec::new());
        for tag in html.split('<').skip(1).map(|part| &part[..part.find('>').unwrap_or(part.len())]) {
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            if tag.starts_with('/') {
                if open.last() == Some(&name) {
                    open.pop();
                } else {
                    faults.push(format!("</{name}> after {:?}", open.last()));
                }
            } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
                open.push(name);
            }
        }
        faults.extend(open.into_iter().map(|name| format!("<{name}>")));
        faults
    }

    #[test]
    fn page_is_whole_and_asks_nobody_for_anything() {
        let (course, report) = (course(60), report());
        let held = [checked("p99>650ms", false)];
        let html = page(&course, Some(&report), &held).html();
        assert_eq!(unbalanced(&html), Vec::<String>::new());
        for forbidden in ["<script", "http:", "https:", "//", "url(", "@import", "<link", "<img", "NaN"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        for there in ["Everything compared is right", "prefers-color-scheme: dark", "<desc", "p99&gt;650ms"] {
            assert!(html.contains(there), "{there}");
        }
        // Of each plot there are two drawings, and a table of its values.
        assert_eq!((html.matches("<figure>").count(), html.matches("role=\"img\"").count()), (4, 8));
        assert!(html.matches("<table").count() >= 4);
        assert!(html.len() < 400_000, "{} bytes", html.len());
    }

    #[test]
    fn ids_are_unique() {
        let (course, report) = (course(5), report());
        let html = page(&course, Some(&report), &[]).html();
        let mut ids: Vec<&str> =
            html.split(" id=\"").skip(1).map(|part| &part[..part.find('"').unwrap()]).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn headline_says_what_is_worst() {
        let (course, mut report) = (course(5), report());
        let title = |page: Page<'_>| page.headline().title;
        let broken = [checked("rate<1000", false), checked("p99>1ms", true)];
        assert_eq!(title(page(&course, Some(&report), &broken)), "Right, but 1 condition failed");
        assert_eq!(title(page(&course, None, &[])), "1,000,000 events acknowledged");
        assert_eq!(
            title(Page { acknowledged: 999_999, ..page(&course, None, &broken) }),
            "1 event not acknowledged"
        );
        report.verdict = Verdict::Different;
        report.differences.add(Part::Board, "player <b>1</b>", 2, 3);
        let html = page(&course, Some(&report), &broken).html();
        assert_eq!(title(page(&course, Some(&report), &broken)), "1 difference");
        assert!(html.contains("player &lt;b&gt;1&lt;/b&gt;") && !html.contains("<b>"), "texts are escaped");
        let fault = Page { fault: Some("the log does not stand still"), ..page(&course, Some(&report), &[]) };
        assert_eq!(title(fault), "The run could not be finished");
    }

    #[test]
    fn runs_without_a_judge_or_without_a_second_have_a_page() {
        let long = course(5000);
        let html = page(&long, None, &[]).html();
        assert_eq!(unbalanced(&html), Vec::<String>::new());
        assert!(html.len() < 300_000, "seconds are put together: {} bytes", html.len());
        let nothing = Course { seconds: Vec::new(), ..course(1) };
        assert_eq!(unbalanced(&page(&nothing, None, &[]).html()), Vec::<String>::new());
    }
}
