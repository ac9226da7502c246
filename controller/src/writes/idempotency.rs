//! The same write, sent again, counts once and is answered as before.
//!
//! Two things hold that. Events without an `event_id` get one that follows from the write's name
//! and their place in it, by which the sinks count them once: whatever dies in between, and
//! through whichever controller it comes again. And Redis remembers the answer, which saves the
//! work and tells a client that reuses a key for something else. Without Redis the first alone
//! holds.

use super::Reply;
use crate::problem::{Kind, Problem};
use axum::http::HeaderMap;
use board_store::{BoardStore, Claim, Claimed, StoreError};
use contracts::api_key::SecretDigest;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tokio::time::timeout;
use tracing::debug;

/// The header by which clients name a write.
pub(super) const HEADER: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 255;
/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a write counts as being in work. When its controller has died meanwhile, another may
/// do it then. Nothing counts twice if it was alive after all: the ids are the same.
const IN_WORK: Duration = Duration::from_secs(10);
/// How long Redis may take. It is not needed.
const STORE_LIMIT: Duration = Duration::from_millis(500);
/// How many bytes of a digest make an event id.
const ID_BYTES: usize = 16;

/// What a client calls a write: the name of its API key and the `Idempotency-Key` together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WriteName(String);

impl WriteName {
    /// `caller` holds no line break, nor does `key`.
    pub(super) fn new(caller: &str, key: &str) -> Self {
        Self(format!("{caller}\n{key}"))
    }

    /// The name of a request's write, if it has one.
    ///
    /// # Errors
    /// When it is not 1 to 255 visible ASCII characters, or given twice.
    pub(super) fn of(headers: &HeaderMap, caller: &str) -> Result<Option<Self>, Problem> {
        let bad = |what: &str| Problem::of_field("Idempotency-Key", what);
        let mut keys = headers.get_all(HEADER).iter();
        let Some(key) = keys.next() else { return Ok(None) };
        if keys.next().is_some() {
            return Err(bad("is given twice"));
        }
        let visible = |key: &&str| {
            (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
        };
        let key = key.to_str().ok().filter(visible);
        key.map(|key| Some(Self::new(caller, key)))
            .ok_or_else(|| bad("must be 1 to 255 visible ASCII characters"))
    }

    /// The id of the event at this place of the write.
    pub(super) fn event_id(&self, index: usize) -> String {
        let digest = Sha256::digest(format!("{}\n{index}", self.0));
        digest[..ID_BYTES].iter().fold("api-".to_owned(), |id, byte| id + &format!("{byte:02x}"))
    }

    fn digest(&self) -> String {
        SecretDigest::of(self.0.as_bytes()).to_string()
    }
}

/// How a write that came in stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is ours to do, under this claim; without Redis there is none.
    New(Option<Claim>),
    /// It was done, and this was answered.
    Answered(Reply),
}

/// Finds out how the write with this body stands, and claims it if it is new.
///
/// # Errors
/// When it is in work, or was another body's.
pub(super) async fn claim(store: &BoardStore, name: &WriteName, body: &[u8]) -> Result<Standing, Problem> {
    let digest = SecretDigest::of(body).to_string();
    let token = uuid::Uuid::new_v4().to_string();
    let claimed = without_redis(store.claim(&name.digest(), &digest, &token, IN_WORK)).await;
    match claimed {
        None => Ok(Standing::New(None)),
        Some(Claimed::Ours(claim)) => Ok(Standing::New(Some(claim))),
        Some(Claimed::InWork) => {
            Err(Problem::new(Kind::WriteInWork, "this write is being done; ask again for its outcome"))
        }
        Some(Claimed::OtherBody) => {
            Err(Problem::new(Kind::KeyReused, "this `Idempotency-Key` came with another body before"))
        }
        Some(Claimed::Done(answer)) => {
            Ok(Reply::remembered(&answer).map_or(Standing::New(None), Standing::Answered))
        }
    }
}

/// Remembers what was answered.
pub(super) async fn remember(store: &BoardStore, claim: &Claim, reply: &Reply) {
    without_redis(store.remember(claim, &reply.to_remember(), REMEMBERED)).await;
}

/// Lets the write be tried again at once.
pub(super) async fn release(store: &BoardStore, claim: &Claim) {
    without_redis(store.release(claim)).await;
}

/// What Redis says within its limit; `None` when it does not.
async fn without_redis<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    match timeout(STORE_LIMIT, asking).await {
        Ok(Ok(said)) => Some(said),
        // The check `redis` says once that it is away.
        Ok(Err(error)) => {
            debug!(%error, "answers are not remembered");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(keys: &[&[u8]]) -> Result<Option<WriteName>, Problem> {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(HEADER, axum::http::HeaderValue::from_bytes(key).unwrap());
        }
        WriteName::of(&headers, "game")
    }

    #[test]
    fn key_is_visible_ascii_and_given_once() {
        assert_eq!(name(&[]), Ok(None));
        assert_eq!(name(&[b"k-1"]), Ok(Some(WriteName::new("game", "k-1"))));
        assert!(name(&[&[b'~'; 255]]).is_ok());
        for bad in [&[b"".as_slice()][..], &[b"a b"], &[&[b'x'; 256]], &[b"\xff"], &[b"a\tb"], &[b"a", b"a"]]
        {
            assert_eq!(name(bad).unwrap_err().field.as_deref(), Some("Idempotency-Key"), "{bad:?}");
        }
    }

    #[test]
    fn ids_differ_by_caller_key_and_place_and_fit_an_event() {
        let id = |caller: &str, key: &str, index| WriteName::new(caller, key).event_id(index);
        let ids = [id("a", "k", 0), id("b", "k", 0), id("a", "l", 0), id("a", "k", 1), id("a", "k\n1", 0)];
        for (at, one) in ids.iter().enumerate() {
            assert!(one.len() <= contracts::event::MAX_EVENT_ID_BYTES);
            assert!(ids[at + 1..].iter().all(|other| other != one));
        }
        // Part of the contract: a controller of another version must derive the same.
        assert_eq!(id("game", "k-1", 7), "api-a3cf5e4df6f6fa44cf93b2440d9d6286");
    }
}
