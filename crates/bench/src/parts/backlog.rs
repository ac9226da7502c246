//! A backlog: events that are in the log before anyone reads it.

use crate::Bench;
use crate::figure::{Figure, Run, Side};
use crate::meter::{self, Meter};
use e2e::stack::PATIENCE;
use e2e::{Service, Stack, until};
use std::time::Duration;

/// How many events.
pub(super) const EVENTS: u64 = 1_000_000;
/// How long working through them may take.
pub(super) const LIMIT: Duration = Duration::from_secs(300);

/// Whose events they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Players {
    pub(super) name: &'static str,
    pub(super) count: u32,
    /// Player k plays in proportion to 1/k^zipf.
    pub(super) zipf: f64,
}

impl Players {
    /// Hardly two events in a batch are of the same player.
    pub(super) const EVENLY: Self = Self { name: "1,000,000 players evenly", count: 1_000_000, zipf: 0.0 };
    /// As people play.
    pub(super) const UNEVENLY: Self = Self { name: "100,000 players, Zipf 1.0", count: 100_000, zipf: 1.0 };

    /// As arguments of the generator, and of the references.
    pub(super) fn arguments(&self) -> [String; 4] {
        ["--players".to_owned(), self.count.to_string(), "--zipf".to_owned(), self.zipf.to_string()]
    }
}

/// Both consumers at the same time.
pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for players in [Players::EVENLY, Players::UNEVENLY] {
        let mut runs = Vec::new();
        for _ in 0..bench.runs {
            let mut stack = Stack::bare(&bench.infra).await;
            fill(&stack, players)?;
            runs.push(work_through(bench, &mut stack, &[Service::Ranker, Service::Archiver], &[]).await?);
        }
        let name = format!("ranked and archived at the same time, {}", players.name);
        figures.push(Figure::of(name, vec![Side::of("score-ranker and score-archiver", &runs)]));
    }
    Ok(figures)
}

/// Puts the events into the log, and makes the archive's tables.
pub(super) fn fill(stack: &Stack, players: Players) -> anyhow::Result<()> {
    let mut generator = stack.command("score-generator");
    generator.args(["load", "--rate", "0", "--seed", "1", "--no-progress", "--nicknames", "false"]);
    generator.args(["--count", &EVENTS.to_string()]).args(players.arguments());
    meter::run(&mut generator)?;
    meter::run(stack.command("boardctl").arg("migrate"))?;
    Ok(())
}

/// Starts the services and waits until each has read the whole log. Joining the group is not what is
/// timed: the clock starts with the first record taken. Processor time is that of whole processes.
pub(super) async fn work_through(
    bench: &Bench,
    stack: &mut Stack,
    services: &[Service],
    environment: &[(&str, &str)],
) -> anyhow::Result<Run> {
    let mut meter = Meter::start(&bench.servers(stack))?;
    for service in services {
        stack.spawn(*service, service.program(), environment);
        meter.add(service.program(), stack.program(service.program()).pid());
    }
    let taken = |stack: &Stack| -> Vec<u64> {
        services.iter().map(|service| records_taken(&stack.metrics(service.program()))).collect()
    };
    let begun = until("consuming begins", PATIENCE, async || {
        let taken = taken(stack);
        if taken.iter().any(|taken| *taken > 0) { Ok(taken) } else { Err("no".into()) }
    })
    .await;
    meter.restart_clock();
    until("the backlog is done", LIMIT, async || {
        let done = taken(stack);
        if done.iter().all(|done| *done >= EVENTS) { Ok(()) } else { Err(format!("{done:?}")) }
    })
    .await;
    let before = begun.into_iter().max().unwrap_or(0);
    let mut run = vec![("events/s".to_owned(), (EVENTS - before) as f64 / meter.seconds())];
    run.extend(meter.micros_per(EVENTS as f64)?);
    Ok(run)
}

/// How many records a service has read.
pub(super) fn records_taken(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("pipeline_records_total "));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}
