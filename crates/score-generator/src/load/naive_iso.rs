//! Instants as the plain form writes them: ISO 8601 with microseconds and without an offset.

use contracts::EventTime;
use jiff::Timestamp;
use jiff::tz::Offset;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// `2026-11-21T12:00:00.123456`
const TEXT_BYTES: usize = 26;
const FRACTION_FROM: usize = 20;

/// Writes instants; only the fraction is worked out anew within one second.
#[derive(Clone, Debug)]
pub(super) struct NaiveIso {
    second: Option<i64>,
    text: [u8; TEXT_BYTES],
}

impl NaiveIso {
    pub(super) fn new() -> Self {
        Self { second: None, text: [b'.'; TEXT_BYTES] }
    }

    /// `time` in UTC. The text is good until the next call.
    pub(super) fn write(&mut self, time: EventTime) -> &[u8] {
        let second = time.micros().div_euclid(MICROS_PER_SECOND);
        if self.second != Some(second) {
            let instant = Timestamp::from_second(second).expect("event times are within jiff's range");
            let text = Offset::UTC.to_datetime(instant).to_string();
            self.text[..FRACTION_FROM - 1].copy_from_slice(text.as_bytes());
            self.second = Some(second);
        }
        let mut micros = time.micros().rem_euclid(MICROS_PER_SECOND);
        for digit in self.text[FRACTION_FROM..].iter_mut().rev() {
            *digit = b'0' + u8::try_from(micros % 10).expect("a digit");
            micros /= 10;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fraction_always_has_six_digits() {
        let mut iso = NaiveIso::new();
        let mut text =
            |micros| String::from_utf8(iso.write(EventTime::from_micros(micros).unwrap()).to_vec()).unwrap();
        assert_eq!(text(1_795_262_400_123_456), "2026-11-21T12:00:00.123456");
        assert_eq!(text(1_795_262_400_000_000), "2026-11-21T12:00:00.000000");
        assert_eq!(text(1_795_262_399_999_999), "2026-11-21T11:59:59.999999");
        assert_eq!(text(-62_135_596_800_000_000), "0001-01-01T00:00:00.000000");
    }

    proptest! {
        #[test]
        fn text_reads_back_as_the_same_instant(times in proptest::collection::vec(-62_135_596_800_000_000i64..=253_402_207_200_999_999, 1..5)) {
            let mut iso = NaiveIso::new();
            for micros in times {
                let text = String::from_utf8(iso.write(EventTime::from_micros(micros).unwrap()).to_vec()).unwrap();
                prop_assert_eq!(EventTime::parse_iso(&text, "t").unwrap().micros(), micros);
            }
        }
    }
}
