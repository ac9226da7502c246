//! Rows in Postgres' binary COPY format. Pure.
//!
//! The format is that of the server's documentation, "COPY, Binary Format"; a field is what the
//! type's receive function reads. Numbers are big-endian, times count from 2000-01-01.

use contracts::{EventTime, Score};
use std::collections::BTreeMap;

/// Before the first row: signature, no flags, no extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// After the last row.
pub(crate) const TRAILER: &[u8] = &(-1i16).to_be_bytes();

/// 2000-01-01 in days since 1970-01-01.
pub(crate) const POSTGRES_EPOCH_DAYS: i32 = 10_957;
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
const NULL: i32 = -1;

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i32);

impl Day {
    pub(crate) fn of(time: EventTime) -> Self {
        let days = time.micros().div_euclid(DAY_MICROS);
        Self(i32::try_from(days).expect("the years 1 to 9999 are four million days"))
    }
}

/// Rows, one after the other, without header and trailer.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyRows {
    bytes: Vec<u8>,
    rows: usize,
}

impl CopyRows {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Begins a row. As many fields must follow.
    pub(crate) fn row(&mut self, fields: i16) -> &mut Self {
        self.rows += 1;
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self
    }

    /// Empties it, and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.rows = 0;
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&NULL.to_be_bytes());
        self
    }

    pub(crate) fn integer(&mut self, value: i32) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(crate) fn bigint(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(crate) fn double(&mut self, value: f64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(crate) fn date(&mut self, day: Day) -> &mut Self {
        self.integer(day.0 - POSTGRES_EPOCH_DAYS)
    }

    pub(crate) fn timestamptz(&mut self, time: EventTime) -> &mut Self {
        self.bigint(time.micros() - i64::from(POSTGRES_EPOCH_DAYS) * DAY_MICROS)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.field(text.as_bytes())
    }

    pub(crate) fn bytea(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.field(bytes),
            None => self.null(),
        }
    }

    pub(crate) fn optional_text(&mut self, text: Option<&str>) -> &mut Self {
        self.bytea(text.map(str::as_bytes))
    }

    /// `numeric`: digits to the base 10,000 on both sides of the point, without zeros at the ends.
    pub(crate) fn numeric(&mut self, score: Score) -> &mut Self {
        const BASE: u64 = 10_000;
        const WHOLE: usize = 5;
        const FRACTION: usize = 3;
        const FRACTION_DECIMALS: u32 = 12;
        let decimals = u32::from(score.scale());
        let one = 10u64.pow(decimals);
        let magnitude = score.units().unsigned_abs();
        let mut whole = magnitude / one;
        let mut fraction = magnitude % one * 10u64.pow(FRACTION_DECIMALS - decimals);
        let mut digits = [0i16; WHOLE + FRACTION];
        let (above, below) = digits.split_at_mut(WHOLE);
        for (side, rest) in [(above, &mut whole), (below, &mut fraction)] {
            for digit in side.iter_mut().rev() {
                *digit = i16::try_from(*rest % BASE).expect("below 10,000");
                *rest /= BASE;
            }
        }
        let first = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len());
        let end = digits.iter().rposition(|digit| *digit != 0).map_or(first, |last| last + 1);
        let small = |number: usize| i16::try_from(number).expect("at most eight digits");
        let sign = if score.units() < 0 { 0x4000 } else { 0 };
        let weight = if first == end { 0 } else { small(WHOLE) - 1 - small(first) };
        let parts = [small(end - first), weight, sign, i16::from(score.scale())];
        self.sized(|bytes| {
            for part in parts.iter().chain(&digits[first..end]) {
                bytes.extend_from_slice(&part.to_be_bytes());
            }
        })
    }

    /// `jsonb`: an object of strings, or null when it has no members.
    pub(crate) fn jsonb_strings(&mut self, members: &BTreeMap<String, String>) -> &mut Self {
        const JSONB_VERSION: u8 = 1;
        if members.is_empty() {
            return self.null();
        }
        self.sized(|bytes| {
            bytes.push(JSONB_VERSION);
            serde_json::to_writer(bytes, members).expect("a map of strings always encodes");
        })
    }

    /// `json`: an object whose values are JSON text already, or null when it has no members.
    pub(crate) fn json_members(&mut self, members: &BTreeMap<String, String>) -> &mut Self {
        if members.is_empty() {
            return self.null();
        }
        self.sized(|bytes| {
            let mut before = b'{';
            for (name, value) in members {
                bytes.push(before);
                serde_json::to_writer(&mut *bytes, name).expect("a string always encodes");
                bytes.push(b':');
                bytes.extend_from_slice(value.as_bytes());
                before = b',';
            }
            bytes.push(b'}');
        })
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&length(bytes.len()));
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A field whose length is known once it is written.
    fn sized(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        let length = length(self.bytes.len() - begin - 4);
        self.bytes[begin..begin + 4].copy_from_slice(&length);
        self
    }
}

fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).expect("a record is far below 2 GiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::score::MAX_SCALE;
    use proptest::prelude::*;

    /// Reads a `numeric` field back: the number counted in units of 10^-12, and its decimals.
    fn read_numeric(field: &[u8]) -> (i128, i16) {
        let parts: Vec<i16> = field[4..].chunks(2).map(|b| i16::from_be_bytes([b[0], b[1]])).collect();
        let [count, weight, sign, decimals] = parts[..4] else { panic!("no head") };
        let digits = &parts[4..];
        assert_eq!(digits.len(), usize::try_from(count).unwrap());
        assert!(digits.first() != Some(&0) && digits.last() != Some(&0), "zeros at an end: {digits:?}");
        let value: i128 = digits
            .iter()
            .zip(0i16..)
            .map(|(digit, at)| i128::from(*digit) * 10_000i128.pow(u32::try_from(weight - at + 3).unwrap()))
            .sum();
        (if sign == 0x4000 { -value } else { value }, decimals)
    }

    proptest! {
        #[test]
        fn numeric_is_exact(units in any::<i64>(), decimals in 0..=MAX_SCALE) {
            let score = Score::new(units, decimals);
            let mut rows = CopyRows::default();
            rows.numeric(score);
            let expected = i128::from(score.units()) * 10i128.pow(12 - u32::from(score.scale()));
            prop_assert_eq!(read_numeric(rows.bytes()), (expected, i16::from(score.scale())));
        }
    }

    #[test]
    fn fields_are_encoded_as_documented() {
        let mut rows = CopyRows::default();
        let members = BTreeMap::from([("a\"b".to_owned(), "1.50".to_owned()), ("c".into(), "[]".into())]);
        rows.row(3).text("é").null().json_members(&members);
        assert_eq!(
            rows.bytes(),
            b"\x00\x03\x00\x00\x00\x02\xc3\xa9\xff\xff\xff\xff\x00\x00\x00\x14{\"a\\\"b\":1.50,\"c\":[]}"
                .as_slice()
        );
        assert_eq!(rows.rows(), 1);
        let mut rows = CopyRows::default();
        let epoch = EventTime::from_micros(0).unwrap();
        rows.date(Day::of(epoch)).timestamptz(epoch).numeric(Score::new(0, 0));
        let expected = [
            &[0, 0, 0, 4, 0xff, 0xff, 0xd5, 0x33][..],
            &[0, 0, 0, 8, 0xff, 0xfc, 0xa2, 0xfe, 0xc4, 0xc8, 0x20, 0],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(rows.bytes(), expected.concat());
    }

    #[test]
    fn days_before_1970_begin_at_midnight_too() {
        let day = |text| Day::of(EventTime::parse_iso(text, "t").unwrap());
        assert_eq!(day("1969-12-31T23:59:59.999999"), Day(-1));
        assert_eq!(day("1970-01-01"), Day(0));
    }
}
