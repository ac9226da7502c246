//! Processes: started with a log file, recognised by pid and start time, ended with patience.

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end before it is killed: services drain within 10 s.
const END_LIMIT: Duration = Duration::from_secs(12);

/// How large a log may grow before it is put aside; with the one put aside, twice this on disk.
const LOG_LIMIT_BYTES: u64 = 32 << 20;

/// What asks a process to end in good order. Postgres takes SIGTERM as "when the last client has
/// gone", and one analyst who stays would have it killed.
#[must_use]
pub(crate) fn end_signal(name: &str) -> Signal {
    if name == "postgres" { Signal::SIGINT } else { Signal::SIGTERM }
}

/// A process as it can be found again: a pid alone may be someone else's by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The pid.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Identity {
    /// Of a running process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before the last ')' may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let is_dead = matches!(*fields.first()?, "Z" | "X");
        (!is_dead).then_some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    /// Whether that very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it, if it still runs: asked by `signal`, and SIGKILL after a while.
    pub fn end(&self, signal: Signal) {
        self.signal(signal);
        let begun = Instant::now();
        while self.is_alive() && begun.elapsed() < END_LIMIT {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::SIGKILL);
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if let (true, Ok(pid)) = (self.is_alive(), i32::try_from(self.pid)) {
            // It may have ended since.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// A process that we started.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    /// Its log.
    pub log: PathBuf,
    end_signal: Signal,
}

impl Child {
    /// Starts `command` in a process group of its own, so that a Ctrl-C at the terminal is ours
    /// to pass on, with its output in `log`. The log before is kept as `….1`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: PathBuf, append: bool) -> anyhow::Result<Self> {
        if !append && log.exists() {
            std::fs::rename(&log, log.with_extension("log.1"))?;
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
        let name = log.file_stem().unwrap_or_default().to_string_lossy();
        let end_signal = end_signal(&name);
        Ok(Self { child, log, end_signal })
    }

    /// Puts its log aside when that has become too large. The process keeps its handle, which
    /// appends, and goes on in the emptied file; lines written during the copy are lost.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn bound_log(&self) -> std::io::Result<()> {
        if std::fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
            std::fs::copy(&self.log, self.log.with_extension("log.1"))?;
            File::options().write(true).open(&self.log)?.set_len(0)?;
        }
        Ok(())
    }

    /// How it can be found again.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self.child.id())
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end.
    pub fn ask(&self) {
        if let Some(identity) = self.identity() {
            identity.signal(self.end_signal);
        }
    }

    /// Waits for its end, and makes it end when it takes too long.
    pub fn end(&mut self) {
        self.ask();
        let begun = Instant::now();
        while self.ended().is_none() {
            if begun.elapsed() > END_LIMIT {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The last lines of a log, for a person.
#[must_use]
pub(crate) fn last_lines(log: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// Runs a tool to its end, quietly; its output is the error when it fails.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{name} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_is_someone_elses_by_now_is_not_ours() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
    }

    #[test]
    fn a_log_that_is_too_large_is_put_aside_and_the_process_writes_on() {
        let log = std::env::temp_dir().join(format!("rankstream-bound-{}.log", std::process::id()));
        let mut child = Child::start(Command::new("sleep").arg("60"), log.clone(), false).unwrap();
        let mut writer = File::options().append(true).open(&log).unwrap();
        writer.set_len(LOG_LIMIT_BYTES + 1).unwrap();
        child.bound_log().unwrap();
        std::io::Write::write_all(&mut writer, b"after\n").unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), b"after\n");
        child.end();
        std::fs::remove_file(log.with_extension("log.1")).unwrap();
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_process_is_ended_and_then_gone() {
        let log = std::env::temp_dir().join(format!("rankstream-child-{}.log", std::process::id()));
        let mut child = Child::start(Command::new("sleep").arg("60"), log.clone(), false).unwrap();
        let identity = child.identity().unwrap();
        assert!(identity.is_alive() && child.ended().is_none());
        child.end();
        assert!(!identity.is_alive());
        std::fs::remove_file(log).unwrap();
    }
}
