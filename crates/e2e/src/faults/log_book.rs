//! What the log says: read along while the run goes on, and the sum that a board must show at any
//! offsets.

use crate::faults::sources::{SEND_HEADER, Send, Sends};
use anyhow::Context as _;
use boards::BoardSet;
use contracts::topics::GAME_SCORE;
use contracts::{EventTime, PlayerId, Refusal, ScoreEvent};
use pipeline::KafkaSettings;
use pipeline::scan::{Scan, Scanned};
use std::collections::{BTreeMap, HashMap};

/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;

/// Judges a record as the consumers must.
///
/// # Errors
/// The reason why it is poison.
pub fn judge(boards: &BoardSet, record: &Scanned<'_>) -> Result<(ScoreEvent, i64), Refusal> {
    let arrived_at = arrival(record);
    let event = ScoreEvent::decode(record.payload(), arrived_at)?;
    boards.judge(&event, arrived_at)?;
    let units = boards.default_board().judge(&event, arrived_at)?;
    Ok((event, units))
}

/// When a record arrived.
#[must_use]
pub fn arrival(record: &Scanned<'_>) -> EventTime {
    record.timestamp_ms().and_then(EventTime::from_millis).unwrap_or(EventTime::UNIX_EPOCH)
}

/// An event's id, which is its player's own.
type Id = (PlayerId, Box<str>);

/// Sums by partition and offset. Pure.
#[derive(Debug, Default)]
pub struct Sums {
    /// At `i` the sum of the records up to and with offset `i`; an id counts once a partition.
    partitions: BTreeMap<i32, Vec<i64>>,
    /// Where each id came first, in each partition that it came in.
    ids: HashMap<Id, Vec<(i32, i64)>>,
    /// Ids that came in several partitions, since partitions were added: (where, worth).
    crossed: HashMap<Id, i64>,
}

impl Sums {
    /// How many records of a partition were taken.
    #[must_use]
    pub fn taken(&self, partition: i32) -> i64 {
        self.partitions.get(&partition).map_or(0, |sums| i64::try_from(sums.len()).expect("an offset"))
    }

    /// Takes the next record of a partition: what it is worth, and by whom if it has an id.
    pub fn take(&mut self, partition: i32, units: i64, id: Option<Id>) {
        let offset = self.taken(partition);
        let mut counted = units;
        if let Some(id) = id {
            let firsts = self.ids.entry(id.clone()).or_default();
            if firsts.iter().any(|(other, _)| *other == partition) {
                counted = 0;
            } else {
                firsts.push((partition, offset));
                if firsts.len() > 1 {
                    self.crossed.insert(id, units);
                }
            }
        }
        let sums = self.partitions.entry(partition).or_default();
        sums.push(sums.last().unwrap_or(&0) + counted);
    }

    /// The sum of everything before `offsets`; `None` when not all of it was taken yet.
    #[must_use]
    pub fn at(&self, offsets: &Offsets) -> Option<i64> {
        let mut sum = 0;
        for (partition, offset) in offsets {
            if let Some(last) = usize::try_from(*offset).ok()?.checked_sub(1) {
                sum += self.partitions.get(partition)?.get(last)?;
            }
        }
        for (id, units) in &self.crossed {
            let is_in =
                |(partition, first): &&(i32, i64)| offsets.get(partition).is_some_and(|to| first < to);
            let times = self.ids[id].iter().filter(is_in).count();
            sum -= units * i64::try_from(times.saturating_sub(1)).expect("there are few partitions");
        }
        Some(sum)
    }
}

/// Reads the log as far as it is asked about.
pub struct LogBook {
    kafka: KafkaSettings,
    boards: BoardSet,
    scan: Option<Scan>,
    /// What was read.
    pub sums: Sums,
    /// The sends that were found.
    pub sends: Sends,
    /// Sends that were found more than once.
    pub doubled_sends: u64,
}

impl LogBook {
    /// One that has read nothing.
    #[must_use]
    pub fn new(kafka: KafkaSettings, boards: BoardSet) -> Self {
        Self { kafka, boards, scan: None, sums: Sums::default(), sends: Sends::default(), doubled_sends: 0 }
    }

    /// Reads on to `offsets`. Blocks.
    ///
    /// # Errors
    /// When the broker is away: try again. When a send was judged otherwise than it was meant.
    pub fn read_to(&mut self, offsets: &Offsets) -> anyhow::Result<()> {
        if offsets.iter().all(|(partition, to)| self.sums.taken(*partition) >= *to) {
            return Ok(());
        }
        let mut scan = match self.scan.take() {
            Some(scan) => scan,
            None => {
                let positions = offsets.keys().map(|partition| (*partition, self.sums.taken(*partition)));
                let topic = self.kafka.topic(&GAME_SCORE);
                Scan::new(&self.kafka, "fault-harness", &topic, positions.collect())?
            }
        };
        scan.read_to(offsets, |record| self.take(record))?;
        for (partition, to) in offsets {
            let taken = self.sums.taken(*partition);
            anyhow::ensure!(taken >= *to, "partition {partition} was read to {taken}, not to {to}");
        }
        // Kept only after everything went well: its positions are ours.
        self.scan = Some(scan);
        Ok(())
    }

    fn take(&mut self, record: &Scanned<'_>) -> anyhow::Result<()> {
        let (partition, offset) = (record.partition, record.offset);
        let expected = self.sums.taken(partition);
        anyhow::ensure!(offset == expected, "partition {partition}: offset {offset} after {expected}");
        let send = record.header(SEND_HEADER).and_then(Send::from_header).context("a record of nobody's")?;
        if !self.sends.insert(send.source, send.number) {
            self.doubled_sends += 1;
        }
        match judge(&self.boards, record) {
            Ok((event, units)) => {
                anyhow::ensure!(!send.poison, "{partition}/{offset} is poison and was taken");
                self.sums.take(partition, units, event.event_id.map(|id| (event.player, id)));
            }
            Err(refusal) => {
                anyhow::ensure!(send.poison, "{partition}/{offset} is none and was refused: {refusal:?}");
                self.sums.take(partition, 0, None);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<Id> {
        Some((PlayerId::new("p").unwrap(), text.into()))
    }

    #[test]
    fn sums_are_those_of_the_records_before_the_offsets() {
        let mut sums = Sums::default();
        for units in [5, -2, 4] {
            sums.take(0, units, None);
        }
        sums.take(1, 10, None);
        assert_eq!(sums.at(&[(0, 0)].into()), Some(0));
        assert_eq!(sums.at(&[(0, 2), (1, 1)].into()), Some(13));
        assert_eq!(sums.at(&[(0, 4)].into()), None);
        assert_eq!(sums.at(&[(2, 1)].into()), None);
    }

    #[test]
    fn an_id_counts_once_also_across_partitions() {
        let mut sums = Sums::default();
        sums.take(0, 5, id("x"));
        sums.take(0, 5, id("x"));
        sums.take(1, 5, id("x"));
        sums.take(1, 7, id("y"));
        let at = |zero, one| sums.at(&[(0, zero), (1, one)].into()).unwrap();
        assert_eq!((at(1, 0), at(2, 0), at(0, 1), at(2, 1), at(2, 2)), (5, 5, 5, 5, 12));
    }
}
