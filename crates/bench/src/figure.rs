//! What was measured: as a table for people, as JSON, and beside what was measured before.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What one run came to: values with their names, each of which says its unit.
pub type Run = Vec<(String, f64)>;

/// The middle of several values, with the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one; of an even number the upper of two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of these values.
    ///
    /// # Panics
    /// Without any.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (values[0], values[values.len() - 1]);
        Self { median: values[values.len() / 2], least, most }
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Who did it.
    pub name: String,
    /// What it came to.
    pub values: Vec<(String, Spread)>,
}

impl Side {
    /// Of runs that have the same values in the same order.
    ///
    /// # Panics
    /// Without any run.
    #[must_use]
    pub fn of(name: impl Into<String>, runs: &[Run]) -> Self {
        let values = runs[0].iter().enumerate().map(|(at, (value, _))| {
            let spread = Spread::of(runs.iter().map(|run| run[at].1));
            (value.clone(), spread)
        });
        Self { name: name.into(), values: values.collect() }
    }

    /// The median of a value.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn median(&self, value: &str) -> anyhow::Result<f64> {
        let found = self.values.iter().find(|(name, _)| name == value);
        found.map(|(_, spread)| spread.median).ok_or_else(|| anyhow::anyhow!("{} has no {value}", self.name))
    }
}

/// A comparison, or a measurement without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was done.
    pub name: String,
    /// Ours first, then the references.
    pub sides: Vec<Side>,
    /// What it comes to: medians of ours by those of a reference.
    pub ratios: Vec<(String, f64)>,
}

impl Figure {
    /// A figure without ratios.
    #[must_use]
    pub fn of(name: impl Into<String>, sides: Vec<Side>) -> Self {
        Self { name: name.into(), sides, ratios: Vec::new() }
    }

    /// With the median of `ours` by that of `theirs`, of the sides at two places.
    ///
    /// # Errors
    /// When a side has no value of that name.
    pub fn with_ratio(
        mut self,
        name: &str,
        (ours, value): (usize, &str),
        (theirs, reference): (usize, &str),
    ) -> anyhow::Result<Self> {
        let ratio = self.sides[ours].median(value)? / self.sides[theirs].median(reference)?;
        self.ratios.push((name.to_owned(), ratio));
        Ok(self)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for Side { name, values } in &self.sides {
            let values: Vec<String> = values
                .iter()
                .map(|(name, Spread { median, least, most })| {
                    let [median, least, most] = [median, least, most].map(|value| Rounded(*value));
                    format!("{name} {median} ({least}–{most})")
                })
                .collect();
            writeln!(f, "  {name}: {}", values.join(", "))?;
        }
        for (name, ratio) in &self.ratios {
            writeln!(f, "  ratio of {name}: {ratio:.2}")?;
        }
        Ok(())
    }
}

/// With as many digits as tell something.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            large if large >= 1000.0 => write!(f, "{:.0}", self.0),
            large if large >= 10.0 => write!(f, "{:.1}", self.0),
            _ => write!(f, "{:.2}", self.0),
        }
    }
}

/// All of them, with where and when they were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When, in UTC.
    pub date: String,
    /// The processors.
    pub machine: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl Report {
    /// What has changed since `before`, of what both have: a line for each median.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for figure in &self.figures {
            for side in &figure.sides {
                for (value, now) in &side.values {
                    let earlier = before.figures.iter().find(|earlier| earlier.name == figure.name);
                    let earlier = earlier
                        .and_then(|earlier| earlier.sides.iter().find(|earlier| earlier.name == side.name));
                    if let Some(Ok(was)) = earlier.map(|earlier| earlier.median(value)) {
                        lines.push(format!(
                            "{}, {}, {value}: {} → {} (× {:.2}){}",
                            figure.name,
                            side.name,
                            Rounded(was),
                            Rounded(now.median),
                            now.median / was,
                            if (now.least..=now.most).contains(&was) { "" } else { ", outside the spread" },
                        ));
                    }
                }
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, values: [f64; 3]) -> Side {
        Side::of(name, &values.map(|value| vec![("events/s".to_owned(), value)]))
    }

    fn report(ours: [f64; 3]) -> Report {
        let sides = vec![side("ours", ours), side("theirs", [4.0, 5.0, 6.0])];
        let figure = Figure::of("it", sides).with_ratio("speed", (0, "events/s"), (1, "events/s")).unwrap();
        Report { date: String::new(), machine: String::new(), figures: vec![figure] }
    }

    #[test]
    fn figure_is_medians_with_their_spread_and_ratios() {
        let report = report([2000.0, 1.0, 30.0]);
        assert_eq!(
            report.figures[0].to_string(),
            "it\n  ours: events/s 30.0 (1.00–2000)\n  theirs: events/s 5.00 (4.00–6.00)\n  ratio of speed: 6.00\n"
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn change_is_told_of_what_both_have() {
        let (before, now) = (report([9.0, 10.0, 11.0]), report([19.0, 20.0, 21.0]));
        let changes = now.changes_since(&before);
        assert_eq!(changes[0], "it, ours, events/s: 10.0 → 20.0 (× 2.00), outside the spread");
        assert_eq!(changes[1], "it, theirs, events/s: 5.00 → 5.00 (× 1.00)");
        let renamed = Report { figures: Vec::new(), ..before };
        assert!(now.changes_since(&renamed).is_empty());
    }

    #[test]
    fn value_that_is_not_there_is_an_error() {
        assert!(side("ours", [1.0; 3]).median("other").is_err());
    }
}
