//! Players who are asked for one by one, read together.
//!
//! Who comes while a read is on its way goes with the next one, as events do in the ranker: there
//! is no timer, so a lone request is read at once, and load makes the reads larger by itself. A
//! crowd that asks for its ranks so costs Redis and us half as much. Those who are asked for in
//! different boards or windows are read side by side; none of them may be of a window that is over,
//! about which the archive may have to be asked, since the next ones wait for all of them.

use super::boards::{Boards, Subject};
use crate::problem::{Kind, Problem};
use board_store::{NamedPlace, Reading};
use boards::RankMode;
use contracts::PlayerId;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many players are read at once: some 3 µs of Redis' time each.
const MAX_TOGETHER: usize = 256;
/// How many may wait to be read. Requests in flight are bounded before that; the next ones wait
/// for room.
const MAX_WAITING: usize = 1024;

/// A player who was asked for.
type Found = Reading<NamedPlace>;

struct Asked {
    subject: Subject,
    player: PlayerId,
    tell: Tell,
}

type Tell = oneshot::Sender<Result<Found, Problem>>;

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
    pub(super) async fn ask(&self, subject: Subject, player: PlayerId) -> Result<Found, Problem> {
        let gone = || Problem::new(Kind::Internal, "the reads have ended");
        let (tell, told) = oneshot::channel();
        self.asked.send(Asked { subject, player, tell }).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

async fn answer(boards: Arc<Boards>, mut waiting: mpsc::Receiver<Asked>) {
    let mut asked = Vec::new();
    while waiting.recv_many(&mut asked, MAX_TOGETHER).await > 0 {
        let mut of_subject: HashMap<Subject, Vec<(PlayerId, Tell)>> = HashMap::new();
        for Asked { subject, player, tell } in asked.drain(..) {
            of_subject.entry(subject).or_default().push((player, tell));
        }
        join_all(of_subject.into_iter().map(|(subject, asked)| answer_of(&boards, subject, asked))).await;
    }
}

/// Reads the players who were asked for in one board and window.
async fn answer_of(boards: &Boards, subject: Subject, asked: Vec<(PlayerId, Tell)>) {
    let players: Vec<&PlayerId> = asked.iter().map(|(player, _)| player).collect();
    match boards.named_places(&subject, &players, RankMode::Ordinal).await {
        Ok(Reading { version, state, players, found }) => {
            for ((_, tell), found) in asked.into_iter().zip(found) {
                // Who went away in the meantime needs no answer.
                let _ = tell.send(Ok(Reading { version, state, players, found }));
            }
        }
        Err(problem) => {
            for (_, tell) in asked {
                let _ = tell.send(Err(problem.clone()));
            }
        }
    }
}
