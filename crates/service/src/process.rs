//! Start, life and end of a process.

use crate::{Clock, Health, LogFormat, ProcessSettings, Stop, admin_routes};
use anyhow::Context as _;
use axum::Router;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long a process may take to finish its work once it was asked to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How often the metrics' histograms are folded, so that they stay bounded without a scrape.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// What a service gets from its process.
#[derive(Clone)]
pub struct Process {
    /// The service's name.
    pub name: &'static str,
    /// Cancelled on SIGTERM and SIGINT: finish what is in flight and return.
    pub stop: Stop,
    /// Where the service says whether its work goes on.
    pub health: Health,
    /// What time it is.
    pub clock: Clock,
    metrics: PrometheusHandle,
}

impl Process {
    /// The admin endpoints, for a service that also serves them on its own port.
    pub fn admin_routes(&self) -> Router {
        admin_routes(self.name, self.health.clone(), self.metrics.clone())
    }
}

/// Runs a service from settings to exit code.
///
/// Settings come from flags, then the environment, then `.env`. `process` picks the common part
/// out of the service's own settings; `service` is the service itself.
pub fn run<S: clap::Parser>(
    name: &'static str,
    process: impl FnOnce(&S) -> &ProcessSettings,
    service: impl AsyncFnOnce(S, Process) -> anyhow::Result<()>,
) -> ExitCode {
    // Before anything reads the environment; a missing .env is fine, a broken one is not.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("{name}: .env: {error}");
        return ExitCode::FAILURE;
    }
    let settings = S::parse();
    let common = process(&settings).clone();
    start_logs(common.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(live(name, &common, |process| service(settings, process)));
    // Not waiting for blocking threads: whatever mattered was awaited by the service.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn live(
    name: &'static str,
    settings: &ProcessSettings,
    service: impl AsyncFnOnce(Process) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder().context("starting the metrics")?;
    let process =
        Process { name, stop: Stop::new(), health: Health::default(), clock: Clock::system(), metrics };
    let listener = TcpListener::bind(settings.admin_addr)
        .await
        .with_context(|| format!("ADMIN_ADDR: listening on {}", settings.admin_addr))?;
    info!(admin = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "{name} starts");

    let admin = tokio::spawn(axum::serve(listener, process.admin_routes()).into_future());
    let upkeep = tokio::spawn(upkeep(process.metrics.clone()));
    let signals = tokio::spawn(stop_on_signal(process.stop.clone()));
    let stop = process.stop.clone();
    let outcome = tokio::select! {
        outcome = service(process) => outcome,
        () = overdue(&stop) => Err(anyhow::anyhow!("not drained {DRAIN_LIMIT:?} after being asked to stop")),
    };
    for task in [signals, upkeep] {
        task.abort();
    }
    admin.abort();
    outcome
}

async fn overdue(stop: &Stop) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN_LIMIT).await;
}

async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(METRICS_UPKEEP).await;
        metrics.run_upkeep();
    }
}

async fn stop_on_signal(stop: Stop) {
    let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(term), Ok(int)) => (term, int),
        (Err(error), _) | (_, Err(error)) => {
            error!(%error, "signals cannot be heard; only a kill ends this process");
            return;
        }
    };
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    info!("{name}: stopping");
    stop.cancel();
}

fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => registry.with(lines).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
}
