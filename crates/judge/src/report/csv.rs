//! A row for each second, for spreadsheets.

use super::course::{Course, CourseSecond};
use crate::latencies::Figures;
use std::io::{self, Write};

/// The columns.
const HEADER: &str =
    "second,target,sent,acknowledged,ack_p50_ms,ack_p99_ms,frames,frame_p50_ms,frame_p99_ms,lag_ms";

/// Writes the course of a run; a field is empty where nothing was measured.
///
/// # Errors
/// When `out` does not take it.
pub fn write(course: &Course, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    for (second, of) in course.seconds.iter().enumerate() {
        let CourseSecond { due, sent, acks, frames, in_hand, lag_ms } = of;
        let [ack_p50, ack_p99] = percentiles(acks.figures);
        let [frame_p50, frame_p99] = percentiles(in_hand.figures);
        let (acknowledged, lag) = (of.acknowledged(), field(*lag_ms));
        writeln!(
            out,
            "{second},{due},{sent},{acknowledged},{ack_p50},{ack_p99},{frames},{frame_p50},{frame_p99},{lag}"
        )?;
    }
    out.flush()
}

fn percentiles(figures: Option<Figures>) -> [String; 2] {
    [figures.map(|f| f.p50_ms), figures.map(|f| f.p99_ms)].map(field)
}

fn field(ms: Option<f64>) -> String {
    ms.map(|ms| format!("{ms:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::course::tests::course;

    #[test]
    fn every_second_is_a_row_of_the_same_columns() {
        let mut course = course(4);
        course.seconds.push(CourseSecond::default());
        let mut out = Vec::new();
        write(&course, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!((rows.len(), rows[0]), (6, HEADER));
        assert!(rows.iter().all(|row| row.split(',').count() == 10), "{text}");
        assert!(
            rows[1].starts_with("0,1000,1000,1000,3.001,3.981,20,") && rows[1].ends_with(",420.000"),
            "{}",
            rows[1]
        );
        assert_eq!(rows[5], "4,0,0,0,,,0,,,");
    }
}
