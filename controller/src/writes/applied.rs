//! Waiting until the ranker has applied what was written.

use board_store::{BoardStore, Place, Rows};
use boards::RankMode;
use contracts::PlayerId;
use contracts::topics::GAME_SCORE;
use pipeline::producer::Ends;
use service::Stop;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// How often the board's offsets are read while somebody waits, however many they are.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The same while Redis does not answer.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// `topic/partition` → the next offset to apply, as the board has them.
type Offsets = BTreeMap<String, i64>;

/// The offsets of the default board, read by one for all who wait.
pub(super) struct Applied {
    store: BoardStore,
    offsets: watch::Sender<Offsets>,
    wanted: Notify,
}

impl Applied {
    pub(super) fn new(store: BoardStore) -> Self {
        Self { store, offsets: watch::Sender::new(Offsets::new()), wanted: Notify::new() }
    }

    /// Reads the offsets whenever and as long as somebody waits for them, until `stop`.
    pub(super) async fn look(&self, stop: &Stop) {
        let looking = async {
            loop {
                if self.offsets.receiver_count() == 0 {
                    self.wanted.notified().await;
                }
                match self.store.stands().await {
                    Ok(Some(stand)) => drop(self.offsets.send_replace(stand.offsets)),
                    Ok(None) => {}
                    Err(_) => sleep(LOOK_AGAIN).await,
                }
                sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    /// Returns when the board has everything up to `ends`: the places of `players` then, in their
    /// order; `None` if the board cannot be read, or is being rebuilt.
    pub(super) async fn places(&self, ends: &Ends, players: &[PlayerId]) -> Option<Vec<Option<Place>>> {
        let mut offsets = self.offsets.subscribe();
        self.wanted.notify_one();
        // What was read before may be of a board that has been lost since.
        while offsets.changed().await.is_ok() {
            if reached(&offsets.borrow_and_update(), ends) {
                let reading = self.store.all_time().places(players, RankMode::Ordinal).await.ok()??;
                return (reading.state == Rows::Current).then_some(reading.found);
            }
        }
        None
    }
}

fn reached(offsets: &Offsets, ends: &Ends) -> bool {
    ends.iter().all(|(partition, end)| {
        offsets.get(&format!("{}/{partition}", GAME_SCORE.name)).is_some_and(|offset| offset >= end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_is_applied_when_every_partition_of_it_is() {
        let offsets = Offsets::from([("game-score/0".into(), 5), ("game-score/1".into(), 7)]);
        for (ends, is) in [
            (&[(0, 5)][..], true),
            (&[(0, 6)], false),
            (&[(0, 4), (1, 7)], true),
            (&[(0, 5), (1, 8)], false),
            (&[(2, 1)], false),
            (&[], true),
        ] {
            assert_eq!(reached(&offsets, &ends.iter().copied().collect()), is, "{ends:?}");
        }
    }
}
