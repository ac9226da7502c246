//! A command as it travels.

use std::fmt;

/// A command: its name and its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Command {
    /// A command of these words.
    pub fn of<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        let mut command = Self { bytes: Vec::new(), ends: Vec::new() };
        for word in words {
            command.bytes.extend_from_slice(word.as_ref());
            command.ends.push(command.bytes.len());
        }
        command
    }

    /// The words: the name, then the arguments.
    #[must_use]
    pub fn words(&self) -> Vec<&[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| &self.bytes[begin..end]).collect()
    }
}

impl From<&redis::Cmd> for Command {
    fn from(command: &redis::Cmd) -> Self {
        Self::of(command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(word) => word,
            // A cursor, which begins at 0.
            _ => b"0",
        }))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        f.debug_list().entries(words.iter().map(|word| String::from_utf8_lossy(word))).finish()
    }
}
