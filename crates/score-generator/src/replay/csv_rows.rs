//! Rows of a CSV file with a header row.

use super::Refused;
use super::row::{Cell, Row, RowResult, RowSource};
use crate::Misuse;
use anyhow::Context as _;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::borrow::Cow;
use std::io::Read;

/// Reads CSV (RFC 4180, UTF-8).
pub(super) struct CsvRows<R> {
    reader: Reader<R>,
    columns: Vec<String>,
    record: ByteRecord,
}

impl<R: Read> CsvRows<R> {
    /// Reads the header row.
    pub(super) fn new(file: R) -> anyhow::Result<Self> {
        // Rows of another length are told apart here, not by the reader, to name both lengths.
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let header = reader.headers().context("reading the header row")?;
        let columns: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        if columns.is_empty() {
            return Err(Misuse::new("the file is empty: a CSV file begins with a header row").into());
        }
        Ok(Self { reader, columns, record: ByteRecord::new() })
    }
}

impl<R: Read> RowSource for CsvRows<R> {
    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }

    fn next_row(&mut self) -> anyhow::Result<Option<RowResult<'_>>> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(row(line, &self.columns, &self.record)))
    }
}

fn row<'a>(line: u64, columns: &'a [String], record: &'a ByteRecord) -> RowResult<'a> {
    if record.len() != columns.len() {
        let reason = format!("has {} fields; the header has {}", record.len(), columns.len());
        return Err(Refused { line, column: None, reason });
    }
    let cells = columns.iter().zip(record).map(|(column, field)| match std::str::from_utf8(field) {
        Ok(text) => Ok((Cow::Borrowed(column.as_str()), Cell::Text(text))),
        Err(error) => {
            Err(Refused { line, column: Some(column.clone()), reason: format!("is not UTF-8: {error}") })
        }
    });
    Ok(Row { line, cells: cells.collect::<Result<_, _>>()? })
}
