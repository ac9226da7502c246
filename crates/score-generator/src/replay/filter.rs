//! `--where`: which rows to send.

use super::mapping::check_column;
use super::pairs::{Pair, Pairs};
use super::row::{Cell, Row};
use crate::Misuse;

/// Conditions that must all hold. Texts are compared as they are; a JSON value that is absent or
/// `null` is the empty text.
#[derive(Clone, Debug)]
pub struct Filter(Vec<Pair>);

impl Filter {
    /// Puts the lists of several flags together.
    ///
    /// # Errors
    /// When a column is not among `columns` (where those are known).
    pub fn new(lists: &[Pairs], columns: Option<&[String]>) -> Result<Self, Misuse> {
        let conditions: Vec<Pair> = lists.iter().flat_map(|list| list.0.iter().cloned()).collect();
        for condition in &conditions {
            check_column(&condition.left, "--where", columns)?;
        }
        Ok(Self(conditions))
    }

    /// Whether the row is to be sent.
    #[must_use]
    pub fn lets_through(&self, row: &Row<'_>) -> bool {
        self.0.iter().all(|condition| {
            let text = row.cell(&condition.left).map(Cell::text).unwrap_or_default();
            (text == condition.right) != condition.negated
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn lets_through(conditions: &[&str], cells: &[(&'static str, Cell<'static>)]) -> bool {
        let lists: Vec<Pairs> = conditions.iter().map(|list| list.parse().unwrap()).collect();
        let cells = cells.iter().map(|(name, cell)| (Cow::Borrowed(*name), *cell)).collect();
        Filter::new(&lists, None).unwrap().lets_through(&Row { line: 1, cells })
    }

    #[test]
    fn all_conditions_must_hold() {
        let cells = [("own_goal", Cell::Text("FALSE")), ("team", Cell::Text("Malta"))];
        assert!(lets_through(&[], &cells));
        assert!(lets_through(&["own_goal=FALSE,team=Malta"], &cells));
        assert!(lets_through(&["own_goal=FALSE", "team!=Italy"], &cells));
        assert!(!lets_through(&["own_goal=FALSE", "team!=Malta"], &cells));
        assert!(!lets_through(&["own_goal=false"], &cells));
    }

    #[test]
    fn json_values_are_compared_by_their_text() {
        let cells = [("own", Cell::Json("false")), ("n", Cell::Json("7")), ("t", Cell::Json("null"))];
        assert!(lets_through(&["own=false,n=7,t='',absent=''"], &cells));
        assert!(!lets_through(&["absent!=''"], &cells));
    }

    #[test]
    fn unknown_column_is_named_and_the_known_ones_listed() {
        let columns = ["date".to_owned(), "scorer".to_owned()];
        let error = Filter::new(&["goal=1".parse().unwrap()], Some(&columns)).unwrap_err();
        assert_eq!(error.to_string(), "--where: there is no column `goal`; the columns are: date, scorer");
    }
}
