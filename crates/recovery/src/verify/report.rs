//! What a run found, for people and for programs.

use crate::verify::archive::ArchivePart;
use crate::verify::board::BoardPart;
use crate::verify::finals::FinalPart;
use crate::verify::findings::Finding;
use serde::Serialize;
use service::grouped;
use std::fmt;

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The outcome.
    pub verdict: Verdict,
    /// What was read of the log.
    pub log: LogPart,
    /// Log against archive.
    pub archive: Outcome<ArchivePart>,
    /// Log against boards.
    pub boards: Vec<BoardReport>,
    /// What is wrong, by kind.
    pub differences: Vec<Finding>,
    /// How long it took.
    pub seconds: Seconds,
    /// The most memory that this process had at any time.
    pub peak_memory_bytes: Option<u64>,
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All was compared and is right.
    Right,
    /// There are differences, whether or not all could be compared.
    Differences,
    /// What could be compared is right; something could not.
    NotCompared,
}

impl Verdict {
    /// The process's exit code: 0, 1 or 2.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Right => 0,
            Self::Differences => 1,
            Self::NotCompared => 2,
        }
    }
}

/// What was read of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogPart {
    /// The topic.
    pub topic: String,
    /// How many records.
    pub records: u64,
    /// How many of them are dead letters.
    pub refused: u64,
}

/// Log against one board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoardReport {
    /// The board's name in `boards.toml`.
    pub board: String,
    /// What was compared, or why nothing was.
    #[serde(flatten)]
    pub outcome: OfBoard,
}

/// The comparison of a board, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OfBoard {
    /// It was made.
    Compared(BoardPart),
    /// It could not be made.
    NotCompared {
        /// Why.
        not_compared: String,
    },
}

impl OfBoard {
    /// Whether all of it was compared.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Compared(part) => matches!(part.finals, Outcome::Compared(_)),
            Self::NotCompared { .. } => false,
        }
    }
}

/// A comparison, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It was made.
    Compared(T),
    /// It could not be made.
    NotCompared(String),
}

impl<T: Default> Default for Outcome<T> {
    fn default() -> Self {
        Self::Compared(T::default())
    }
}

/// How long each part took, in seconds of wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Reading the log and the archive, at the same time, and naming how they differ.
    pub archive: f64,
    /// Comparing the boards with what was read of the log.
    pub boards: f64,
    /// All of it.
    pub total: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogPart { topic, records, refused } = &self.log;
        writeln!(
            f,
            "log      {} records of {topic}, {} of them refused",
            grouped(*records),
            grouped(*refused)
        )?;
        match &self.archive {
            Outcome::Compared(part) => archive(f, part)?,
            Outcome::NotCompared(why) => writeln!(f, "archive  NOT COMPARED: {why}")?,
        }
        for BoardReport { board: name, outcome } in &self.boards {
            match outcome {
                OfBoard::Compared(part) => board(f, name, part)?,
                OfBoard::NotCompared { not_compared } => {
                    writeln!(f, "board    {name} NOT COMPARED: {not_compared}")?;
                }
            }
        }
        for Finding { kind, count, first } in &self.differences {
            writeln!(f, "\n{}: {}", kind.words(), grouped(*count))?;
            for difference in first {
                writeln!(f, "  {}: {}", difference.at, difference.what)?;
            }
            if *count > first.len() as u64 {
                writeln!(f, "  and {} more (--all names them)", grouped(*count - first.len() as u64))?;
            }
        }
        let verdict = match self.verdict {
            Verdict::Right => "RIGHT",
            Verdict::Differences => "DIFFERENT",
            Verdict::NotCompared => "NOT COMPARED",
        };
        let Seconds { archive, boards, total } = self.seconds;
        write!(f, "\n{verdict} in {total:.1} s (log and archive {archive:.1} s, boards {boards:.1} s)")?;
        if let Some(bytes) = self.peak_memory_bytes {
            write!(f, ", {} MB at the most", bytes / 1_000_000)?;
        }
        writeln!(f)
    }
}

fn archive(f: &mut fmt::Formatter<'_>, part: &ArchivePart) -> fmt::Result {
    let offsets: Vec<String> =
        part.compared.iter().map(|(partition, (from, to))| format!("{partition}: {from}..{to}")).collect();
    writeln!(
        f,
        "archive  {} events and {} refused records; every column compared at the offsets {}",
        grouped(part.events),
        grouped(part.refused),
        offsets.join(", ")
    )?;
    if part.older.offsets > 0 {
        writeln!(
            f,
            "         {} offsets before those are no longer in the log; {} rows stand for them, checked only for \
             standing there once",
            grouped(part.older.offsets),
            grouped(part.older.rows)
        )?;
    }
    if part.named_again > 0 {
        writeln!(
            f,
            "         {} rows name players who were erased: they came later; `boardctl erase-player` again",
            grouped(part.named_again)
        )?;
    }
    if part.ranges_not_examined > 0 {
        writeln!(
            f,
            "         {} more ranges of 4096 offsets differ that were not looked into (--all does)",
            part.ranges_not_examined
        )?;
    }
    Ok(())
}

fn board(f: &mut fmt::Formatter<'_>, name: &str, part: &BoardPart) -> fmt::Result {
    let offsets: Vec<String> =
        part.offsets.iter().map(|(partition, to)| format!("{partition}: {to}")).collect();
    writeln!(
        f,
        "board    {name}, epoch {}: {} players in {} {}, {} compared in total and reach time, the last at {}",
        part.epoch,
        grouped(part.players),
        grouped(part.views),
        if part.views == 1 { "view" } else { "views" },
        grouped(part.compared),
        offsets.join(", ")
    )?;
    if part.from_archive > 0 {
        writeln!(
            f,
            "         {} events are no longer in the log: taken from the archive",
            grouped(part.from_archive)
        )?;
    }
    if part.coarser_reach > 0 {
        writeln!(
            f,
            "         {} players have a reach time of the coarser step that large totals leave, as documented",
            grouped(part.coarser_reach)
        )?;
    }
    if part.named_again > 0 {
        writeln!(
            f,
            "         {} players who were erased stand under their names again: `boardctl erase-player` again",
            grouped(part.named_again)
        )?;
    }
    if part.beyond_limit > 0 {
        writeln!(
            f,
            "         {} players went beyond the limit of totals and back: theirs depends on the order of events",
            grouped(part.beyond_limit)
        )?;
    }
    if part.gone_views > 0 {
        writeln!(f, "         {} views are gone from Redis by their age", grouped(part.gone_views))?;
    }
    if part.values_without_room > 0 {
        writeln!(
            f,
            "         {} values have no board: there is no room for more (max_values)",
            grouped(part.values_without_room)
        )?;
    }
    match &part.finals {
        Outcome::Compared(part) => finals(f, part)?,
        Outcome::NotCompared(why) => {
            writeln!(f, "         the final standings in the archive NOT COMPARED: {why}")?;
        }
    }
    for why in &part.read_again {
        writeln!(f, "         read again, because {why}")?;
    }
    Ok(())
}

fn finals(f: &mut fmt::Formatter<'_>, part: &FinalPart) -> fmt::Result {
    let FinalPart { windows, players, of_other_rules, without_room, left_out } = part;
    if *windows > 0 {
        writeln!(
            f,
            "         {} windows that are over: their {} final standings in the archive compared",
            grouped(*windows),
            grouped(*players)
        )?;
    }
    if *of_other_rules > 0 {
        writeln!(
            f,
            "         {} windows that are over were kept by other rules than the board has now: not compared",
            grouped(*of_other_rules)
        )?;
    }
    if *without_room > 0 {
        writeln!(
            f,
            "         {} windows that are over are of values that have no board any more: not compared",
            grouped(*without_room)
        )?;
    }
    if *left_out > 0 {
        writeln!(
            f,
            "         {} older windows that are over were not compared, to keep memory bounded (--all does)",
            grouped(*left_out)
        )?;
    }
    Ok(())
}
