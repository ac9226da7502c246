//! `--map`: how an event is made of a row.

use super::Refused;
use super::pairs::{Pair, Pairs, Quoting};
use super::row::{Cell, Row, is_json_number};
use crate::Misuse;
use std::fmt;

/// A member of the event, in the order in which members are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Score,
    UserId,
    CreatedAt,
    EventId,
    Nickname,
    Tag(String),
}

impl Member {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "score" => Self::Score,
            "user_id" => Self::UserId,
            "created_at" => Self::CreatedAt,
            "event_id" => Self::EventId,
            "nickname" => Self::Nickname,
            _ => Self::Tag(name.strip_prefix("tags.").filter(|tag| !tag.is_empty())?.to_owned()),
        })
    }

    /// Its name in the event; all tags are in one member.
    fn field(&self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::UserId => "user_id",
            Self::CreatedAt => "created_at",
            Self::EventId => "event_id",
            Self::Nickname => "nickname",
            Self::Tag(_) => "tags",
        }
    }

    /// An event without a player or a score is none; without `created_at` it would be one of
    /// today, which is not what a file of the past means.
    fn must_have_value(&self) -> bool {
        matches!(self, Self::Score | Self::UserId | Self::CreatedAt)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(name) => write!(f, "tags.{name}"),
            other => f.write_str(other.field()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Column(String),
    Number(String),
    Text(String),
}

/// How events are made of rows.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// `None`: each row is a JSON object that already is an event.
    members: Option<Vec<(Member, Source)>>,
    missing: Vec<String>,
}

impl Mapping {
    /// Reads the lists of `--map` against the file's columns; without lists, members come from
    /// the columns of their own names. `missing` are the texts that mean "no value".
    ///
    /// # Errors
    /// When a member or a source is none, or the required members are not mapped.
    pub fn new(lists: &[Pairs], missing: &[String], columns: Option<&[String]>) -> Result<Self, Misuse> {
        let members = match (lists, columns) {
            ([], None) => None,
            ([], Some(columns)) => Some(members_by_name(columns)),
            (lists, columns) => Some(members_by_list(lists, columns)?),
        };
        if let Some(members) = &members {
            for required in [Member::UserId, Member::Score] {
                if !members.iter().any(|(member, _)| *member == required) {
                    return Err(Misuse::new(format!(
                        "nothing says where `{required}` comes from: --map {required}=…{}",
                        listed(columns)
                    )));
                }
            }
        }
        Ok(Self { members, missing: missing.to_vec() })
    }

    /// Writes the event that `row` means, replacing what is in `out`. Whether the event is one
    /// is for `contracts` to say.
    ///
    /// # Errors
    /// When a required value is missing, or the score is no number.
    pub fn write_event(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
        out.clear();
        out.push(b'{');
        match &self.members {
            Some(members) => self.write_members(members, row, out)?,
            None => self.write_whole(row, out),
        }
        out.push(b'}');
        Ok(())
    }

    /// The column that a member of the event came from; its own name where it came from none.
    #[must_use]
    pub fn column_of<'a>(&'a self, field: &'a str) -> &'a str {
        let of_field = |(member, _): &&(Member, Source)| member.field() == field && field != "tags";
        match self.members.iter().flatten().find(of_field) {
            Some((_, Source::Column(column))) => column,
            _ => field,
        }
    }

    fn write_members(
        &self,
        members: &[(Member, Source)],
        row: &Row<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let mut in_tags = false;
        for (member, source) in members {
            let cell = match source {
                Source::Number(number) => Some(Cell::Json(number)),
                Source::Text(text) => Some(Cell::Text(text)),
                Source::Column(column) => row.cell(column).filter(|cell| !self.is_missing(*cell)),
            };
            let refuse = |reason| Refused {
                line: row.line,
                column: Some(match source {
                    Source::Column(column) => column.clone(),
                    Source::Number(_) | Source::Text(_) => member.to_string(),
                }),
                reason,
            };
            let Some(cell) = cell else {
                if member.must_have_value() {
                    return Err(refuse(no_value(member, row, source)));
                }
                continue;
            };
            match member {
                Member::Tag(name) => {
                    if in_tags {
                        out.push(b',');
                    } else {
                        write_name("tags", out);
                        out.push(b'{');
                        in_tags = true;
                    }
                    write_string(name, out);
                    out.push(b':');
                }
                other => write_name(other.field(), out),
            }
            match (member, cell) {
                (Member::Score, Cell::Text(text)) if !is_json_number(text) => {
                    return Err(refuse(format!("`score` is not a number: `{text}`")));
                }
                (Member::Score, Cell::Text(raw)) | (Member::Score | Member::UserId, Cell::Json(raw)) => {
                    out.extend_from_slice(raw.as_bytes());
                }
                (Member::UserId, Cell::Text(text)) => write_user_id(text, out),
                // No text says what they mean; `contracts` refuses them where they stand.
                (_, Cell::Json(raw)) if raw.starts_with(['{', '[']) => out.extend_from_slice(raw.as_bytes()),
                (_, cell) => write_string(&cell.text(), out),
            }
        }
        if in_tags {
            out.push(b'}');
        }
        Ok(())
    }

    fn write_whole(&self, row: &Row<'_>, out: &mut Vec<u8>) {
        for (name, cell) in &row.cells {
            let raw = match cell {
                Cell::Json(raw) | Cell::Text(raw) => raw,
            };
            // Of members that we do not know, every value may mean something.
            if Member::parse(name).is_some() && self.is_missing(*cell) {
                continue;
            }
            write_name(name, out);
            out.extend_from_slice(raw.as_bytes());
        }
    }

    fn is_missing(&self, cell: Cell<'_>) -> bool {
        let text = cell.text();
        text.is_empty() || self.missing.iter().any(|missing| *missing == *text)
    }
}

fn no_value(member: &Member, row: &Row<'_>, source: &Source) -> String {
    let text = match source {
        Source::Column(column) => row.cell(column).map(Cell::text).unwrap_or_default(),
        Source::Number(_) | Source::Text(_) => unreachable!("a literal is a value"),
    };
    if text.is_empty() {
        format!("`{member}` has no value")
    } else {
        format!("`{member}` has no value: `{text}`")
    }
}

fn members_by_name(columns: &[String]) -> Vec<(Member, Source)> {
    let mut members: Vec<_> = columns
        .iter()
        .filter_map(|column| Some((Member::parse(column)?, Source::Column(column.clone()))))
        .collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|(one, _), (other, _)| one == other);
    members
}

fn members_by_list(lists: &[Pairs], columns: Option<&[String]>) -> Result<Vec<(Member, Source)>, Misuse> {
    let mut members: Vec<(Member, Source)> = Vec::new();
    for pair in lists.iter().flat_map(|list| &list.0) {
        let Some(member) = Member::parse(&pair.left) else {
            return Err(Misuse::new(format!(
                "--map: an event has no member `{}`; it has user_id, score, created_at, event_id, \
                 nickname and tags.NAME",
                pair.left
            )));
        };
        if pair.negated {
            return Err(Misuse::new(format!("--map: `{member}!=…` means nothing; `!=` is for --where")));
        }
        if members.iter().any(|(other, _)| *other == member) {
            return Err(Misuse::new(format!("--map: `{member}` is mapped twice")));
        }
        members.push((member, source(pair, columns)?));
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(members)
}

fn source(pair: &Pair, columns: Option<&[String]>) -> Result<Source, Misuse> {
    let text = pair.right.clone();
    let is_column = columns.is_some_and(|columns| columns.contains(&text));
    match pair.quoting {
        Quoting::Single => Ok(Source::Text(text)),
        Quoting::Bare if !is_column && is_json_number(&text) => Ok(Source::Number(text)),
        Quoting::Bare if !is_column && (columns.is_some() || text.is_empty()) => Err(Misuse::new(format!(
            "--map {}={text}: `{text}` is neither a column nor a number nor 'text in single quotes'{}",
            pair.left,
            listed(columns)
        ))),
        Quoting::Bare | Quoting::Double => {
            check_column(&text, "--map", columns)?;
            Ok(Source::Column(text))
        }
    }
}

/// Refuses a column that is not there, or there twice, where the columns are known.
pub(super) fn check_column(column: &str, flag: &str, columns: Option<&[String]>) -> Result<(), Misuse> {
    let Some(known) = columns else { return Ok(()) };
    match known.iter().filter(|name| *name == column).count() {
        1 => Ok(()),
        0 => Err(Misuse::new(format!("{flag}: there is no column `{column}`{}", listed(columns)))),
        _ => Err(Misuse::new(format!("{flag}: several columns are called `{column}`{}", listed(columns)))),
    }
}

fn listed(columns: Option<&[String]>) -> String {
    columns.map(|columns| format!("; the columns are: {}", columns.join(", "))).unwrap_or_default()
}

/// Writes a name and its colon, behind a comma where it is not the first.
fn write_name(name: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    write_string(name, out);
    out.push(b':');
}

/// As `contracts` does: what is a whole number in its plain form is written as one.
fn write_user_id(text: &str, out: &mut Vec<u8>) {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => out.extend_from_slice(text.as_bytes()),
        _ => write_string(text, out),
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string always encodes");
}
