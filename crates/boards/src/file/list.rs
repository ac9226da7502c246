//! The boards of the file among each other.

use super::reader::{Entry, Reader};
use crate::rules::Board;
use toml::de::{DeArray, DeTable, DeValue};

/// Every event is held against every board.
const MAX_BOARDS: usize = 100;
/// What other keys in Redis begin with: `player:<id>` is a name, not the board of a value.
const TAKEN_BEFORE_VALUES: [&str; 2] = ["player", "idempotency"];
/// What the key of a board's snapshot in Redis ends with.
const CACHE_SUFFIX: &str = "-cache";

impl Reader<'_> {
    /// All of them; only without faults can they be relied on.
    pub(super) fn boards(&mut self) -> Vec<Board> {
        let mut boards = Vec::new();
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            Err(error) => {
                self.fault(error.span().unwrap_or_default(), error.message());
                return boards;
            }
        };
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("board", DeValue::Array(list)) => self.list(list, &mut boards),
                (name, _) => {
                    self.fault(key.span(), format!("`{name}` is not known; boards stand under [[board]]"));
                }
            }
        }
        if boards.is_empty() && self.faults.is_empty() {
            self.fault(0..0, "no [[board]] is given");
        }
        boards
    }

    fn list(&mut self, list: &DeArray<'_>, boards: &mut Vec<Board>) {
        if let Some(beyond) = list.get(MAX_BOARDS) {
            self.fault(beyond.span(), format!("there are more than {MAX_BOARDS} boards"));
        }
        for value in list.iter().take(MAX_BOARDS) {
            let Some(entry) = Entry::of(value) else {
                self.fault(value.span(), "a board is written as [[board]]");
                continue;
            };
            let board = self.board(&entry);
            self.check_name(&entry, &board, boards);
            if boards.is_empty() && board.per_value.is_some() {
                let reason = "the first board, which the plain websocket shows, cannot be per value";
                self.fault(entry.span_of("match"), reason);
            }
            boards.push(board);
        }
    }

    /// Names differ, and so do the keys in Redis that are made of them.
    fn check_name(&mut self, entry: &Entry<'_, '_>, board: &Board, others: &[Board]) {
        let (name, span) = (&board.name, entry.span_of("name"));
        if name.is_empty() {
            return;
        }
        if board.per_value.is_some() && TAKEN_BEFORE_VALUES.contains(&name.as_str()) {
            let reason = format!("a board per value cannot be called \"{name}\": other keys begin with it");
            self.fault(span.clone(), reason);
        }
        for Board { name: other, .. } in others {
            let caches = |one: &str, of: &str| one.strip_suffix(CACHE_SUFFIX) == Some(of);
            if other == name {
                self.fault(span.clone(), format!("there are two boards \"{name}\""));
            } else if caches(name, other) || caches(other, name) {
                let reason = format!(
                    "there cannot be both \"{other}\" and \"{name}\": one would be the key of the other's \
                     snapshot"
                );
                self.fault(span.clone(), reason);
            }
        }
    }
}
