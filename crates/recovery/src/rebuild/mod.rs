//! Filling a board from the archive, beside what readers see.
//!
//! The archive is read in one snapshot: its events, and the offsets that they stand for. They are
//! folded in memory by the rules by which the log is ranked; what they come to is poured into a
//! board that has begun to be rebuilt; then the log goes on at those offsets. A filler that dies is
//! replaced by another, who begins anew; the store refuses the portions of whoever was replaced, and
//! of whoever goes on after Redis lost a portion.
//!
//! The archive may be ahead of the ranker, which then never reads some of the records that the log
//! still has. Those among them that are refused become dead letters here: some for the second
//! time, under the same key.

mod fold;

use anyhow::Context as _;
use archive_store::{History, Place, Portion, Refused};
use board_store::{Begin, BoardStore, Connection, Filling, IdSet, Seen, Source};
use boards::{Arrival, BoardSet};
use contracts::dead_letter::{Coordinates, DeadLetter, STAGE_RANK};
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE};
use contracts::{EventTime, ScoreEvent};
use fold::{Fold, Folded, Gone};
use pipeline::{AckProducer, Message};
use std::collections::BTreeMap;

/// How many rows, ids or names are poured at a time: a script that takes them in keeps readers
/// waiting for about 1 ms.
const PORTION: usize = 512;

/// After how many events the board is told that someone fills it: well within the time after which
/// another would.
const EVENTS_A_SIGN: u64 = 100_000;

/// How a rebuild goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// How many events of the archive were read.
    pub events: u64,
    /// How many rows were poured in: one for each player, value and window.
    pub rows: u64,
    /// How many event ids.
    pub ids: u64,
    /// How many nicknames.
    pub names: u64,
}

/// Why a board was not filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// It stands elsewhere by now, or someone else fills it: look again.
    #[error("someone else mends the board")]
    Elsewhere,
    /// Archive and log leave a gap: a person must act.
    #[error("{0}")]
    Gap(String),
    /// A store did not do what it was asked. Begin anew.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Where dead letters go.
pub trait DeadLetters: Send + Sync {
    /// Writes them; returns when all are acknowledged.
    fn bury(&self, letters: &[&DeadLetter]) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Writes dead letters to their topic; returns when all are acknowledged.
///
/// # Errors
/// When Kafka does not take one.
pub async fn bury(producer: &AckProducer, topic: &str, letters: &[&DeadLetter]) -> anyhow::Result<()> {
    let letters: Vec<_> = letters
        .iter()
        .map(|letter| (letter.coordinates.key(), letter.headers(STAGE_RANK), letter.payload.as_deref()))
        .collect();
    let messages: Vec<Message<'_>> = letters
        .iter()
        .map(|(key, headers, payload)| Message { topic, key: key.as_bytes(), payload: *payload, headers })
        .collect();
    producer.send_all(&messages).await.map(drop).context("sending dead letters")
}

/// What is being rebuilt, and why.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The boards of the deployment, the store's among them, by which records are judged.
    pub boards: &'a BoardSet,
    /// The score topic's name on the broker.
    pub topic: &'a str,
    /// Tells fillers apart.
    pub token: String,
    /// The epoch at which the board was found wanting; `None` to rebuild it in any case.
    pub wanting: Option<u64>,
    /// What the time is: windows that are gone by then, and kept, are not made again.
    pub now: EventTime,
    /// What was seen of it.
    pub seen: &'a Seen,
    /// What the log holds of each partition.
    pub log: &'a [Begin],
}

impl Order<'_> {
    /// From which offsets on the archive is to tell refused records: those that the log still has.
    #[must_use]
    pub fn refused_from(log: &[Begin]) -> BTreeMap<i32, i64> {
        let scores = log.iter().filter_map(|Begin { field, low, .. }| {
            let (topic, partition) = field.rsplit_once('/')?;
            (topic == GAME_SCORE.name).then_some((partition.parse().ok()?, *low))
        });
        scores.collect()
    }
}

/// Fills `store`'s board from `history`. Calls `on_portion` with how far it is.
///
/// # Errors
/// [`FillError`] says what to do.
pub async fn fill<C: Connection>(
    store: &BoardStore<C>,
    history: &mut impl History,
    dead_letters: &impl DeadLetters,
    order: Order<'_>,
    mut on_portion: impl FnMut(Filled) + Send,
) -> Result<Filled, FillError> {
    let Order { boards, topic, token, wanting, now, seen, log } = order;
    let name = &store.board().name;
    let index = boards.iter().position(|board| board.name == *name);
    let index = index.with_context(|| format!("board {name} is not among the boards"))?;
    let offsets = go_on_at(history.offsets(), log)?;
    let filling = store
        .rebuild(&Source::Archive { token }, wanting, seen, log)
        .await
        .context("beginning to rebuild the board")?;
    let mut filling = filling.ok_or(FillError::Elsewhere)?;
    let mut filled = Filled::default();
    let mut fold = Fold::new(boards, index, Gone::of(boards, index, history.kept_windows(), now));
    while let Some(portion) = history.next().await.context("reading the archive")? {
        match portion {
            Portion::Events(events) => {
                let before = filled.events;
                filled.events += events.len() as u64;
                for (place, event) in events {
                    let Place { partition, offset, arrived_at } = place;
                    fold.take(event, Arrival { at: arrived_at, partition, offset });
                }
                if filled.events / EVENTS_A_SIGN > before / EVENTS_A_SIGN {
                    store.still_filling(&mut filling).await.context("keeping the board")?;
                }
            }
            Portion::Refused(records) => {
                let letters: Vec<DeadLetter> =
                    records.into_iter().filter_map(|record| dead_letter(boards, topic, record)).collect();
                let letters: Vec<&DeadLetter> = letters.iter().collect();
                dead_letters.bury(&letters).await.context("writing dead letters")?;
                store.still_filling(&mut filling).await.context("keeping the board")?;
            }
        }
        on_portion(filled);
    }
    pour(store, &mut filling, fold, &mut filled, on_portion).await?;
    store.filled(filling, &offsets).await.context("ending the filling")?;
    Ok(filled)
}

/// Pours what the events have come to.
async fn pour<C: Connection>(
    store: &BoardStore<C>,
    filling: &mut Filling,
    fold: Fold<'_>,
    filled: &mut Filled,
    mut on_portion: impl FnMut(Filled) + Send,
) -> Result<(), FillError> {
    let Folded { views, ids, names } = fold.end();
    for (view, rows) in views {
        for rows in rows.chunks(PORTION) {
            store.fill_rows(filling, &view, rows).await.context("pouring rows")?;
            filled.rows += rows.len() as u64;
            on_portion(*filled);
        }
    }
    for (day, ids) in ids {
        for ids in ids.chunks(PORTION) {
            let set = IdSet { day, ids: ids.to_vec() };
            store.fill_ids(filling, &set).await.context("pouring event ids")?;
            filled.ids += ids.len() as u64;
        }
    }
    for names in names.chunks(PORTION) {
        store.give_names(names).await.context("pouring names")?;
        store.still_filling(filling).await.context("keeping the board")?;
        filled.names += names.len() as u64;
    }
    Ok(())
}

/// The dead letter of a record; `None` if the boards take it by now.
fn dead_letter(boards: &BoardSet, topic: &str, record: Refused) -> Option<DeadLetter> {
    let Refused { place, key, payload } = record;
    let judged = ScoreEvent::decode(payload.as_deref(), place.arrived_at)
        .and_then(|event| boards.judge(&event, place.arrived_at));
    Some(DeadLetter {
        coordinates: Coordinates {
            topic: topic.to_owned(),
            partition: place.partition,
            offset: place.offset,
        },
        record_key: key,
        payload,
        timestamp_ms: Some(place.arrived_at.micros().div_euclid(1000)),
        refusal: judged.err()?,
    })
}

/// `topic/partition`, as the board's offsets name it.
#[must_use]
pub fn field(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
}

/// Where the log goes on after the archive. Profiles are not archived; their topic is compacted,
/// so it is read again.
fn go_on_at(archive: &BTreeMap<i32, i64>, log: &[Begin]) -> Result<BTreeMap<String, i64>, FillError> {
    let mut offsets = BTreeMap::new();
    for Begin { field: name, low, high } in log {
        let (topic, partition) = name.rsplit_once('/').unwrap_or((name, ""));
        let archived = partition.parse().ok().and_then(|partition: i32| archive.get(&partition));
        let next = match archived {
            _ if topic == PLAYER_PROFILE.name => *low,
            Some(next) if *next < *low => {
                return Err(FillError::Gap(format!(
                    "{name}: the archive ends at offset {next}, but the log begins at {low}: the records \
                     between are gone"
                )));
            }
            // The log has grown since it was looked at; or it is another log.
            Some(next) if *next > *high => {
                return Err(FillError::Failed(anyhow::anyhow!(
                    "{name}: the archive ends at offset {next}, beyond the log's end at {high}"
                )));
            }
            Some(next) => *next,
            None if *low == 0 => 0,
            None => {
                return Err(FillError::Gap(format!(
                    "{name}: the archive has nothing of it, and the log begins at {low}"
                )));
            }
        };
        debug_assert!(topic == GAME_SCORE.name || topic == PLAYER_PROFILE.name, "{name}");
        offsets.insert(name.clone(), next);
    }
    // A partition may have come, and been archived, since the log was looked at.
    for (partition, next) in archive {
        offsets.entry(field(GAME_SCORE.name, *partition)).or_insert(*next);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(low: i64, high: i64) -> Vec<Begin> {
        ["game-score/0", "player-profile/0"]
            .map(|field| Begin { field: field.to_owned(), low, high })
            .to_vec()
    }

    #[test]
    fn log_goes_on_where_the_archive_ends_and_profiles_are_read_again() {
        let offsets = go_on_at(&[(0, 7)].into(), &log(5, 9)).unwrap();
        assert_eq!(offsets, [("game-score/0".to_owned(), 7), ("player-profile/0".to_owned(), 5)].into());
        let offsets = go_on_at(&[(0, 7), (1, 3)].into(), &log(5, 9)).unwrap();
        assert_eq!(offsets["game-score/1"], 3, "a partition that came since the log was looked at");
    }

    #[test]
    fn gaps_between_archive_and_log_are_told() {
        for (archive, low) in [(Some(4), 5), (None, 5)] {
            let archive = archive.map(|next| (0, next)).into_iter().collect();
            assert!(matches!(go_on_at(&archive, &log(low, 9)), Err(FillError::Gap(_))), "{archive:?}");
        }
        assert!(matches!(go_on_at(&[(0, 10)].into(), &log(5, 9)), Err(FillError::Failed(_))));
    }
}
