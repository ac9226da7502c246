//! Holds log, archive and boards against each other, on a running system, while traffic flows.
//!
//! The log is the truth. It is read once, from its oldest record up to where the stores say that
//! they stand, and each record is judged once, as ranker and archiver judge it. Then
//!
//! - **the archive**, as it stands at one moment, must have one row for each record, equal in
//!   every column ([`mod@archive`]). Both sides are added up in digests of 4096 offsets; only
//!   where those differ are records and rows read again, to name each difference;
//! - **each board** must have each view that events come to, by value and window, and no other, and
//!   in it each player under exactly the double that the player's events come to ([`mod@board`],
//!   [`strangers`]). Players are read in pages, each atomically with the board's offsets, and the
//!   board's fold of the log grows to just these offsets before they are compared. Boards stand at
//!   offsets of their own, so each has a fold of its own;
//! - **windows that are over**, whose standings the archive keeps, must have just those places and
//!   totals that the board's events came to ([`finals`]).
//!
//! **Memory** does not depend on the number of events: 100 to 165 bytes for each player in each view,
//! 20 to 40 for each event id of the last days on each board, 24 for 4096 offsets twice, and about
//! 115 MB for each reader of the log. Windows that have left Redis by their age and are not kept,
//! and values that have no board, take no more than their names; of those that are kept, the last
//! are compared that have four million players together. Differences are looked into 32 ranges at a time.
//!
//! **Players who were erased** stand under their pseudonyms in all stores, under their names in
//! the log, and under both where more of their events arrived since: they are compared as one.
//!
//! **What it cannot see**: what the code that decodes, judges and encodes a record gets wrong in
//! the services, it gets wrong too; changes made to a row or player after it was read; names;
//! records that were in the log once and in no store; which of two events with the same id and
//! other scores came first when they stand in different partitions; what a board keeps beside its
//! sorted sets for dense ranks.

mod archive;
mod board;
mod digest;
mod finals;
mod findings;
mod fold;
mod ids;
mod judge;
mod log;
mod plan;
mod progress;
mod report;
mod strangers;
mod tally;
mod views;

pub use archive::{ArchivePart, Older};
pub use board::BoardPart;
pub use finals::FinalPart;
pub use findings::{At, Difference, Finding, Kind};
pub use progress::{Part, Progress};
pub use report::{BoardReport, LogPart, OfBoard, Outcome, Report, Seconds, Verdict};

use anyhow::Context as _;
use archive_store::ArchiveStore;
use archive_store::audit::Audit;
use board::{Broken, Comparison};
use board_store::{AuditPage, BoardStore};
use boards::BoardSet;
use boards::changes::day_of;
use contracts::EventTime;
use contracts::topics::GAME_SCORE;
use digest::Spans;
use finals::Finals;
use findings::Findings;
use fold::{Fold, Reader, Scored};
use log::{Log, Reading};
use pipeline::KafkaSettings;
use pipeline::scan::{Extent, extents};
use plan::{ArchivePlan, FoldPlan, archive_plan, fold_plan, history_of};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use views::Coverage;

/// How often a board is read before it is given up, when it is begun anew meanwhile.
const TRIES: usize = 3;

/// What is compared.
pub struct Sources {
    /// How the log is reached.
    pub kafka: KafkaSettings,
    /// The boards of the deployment, by which records are judged.
    pub boards: BoardSet,
    /// The archive.
    pub archive: ArchiveStore,
    /// Those of the boards that are compared.
    pub stores: Vec<BoardStore>,
}

/// Compares all of them. With `all`, names every difference instead of the first of each kind.
///
/// # Errors
/// When the log cannot be read, or a board is not one of the deployment's. A store that cannot be
/// compared is part of the report.
pub async fn verify(sources: Sources, all: bool, progress: Arc<Progress>) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let Sources { kafka, boards, archive, stores } = sources;
    let topic = kafka.topic(&GAME_SCORE);

    // First where the stores stand, then where the log does: it can only be ahead of them.
    let audit = archive.audit(&topic).await;
    let mut stood = Vec::new();
    for store in &stores {
        stood.push(board::stands(store).await);
    }
    let erased = audit.as_ref().map(|audit| audit.erased().clone()).unwrap_or_default();
    let log = Log { kafka, topic, boards, erased: Arc::new(erased) };
    let extents = log.extents().await?;
    let (mut audit, archive_plan) = match audit.and_then(|audit| planned(audit, &log.topic, &extents)) {
        Ok((audit, plan)) => (Some(audit), Ok(plan)),
        Err(error) => (None, Err(error)),
    };
    let mut readies = Vec::new();
    let mut room = if all { u64::MAX } else { finals::PLAYERS };
    for (store, stood) in stores.iter().zip(stood) {
        readies.push(match stood {
            Ok(stood) => Ready::new(&log, store, stood, &extents, &mut audit, &mut room).await,
            Err(error) => Err(error),
        });
    }
    past(&mut audit, &log, readies.iter_mut().flatten().collect()).await?;

    let compare = archive_plan.as_ref().map(|plan| plan.compare.clone()).unwrap_or_default();
    let folds = readies.iter().flatten().map(Ready::wants).collect();
    let reading = log.read_aside(&compare, folds, &progress);
    let sums = async {
        match (&mut audit, &archive_plan) {
            (Some(audit), Ok(plan)) => Some(archive::sums(audit, &log.topic, plan, all, &progress).await),
            _ => None,
        }
    };
    let (reading, sums) = tokio::join!(reading, sums);
    let reading = reading?;

    let mut findings = Findings::new(all);
    let archive = match (&mut audit, archive_plan, sums) {
        (Some(audit), Ok(plan), Some(Ok(sums))) => {
            archive::compare(&log, audit, &plan, &reading.ledger, sums, all, &mut findings).await
        }
        (_, _, Some(Err(error))) | (_, Err(error), _) => Err(error),
        _ => Err(anyhow::anyhow!("the archive was not read")),
    };
    let archive_seconds = begun.elapsed().as_secs_f64();
    let mut reports = Vec::new();
    // Each comparison has its fold alone, and leaves nothing of it.
    for (store, ready) in stores.iter().zip(readies) {
        let compared = match ready {
            Ok(ready) => compare_board(&log, store, &mut audit, ready, all, &progress).await,
            Err(error) => Err(error),
        };
        let outcome = match compared {
            Ok((part, found)) => {
                findings.absorb(found);
                OfBoard::Compared(part)
            }
            Err(error) => OfBoard::NotCompared { not_compared: format!("{error:#}") },
        };
        reports.push(BoardReport { board: store.board().name.clone(), outcome });
    }
    let total = begun.elapsed().as_secs_f64();

    let archive = match archive {
        Ok(part) => Outcome::Compared(part),
        Err(error) => Outcome::NotCompared(format!("{error:#}")),
    };
    let differences = findings.into_vec();
    let compared =
        matches!(archive, Outcome::Compared(_)) && reports.iter().all(|board| board.outcome.is_whole());
    let verdict = match (differences.is_empty(), compared) {
        (false, _) => Verdict::Differences,
        (true, true) => Verdict::Right,
        (true, false) => Verdict::NotCompared,
    };
    Ok(Report {
        verdict,
        log: LogPart { topic: log.topic, records: reading.records, refused: reading.refused },
        archive,
        boards: reports,
        differences,
        seconds: Seconds { archive: archive_seconds, boards: total - archive_seconds, total },
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// A fold that is going to stand where the board did.
struct Ready {
    fold: Arc<Fold>,
    plan: FoldPlan,
    epoch: u64,
    finals: Finals,
    /// How many events it has from the archive.
    from_archive: u64,
}

impl Ready {
    /// With those of the windows that are over whose players have `room`.
    async fn new(
        log: &Log,
        store: &BoardStore,
        (page, mut coverage): (AuditPage, Coverage),
        extents: &BTreeMap<i32, Extent>,
        audit: &mut Option<Audit>,
        room: &mut u64,
    ) -> anyhow::Result<Self> {
        let name = &store.board().name;
        let index = log.boards.iter().position(|board| board.name == *name);
        let index = index.with_context(|| format!("board {name} is not among the boards"))?;
        let stretches = audit.as_ref().map(Audit::stretches);
        let plan = fold_plan(extents, &page.offsets, stretches).map_err(anyhow::Error::msg)?;
        let finals = match audit {
            Some(audit) => Finals::choose(audit, &log.boards, index, &coverage, room).await?,
            None => Finals::default(),
        };
        coverage.kept = finals.views();
        let fold = Arc::new(Fold::new(&log.boards, index, coverage));
        Ok(Self { fold, plan, epoch: page.epoch, finals, from_archive: 0 })
    }

    /// What it wants of the log.
    fn wants(&self) -> (Arc<Fold>, Spans) {
        (Arc::clone(&self.fold), self.plan.log.clone())
    }
}

/// Compares a board, from the beginning again if it is begun anew meanwhile.
async fn compare_board(
    log: &Log,
    board: &BoardStore,
    audit: &mut Option<Audit>,
    mut ready: Ready,
    all: bool,
    progress: &Arc<Progress>,
) -> anyhow::Result<(BoardPart, Findings)> {
    let mut read_again = Vec::new();
    loop {
        let Ready { fold, plan, epoch, finals, from_archive } = ready;
        let comparison = Comparison::new(board, log, Arc::clone(&fold), epoch, plan.offsets, all);
        let why = match comparison.run(progress).await {
            Ok((mut part, mut found)) => {
                let compared = match audit {
                    Some(audit) => finals.compare(audit, board.board(), &fold, &mut part, &mut found).await,
                    None => Err(anyhow::anyhow!("the archive was not read")),
                };
                let finals = compared
                    .map_or_else(|error| Outcome::NotCompared(format!("{error:#}")), Outcome::Compared);
                return Ok((BoardPart { from_archive, read_again, finals, ..part }, found));
            }
            Err(Broken::Failed(error)) => return Err(error),
            Err(Broken::Moved(why)) => why,
        };
        read_again.push(why);
        anyhow::ensure!(read_again.len() < TRIES, "it moved each time: {}", read_again.join("; "));
        let stood = board::stands(board).await?;
        // What there was room for before has room again.
        let mut room = if all { u64::MAX } else { finals.players };
        ready = Ready::new(log, board, stood, &log.extents().await?, audit, &mut room).await?;
        past(audit, log, vec![&mut ready]).await?;
        log.read_aside(&Spans::new(), vec![ready.wants()], progress).await?;
    }
}

fn planned(
    audit: Audit,
    topic: &str,
    extents: &BTreeMap<i32, Extent>,
) -> anyhow::Result<(Audit, ArchivePlan)> {
    anyhow::ensure!(!audit.stretches().is_empty(), "the archive has not begun topic {topic}");
    let plan = archive_plan(extents, audit.stretches()).map_err(anyhow::Error::msg)?;
    Ok((audit, plan))
}

/// Folds what only the archive still has, with one reading for all.
async fn past(audit: &mut Option<Audit>, log: &Log, mut readies: Vec<&mut Ready>) -> anyhow::Result<()> {
    /// Beside the log's partitions, which wait at their first days.
    const ARCHIVE: i32 = -1;
    readies.retain(|ready| !ready.plan.history.is_empty());
    let Some(audit) = audit.as_mut().filter(|_| !readies.is_empty()) else { return Ok(()) };
    for ready in &readies {
        let first_days = log.first_days_aside(&ready.plan.log).await?;
        ready.fold.begin(first_days.keys().copied().chain([ARCHIVE]));
        for (partition, day) in first_days {
            ready.fold.reach(partition, Some(day));
        }
    }
    let mut reader = Reader::new(&log.boards);
    let mut newest = None;
    let offsets = history_of(readies.iter().map(|ready| &ready.plan));
    audit
        .events_below(&offsets, |place, event| {
            let day = Some(day_of(place.arrived_at));
            if newest < day {
                readies.iter().for_each(|ready| ready.fold.reach(ARCHIVE, day));
                newest = day;
            }
            let forgotten = log.erased.archived(&event);
            for ready in &mut readies {
                let Ready { fold, plan, from_archive, .. } = &mut **ready;
                if plan.history.get(&place.partition).is_none_or(|below| *below <= place.offset) {
                    continue;
                }
                *from_archive += 1;
                fold.take(&mut reader, Scored { place, event: &event, forgotten: forgotten.as_ref() });
            }
            Ok(())
        })
        .await
}

impl Log {
    async fn extents(&self) -> anyhow::Result<BTreeMap<i32, Extent>> {
        let log = self.clone();
        let asked = tokio::task::spawn_blocking(move || extents(&log.kafka, &log.topic));
        asked.await.context("asking for the log's ends").flatten()
    }

    /// [`first_days`](Self::first_days) on a thread of its own.
    async fn first_days_aside(&self, spans: &Spans) -> anyhow::Result<BTreeMap<i32, i64>> {
        let (log, spans) = (self.clone(), spans.clone());
        let asked = tokio::task::spawn_blocking(move || log.first_days(&spans));
        asked.await.context("asking for the log's first records").flatten()
    }

    /// [`read`](Self::read) on threads of its own.
    async fn read_aside(
        &self,
        compare: &Spans,
        folds: Vec<(Arc<Fold>, Spans)>,
        progress: &Arc<Progress>,
    ) -> anyhow::Result<Reading> {
        let (log, compare, progress) = (self.clone(), compare.clone(), Arc::clone(progress));
        let read = tokio::task::spawn_blocking(move || log.read(&compare, &folds, &progress));
        read.await.context("reading the log").flatten()
    }
}

/// What this machine's clock says.
fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).ok().and_then(EventTime::from_micros).unwrap_or(EventTime::MAX)
}

/// `VmHWM` of this process; `None` where the system does not tell.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}
