//! Rows of a file with one JSON object a line.

use super::Refused;
use super::row::{Cell, Row, RowResult, RowSource};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is looked at; sixteen times the largest event.
const MAX_LINE_BYTES: usize = 1024 * 1024;
const READ_BUFFER_BYTES: usize = 128 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads JSON lines. Blank lines are passed over.
pub(super) struct JsonRows<R> {
    reader: BufReader<R>,
    line: u64,
    text: Vec<u8>,
}

impl<R: Read> JsonRows<R> {
    pub(super) fn new(file: R) -> Self {
        Self { reader: BufReader::with_capacity(READ_BUFFER_BYTES, file), line: 0, text: Vec::new() }
    }

    /// Reads the next line that is not blank. Of a line that is too long the rest is passed
    /// over. False at the end of the file.
    fn read_line(&mut self) -> io::Result<bool> {
        loop {
            self.text.clear();
            let mut limited = self.reader.by_ref().take(MAX_LINE_BYTES as u64 + 1);
            if limited.read_until(b'\n', &mut self.text)? == 0 {
                return Ok(false);
            }
            self.line += 1;
            if self.text.len() > MAX_LINE_BYTES && self.text.last() != Some(&b'\n') {
                self.reader.skip_until(b'\n')?;
            }
            if self.line == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
                self.text.drain(..BYTE_ORDER_MARK.len());
            }
            if self.text.len() > MAX_LINE_BYTES || !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }
}

impl<R: Read> RowSource for JsonRows<R> {
    fn columns(&self) -> Option<&[String]> {
        None
    }

    fn next_row(&mut self) -> anyhow::Result<Option<RowResult<'_>>> {
        Ok(self.read_line()?.then(|| row(self.line, &self.text)))
    }
}

fn row(line: u64, text: &[u8]) -> RowResult<'_> {
    let refuse = |reason| Err(Refused { line, column: None, reason });
    if text.len() > MAX_LINE_BYTES {
        return refuse(format!("is longer than {MAX_LINE_BYTES} bytes"));
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => return refuse(format!("is not UTF-8: {error}")),
    };
    match serde_json::from_str::<Object<'_>>(text) {
        Ok(Object(cells)) => Ok(Row { line, cells }),
        Err(error) => {
            // serde_json counts lines within the text it was given, which is one line.
            let message = error.to_string();
            let what = message.split(" at line ").next().unwrap_or(&message);
            refuse(format!("is not a JSON object: {what} at byte {}", error.column()))
        }
    }
}

/// An object's members in their order, doubled ones too: it is not for us to choose.
struct Object<'a>(Vec<(Cow<'a, str>, Cell<'a>)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut cells = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            cells.push((name, Cell::Json(value.get())));
        }
        Ok(Object(cells))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}
