//! One run: load, faults, checks, the end.

use crate::faults::boards::{self, Compared};
use crate::faults::deployment::{Deployment, Protection};
use crate::faults::fault::{Link, Server};
use crate::faults::inject::inject;
use crate::faults::invariants::{ArchiveCheck, BoardStand, Invariant, Violations, board_stand, check_board};
use crate::faults::log_book::{LogBook, Offsets};
use crate::faults::plan::{Plan, Step};
use crate::faults::progress::{Checks, Counters, Recoveries};
use crate::faults::report::{Made, Report};
use crate::faults::servers::Servers;
use crate::faults::sources::{Sent, Sources};
use crate::faults::truth::{Truth, log_ends};
use crate::faults::viewers::{Screen, Viewers};
use crate::stack::Service;
use anyhow::Context as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

const BOARD_INTERVAL: Duration = Duration::from_millis(500);
const ARCHIVE_INTERVAL: Duration = Duration::from_secs(1);
const REVIVE_INTERVAL: Duration = Duration::from_millis(500);
const COUNTERS_INTERVAL: Duration = Duration::from_secs(2);

/// What a run is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// What happens; events are drawn from its seed, too.
    pub plan: Plan,
    /// By how much everything between consumers and their stores is delayed, each way.
    pub slow: Duration,
    /// For how long events are sent at least.
    pub length: Duration,
    /// Events a second.
    pub rate: u64,
    /// Websocket viewers.
    pub viewers: usize,
    /// What is switched off.
    pub protection: Protection,
    /// How long the end may lag, and then how long the last frame may take.
    pub end_limits: [Duration; 2],
}

/// Runs, prints a line a fault, and tells what it was like; also when something did not hold.
///
/// # Errors
/// When the run itself went wrong, or SIGINT or SIGTERM ended it. Everything it started is gone.
pub async fn run(servers: &Arc<Servers>, options: &Options) -> anyhow::Result<Report> {
    for link in Link::all() {
        let service = link.client.map(|client| client.service);
        let is_written_through = matches!(
            (service, link.server),
            (Some(Service::Ranker), Server::Redis) | (Some(Service::Archiver), Server::Postgres)
        );
        servers.proxy(link).slow_down(if is_written_through { options.slow } else { Duration::ZERO });
    }
    let plan = &options.plan;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let deployment = tokio::select! {
        started = Deployment::start(Arc::clone(servers), options.protection) => Arc::new(started?),
        _ = term.recv() => anyhow::bail!("stopped"),
        _ = int.recv() => anyhow::bail!("stopped"),
    };
    let mut run = Run::new(Arc::clone(&deployment), options)?;
    let outcome = tokio::select! {
        outcome = run.go(options) => outcome,
        _ = term.recv() => Err(anyhow::anyhow!("stopped")),
        _ = int.recv() => Err(anyhow::anyhow!("stopped")),
    };
    run.background.shutdown().await;
    let has_failed = outcome.as_ref().map_or(true, |report| !report.is_right());
    if has_failed && options.protection == Protection::Whole {
        eprintln!("seed {}; the schedule so far:", plan.seed);
        for Step { at, fault } in plan.steps.iter().filter(|step| step.at < run.begun.elapsed()) {
            eprintln!("{:>7.1} s  {fault}", at.as_secs_f64());
        }
        eprintln!("{}", deployment.ends_of_logs());
    }
    outcome
}

struct Run {
    begun: Instant,
    deployment: Arc<Deployment>,
    violations: Arc<Violations>,
    viewers: Viewers,
    sources: Option<Arc<Sources>>,
    log: Arc<Mutex<LogBook>>,
    recoveries: Arc<Recoveries>,
    counters: Arc<tokio::sync::Mutex<Counters>>,
    board_checks: Arc<Checks>,
    archive_checks: Arc<Checks>,
    deaths: Arc<Mutex<Vec<String>>>,
    background: JoinSet<()>,
}

impl Run {
    fn new(deployment: Arc<Deployment>, options: &Options) -> anyhow::Result<Self> {
        let violations = Arc::<Violations>::default();
        let urls = [deployment.live_url(false), deployment.live_url(true)];
        Ok(Self {
            begun: Instant::now(),
            viewers: Viewers::connect(options.viewers, &urls, &violations),
            sources: Some(Arc::new(Sources::start(
                &deployment.sources_kafka,
                options.plan.seed,
                options.rate,
            )?)),
            log: Arc::new(Mutex::new(LogBook::new(deployment.kafka.clone(), deployment.boards.clone()))),
            violations,
            deployment,
            recoveries: Arc::default(),
            counters: Arc::default(),
            board_checks: Arc::default(),
            archive_checks: Arc::default(),
            deaths: Arc::default(),
            background: JoinSet::new(),
        })
    }

    async fn go(&mut self, options: &Options) -> anyhow::Result<Report> {
        let plan = &options.plan;
        self.watch();
        let faults = self.make(plan).await?;
        tokio::time::sleep(options.length.saturating_sub(self.begun.elapsed())).await;

        let sources = self.sources.take().context("they run")?;
        let sources = Arc::into_inner(sources).context("faults are over")?;
        let (sending, screens) = (self.begun.elapsed(), self.viewers.screens());
        let sent = sources.finish().await?;
        eprintln!("{:>7.1} s  sources stopped, draining", self.begun.elapsed().as_secs_f64());
        let stopped = Instant::now();
        let ends = log_ends(&self.deployment.kafka).await?;
        self.drain(&ends, options.end_limits[0]).await;
        let draining = stopped.elapsed();

        eprintln!("{:>7.1} s  reading the log again", self.begun.elapsed().as_secs_f64());
        let (truth, compared) = self.compare(&ends, &sent, options).await?;
        self.prove(&truth, options.protection).await?;
        self.counters.lock().await.ask(&self.deployment).await;
        let mut report = self.report(plan, faults, &sent, &truth, &screens).await;
        (report.sending_s, report.draining_s) = (sending.as_secs_f64(), draining.as_secs_f64());
        report.views = [compared.in_redis, compared.finals];
        self.board_checks.are_enough("board", sending)?;
        self.archive_checks.are_enough("archive", sending)?;
        Ok(report)
    }

    /// What goes on all the time.
    fn watch(&mut self) {
        let (deployment, violations) = (Arc::clone(&self.deployment), Arc::clone(&self.violations));
        let (log, recoveries, checks) =
            (Arc::clone(&self.log), Arc::clone(&self.recoveries), Arc::clone(&self.board_checks));
        self.background.spawn(async move {
            loop {
                tokio::time::sleep(BOARD_INTERVAL).await;
                match check_board(&deployment, &log, &violations).await {
                    Ok(BoardStand::Stands { rebuilding, offsets, .. }) => {
                        checks.was_made();
                        if rebuilding.is_empty() {
                            recoveries.board_is_at(&offsets, Instant::now());
                        }
                    }
                    Ok(BoardStand::Nothing | BoardStand::Filling | BoardStand::Torn) => {
                        checks.was_not_made(&"no offsets");
                    }
                    // Redis or Kafka is away, as it is to be at times.
                    Err(error) => checks.was_not_made(&error),
                }
            }
        });
        let (deployment, violations) = (Arc::clone(&self.deployment), Arc::clone(&self.violations));
        let (recoveries, checks) = (Arc::clone(&self.recoveries), Arc::clone(&self.archive_checks));
        self.background.spawn(async move {
            let mut archive = ArchiveCheck::default();
            loop {
                tokio::time::sleep(ARCHIVE_INTERVAL).await;
                match archive.check(&deployment, &violations).await {
                    Ok(offsets) => {
                        checks.was_made();
                        recoveries.archive_is_at(&offsets, Instant::now());
                    }
                    Err(error) => checks.was_not_made(&error),
                }
            }
        });
        let (deployment, deaths, begun) =
            (Arc::clone(&self.deployment), Arc::clone(&self.deaths), self.begun);
        self.background.spawn(async move {
            loop {
                tokio::time::sleep(REVIVE_INTERVAL).await;
                for death in deployment.revive().await.unwrap_or_default() {
                    let at = begun.elapsed().as_secs_f64();
                    let what =
                        format!("{at:.1} s: {} ended with {}:\n{}", death.instance, death.status, death.log);
                    eprintln!("UNASKED: {what}");
                    deaths.lock().unwrap_or_else(PoisonError::into_inner).push(what);
                }
            }
        });
        let (deployment, counters) = (Arc::clone(&self.deployment), Arc::clone(&self.counters));
        self.background.spawn(async move {
            loop {
                tokio::time::sleep(COUNTERS_INTERVAL).await;
                counters.lock().await.ask(&deployment).await;
            }
        });
    }

    /// Makes every fault at its time; returns when all are over.
    async fn make(&self, plan: &Plan) -> anyhow::Result<Vec<Made>> {
        let mut made = Vec::new();
        let mut running: JoinSet<anyhow::Result<()>> = JoinSet::new();
        let sources = self.sources.as_ref().context("they run")?;
        for (number, Step { at, fault }) in plan.steps.iter().copied().enumerate() {
            tokio::time::sleep((self.begun + at).saturating_duration_since(Instant::now())).await;
            while let Some(outcome) = running.try_join_next() {
                outcome??;
            }
            let (now, count) = (self.begun.elapsed().as_secs_f64(), plan.steps.len());
            eprintln!("{now:>7.1} s  {}/{count}  {fault}", number + 1);
            made.push(Made { at_s: now, kind: fault.kind(), fault: fault.to_string(), recovery_s: None });
            let (deployment, sources) = (Arc::clone(&self.deployment), Arc::clone(sources));
            let (recoveries, begun) = (Arc::clone(&self.recoveries), self.begun);
            running.spawn(async move {
                let note = inject(&deployment, &sources, fault).await.with_context(|| fault.to_string())?;
                if !note.is_empty() {
                    eprintln!("{:>7.1} s     {}: {note}", begun.elapsed().as_secs_f64(), fault.kind());
                }
                let since = Instant::now();
                recoveries.fault_is_over(number, since, log_ends(&deployment.kafka).await?);
                Ok(())
            });
        }
        while let Some(outcome) = running.join_next().await {
            outcome??;
        }
        Ok(made)
    }

    /// Waits until boards and archive have everything.
    async fn drain(&self, ends: &Offsets, limit: Duration) {
        let begun = Instant::now();
        let mut archive = ArchiveCheck::default();
        let reached = |offsets: &Offsets| ends.iter().all(|(at, end)| offsets.get(at).unwrap_or(&0) == end);
        loop {
            let mut boards = vec![check_board(&self.deployment, &self.log, &self.violations).await];
            for other in self.deployment.boards.iter().skip(1) {
                boards.push(board_stand(&self.deployment.servers.direct.redis, &other.name).await);
            }
            let are_done = boards.iter().all(|board| {
                matches!(board, Ok(BoardStand::Stands { rebuilding, offsets, .. })
                    if rebuilding.is_empty() && reached(offsets))
            });
            let archived = archive.check(&self.deployment, &self.violations).await;
            if are_done && archived.as_ref().is_ok_and(reached) {
                return;
            }
            if begun.elapsed() > limit {
                let what = format!(
                    "after {limit:?}: the log ends at {ends:?}, boards {boards:?}, archive {archived:?}"
                );
                self.violations.add(Invariant::NoLagIsLeft, what);
                return;
            }
            tokio::time::sleep(BOARD_INTERVAL).await;
        }
    }

    /// Reads the whole log again and holds everything against it.
    async fn compare(
        &self,
        ends: &Offsets,
        sent: &Sent,
        options: &Options,
    ) -> anyhow::Result<(Truth, Compared)> {
        let (deployment, until) = (Arc::clone(&self.deployment), ends.clone());
        let read = move || Truth::read(&deployment.kafka, &deployment.boards, &until);
        let truth = tokio::task::spawn_blocking(read).await??;
        truth.check_sends(sent, &self.violations);
        truth.check_viewers(&self.viewers, options.end_limits[1], &self.violations).await;
        let compared = truth.check_boards(&self.deployment, &self.violations).await?;
        truth.check_archive(&self.deployment, &self.violations).await?;
        let (kafka, violations) = (self.deployment.kafka.clone(), Arc::clone(&self.violations));
        let checked = tokio::task::spawn_blocking(move || {
            truth.check_dead_letters(&kafka, &violations)?;
            anyhow::Ok((truth, compared))
        });
        checked.await?
    }

    /// What an operator proves it with says so, too; boards that are rebuilt are the same again.
    async fn prove(&self, truth: &Truth, protection: Protection) -> anyhow::Result<()> {
        self.verify().await?;
        // Whoever writes without protection also rebuilds without.
        if protection != Protection::Whole {
            return Ok(());
        }
        for board in boards::REBUILT {
            eprintln!("{:>7.1} s  rebuilding {board}", self.begun.elapsed().as_secs_f64());
            let (status, said) = self.deployment.boardctl(&["rebuild", "--board", board]).await?;
            anyhow::ensure!(status.success(), "rebuilding {board}: {said}");
        }
        truth.check_boards(&self.deployment, &self.violations).await?;
        self.verify().await
    }

    async fn verify(&self) -> anyhow::Result<()> {
        let (status, said) = self.deployment.boardctl(&["verify"]).await?;
        match status.code() {
            Some(0) => Ok(()),
            Some(1) => {
                self.violations.add(Invariant::VerifyFindsNothing, said);
                Ok(())
            }
            _ => anyhow::bail!("verify ended with {status}: {said}"),
        }
    }

    async fn report(
        &self,
        plan: &Plan,
        mut faults: Vec<Made>,
        sent: &Sent,
        truth: &Truth,
        screens: &[Screen],
    ) -> Report {
        for (number, took) in self.recoveries.took() {
            faults[number].recovery_s = Some(took.as_secs_f64());
        }
        let silence = |screen: &Screen| {
            let until = screen.silent_until.map_or(0.0, |at| (at - self.begun).as_secs_f64());
            [screen.longest_silence.as_secs_f64(), until]
        };
        let silences = || screens.iter().map(silence);
        let by_length = |one: &[f64; 2], other: &[f64; 2]| one[0].total_cmp(&other[0]);
        let violations = self.violations.all();
        let doubled_sends = self.log.lock().unwrap_or_else(PoisonError::into_inner).doubled_sends;
        Report {
            seed: plan.seed,
            faults,
            records: truth.records,
            poison: truth.poison,
            resubmitted: truth.resubmitted,
            late: truth.late,
            acknowledged: sent.acknowledged.count() as u64,
            unacknowledged_in_log: truth.unacknowledged(sent) as u64,
            not_taken: sent.not_taken,
            doubled_sends,
            board_checks: self.board_checks.counts(),
            archive_checks: self.archive_checks.counts(),
            rewinds: self.counters.lock().await.rewinds(),
            deaths: self.deaths.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            viewers: [screens.len() as u64, screens.iter().map(|screen| screen.frames).sum()],
            longest_silence_s: silences().max_by(by_length).unwrap_or_default(),
            longest_silence_of_all_s: silences().min_by(by_length).unwrap_or_default(),
            setbacks: screens.first().map_or_else(Vec::new, |screen| {
                let told = |(at, how): &(Instant, String)| {
                    format!("{:.1} s: {how}", (*at - self.begun).as_secs_f64())
                };
                screen.setbacks.iter().map(told).collect()
            }),
            violations: violations
                .into_iter()
                .map(|(invariant, what)| (invariant.to_string(), what))
                .collect(),
            ..Report::default()
        }
    }
}
