//! Where things are.

use anyhow::Context as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checkout of the project, and where its stack keeps its data.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The folder of the workspace's manifest.
    pub root: PathBuf,
    /// The stack's folder, git-ignored.
    pub local: PathBuf,
}

impl Checkout {
    /// The checkout that this program was built from, or for its tests `RANKSTREAM_CHECKOUT`.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn find() -> anyhow::Result<Self> {
        let root = std::env::var_os("RANKSTREAM_CHECKOUT")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), PathBuf::from);
        let root = root.canonicalize().context("finding the checkout")?;
        Ok(Self { local: root.join(".local"), root })
    }

    /// The same checkout with its data elsewhere: a stack of its own.
    #[must_use]
    pub fn with_local(&self, local: PathBuf) -> Self {
        Self { root: self.root.clone(), local }
    }

    /// A number that differs between stacks and stays from start to start.
    #[must_use]
    pub fn tag(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.local.hash(&mut hasher);
        hasher.finish()
    }

    /// Where the logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.local.join("log")
    }

    /// Where the built programs are.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        let given = |name| std::env::var_os(name).filter(|folder| !folder.is_empty());
        given("RANKSTREAM_BIN_DIR").map_or_else(
            || {
                let target = given("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
                self.root.join(target).join("release")
            },
            PathBuf::from,
        )
    }

    /// Cargo, in the checkout. It is not told of us as the package that is run: build scripts that
    /// look at such variables would build their packages anew after each other way to call it.
    #[must_use]
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            let is_ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
            if name.to_str().is_some_and(is_ours) {
                command.env_remove(&name);
            }
        }
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Where Kafka's jars are, shared by all stacks of the checkout.
    #[must_use]
    pub fn kafka_jars(&self) -> PathBuf {
        self.root.join(".local/kafka-jars")
    }
}
