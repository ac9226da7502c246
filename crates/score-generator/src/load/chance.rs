//! How likely something is.

use std::str::FromStr;

/// A probability, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Chance(f64);

impl Chance {
    /// For what never happens.
    pub const NEVER: Self = Self(0.0);

    /// Whether a uniformly drawn `random` is a hit. The same number is one on every machine.
    #[must_use]
    pub fn hits(self, random: u64) -> bool {
        const ALL: f64 = 18_446_744_073_709_551_616.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 2^64")]
        let below = (self.0 * ALL) as u128;
        u128::from(random) < below
    }

    /// How likely one of two that exclude each other is; `None` beyond certainty.
    #[must_use]
    pub fn or(self, other: Self) -> Option<Self> {
        // 0.1 + 0.2 + 0.7 is over 1 in floating point, by less than this.
        const ROUNDING: f64 = 1e-9;
        let sum = self.0 + other.0;
        (sum <= 1.0 + ROUNDING).then_some(Self(sum.min(1.0)))
    }
}

impl FromStr for Chance {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err("must be a number from 0 to 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_always_hits_and_never_never_does() {
        for random in [0, 1, u64::MAX] {
            assert!(Chance(1.0).hits(random) && !Chance::NEVER.hits(random));
        }
        let quarter: Chance = "0.25".parse().unwrap();
        assert!(quarter.hits((1 << 62) - 1) && !quarter.hits(1 << 62));
    }

    #[test]
    fn what_excludes_each_other_adds_up_to_certainty_and_no_further() {
        let sum = ["0.1", "0.2", "0.7"].map(|text| text.parse::<Chance>().unwrap());
        let sum = sum.into_iter().try_fold(Chance::NEVER, Chance::or).unwrap();
        assert!(sum.hits(u64::MAX - (1 << 12)));
        assert_eq!(sum.or("0.01".parse().unwrap()), None);
        for text in ["-0.1", "1.1", "NaN", "often"] {
            assert!(text.parse::<Chance>().is_err(), "{text}");
        }
    }
}
