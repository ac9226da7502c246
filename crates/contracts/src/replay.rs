//! Marks on dead letters that are sent again (topic `game-score-dlq`).
//!
//! A mark is a record without a value under the letter's own key, so it stands in the same
//! partition behind the letter, and everybody who reads that partition sees the same order. Its
//! headers:
//!
//! | header | on | what |
//! | --- | --- | --- |
//! | `replay` | both | `started` or `done` |
//! | `run` | both | which run of the tool |
//! | `at` | both | when, in ms since 1970 |
//! | `after` | `started` | the run that the letter was replayed by before; absent: none |
//! | `log_ends` | `started` | where the topic to be sent to ended, as `partition:offset,…` |
//!
//! A `started` mark counts only when its `after` is the run that the letter's last mark which
//! counts names: a compare-and-set on the log. So of two runs at once one alone sends a letter.
//! A letter with a `started` mark and no `done` is in doubt: the record that was sent carries
//! the header [`REPLAYED_FROM`], and stands behind `log_ends` or nowhere.

use std::collections::BTreeMap;

/// The header of a record that was sent again: the coordinates of the refused one.
pub const REPLAYED_FROM: &str = "replayed_from";

/// A mark on a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayMark {
    /// Which run of the tool made it.
    pub run: String,
    /// When, in milliseconds since the Unix epoch, by that run's clock.
    pub at_ms: i64,
    /// What it says.
    pub step: ReplayStep,
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayStep {
    /// The record is about to be sent.
    Started {
        /// The run that the letter was replayed by before.
        after: Option<String>,
        /// For each partition of the topic to be sent to, where it ended.
        log_ends: BTreeMap<i32, i64>,
    },
    /// The record was sent, and acknowledged.
    Done,
}

impl ReplayMark {
    /// The mark's headers, as (name, value).
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut headers =
            vec![("run", self.run.clone().into_bytes()), ("at", self.at_ms.to_string().into_bytes())];
        match &self.step {
            ReplayStep::Done => headers.push(("replay", b"done".to_vec())),
            ReplayStep::Started { after, log_ends } => {
                headers.push(("replay", b"started".to_vec()));
                if let Some(after) = after {
                    headers.push(("after", after.clone().into_bytes()));
                }
                let ends: Vec<String> = log_ends.iter().map(|(p, end)| format!("{p}:{end}")).collect();
                headers.push(("log_ends", ends.join(",").into_bytes()));
            }
        }
        headers
    }

    /// Whether a record with these headers is a mark, of this version or another.
    #[must_use]
    pub fn is_one<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> bool {
        header("replay").is_some()
    }

    /// Reads a mark from its headers; `None` when it is not one of this form.
    #[must_use]
    pub fn decode<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Self> {
        let text = |name| header(name).and_then(|value| std::str::from_utf8(value).ok());
        let step = match text("replay")? {
            "done" => ReplayStep::Done,
            "started" => ReplayStep::Started {
                after: text("after").map(str::to_owned),
                log_ends: text("log_ends")?
                    .split_terminator(',')
                    .map(|end| {
                        let (partition, offset) = end.split_once(':')?;
                        Some((partition.parse().ok()?, offset.parse().ok()?))
                    })
                    .collect::<Option<_>>()?,
            },
            _ => return None,
        };
        Some(Self { run: text("run")?.to_owned(), at_ms: text("at")?.parse().ok()?, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(step: ReplayStep) -> ReplayMark {
        ReplayMark { run: "r1".into(), at_ms: 1_795_262_400_123, step }
    }

    fn read(headers: &[(&'static str, Vec<u8>)]) -> Option<ReplayMark> {
        ReplayMark::decode(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_slice()))
    }

    #[test]
    fn marks_are_read_as_they_are_written() {
        let log_ends = BTreeMap::from([(0, 7), (5, 0)]);
        for step in [
            ReplayStep::Done,
            ReplayStep::Started { after: None, log_ends: BTreeMap::new() },
            ReplayStep::Started { after: Some("r0".into()), log_ends },
        ] {
            let mark = mark(step);
            assert_eq!(read(&mark.headers()), Some(mark));
        }
    }

    #[test]
    fn headers_are_the_documented_ones() {
        let log_ends = BTreeMap::from([(0, 7), (5, 0)]);
        let mark = mark(ReplayStep::Started { after: Some("r0".into()), log_ends });
        let expected: [(&str, &[u8]); 5] = [
            ("run", b"r1"),
            ("at", b"1795262400123"),
            ("replay", b"started"),
            ("after", b"r0"),
            ("log_ends", b"0:7,5:0"),
        ];
        let headers = mark.headers();
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, v.as_slice())).collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn what_is_not_a_mark_is_none() {
        assert_eq!(read(&[("error_class", b"not_json".to_vec())]), None);
        assert_eq!(read(&[("replay", b"paused".to_vec()), ("run", b"r".to_vec())]), None);
        assert_eq!(read(&[("replay", b"done".to_vec()), ("run", b"r".to_vec())]), None);
    }
}
