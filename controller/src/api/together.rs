//! Players who are asked for one by one, read together.
//!
//! Who comes while a read is on its way goes with the next one, as events do in the ranker: there
//! is no timer, so a lone request is read at once, and load makes the reads larger by itself. A
//! crowd that asks for its ranks so costs Redis and us half as much.

use super::boards::Boards;
use super::names::Name;
use crate::problem::{Kind, Problem};
use board_store::{Place, Reading};
use boards::RankMode;
use contracts::PlayerId;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::try_join;

/// How many players are read at once: some 3 µs of Redis' time each.
const MAX_TOGETHER: usize = 256;
/// How many may wait to be read. Requests in flight are bounded before that; the next ones wait
/// for room.
const MAX_WAITING: usize = 1024;

/// A player who was asked for, with the name.
type Found = Reading<(Option<Place>, Name)>;

struct Asked {
    player: PlayerId,
    tell: oneshot::Sender<Result<Found, Problem>>,
}

/// Where one asks.
pub(super) struct Together {
    asked: mpsc::Sender<Asked>,
}

impl Together {
    /// Where one asks, and what answers for as long as there is someone who could.
    pub(super) fn new(boards: Arc<Boards>) -> (Self, impl Future<Output = ()>) {
        let (asked, waiting) = mpsc::channel(MAX_WAITING);
        (Self { asked }, answer(boards, waiting))
    }

    /// Where `player` stands by ordinal rank, and what it is called.
    pub(super) async fn ask(&self, player: PlayerId) -> Result<Found, Problem> {
        let gone = || Problem::new(Kind::Internal, "the reads have ended");
        let (tell, told) = oneshot::channel();
        self.asked.send(Asked { player, tell }).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

async fn answer(boards: Arc<Boards>, mut waiting: mpsc::Receiver<Asked>) {
    let mut asked = Vec::new();
    while waiting.recv_many(&mut asked, MAX_TOGETHER).await > 0 {
        let players: Vec<&PlayerId> = asked.iter().map(|asked| &asked.player).collect();
        let read = try_join!(
            boards.places(boards.default_name(), &players, RankMode::Ordinal),
            boards.names.get(&players)
        );
        match read {
            Ok((reading, names)) => {
                let Reading { version, state, players, found } = reading;
                for ((asked, place), name) in asked.drain(..).zip(found).zip(names) {
                    let found = Reading { version, state, players, found: (place, name) };
                    // Who went away in the meantime needs no answer.
                    let _ = asked.tell.send(Ok(found));
                }
            }
            Err(problem) => {
                for asked in asked.drain(..) {
                    let _ = asked.tell.send(Err(problem.clone()));
                }
            }
        }
    }
}
