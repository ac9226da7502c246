//! Rows of a file, whatever its format.

use super::Refused;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Text without a type, as CSV has it.
    Text(&'a str),
    /// A JSON value as it is written.
    Json(&'a str),
}

impl<'a> Cell<'a> {
    /// The value as text: what a JSON string says, nothing for `null`, JSON itself otherwise.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Json("null") => Cow::Borrowed(""),
            // A lone surrogate is no text; the raw value then goes on and is refused by decode.
            Self::Json(raw) if raw.starts_with('"') => {
                serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned)
            }
            Self::Json(raw) => Cow::Borrowed(raw),
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// Its values by column, in the file's order.
    pub cells: Vec<(Cow<'a, str>, Cell<'a>)>,
}

impl<'a> Row<'a> {
    /// The value in `column`, the first where several have that name.
    #[must_use]
    pub fn cell(&self, column: &str) -> Option<Cell<'a>> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| *cell)
    }
}

/// A row, or why the file has none at that place.
pub type RowResult<'a> = Result<Row<'a>, Refused>;

/// Reads a file row by row.
pub trait RowSource {
    /// The columns that every row has; `None` when each row brings its own.
    fn columns(&self) -> Option<&[String]>;

    /// The next row; `None` at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read on.
    fn next_row(&mut self) -> anyhow::Result<Option<RowResult<'_>>>;
}

/// Whether `text` is one JSON number, of whatever size.
#[must_use]
pub fn is_json_number(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    begins && !text.ends_with(char::is_whitespace) && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_the_text_that_a_person_sees() {
        for (cell, text) in [
            (Cell::Text("NA"), "NA"),
            (Cell::Json("null"), ""),
            (Cell::Json("\"null\""), "null"),
            (Cell::Json("\"a\\u00e9\""), "aé"),
            (Cell::Json("1.50"), "1.50"),
            (Cell::Json("false"), "false"),
        ] {
            assert_eq!(cell.text(), text);
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-1", "1.5", "1e400", "100000000000000000000000"] {
            assert!(is_json_number(text), "{text}");
        }
        for text in ["", "+1", "01", "1,5", "1 ", " 1", "0x1", "NaN", "\"1\"", "-", "1.", "true"] {
            assert!(!is_json_number(text), "{text}");
        }
    }
}
