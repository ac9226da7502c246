//! An interval log of `HdrHistogram`, for its tools.
//!
//! Values are microseconds, the column of the greatest is in milliseconds. Tags: `ack` and `frame`, one
//! interval a second, and `edge`, one interval for all lone events, behind the last second.

use super::course::Course;
use crate::latencies::Latencies;
use anyhow::Context as _;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::io::Write;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// From microseconds to milliseconds.
const MAX_VALUE_DIVISOR: f64 = 1000.0;

/// Writes the course of a run.
///
/// # Errors
/// When `out` does not take it.
pub fn write(course: &Course, mut out: impl Write) -> anyhow::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Latencies of a load run in microseconds, by tag: ack, frame, edge]")
        .with_start_time(course.began_at)
        .with_base_time(course.began_at)
        .with_max_value_divisor(MAX_VALUE_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)?;
    let mut interval = |latencies: &Latencies, from: Duration, tag: &'static str| {
        if latencies.count() == 0 {
            return Ok(());
        }
        let tag = Tag::new(tag).expect("tags have no commas or spaces");
        let written = log.write_histogram(latencies.histogram(), from, SECOND, Some(tag));
        written.map_err(|error| anyhow::anyhow!("{error:?}")).context("writing an interval")
    };
    let mut from = Duration::ZERO;
    for second in &course.seconds {
        interval(&second.acks.unpack(), from, "ack")?;
        interval(&second.in_hand.unpack(), from, "frame")?;
        from += SECOND;
    }
    interval(&course.edge, from, "edge")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::course::tests::course;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use std::collections::BTreeMap;

    #[test]
    fn log_reads_back_as_what_was_measured() {
        let course = course(5);
        let mut out = Vec::new();
        write(&course, &mut out).unwrap();
        let mut read: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
        let mut intervals = 0;
        for entry in IntervalLogIterator::new(&out) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            intervals += 1;
            let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &*bytes).unwrap();
            assert!((interval.max() - histogram.max() as f64 / 1000.0).abs() < 0.01);
            let tag = interval.tag().unwrap().as_str().to_owned();
            read.entry(tag).and_modify(|all| all.add(&histogram).unwrap()).or_insert(histogram);
        }
        assert_eq!(intervals, 11);
        assert_eq!(read["ack"], *course.ack.histogram());
        assert_eq!(read["frame"], *course.frame.histogram());
        assert_eq!(read["edge"], *course.edge.histogram());
    }
}
