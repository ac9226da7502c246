//! Filling a board from the archive, beside what readers see.
//!
//! The archive is read in one snapshot: its rows, and the offsets that they stand for. What it
//! says is poured into a board that has begun to be rebuilt; then the log goes on at those
//! offsets. A filler that dies is replaced by another, who begins anew; the store refuses the
//! portions of whoever was replaced, and of whoever goes on after Redis lost a portion.

use anyhow::Context as _;
use archive_store::{History, Portion};
use board_store::{Begin, BoardStore, Connection, IdSet, NameChange, Seen, Source};
use boards::Reached;
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE};
use std::collections::BTreeMap;

/// How a rebuild went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// How many players were poured in.
    pub players: u64,
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

/// Fills `store`'s board from `history`; `log` is what the log holds. `wanting` and `seen` are
/// those of [`BoardStore::rebuild`]. Calls `on_portion` with how far it is.
///
/// # Errors
/// [`FillError`] says what to do.
pub async fn fill<C: Connection>(
    store: &BoardStore<C>,
    history: &mut impl History,
    token: String,
    wanting: Option<u64>,
    seen: &Seen,
    log: &[Begin],
    mut on_portion: impl FnMut(Filled),
) -> Result<Filled, FillError> {
    let offsets = go_on_at(history.offsets(), log)?;
    let filling = store
        .rebuild(&Source::Archive { token }, wanting, seen, log)
        .await
        .context("beginning to rebuild the board")?;
    let mut filling = filling.ok_or(FillError::Elsewhere)?;
    let mut filled = Filled::default();
    while let Some(portion) = history.next().await.context("reading the archive")? {
        match portion {
            Portion::Totals(totals) => {
                let board = store.board();
                let rows: Vec<_> = totals
                    .into_iter()
                    .map(|total| {
                        let reached = total.reached_at.map_or(Reached::NEVER, Reached::at);
                        (total.player, board.clamped(total.units), reached)
                    })
                    .collect();
                store.fill_rows(&mut filling, &rows).await.context("pouring rows")?;
                filled.players += rows.len() as u64;
            }
            Portion::Ids { day, ids } => {
                filled.ids += ids.len() as u64;
                let set = IdSet { day, ids };
                store.fill_ids(&mut filling, &set).await.context("pouring event ids")?;
            }
            Portion::Names(names) => {
                let names: Vec<_> = names
                    .into_iter()
                    .map(|(player, nickname, given_ms)| NameChange {
                        player,
                        nickname: Some(nickname),
                        given_ms,
                    })
                    .collect();
                store.give_names(&names).await.context("pouring names")?;
                filled.names += names.len() as u64;
            }
        }
        on_portion(filled);
    }
    store.filled(filling, &offsets).await.context("ending the filling")?;
    Ok(filled)
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
    for Begin { field, low, high } in log {
        let (topic, partition) = field.rsplit_once('/').unwrap_or((field, ""));
        let archived = partition.parse().ok().and_then(|partition: i32| archive.get(&partition));
        let next = match archived {
            _ if topic == PLAYER_PROFILE.name => *low,
            Some(next) if *next < *low => {
                return Err(FillError::Gap(format!(
                    "{field}: the archive ends at offset {next}, but the log begins at {low}: the records \
                     between are gone"
                )));
            }
            Some(next) if *next > *high => {
                return Err(FillError::Gap(format!(
                    "{field}: the archive ends at offset {next}, beyond the log's end at {high}: it belongs \
                     to another log"
                )));
            }
            Some(next) => *next,
            None if *low == 0 => 0,
            None => {
                return Err(FillError::Gap(format!(
                    "{field}: the archive has nothing of it, and the log begins at {low}"
                )));
            }
        };
        debug_assert!(topic == GAME_SCORE.name || topic == PLAYER_PROFILE.name, "{field}");
        offsets.insert(field.clone(), next);
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
    }

    #[test]
    fn gaps_between_archive_and_log_are_told() {
        for (archive, low) in [(Some(4), 5), (Some(10), 5), (None, 5)] {
            let archive = archive.map(|next| (0, next)).into_iter().collect();
            assert!(matches!(go_on_at(&archive, &log(low, 9)), Err(FillError::Gap(_))), "{archive:?}");
        }
    }
}
