//! Servers of the harness's own: a broker, a Redis and a Postgres that it may kill, restart,
//! damage and replace, with a fault proxy for each client of each.

use crate::faults::damage::{AOF_FOLDER, copy_folder, cut_append_only_file};
use crate::faults::fault::{Link, Server};
use crate::faults::proxy::Proxy;
use crate::program::Program;
use anyhow::Context as _;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex as Lock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use xtask::infra::{START_LIMIT, Servers as Addresses, postgres, prepare_local};
use xtask::ports::Ports;
use xtask::{Checkout, Identity, Phase, ProcessState, State};

const POLL: Duration = Duration::from_millis(50);
/// How long Postgres may take to end in good order when the run is over.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A server that can be started again and again.
pub struct Managed {
    server: xtask::infra::Server,
    program: Option<Program>,
}

/// The three, and the ways to them.
pub struct Servers {
    checkout: Checkout,
    /// Where they listen themselves.
    pub direct: Addresses,
    proxies: BTreeMap<Link, Proxy>,
    kafka: Mutex<Managed>,
    redis: Mutex<Managed>,
    postgres: Mutex<Managed>,
    ledger: Lock<BTreeMap<String, ProcessState>>,
    /// Nobody gets one of them while its server is away.
    _ports: Ports,
}

impl Servers {
    /// Starts them with their data in `folder` of the checkout's `target`.
    ///
    /// # Errors
    /// When one does not get ready, or another run uses the folder.
    pub async fn start(folder: &str) -> anyhow::Result<Self> {
        let checkout = Checkout::find()?;
        let local = checkout.root.join("target").join(folder);
        let checkout = checkout.with_local(local);
        if State::load(&checkout).is_some_and(|state| state.is_supervised()) {
            anyhow::bail!("another run uses {}: wait for its end", checkout.local.display());
        }
        // What a run that was killed left behind.
        xtask::supervisor::clean_up(&checkout, &mut |line| eprintln!("{line}"));
        delete(&checkout);
        std::fs::create_dir_all(checkout.logs())?;

        let mut ports = Ports::default();
        // None of those that a person's own servers have.
        for name in ["kafka", "kafka-controller", "redis", "postgres"] {
            ports.pick(name, None)?;
        }
        let (prepared, direct) = prepare_local(&checkout, &mut ports, &mut |line| eprintln!("{line}"))?;
        let [mut kafka, redis, postgres] =
            <[_; 3]>::try_from(prepared).map_err(|_| anyhow::anyhow!("three servers are expected"))?;

        let controller = ports.pick("kafka-controller", None)?;
        let mut proxies = BTreeMap::new();
        let mut listeners = Vec::new();
        for link in Link::all() {
            let port = free_ports::kept();
            let upstream = match link.server {
                Server::Redis => redis.address,
                Server::Postgres => postgres.address,
                Server::Kafka => SocketAddr::from(([127, 0, 0, 1], free_ports::kept())),
            };
            if link.server == Server::Kafka {
                listeners.push((upstream, port));
            }
            proxies.insert(link, Proxy::listen(port, upstream)?);
        }
        for setting in listener_settings(kafka.address, controller, &listeners) {
            kafka.command.args(["--override", &setting]);
        }
        let managed = |server| Mutex::new(Managed { server, program: None });
        let servers = Self {
            checkout,
            direct,
            proxies,
            kafka: managed(kafka),
            redis: managed(redis),
            postgres: managed(postgres),
            ledger: Lock::default(),
            _ports: ports,
        };
        for server in [Server::Kafka, Server::Redis, Server::Postgres] {
            servers.launch(&mut *servers.managed(server).lock().await)?;
        }
        for server in [Server::Kafka, Server::Redis, Server::Postgres] {
            servers.ready(&mut *servers.managed(server).lock().await).await?;
        }
        let (checkout, url) = (servers.checkout.clone(), servers.direct.postgres.clone());
        tokio::task::spawn_blocking(move || postgres::ensure_database(&checkout, &url)).await??;
        Ok(servers)
    }

    /// The checkout, with the folder of this run.
    #[must_use]
    pub fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// The way of a client to a server.
    #[must_use]
    pub fn proxy(&self, link: Link) -> &Proxy {
        &self.proxies[&link]
    }

    fn managed(&self, server: Server) -> &Mutex<Managed> {
        match server {
            Server::Kafka => &self.kafka,
            Server::Redis => &self.redis,
            Server::Postgres => &self.postgres,
        }
    }

    /// Kills a server without a warning and starts it again after `pause`.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn kill(&self, server: Server, pause: Duration) -> anyhow::Result<()> {
        self.bounce(server, pause, |_| Ok(())).await
    }

    /// Kills Redis, takes the last `permille` of its append-only file away and starts it again;
    /// how many bytes went.
    ///
    /// # Errors
    /// When the file cannot be cut or Redis does not come back.
    pub async fn cut_redis(&self, permille: u32) -> anyhow::Result<u64> {
        let mut lost = 0;
        self.bounce(Server::Redis, Duration::ZERO, |folder| {
            lost = cut_append_only_file(&folder.join(AOF_FOLDER), permille)?;
            Ok(())
        })
        .await?;
        Ok(lost)
    }

    /// Copies Redis as it is, and puts the copy in its place `age` later.
    ///
    /// # Errors
    /// When it cannot be copied or Redis does not come back.
    pub async fn replace_redis_by_a_copy(&self, age: Duration) -> anyhow::Result<()> {
        let copy = self.checkout.local.join("redis-copy");
        {
            let managed = self.redis.lock().await;
            let program = managed.program.as_ref().context("Redis is away")?;
            // A copy at one instant.
            program.signal(Signal::SIGSTOP);
            let copied = copy_folder(&self.checkout.local.join("redis").join(AOF_FOLDER), &copy);
            program.signal(Signal::SIGCONT);
            copied.context("copying Redis' append-only file")?;
        }
        tokio::time::sleep(age).await;
        self.bounce(Server::Redis, Duration::ZERO, |folder| {
            std::fs::remove_dir_all(folder.join(AOF_FOLDER))?;
            Ok(std::fs::rename(&copy, folder.join(AOF_FOLDER))?)
        })
        .await
    }

    async fn bounce(
        &self,
        server: Server,
        pause: Duration,
        meanwhile: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut managed = self.managed(server).lock().await;
        let mut program = managed.program.take().with_context(|| format!("{server} is away"))?;
        match server {
            // "Immediate": no checkpoint, recovery at the next start.
            Server::Postgres => {
                program.signal(Signal::SIGQUIT);
                let begun = Instant::now();
                while program.ended().is_none() && begun.elapsed() < END_LIMIT {
                    tokio::time::sleep(POLL).await;
                }
            }
            Server::Kafka | Server::Redis => {}
        }
        program.kill();
        drop(program);
        meanwhile(&self.checkout.local.join(managed.server.name))?;
        tokio::time::sleep(pause).await;
        self.launch(&mut managed)?;
        self.ready(&mut managed).await
    }

    fn launch(&self, managed: &mut Managed) -> anyhow::Result<()> {
        let Managed { server, program } = managed;
        let started = Program::start(server.name, &self.checkout.logs(), &mut server.command);
        let pid = started.pid();
        *program = Some(started);
        self.write_down(server.name, pid)
    }

    /// Waits until a server serves.
    async fn ready(&self, managed: &mut Managed) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let Managed { server, program } = &mut *managed;
            let program = program.as_mut().context("it was started")?;
            let dead = program.ended();
            anyhow::ensure!(
                dead.is_none() && begun.elapsed() < START_LIMIT,
                "{} did not get ready ({dead:?}):\n{}",
                server.name,
                program.log()
            );
            if server.answers() && (server.name != "redis" || self.redis_serves().await) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether Redis has loaded its data.
    async fn redis_serves(&self) -> bool {
        let Ok(client) = redis::Client::open(&*self.direct.redis) else { return false };
        let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
        redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
    }

    /// For the next run, should this one be killed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_down(&self, name: &str, pid: u32) -> anyhow::Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.insert(
            name.to_owned(),
            ProcessState {
                name: name.to_owned(),
                identity: Identity::of(pid),
                address: String::new(),
                log: self.checkout.logs().join(format!("{name}.log")),
                restarts: 0,
                last_exit: None,
            },
        );
        let supervisor = Identity::of(std::process::id()).context("no identity of our own")?;
        let processes = ledger.values().cloned().collect();
        State { supervisor, phase: Phase::Ready, processes }.save(&self.checkout)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // In good order, so that no shared memory is left behind; the others leave none.
        if let Some(program) = &mut self.postgres.get_mut().program {
            program.signal(Signal::SIGINT);
            let begun = Instant::now();
            while program.ended().is_none() && begun.elapsed() < END_LIMIT {
                std::thread::sleep(POLL);
            }
        }
        for managed in [&mut self.postgres, &mut self.redis, &mut self.kafka] {
            managed.get_mut().program = None;
        }
        delete(&self.checkout);
    }
}

fn delete(checkout: &Checkout) {
    postgres::delete(checkout);
    let _ = std::fs::remove_dir_all(&checkout.local);
}

/// One listener for each proxy, advertised as that proxy, beside the broker's own.
fn listener_settings(own: SocketAddr, controller: u16, proxied: &[(SocketAddr, u16)]) -> Vec<String> {
    let mut listeners = format!("PLAINTEXT://{own},CONTROLLER://127.0.0.1:{controller}");
    let mut advertised = format!("PLAINTEXT://{own}");
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for (number, (listener, proxy)) in proxied.iter().enumerate() {
        listeners += &format!(",P{number}://{listener}");
        advertised += &format!(",P{number}://127.0.0.1:{proxy}");
        protocols += &format!(",P{number}:PLAINTEXT");
    }
    vec![
        format!("listeners={listeners}"),
        format!("advertised.listeners={advertised}"),
        format!("listener.security.protocol.map={protocols}"),
        // For each listener.
        "num.network.threads=1".to_owned(),
        // New partitions and lost members are noticed within a run.
        "group.min.session.timeout.ms=1000".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proxy_is_what_its_listener_advertises() {
        let own = SocketAddr::from(([127, 0, 0, 1], 1));
        let behind = SocketAddr::from(([127, 0, 0, 1], 3));
        let settings = listener_settings(own, 2, &[(behind, 4)]);
        assert_eq!(
            settings[..3],
            [
                "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2,P0://127.0.0.1:3",
                "advertised.listeners=PLAINTEXT://127.0.0.1:1,P0://127.0.0.1:4",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,P0:PLAINTEXT",
            ]
        );
    }
}
