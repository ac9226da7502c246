//! Reading the dead-letter topic.

use crate::dead_letters::ledger::{Fate, Ledger, Letter, Place};
use crate::output::{Misuse, Output};
use anyhow::Context as _;
use contracts::dead_letter::Coordinates;
use contracts::replay::ReplayMark;
use contracts::topics::GAME_SCORE_DLQ;
use pipeline::KafkaSettings;
use pipeline::scan::{Extent, Scan, Scanned, extents};
use std::collections::BTreeMap;

/// The refused record itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
}

/// The dead-letter topic, read up to some point.
pub(crate) struct Queue {
    kafka: KafkaSettings,
    pub(crate) topic: String,
    scan: Scan,
    pub(crate) ledger: Ledger,
}

impl Queue {
    /// Reads the whole topic. Blocks.
    pub(crate) fn read(kafka: &KafkaSettings, output: Output) -> anyhow::Result<Self> {
        let topic = kafka.topic(&GAME_SCORE_DLQ);
        let log = ends(kafka, &topic)?;
        let begins = log.iter().map(|(partition, extent)| (*partition, extent.from)).collect();
        let scan = Scan::new(kafka, "boardctl-dead-letters", &topic, begins)?;
        let mut queue = Self { kafka: kafka.clone(), topic, scan, ledger: Ledger::default() };
        let length: i64 = log.values().map(|extent| extent.to - extent.from).sum();
        let bar = output.progress(u64::try_from(length).ok(), "records read");
        queue.read_to(&log, || bar.inc(1))?;
        bar.finish_and_clear();
        Ok(queue)
    }

    /// Reads what has come since. Blocks.
    pub(crate) fn catch_up(&mut self) -> anyhow::Result<()> {
        let log = ends(&self.kafka, &self.topic)?;
        self.read_to(&log, || {})
    }

    fn read_to(&mut self, log: &BTreeMap<i32, Extent>, on_record: impl Fn()) -> anyhow::Result<()> {
        let targets = log.iter().map(|(partition, extent)| (*partition, extent.to)).collect();
        let ledger = &mut self.ledger;
        self.scan
            .read_to(&targets, |record| {
                take(ledger, record);
                on_record();
                Ok(())
            })
            .with_context(|| brokers(&self.kafka))
    }

    /// The letter under `wanted`, which may lack the deployment's prefix.
    pub(crate) fn find(&self, wanted: &Coordinates) -> anyhow::Result<&Letter> {
        let prefixed =
            Coordinates { topic: format!("{}{}", self.kafka.topic_prefix, wanted.topic), ..wanted.clone() };
        let found = self.ledger.get(wanted).or_else(|| self.ledger.get(&prefixed));
        found.ok_or_else(|| {
            Misuse(format!("{} is not among the dead letters of {}", wanted.key(), self.topic)).into()
        })
    }

    /// The refused records of these letters. Blocks.
    pub(crate) fn refused(&self, letters: &[&Letter]) -> anyhow::Result<BTreeMap<Place, Refused>> {
        let mut begins = BTreeMap::new();
        let mut targets = BTreeMap::new();
        let mut wanted: BTreeMap<Place, Refused> = BTreeMap::new();
        for Place { partition, offset } in letters.iter().map(|letter| letter.place) {
            begins
                .entry(partition)
                .and_modify(|begin: &mut i64| *begin = (*begin).min(offset))
                .or_insert(offset);
            targets
                .entry(partition)
                .and_modify(|end: &mut i64| *end = (*end).max(offset + 1))
                .or_insert(offset + 1);
            wanted.insert(Place { partition, offset }, Refused::default());
        }
        let mut missing = wanted.len();
        let mut scan = Scan::new(&self.kafka, "boardctl-refused", &self.topic, begins)?;
        scan.read_to(&targets, |record| {
            if let Some(refused) = wanted.get_mut(&place(record)) {
                refused.key = record.header("key").map(<[u8]>::to_vec);
                refused.payload = record.payload().map(<[u8]>::to_vec);
                missing -= 1;
            }
            Ok(())
        })
        .with_context(|| brokers(&self.kafka))?;
        anyhow::ensure!(missing == 0, "{missing} letters went out of {} while we read", self.topic);
        Ok(wanted)
    }
}

/// Which setting to look at when Kafka does not do as it is asked.
pub(crate) fn brokers(kafka: &KafkaSettings) -> String {
    format!("KAFKA_BROKERS {}", kafka.kafka_brokers)
}

/// What the log holds of each partition of a topic. Blocks.
pub(crate) fn ends(kafka: &KafkaSettings, topic: &str) -> anyhow::Result<BTreeMap<i32, Extent>> {
    extents(kafka, topic).with_context(|| brokers(kafka))
}

fn place(record: &Scanned<'_>) -> Place {
    Place { partition: record.partition, offset: record.offset }
}

/// What is neither a letter nor a mark was not written by us, and is passed over.
fn take(ledger: &mut Ledger, record: &Scanned<'_>) {
    let text = |name| record.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
    let Some(coordinates) = key.and_then(Coordinates::parse) else { return };
    if ReplayMark::is_one(|name| record.header(name)) {
        if let Some(mark) = ReplayMark::decode(|name| record.header(name)) {
            ledger.take_mark(&coordinates, mark);
        }
        return;
    }
    let Some(class) = text("error_class") else { return };
    ledger.take_letter(Letter {
        place: place(record),
        coordinates,
        time_ms: text("time").and_then(|time| time.parse().ok()).or(record.timestamp_ms()),
        stage: text("stage").unwrap_or_default(),
        class,
        field: text("field"),
        message: text("message").unwrap_or_default(),
        bytes: record.payload().map_or(0, <[u8]>::len),
        fate: Fate::Waiting,
    });
}
