//! A reference: a program that does the least that could be called the same.

use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One that has prepared what it needs, and waits to be told to begin. Ended with this.
pub(super) struct Reference {
    child: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Reference {
    /// Starts it, and returns when it is ready.
    pub(super) fn prepare(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("starting {command:?}"))?;
        let orders = child.stdin.take().context("its input")?;
        let said = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut reference = Self { child, orders, said };
        reference.hears("ready")?;
        Ok(reference)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to begin; how many seconds it took.
    pub(super) fn go(&mut self) -> anyhow::Result<f64> {
        self.orders.write_all(b"go\n")?;
        Ok(self.hears("took ")?.parse()?)
    }

    /// Lets it clean up and end by itself.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.orders.write_all(b"end\n")?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the reference ended with {status}");
        Ok(())
    }

    /// What comes after `word` in the next line.
    fn hears(&mut self, word: &str) -> anyhow::Result<String> {
        let line = self.said.next().context("the reference has ended")??;
        let rest = line.strip_prefix(word).with_context(|| format!("the reference said: {line}"))?;
        Ok(rest.to_owned())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
