//! What a run was like.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// A fault that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// Seconds since the run began.
    pub at_s: f64,
    /// Its kind.
    pub kind: &'static str,
    /// The fault in words.
    pub fault: String,
    /// From its end until board and archive had all that was in the log by then, whatever other
    /// faults fell into that time.
    pub recovery_s: Option<f64>,
}

/// A run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What it can be repeated with.
    pub seed: u64,
    /// How long sources sent.
    pub sending_s: f64,
    /// From the last event until nothing lagged.
    pub draining_s: f64,
    /// The faults, in the order of their time.
    pub faults: Vec<Made>,
    /// Records in the log.
    pub records: u64,
    /// Of these, poison.
    pub poison: u64,
    /// Of these, the second and later ones of an id.
    pub resubmitted: u64,
    /// Of these, too late for the season that they lie in.
    pub late: u64,
    /// Views that were compared at the end: those in Redis, and final standings in the archive.
    pub views: [u64; 2],
    /// Sends that Kafka acknowledged.
    pub acknowledged: u64,
    /// Sends in the log that Kafka did not acknowledge.
    pub unacknowledged_in_log: u64,
    /// Events that a source had no room for while Kafka was away.
    pub not_taken: u64,
    /// Sends that are in the log more than once.
    pub doubled_sends: u64,
    /// How often the board was compared, and could not be.
    pub board_checks: [u64; 2],
    /// How often the archive was compared, and could not be.
    pub archive_checks: [u64; 2],
    /// How often consumers went back to where the store stands, by service and reason.
    pub rewinds: BTreeMap<String, u64>,
    /// Services that ended without being asked to.
    pub deaths: Vec<String>,
    /// How many viewers there were, and how many frames they had.
    pub viewers: [u64; 2],
    /// The longest that any viewer had no frame, and when that ended, in seconds.
    pub longest_silence_s: [f64; 2],
    /// The least that any viewer's longest silence was, and when it ended: every viewer had one
    /// as long.
    pub longest_silence_of_all_s: [f64; 2],
    /// When and how a viewer's leader had fewer points than before, under a new epoch: of the
    /// first viewer. A board that Redis lost the tail of is to be shown as it was until it has
    /// caught up.
    pub setbacks: Vec<String>,
    /// What did not hold.
    pub violations: BTreeMap<String, Vec<String>>,
}

impl Report {
    /// Whether everything held.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    /// As Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {} faults, seed {}\n", self.faults.len(), self.seed)?;
        writeln!(f, "| fault | times | recovery, median | longest |\n| --- | --: | --: | --: |")?;
        let mut kinds: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
        for made in &self.faults {
            kinds.entry(made.kind).or_default().push(made.recovery_s);
        }
        for (kind, took) in &kinds {
            let mut known: Vec<f64> = took.iter().flatten().copied().collect();
            known.sort_by(f64::total_cmp);
            let at = |index: usize| known.get(index).map_or("–".to_owned(), |took| format!("{took:.1} s"));
            let last = known.len().saturating_sub(1);
            writeln!(f, "| {kind} | {} | {} | {} |", took.len(), at(last / 2), at(last))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^53")]
        let rate = if self.sending_s > 0.0 { self.acknowledged as f64 / self.sending_s } else { 0.0 };
        let mut rows: Vec<(&str, String)> = vec![
            ("sent for, drained within", format!("{:.0} s, {:.1} s", self.sending_s, self.draining_s)),
            (
                "records, poison, resubmissions, late",
                format!("{}, {}, {}, {}", self.records, self.poison, self.resubmitted, self.late),
            ),
            ("views compared, final standings", format!("{}, {}", self.views[0], self.views[1])),
            ("acknowledged, a second", format!("{}, {rate:.0}", self.acknowledged)),
            (
                "in the log though not acknowledged, twice, never taken",
                format!("{}, {}, {}", self.unacknowledged_in_log, self.doubled_sends, self.not_taken),
            ),
            ("board compared, could not be", format!("{}, {}", self.board_checks[0], self.board_checks[1])),
            (
                "archive compared, could not be",
                format!("{}, {}", self.archive_checks[0], self.archive_checks[1]),
            ),
            ("viewers, frames", format!("{}, {}", self.viewers[0], self.viewers[1])),
            (
                "longest silence of a viewer, of every viewer",
                format!(
                    "{:.1} s (until {:.0} s), {:.1} s (until {:.0} s)",
                    self.longest_silence_s[0],
                    self.longest_silence_s[1],
                    self.longest_silence_of_all_s[0],
                    self.longest_silence_of_all_s[1]
                ),
            ),
            ("times that a new epoch showed a leader with fewer points", self.setbacks.len().to_string()),
            ("services that ended unasked", self.deaths.len().to_string()),
        ];
        rows.extend(self.rewinds.iter().map(|(who, times)| (who.as_str(), format!("{times} rewinds"))));
        writeln!(f, "\n| | |\n| --- | --- |")?;
        for (what, value) in rows {
            writeln!(f, "| {what} | {value} |")?;
        }
        for setback in &self.setbacks {
            writeln!(f, "\nset back: {setback}")?;
        }
        for death in &self.deaths {
            writeln!(f, "\nended unasked: {death}")?;
        }
        if self.is_right() {
            return writeln!(f, "\nEverything held.");
        }
        for (invariant, what) in &self.violations {
            let mut told = String::new();
            for line in what.iter().take(5) {
                writeln!(told, "- {line}")?;
            }
            writeln!(f, "\nVIOLATED {} times: {invariant}\n\n{told}", what.len())?;
        }
        Ok(())
    }
}
