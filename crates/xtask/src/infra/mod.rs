//! The servers: Kafka, Redis, Postgres.

pub mod docker;
pub mod kafka;
pub mod postgres;
pub mod redis;

use crate::checkout::Checkout;
use crate::machine::{self, Need};
use crate::ports::Ports;
use crate::process::{Child, Identity};
use crate::state::{Phase, ProcessState, State};
use anyhow::Context as _;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Where the servers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Infra {
    /// Containers, by docker-compose.yml
    Docker,
    /// Own processes on free loopback ports, with their data in .local
    Local,
    /// Someone else's, by KAFKA_BROKERS, REDIS_URL and POSTGRES_URL
    External,
}

impl Infra {
    /// What was asked for, else docker if an engine answers, else local.
    #[must_use]
    pub fn choose(asked: Option<Self>) -> Self {
        asked.unwrap_or_else(|| if machine::DOCKER[0].check().is_ok() { Self::Docker } else { Self::Local })
    }

    /// What it needs from the machine.
    #[must_use]
    pub(crate) fn needs(self) -> &'static [Need] {
        match self {
            Self::Docker => &machine::DOCKER,
            Self::Local => &machine::LOCAL,
            Self::External => &[],
        }
    }
}

/// Where the servers listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// host:port
    pub kafka: String,
    /// URL
    pub redis: String,
    /// URL
    pub postgres: String,
}

/// A server that is to be run: how it is started, and how one knows that it is ready.
pub struct Server {
    /// Its name.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Starts it.
    pub command: Command,
}

impl Server {
    /// Whether it accepts connections. Each server opens its port only when it can serve, except
    /// Postgres, whose clients are told to wait.
    #[must_use]
    pub fn answers(&self) -> bool {
        TcpStream::connect_timeout(&self.address, Duration::from_millis(500)).is_ok()
    }
}

/// Prepares the three local servers: fetched, formatted, with ports.
///
/// # Errors
/// When one cannot be prepared.
pub fn prepare_local(
    checkout: &Checkout,
    ports: &mut Ports,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<(Vec<Server>, Servers)> {
    let kafka = kafka::prepare(checkout, ports, say)?;
    let redis = redis::prepare(checkout, ports)?;
    let (postgres, postgres_url) = postgres::prepare(checkout, ports, say)?;
    let servers = Servers {
        kafka: kafka.address.to_string(),
        redis: format!("redis://{}", redis.address),
        postgres: postgres_url,
    };
    Ok((vec![kafka, redis, postgres], servers))
}

/// The servers that the environment names.
///
/// # Errors
/// Naming every variable that is missing.
pub fn external() -> anyhow::Result<Servers> {
    let mut missing = Vec::new();
    let mut variable = |name: &'static str| {
        let value = std::env::var(name).unwrap_or_default();
        if value.is_empty() {
            missing.push(name);
        }
        value
    };
    let servers = Servers {
        kafka: variable("KAFKA_BROKERS"),
        redis: variable("REDIS_URL"),
        postgres: variable("POSTGRES_URL"),
    };
    anyhow::ensure!(missing.is_empty(), "--infra external needs {} in the environment", missing.join(", "));
    Ok(servers)
}

/// The local servers without a supervisor, for the tests: ended when dropped.
pub struct Private {
    children: Vec<Child>,
    written: Vec<ProcessState>,
    checkout: Checkout,
    /// Where they listen.
    pub servers: Servers,
}

impl Private {
    /// Starts them with their data in `checkout.local`, which is deleted with them.
    ///
    /// # Errors
    /// When one does not get ready.
    pub fn start(checkout: Checkout) -> anyhow::Result<Self> {
        std::fs::create_dir_all(checkout.logs())?;
        let (prepared, servers) = prepare_local(&checkout, &mut Ports::default(), &mut |_| {})?;
        let mut private = Self { children: Vec::new(), written: Vec::new(), checkout, servers };
        for mut server in prepared {
            let log = private.checkout.logs().join(format!("{}.log", server.name));
            let mut child = Child::start(&mut server.command, log, false)?;
            if let Some(identity) = child.identity() {
                private.write_down(&server, identity)?;
            }
            let begun = std::time::Instant::now();
            while !server.answers() {
                let dead = child.ended();
                anyhow::ensure!(
                    dead.is_none() && begun.elapsed() < START_LIMIT,
                    "{} did not get ready{}; its last lines:\n{}",
                    server.name,
                    dead.map(|status| format!(" ({status})")).unwrap_or_default(),
                    crate::process::last_lines(&child.log, 20)
                );
                std::thread::sleep(Duration::from_millis(50));
            }
            private.children.push(child);
        }
        postgres::ensure_database(&private.checkout, &private.servers.postgres)?;
        Ok(private)
    }

    /// The process id of the server of that name.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        let server = self.written.iter().find(|server| server.name == name)?;
        Some(server.identity.as_ref()?.pid)
    }

    /// For the next run, should this one be killed.
    fn write_down(&mut self, server: &Server, identity: Identity) -> anyhow::Result<()> {
        self.written.push(ProcessState {
            name: server.name.to_owned(),
            identity: Some(identity),
            address: server.address.to_string(),
            log: self.checkout.logs().join(format!("{}.log", server.name)),
            restarts: 0,
            last_exit: None,
        });
        let supervisor = Identity::of(std::process::id()).context("no identity of our own")?;
        State { supervisor, phase: Phase::Ready, processes: self.written.clone() }.save(&self.checkout)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        for child in &self.children {
            child.ask();
        }
        for child in &mut self.children {
            child.end();
        }
        postgres::delete(&self.checkout);
        let _ = std::fs::remove_dir_all(&self.checkout.local);
    }
}

/// How long a server may take to get ready.
pub const START_LIMIT: Duration = Duration::from_secs(60);
