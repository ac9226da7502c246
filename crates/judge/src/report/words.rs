//! Numbers as people read them. Pure.

use service::grouped;

/// `1 player`, `1,000 players`.
#[must_use]
pub fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Milliseconds with three digits, in the unit that suits them.
#[must_use]
pub fn millis(ms: f64) -> String {
    // Below what would be rounded to the next unit.
    let (value, unit) = match ms {
        _ if ms < 0.9995 => (ms * 1000.0, "µs"),
        _ if ms < 999.5 => (ms, "ms"),
        _ if ms < 119_950.0 => (ms / 1000.0, "s"),
        _ => (ms / 60_000.0, "min"),
    };
    let decimals = match value {
        _ if unit == "µs" || value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_counted() {
        for (number, text) in [(0, "0 rows"), (1, "1 row"), (999, "999 rows"), (1_234_567, "1,234,567 rows")]
        {
            assert_eq!(count(number, "row"), text);
        }
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        for (ms, text) in [
            (0.0, "0 µs"),
            (0.25, "250 µs"),
            (7.0, "7.00 ms"),
            (12.34, "12.3 ms"),
            (0.9999, "1.00 ms"),
            (9.999, "10.0 ms"),
            (99.99, "100 ms"),
            (512.4, "512 ms"),
            (999.9, "1.00 s"),
            (1510.0, "1.51 s"),
            (60_000.0, "60.0 s"),
            (150_000.0, "2.50 min"),
        ] {
            assert_eq!(millis(ms), text);
        }
    }
}
