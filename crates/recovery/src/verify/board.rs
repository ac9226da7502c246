//! The log against the board, player by player.

use crate::verify::findings::{Difference, Findings, Kind};
use crate::verify::fold::{Fold, Mark};
use crate::verify::log::Log;
use crate::verify::progress::Progress;
use crate::verify::tally::{Standing, Tally, joined};
use anyhow::Context as _;
use board_store::{AuditPage, BoardStore};
use boards::order::total_of;
use contracts::PlayerId;
use contracts::topics::GAME_SCORE;
use pipeline::scan::Scan;
use serde::Serialize;
use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many players one page has: Redis serves nobody else for about 2 ms.
const PAGE_PLAYERS: usize = 2048;
/// How often those who appeared meanwhile are gone through, too.
const ROUNDS: usize = 3;
/// How many unknown members are held before they are asked for.
const MAX_STRANGERS: usize = 10_000;
/// How long a board that is being rebuilt is waited for.
const REBUILD_LIMIT: Duration = Duration::from_secs(60);
const REBUILD_PAUSE: Duration = Duration::from_millis(500);

/// What was compared of the board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoardPart {
    /// The board's epoch.
    pub epoch: u64,
    /// How many players were on it in the end.
    pub players: u64,
    /// How many were compared one by one.
    pub compared: u64,
    /// Of those: the ones whose reach time is known to the coarser step only, as documented.
    pub coarser_reach: u64,
    /// Of those: the ones who were erased and stand under their names again, since more of their
    /// events arrived or the board was rebuilt.
    pub named_again: u64,
    /// Of those: the ones of whom nothing can be said, since the limit of totals was in their way.
    pub beyond_limit: u64,
    /// Partition → the offset up to which all events are in the number of players.
    pub offsets: BTreeMap<i32, i64>,
    /// How many events were taken from the archive, since the log no longer has them.
    pub from_archive: u64,
    /// How many event ids were remembered in the end.
    pub ids: u64,
    /// Why the board was read again, each time.
    pub read_again: Vec<String>,
}

/// Why a comparison came to no end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The board was begun anew or lost its tail: try again.
    Moved(String),
    /// It cannot be done.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Where the board stands, once it is whole.
pub(crate) async fn stands(store: &BoardStore) -> anyhow::Result<AuditPage> {
    let name = &store.board().name;
    let begun = Instant::now();
    loop {
        let page = store.audit_page(GAME_SCORE.name, &[]).await?;
        let page = page.with_context(|| format!("Redis knows nothing of board {name}"))?;
        let rules = store.board().fingerprint();
        anyhow::ensure!(
            page.rules == rules,
            "board {name} was made under other rules ({}; the file says {rules})",
            page.rules
        );
        if !page.rebuilding {
            return Ok(page);
        }
        anyhow::ensure!(
            begun.elapsed() < REBUILD_LIMIT,
            "board {name} is being rebuilt, for more than {REBUILD_LIMIT:?}"
        );
        tokio::time::sleep(REBUILD_PAUSE).await;
    }
}

/// The doubles of a player.
#[derive(Clone, Copy, Debug)]
struct Stored {
    /// Of one who was erased: that of the pseudonym.
    own: Option<f64>,
    /// Of one who was erased: that of the name.
    named: Option<f64>,
}

impl Stored {
    fn joined(self) -> Option<f64> {
        match (self.own, self.named) {
            (Some(own), Some(named)) => Some(joined(own, named)),
            (own, named) => own.or(named),
        }
    }
}

/// Holds a fold against the board, and lets it grow as the board does.
pub(crate) struct Comparison<'a> {
    store: &'a BoardStore,
    fold: Arc<Fold>,
    log: &'a Log,
    /// Stands where the fold does; away while it reads.
    scan: Option<Scan>,
    part: BoardPart,
    findings: Findings,
    missing: u64,
}

impl<'a> Comparison<'a> {
    /// Of a `fold` that has every event up to `offsets`.
    pub(crate) fn new(
        store: &'a BoardStore,
        log: &'a Log,
        fold: Arc<Fold>,
        epoch: u64,
        offsets: BTreeMap<i32, i64>,
        all: bool,
    ) -> anyhow::Result<Self> {
        let scan = Some(log.scan(offsets)?);
        let part = BoardPart { epoch, ..BoardPart::default() };
        Ok(Self { store, fold, log, scan, part, findings: Findings::new(all), missing: 0 })
    }

    /// Compares every player, each at the offsets at which it was read.
    pub(crate) async fn run(mut self, progress: &Progress) -> Result<(BoardPart, Findings), Broken> {
        let mut mark = Mark::default();
        for _ in 0..ROUNDS {
            let end = self.fold.end();
            progress.players.expect(self.fold.players() as u64);
            progress.players.advance(self.part.compared);
            loop {
                let players = self.fold.next_players(&mut mark, &end, PAGE_PLAYERS);
                if players.is_empty() {
                    break;
                }
                self.compare(&players).await?;
                progress.players.advance(players.len() as u64);
            }
        }
        let (page, erased) = loop {
            let pseudonyms: Vec<PlayerId> = self.fold.names().into_keys().collect();
            let read = self.page_of(&pseudonyms).await?;
            if self.fold.names().len() == pseudonyms.len() {
                break read;
            }
        };
        let named = erased.iter().filter(|stored| stored.named.is_some());
        let twice = named.clone().filter(|stored| stored.own.is_some()).count() as u64;
        self.part.named_again = named.count() as u64;
        let expected = (self.fold.players() as u64 + twice).saturating_sub(self.missing);
        if page.players != expected {
            self.name_strangers(page.players, expected).await?;
        }
        if let Some(place) = self.fold.unknown() {
            return Err(Broken::Failed(anyhow::anyhow!(
                "the event at {}/{}/{} arrived days before others that were read earlier: whether its id was \
                 seen is not known any more",
                self.log.topic,
                place.partition,
                place.offset
            )));
        }
        self.part.players = page.players;
        self.part.offsets = page.offsets;
        self.part.ids = self.fold.ids() as u64;
        Ok((self.part, self.findings))
    }

    async fn compare(&mut self, players: &[PlayerId]) -> Result<(), Broken> {
        let (_, stored) = self.page_of(players).await?;
        for (player, stored) in players.iter().zip(stored) {
            let tally = self.fold.tally(player.as_str()).context("a player left the fold")?;
            self.part.compared += 1;
            self.judge(player.as_str(), tally, stored.joined());
        }
        Ok(())
    }

    /// Reads some players of the fold, those who were erased by their names, too.
    async fn page_of(&mut self, players: &[PlayerId]) -> Result<(AuditPage, Vec<Stored>), Broken> {
        loop {
            let names = self.fold.names();
            let asked = players.iter().flat_map(|player| iter::once(player).chain(names.get(player)));
            let page = self.page(&asked.cloned().collect::<Vec<_>>()).await?;
            // Reading on, the fold may have met a name that was not asked for.
            if self.fold.names().len() == names.len() {
                let mut scores = page.scores.iter().copied();
                let mut next = || scores.next().flatten();
                let stored = |player| Stored {
                    own: next(),
                    named: if names.contains_key(player) { next() } else { None },
                };
                let stored = players.iter().map(stored).collect();
                return Ok((page, stored));
            }
        }
    }

    fn judge(&mut self, player: &str, tally: Tally, stored: Option<f64>) {
        let board = self.store.board();
        let must = || format!("must be {}", board.score(tally.total()));
        let Some(stored) = stored else {
            self.missing += 1;
            self.findings.add(Kind::MissingPlayer, || Difference { at: player.to_owned(), what: must() });
            return;
        };
        let (kind, what) = match tally.judge(stored) {
            Standing::Exact => return,
            Standing::CoarserReach => return self.part.coarser_reach += 1,
            Standing::BeyondLimit => return self.part.beyond_limit += 1,
            Standing::WrongTotal => {
                let is = board.score(total_of(stored));
                (Kind::WrongTotal, format!("is {is}, {}", must()))
            }
            Standing::WrongReach => {
                let exact = tally.sorted_set_score();
                let when = if stored > exact { "earlier" } else { "later" };
                (
                    Kind::WrongReachTime,
                    format!(
                        "total {} is right, reached {when} than it was: {stored:?}, must be {exact:?}",
                        board.score(tally.total())
                    ),
                )
            }
        };
        self.findings.add(kind, || Difference { at: player.to_owned(), what });
    }

    /// Reads some players; when this returns, the fold stands where the board did.
    async fn page(&mut self, players: &[PlayerId]) -> Result<AuditPage, Broken> {
        let name = &self.store.board().name;
        let page = self.store.audit_page(GAME_SCORE.name, players).await.map_err(anyhow::Error::from)?;
        let page = page.ok_or_else(|| Broken::Moved(format!("board {name} was lost")))?;
        if page.epoch != self.part.epoch {
            let why = format!("the epoch went from {} to {}", self.part.epoch, page.epoch);
            return Err(Broken::Moved(why));
        }
        if page.rebuilding {
            return Err(Broken::Moved("the board is being rebuilt".to_owned()));
        }
        self.follow(&page.offsets).await?;
        Ok(page)
    }

    /// Lets the fold grow up to `offsets`, no farther.
    async fn follow(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), Broken> {
        let mut scan = self.scan.take().context("the reader was lost")?;
        let mut grown = false;
        for (partition, offset) in offsets {
            let position = scan.positions().get(partition).copied().unwrap_or(0);
            if *offset < position {
                let why = format!("partition {partition} went back from {position} to {offset}");
                return Err(Broken::Moved(why));
            }
            grown |= *offset > position;
        }
        if grown {
            let (log, fold, offsets) = (self.log.clone(), Arc::clone(&self.fold), offsets.clone());
            let read = tokio::task::spawn_blocking(move || {
                scan.read_to(&offsets, |record| {
                    log.fold(&fold, record);
                    Ok(())
                })
                .map(|()| scan)
            });
            scan = read.await.context("following the log").flatten()?;
        }
        self.scan = Some(scan);
        Ok(())
    }

    /// Looks through the whole board for those who are not in the log.
    async fn name_strangers(&mut self, players: u64, expected: u64) -> Result<(), Broken> {
        let (mut cursor, mut unknown) = (0, Vec::new());
        loop {
            let (next, members) = self.store.members(cursor).await.map_err(anyhow::Error::from)?;
            unknown.extend(members.into_iter().filter(|member| !self.knows(member)));
            cursor = next;
            if cursor == 0 || unknown.len() > MAX_STRANGERS {
                break;
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        // Some may have scored since: ask for them at offsets that the fold then reaches.
        let (asked, never): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .map(|member| PlayerId::new(member.as_str()).map_err(|_| member))
            .partition(Result::is_ok);
        for player in asked.into_iter().flatten().collect::<Vec<_>>().chunks(PAGE_PLAYERS) {
            let page = self.page(player).await?;
            for (player, stored) in player.iter().zip(page.scores) {
                if let Some(stored) = stored
                    && !self.knows(player.as_str())
                {
                    self.name_stranger(player.as_str(), Some(stored));
                }
            }
        }
        for member in never.into_iter().filter_map(Result::err) {
            self.name_stranger(&member.escape_debug().to_string(), None);
        }
        let strangers = self.findings.count(Kind::UnknownPlayer);
        if strangers == 0 {
            self.findings.add(Kind::PlayerCount, || Difference {
                at: self.store.board().name.clone(),
                what: format!("has {players} players, must have {expected}"),
            });
        }
        Ok(())
    }

    fn knows(&self, member: &str) -> bool {
        self.fold.tally(member).is_some() || self.fold.is_erased_name(member)
    }

    fn name_stranger(&mut self, player: &str, stored: Option<f64>) {
        let board = self.store.board();
        self.findings.add(Kind::UnknownPlayer, || Difference {
            at: player.to_owned(),
            what: match stored {
                Some(stored) => format!("is there with {}", board.score(total_of(stored))),
                None => "is no player's id".to_owned(),
            },
        });
    }
}
