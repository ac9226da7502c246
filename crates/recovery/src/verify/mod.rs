//! Holds log, archive and board against each other, on a running system, while traffic flows.
//!
//! The log is the truth. It is read once, from its oldest record up to where the two stores say
//! that they stand, and each record is judged as ranker and archiver judge it. Then
//!
//! - **the archive**, as it stands at one moment, must have one row for each record, equal in
//!   every column ([`mod@archive`]). Both sides are added up in digests of 4096 offsets; only
//!   where those differ are records and rows read again, to name each difference;
//! - **the board** must have each player under exactly the double that the player's events come
//!   to ([`mod@board`]). Players are read in pages, each atomically with the board's offsets, and
//!   the fold of the log grows to just these offsets before they are compared.
//!
//! **Memory** does not depend on the number of events: about 100 bytes for each player, 20 to 40
//! for each event id of the last days, 24 for 4096 offsets twice, and about 115 MB for each
//! reader of the log. Differences are looked into 32 ranges at a time.
//!
//! **Players who were erased** stand under their pseudonyms in both stores, under their names in
//! the log, and under both where more of their events arrived since: they are compared as one.
//!
//! **What it cannot see**: what the code that decodes, judges and encodes a record gets wrong in
//! the services, it gets wrong too; changes made to a row or player after it was read; names;
//! records that were in the log once and in no store; which of two events with the same id and
//! other scores came first when they stand in different partitions.

mod archive;
mod board;
mod digest;
mod findings;
mod fold;
mod ids;
mod judge;
mod log;
mod plan;
mod progress;
mod report;
mod tally;

pub use archive::{ArchivePart, Older};
pub use board::BoardPart;
pub use findings::{Difference, Finding, Kind};
pub use progress::{Part, Progress};
pub use report::{LogPart, Outcome, Report, Seconds, Verdict};

use anyhow::Context as _;
use archive_store::ArchiveStore;
use archive_store::audit::{Audit, PastEvent};
use board::{Broken, Comparison};
use board_store::{AuditPage, BoardStore};
use boards::BoardSet;
use boards::changes::day_of;
use contracts::topics::GAME_SCORE;
use digest::Spans;
use findings::Findings;
use fold::{Fold, Scored};
use log::{Log, Reading};
use pipeline::KafkaSettings;
use pipeline::scan::{Extent, extents};
use plan::{ArchivePlan, FoldPlan, archive_plan, fold_plan};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// How often the board is read before it is given up, when it is begun anew meanwhile.
const TRIES: usize = 3;

/// The three that are compared.
pub struct Sources {
    /// How the log is reached.
    pub kafka: KafkaSettings,
    /// The rules.
    pub boards: BoardSet,
    /// The archive.
    pub archive: ArchiveStore,
    /// The board.
    pub board: BoardStore,
}

/// Compares all three. With `all`, names every difference instead of the first of each kind.
///
/// # Errors
/// When the log cannot be read. A store that cannot be compared is part of the report.
pub async fn verify(sources: Sources, all: bool, progress: Arc<Progress>) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let Sources { kafka, boards, archive, board } = sources;
    let topic = kafka.topic(&GAME_SCORE);

    // First where the stores stand, then where the log does: it can only be ahead of them.
    let audit = archive.audit(&topic).await;
    let stands = board::stands(&board).await;
    let erased = audit.as_ref().map(|audit| audit.erased().clone()).unwrap_or_default();
    let log = Log { kafka, topic, boards, erased: Arc::new(erased) };
    let extents = log.extents().await?;
    let (mut audit, archive_plan) = match audit.and_then(|audit| planned(audit, &log.topic, &extents)) {
        Ok((audit, plan)) => (Some(audit), Ok(plan)),
        Err(error) => (None, Err(error)),
    };
    let fold = Arc::new(Fold::new());
    let first = match stands.and_then(|page| Ok((fold_plan_of(&extents, &page, audit.as_ref())?, page))) {
        Ok((plan, page)) => {
            let from_archive = past(&mut audit, &plan, &log, &fold).await?;
            Ok(Ready { fold: Arc::clone(&fold), plan, page, from_archive })
        }
        Err(error) => Err(error),
    };

    let compare = archive_plan.as_ref().map(|plan| plan.compare.clone()).unwrap_or_default();
    let folded = first.as_ref().map(|ready| ready.plan.log.clone()).unwrap_or_default();
    let reading = log.read_aside(&compare, &folded, &fold, &progress);
    let sums = async {
        match (&mut audit, &archive_plan) {
            (Some(audit), Ok(plan)) => Some(archive::sums(audit, &log.topic, plan, all, &progress).await),
            _ => None,
        }
    };
    let (reading, sums) = tokio::join!(reading, sums);
    let reading = reading?;
    // The comparison has it alone: a second one after it is not beside the first.
    drop(fold);

    let mut findings = Findings::new(all);
    let archive = match (&mut audit, archive_plan, sums) {
        (Some(audit), Ok(plan), Some(Ok(sums))) => {
            archive::compare(&log, audit, &plan, &reading.ledger, sums, all, &mut findings).await
        }
        (_, _, Some(Err(error))) | (_, Err(error), _) => Err(error),
        _ => Err(anyhow::anyhow!("the archive was not read")),
    };
    let archive_seconds = begun.elapsed().as_secs_f64();
    let redis = match first {
        Ok(ready) => compare_board(&log, &board, &mut audit, ready, all, &progress).await,
        Err(error) => Err(error),
    };
    let redis = redis.map(|(part, found)| {
        findings.absorb(found);
        part
    });
    let total = begun.elapsed().as_secs_f64();

    let (archive, redis) = (outcome(archive), outcome(redis));
    let differences = findings.into_vec();
    let verdict = match (&archive, &redis) {
        _ if !differences.is_empty() => Verdict::Differences,
        (Outcome::Compared(_), Outcome::Compared(_)) => Verdict::Right,
        _ => Verdict::NotCompared,
    };
    Ok(Report {
        board: board.board().name.clone(),
        verdict,
        log: LogPart { topic: log.topic, records: reading.records, refused: reading.refused },
        archive,
        redis,
        differences,
        seconds: Seconds { archive: archive_seconds, redis: total - archive_seconds, total },
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// A fold that stands where the board did.
struct Ready {
    fold: Arc<Fold>,
    plan: FoldPlan,
    page: AuditPage,
    from_archive: u64,
}

/// Compares the board, from the beginning again if it is begun anew meanwhile.
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
        let Ready { fold, plan, page, from_archive } = ready;
        let why = match Comparison::new(board, log, fold, page.epoch, plan.offsets, all)?.run(progress).await
        {
            Ok((part, found)) => return Ok((BoardPart { from_archive, read_again, ..part }, found)),
            Err(Broken::Failed(error)) => return Err(error),
            Err(Broken::Moved(why)) => why,
        };
        read_again.push(why);
        anyhow::ensure!(read_again.len() < TRIES, "it moved each time: {}", read_again.join("; "));
        let page = board::stands(board).await?;
        let plan = fold_plan_of(&log.extents().await?, &page, audit.as_ref())?;
        let fold = Arc::new(Fold::new());
        let from_archive = past(audit, &plan, log, &fold).await?;
        log.read_aside(&Spans::new(), &plan.log, &fold, progress).await?;
        ready = Ready { fold, plan, page, from_archive };
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

fn fold_plan_of(
    extents: &BTreeMap<i32, Extent>,
    page: &AuditPage,
    audit: Option<&Audit>,
) -> anyhow::Result<FoldPlan> {
    fold_plan(extents, &page.offsets, audit.map(Audit::stretches)).map_err(anyhow::Error::msg)
}

fn outcome<T>(result: anyhow::Result<T>) -> Outcome<T> {
    match result {
        Ok(part) => Outcome::Compared(part),
        Err(error) => Outcome::NotCompared(format!("{error:#}")),
    }
}

/// Folds what only the archive still has; says how many events that were.
async fn past(audit: &mut Option<Audit>, plan: &FoldPlan, log: &Log, fold: &Fold) -> anyhow::Result<u64> {
    /// Beside the log's partitions, which wait at their first days.
    const ARCHIVE: i32 = -1;
    let Some(audit) = audit.as_mut().filter(|_| !plan.history.is_empty()) else { return Ok(0) };
    let first_days = log.first_days_aside(&plan.log).await?;
    fold.begin(first_days.keys().copied().chain([ARCHIVE]));
    for (partition, day) in first_days {
        fold.reach(partition, Some(day));
    }
    let (mut events, mut newest) = (0, None);
    let decimals = log.boards.default_board().decimals;
    audit
        .events_below(&plan.history, decimals, |event| {
            let PastEvent { place, mut player, units, created_at, event_id } = event;
            let mut event_id = event_id.map(Cow::Borrowed);
            if let Some(pseudonym) = log.erased.pseudonym(&player) {
                event_id = event_id.map(|id| log.erased.event_id(pseudonym, &id).into_string().into());
                fold.know(pseudonym, std::mem::replace(&mut player, pseudonym.clone()));
            }
            let day = Some(day_of(place.arrived_at));
            if newest < day {
                fold.reach(ARCHIVE, day);
                newest = day;
            }
            events += 1;
            fold.add(Scored { place, player, units, created_at, event_id: event_id.as_deref() });
            Ok(())
        })
        .await?;
    Ok(events)
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
        folded: &Spans,
        fold: &Arc<Fold>,
        progress: &Arc<Progress>,
    ) -> anyhow::Result<Reading> {
        let (log, compare, folded) = (self.clone(), compare.clone(), folded.clone());
        let (fold, progress) = (Arc::clone(fold), Arc::clone(progress));
        let read = tokio::task::spawn_blocking(move || log.read(&compare, &folded, &fold, &progress));
        read.await.context("reading the log").flatten()
    }
}

/// `VmHWM` of this process; `None` where the system does not tell.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}
