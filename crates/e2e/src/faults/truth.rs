//! The end: the whole log, read again, is the truth that everything is held against.

use crate::faults::boards::{Compared, compare, top};
use crate::faults::deployment::Deployment;
use crate::faults::invariants::{Invariant, Violations};
use crate::faults::log_book::{Offsets, arrival, judge};
use crate::faults::sources::{SEND_HEADER, Send, Sends, Sent};
use crate::faults::viewers::Viewers;
use anyhow::Context as _;
use boards::{Arrival, BoardSet, Oracle};
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ};
use contracts::{PlayerId, ScoreEvent};
use futures_util::TryStreamExt as _;
use pipeline::scan::{self, Scan};
use pipeline::{KafkaSettings, tail};
use sqlx::Row as _;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

const DEAD_LETTERS_LIMIT: Duration = Duration::from_secs(60);
/// How long the log may take to say where it ends: a broker restarts in that time.
const ENDS_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(250);
/// How many rows a snapshot has.
const TOP: usize = 10;

/// What the log says.
#[derive(Debug)]
pub struct Truth {
    oracle: Oracle,
    /// A digest of each record that is a row of the archive; `None` for poison.
    rows: BTreeMap<i32, Vec<Option<u64>>>,
    sends: Sends,
    /// How many records it has.
    pub records: u64,
    /// How many of them are poison.
    pub poison: u64,
    /// How many are the second of their id.
    pub resubmitted: u64,
    /// How many came too late for a season.
    pub late: u64,
}

impl Truth {
    /// Reads the log whole. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(kafka: &KafkaSettings, boards: &BoardSet, ends: &Offsets) -> anyhow::Result<Self> {
        let topic = kafka.topic(&GAME_SCORE);
        let mut scan = Scan::new(kafka, "fault-harness-truth", &topic, BTreeMap::new())?;
        let mut truth = Self {
            oracle: Oracle::new(boards.clone()),
            rows: BTreeMap::new(),
            sends: Sends::default(),
            records: 0,
            poison: 0,
            resubmitted: 0,
            late: 0,
        };
        let mut ids: BTreeSet<(PlayerId, Box<str>)> = BTreeSet::new();
        scan.read_to(ends, |record| {
            let rows = truth.rows.entry(record.partition).or_default();
            anyhow::ensure!(
                usize::try_from(record.offset) == Ok(rows.len()),
                "a gap before {}",
                record.offset
            );
            truth.records += 1;
            if let Some(send) = record.header(SEND_HEADER).and_then(Send::from_header) {
                truth.sends.insert(send.source, send.number);
            }
            let Ok((event, _)) = judge(boards, record) else {
                rows.push(None);
                truth.poison += 1;
                return Ok(());
            };
            rows.push(Some(digest_of(&event, arrival(record).micros())));
            if let Some(id) = &event.event_id
                && !ids.insert((event.player.clone(), id.clone()))
            {
                truth.resubmitted += 1;
            }
            let at = arrival(record);
            let arrival = Arrival { at, partition: record.partition, offset: record.offset };
            let applied = truth.oracle.apply(&event, arrival);
            let outcome = applied.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            truth.late += u64::from(outcome.late > 0);
            Ok(())
        })?;
        for (partition, end) in ends {
            let read = truth.rows.get(partition).map_or(0, Vec::len);
            anyhow::ensure!(usize::try_from(*end) == Ok(read), "partition {partition}: {read} of {end} read");
        }
        Ok(truth)
    }

    /// Whether every acknowledged send is in the log.
    pub fn check_sends(&self, sent: &Sent, violations: &Violations) {
        let missing = sent.acknowledged.missing_in(&self.sends);
        if missing > 0 {
            violations.add(Invariant::AcknowledgedIsInTheLog, format!("{missing} sends are not there"));
        }
    }

    /// How many sends are in the log that were not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self, sent: &Sent) -> usize {
        self.sends.missing_in(&sent.acknowledged)
    }

    /// Holds every view of every board against the log.
    ///
    /// # Errors
    /// When a store does not answer.
    pub async fn check_boards(
        &self,
        deployment: &Deployment,
        violations: &Violations,
    ) -> anyhow::Result<Compared> {
        let redis = &deployment.servers.direct.redis;
        compare(&self.oracle, redis, &deployment.postgres, violations).await
    }

    /// Holds the archive against the log: the same coordinates, once each, and what they hold.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn check_archive(
        &self,
        deployment: &Deployment,
        violations: &Violations,
    ) -> anyhow::Result<()> {
        let mut missing: BTreeMap<i32, Vec<bool>> =
            self.rows.iter().map(|(partition, rows)| (*partition, vec![true; rows.len()])).collect();
        let mut faults = Vec::new();
        let mut archived = sqlx::query(
            "SELECT kafka_partition, kafka_offset, user_id, score::text, event_id, \
                    (extract(epoch FROM created_at) * 1000000)::bigint, \
                    (extract(epoch FROM arrived_at) * 1000000)::bigint \
             FROM leaderboard.game_score",
        )
        .fetch(&deployment.postgres);
        while let Some(row) = archived.try_next().await? {
            let (partition, offset): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
            let id: Option<&str> = row.try_get(4)?;
            let found = digest(row.try_get(2)?, row.try_get(3)?, id, row.try_get(5)?, row.try_get(6)?);
            self.tick_off(&mut missing, &mut faults, (partition, offset), Some(found));
        }
        drop(archived);
        let refused = sqlx::query("SELECT kafka_partition, kafka_offset FROM leaderboard.refused_record");
        for row in refused.fetch_all(&deployment.postgres).await? {
            let place = (row.try_get(0)?, row.try_get(1)?);
            self.tick_off(&mut missing, &mut faults, place, None);
        }
        let missing: usize = missing.values().flatten().filter(|is_missing| **is_missing).count();
        if missing > 0 || !faults.is_empty() {
            let first = faults.iter().take(5).collect::<Vec<_>>();
            let what = format!("{missing} records are missing, {} rows are wrong: {first:?}", faults.len());
            violations.add(Invariant::ArchiveIsTheLog, what);
        }
        Ok(())
    }

    /// Takes a row of the archive for the record that it is; `found` is `None` for a refused one.
    fn tick_off(
        &self,
        missing: &mut BTreeMap<i32, Vec<bool>>,
        faults: &mut Vec<String>,
        (partition, offset): (i32, i64),
        found: Option<u64>,
    ) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let expected = self.rows.get(&partition).and_then(|rows| rows.get(at));
        if expected != Some(&found) {
            faults.push(format!("{partition}/{offset} is not what the log has"));
        }
        if let Some(slot) = missing.get_mut(&partition).and_then(|slots| slots.get_mut(at))
            && !std::mem::replace(slot, false)
        {
            faults.push(format!("{partition}/{offset} twice"));
        }
    }

    /// Holds the dead letters against the poison. Blocks.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn check_dead_letters(&self, kafka: &KafkaSettings, violations: &Violations) -> anyhow::Result<()> {
        let topic = kafka.topic(&GAME_SCORE);
        let poison: BTreeSet<String> = self
            .rows
            .iter()
            .flat_map(|(partition, rows)| {
                rows.iter().enumerate().map(move |(offset, row)| (partition, offset, row))
            })
            .filter(|(.., row)| row.is_none())
            .map(|(partition, offset, _)| format!("{topic}/{partition}/{offset}"))
            .collect();
        let mut letters = BTreeSet::new();
        tail::read_all(
            kafka,
            "fault-harness-letters",
            &kafka.topic(&GAME_SCORE_DLQ),
            DEAD_LETTERS_LIMIT,
            |key, _| {
                letters.insert(String::from_utf8_lossy(key.unwrap_or_default()).into_owned());
            },
        )
        .context("reading the dead letters")?;
        if letters != poison {
            let example = letters.symmetric_difference(&poison).next();
            let what = format!("{} dead letters, {} poison, e.g. {example:?}", letters.len(), poison.len());
            violations.add(Invariant::DeadLettersAreThePoison, what);
        }
        Ok(())
    }

    /// Waits until every viewer shows the log's top.
    pub async fn check_viewers(&self, viewers: &Viewers, limit: Duration, violations: &Violations) {
        let expected = top(&self.oracle, TOP);
        let begun = Instant::now();
        loop {
            let screens = viewers.screens();
            let shown = |last: &Option<contracts::Snapshot>| -> Vec<(String, i64)> {
                let rows = last.iter().flat_map(|frame| &frame.user_list);
                rows.map(|row| (row.user_id.clone(), row.score.units())).collect()
            };
            let wrong: Vec<_> = screens
                .iter()
                .filter(|screen| {
                    screen.last.as_ref().is_none_or(|frame| frame.rebuilding)
                        || shown(&screen.last) != expected
                })
                .collect();
            let Some(first) = wrong.first() else { return };
            if begun.elapsed() > limit {
                let what = format!(
                    "{} of {} viewers show something else: {:?} of {:?} instead of {expected:?}",
                    wrong.len(),
                    screens.len(),
                    shown(&first.last),
                    first.version()
                );
                violations.add(Invariant::LastFrameIsTheTop, what);
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Where the log ends, asked until the broker answers.
///
/// # Errors
/// When it does not.
pub async fn log_ends(kafka: &KafkaSettings) -> anyhow::Result<Offsets> {
    let begun = Instant::now();
    loop {
        let kafka = kafka.clone();
        let asked = tokio::task::spawn_blocking(move || scan::extents(&kafka, &kafka.topic(&GAME_SCORE)));
        match asked.await? {
            Ok(extents) => {
                return Ok(extents.into_iter().map(|(partition, extent)| (partition, extent.to)).collect());
            }
            Err(error) if begun.elapsed() > ENDS_LIMIT => return Err(error),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn digest_of(event: &ScoreEvent, arrived_micros: i64) -> u64 {
    let (player, score) = (event.player.as_str(), event.score.to_string());
    digest(player, &score, event.event_id.as_deref(), event.created_at.micros(), arrived_micros)
}

fn digest(player: &str, score: &str, id: Option<&str>, created_micros: i64, arrived_micros: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (player, score, id, created_micros, arrived_micros).hash(&mut hasher);
    hasher.finish()
}
