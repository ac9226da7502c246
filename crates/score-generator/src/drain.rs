//! How long the board takes to have a backlog.
//!
//! When all is sent and acknowledged, events of players made for it are put behind it until there is
//! one on every partition. A board applies a partition in order, so once it shows these players it
//! has everything before them, whatever else is sent meanwhile. That is exact to the pause between
//! two looks, and needs the API alone. It leaves players on the board, `drain-…` with one point each:
//! about fifteen where there are six partitions.

use crate::Stop;
use crate::settings::LoadSettings;
use anyhow::{Context as _, bail, ensure};
use api_client::Api;
use contracts::topics::GAME_SCORE;
use pipeline::producer::Ack;
use pipeline::{AckProducer, Message, Producer, scan};
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::grouped;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// How often the board is asked.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The same after it could not answer.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How many players the API looks up at a time.
const MAX_IDS: usize = 100;
/// How many keys are tried for each partition. Chance finds one after a few.
const TRIES_PER_PARTITION: usize = 1000;

/// What came of a backlog.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drain {
    /// The board that was watched: the default one.
    pub board: String,
    /// From the beginning of the run to the last acknowledgement.
    pub fill_seconds: f64,
    /// From the last acknowledgement until the board had everything.
    pub drain_seconds: f64,
    /// Events over both times together: how fast the board took them, where the consumers ran from
    /// the beginning.
    pub events_per_second: f64,
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, fill_seconds, drain_seconds, events_per_second } = self;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate from 0")]
        let rate = events_per_second.round() as u64;
        write!(
            f,
            "{board} had all {drain_seconds:.2} s after the last was sent, which took {fill_seconds:.2} s: {} events/s",
            grouped(rate)
        )
    }
}

#[derive(Deserialize)]
struct Boards {
    boards: Vec<Rules>,
}

/// A board, and what an event must be like to count on it.
#[derive(Deserialize)]
struct Rules {
    board: String,
    #[serde(default)]
    r#match: BTreeMap<String, String>,
    per_value: Option<IgnoredAny>,
    min_score: Option<serde_json::Number>,
    max_score: Option<serde_json::Number>,
}

impl Rules {
    /// An event of that player that counts, and is worth 1 where it can be.
    fn event(&self, player: &str) -> String {
        let below = |number: &&serde_json::Number| number.as_f64().is_some_and(|number| number < 1.0);
        let above = |number: &&serde_json::Number| number.as_f64().is_some_and(|number| number > 1.0);
        let bound = self.min_score.as_ref().filter(above).or(self.max_score.as_ref().filter(below));
        let one = serde_json::Number::from(1);
        json!({"score": bound.unwrap_or(&one), "user_id": player, "tags": self.r#match}).to_string()
    }
}

#[derive(Deserialize)]
struct Found {
    not_found: Vec<String>,
}

/// What is needed to see a backlog drained.
pub(crate) struct Drainage {
    api: Api,
    rules: Rules,
    topic: String,
    partitions: BTreeSet<i32>,
    producer: AckProducer,
    runtime: Runtime,
    /// Tells the players of this run from those of others.
    run: u64,
    limit: Duration,
    stop: Stop,
}

impl Drainage {
    /// Looks for all of it before anything is sent.
    ///
    /// # Errors
    /// When the API or Kafka does not answer.
    pub(crate) fn open(settings: &LoadSettings, stop: &Stop) -> anyhow::Result<Self> {
        let kafka = &settings.output.kafka;
        let api = Api::new(&settings.api, 1);
        let boards: Boards = api.get("/v1/boards").context("--api")?;
        let rules = boards.boards.into_iter().next().context("--api: there is no board")?;
        ensure!(
            rules.per_value.is_none(),
            "--backlog: the default board, {}, is one per value, so no one board shows when all is there",
            rules.board
        );
        let topic = kafka.topic(&GAME_SCORE);
        Ok(Self {
            api,
            rules,
            partitions: scan::extents(kafka, &topic).context("KAFKA_BROKERS")?.into_keys().collect(),
            topic,
            producer: Producer::new(kafka, "score-generator-drain", Duration::ZERO, Ack)?,
            runtime: Builder::new_current_thread().enable_all().build()?,
            run: SysRng.try_next_u64().context("drawing a name")?,
            limit: settings.drain_limit,
            stop: stop.clone(),
        })
    }

    /// Waits until the board has everything that was acknowledged so far: `events` events since
    /// `started`.
    ///
    /// # Errors
    /// When that takes too long, or Kafka takes no more.
    pub(crate) fn wait(&self, events: u64, started: Instant) -> anyhow::Result<Drain> {
        let filled = Instant::now();
        let marks = self.mark().context("marking the end of the backlog")?;
        await_players(&self.api, &self.rules.board, &marks, filled + self.limit, &self.stop)?;
        let drained = filled.elapsed().as_secs_f64();
        let fill_seconds = (filled - started).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let events_per_second = events as f64 / (fill_seconds + drained);
        Ok(Drain { board: self.rules.board.clone(), fill_seconds, drain_seconds: drained, events_per_second })
    }

    /// Puts events of new players at the ends of all partitions. Their ids.
    fn mark(&self) -> anyhow::Result<Vec<String>> {
        let mut open = self.partitions.clone();
        let mut players = Vec::new();
        for attempt in 0..TRIES_PER_PARTITION * self.partitions.len() {
            if open.is_empty() {
                return Ok(players);
            }
            let player = format!("drain-{:016x}-{attempt}", self.run);
            let event = self.rules.event(&player);
            let payload = Some(event.as_bytes());
            let message = Message { topic: &self.topic, key: player.as_bytes(), payload, headers: &[] };
            let ends = self.runtime.block_on(self.producer.send_all(&[message]))?;
            // The key decides the partition, in ways that only the producer knows.
            open.retain(|partition| !ends.contains_key(partition));
            players.push(player);
        }
        bail!("no key leads to the partitions {open:?}")
    }
}

/// Returns when `board` has all `players`.
fn await_players(
    api: &Api,
    board: &str,
    players: &[String],
    deadline: Instant,
    stop: &Stop,
) -> anyhow::Result<()> {
    for ids in players.chunks(MAX_IDS) {
        let path = format!("/v1/boards/{board}/players?ids={}", ids.join(","));
        loop {
            let found = api.get::<Found>(&path);
            if found.as_ref().is_ok_and(|found| found.not_found.is_empty()) {
                break;
            }
            ensure!(!stop.is_asked(), "ended before {board} had everything");
            if Instant::now() >= deadline {
                let why = found.err().map_or_else(String::new, |error| format!(": {error:#}"));
                bail!("{board} did not have everything in time{why}; --drain-limit gives it more");
            }
            stop.pause(if found.is_ok() { LOOK_EVERY } else { LOOK_AGAIN });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_events_that_the_board_takes() {
        for (rules, event) in [
            (r#"{"board":"b"}"#, json!({"score": 1, "user_id": "p", "tags": {}})),
            (
                r#"{"board":"b","match":{"mode":"ranked"},"min_score":-5,"max_score":0.5}"#,
                json!({"score": 0.5, "user_id": "p", "tags": {"mode": "ranked"}}),
            ),
            (
                r#"{"board":"b","min_score":10,"max_score":20}"#,
                json!({"score": 10, "user_id": "p", "tags": {}}),
            ),
        ] {
            let rules: Rules = serde_json::from_str(rules).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&rules.event("p")).unwrap(), event);
        }
    }
}
