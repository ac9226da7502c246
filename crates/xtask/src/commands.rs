//! The commands that people give.

use crate::checkout::Checkout;
use crate::infra::{Infra, docker, postgres};
use crate::machine::{self, ensure};
use crate::process::{Child, Identity, last_lines};
use crate::services;
use crate::state::{ENV, Endpoints, Phase, State};
use crate::supervisor::{StackOptions, Supervisor, clean_up, stop_signal};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How long `up` waits for its supervisor: the first start fetches Kafka.
const UP_LIMIT: Duration = Duration::from_secs(300);
/// How long a supervisor may take to stop its stack: load, services and servers in turn.
const DOWN_LIMIT: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(100);
/// The rate of a demo, in events per second.
const RATE: u64 = 50;
/// What takes the place of a rate.
const IN_PLACE_OF_RATE: [&str; 2] = ["--stages", "--backlog"];

/// What the generator of a demo is told.
#[must_use]
pub(crate) fn load(rate: Option<u64>, replay: Option<PathBuf>, more: Vec<String>) -> Vec<String> {
    let mut arguments = match &replay {
        Some(file) => vec!["replay".to_owned(), file.display().to_string()],
        None => ["load", "--lively", "--players", "200"].map(str::to_owned).to_vec(),
    };
    let shaped = more.iter().any(|flag| IN_PLACE_OF_RATE.iter().any(|other| flag.starts_with(other)));
    let usual = (!shaped).then_some(RATE);
    if let (None, Some(rate)) = (replay, rate.or(usual)) {
        arguments.push(format!("--rate={rate}"));
    }
    arguments.push("--no-progress".to_owned());
    arguments.extend(more);
    arguments
}

fn prepare(checkout: &Checkout, options: &StackOptions) -> anyhow::Result<()> {
    let infra = Infra::choose(options.infra);
    ensure(&[&machine::BUILD, infra.needs()].concat())?;
    services::build(checkout)
}

/// Everything in the foreground.
///
/// # Errors
/// When the stack cannot be started.
pub(crate) fn demo(
    checkout: &Checkout,
    options: &StackOptions,
    load: Option<Vec<String>>,
) -> anyhow::Result<ExitCode> {
    prepare(checkout, options)?;
    let stop = stop_signal()?;
    let mut say = |line: &str| println!("{line}");
    let running = State::load(checkout).filter(State::is_supervised);
    if running.is_some() {
        say("a stack of this checkout runs already: only a generator is added");
        let endpoints = Endpoints::load(checkout)?;
        banner(&endpoints.controller, "Ctrl-C stops the generator");
        let Some(arguments) = load else {
            say("and without load there is nothing to add");
            return Ok(ExitCode::SUCCESS);
        };
        // Beside the log of a generator that the stack may have itself.
        let log = checkout.logs().join("added-generator.log");
        let mut generator = Child::start(&mut generator(checkout, &endpoints, &arguments)?, log, false)?;
        while !stop.load(std::sync::atomic::Ordering::Acquire) && generator.ended().is_none() {
            std::thread::sleep(TICK);
        }
        generator.end();
        return Ok(ExitCode::SUCCESS);
    }
    let mut supervisor = Supervisor::start(checkout, options, &stop, &mut say)?;
    let mut logs = Logs::at_their_ends(checkout);
    if let Some(arguments) = load {
        let command = generator(checkout, supervisor.endpoints(), &arguments)?;
        supervisor.add_load(command)?;
    }
    banner(&supervisor.endpoints().controller, "Ctrl-C stops everything");
    supervisor.keep(&stop, &mut say, || logs.print_new(None));
    println!("everything is stopped; the data stays in {}", checkout.local.display());
    Ok(ExitCode::SUCCESS)
}

fn generator(checkout: &Checkout, endpoints: &Endpoints, arguments: &[String]) -> anyhow::Result<Command> {
    let mut command = Command::new(checkout.programs().join("score-generator"));
    command.current_dir(std::env::current_dir()?).envs(endpoints.variables()).args(arguments);
    Ok(command)
}

fn banner(url: &str, end: &str) {
    let line = format!("  the board is at  {url}/   ({end})  ");
    let rule = "─".repeat(line.chars().count());
    println!("\n┌{rule}┐\n│{line}│\n└{rule}┘\n");
}

/// Starts the stack in the background.
///
/// # Errors
/// What was in the way.
pub(crate) fn up(checkout: &Checkout, options: &StackOptions) -> anyhow::Result<ExitCode> {
    if let Some(state) = State::load(checkout).filter(State::is_supervised)
        && state.phase == Phase::Ready
    {
        println!("already up: {}/", Endpoints::load(checkout)?.controller);
        return Ok(ExitCode::SUCCESS);
    }
    prepare(checkout, options)?;
    std::fs::create_dir_all(checkout.logs())?;
    let stop = stop_signal()?;
    // Ourselves, even if a build has replaced the file since.
    let mut command = Command::new("/proc/self/exe");
    command.arg("supervise");
    if let Some(infra) = options.infra {
        let name = clap::ValueEnum::to_possible_value(&infra).context("a name")?;
        command.args(["--infra", name.get_name()]);
    }
    if let Some(port) = options.port {
        command.args(["--port", &port.to_string()]);
    }
    let log = checkout.logs().join("supervisor.log");
    let mut supervisor = Child::start(&mut command, log.clone(), false)?;
    let identity = supervisor.identity();
    let begun = Instant::now();
    let mut last = String::new();
    loop {
        if supervisor.ended().is_some() {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let from = text.find("error: ").unwrap_or(0);
            bail!("{}", text[from..].trim_start_matches("error: ").trim_end());
        }
        let state = State::load(checkout).filter(|state| Some(&state.supervisor) == identity.as_ref());
        match state.map(|state| state.phase) {
            Some(Phase::Ready) => break,
            Some(Phase::Starting(what)) if what != last => {
                println!("starting {what}");
                last = what;
            }
            _ => {}
        }
        if stop.load(std::sync::atomic::Ordering::Acquire) {
            println!("stopping what was started");
            end_supervisor(checkout, identity.as_ref());
            bail!("stopped before it was ready");
        }
        if begun.elapsed() > UP_LIMIT {
            end_supervisor(checkout, identity.as_ref());
            bail!("not ready after {UP_LIMIT:?}:\n{}", last_lines(&log, 20));
        }
        std::thread::sleep(TICK);
    }
    let took = begun.elapsed();
    println!("up after {:.1} s: {}/", took.as_secs_f64(), Endpoints::load(checkout)?.controller);
    println!("for the tools: . {}", checkout.local.join(ENV).display());
    Ok(ExitCode::SUCCESS)
}

/// Stops the stack.
///
/// # Errors
/// When it does not stop.
pub(crate) fn down(checkout: &Checkout) -> anyhow::Result<ExitCode> {
    match State::load(checkout) {
        Some(state) if state.is_supervised() => {
            end_supervisor(checkout, Some(&state.supervisor));
            println!("down; the data stays in {}", checkout.local.display());
        }
        Some(_) => {
            clean_up(checkout, &mut |line| println!("{line}"));
            println!("nothing was running");
        }
        None => println!("nothing was running"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Has a supervisor stop its stack.
fn end_supervisor(checkout: &Checkout, supervisor: Option<&Identity>) {
    if let Some(supervisor) = supervisor {
        supervisor.signal(nix::sys::signal::Signal::SIGTERM);
        let begun = Instant::now();
        while supervisor.is_alive() {
            if begun.elapsed() > DOWN_LIMIT {
                supervisor.signal(nix::sys::signal::Signal::SIGKILL);
            }
            std::thread::sleep(TICK);
        }
    }
    // Whatever a supervisor that had to be killed left behind.
    clean_up(checkout, &mut |line| println!("{line}"));
}

/// Says what runs.
///
/// # Errors
/// None that are expected.
pub(crate) fn status(checkout: &Checkout, as_json: bool) -> anyhow::Result<ExitCode> {
    let state = State::load(checkout);
    let supervised = state.as_ref().is_some_and(State::is_supervised);
    let admin = Endpoints::load(checkout).unwrap_or_default().admin;
    let rows: Vec<serde_json::Value> = state
        .iter()
        .flat_map(|state| &state.processes)
        .map(|process| {
            let alive = process.identity.as_ref().is_some_and(Identity::is_alive);
            let ready = admin.get(&process.name).is_none_or(|url| is_ready(url));
            let state = match (alive, ready) {
                (false, _) => "dead",
                (true, false) => "not ready",
                (true, true) => "ready",
            };
            json!({
                "name": process.name,
                "pid": process.identity.as_ref().map(|identity| identity.pid),
                "address": process.address,
                "log": process.log,
                "restarts": process.restarts,
                "state": state,
                "last_exit": process.last_exit,
            })
        })
        .collect();
    let ready = supervised
        && state.as_ref().is_some_and(|state| state.phase == Phase::Ready)
        && rows.iter().all(|row| row["state"] == "ready");
    if as_json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        println!("nothing runs; start it with `cargo xtask up`");
    } else {
        println!(
            "{:<16} {:>8}  {:<22} {:>8}  {:<10} last exit",
            "name", "pid", "address", "restarts", "state"
        );
        for row in &rows {
            let text = |member: &str| row[member].as_str().unwrap_or("-").to_owned();
            let (pid, restarts) = (row["pid"].to_string(), row["restarts"].to_string());
            let (name, address) = (text("name"), text("address"));
            println!(
                "{name:<16} {pid:>8}  {address:<22} {restarts:>8}  {:<10} {}",
                text("state"),
                text("last_exit")
            );
        }
        if !supervised {
            println!("nobody looks after them: `cargo xtask up` cleans up and starts anew");
        }
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_ready(url: &str) -> bool {
    let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
    address.is_some_and(|address| crate::http::get(address, "/readyz").is_ok_and(|(status, _)| status == 200))
}

/// Prints logs.
///
/// # Errors
/// When there is none of that name.
pub(crate) fn logs(checkout: &Checkout, name: Option<&str>, follow: bool) -> anyhow::Result<ExitCode> {
    let mut logs = Logs::default();
    logs.find(checkout);
    if let Some(name) = name
        && !logs.files.contains_key(name)
    {
        let names: Vec<&str> = logs.files.keys().map(String::as_str).collect();
        bail!("there is no log of {name}; there are: {}", names.join(", "));
    }
    logs.print_new(name);
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        std::thread::sleep(TICK);
        logs.find(checkout);
        logs.print_new(name);
    }
}

/// Stops the stack and deletes its data.
///
/// # Errors
/// When something cannot be deleted.
pub(crate) fn reset(checkout: &Checkout, yes: bool) -> anyhow::Result<ExitCode> {
    if !yes {
        println!("this would stop the stack and delete {}: say --yes", checkout.local.display());
        return Ok(ExitCode::from(2));
    }
    down(checkout)?;
    if Infra::choose(None) == Infra::Docker {
        docker::delete(checkout)?;
    }
    postgres::delete(checkout);
    for entry in std::fs::read_dir(&checkout.local).into_iter().flatten().flatten() {
        // The jars are not data, and fetching them takes a while.
        if entry.path() == checkout.kafka_jars() {
            continue;
        }
        let path = entry.path();
        let deleted =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        deleted.with_context(|| format!("deleting {}", path.display()))?;
    }
    println!("the data is deleted");
    Ok(ExitCode::SUCCESS)
}

/// Log files, printed as they grow, each line with whose it is.
#[derive(Default)]
struct Logs {
    files: BTreeMap<String, (PathBuf, u64)>,
}

impl Logs {
    fn at_their_ends(checkout: &Checkout) -> Self {
        let mut logs = Self::default();
        logs.find(checkout);
        for (path, read) in logs.files.values_mut() {
            *read = std::fs::metadata(path).map_or(0, |meta| meta.len());
        }
        // The generator's begins with the demo.
        logs.files
            .entry("score-generator".into())
            .or_insert((checkout.logs().join("score-generator.log"), 0))
            .1 = 0;
        logs
    }

    fn find(&mut self, checkout: &Checkout) {
        for entry in std::fs::read_dir(checkout.logs()).into_iter().flatten().flatten() {
            let path = entry.path();
            if let (Some("log"), Some(name)) =
                (path.extension().and_then(|e| e.to_str()), path.file_stem().and_then(|n| n.to_str()))
            {
                self.files.entry(name.to_owned()).or_insert((path.clone(), 0));
            }
        }
    }

    /// Whole lines only; the rest is for the next time.
    fn print_new(&mut self, only: Option<&str>) {
        let colour = std::io::stdout().is_terminal();
        let mut out = std::io::stdout().lock();
        for (at, (name, (path, read))) in self.files.iter_mut().enumerate() {
            if only.is_some_and(|only| only != name) {
                continue;
            }
            let text = read_from(path, *read);
            let Some(end) = text.rfind('\n') else { continue };
            *read += u64::try_from(end + 1).unwrap_or(0);
            for line in text[..end].lines() {
                // A reader that went away is no reason to stop the stack.
                let _ = if colour {
                    writeln!(out, "\x1b[{}m{name:>15}\x1b[0m {line}", 31 + at % 6)
                } else {
                    writeln!(out, "{name:>15} {line}")
                };
            }
        }
    }
}

fn read_from(path: &Path, offset: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = std::fs::File::open(path)
        && file.seek(SeekFrom::Start(offset)).is_ok()
    {
        // What cannot be read now can be read next time.
        let _ = file.take(1 << 20).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_has_a_rate_unless_something_stands_in_its_place() {
        let load = |rate, file: Option<&str>, more: &[&str]| {
            let more = more.iter().map(|&flag| flag.to_owned()).collect();
            load(rate, file.map(PathBuf::from), more).join(" ")
        };
        let lively = "load --lively --players 200";
        assert_eq!(
            load(None, None, &["--sine", "60s:9"]),
            format!("{lively} --rate=50 --no-progress --sine 60s:9")
        );
        assert_eq!(load(Some(7), None, &[]), format!("{lively} --rate=7 --no-progress"));
        assert_eq!(load(None, None, &["--stages=0:1k"]), format!("{lively} --no-progress --stages=0:1k"));
        // Both are passed on, for the generator to refuse.
        let both = load(Some(7), None, &["--backlog", "9"]);
        assert_eq!(both, format!("{lively} --rate=7 --no-progress --backlog 9"));
        assert_eq!(load(None, Some("goals.csv"), &[]), "replay goals.csv --no-progress");
    }
}
