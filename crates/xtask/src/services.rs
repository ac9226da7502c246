//! Our own programs: built, told where the servers are, and asked whether they are ready.

use crate::checkout::Checkout;
use crate::infra::Servers;
use crate::ports::Ports;
use crate::process::run;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::process::Command;

/// The services, in the order of their start.
const SERVICES: [&str; 4] = ["score-ranker", "score-archiver", "board-cache", "controller"];
/// The controller's port when nobody asked for another.
const CONTROLLER_PORT: u16 = 8080;

/// A service that is to be run.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) admin: SocketAddr,
    /// The controller's public address.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) command: Command,
}

/// Builds everything that is run.
///
/// # Errors
/// When it does not compile.
pub(crate) fn build(checkout: &Checkout) -> anyhow::Result<()> {
    if std::env::var_os("RANKSTREAM_BIN_DIR").is_some() {
        return Ok(());
    }
    let status =
        checkout.cargo(&["build", "--release", "--bins", "--locked"]).status().context("starting cargo")?;
    anyhow::ensure!(status.success(), "the build failed");
    Ok(())
}

/// A program of ours that is told where the servers are.
pub(crate) fn program(checkout: &Checkout, name: &str, servers: &Servers) -> Command {
    let mut command = Command::new(checkout.programs().join(name));
    command
        .current_dir(&checkout.root)
        .env("KAFKA_BROKERS", &servers.kafka)
        .env("REDIS_URL", &servers.redis)
        .env("POSTGRES_URL", &servers.postgres);
    command
}

/// Makes the topics and brings the archive up to date.
///
/// # Errors
/// When a server refuses.
pub(crate) fn prepare_servers(checkout: &Checkout, servers: &Servers) -> anyhow::Result<()> {
    run(program(checkout, "boardctl", servers).args(["topics", "create"])).context("making the topics")?;
    run(program(checkout, "boardctl", servers).arg("migrate")).context("preparing the archive")
}

/// The services with their ports.
///
/// # Errors
/// When the controller's port was asked for and is taken.
pub(crate) fn prepare(
    checkout: &Checkout,
    servers: &Servers,
    ports: &mut Ports,
    port: Option<u16>,
) -> anyhow::Result<Vec<Service>> {
    let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    SERVICES
        .into_iter()
        .map(|name| {
            let admin = loopback(ports.pick(&format!("{name}-admin"), None)?);
            let mut command = program(checkout, name, servers);
            command.env("ADMIN_ADDR", admin.to_string());
            let listen = if name == "controller" {
                let port = match port {
                    Some(port) => ports.insist("controller", port)?,
                    None => ports.pick("controller", Some(CONTROLLER_PORT))?,
                };
                command.env("LISTEN_ADDR", loopback(port).to_string());
                // A stack to try things on, which only this machine reaches. Whoever has keys uses them.
                if std::env::var_os("API_KEYS_FILE").is_none() {
                    command.env("DEV_OPEN_WRITES", "true");
                }
                Some(loopback(port))
            } else {
                None
            };
            Ok(Service { name, admin, listen, command })
        })
        .collect()
}
