//! All tests, and the benchmarks.

use crate::checkout::Checkout;
use crate::infra::Private;
use crate::machine::{self, ensure, ensure_room};
use crate::state::State;
use crate::supervisor::clean_up;
use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The build and the servers' data.
const ROOM_BYTES: u64 = 6_000_000_000;
/// How long tests may take to end when they are asked to.
const END_LIMIT: Duration = Duration::from_secs(15);

/// Runs steps one after the other and remembers how long each took.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        println!("\n=== {name}");
        let begun = Instant::now();
        let outcome = step().with_context(|| format!("step failed: {name}"))?;
        self.done.push((name, begun.elapsed()));
        Ok(outcome)
    }

    fn report(&self) {
        println!();
        for (name, took) in &self.done {
            println!("{:>7.1} s  {name}", took.as_secs_f64());
        }
        println!("ok: {} steps", self.done.len());
    }
}

/// All tests, or without servers the fast ones.
///
/// # Errors
/// When a step fails.
pub(crate) fn test(checkout: &Checkout, fast: bool, filter: &[String]) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    steps.run("what the machine must have", || {
        std::fs::create_dir_all(checkout.root.join("target"))?;
        ensure_room(&checkout.root.join("target"), ROOM_BYTES)?;
        ensure(&machine::BUILD)?;
        if fast { Ok(()) } else { ensure(&[&machine::LOCAL[..], &machine::TESTS].concat()) }
    })?;
    steps.run("formatting", || cargo(checkout, &["fmt", "--all", "--check"]))?;
    steps.run("lints", || {
        cargo(
            checkout,
            &[
                "clippy",
                "--release",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        )
    })?;
    steps.run("build", || build(checkout))?;
    let mut test = checkout.cargo(&["test", "--release", "--workspace", "--locked", "--no-fail-fast"]);
    test.arg("--").args(filter);
    if fast {
        for name in ["RANKSTREAM_TEST_KAFKA", "RANKSTREAM_TEST_REDIS", "RANKSTREAM_TEST_POSTGRES"] {
            test.env_remove(name);
        }
        steps.run("tests that need no server", || succeed(&mut test))?;
        steps.report();
        return Ok(ExitCode::SUCCESS);
    }
    steps.run("the browser's driver and the page's own tests", || {
        let browser = checkout.root.join("crates/e2e/browser");
        succeed(Command::new("npm").current_dir(&browser).args([
            "ci",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]))?;
        succeed(Command::new("npm").current_dir(&browser).arg("test"))
    })?;
    let stop = crate::supervisor::stop_signal()?;
    let servers =
        steps.run("Kafka, Redis and Postgres of the tests' own", || private(checkout, "test-stack"))?;
    let outcome = steps.run("tests", || {
        test.env("RANKSTREAM_TEST_REQUIRED", "1");
        tell(&mut test, checkout, &servers);
        succeed_unless(&stop, &mut test)
    });
    // Ended here, also when the tests failed or Ctrl-C ended them.
    drop(servers);
    outcome?;
    if filter.is_empty() {
        steps.run("sixty faults, and what must fail without a protection", || {
            let mut faults = checkout.cargo(&["test", "--release", "--workspace", "--locked"]);
            faults.args(["--test", "faults", "--", "--ignored", "--nocapture", "--test-threads=1"]);
            faults.env("RANKSTREAM_BIN_DIR", checkout.programs());
            succeed_unless(&stop, &mut faults)
        })?;
    }
    anyhow::ensure!(!stop.load(std::sync::atomic::Ordering::Acquire), "stopped");
    steps.report();
    Ok(ExitCode::SUCCESS)
}

/// The benchmarks: the small ones, then the whole-system ones; with arguments only the latter.
///
/// # Errors
/// When one cannot be run.
pub(crate) fn bench(checkout: &Checkout, micro: bool, arguments: &[String]) -> anyhow::Result<ExitCode> {
    ensure(&[&machine::BUILD, &machine::LOCAL[..]].concat())?;
    build(checkout)?;
    if micro || arguments.is_empty() {
        cargo(checkout, &["bench", "--profile", "release", "--workspace", "--locked", "--bench", "micro"])?;
    }
    if micro {
        return Ok(ExitCode::SUCCESS);
    }
    let stop = crate::supervisor::stop_signal()?;
    let servers = private(checkout, "bench-stack")?;
    let mut bench = Command::new(checkout.programs().join("bench"));
    bench.current_dir(&checkout.root).args(arguments);
    tell(&mut bench, checkout, &servers);
    for (variable, name) in
        [("RANKSTREAM_BENCH_KAFKA_PID", "kafka"), ("RANKSTREAM_BENCH_POSTGRES_PID", "postgres")]
    {
        bench.env(variable, servers.pid(name).with_context(|| name.to_owned())?.to_string());
    }
    succeed_unless(&stop, &mut bench)?;
    Ok(ExitCode::SUCCESS)
}

/// The simulator by command, with its own arguments.
///
/// # Errors
/// When it cannot be run, or something did not hold.
pub(crate) fn simulate(checkout: &Checkout, arguments: &[String]) -> anyhow::Result<ExitCode> {
    ensure(&machine::BUILD)?;
    cargo(checkout, &["build", "--release", "--workspace", "--locked", "--quiet", "--bin", "simulate"])?;
    let mut simulate = Command::new(checkout.programs().join("simulate"));
    succeed(simulate.current_dir(&checkout.root).args(arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// The fault harness by command, with its own arguments.
///
/// # Errors
/// When it cannot be run, or something did not hold.
pub(crate) fn faults(checkout: &Checkout, arguments: &[String]) -> anyhow::Result<ExitCode> {
    ensure(&[&machine::BUILD, &machine::LOCAL[..]].concat())?;
    build(checkout)?;
    let stop = crate::supervisor::stop_signal()?;
    let mut faults = Command::new(checkout.programs().join("faults"));
    faults.current_dir(&checkout.root).args(arguments);
    succeed_unless(&stop, &mut faults)?;
    Ok(ExitCode::SUCCESS)
}

/// Programs, tests and benchmarks in one go: apart, they would build their dependencies twice.
fn build(checkout: &Checkout) -> anyhow::Result<()> {
    cargo(checkout, &["build", "--release", "--workspace", "--all-targets", "--locked", "--quiet"])
}

fn private(checkout: &Checkout, name: &str) -> anyhow::Result<Private> {
    let local = checkout.root.join("target").join(name);
    let checkout = checkout.with_local(local);
    if State::load(&checkout).is_some_and(|state| state.is_supervised()) {
        anyhow::bail!("another run uses {}: wait for its end", checkout.local.display());
    }
    // What a run that was killed left behind.
    clean_up(&checkout, &mut |line| println!("{line}"));
    crate::infra::postgres::delete(&checkout);
    let _ = std::fs::remove_dir_all(&checkout.local);
    Private::start(checkout)
}

/// Tells a test or benchmark where the servers and programs are.
fn tell(command: &mut Command, checkout: &Checkout, private: &Private) {
    let servers = &private.servers;
    command
        .env("RANKSTREAM_TEST_KAFKA", &servers.kafka)
        .env("RANKSTREAM_TEST_REDIS", &servers.redis)
        .env("RANKSTREAM_TEST_POSTGRES", &servers.postgres)
        .env("RANKSTREAM_TEST_KAFKA_JARS", checkout.kafka_jars())
        .env("RANKSTREAM_BIN_DIR", checkout.programs());
    let goals = checkout.root.join("../shared/data/goalscorers.csv");
    if std::env::var_os("GOALSCORERS_CSV").is_none() && goals.exists() {
        command.env("GOALSCORERS_CSV", goals);
    }
}

fn cargo(checkout: &Checkout, arguments: &[&str]) -> anyhow::Result<()> {
    succeed(&mut checkout.cargo(arguments))
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    anyhow::ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// The same for what runs while our servers do: when we are asked to stop, so is it and all that
/// it has started, and only then the servers.
fn succeed_unless(stop: &AtomicBool, command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // A group of its own: a Ctrl-C at the terminal comes to us, and goes to the group from here.
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.with_context(|| format!("starting {name}"))?;
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let mut asked: Option<Instant> = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let signal = match asked {
            None if stop.load(Ordering::Acquire) => Some(Signal::SIGTERM),
            Some(since) if since.elapsed() > END_LIMIT => Some(Signal::SIGKILL),
            _ => None,
        };
        if let Some(signal) = signal {
            asked.get_or_insert_with(Instant::now);
            // It may have ended since.
            let _ = killpg(group, signal);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    anyhow::ensure!(asked.is_none(), "stopped");
    anyhow::ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}
