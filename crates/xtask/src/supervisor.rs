//! Owns a stack: starts it, restarts what dies, writes down what runs, stops it all.

use crate::checkout::Checkout;
use crate::infra::{self, Infra, START_LIMIT, Server, Servers};
use crate::machine::ensure_room;
use crate::ports::Ports;
use crate::process::{Child, Identity, end_signal, last_lines};
use crate::services::{self, Service};
use crate::state::{self, Endpoints, Phase, ProcessState, State};
use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a first start needs on the disk: the servers' own files and some load.
const ROOM_BYTES: u64 = 2_000_000_000;
const TICK: Duration = Duration::from_millis(100);
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LAST: Duration = Duration::from_secs(10);
/// After how long of life a death counts as the first one again.
const STEADY: Duration = Duration::from_secs(30);

/// How a stack is made.
#[derive(Clone, Debug, clap::Args)]
pub struct StackOptions {
    /// Where Kafka, Redis and Postgres come from; default: docker if an engine answers, else local
    #[arg(long, value_enum)]
    pub infra: Option<Infra>,
    /// The controller's port; default: the last one, else 8080 if it is free, else any
    #[arg(long, env = "RANKSTREAM_PORT")]
    pub port: Option<u16>,
}

/// Told whenever the supervisor has something to say to a person.
pub type Say<'a> = &'a mut dyn FnMut(&str);

/// A stack that runs. Stopped when dropped.
pub struct Supervisor {
    checkout: Checkout,
    infra: Infra,
    phase: Phase,
    processes: Vec<Process>,
    endpoints: Endpoints,
    // Held for as long as the stack runs: a second supervisor in this checkout waits for nobody.
    _lock: Flock<File>,
}

/// A process that is kept alive.
struct Process {
    name: String,
    address: SocketAddr,
    command: Command,
    kind: Kind,
    child: Option<Child>,
    started_at: Instant,
    restart_at: Option<Instant>,
    deaths_in_a_row: u32,
    restarts: u32,
    last_exit: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    Service,
    /// A generator: not started again, and gone from the list when it has ended.
    Load,
}

impl Supervisor {
    /// Starts the stack; returns when every service is ready, or nothing is left of it. Stops
    /// early when `stop` is set.
    ///
    /// # Errors
    /// What was in the way, with the last lines of the log of whoever died.
    pub fn start(
        checkout: &Checkout,
        options: &StackOptions,
        stop: &AtomicBool,
        say: Say<'_>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(checkout.logs())
            .with_context(|| format!("making {}", checkout.local.display()))?;
        ensure_room(&checkout.local, ROOM_BYTES)?;
        let lock =
            File::options().create(true).write(true).truncate(false).open(checkout.local.join("lock"))?;
        let Ok(lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else {
            bail!("a stack of this checkout is running or starting: see `cargo xtask status`");
        };
        clean_up(checkout, say);
        let mut supervisor = Self {
            checkout: checkout.clone(),
            infra: Infra::choose(options.infra),
            phase: Phase::Starting("the servers".into()),
            processes: Vec::new(),
            endpoints: Endpoints::default(),
            _lock: lock,
        };
        supervisor.start_all(options, stop, say).inspect_err(|error| {
            say("stopping what was started");
            supervisor.stop();
            supervisor.phase = Phase::Failed(format!("{error:#}"));
            // The error itself goes to whoever asked.
            let _ = supervisor.save();
        })?;
        Ok(supervisor)
    }

    /// Where everything listens.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    fn start_all(&mut self, options: &StackOptions, stop: &AtomicBool, say: Say<'_>) -> anyhow::Result<()> {
        let ports_file = self.checkout.local.join("ports.json");
        let mut ports = Ports::load(&ports_file);
        if let Some(port) = options.port {
            // Before anything is started for nothing.
            ports.insist("controller", port)?;
        }
        self.enter("the servers", say)?;
        let servers = match self.infra {
            Infra::Docker => infra::docker::start(&self.checkout, &mut ports)?,
            Infra::External => infra::external()?,
            Infra::Local => {
                let (prepared, servers) = infra::prepare_local(&self.checkout, &mut ports, say)?;
                ports.save(&ports_file)?;
                self.start_servers(prepared, stop)?;
                infra::postgres::ensure_database(&self.checkout, &servers.postgres)?;
                servers
            }
        };
        self.enter("topics and tables", say)?;
        services::prepare_servers(&self.checkout, &servers)?;
        self.enter("the services", say)?;
        let services = services::prepare(&self.checkout, &servers, &mut ports, options.port)?;
        ports.save(&ports_file)?;
        self.endpoints = endpoints(&services, &servers);
        self.start_services(services, stop)?;
        self.endpoints.save(&self.checkout)?;
        self.phase = Phase::Ready;
        self.save()
    }

    fn start_servers(&mut self, servers: Vec<Server>, stop: &AtomicBool) -> anyhow::Result<()> {
        let first = self.processes.len();
        for Server { name, address, command } in servers {
            self.add(name, address, command, Kind::Server)?;
        }
        let waiting = self.processes.len() - first;
        for at in first..first + waiting {
            let address = self.processes[at].address;
            self.wait_for(at, stop, || {
                let answer = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500));
                answer.map(drop).map_err(|error| error.to_string())
            })?;
        }
        Ok(())
    }

    fn start_services(&mut self, services: Vec<Service>, stop: &AtomicBool) -> anyhow::Result<()> {
        let first = self.processes.len();
        let mut admins = Vec::new();
        for Service { name, admin, listen, command } in services {
            self.add(name, listen.unwrap_or(admin), command, Kind::Service)?;
            admins.push(admin);
        }
        for (at, admin) in admins.iter().enumerate() {
            self.wait_for(first + at, stop, || readiness(*admin))?;
        }
        // One that was ready first may have been disturbed since, as when partitions move.
        for at in (first..self.processes.len()).rev() {
            let admin = admins[at - first];
            self.wait_for(at, stop, || readiness(admin))?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, address: SocketAddr, command: Command, kind: Kind) -> anyhow::Result<()> {
        let mut process = Process {
            name: name.to_owned(),
            address,
            command,
            kind,
            child: None,
            started_at: Instant::now(),
            restart_at: None,
            deaths_in_a_row: 0,
            restarts: 0,
            last_exit: None,
        };
        process.start(&self.checkout, false)?;
        self.processes.push(process);
        self.save()
    }

    fn wait_for(
        &mut self,
        at: usize,
        stop: &AtomicBool,
        mut ready: impl FnMut() -> Result<(), String>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let process = &mut self.processes[at];
            let log = self.checkout.logs().join(format!("{}.log", process.name));
            if let Some(status) = process.child.as_mut().and_then(Child::ended) {
                bail!(
                    "{} died ({status}); the end of {}:\n{}",
                    process.name,
                    log.display(),
                    last_lines(&log, 20)
                );
            }
            match ready() {
                Ok(()) => return Ok(()),
                Err(why) if begun.elapsed() > START_LIMIT => bail!(
                    "{} is not ready after {START_LIMIT:?}: {why}; the end of {}:\n{}",
                    process.name,
                    log.display(),
                    last_lines(&log, 20)
                ),
                Err(_) => std::thread::sleep(Duration::from_millis(30)),
            }
            if stop.load(Ordering::Acquire) {
                bail!("stopped while {} was starting", self.processes[at].name);
            }
        }
    }

    /// Adds a generator, which is stopped with the stack, before everything else.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn add_load(&mut self, command: Command) -> anyhow::Result<()> {
        let kafka = self.endpoints.kafka.parse().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        self.add("score-generator", kafka, command, Kind::Load)
    }

    /// Keeps the stack alive until `stop` is set, then stops it.
    pub fn keep(&mut self, stop: &AtomicBool, say: Say<'_>, mut tick: impl FnMut()) {
        while !stop.load(Ordering::Acquire) {
            let mut changed = false;
            for process in &mut self.processes {
                changed |= process.look_after(&self.checkout, say);
            }
            self.processes.retain(|process| process.kind != Kind::Load || process.child.is_some());
            if changed && let Err(error) = self.save() {
                say(&format!("writing the state: {error:#}"));
            }
            tick();
            std::thread::sleep(TICK);
        }
        self.stop();
    }

    fn enter(&mut self, what: &str, say: Say<'_>) -> anyhow::Result<()> {
        say(&format!("starting {what}"));
        self.phase = Phase::Starting(what.to_owned());
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        let supervisor = Identity::of(std::process::id()).context("no identity of our own")?;
        let processes = self.processes.iter().map(|process| ProcessState {
            name: process.name.clone(),
            identity: process.child.as_ref().and_then(Child::identity),
            address: process.address.to_string(),
            log: self.checkout.logs().join(format!("{}.log", process.name)),
            restarts: process.restarts,
            last_exit: process.last_exit.clone(),
        });
        State { supervisor, phase: self.phase.clone(), processes: processes.collect() }.save(&self.checkout)
    }

    /// The load first, while it can still be acknowledged; then the services, so that they can
    /// write down where they are; then the servers.
    fn stop(&mut self) {
        for kind in [Kind::Load, Kind::Service, Kind::Server] {
            let mut ending: Vec<Child> = self
                .processes
                .iter_mut()
                .filter(|process| process.kind == kind)
                .filter_map(|process| process.child.take())
                .collect();
            for child in &ending {
                child.ask();
            }
            for child in &mut ending {
                child.end();
            }
        }
        if self.infra == Infra::Docker {
            // Whoever stops a stack has no use for more.
            let _ = infra::docker::stop(&self.checkout);
        }
        self.processes.clear();
        state::forget(&self.checkout);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.processes.is_empty() {
            self.stop();
        }
    }
}

impl Process {
    fn start(&mut self, checkout: &Checkout, append: bool) -> anyhow::Result<()> {
        let log = checkout.logs().join(format!("{}.log", self.name));
        self.child = Some(Child::start(&mut self.command, log, append)?);
        self.started_at = Instant::now();
        Ok(())
    }

    /// Notices a death, and starts it again after a pause that grows. Whether anything changed.
    fn look_after(&mut self, checkout: &Checkout, say: Say<'_>) -> bool {
        if let Some(status) = self.child.as_mut().and_then(Child::ended) {
            self.child = None;
            if self.kind == Kind::Load {
                say(&format!("{} ended ({status})", self.name));
                return true;
            }
            if self.started_at.elapsed() > STEADY {
                self.deaths_in_a_row = 0;
            }
            let pause = pause_after(self.deaths_in_a_row);
            self.deaths_in_a_row += 1;
            self.last_exit = Some(status.to_string());
            self.restart_at = Some(Instant::now() + pause);
            let log = checkout.logs().join(format!("{}.log", self.name));
            say(&format!("{} died ({status}); starting it again in {pause:?}; its last lines:", self.name));
            say(&last_lines(&log, 5));
            return true;
        }
        if let Some(Err(error)) = self.child.as_ref().map(Child::bound_log) {
            say(&format!("bounding the log of {}: {error}", self.name));
        }
        if self.child.is_none() && self.restart_at.is_some_and(|at| at <= Instant::now()) {
            self.restart_at = None;
            self.restarts += 1;
            if let Err(error) = self.start(checkout, true) {
                say(&format!("{}: {error:#}", self.name));
                self.restart_at = Some(Instant::now() + PAUSE_LAST);
            }
            return true;
        }
        false
    }
}

/// What a service says of its readiness.
fn readiness(admin: SocketAddr) -> Result<(), String> {
    match crate::http::get(admin, "/readyz") {
        Ok((200, _)) => Ok(()),
        Ok((_, body)) => Err(body),
        Err(error) => Err(error.to_string()),
    }
}

/// How long to wait after a death that so many came before.
fn pause_after(deaths_before: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << deaths_before.min(10)).min(PAUSE_LAST)
}

/// Ends what a supervisor left behind that did not end itself.
pub fn clean_up(checkout: &Checkout, say: Say<'_>) {
    let Some(state) = State::load(checkout) else { return };
    let leftovers: Vec<(String, Identity)> =
        state.leftovers().map(|(name, identity)| (name.to_owned(), identity.clone())).collect();
    if !leftovers.is_empty() {
        let names: Vec<&str> = leftovers.iter().map(|(name, _)| name.as_str()).collect();
        say(&format!("ending what an earlier start left behind: {}", names.join(", ")));
        // Services come last in the list and go first.
        for (name, identity) in leftovers.iter().rev() {
            identity.signal(end_signal(name));
        }
        for (name, identity) in leftovers.iter().rev() {
            identity.end(end_signal(name));
        }
    }
    state::forget(checkout);
}

fn endpoints(services: &[Service], servers: &Servers) -> Endpoints {
    let listen = services.iter().find_map(|service| service.listen);
    Endpoints {
        controller: listen.map(|address| format!("http://{address}")).unwrap_or_default(),
        kafka: servers.kafka.clone(),
        redis: servers.redis.clone(),
        postgres: servers.postgres.clone(),
        admin: services
            .iter()
            .map(|service| (service.name.to_owned(), format!("http://{}", service.admin)))
            .collect(),
    }
}

/// Set by Ctrl-C, SIGTERM and SIGHUP.
///
/// # Errors
/// When it was set up before.
pub fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Release))?;
    Ok(stop)
}

/// The supervisor of `up`: its own process, with its words in the log.
///
/// # Errors
/// When the stack cannot be started.
pub fn in_background(checkout: &Checkout, options: &StackOptions) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let mut say = |line: &str| println!("{line}");
    let mut supervisor = Supervisor::start(checkout, options, &stop, &mut say)?;
    supervisor.keep(&stop, &mut say, || {});
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_at_a_quarter_second_and_double_up_to_ten_seconds() {
        let pauses: Vec<u128> = (0..8).map(|deaths| pause_after(deaths).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    }
}
