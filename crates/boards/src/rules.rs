//! The boards of a deployment, as `boards.toml` says.

use contracts::score::MAX_SCALE;
use contracts::{Refusal, RefusalClass, Score, ScoreEvent};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The largest total in either direction, counted in units of the last decimal. A total that
/// would be beyond it stays there.
pub const MAX_TOTAL_UNITS: i64 = 1_000_000_000_000_000;
/// The largest magnitude of one score, unless the board says otherwise.
const DEFAULT_MAX_SCORE: i64 = 1_000_000_000;
const DEFAULT_TOP: usize = 10;
/// How many rows a snapshot may have: it travels whole to every viewer, twice a second.
const MAX_TOP: usize = 1000;
const MAX_NAME_BYTES: usize = 64;

/// One board: every score of every player added up, for all time, the highest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The board's name: the key of its sorted set and its part in the API's paths.
    pub name: String,
    /// How many decimals scores may have.
    pub decimals: u8,
    /// How many rows a snapshot has.
    pub top: usize,
    /// The largest magnitude of one score, in whole points.
    pub max_score: i64,
}

impl Board {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), decimals: 0, top: DEFAULT_TOP, max_score: DEFAULT_MAX_SCORE }
    }

    /// What the event adds to its player's total, in units of the board's last decimal.
    ///
    /// # Errors
    /// When the score has more decimals than the board keeps or is beyond its limit.
    pub fn units(&self, event: &ScoreEvent) -> Result<i64, Refusal> {
        let refuse = |class, what: String| Refusal::of_field(class, "score", what);
        if event.score.scale() > self.decimals {
            return Err(refuse(
                RefusalClass::TooPrecise,
                format!("is {}; board {} keeps {} decimals", event.score, self.name, self.decimals),
            ));
        }
        let limit = self.max_score.saturating_mul(10i64.pow(u32::from(self.decimals)));
        event.score.units_at(self.decimals).filter(|units| units.abs() <= limit).ok_or_else(|| {
            refuse(
                RefusalClass::OutOfRange,
                format!("is {}; board {} takes {} points at most", event.score, self.name, self.max_score),
            )
        })
    }

    /// A number of units as a score.
    #[must_use]
    pub fn score(&self, units: i64) -> Score {
        Score::new(units, self.decimals)
    }

    /// A total within what a board can hold: those beyond stop at the limit.
    #[must_use]
    pub fn clamped(&self, total: i64) -> i64 {
        total.clamp(-MAX_TOTAL_UNITS, MAX_TOTAL_UNITS)
    }

    /// The rules that decide what stands in the board's sorted set. Data made under other rules
    /// means something else.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("sum desc decimals={} max_score={}", self.decimals, self.max_score)
    }
}

/// The boards of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardSet {
    board: Board,
}

impl Default for BoardSet {
    fn default() -> Self {
        Self { board: Board::named("game-score") }
    }
}

/// Everything that is wrong with a `boards.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardsError {
    file: String,
    /// (line from 1, reason), in the order of the lines.
    faults: Vec<(usize, String)>,
}

impl std::error::Error for BoardsError {}

impl fmt::Display for BoardsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, reason)) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{line}: {reason}", self.file)?;
        }
        Ok(())
    }
}

impl BoardSet {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or with everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, BoardsError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| BoardsError {
            file: file.clone(),
            faults: vec![(0, format!("cannot be read: {error}"))],
        })?;
        Self::parse(&text).map_err(|faults| BoardsError { file, faults })
    }

    /// Parses the text of a `boards.toml`; the error is every fault as (line, reason).
    fn parse(text: &str) -> Result<Self, Vec<(usize, String)>> {
        let mut file = Reader { text, faults: Vec::new() };
        let boards = file.boards();
        let mut faults = file.faults;
        if !faults.is_empty() {
            faults.sort();
            return Err(faults);
        }
        match boards.as_slice() {
            [board] => Ok(Self { board: board.clone() }),
            [] => Err(vec![(1, "no [[board]] is given".to_owned())]),
            _ => Err(vec![(1, "more than one [[board]] is given; this version keeps one".to_owned())]),
        }
    }

    /// The board that the plain websocket path shows.
    #[must_use]
    pub fn default_board(&self) -> &Board {
        &self.board
    }

    /// The board of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Board> {
        (self.board.name == name).then_some(&self.board)
    }

    /// Whether any board can take the event. Ranker and archiver ask the same, so that what is
    /// on no board is a dead letter for both.
    ///
    /// # Errors
    /// The refusal of the board that would have taken it.
    pub fn judge(&self, event: &ScoreEvent) -> Result<(), Refusal> {
        self.board.units(event).map(drop)
    }
}

/// Collects faults while it reads.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn fault(&mut self, span: Range<usize>, reason: impl Into<String>) {
        let line = self.text[..span.start.min(self.text.len())].matches('\n').count() + 1;
        self.faults.push((line, reason.into()));
    }

    fn boards(&mut self) -> Vec<Board> {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            Err(error) => {
                self.fault(error.span().unwrap_or_default(), error.message());
                return Vec::new();
            }
        };
        let mut boards = Vec::new();
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("board", DeValue::Array(list)) => {
                    boards.extend(list.iter().filter_map(|entry| self.board(entry)));
                }
                (name, _) => {
                    self.fault(key.span(), format!("`{name}` is not known; boards stand under [[board]]"));
                }
            }
        }
        boards
    }

    fn board(&mut self, entry: &Spanned<DeValue<'_>>) -> Option<Board> {
        let DeValue::Table(table) = entry.get_ref() else {
            self.fault(entry.span(), "a board is written as [[board]]");
            return None;
        };
        let mut board = Board::named("");
        for (key, value) in table {
            let span = value.span();
            match key.get_ref().as_ref() {
                "name" => board.name = self.name(value).unwrap_or_default(),
                "aggregate" => self.only(value, "aggregate", "sum"),
                "order" => self.only(value, "order", "desc"),
                "windows" => {
                    let all = matches!(value.get_ref(), DeValue::Array(list)
                        if list.len() == 1 && list[0].get_ref().as_str() == Some("all"));
                    if !all {
                        self.fault(span, "`windows` must be [\"all\"]; this version keeps no others");
                    }
                }
                "decimals" => {
                    let number = self.number(value, "decimals", 0, i64::from(MAX_SCALE));
                    board.decimals = u8::try_from(number).unwrap_or(0);
                }
                "top" => {
                    let number = self.number(value, "top", 1, i64::try_from(MAX_TOP).unwrap_or(i64::MAX));
                    board.top = usize::try_from(number).unwrap_or(DEFAULT_TOP);
                }
                "max_score" => board.max_score = self.number(value, "max_score", 1, MAX_TOTAL_UNITS),
                other => self.fault(key.span(), format!("`{other}` is not known")),
            }
        }
        if !table.keys().any(|key| key.get_ref() == "name") {
            self.fault(entry.span(), "`name` is missing");
        }
        let units = i128::from(board.max_score) * 10i128.pow(u32::from(board.decimals));
        if units > i128::from(MAX_TOTAL_UNITS) {
            let max = MAX_TOTAL_UNITS / 10i64.pow(u32::from(board.decimals));
            let reason = format!(
                "`max_score` is over {max}, the most that {} decimals leave room for",
                board.decimals
            );
            self.fault(entry.span(), reason);
        }
        Some(board)
    }

    fn name(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let name = value.get_ref().as_str().unwrap_or_default();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(allowed) {
            let reason = format!("`name` must be 1 to {MAX_NAME_BYTES} of a-z, 0-9, `.`, `_`, `-`");
            self.fault(value.span(), reason);
            return None;
        }
        Some(name.to_owned())
    }

    fn only(&mut self, value: &Spanned<DeValue<'_>>, field: &str, expected: &str) {
        if value.get_ref().as_str() != Some(expected) {
            self.fault(
                value.span(),
                format!("`{field}` must be \"{expected}\"; this version keeps no others"),
            );
        }
    }

    fn number(&mut self, value: &Spanned<DeValue<'_>>, field: &str, min: i64, max: i64) -> i64 {
        let number =
            value.get_ref().as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        number.filter(|number| (min..=max).contains(number)).unwrap_or_else(|| {
            self.fault(value.span(), format!("`{field}` must be a whole number from {min} to {max}"));
            min
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::EventTime;

    #[test]
    fn shipped_file_is_the_default() {
        let shipped = include_str!("../../../boards.toml");
        assert_eq!(BoardSet::parse(shipped), Ok(BoardSet::default()));
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "[[board]]\nname = \"Game Score\"\naggregate = \"best\"\norder = \"asc\"\nwindows = [\"day\"]\n\
                    decimals = 12\ntop = 0\nmax_score = \"lots\"\ncolour = \"red\"\n\n[other]\n";
        let lines: Vec<usize> =
            BoardSet::parse(text).unwrap_err().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 11]);
    }

    #[test]
    fn a_file_is_one_board() {
        for (text, reason) in [
            ("", "no [[board]]"),
            ("[[board]]\nname = \"a\"\n[[board]]\nname = \"b\"\n", "more than one"),
            ("[[board]]\ntop = 5\n", "`name` is missing"),
            ("[[board\n", ""),
            ("[[board]]\nname = \"a\"\ndecimals = 9\n", "`max_score` is over 1000000"),
        ] {
            let faults = BoardSet::parse(text).unwrap_err();
            assert!(faults[0].1.contains(reason), "{faults:?}");
        }
    }

    #[test]
    fn error_names_file_line_and_reason() {
        let missing = BoardSet::load(Path::new("no/such/boards.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("no/such/boards.toml:0: cannot be read"), "{missing}");
    }

    fn event(score: &str) -> ScoreEvent {
        let now = EventTime::from_micros(0).unwrap();
        ScoreEvent::decode(Some(format!(r#"{{"score":{score},"user_id":1}}"#).as_bytes()), now).unwrap()
    }

    #[test]
    fn scores_are_taken_at_the_boards_decimals_up_to_its_limit() {
        let mut board = BoardSet::default().board;
        board.max_score = 100;
        let units = |board: &Board, score| board.units(&event(score)).map_err(|refusal| refusal.class);
        assert_eq!(units(&board, "100"), Ok(100));
        assert_eq!(units(&board, "-100"), Ok(-100));
        assert_eq!(units(&board, "5.0"), Ok(5));
        assert_eq!(units(&board, "101"), Err(RefusalClass::OutOfRange));
        assert_eq!(units(&board, "-101"), Err(RefusalClass::OutOfRange));
        assert_eq!(units(&board, "0.5"), Err(RefusalClass::TooPrecise));
        board.decimals = 1;
        assert_eq!(units(&board, "0.5"), Ok(5));
        assert_eq!(units(&board, "100"), Ok(1000));
        assert_eq!(units(&board, "100.1"), Err(RefusalClass::OutOfRange));
        assert_eq!(board.score(1205).to_string(), "120.5");
    }
}
