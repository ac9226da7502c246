//! Players whom viewers follow, read together.
//!
//! All players of a board who are followed by anyone are read by one script call, twice a second, for
//! as long as there are any; each viewer takes its own out of that. So what following costs Redis goes
//! by the players, never by the viewers, and nobody waits for another.

use super::answers::{Entry, FollowedEntry};
use super::boards::Boards;
use crate::problem::Problem;
use board_store::{Reading, Row};
use boards::BoardSet;
use contracts::{PlayerId, Version};
use futures_util::future::join_all;
use service::Stop;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// How many players one viewer may follow.
pub(crate) const MAX_EACH: usize = 20;
/// How many players of a board may be followed, by all viewers together: some 4 ms of Redis' time.
const MAX_TOGETHER: usize = 512;
/// How often they are read.
const TICK: Duration = Duration::from_millis(500);

/// Who is followed, of each board that can be watched.
#[derive(Clone)]
pub struct Follows {
    boards: Arc<Boards>,
    /// In the boards' order; none of boards per value.
    followed: Vec<Option<Arc<Followed>>>,
}

/// Who is followed of one board.
pub(crate) struct Followed {
    /// By how many viewers.
    asked: Mutex<HashMap<PlayerId, usize>>,
    wanted: Notify,
    found: watch::Sender<Arc<Found>>,
}

/// What was read of those who are followed.
#[derive(Default)]
pub(crate) struct Found {
    window: Box<str>,
    version: Option<Version>,
    /// As JSON; `None` who is not on the board.
    players: HashMap<PlayerId, Option<Box<str>>>,
}

/// One viewer's players, until it is dropped.
pub(crate) struct Following {
    followed: Arc<Followed>,
    players: Vec<PlayerId>,
    found: watch::Receiver<Arc<Found>>,
    /// What the viewer was last told of them.
    told: String,
}

impl Follows {
    pub(super) fn new(boards: Arc<Boards>) -> Self {
        let nobody = || Followed {
            asked: Mutex::default(),
            wanted: Notify::new(),
            found: watch::Sender::new(Arc::default()),
        };
        let set: &BoardSet = boards.set();
        let followed =
            set.iter().map(|board| board.per_value.is_none().then(|| Arc::new(nobody()))).collect();
        Self { followed, boards }
    }

    /// Who is followed of the board at that index, which must not be per value.
    pub(crate) fn of_board(&self, index: usize) -> Arc<Followed> {
        self.followed[index].clone().expect("only boards that can be watched are asked for")
    }

    /// Reads whoever is followed, whenever and as long as someone is, until `stop`.
    pub async fn look(&self, stop: &Stop) {
        let boards = self.followed.iter().enumerate();
        let followed = boards.filter_map(|(index, followed)| Some((index, followed.as_deref()?)));
        let looking = join_all(followed.map(|(index, followed)| followed.look(&self.boards, index)));
        stop.run_until_cancelled(looking).await;
    }
}

impl Followed {
    /// Follows these players from now on, for a viewer that gives up whom it follows `instead`; unless
    /// they would be too many even so.
    pub(crate) fn follow(
        self: &Arc<Self>,
        players: Vec<PlayerId>,
        instead: Option<&Following>,
    ) -> Result<Following, Problem> {
        let mut asked = self.asked();
        let before = instead.map_or(&[][..], |following| &following.players);
        let is_given_up = |player: &&PlayerId| asked.get(*player) == Some(&1) && !players.contains(*player);
        let given_up = before.iter().filter(is_given_up).count();
        let new = players.iter().filter(|player| !asked.contains_key(*player)).count();
        if asked.len() - given_up + new > MAX_TOGETHER {
            let what = format!("would make more than {MAX_TOGETHER} players that are followed here");
            return Err(Problem::of_field("follow", what));
        }
        for player in &players {
            *asked.entry(player.clone()).or_default() += 1;
        }
        drop(asked);
        self.wanted.notify_one();
        Ok(Following {
            followed: Arc::clone(self),
            players,
            found: self.found.subscribe(),
            told: String::new(),
        })
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<PlayerId, usize>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, boards: &Boards, index: usize) {
        loop {
            let players: Vec<PlayerId> = self.asked().keys().cloned().collect();
            if players.is_empty() {
                self.wanted.notified().await;
                continue;
            }
            // While the board cannot be read, viewers keep what they have.
            if let Ok(found) = read(boards, index, players).await {
                self.found.send_replace(Arc::new(found));
            }
            sleep(TICK).await;
        }
    }
}

impl Following {
    /// What there is to tell of these players that the viewer was not told yet. Can be dropped
    /// without loss.
    pub(crate) async fn news(&mut self) -> String {
        loop {
            let news = self.untold();
            if let Some(news) = news {
                return news;
            }
            if self.found.changed().await.is_err() {
                // We are stopping; the viewer is sent away.
                std::future::pending::<()>().await;
            }
        }
    }

    fn untold(&mut self) -> Option<String> {
        let found = Arc::clone(&self.found.borrow_and_update());
        let version = found.version?;
        let (mut players, mut not_found) = (Vec::new(), Vec::new());
        for player in &self.players {
            // Read before this one was followed: the next reading has it.
            match found.players.get(player)? {
                Some(json) => players.push(&**json),
                None => not_found.push(player),
            }
        }
        let not_found = serde_json::to_string(&not_found).expect("ids are text");
        let tells = format!(r#""players":[{}],"not_found":{not_found}"#, players.join(","));
        if tells == self.told {
            return None;
        }
        let window = serde_json::to_string(&found.window).expect("an id is text");
        let Version { epoch, version } = version;
        let news =
            format!(r#"{{"type":"follow","window":{window},"epoch":{epoch},"version":{version},{tells}}}"#);
        self.told = tells;
        Some(news)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut asked = self.followed.asked();
        for player in &self.players {
            if let Some(viewers) = asked.get_mut(player) {
                *viewers -= 1;
                if *viewers == 0 {
                    asked.remove(player);
                }
            }
        }
    }
}

/// One round trip for the rows, and one for names that are not known.
async fn read(boards: &Boards, index: usize, players: Vec<PlayerId>) -> Result<Found, Problem> {
    let named = boards.of_index(index);
    let subject = named.in_window(None, boards.now())?;
    let nobody = vec![Vec::new(); players.len()];
    let reading =
        boards.look(&subject, |reader| reader.neighbours(&players), |past| past.neighbours(&players), nobody);
    let Reading { version, found, .. } = reading.await?;
    let ids: Vec<&PlayerId> = found.iter().flatten().map(|row: &Row| &row.player).collect();
    let mut names = boards.names.get(&ids).await?.into_iter();
    let of_player = |(player, rows): (PlayerId, &Vec<Row>)| {
        let names: Vec<_> = names.by_ref().take(rows.len()).collect();
        let entries: Vec<Entry<'_>> =
            rows.iter().zip(&names).map(|(row, name)| Entry::of_row(row, name.as_deref())).collect();
        let own = rows.iter().position(|row| row.player == player);
        let json = own.map(|own| {
            let entry =
                FollowedEntry { own: &entries[own], above: &entries[..own], below: &entries[own + 1..] };
            serde_json::to_string(&entry).expect("entries are made of what JSON has").into_boxed_str()
        });
        (player, json)
    };
    let players = players.into_iter().zip(&found).map(of_player).collect();
    Ok(Found { window: subject.window().into(), version: Some(version), players })
}
