//! The keys there are, and whose a secret is.

use super::Gate;
use crate::problem::{Problem, ReadProblems};
use anyhow::Context as _;
use axum::extract::State;
use axum::{Json, middleware};
use contracts::EventTime;
use contracts::api_key::{ApiKey, Role, SecretDigest};
use metrics::gauge;
use serde::Serialize;
use service::{Clock, Stop};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How often the file is read again. By its text, not its time: a file that is swapped in by a
/// link, or twice within a second, is noticed as well.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a key's last use is before there was one.
const NEVER: i64 = i64::MIN;
/// How many hex digits of a digest tell two keys of one name apart.
const FINGERPRINT_DIGITS: usize = 8;

/// The keys of the API. Clones share them.
#[derive(Clone)]
pub struct Keys {
    entries: Arc<watch::Sender<Vec<Entry>>>,
    clock: Clock,
}

#[derive(Clone)]
struct Entry {
    key: ApiKey,
    /// In microseconds since the Unix epoch.
    last_used: Arc<AtomicI64>,
}

impl Keys {
    /// These keys, until others are put in their place.
    #[must_use]
    pub fn of(keys: Vec<ApiKey>) -> Self {
        let all = Self { entries: Arc::new(watch::Sender::new(Vec::new())), clock: Clock::system() };
        all.replace(keys);
        all
    }

    /// The keys of a file.
    ///
    /// # Errors
    /// When it cannot be read, or with everything that is wrong in it.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let keys = ApiKey::parse_file(&text).map_err(|faults| anyhow::anyhow!("{faults}"))?;
        info!(keys = keys.len(), "the API has keys");
        Ok(Self::of(keys))
    }

    /// Takes over what stands in the file whenever it changes, until `stop`. A file that is gone
    /// or faulty changes nothing: the keys of before stay, and a log line says so.
    pub async fn follow(&self, path: PathBuf, stop: Stop) {
        let mut last = None;
        while stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
            let read = tokio::fs::read_to_string(&path).await;
            let read = read.map_err(|error| error.to_string());
            // The first look comes after a load: what changed between the two is taken over, too.
            if last.as_ref() == Some(&read) {
                continue;
            }
            match read.clone().and_then(|text| ApiKey::parse_file(&text)) {
                Ok(keys) => {
                    if self.replace(keys) {
                        info!(keys = self.entries.borrow().len(), "the API's keys have changed");
                    }
                    gauge!("controller_api_keys_faulty").set(0);
                }
                Err(faults) => {
                    error!(file = %path.display(), "the keys of before stay, because of\n{faults}");
                    gauge!("controller_api_keys_faulty").set(1);
                }
            }
            last = Some(read);
        }
    }

    /// Puts `keys` in the place of those there are, which keep their last use; says whether that
    /// changed anything.
    pub(crate) fn replace(&self, keys: Vec<ApiKey>) -> bool {
        self.entries.send_if_modified(|entries| {
            if entries.iter().map(|entry| &entry.key).eq(&keys) {
                return false;
            }
            let before = std::mem::take(entries);
            let last_used = |key: &ApiKey| {
                let same = before.iter().find(|entry| entry.key.digest == key.digest);
                same.map_or_else(|| Arc::new(AtomicI64::new(NEVER)), |entry| Arc::clone(&entry.last_used))
            };
            *entries = keys.into_iter().map(|key| Entry { last_used: last_used(&key), key }).collect();
            true
        })
    }

    /// The name and the role of the key with this secret. Takes as long whether there is one or
    /// not, and whichever it is.
    pub(crate) fn find(&self, secret: &[u8]) -> Option<(String, Role)> {
        let digest = SecretDigest::of(secret);
        let entries = self.entries.borrow();
        let mut found = 0u64;
        for (number, entry) in (1u64..).zip(entries.iter()) {
            let same: Choice = entry.key.digest.0.ct_eq(&digest.0);
            found.conditional_assign(&number, same);
        }
        let entry = entries.get(usize::try_from(found.checked_sub(1)?).ok()?)?;
        entry.last_used.store(self.clock.now_micros(), Ordering::Relaxed);
        Some((entry.key.name.clone(), entry.key.role))
    }

    fn report(&self) -> Report {
        let row = |entry: &Entry| Row {
            name: entry.key.name.clone(),
            role: entry.key.role.as_str(),
            fingerprint: entry.key.digest.to_string()[..FINGERPRINT_DIGITS].to_owned(),
            last_used: EventTime::from_micros(entry.last_used.load(Ordering::Relaxed)),
        };
        Report { keys: self.entries.borrow().iter().map(row).collect() }
    }
}

/// The keys there are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Keys)]
struct Report {
    /// In the order of the file.
    keys: Vec<Row>,
}

/// One key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct Row {
    /// Who uses it. Several keys may have one name.
    name: String,
    /// What it may do.
    #[schema(value_type = String, pattern = "^(read|write|admin)$")]
    role: &'static str,
    /// The first digits of its digest in the file, which tell keys of one name apart.
    fingerprint: String,
    /// When this controller saw it last, since it was started.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used: Option<EventTime>,
}

/// What administrators see.
pub(crate) fn routes(gate: Gate) -> OpenApiRouter {
    let keys = gate.access.keys.clone();
    OpenApiRouter::new()
        .routes(routes!(list))
        .layer(middleware::from_fn_with_state(gate, super::admit))
        .with_state(keys)
}

/// The keys of the API, and when each was used last.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", security(("key" = [])),
    responses((status = 200, body = Report), ReadProblems))]
async fn list(State(keys): State<Keys>) -> Result<Json<Report>, Problem> {
    Ok(Json(keys.report()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, role: Role, secret: &str) -> ApiKey {
        ApiKey::new(name, role, SecretDigest::of(secret.as_bytes())).unwrap()
    }

    #[test]
    fn every_key_is_found_by_its_secret_alone() {
        let keys = Keys::of(vec![
            key("first", Role::Read, "one"),
            key("game", Role::Write, "two"),
            key("game", Role::Admin, "three"),
        ]);
        assert_eq!(keys.find(b"one"), Some(("first".into(), Role::Read)));
        assert_eq!(keys.find(b"two"), Some(("game".into(), Role::Write)));
        assert_eq!(keys.find(b"three"), Some(("game".into(), Role::Admin)));
        for wrong in [b"".as_slice(), b"on", b"ones", b"One", &[0; 1000]] {
            assert_eq!(keys.find(wrong), None);
        }
        assert_eq!(Keys::of(Vec::new()).find(b""), None);
    }

    #[test]
    fn keys_that_stay_keep_their_last_use() {
        let keys = Keys::of(vec![key("game", Role::Write, "old")]);
        assert!(keys.find(b"old").is_some());
        keys.replace(vec![key("game", Role::Write, "old"), key("game", Role::Write, "new")]);
        let report = keys.report().keys;
        assert!(report[0].last_used.is_some() && report[1].last_used.is_none());
        assert_ne!(report[0].fingerprint, report[1].fingerprint);
        keys.replace(vec![key("game", Role::Write, "new")]);
        assert_eq!((keys.find(b"old"), keys.find(b"new").is_some()), (None, true));
    }

    #[tokio::test]
    async fn file_is_followed_and_a_faulty_one_changes_nothing() {
        let path = std::env::temp_dir().join(format!("rankstream-keys-{}", uuid::Uuid::new_v4()));
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&format!("{}\n", key("game", Role::Write, "old")));
        let keys = Keys::load(&path).unwrap();
        let stop = Stop::new();
        let following = {
            let (keys, path, stop) = (keys.clone(), path.clone(), stop.clone());
            tokio::spawn(async move { keys.follow(path, stop).await })
        };
        let mut changes = keys.entries.subscribe();
        write("game write no-digest\n");
        sleep(2 * LOOK_EVERY + LOOK_EVERY / 2).await;
        assert!(keys.find(b"old").is_some());
        write(&format!("{}\n", key("game", Role::Write, "new")));
        tokio::time::timeout(20 * LOOK_EVERY, changes.changed()).await.unwrap().unwrap();
        assert!(keys.find(b"old").is_none() && keys.find(b"new").is_some());
        std::fs::remove_file(&path).unwrap();
        stop.cancel();
        following.await.unwrap();
        assert!(Keys::load(&path).is_err());
    }
}
