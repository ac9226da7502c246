//! Reading `boards.toml`. A file with faults is refused with every one of them, line and reason.

mod board;
mod list;
mod reader;

use crate::set::BoardSet;
use reader::Reader;
use std::fmt;
use std::path::Path;

pub(crate) use reader::duration_text;

/// Everything that is wrong with a `boards.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardsError {
    file: String,
    faults: Vec<Fault>,
}

/// One thing that is wrong with a `boards.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    /// The line, from 1; 0 where it is about the file.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl BoardsError {
    /// The faults, in the order of their lines.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl std::error::Error for BoardsError {}

impl fmt::Display for BoardsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Fault { line, reason }) in self.faults.iter().enumerate() {
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
            faults: vec![Fault { line: 0, reason: format!("cannot be read: {error}") }],
        })?;
        Self::parse(&text).map_err(|error| BoardsError { file, ..error })
    }

    /// Reads the text of a `boards.toml`.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub fn parse(text: &str) -> Result<Self, BoardsError> {
        let mut reader = Reader { text, faults: Vec::new() };
        let boards = reader.boards();
        let mut faults = reader.faults;
        if faults.is_empty() {
            return Ok(Self::of(boards));
        }
        faults.sort();
        Err(BoardsError { file: "boards.toml".to_owned(), faults })
    }
}
