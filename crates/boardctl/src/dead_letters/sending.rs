//! Sending letters again, each once.
//!
//! A batch goes in three steps, each acknowledged before the next: `started` marks, the records,
//! `done` marks. Between the first two we read back whether our marks came first. Whoever dies
//! in between leaves letters in doubt, and [`doubt`](super::doubt) settles them.

use crate::dead_letters::ledger::{Fate, Letter};
use crate::dead_letters::queue::{Queue, brokers, ends};
use anyhow::Context as _;
use contracts::dead_letter::Coordinates;
use contracts::replay::{REPLAYED_FROM, ReplayMark, ReplayStep};
use pipeline::{AckProducer, KafkaSettings, Message};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many letters one batch takes, whatever the rate.
const MAX_BATCH: usize = 500;
/// How many bytes of records one batch takes, the last one over it included.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How long it may take to read back our marks. Later, another run may take us for dead.
const CLAIM_LIMIT: Duration = Duration::from_secs(20);

/// Portions of at most a second's letters.
pub(crate) fn batches(letters: &[Letter], rate: u32) -> impl Iterator<Item = &[Letter]> {
    let most = usize::try_from(rate).unwrap_or(MAX_BATCH).min(MAX_BATCH);
    let mut rest = letters;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |letter: &&Letter| {
            let room = bytes < MAX_BATCH_BYTES;
            bytes += letter.bytes;
            room
        };
        let count = rest.iter().take(most).take_while(fits).count();
        let (batch, others) = rest.split_at(count);
        rest = others;
        (!batch.is_empty()).then_some(batch)
    })
}

/// One run of the command.
pub(crate) struct Sender<'a> {
    kafka: &'a KafkaSettings,
    queue: &'a mut Queue,
    producer: AckProducer,
    run: String,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(kafka: &'a KafkaSettings, queue: &'a mut Queue) -> anyhow::Result<Self> {
        let producer = AckProducer::new(kafka, "boardctl", Duration::ZERO, pipeline::producer::Ack)
            .context("Kafka settings")?;
        Ok(Self { kafka, queue, producer, run: uuid::Uuid::new_v4().simple().to_string() })
    }

    /// Sends a batch, and returns when Kafka has acknowledged it: how many were sent, and those
    /// that another run was faster to take.
    pub(crate) async fn send(&mut self, batch: &[Letter]) -> anyhow::Result<(usize, Vec<Coordinates>)> {
        let refused = self.queue.refused(&batch.iter().collect::<Vec<_>>())?;
        let began = Instant::now();
        self.claim(batch).await?;
        let (ours, taken): (Vec<&Letter>, Vec<&Letter>) =
            batch.iter().partition(|letter| self.is_ours(&letter.coordinates));
        anyhow::ensure!(
            began.elapsed() < CLAIM_LIMIT,
            "{}: marking took over {CLAIM_LIMIT:?}; nothing of this batch was sent",
            brokers(self.kafka)
        );
        let headers: Vec<_> =
            ours.iter().map(|letter| [(REPLAYED_FROM, letter.coordinates.key().into_bytes())]).collect();
        let records: Vec<Message<'_>> = ours
            .iter()
            .zip(&headers)
            .map(|(letter, headers)| {
                let refused = &refused[&letter.place];
                Message {
                    topic: &letter.coordinates.topic,
                    key: refused.key.as_deref().unwrap_or_default(),
                    payload: refused.payload.as_deref(),
                    headers,
                }
            })
            .collect();
        self.producer.send_all(&records).await.with_context(|| {
            format!(
                "{}: sending {} records; a later run finds out which were sent",
                brokers(self.kafka),
                records.len()
            )
        })?;
        let done = |letter: &&Letter| (letter.coordinates.key(), self.mark(ReplayStep::Done));
        self.send_marks(&ours.iter().map(done).collect::<Vec<_>>()).await?;
        Ok((ours.len(), taken.into_iter().map(|letter| letter.coordinates.clone()).collect()))
    }

    /// Says that an earlier run had sent the letter.
    pub(crate) async fn mark_done(&self, letter: &Letter) -> anyhow::Result<()> {
        let Some(run) = letter.fate.run() else { return Ok(()) };
        let mark = ReplayMark { run: run.to_owned(), ..self.mark(ReplayStep::Done) };
        self.send_marks(&[(letter.coordinates.key(), mark)]).await
    }

    /// Marks the letters as started, and reads what others did meanwhile.
    async fn claim(&mut self, batch: &[Letter]) -> anyhow::Result<()> {
        let mut log_ends: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for Letter { coordinates: Coordinates { topic, .. }, .. } in batch {
            if !log_ends.contains_key(topic.as_str()) {
                let log = ends(self.kafka, topic)?;
                log_ends.insert(topic, log.into_iter().map(|(partition, log)| (partition, log.to)).collect());
            }
        }
        let marks: Vec<_> = batch
            .iter()
            .map(|Letter { coordinates, fate, .. }| {
                // Not what is known by now: a letter counts as it was when it was chosen.
                let after = fate.run().map(str::to_owned);
                let log_ends = log_ends[coordinates.topic.as_str()].clone();
                (coordinates.key(), self.mark(ReplayStep::Started { after, log_ends }))
            })
            .collect();
        self.send_marks(&marks).await?;
        self.queue.catch_up()
    }

    /// Whether our mark came first.
    fn is_ours(&self, coordinates: &Coordinates) -> bool {
        let fate = self.queue.ledger.get(coordinates).map(|letter| &letter.fate);
        matches!(fate, Some(Fate::InDoubt { run, .. }) if *run == self.run)
    }

    fn mark(&self, step: ReplayStep) -> ReplayMark {
        ReplayMark { run: self.run.clone(), at_ms: jiff::Timestamp::now().as_millisecond(), step }
    }

    /// The same key as the letter's: the same partition, behind it.
    async fn send_marks(&self, marks: &[(String, ReplayMark)]) -> anyhow::Result<()> {
        let headers: Vec<_> = marks.iter().map(|(_, mark)| mark.headers()).collect();
        let messages: Vec<Message<'_>> = marks
            .iter()
            .zip(&headers)
            .map(|((key, _), headers)| Message {
                topic: &self.queue.topic,
                key: key.as_bytes(),
                payload: None,
                headers,
            })
            .collect();
        self.producer
            .send_all(&messages)
            .await
            .map(drop)
            .with_context(|| format!("{}: marking letters in {}", brokers(self.kafka), self.queue.topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::ledger::tests::letter;

    fn sizes(letters: &[Letter], rate: u32) -> Vec<usize> {
        batches(letters, rate).map(<[Letter]>::len).collect()
    }

    #[test]
    fn batch_is_a_seconds_letters_and_bounded() {
        let letters: Vec<Letter> = (0..1_100).map(|offset| letter(0, offset)).collect();
        assert_eq!(sizes(&letters[..5], 2), [2, 2, 1]);
        assert_eq!(sizes(&letters, 100_000), [500, 500, 100]);
        assert_eq!(sizes(&[], 5), [0; 0]);
        let heavy = Letter { bytes: MAX_BATCH_BYTES, ..letter(0, 0) };
        let light = letter(0, 1);
        assert_eq!(sizes(&[light.clone(), heavy.clone(), heavy, light], 10), [2, 1, 1]);
    }
}
