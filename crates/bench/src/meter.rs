//! Processor time of processes, their own and that of those they have started.

use crate::figure::Run;
use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::process::{Command, Output};
use std::time::Instant;

/// Clock ticks a second in /proc, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far, in seconds, with that of its descendants.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let fields = stat(pid)?;
    // Its own, and that of children it has waited for.
    let ticks = fields[11..=14].iter().map(|field| field.parse::<f64>()).sum::<Result<f64, _>>()?;
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    // One that has just ended is counted by whoever waits for it.
    let of_children = children.split_whitespace().filter_map(|child| cpu_seconds(child.parse().ok()?).ok());
    Ok(ticks / TICKS_PER_SECOND + of_children.sum::<f64>())
}

/// The fields after the name, from the state on.
fn stat(pid: u32) -> anyhow::Result<Vec<String>> {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc stat")?;
    Ok(fields.split(' ').map(str::to_owned).collect())
}

/// Resident memory of a process, in megabytes.
///
/// # Errors
/// When there is no such process.
pub fn resident_megabytes(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// Takes the processor time of several processes over a while.
pub struct Meter {
    watched: Vec<(String, u32, f64)>,
    begun: Instant,
}

impl Meter {
    /// From now on, of these names and process ids.
    ///
    /// # Errors
    /// When one is not there.
    pub fn start(processes: &[(&str, u32)]) -> anyhow::Result<Self> {
        let watch = |(name, pid): &(&str, u32)| Ok(((*name).to_owned(), *pid, cpu_seconds(*pid)?));
        Ok(Self {
            watched: processes.iter().map(watch).collect::<anyhow::Result<_>>()?,
            begun: Instant::now(),
        })
    }

    /// Another one, from its start on.
    pub fn add(&mut self, name: &str, pid: u32) {
        self.watched.push((name.to_owned(), pid, 0.0));
    }

    /// The time begins now, the processor time where it began.
    pub fn restart_clock(&mut self) {
        self.begun = Instant::now();
    }

    /// Seconds since the beginning.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Microseconds of each, by the item, and of all together.
    ///
    /// # Errors
    /// When one has ended.
    pub fn micros_per(&self, items: f64) -> anyhow::Result<Run> {
        let mut run = Run::new();
        let mut all = 0.0;
        for (name, pid, before) in &self.watched {
            let micros = (cpu_seconds(*pid)? - before) * 1e6 / items;
            run.push((format!("CPU µs {name}"), micros));
            all += micros;
        }
        run.push(("CPU µs all".to_owned(), all));
        Ok(run)
    }
}

/// Runs a program to its end; its output, and the processor time it took, in seconds.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> anyhow::Result<(Output, f64)> {
    let reaped = || -> anyhow::Result<f64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        #[expect(clippy::cast_precision_loss, reason = "a week in microseconds is far below 2^53")]
        Ok(micros as f64 / 1e6)
    };
    let before = reaped()?;
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((output, reaped()? - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_a_process_has_that_of_its_children() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let before = cpu_seconds(std::process::id()).unwrap();
        let (_, took) = run(Command::new("sh").args(["-c", &format!("sh -c '{busy}'; true")])).unwrap();
        assert!(took > 0.0);
        assert!(cpu_seconds(std::process::id()).unwrap() > before);
        assert!(run(&mut Command::new("false")).is_err());
    }

    #[test]
    fn this_process_is_resident() {
        assert!(resident_megabytes(std::process::id()).unwrap() > 1.0);
    }
}
