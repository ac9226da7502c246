//! Taking binary COPY apart. Pure. The format is the one that [`crate::copy`] writes.

use crate::audit::{ArchivedRow, Table};
use crate::batch::Place;
use crate::copy::{CopyRows, DAY_MICROS, HEADER, POSTGRES_EPOCH_DAYS};
use crate::finals::FinalRow;
use anyhow::Context as _;
use contracts::score::MAX_SCALE;
use contracts::{EventTime, PlayerId, Score, ScoreEvent};
use std::collections::BTreeMap;

/// The place of the partition's column in each table; the offset's follows it.
const PARTITION_COLUMN: [(Table, usize); 2] = [(Table::Events, 1), (Table::Refused, 0)];
/// The place of `tags` in `leaderboard.game_score`.
const TAGS_COLUMN: usize = 9;
const LENGTH_BYTES: usize = 4;

/// The rows in the messages of one copy.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    begun: bool,
    ended: bool,
}

impl Unpacked {
    /// The rows of a message. The server sends whole rows; the first has the header before it.
    pub(crate) fn rows<'a>(
        &mut self,
        mut message: &'a [u8],
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Fields<'a>>>> {
        if !self.begun {
            message = message.strip_prefix(HEADER).context("the copy has no header, or another version")?;
            self.begun = true;
        }
        Ok(std::iter::from_fn(move || {
            if message.is_empty() || self.ended {
                return None;
            }
            if message.starts_with(&(-1i16).to_be_bytes()) {
                self.ended = true;
                return None;
            }
            let row = Fields::take_row(&mut message).context("a row of the copy is cut off");
            if row.is_err() {
                message = &[];
            }
            Some(row)
        }))
    }

    /// Whether the trailer was there.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

/// The fields of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    /// The row with the number of its fields before it.
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the row that these bytes are.
    pub(crate) fn of(whole: &'a [u8]) -> Self {
        Self { whole, rest: whole.get(2..).unwrap_or_default() }
    }

    fn take_row(message: &mut &'a [u8]) -> Option<Self> {
        let (count, mut rest) = message.split_first_chunk::<2>()?;
        for _ in 0..i16::from_be_bytes(*count) {
            take_field(&mut rest)?;
        }
        let whole = &message[..message.len() - rest.len()];
        *message = rest;
        Some(Self::of(whole))
    }

    /// The next field, which must be there and not null.
    fn required(&mut self) -> anyhow::Result<&'a [u8]> {
        self.next().flatten().context("a field is missing")
    }

    fn number<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        self.required()?.try_into().context("a number has another size")
    }

    fn integer(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_be_bytes(self.number()?))
    }

    fn bigint(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_be_bytes(self.number()?))
    }

    fn time(&mut self) -> anyhow::Result<EventTime> {
        time_of(self.bigint()?).context("a time is beyond the years 1 to 9999")
    }

    fn text(&mut self) -> anyhow::Result<&'a str> {
        Ok(std::str::from_utf8(self.required()?)?)
    }

    fn optional_text(&mut self) -> anyhow::Result<Option<&'a str>> {
        Ok(self.next().flatten().map(std::str::from_utf8).transpose()?)
    }
}

/// A null is `Some(None)`.
impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        take_field(&mut self.rest)
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        *rest = after;
        return Some(None);
    };
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Some(field))
}

/// The time in a `timestamptz` field; its infinities are none.
pub(crate) fn time_of(micros_since_2000: i64) -> Option<EventTime> {
    let epoch_micros = i64::from(POSTGRES_EPOCH_DAYS) * DAY_MICROS;
    EventTime::from_micros(micros_since_2000.checked_add(epoch_micros)?)
}

/// A row with its coordinates; `canonical` is where it is put together anew if need be.
pub(crate) fn archived_row<'a>(
    table: Table,
    row: Fields<'a>,
    canonical: &'a mut Vec<u8>,
) -> anyhow::Result<ArchivedRow<'a>> {
    let mut fields = row;
    let before = PARTITION_COLUMN.iter().find(|(other, _)| *other == table).map_or(0, |(_, column)| *column);
    for _ in 0..before {
        fields.next();
    }
    let (partition, offset) = (fields.integer()?, fields.bigint()?);
    let mut columns = row.whole;
    if table == Table::Events {
        for _ in before + 2..TAGS_COLUMN {
            fields.next();
        }
        let begin = row.whole.len() - fields.rest.len();
        if let Some(tags) = fields.next().flatten().and_then(writers_form) {
            let end = row.whole.len() - fields.rest.len();
            canonical.clear();
            canonical.extend_from_slice(&row.whole[..begin]);
            canonical.extend_from_slice(tags.bytes());
            canonical.extend_from_slice(&row.whole[end..]);
            columns = canonical;
        }
    }
    Ok(ArchivedRow { table, partition, offset, columns })
}

/// The tags as they are written; `None` for what was never written so, which stays as it is.
fn writers_form(jsonb: &[u8]) -> Option<CopyRows> {
    let (_version, text) = jsonb.split_first()?;
    let tags: BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
    let mut rows = CopyRows::default();
    rows.jsonb_strings(&tags);
    // An empty object is written as null: one that stands there is another row.
    (!tags.is_empty()).then_some(rows)
}

/// The score in a `numeric` field; `None` for what no score is.
fn score_of(numeric: &[u8]) -> Option<Score> {
    const DIGITS_OF_ONE: i32 = 4;
    let mut parts = numeric.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (_count, weight, sign, decimals) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let decimals = u8::try_from(decimals).ok().filter(|decimals| *decimals <= MAX_SCALE)?;
    let mut units = 0i128;
    for (digit, below) in parts.zip(0..) {
        let exponent = DIGITS_OF_ONE * (i32::from(weight) - below) + i32::from(decimals);
        let power = 10i128.checked_pow(exponent.unsigned_abs())?;
        let digit = i128::from(digit);
        // What lies below the last decimal are zeros.
        units += if exponent < 0 { digit / power } else { digit.checked_mul(power)? };
    }
    let units = i64::try_from(units).ok()?;
    match sign {
        0 => Some(Score::new(units, decimals)),
        0x4000 => Some(Score::new(-units, decimals)),
        _ => None,
    }
}

/// The event in a row of `arrived_at`, the coordinates, and what an event has, in the order of
/// [`crate::history::copy_events`].
pub(crate) fn archived_event(mut fields: Fields<'_>) -> anyhow::Result<(Place, ScoreEvent)> {
    let (partition, offset) = (fields.integer()?, fields.bigint()?);
    let (arrived_at, created_at) = (fields.time()?, fields.time()?);
    let player = PlayerId::new(fields.text()?)?;
    let score = score_of(fields.required()?).context("a score is none that events have")?;
    let event_id = fields.optional_text()?.map(Into::into);
    let nickname = fields.optional_text()?.map(Into::into);
    let tags = match fields.next().flatten() {
        None => BTreeMap::new(),
        Some(jsonb) => serde_json::from_slice(jsonb.get(1..).unwrap_or_default()).context("tags")?,
    };
    let unknown = BTreeMap::new();
    let event = ScoreEvent { player, score, created_at, event_id, nickname, tags, unknown };
    Ok((Place { partition, offset, arrived_at }, event))
}

/// A player's place, in a row of double, player and score.
pub(crate) fn final_row(mut fields: Fields<'_>) -> anyhow::Result<FinalRow> {
    let sorted_set_score = f64::from_be_bytes(fields.number()?);
    let player = PlayerId::new(fields.text()?)?;
    let score = score_of(fields.required()?).context("a score is none that boards have")?;
    Ok(FinalRow { sorted_set_score, player, score })
}

/// A place, and who stands there in a window that is over.
pub(crate) fn placed_row(mut fields: Fields<'_>) -> anyhow::Result<(i64, FinalRow)> {
    Ok((fields.bigint()?, final_row(fields)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ExpectedRow;
    use crate::copy::TRAILER;
    use proptest::prelude::*;

    fn place(offset: i64) -> Place {
        Place { partition: 3, offset, arrived_at: EventTime::from_millis(1_795_262_400_123).unwrap() }
    }

    fn event(more: &str) -> ScoreEvent {
        let text = format!(r#"{{"score":5,"user_id":1{more}}}"#);
        ScoreEvent::decode(Some(text.as_bytes()), place(0).arrived_at).unwrap()
    }

    proptest! {
        #[test]
        fn score_is_read_as_it_was_written(
            units in -999_999_999_999_999_999i64..1_000_000_000_000_000_000,
            decimals in 0..=MAX_SCALE,
        ) {
            let score = Score::new(units, decimals);
            let mut rows = CopyRows::default();
            rows.numeric(score);
            prop_assert_eq!(score_of(&rows.bytes()[LENGTH_BYTES..]), Some(score));
        }
    }

    #[test]
    fn rows_come_out_of_messages_as_they_went_in() {
        let mut expected = ExpectedRow::default();
        let first = expected.event(place(7), &event("")).to_vec();
        let second = expected.event(place(8), &event(r#","nickname":"Zoë""#)).to_vec();
        let mut unpacked = Unpacked::default();
        let mut found = Vec::new();
        for message in [[HEADER, &first].concat(), second.clone(), TRAILER.to_vec()] {
            for row in unpacked.rows(&message).unwrap() {
                let mut canonical = Vec::new();
                let row = archived_row(Table::Events, row.unwrap(), &mut canonical).unwrap();
                found.push((row.partition, row.offset, row.columns.to_vec()));
            }
        }
        assert_eq!(found, [(3, 7, first), (3, 8, second)]);
        assert!(unpacked.ended());
    }

    #[test]
    fn tags_are_brought_back_to_the_writers_form() {
        let mut expected = ExpectedRow::default();
        let written = expected.event(place(7), &event(r#","tags":{"b":"2","aaa":"1"},"x":1"#)).to_vec();
        let text = br#"{"aaa":"1","b":"2"}"#;
        let at = written.windows(text.len()).position(|bytes| bytes == text).unwrap();
        // As Postgres prints it: shorter keys first, with spaces.
        let printed = br#"{"b": "2", "aaa": "1"}"#;
        let length = i32::try_from(printed.len() + 1).unwrap().to_be_bytes();
        let read =
            [&written[..at - 5], &length, &[1], printed.as_slice(), &written[at + text.len()..]].concat();
        let mut canonical = Vec::new();
        let row = archived_row(Table::Events, Fields::of(&read), &mut canonical).unwrap();
        assert_eq!(row.columns, written);
    }

    #[test]
    fn a_row_that_is_cut_off_is_an_error() {
        let whole = ExpectedRow::default().event(place(7), &event("")).to_vec();
        let message = [HEADER, &whole[..whole.len() - 1]].concat();
        let mut unpacked = Unpacked::default();
        let rows: Vec<_> = unpacked.rows(&message).unwrap().collect();
        assert!(rows.len() == 2 || rows[0].is_err(), "{rows:?}");
        assert!(!unpacked.ended());
    }
}
