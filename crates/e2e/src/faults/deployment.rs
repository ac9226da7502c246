//! The services under test: two of each, each behind proxies of its own.

use crate::faults::boards;
use crate::faults::fault::{Instance, Link, Server};
use crate::faults::servers::Servers;
use crate::program::Program;
use crate::stack::{PATIENCE, Service, get_within, kafka_settings};
use ::boards::BoardSet;
use anyhow::Context as _;
use contracts::EventTime;
use contracts::topics::TOPICS;
use nix::sys::signal::Signal;
use pipeline::KafkaSettings;
use service::Clock;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use xtask::infra::Servers as Addresses;

/// In the run's folder.
const BOARDS_FILE: &str = "boards.toml";
/// How long `boardctl` may take to compare or rebuild what a run has made.
const BOARDCTL_LIMIT: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// How long a service may take to end; it drains within ten seconds.
const END_LIMIT: Duration = Duration::from_secs(15);
/// Short, so that partitions of a stopped consumer move on within the run.
const SESSION_TIMEOUT_MS: &str = "3000";

/// Which protection is switched off, for the negative controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// None.
    Whole,
    /// Offsets are not compared.
    NoFence,
    /// Offsets are written apart from data.
    Apart,
    /// Offsets are written before data.
    AtMostOnce,
    /// The last change of an interval is not shown.
    NoTrailingEdge,
}

impl Protection {
    /// As `E2E_FENCE` and `E2E_TRAILING_EDGE` say it.
    fn as_told(self) -> [(&'static str, &'static str); 2] {
        let (fence, edge) = match self {
            Self::Whole => ("on", "on"),
            Self::NoFence => ("off", "on"),
            Self::Apart => ("apart", "on"),
            Self::AtMostOnce => ("at-most-once", "on"),
            Self::NoTrailingEdge => ("on", "off"),
        };
        [("E2E_FENCE", fence), ("E2E_TRAILING_EDGE", edge)]
    }
}

/// A service that ended without being asked to.
#[derive(Clone, Debug)]
pub struct Death {
    /// Who.
    pub instance: Instance,
    /// How.
    pub status: ExitStatus,
    /// The end of its log.
    pub log: String,
}

struct Process {
    instance: Instance,
    admin_port: u16,
    listen_port: u16,
    /// `None` while it is away.
    program: Mutex<Option<Program>>,
}

/// Topics, a database and services of one run.
pub struct Deployment {
    /// The servers below it.
    pub servers: Arc<Servers>,
    /// How the harness itself reaches the broker.
    pub kafka: KafkaSettings,
    /// The archive, reached directly.
    pub postgres: PgPool,
    /// How the sources reach the broker.
    pub sources_kafka: KafkaSettings,
    /// What is kept.
    pub boards: BoardSet,
    prefix: String,
    database: String,
    dir: PathBuf,
    protection: Protection,
    processes: BTreeMap<Instance, Process>,
}

impl Deployment {
    /// Makes topics and database and starts every service; returns when all are ready.
    ///
    /// # Errors
    /// When something cannot be made or does not get ready.
    pub async fn start(servers: Arc<Servers>, protection: Protection) -> anyhow::Result<Self> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let (prefix, database) = (format!("f{}-", &id[..12]), format!("faults_{}", &id[..12]));
        let dir = servers.checkout().logs().join(&id[..12]);
        std::fs::create_dir_all(&dir)?;
        let begun = EventTime::from_micros(Clock::system().now_micros()).context("the clock")?;
        let boards = boards::file(begun);
        std::fs::write(dir.join(BOARDS_FILE), &boards)?;
        let boards = BoardSet::parse(&boards)?;
        let admin = PgPool::connect(&servers.direct.postgres).await.context("Postgres")?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&admin).await?;
        admin.close().await;
        // Whatever a deployment before this one left in Redis.
        let mut redis =
            redis::Client::open(&*servers.direct.redis)?.get_multiplexed_async_connection().await?;
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await?;
        let kafka = kafka_settings(&servers.direct.kafka, &prefix);
        pipeline::admin::create_topics(&kafka, &TOPICS, 1).await?;
        let through = servers.proxy(Link { client: None, server: Server::Kafka }).address().to_string();
        let mut processes = BTreeMap::new();
        for instance in Instance::all() {
            let (admin_port, listen_port) = (free_ports::kept(), free_ports::kept());
            processes
                .insert(instance, Process { instance, admin_port, listen_port, program: Mutex::default() });
        }
        let deployment = Self {
            postgres: PgPool::connect_lazy(&database_url(&servers.direct.postgres, &database)?)?,
            sources_kafka: kafka_settings(&through, &prefix),
            servers,
            kafka,
            boards,
            prefix,
            database,
            dir,
            protection,
            processes,
        };
        for process in deployment.processes.values() {
            deployment.set_clock(process.instance, 0)?;
            let program = deployment.launch(process)?;
            *process.program.lock().await = Some(program);
        }
        for process in deployment.processes.values() {
            // Without its trailing edge it never asks Redis by itself, so it never says that it is there.
            if protection != Protection::NoTrailingEdge || process.instance.service != Service::BoardCache {
                deployment.ready(process).await?;
            }
        }
        Ok(deployment)
    }

    fn clock_file(&self, instance: Instance) -> PathBuf {
        self.dir.join(format!("{instance}.clock"))
    }

    /// Makes the wall clock of `instance` wrong by so many milliseconds.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_clock(&self, instance: Instance, millis: i64) -> anyhow::Result<()> {
        // Renamed, so that nobody reads half a number.
        let new = self.dir.join(format!("{instance}.clock.new"));
        std::fs::write(&new, millis.to_string())?;
        Ok(std::fs::rename(new, self.clock_file(instance))?)
    }

    /// The websocket of the controller `second` or not.
    #[must_use]
    pub fn live_url(&self, second: bool) -> String {
        let port = self.processes[&Instance { service: Service::Controller, second }].listen_port;
        format!("ws://127.0.0.1:{port}/live-updates/leaderboard")
    }

    fn launch(&self, process: &Process) -> anyhow::Result<Program> {
        let Process { instance, admin_port, listen_port, .. } = process;
        let programs = self.servers.checkout().programs();
        let role = match instance.service {
            Service::Ranker => Some("ranker"),
            Service::Archiver => Some("archiver"),
            Service::BoardCache => Some("board-cache"),
            Service::Controller => None,
        };
        // The first of two is the program that is shipped; the second has a clock that we set.
        let mut command = match role {
            Some(role) if instance.second || self.protection != Protection::Whole => {
                let mut command = Command::new(programs.join("e2e-service"));
                command
                    .env("E2E_SERVICE", role)
                    .env("E2E_CLOCK_FILE", self.clock_file(*instance))
                    .envs(self.protection.as_told());
                command
            }
            _ => Command::new(programs.join(instance.service.program())),
        };
        let through = |server| {
            let link = Link { client: Some(*instance), server };
            Link::all().contains(&link).then(|| self.servers.proxy(link).address())
        };
        if let Some(kafka) = through(Server::Kafka) {
            command.env("KAFKA_BROKERS", kafka.to_string());
        }
        if let Some(redis) = through(Server::Redis) {
            command.env("REDIS_URL", format!("redis://{redis}"));
        }
        if let Some(postgres) = through(Server::Postgres) {
            let url = database_url(&self.servers.direct.postgres, &self.database)?;
            let direct = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).context("a URL")?.0;
            command.env("POSTGRES_URL", url.replace(direct, &postgres.to_string()));
        }
        self.settle(&mut command)
            .env("KAFKA_SESSION_TIMEOUT_MS", SESSION_TIMEOUT_MS)
            .env("ADMIN_ADDR", format!("127.0.0.1:{admin_port}"))
            .env("LISTEN_ADDR", format!("127.0.0.1:{listen_port}"))
            .env("RUST_LOG", "info");
        let program = Program::start(&instance.to_string(), &self.dir, &mut command);
        self.servers.write_down(&instance.to_string(), program.pid())?;
        Ok(program)
    }

    /// What all programs of the deployment are told.
    fn settle<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            // Away from any .env of the checkout.
            .current_dir(&self.dir)
            .env("TOPIC_PREFIX", &self.prefix)
            .env("BOARDS_FILE", self.dir.join(BOARDS_FILE))
    }

    /// Runs `boardctl`, which reaches the servers directly: how it ended, and what it said.
    ///
    /// # Errors
    /// When it takes longer than anything here may take.
    pub async fn boardctl(&self, arguments: &[&str]) -> anyhow::Result<(ExitStatus, String)> {
        let Addresses { kafka, redis, postgres, .. } = &self.servers.direct;
        let mut command = Command::new(self.servers.checkout().programs().join("boardctl"));
        self.settle(&mut command)
            .args(arguments)
            .env("KAFKA_BROKERS", kafka)
            .env("REDIS_URL", redis)
            .env("POSTGRES_URL", database_url(postgres, &self.database)?);
        // Each call's own.
        let _ = std::fs::remove_file(self.dir.join("boardctl.log"));
        let mut program = Program::start("boardctl", &self.dir, &mut command);
        let begun = Instant::now();
        loop {
            if let Some(status) = program.ended() {
                return Ok((status, end_of(&program.log(), 4000).to_owned()));
            }
            anyhow::ensure!(begun.elapsed() < BOARDCTL_LIMIT, "boardctl {arguments:?} takes too long");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ready(&self, process: &Process) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let (status, body) = self.admin(process.instance, "readyz").await;
            if status == 200 {
                return Ok(());
            }
            let instance = process.instance;
            anyhow::ensure!(
                begun.elapsed() < PATIENCE,
                "{instance} did not get ready: {status} {body}\n{}",
                self.log(instance)
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What an admin path of a service answers; status 0 when nobody does.
    pub async fn admin(&self, instance: Instance, path: &str) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}/{path}", self.processes[&instance].admin_port);
        let asked = tokio::task::spawn_blocking(move || get_within(&url, Duration::from_secs(2)));
        asked.await.unwrap_or_default()
    }

    /// What a service has logged.
    #[must_use]
    pub fn log(&self, instance: Instance) -> String {
        std::fs::read_to_string(self.dir.join(format!("{instance}.log"))).unwrap_or_default()
    }

    /// SIGKILL, and started again after `pause`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn kill(&self, instance: Instance, pause: Duration) -> anyhow::Result<()> {
        let process = &self.processes[&instance];
        let mut program = process.program.lock().await;
        if let Some(mut running) = program.take() {
            running.kill();
        }
        tokio::time::sleep(pause).await;
        *program = Some(self.launch(process)?);
        Ok(())
    }

    /// SIGSTOP, and SIGCONT after `time`.
    pub async fn freeze(&self, instance: Instance, time: Duration) {
        let program = self.processes[&instance].program.lock().await;
        if let Some(running) = &*program {
            running.signal(Signal::SIGSTOP);
            tokio::time::sleep(time).await;
            running.signal(Signal::SIGCONT);
        }
    }

    /// SIGTERM, and started again; how it ended, `None` when it had to be killed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn restart(&self, instance: Instance) -> anyhow::Result<Option<ExitStatus>> {
        let process = &self.processes[&instance];
        let mut program = process.program.lock().await;
        let mut status = None;
        if let Some(mut running) = program.take() {
            running.signal(Signal::SIGTERM);
            let begun = Instant::now();
            while status.is_none() && begun.elapsed() < END_LIMIT {
                tokio::time::sleep(POLL).await;
                status = running.ended();
            }
        }
        *program = Some(self.launch(process)?);
        Ok(status)
    }

    /// Starts those again that ended by themselves, as a supervisor does; says which.
    ///
    /// # Errors
    /// When one cannot be started.
    pub async fn revive(&self) -> anyhow::Result<Vec<Death>> {
        let mut deaths = Vec::new();
        for process in self.processes.values() {
            // Whoever holds it does something to it.
            let Ok(mut program) = process.program.try_lock() else { continue };
            let Some(status) = program.as_mut().and_then(Program::ended) else { continue };
            let instance = process.instance;
            deaths.push(Death { instance, status, log: end_of(&self.log(instance), 1500).to_owned() });
            *program = Some(self.launch(process)?);
        }
        Ok(deaths)
    }

    /// The ends of all logs, for a person who looks for a fault.
    #[must_use]
    pub fn ends_of_logs(&self) -> String {
        let of = |instance| format!("--- {instance}\n{}\n", end_of(&self.log(instance), 3000));
        Instance::all().into_iter().map(of).collect()
    }
}

/// The last `bytes` of a text, or a little less.
#[must_use]
pub fn end_of(text: &str, bytes: usize) -> &str {
    let from = (text.len().saturating_sub(bytes)..text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(0)..]
}

fn database_url(server: &str, database: &str) -> anyhow::Result<String> {
    let (server, _) = server.rsplit_once('/').context("a URL with a database")?;
    Ok(format!("{server}/{database}"))
}
