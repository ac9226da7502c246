//! What must hold at any time, and the list of what did not.

use crate::faults::deployment::Deployment;
use crate::faults::log_book::{LogBook, Offsets};
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use sqlx::Row as _;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many violations of one invariant are told in full.
const TOLD: usize = 5;
/// How long the stores may take to answer a check; it is a check's own connection.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// At any time: the sum on the board that viewers see is the log's up to the stored offsets.
    BoardIsTheLogUpToItsOffsets,
    /// At any time: each partition has as many rows in the archive as its offset says.
    ArchiveRowsAreItsOffset,
    /// At any time: a viewer's (epoch, version) never goes back, no row is lost, and no total
    /// falls within an epoch.
    ViewerNeverGoesBack,
    /// At the end: everything is taken.
    NoLagIsLeft,
    /// At the end: every view of every board is the log, player by player, in order.
    BoardIsTheLog,
    /// At the end: the archive has each record of the log once.
    ArchiveIsTheLog,
    /// At the end: the dead letters are the poison.
    DeadLettersAreThePoison,
    /// At the end: every viewer shows the log's top.
    LastFrameIsTheTop,
    /// At the end: what was acknowledged is in the log.
    AcknowledgedIsInTheLog,
    /// At the end: `boardctl verify` finds nothing, also after `boardctl rebuild`.
    VerifyFindsNothing,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BoardIsTheLogUpToItsOffsets => "the board's sum is the log's up to its offsets",
            Self::ArchiveRowsAreItsOffset => "the archive's rows are its offset",
            Self::ViewerNeverGoesBack => "a viewer never goes back",
            Self::NoLagIsLeft => "no lag is left",
            Self::BoardIsTheLog => "the boards are the log",
            Self::ArchiveIsTheLog => "the archive is the log",
            Self::DeadLettersAreThePoison => "the dead letters are the poison",
            Self::LastFrameIsTheTop => "the last frame is the log's top",
            Self::VerifyFindsNothing => "verify finds nothing",
            Self::AcknowledgedIsInTheLog => "what was acknowledged is in the log",
        })
    }
}

/// What did not hold.
#[derive(Debug, Default)]
pub struct Violations(Mutex<BTreeMap<Invariant, Vec<String>>>);

impl Violations {
    /// Adds one, and says it the first few times.
    pub fn add(&self, invariant: Invariant, what: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(invariant).or_default();
        if known.len() < TOLD {
            eprintln!("VIOLATED: {invariant}: {what}");
        }
        known.push(what);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Invariant, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a board stands, read in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardStand {
    /// Nothing is there.
    Nothing,
    /// It is being filled from the archive and has no offsets.
    Filling,
    /// Redis applied a half of a write, and nobody has noticed it yet.
    Torn,
    /// It stands there.
    Stands {
        /// What `rebuilding` says; empty when it does not.
        rebuilding: String,
        /// The sum of all totals.
        sum: i64,
        /// How far it has read `game-score`.
        offsets: Offsets,
    },
}

const STAND: &str = r"
local state = redis.call('HMGET', KEYS[2], 'epoch', 'rebuilding', 'filling', 'entered', 'left')
if not state[1] then return { 'nothing', tostring(redis.call('ZCARD', KEYS[1])) } end
if state[3] then return { 'filling' } end
if state[4] ~= state[5] then return { 'torn' } end
local zset = (state[2] and state[2] ~= 'rewind') and KEYS[4] or KEYS[1]
local rows = redis.call('ZRANGE', zset, 0, -1, 'WITHSCORES')
local sum = 0
for i = 2, #rows, 2 do sum = sum + math.floor(tonumber(rows[i])) end
local reply = { 'stands', state[2] or '', string.format('%.0f', sum) }
for _, item in ipairs(redis.call('HGETALL', KEYS[3])) do reply[#reply + 1] = item end
return reply";

/// Reads how a board stands.
///
/// # Errors
/// When Redis does not answer.
pub async fn board_stand(redis_url: &str, name: &str) -> anyhow::Result<BoardStand> {
    let client = redis::Client::open(redis_url)?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_LIMIT));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut command = redis::cmd("EVAL");
    command.arg(STAND).arg(4).arg(name);
    for part in ["state", "offsets", "rebuild"] {
        command.arg(format!("{{{name}}}:{part}"));
    }
    let reply: Vec<String> = command.query_async(&mut connection).await?;
    let reply: Vec<&str> = reply.iter().map(String::as_str).collect();
    match reply.as_slice() {
        ["nothing", "0"] => Ok(BoardStand::Nothing),
        ["filling"] => Ok(BoardStand::Filling),
        ["torn"] => Ok(BoardStand::Torn),
        ["stands", rebuilding, sum, offsets @ ..] => Ok(BoardStand::Stands {
            rebuilding: (*rebuilding).to_owned(),
            sum: sum.parse()?,
            offsets: offsets
                .chunks_exact(2)
                .filter_map(|pair| {
                    let (topic, partition) = pair[0].rsplit_once('/')?;
                    (topic == GAME_SCORE.name)
                        .then(|| Some((partition.parse().ok()?, pair[1].parse().ok()?)))?
                })
                .collect(),
        }),
        other => anyhow::bail!("the board stands at {other:?}"),
    }
}

/// Holds the board that viewers see against the log, if it has offsets; how it stands.
///
/// # Errors
/// When Redis or Kafka does not answer.
pub async fn check_board(
    deployment: &Deployment,
    log: &Arc<Mutex<LogBook>>,
    violations: &Violations,
) -> anyhow::Result<BoardStand> {
    let stand = board_stand(&deployment.servers.direct.redis, GAME_SCORE.name).await?;
    let BoardStand::Stands { rebuilding, sum, offsets } = &stand else { return Ok(stand) };
    let (log, until) = (Arc::clone(log), offsets.clone());
    let expected = tokio::task::spawn_blocking(move || {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.read_to(&until)?;
        log.sums.at(&until).context("it was read")
    });
    let expected = expected.await?.context("reading the log")?;
    if *sum != expected {
        let invariant = Invariant::BoardIsTheLogUpToItsOffsets;
        violations
            .add(invariant, format!("{sum} on the board, {expected} in the log: {rebuilding:?} {offsets:?}"));
    }
    Ok(stand)
}

/// Counts the archive's rows, from where they were counted before.
#[derive(Debug, Default)]
pub struct ArchiveCheck {
    counted: Offsets,
}

impl ArchiveCheck {
    /// Holds each partition's rows against its offset; the offsets.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn check(
        &mut self,
        deployment: &Deployment,
        violations: &Violations,
    ) -> anyhow::Result<Offsets> {
        // One statement sees one state. The days are named so that the primary key is of use.
        let query = sqlx::query(
            "SELECT stored.kafka_partition, \
                    greatest(stored.first_offset, coalesce(counted.next, 0)), stored.next_offset, \
                    (SELECT count(*) FROM leaderboard.game_score AS row \
                     WHERE row.arrived_on = ANY (ARRAY[(now() AT TIME ZONE 'utc')::date, \
                                                       (now() AT TIME ZONE 'utc')::date - 1]) \
                       AND row.kafka_partition = stored.kafka_partition \
                       AND row.kafka_offset >= coalesce(counted.next, 0)) \
                    + (SELECT count(*) FROM leaderboard.refused_record AS row \
                       WHERE row.kafka_partition = stored.kafka_partition \
                         AND row.kafka_offset >= coalesce(counted.next, 0)) \
             FROM leaderboard.consumer_offset AS stored \
             LEFT JOIN unnest($1::int[], $2::bigint[]) AS counted (partition, next) \
                  ON counted.partition = stored.kafka_partition \
             WHERE stored.topic = $3",
        )
        .bind(self.counted.keys().copied().collect::<Vec<_>>())
        .bind(self.counted.values().copied().collect::<Vec<_>>())
        .bind(deployment.kafka.topic(&GAME_SCORE));
        let rows = tokio::time::timeout(ANSWER_LIMIT, query.fetch_all(&deployment.postgres)).await??;
        let mut offsets = Offsets::new();
        for row in rows {
            let (partition, from, to, rows): (i32, i64, i64, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            if rows == to - from {
                self.counted.insert(partition, to);
            } else {
                let what = format!("partition {partition}: {rows} rows from {from} to {to}");
                violations.add(Invariant::ArchiveRowsAreItsOffset, what);
            }
            offsets.insert(partition, to);
        }
        Ok(offsets)
    }
}
