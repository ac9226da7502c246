//! Whether a process is ready, and if not, why.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

/// What a check says until it knows better.
const STARTING: &str = "starting";

/// The named checks of one process. It is ready when each of them is fine.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
}

/// One check of a process, held by whoever knows.
#[derive(Clone)]
pub struct Check {
    health: Health,
    name: &'static str,
}

impl Health {
    /// Adds a check, which starts as not fine.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { health: self.clone(), name };
        check.set(Err(STARTING.to_owned()));
        check
    }

    /// Whether every check is fine. Who has none yet has only just begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let checks = self.lock();
        !checks.is_empty() && checks.values().all(Result::is_ok)
    }

    /// The checks as JSON: `{"ready":false,"checks":{"redis":"connection refused","kafka":"ok"}}`.
    #[must_use]
    pub fn report(&self) -> Value {
        let checks = self
            .lock()
            .iter()
            .map(|(name, state)| {
                let text = state.as_ref().err().map_or("ok", String::as_str);
                ((*name).to_owned(), Value::from(text))
            })
            .collect::<serde_json::Map<_, _>>();
        json!({ "ready": self.is_ready(), "checks": checks })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Result<(), String>>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// Says that all is well.
    pub fn ok(&self) {
        self.set(Ok(()));
    }

    /// Says what is wrong.
    pub fn fail(&self, why: impl std::fmt::Display) {
        self.set(Err(why.to_string()));
    }

    /// Logs what a person should know: that it went wrong, and that it is well again; not every
    /// retry between.
    fn set(&self, state: Result<(), String>) {
        let now = state.clone();
        let before = self.health.lock().insert(self.name, state);
        match (before, now) {
            (None | Some(Ok(())), Err(why)) if why != STARTING => {
                warn!(check = self.name, "not ready: {why}");
            }
            (Some(Err(before)), Err(why)) if before == STARTING => {
                warn!(check = self.name, "not ready: {why}");
            }
            (Some(Err(before)), Ok(())) if before != STARTING => {
                info!(check = self.name, "ready again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_ready_when_every_check_is_fine() {
        let health = Health::default();
        assert!(!health.is_ready(), "nothing is known yet");
        let (redis, kafka) = (health.check("redis"), health.check("kafka"));
        redis.ok();
        kafka.fail("no broker");
        assert!(!health.is_ready());
        assert_eq!(
            health.report(),
            json!({ "ready": false, "checks": { "kafka": "no broker", "redis": "ok" } })
        );
        kafka.ok();
        assert!(health.is_ready());
    }
}
