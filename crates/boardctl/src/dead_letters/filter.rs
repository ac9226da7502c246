//! Which letters are meant. Pure.

use crate::dead_letters::ledger::{Fate, Letter};
use clap::builder::PossibleValuesParser;
use contracts::dead_letter::Coordinates;
use contracts::{EventTime, RefusalClass};
use std::str::FromStr;

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which letters")]
pub(crate) struct Filter {
    /// Only this kind of fault; may be given several times
    #[arg(long, value_parser = PossibleValuesParser::new(RefusalClass::ALL.map(RefusalClass::as_str)))]
    pub(crate) class: Vec<String>,
    /// Only those with this member at fault
    #[arg(long)]
    pub(crate) field: Option<String>,
    /// Only records from then on: an ISO 8601 time, or how long ago, as 90s, 15m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<When>,
    /// Only records before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<When>,
    /// Only records of this partition
    #[arg(long)]
    pub(crate) partition: Option<i32>,
    /// Only the newest N of them
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Also those that were replayed already
    #[arg(long)]
    pub(crate) again: bool,
}

/// A moment, given as such or by how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(EventTime),
    SecondsAgo(i64),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)]
            .into_iter()
            .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
        if let Some((count, seconds)) = unit
            && let Ok(count) = count.parse::<u32>()
        {
            return Ok(Self::SecondsAgo(i64::from(count) * seconds));
        }
        EventTime::parse_iso(text, "it").map(Self::At).map_err(|refusal| refusal.message)
    }
}

impl When {
    fn millis(self, now_ms: i64) -> i64 {
        match self {
            Self::At(time) => time.micros().div_euclid(1000),
            Self::SecondsAgo(seconds) => now_ms - seconds * 1000,
        }
    }
}

impl Filter {
    /// Those of `letters` that are meant, in their order.
    pub(crate) fn pick<'a>(&self, letters: &'a [Letter], now_ms: i64) -> Vec<&'a Letter> {
        let mut picked: Vec<&Letter> = letters.iter().filter(|letter| self.takes(letter, now_ms)).collect();
        if let Some(limit) = self.limit {
            picked.drain(..picked.len().saturating_sub(limit));
        }
        picked
    }

    fn takes(&self, letter: &Letter, now_ms: i64) -> bool {
        let at = |when: Option<When>| when.map(|when| when.millis(now_ms));
        // A letter without any time is from any time.
        let after = at(self.since).is_none_or(|since| letter.time_ms.is_none_or(|time| time >= since));
        let before = at(self.until).is_none_or(|until| letter.time_ms.is_none_or(|time| time < until));
        after
            && before
            && (self.class.is_empty() || self.class.contains(&letter.class))
            && (self.field.is_none() || self.field == letter.field)
            && self.partition.is_none_or(|partition| partition == letter.coordinates.partition)
            && (self.again || !matches!(letter.fate, Fate::Replayed { .. }))
    }
}

/// `topic/partition/offset`, with or without the deployment's prefix.
pub(crate) fn coordinates(text: &str) -> Result<Coordinates, String> {
    Coordinates::parse(text).ok_or_else(|| "it must be topic/partition/offset".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::ledger::tests::letter;

    const NOW_MS: i64 = 10_000;

    fn letters() -> Vec<Letter> {
        let mut letters: Vec<Letter> =
            (0..6).map(|offset| letter(i32::from(offset % 2 == 1), offset)).collect();
        letters[1].class = "wrong_type".into();
        letters[2].field = Some("score".into());
        letters[4].fate = Fate::Replayed { run: "r".into(), at_ms: 0 };
        letters[5].time_ms = None;
        letters
    }

    fn picked(filter: &Filter) -> Vec<i64> {
        filter.pick(&letters(), NOW_MS).iter().map(|letter| letter.coordinates.offset).collect()
    }

    #[test]
    fn each_condition_narrows_and_replayed_ones_are_left_out() {
        let all = Filter::default();
        assert_eq!(picked(&all), [0, 1, 2, 3, 5]);
        assert_eq!(picked(&Filter { again: true, ..all.clone() }), [0, 1, 2, 3, 4, 5]);
        assert_eq!(picked(&Filter { class: vec!["wrong_type".into()], ..all.clone() }), [1]);
        assert_eq!(picked(&Filter { field: Some("score".into()), ..all.clone() }), [2]);
        assert_eq!(picked(&Filter { partition: Some(1), ..all.clone() }), [1, 3, 5]);
        assert_eq!(picked(&Filter { limit: Some(2), ..all.clone() }), [3, 5]);
        assert_eq!(picked(&Filter { limit: Some(0), ..all }), [0; 0]);
    }

    #[test]
    fn time_is_from_and_up_to_not_including() {
        let filter = |since: Option<&str>, until: Option<&str>| Filter {
            since: since.map(|text| text.parse().unwrap()),
            until: until.map(|text| text.parse().unwrap()),
            ..Filter::default()
        };
        assert_eq!(picked(&filter(Some("8s"), None)), [2, 3, 5]);
        assert_eq!(picked(&filter(None, Some("1970-01-01T00:00:02Z"))), [0, 1, 5]);
        assert_eq!(picked(&filter(Some("1970-01-01T00:00:01"), Some("8s"))), [1, 5]);
    }

    #[test]
    fn moments_are_read_in_both_forms() {
        assert_eq!("15m".parse(), Ok(When::SecondsAgo(900)));
        assert_eq!("7d".parse(), Ok(When::SecondsAgo(604_800)));
        assert!(matches!("2026-11-21".parse(), Ok(When::At(_))));
        for text in ["", "h", "-1h", "1w", "yesterday"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
