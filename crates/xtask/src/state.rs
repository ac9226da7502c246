//! What the supervisor writes down: `.local/state.json`, `.local/endpoints.json` and `.local/env`.

use crate::checkout::Checkout;
use crate::process::Identity;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

const STATE: &str = "state.json";
const ENDPOINTS: &str = "endpoints.json";
/// What shells read, so that our tools find the stack.
pub(crate) const ENV: &str = "env";

/// How far a stack is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// On its way; what it is doing.
    Starting(String),
    /// Everything is ready.
    Ready,
    /// It could not be started; why.
    Failed(String),
}

/// One process of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessState {
    /// Its name.
    pub name: String,
    /// Its pid, and how to recognise it; `None` between two lives.
    #[serde(flatten)]
    pub identity: Option<Identity>,
    /// Where it listens.
    pub address: String,
    /// Its log.
    pub log: PathBuf,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last.
    pub last_exit: Option<String>,
}

/// A stack, as its supervisor wrote it down last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The supervisor itself.
    pub supervisor: Identity,
    /// How far it is.
    pub phase: Phase,
    /// Its processes, in the order of their start.
    pub processes: Vec<ProcessState>,
}

/// Where everything listens (a contract: programs read it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The controller's base URL.
    pub controller: String,
    /// Kafka, as host:port.
    pub kafka: String,
    /// Redis' URL.
    pub redis: String,
    /// Postgres' URL.
    pub postgres: String,
    /// Each service's admin base URL.
    pub admin: BTreeMap<String, String>,
}

impl Endpoints {
    /// The same for our tools, by the names of their settings.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("API_URL", &self.controller),
            ("KAFKA_BROKERS", &self.kafka),
            ("REDIS_URL", &self.redis),
            ("POSTGRES_URL", &self.postgres),
        ]
    }

    /// Writes them down for programs, and for shells to read with `.`.
    ///
    /// # Errors
    /// When the disk is full or read-only.
    pub fn save(&self, checkout: &Checkout) -> anyhow::Result<()> {
        let quoted = |value: &str| value.replace('\'', r"'\''");
        let lines = self.variables().map(|(name, value)| format!("export {name}='{}'\n", quoted(value)));
        write_privately(&checkout.local.join(ENV), lines.concat().as_bytes())?;
        write_privately(&checkout.local.join(ENDPOINTS), &serde_json::to_vec_pretty(self)?)
    }

    /// What was written down last.
    ///
    /// # Errors
    /// When nothing was, or it cannot be read.
    pub fn load(checkout: &Checkout) -> anyhow::Result<Self> {
        let file = checkout.local.join(ENDPOINTS);
        let read = || anyhow::Ok(serde_json::from_slice(&std::fs::read(&file)?)?);
        read().with_context(|| format!("reading {}", file.display()))
    }
}

impl State {
    /// What was written down last, if anything was.
    #[must_use]
    pub fn load(checkout: &Checkout) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file(checkout)).ok()?).ok()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the disk is full or read-only.
    pub fn save(&self, checkout: &Checkout) -> anyhow::Result<()> {
        write_privately(&file(checkout), &serde_json::to_vec_pretty(self)?)
    }

    /// Whether its supervisor still runs.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.supervisor.is_alive()
    }

    /// Processes that outlived their supervisor.
    pub fn leftovers(&self) -> impl Iterator<Item = (&str, &Identity)> {
        let alive = self
            .processes
            .iter()
            .filter_map(|process| Some((process.name.as_str(), process.identity.as_ref()?)));
        alive.filter(|(_, identity)| identity.is_alive())
    }
}

fn file(checkout: &Checkout) -> PathBuf {
    checkout.local.join(STATE)
}

/// Forgets a stack that is gone.
pub(crate) fn forget(checkout: &Checkout) {
    for name in [STATE, ENDPOINTS, ENV] {
        let _ = std::fs::remove_file(checkout.local.join(name));
    }
}

/// Writes a file whole or not at all, readable by its owner only: it may hold a password.
///
/// # Errors
/// When the disk is full or read-only.
pub(crate) fn write_privately(file: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    let mut handle =
        std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    handle.write_all(bytes)?;
    Ok(std::fs::rename(&new, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_survives_the_file_and_tells_who_is_alive() {
        let local = std::env::temp_dir().join(format!("rankstream-state-{}", std::process::id()));
        std::fs::create_dir_all(&local).unwrap();
        let checkout = Checkout { root: local.clone(), local: local.clone() };
        let own = Identity::of(std::process::id()).unwrap();
        let dead = Identity { started: own.started + 1, ..own.clone() };
        let process = |name: &str, identity| ProcessState {
            name: name.into(),
            identity: Some(identity),
            address: "127.0.0.1:1".into(),
            log: "log".into(),
            restarts: 2,
            last_exit: None,
        };
        let state = State {
            supervisor: dead.clone(),
            phase: Phase::Starting("kafka".into()),
            processes: vec![process("redis", own), process("kafka", dead)],
        };
        state.save(&checkout).unwrap();
        let loaded = State::load(&checkout).unwrap();
        assert_eq!(loaded, state);
        assert!(!loaded.is_supervised());
        assert_eq!(loaded.leftovers().map(|(name, _)| name).collect::<Vec<_>>(), ["redis"]);
        std::fs::write(local.join("state.json"), "half a fi").unwrap();
        assert_eq!(State::load(&checkout), None);
        std::fs::remove_dir_all(local).unwrap();
    }
}
