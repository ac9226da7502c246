//! Saying in which columns two rows differ. Pure.

use crate::audit::Table;
use crate::audit::fields::{Fields, time_of};
use crate::batch::{COPY_EVENTS, COPY_REFUSED};
use crate::copy::POSTGRES_EPOCH_DAYS;
use std::fmt::Write as _;

/// How much of a value is shown.
const SHOWN_CHARS: usize = 80;
const SECONDS_A_DAY: i64 = 86_400;

/// A column in which a row is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDifference {
    /// The column.
    pub column: &'static str,
    /// What it must say.
    pub expected: String,
    /// What it says.
    pub found: String,
}

/// The columns of a row of `table` that are not as expected.
#[must_use]
pub fn differing_columns(table: Table, expected: &[u8], found: &[u8]) -> Vec<ColumnDifference> {
    names(table)
        .zip(Fields::of(expected).zip(Fields::of(found)))
        .filter(|(_, (expected, found))| expected != found)
        .map(|(column, (expected, found))| ColumnDifference {
            column,
            expected: shown(column, expected),
            found: shown(column, found),
        })
        .collect()
}

/// The player that a row of `leaderboard.game_score` names.
#[must_use]
pub fn player_of(columns: &[u8]) -> Option<String> {
    let (_, player) = names(Table::Events).zip(Fields::of(columns)).find(|(name, _)| *name == "user_id")?;
    Some(shown("user_id", player))
}

fn names(table: Table) -> impl Iterator<Item = &'static str> {
    let statement = match table {
        Table::Events => COPY_EVENTS,
        Table::Refused => COPY_REFUSED,
    };
    let columns = statement.split(['(', ')']).nth(1).unwrap_or_default();
    columns.split(", ")
}

/// A field for people.
fn shown(column: &str, field: Option<&[u8]>) -> String {
    let Some(field) = field else { return "null".to_owned() };
    let number = || match *field {
        [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        _ => Some(i64::from_be_bytes(field.try_into().ok()?)),
    };
    let text = match column {
        "kafka_partition" | "kafka_offset" => number().map(|number| number.to_string()),
        "arrived_on" => number()
            .and_then(|days| {
                contracts::EventTime::from_millis(
                    (days + i64::from(POSTGRES_EPOCH_DAYS)) * SECONDS_A_DAY * 1000,
                )
            })
            .map(|midnight| midnight.to_string().chars().take(10).collect()),
        "arrived_at" | "created_at" => number().and_then(time_of).map(|time| time.to_string()),
        "score" => numeric(field),
        "tags" => field.get(1..).map(|text| String::from_utf8_lossy(text).into_owned()),
        "record_key" | "payload" => Some(field.escape_ascii().to_string()),
        _ => Some(String::from_utf8_lossy(field).into_owned()),
    };
    let text = text.unwrap_or_else(|| format!("bytes {}", field.escape_ascii()));
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A `numeric` as decimals; `None` for NaN and the infinities.
fn numeric(field: &[u8]) -> Option<String> {
    let parts: Vec<i16> = field.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
    let [_, weight, sign, decimals, digits @ ..] = parts.as_slice() else { return None };
    let decimals = usize::try_from(*decimals).ok()?;
    let minus = match *sign {
        0 => "",
        0x4000 => "-",
        _ => return None,
    };
    let digit = |at: i32| {
        let index = usize::try_from(i32::from(*weight) - at).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut whole = String::new();
    for at in (0..=i32::from(*weight).max(0)).rev() {
        let _ = write!(whole, "{:04}", digit(at));
    }
    let whole = whole.trim_start_matches('0');
    let mut fraction = String::new();
    for at in 1..=decimals.div_ceil(4) {
        let _ = write!(fraction, "{:04}", digit(-i32::try_from(at).ok()?));
    }
    fraction.truncate(decimals);
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if decimals == 0 { "" } else { "." };
    Some(format!("{minus}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ExpectedRow;
    use crate::batch::Place;
    use crate::copy::CopyRows;
    use contracts::score::MAX_SCALE;
    use contracts::{EventTime, Score, ScoreEvent};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numeric_reads_as_the_score_that_was_written(units in -999_999_999_999_999_999i64..1_000_000_000_000_000_000, decimals in 0..=MAX_SCALE) {
            let score = Score::new(units, decimals);
            let mut rows = CopyRows::default();
            rows.numeric(score);
            prop_assert_eq!(numeric(&rows.bytes()[4..]), Some(score.to_string()));
        }
    }

    #[test]
    fn each_column_that_differs_is_named_with_both_values() {
        let place =
            |millis| Place { partition: 3, offset: 7, arrived_at: EventTime::from_millis(millis).unwrap() };
        let event = |text: &str| ScoreEvent::decode(Some(text.as_bytes()), place(0).arrived_at).unwrap();
        let mut row = ExpectedRow::default();
        let one = row.event(place(0), &event(r#"{"score":5,"user_id":1}"#)).to_vec();
        let other = row.event(place(86_400_000), &event(r#"{"score":-0.5,"user_id":2,"tags":{"a":"b"}}"#));
        let found: Vec<(&str, String, String)> = differing_columns(Table::Events, &one, other)
            .into_iter()
            .map(|difference| (difference.column, difference.expected, difference.found))
            .collect();
        let expected = [
            ("arrived_on", "1970-01-01", "1970-01-02"),
            ("arrived_at", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"),
            ("user_id", "1", "2"),
            ("score", "5", "-0.5"),
            ("tags", "null", r#"{"a":"b"}"#),
        ];
        let expected = expected.map(|(column, one, other)| (column, one.to_owned(), other.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(player_of(&one).as_deref(), Some("1"));
        assert_eq!(differing_columns(Table::Events, &one, &one), []);
    }
}
