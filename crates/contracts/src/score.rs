//! Scores as exact decimals.
//!
//! A JSON number such as `0.1` has no exact `f64`; adding a million of them would drift. A
//! [`Score`] keeps the decimal digits as they were written.

use crate::refusal::{Refusal, RefusalClass};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The most digits that may stand after the decimal point.
pub const MAX_SCALE: u8 = 9;
/// The largest magnitude, counted in units of the last digit kept.
const MAX_UNITS: i64 = 999_999_999_999_999_999;

/// An exact decimal number: `units × 10^-scale`, without trailing zeros after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Score {
    units: i64,
    scale: u8,
}

impl Score {
    /// `units × 10^-scale`.
    ///
    /// # Panics
    /// When `scale` is over [`MAX_SCALE`]: scales come from board rules, which are checked.
    #[must_use]
    pub fn new(units: i64, scale: u8) -> Self {
        assert!(scale <= MAX_SCALE, "scale {scale} is over {MAX_SCALE}");
        let mut score = Self { units, scale };
        while score.scale > 0 && score.units % 10 == 0 {
            score.units /= 10;
            score.scale -= 1;
        }
        score
    }

    /// The score counted in units of `10^-decimals`, or `None` when it has more decimals than
    /// that or does not fit.
    #[must_use]
    pub fn units_at(self, decimals: u8) -> Option<i64> {
        let missing = decimals.checked_sub(self.scale)?;
        self.units.checked_mul(10i64.checked_pow(u32::from(missing))?)
    }

    /// Digits without the point, e.g. 1205 for 12.05.
    #[must_use]
    pub fn units(self) -> i64 {
        self.units
    }

    /// How many of the digits stand after the point, e.g. 2 for 12.05.
    #[must_use]
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// Parses a JSON number exactly.
    ///
    /// # Errors
    /// [`RefusalClass::OutOfRange`] or [`RefusalClass::TooPrecise`], naming `field`. `text` must
    /// already be a JSON number.
    pub fn parse_json_number(text: &str, field: &'static str) -> Result<Self, Refusal> {
        let out_of_range = || {
            Refusal::of_field(
                RefusalClass::OutOfRange,
                field,
                format_args!("is out of range: at most {} digits are kept", 18),
            )
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let mut units: i64 = 0;
        let mut scale: i64 = 0;
        let mut after_point = false;
        // Zeros after the last other digit change nothing but the scale; they are counted first
        // so that 1.000000000000000000000 is the 1 that it says.
        let mut pending_zeros: i64 = 0;
        for byte in mantissa.bytes() {
            match byte {
                b'-' => {}
                b'.' => after_point = true,
                digit => {
                    scale += i64::from(after_point);
                    if digit == b'0' {
                        pending_zeros += i64::from(units != 0);
                        continue;
                    }
                    for _ in 0..=pending_zeros {
                        units = units.checked_mul(10).filter(|u| *u <= MAX_UNITS).ok_or_else(out_of_range)?;
                    }
                    pending_zeros = 0;
                    units += i64::from(digit - b'0');
                }
            }
        }
        if units == 0 {
            return Ok(Self { units: 0, scale: 0 });
        }
        scale -= pending_zeros;
        if let Some(exponent) = exponent {
            // Saturation keeps 1e99999999999999999999 on its side of the range.
            let limit = 100_000;
            let magnitude =
                exponent.trim_start_matches(['+', '-']).parse::<i64>().unwrap_or(limit).min(limit);
            scale = scale.saturating_add(if exponent.starts_with('-') { magnitude } else { -magnitude });
        }
        while scale < 0 {
            units = units.checked_mul(10).filter(|u| *u <= MAX_UNITS).ok_or_else(out_of_range)?;
            scale += 1;
        }
        let scale = u8::try_from(scale).ok().filter(|s| *s <= MAX_SCALE).ok_or_else(|| {
            Refusal::of_field(
                RefusalClass::TooPrecise,
                field,
                format_args!("is too precise: at most {MAX_SCALE} decimals are kept"),
            )
        })?;
        if units > MAX_UNITS {
            return Err(out_of_range());
        }
        Ok(Self { units: if text.starts_with('-') { -units } else { units }, scale })
    }

    /// The nearest `f64`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nearest is what is asked for")]
    pub fn to_f64(self) -> f64 {
        self.units as f64 / 10f64.powi(i32::from(self.scale))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.units);
        }
        let sign = if self.units < 0 { "-" } else { "" };
        let divisor = 10u64.pow(u32::from(self.scale));
        let magnitude = self.units.unsigned_abs();
        let width = usize::from(self.scale);
        write!(f, "{sign}{}.{:0width$}", magnitude / divisor, magnitude % divisor)
    }
}

/// As a JSON number. Scores with decimals go through the nearest `f64`, whose shortest text is
/// the decimal itself up to 15 digits.
impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.scale == 0 {
            serializer.serialize_i64(self.units)
        } else {
            serializer.serialize_f64(self.to_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::parse_json_number(&number.to_string(), "score").map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Score, RefusalClass> {
        Score::parse_json_number(text, "score").map_err(|refusal| refusal.class)
    }

    #[test]
    fn numbers_keep_their_decimal_value() {
        for (text, units, scale) in [
            ("5", 5, 0),
            ("-5", -5, 0),
            ("-0", 0, 0),
            ("0.0e999999999999999999999", 0, 0),
            ("5.0", 5, 0),
            ("5.000000000000000000000000000000", 5, 0),
            ("0.1", 1, 1),
            ("12.05", 1205, 2),
            ("-2.5e1", -25, 0),
            ("25e-1", 25, 1),
            ("100e-2", 1, 0),
            ("1e9", 1_000_000_000, 0),
            ("0.000000001", 1, 9),
            ("999999999999999999", 999_999_999_999_999_999, 0),
        ] {
            assert_eq!(parse(text), Ok(Score { units, scale }), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused_not_rounded() {
        for (text, class) in [
            ("1e400", RefusalClass::OutOfRange),
            ("-1e400", RefusalClass::OutOfRange),
            ("1e99999999999999999999999", RefusalClass::OutOfRange),
            ("1000000000000000000", RefusalClass::OutOfRange),
            ("9223372036854775808", RefusalClass::OutOfRange),
            ("0.0000000001", RefusalClass::TooPrecise),
            ("1e-400", RefusalClass::TooPrecise),
            ("0.30000000000000004", RefusalClass::TooPrecise),
        ] {
            assert_eq!(parse(text), Err(class), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_of_a_score_parses_back(units in -MAX_UNITS..=MAX_UNITS, scale in 0..=MAX_SCALE) {
            let score = Score::new(units, scale);
            prop_assert_eq!(parse(&score.to_string()), Ok(score));
        }

        #[test]
        fn units_at_a_finer_scale_are_the_same_number(units in -1_000_000i64..1_000_000, scale in 0..=4u8) {
            let score = Score::new(units, scale);
            let finer = score.units_at(6).unwrap();
            prop_assert_eq!(Score::new(finer, 6), score);
        }
    }
}
