//! The rows of a file, as events.
//!
//! Read in this order: [`pairs`] reads the lists of `--map` and `--where`, [`row`] is what a
//! file is made of, [`mapping`] makes an event of a row, [`filter`] leaves rows out.

pub mod filter;
pub mod mapping;
pub mod pairs;
pub mod row;

mod csv_rows;
mod json_rows;

use crate::load::faults::Kind;
use crate::outlet::{Handed, Outgoing, Outlet};
use crate::pace::{Lag, Pace};
use crate::settings::{Format, ReplaySettings};
use crate::{Misuse, Stop};
use anyhow::Context as _;
use contracts::{EventTime, ScoreEvent};
use csv_rows::CsvRows;
use filter::Filter;
use json_rows::JsonRows;
use mapping::Mapping;
use row::{Row, RowSource};
use serde::Serialize;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How many refused rows are kept for the report; a file with more is not what it was said to be.
const MAX_REFUSALS_KEPT: usize = 1_000_000;

/// A row that could not be an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The line of the file on which the row begins, counted from 1.
    pub line: u64,
    /// The column at fault, where there is one.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What was done with a file's rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rows {
    /// Rows read, without the header.
    pub read: u64,
    /// Rows that `--where` left out.
    pub filtered: u64,
    /// Rows that could not be events.
    pub refused: u64,
    /// They, in order; the first million of them.
    pub refusals: Vec<Refused>,
}

impl Rows {
    fn refuse(&mut self, refused: Refused) {
        self.refused += 1;
        if self.refusals.len() < MAX_REFUSALS_KEPT {
            self.refusals.push(refused);
        }
    }
}

/// A file on its way.
pub struct Replay<'a> {
    source: Box<dyn RowSource + 'a>,
    mapping: Mapping,
    filter: Filter,
    speed: Option<f64>,
    rows: Rows,
}

impl<'a> Replay<'a> {
    /// Reads as much of `file` as is needed to check `--map` and `--where` against it.
    ///
    /// # Errors
    /// [`Misuse`] when they ask for what is not there; otherwise reading failed.
    pub fn open(settings: &ReplaySettings, file: impl Read + 'a) -> anyhow::Result<Self> {
        let source: Box<dyn RowSource + 'a> = match format(settings)? {
            Format::Csv => Box::new(CsvRows::new(file)?),
            Format::Jsonl => Box::new(JsonRows::new(file)),
        };
        let mapping = Mapping::new(&settings.map, &settings.missing, source.columns())?;
        let filter = Filter::new(&settings.filter, source.columns())?;
        Ok(Self { source, mapping, filter, speed: settings.speed, rows: Rows::default() })
    }

    /// Sends the rows. Returns how late they were.
    ///
    /// # Errors
    /// When the file cannot be read, or no event will ever get through.
    pub fn run(&mut self, outlet: &mut dyn Outlet, stop: &Stop) -> anyhow::Result<Lag> {
        let mut pace = Pace::start(stop, None);
        let mut tempo = Tempo { speed: self.speed, first: None };
        let mut payload = Vec::new();
        while let Some(row) = self.source.next_row().context("reading the file")? {
            self.rows.read += 1;
            let made = match row {
                Ok(row) if !self.filter.lets_through(&row) => {
                    self.rows.filtered += 1;
                    continue;
                }
                Ok(row) => make_event(&self.mapping, &row, &mut payload),
                Err(refused) => Err(refused),
            };
            let event = match made {
                Ok(event) => event,
                Err(refused) => {
                    self.rows.refuse(refused);
                    continue;
                }
            };
            let due = tempo.due(event.created_at);
            let Some(intended) = pace.until(due, outlet)? else { break };
            let key = event.player.as_str().as_bytes();
            let handed = outlet.send(&Outgoing { key, payload: &payload, kind: Kind::Good, intended })?;
            if handed == Handed::Stopped {
                break;
            }
            pace.handed(due, handed);
        }
        // At full speed nothing is due at a set time, so nothing is late.
        Ok(pace.lag())
    }

    /// What was done with the rows.
    #[must_use]
    pub fn into_rows(self) -> Rows {
        self.rows
    }
}

/// Makes an event's bytes of a row, and has them judged as the pipeline would if they arrived now.
fn make_event(mapping: &Mapping, row: &Row<'_>, payload: &mut Vec<u8>) -> Result<ScoreEvent, Refused> {
    mapping.write_event(row, payload)?;
    ScoreEvent::decode(Some(payload), arrival()).map_err(|refusal| Refused {
        line: row.line,
        column: refusal.field.as_deref().map(|field| mapping.column_of(field).to_owned()),
        reason: refusal.message,
    })
}

fn arrival() -> EventTime {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
    EventTime::from_micros(micros).expect("the system's clock is before the year 9999")
}

/// When rows are due, by the distances between their `created_at`.
struct Tempo {
    speed: Option<f64>,
    first: Option<EventTime>,
}

impl Tempo {
    fn due(&mut self, created_at: EventTime) -> Option<Duration> {
        let speed = self.speed?;
        let first = *self.first.get_or_insert(created_at);
        let micros = created_at.micros().saturating_sub(first.micros());
        // A row older than the first was due before the start: it goes at once.
        let recorded = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        Some(Duration::try_from_secs_f64(recorded.as_secs_f64() / speed).unwrap_or(Duration::MAX))
    }
}

fn format(settings: &ReplaySettings) -> Result<Format, Misuse> {
    if let Some(format) = settings.format {
        return Ok(format);
    }
    let extension = Path::extension(&settings.file).and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson" | "json") => Ok(Format::Jsonl),
        _ => Err(Misuse::new(format!(
            "{}: its name does not say what it is (.csv, .jsonl, .ndjson, .json): use --format",
            settings.file.display()
        ))),
    }
}

#[cfg(test)]
mod tests;
