//! A Redis of our own.

use crate::checkout::Checkout;
use crate::infra::Server;
use crate::ports::Ports;
use std::process::Command;

/// # Errors
/// When its folder cannot be made.
pub(crate) fn prepare(checkout: &Checkout, ports: &mut Ports) -> anyhow::Result<Server> {
    let data = checkout.local.join("redis");
    std::fs::create_dir_all(&data)?;
    let port = ports.pick("redis", Some(6379))?;
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(data).args([
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
        "--daemonize",
        "no",
    ]);
    Ok(Server { name: "redis", address: ([127, 0, 0, 1], port).into(), command })
}
