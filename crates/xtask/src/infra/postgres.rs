//! A Postgres of our own. It refuses to run as root, so root runs it as another user.

use crate::checkout::Checkout;
use crate::infra::Server;
use crate::machine::postgres_program;
use crate::ports::Ports;
use crate::process::run;
use anyhow::Context as _;
use nix::unistd::{User, geteuid};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const USER: &str = "rankstream";
const DATABASE: &str = "rankstream";

/// The server and the URL of its database.
///
/// # Errors
/// When the cluster cannot be made.
pub(crate) fn prepare(
    checkout: &Checkout,
    ports: &mut Ports,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<(Server, String)> {
    let port = ports.pick("postgres", Some(5432))?;
    let home = home(checkout);
    std::fs::create_dir_all(&home)?;
    let owner = owner()?;
    if let Some(owner) = &owner {
        nix::unistd::chown(&home, Some(owner.uid), Some(owner.gid))?;
    }
    let (data, password_file) = (home.join("data"), home.join("password"));
    if !data.join("postgresql.auto.conf").exists() {
        say("making a Postgres cluster");
        let _ = std::fs::remove_dir_all(&data);
        crate::state::write_privately(&password_file, password()?.as_bytes())?;
        if let Some(owner) = &owner {
            nix::unistd::chown(&password_file, Some(owner.uid), Some(owner.gid))?;
        }
        let mut initdb = Command::new(postgres_program("initdb"));
        initdb.args([
            "--encoding=UTF8",
            "--locale=C",
            "--auth=scram-sha-256",
            "--username",
            USER,
            "--pwfile",
        ]);
        initdb.arg(&password_file).arg("--pgdata").arg(&data);
        run(as_owner(&mut initdb, owner.as_ref(), &home)).context("making a Postgres cluster")?;
    }
    let password = std::fs::read_to_string(&password_file).context("reading Postgres' password")?;
    let mut command = Command::new(postgres_program("postgres"));
    command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=50"] {
        command.args(["-c", setting]);
    }
    as_owner(&mut command, owner.as_ref(), &home);
    let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}");
    Ok((Server { name: "postgres", address: ([127, 0, 0, 1], port).into(), command }, url))
}

/// Makes the database, once the server answers.
///
/// # Errors
/// When it cannot be made.
pub fn ensure_database(checkout: &Checkout, url: &str) -> anyhow::Result<()> {
    let address = url.strip_suffix(&format!("/{DATABASE}")).and_then(|url| url.rsplit_once('@'));
    let (login, address) = address.context("Postgres' URL")?;
    let (_, password) = login.rsplit_once(':').context("Postgres' URL")?;
    let psql = |database: &str, query: &str| {
        let mut psql = Command::new(postgres_program("psql"));
        // Not among the arguments, which everybody on the machine can read.
        psql.current_dir("/").env("PGPASSWORD", password);
        psql.arg(format!("postgres://{USER}@{address}/{database}"));
        psql.args(["-X", "-A", "-t", "-q", "-c", query]);
        psql
    };
    let begun = std::time::Instant::now();
    // It accepts connections a little before it serves them.
    while let Err(error) = run(&mut psql("postgres", "SELECT 1")) {
        anyhow::ensure!(begun.elapsed() < super::START_LIMIT, "Postgres does not serve: {error:#}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    if run(&mut psql(DATABASE, "SELECT 1")).is_err() {
        run(&mut psql("postgres", &format!("CREATE DATABASE {DATABASE}")))
            .with_context(|| format!("making the database of {}", checkout.local.display()))?;
    }
    Ok(())
}

/// Deletes its data, wherever that is.
pub fn delete(checkout: &Checkout) {
    let _ = std::fs::remove_dir_all(home(checkout));
}

/// Whom to run it as: nobody in particular, unless we are root.
fn owner() -> anyhow::Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    anyhow::bail!("Postgres refuses to run as root, and there is no user postgres or nobody to run it as")
}

fn as_owner<'a>(command: &'a mut Command, owner: Option<&User>, home: &Path) -> &'a mut Command {
    if let Some(owner) = owner {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    // Not the caller's folder, which that user may not enter.
    command.current_dir(home)
}

/// In the stack's folder, or, when root runs it as someone who may not go there, beside it.
fn home(checkout: &Checkout) -> PathBuf {
    let inside = checkout.local.join("postgres");
    let open = |folder: &Path| {
        std::fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0 || meta.uid() != 0)
    };
    if !geteuid().is_root() || checkout.local.ancestors().filter(|folder| folder.exists()).all(open) {
        return inside;
    }
    PathBuf::from(format!("/var/tmp/rankstream-{:016x}", checkout.tag()))
}

fn password() -> anyhow::Result<String> {
    let mut random = [0u8; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
