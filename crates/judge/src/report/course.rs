//! The course of a run, second by second. Pure.

use crate::latencies::{Figures, Latencies, Packed};
use crate::recording::{Recording, Second};
use crate::watching::WatchedSecond;
use std::time::SystemTime;

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CourseSecond {
    /// Events that were due.
    pub due: u64,
    /// Events that were handed over.
    pub sent: u64,
    /// Latencies of the acknowledgements that came.
    pub acks: Packed,
    /// Frames that came, to all viewers.
    pub frames: u64,
    /// Latencies of the events that came into view.
    pub in_hand: Packed,
    /// The worst lag in it, in milliseconds.
    pub lag_ms: Option<f64>,
}

impl CourseSecond {
    /// Acknowledgements that came.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acks.figures.map_or(0, |figures| figures.samples)
    }

    fn new(sender: Option<&Second>, viewers: Option<&WatchedSecond>) -> Self {
        let Second { due, sent, acks } = sender.cloned().unwrap_or_default();
        let WatchedSecond { frames, latencies, lag_nanos } = viewers.cloned().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a day in nanoseconds is below 2^53")]
        let lag_ms = lag_nanos.map(|nanos| nanos as f64 / 1e6);
        Self { due, sent, acks, frames, in_hand: latencies, lag_ms }
    }
}

/// The course of a run.
#[derive(Clone, Debug)]
pub struct Course {
    /// When it began.
    pub began_at: SystemTime,
    /// Its seconds.
    pub seconds: Vec<CourseSecond>,
    /// From due to acknowledged, all of it.
    pub ack: Latencies,
    /// From due to the frame in hand.
    pub frame: Latencies,
    /// The same of lone events after quiet.
    pub edge: Latencies,
}

impl Course {
    /// What was recorded, with what viewers saw, where there were any.
    #[must_use]
    pub fn new(recording: &Recording, watched: &[WatchedSecond], frame: Latencies, edge: Latencies) -> Self {
        let sender = recording.seconds();
        let seconds = 0..sender.len().max(watched.len());
        let second = |index: usize| CourseSecond::new(sender.get(index), watched.get(index));
        Self {
            began_at: recording.began_at(),
            seconds: seconds.map(second).collect(),
            ack: recording.ack_latencies(),
            frame,
            edge,
        }
    }

    /// The seconds put together, as many at a time as it takes for at most `most` parts; and how many
    /// these are.
    #[must_use]
    pub fn parts(&self, most: usize) -> (usize, Vec<Part>) {
        let each = self.seconds.len().div_ceil(most.max(1)).max(1);
        let parts = self.seconds.chunks(each).zip(0..);
        (each, parts.map(|(seconds, index)| Part::of(index * each, seconds)).collect())
    }
}

/// Some seconds of a run together.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The first of them.
    pub from: usize,
    /// How many they are.
    pub seconds: usize,
    /// Events due, handed over, acknowledged; per second.
    pub rates: [f64; 3],
    /// Latencies of acknowledgements.
    pub ack: Option<Figures>,
    /// Latencies of what came into view.
    pub in_hand: Option<Figures>,
    /// Frames that came.
    pub frames: u64,
    /// The worst lag, in milliseconds.
    pub lag_ms: Option<f64>,
}

impl Part {
    fn of(from: usize, seconds: &[CourseSecond]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "events are far below 2^53")]
        let rate = |of: fn(&CourseSecond) -> u64| {
            seconds.iter().map(of).sum::<u64>() as f64 / seconds.len().max(1) as f64
        };
        let together = |of: fn(&CourseSecond) -> &Packed| {
            if let [only] = seconds {
                return of(only).figures;
            }
            let mut all = Latencies::new();
            seconds.iter().for_each(|second| all.add(&of(second).unpack()));
            all.figures()
        };
        Self {
            from,
            seconds: seconds.len(),
            rates: [rate(|s| s.due), rate(|s| s.sent), rate(CourseSecond::acknowledged)],
            ack: together(|s| &s.acks),
            in_hand: together(|s| &s.in_hand),
            frames: seconds.iter().map(|second| second.frames).sum(),
            lag_ms: seconds.iter().filter_map(|second| second.lag_ms).reduce(f64::max),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of so many seconds with a dip in the middle.
    pub(crate) fn course(count: u64) -> Course {
        let packed = |nanos: u64, samples: u64| {
            let mut latencies = Latencies::new();
            (1..=samples).for_each(|step| latencies.record_nanos(nanos + nanos * step / samples));
            latencies
        };
        let (mut ack, mut frame) = (Latencies::new(), Latencies::new());
        let second = |index: u64| {
            let dip = index == count / 2;
            let acks = packed(if dip { 80_000_000 } else { 2_000_000 }, if dip { 200 } else { 1000 });
            let in_hand = packed(if dip { 900_000_000 } else { 250_000_000 }, 300);
            ack.add(&acks);
            frame.add(&in_hand);
            CourseSecond {
                due: 1000,
                sent: 1000,
                acks: acks.pack(),
                frames: 20,
                in_hand: in_hand.pack(),
                lag_ms: Some(if dip { 1400.0 } else { 420.0 }),
            }
        };
        let seconds = (0..count).map(second).collect();
        let began_at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_262_400);
        Course { began_at, seconds, ack, frame, edge: packed(6_000_000, 50) }
    }

    #[test]
    fn seconds_are_put_together_without_losing_any() {
        let course = course(25);
        let (each, parts) = course.parts(10);
        assert_eq!((each, parts.len()), (3, 9));
        assert_eq!(parts.iter().map(|part| part.seconds).sum::<usize>(), 25);
        let samples = |of: fn(&Part) -> Option<Figures>| -> u64 {
            parts.iter().filter_map(of).map(|figures| figures.samples).sum()
        };
        assert_eq!(samples(|part| part.ack), course.ack.count());
        assert_eq!(samples(|part| part.in_hand), course.frame.count());
        let dip = parts.iter().find(|part| part.lag_ms == Some(1400.0)).unwrap();
        assert!(dip.from <= 12 && 12 < dip.from + dip.seconds && dip.rates[2] < dip.rates[1]);
        assert_eq!(course.parts(100).0, 1);
        assert!(Course { seconds: Vec::new(), ..course }.parts(10).1.is_empty());
    }
}
