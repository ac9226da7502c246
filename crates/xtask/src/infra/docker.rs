//! The servers as containers, by docker-compose.yml.

use crate::checkout::Checkout;
use crate::infra::Servers;
use crate::ports::Ports;
use crate::process::run;
use anyhow::Context as _;
use std::process::Command;

/// Starts them and returns when their health checks pass.
///
/// # Errors
/// When they do not.
pub(crate) fn start(checkout: &Checkout, ports: &mut Ports) -> anyhow::Result<Servers> {
    let [kafka, redis, postgres] = ports_of(ports)?;
    let mut up = compose(checkout, [kafka, redis, postgres]);
    run(up.args(["up", "--detach", "--wait", "kafka", "redis", "postgres"]))
        .context("starting the containers")?;
    Ok(Servers {
        kafka: format!("127.0.0.1:{kafka}"),
        redis: format!("redis://127.0.0.1:{redis}"),
        postgres: format!("postgres://rankstream:rankstream@127.0.0.1:{postgres}/rankstream"),
    })
}

/// Stops them; their data stays.
///
/// # Errors
/// When the engine refuses.
pub(crate) fn stop(checkout: &Checkout) -> anyhow::Result<()> {
    run(compose(checkout, [0; 3]).args(["stop"]))
}

/// Removes them and their data.
///
/// # Errors
/// When the engine refuses.
pub(crate) fn delete(checkout: &Checkout) -> anyhow::Result<()> {
    run(compose(checkout, [0; 3]).args(["down", "--volumes"]))
}

fn ports_of(ports: &mut Ports) -> anyhow::Result<[u16; 3]> {
    Ok([
        ports.pick("kafka", Some(9092))?,
        ports.pick("redis", Some(6379))?,
        ports.pick("postgres", Some(5432))?,
    ])
}

fn compose(checkout: &Checkout, [kafka, redis, postgres]: [u16; 3]) -> Command {
    let mut command = Command::new("docker");
    command.current_dir(&checkout.root).args(["compose", "--file", "docker-compose.yml"]);
    // Two checkouts may have folders of the same name, which is compose's own choice.
    command.args(["--project-name", &format!("rankstream-{:016x}", checkout.tag())]);
    for (name, port) in [("KAFKA_PORT", kafka), ("REDIS_PORT", redis), ("POSTGRES_PORT", postgres)] {
        if port != 0 {
            command.env(name, port.to_string());
        }
    }
    command
}
