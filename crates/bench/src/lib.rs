//! What the programs cost: each part beside a reference that is measured in the same run, on the same
//! servers, in turns with it.
//!
//! Started by `cargo xtask bench`, which starts the servers. [`parts`] are what is measured, [`meter`]
//! takes processor time, [`figure`] is what comes out. The references are programs of their own
//! (`src/bin/reference`), so that their time can be told apart. Nothing depends on this crate.

pub mod parts;

pub mod figure;
pub mod meter;

use anyhow::Context as _;
use e2e::{Infra, Stack};
use std::process::Command;

/// The servers, and how often everything is measured.
pub struct Bench {
    /// The servers.
    pub infra: Infra,
    /// Kafka's process id.
    pub kafka: u32,
    /// The process id of Postgres' first process.
    pub postgres: u32,
    /// How often each side is measured, in turns; a figure is the median.
    pub runs: usize,
}

impl Bench {
    /// As `cargo xtask bench` tells.
    ///
    /// # Errors
    /// When it does not.
    pub fn from_env(runs: usize) -> anyhow::Result<Self> {
        let pid = |name: &str| -> anyhow::Result<u32> {
            std::env::var(name).ok().and_then(|pid| pid.parse().ok()).with_context(|| name.to_owned())
        };
        let told = || {
            let infra = Infra::from_env().context("RANKSTREAM_TEST_KAFKA, RANKSTREAM_TEST_POSTGRES")?;
            let (kafka, postgres) =
                (pid("RANKSTREAM_BENCH_KAFKA_PID")?, pid("RANKSTREAM_BENCH_POSTGRES_PID")?);
            Ok::<_, anyhow::Error>(Self { infra, kafka, postgres, runs })
        };
        told().context("start it with `cargo xtask bench`")
    }

    /// A reference, as a program.
    pub(crate) fn reference(&self, name: &str) -> Command {
        let mut command = Command::new(self.infra.programs.join("reference"));
        command.arg(name);
        command
    }

    /// All servers, with the deployment's own Redis, by name.
    pub(crate) fn servers(&self, stack: &Stack) -> [(&'static str, u32); 3] {
        [("kafka", self.kafka), ("redis", stack.redis_pid()), ("postgres", self.postgres)]
    }
}
