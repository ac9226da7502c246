//! Instants as microseconds since the Unix epoch.

use crate::refusal::{Refusal, RefusalClass};
use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An instant, in microseconds since the Unix epoch; negative before 1970.
///
/// The range is the years 1 to 9999, which the log, Redis and Postgres all hold exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventTime(i64);

/// 0001-01-01T00:00:00Z.
const MIN_MICROS: i64 = -62_135_596_800_000_000;
/// 9999-12-30T22:00:00.999999Z, jiff's last instant to the microsecond.
const MAX_MICROS: i64 = 253_402_207_200_999_999;

impl EventTime {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);
    /// The first instant that is kept: 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(MIN_MICROS);
    /// The last instant that is kept: 9999-12-30T22:00:00.999999Z.
    pub const MAX: Self = Self(MAX_MICROS);

    /// The instant `micros` microseconds after the Unix epoch, or `None` outside the years 1 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (MIN_MICROS..=MAX_MICROS).contains(&micros).then_some(Self(micros))
    }

    /// The instant `millis` milliseconds after the Unix epoch, as Kafka keeps time.
    #[must_use]
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::from_micros(millis.checked_mul(1000)?)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, with the microseconds as the fraction.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to the year 2255, 1 µs off after")]
    pub fn to_millis_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The instant `seconds` later, at the end of the range at the latest.
    #[must_use]
    pub fn saturating_add_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)).clamp(MIN_MICROS, MAX_MICROS))
    }

    /// Parses ISO 8601: a date, or a date and time, with an offset, `Z`, or neither (then UTC).
    /// Digits below the microsecond are cut off.
    ///
    /// # Errors
    /// [`RefusalClass::InvalidValue`] or [`RefusalClass::OutOfRange`], naming `field`.
    pub fn parse_iso(text: &str, field: &'static str) -> Result<Self, Refusal> {
        let invalid = |why: &dyn fmt::Display| {
            Refusal::of_field(
                RefusalClass::InvalidValue,
                field,
                format_args!("is not an ISO 8601 time: {why}"),
            )
        };
        let pieces = Pieces::parse(text).map_err(|error| invalid(&error))?;
        if pieces.time_zone_annotation().is_some() {
            return Err(invalid(&"a time zone's name is not part of it"));
        }
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        let naive = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
        let instant = offset.to_timestamp(naive).map_err(|error| invalid(&error))?;
        // Euclidean: before 1970 too, cutting off means earlier.
        let micros = i64::try_from(instant.as_nanosecond().div_euclid(1000)).ok();
        micros.and_then(Self::from_micros).ok_or_else(|| {
            Refusal::of_field(
                RefusalClass::OutOfRange,
                field,
                "is out of range: the years 1 to 9999 are kept",
            )
        })
    }
}

/// ISO 8601 in UTC, e.g. `2026-11-21T12:00:00.123456Z`.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = Timestamp::UNIX_EPOCH + SignedDuration::from_micros(self.0);
        write!(f, "{instant}")
    }
}

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_iso(&text, "created_at").map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Result<i64, RefusalClass> {
        EventTime::parse_iso(text, "created_at").map(EventTime::micros).map_err(|refusal| refusal.class)
    }

    #[test]
    fn iso_forms_are_read_as_utc_unless_they_say_otherwise() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000001", 1),
            ("1970-01-01 00:00:01", 1_000_000),
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:59:59.9999999", -1),
            ("1916-07-02", -1_688_342_400_000_000),
            ("2026-11-21T12:00:00.123456", 1_795_262_400_123_456),
        ] {
            assert_eq!(micros(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-02-30",
            "2026-13-01T00:00:00",
            "1795260000",
            "2026-11-21T25:00",
            "2026-11-21T12:00[Europe/Malta]",
        ] {
            assert_eq!(micros(text), Err(RefusalClass::InvalidValue), "{text:?}");
        }
        assert_eq!(micros("-000100-01-01T00:00:00Z"), Err(RefusalClass::OutOfRange));
    }

    #[test]
    fn display_is_iso_in_utc() {
        let time = EventTime::from_micros(1_795_262_400_123_456).unwrap();
        assert_eq!(time.to_string(), "2026-11-21T12:00:00.123456Z");
        assert_eq!(EventTime::parse_iso(&time.to_string(), "t").unwrap(), time);
    }

    #[test]
    fn both_ends_of_the_range_print_and_parse() {
        for micros in [MIN_MICROS, MAX_MICROS] {
            let time = EventTime::from_micros(micros).unwrap();
            assert_eq!(EventTime::parse_iso(&time.to_string(), "t").unwrap(), time);
        }
        assert_eq!(EventTime::from_micros(MIN_MICROS - 1), None);
        assert_eq!(EventTime::from_micros(MAX_MICROS + 1), None);
    }
}
