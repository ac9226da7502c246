//! Which writes were done already, and what was answered to them.
//!
//! What stands here saves work and repeats answers; it is not what keeps an event from counting
//! twice, so losing it is harmless.

use crate::keys;
use crate::store::{BoardStore, Connection, StoreError};
use std::time::Duration;

/// What Redis knows of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing: it is ours to do now.
    Ours(Claim),
    /// Someone is doing it.
    InWork,
    /// It was done, and this was answered.
    Done(String),
    /// The same key came with another body.
    OtherBody,
}

/// Our word that a write is in work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    write: String,
    digest: String,
    value: String,
}

/// Between the parts of a value. No digest and no token holds one.
const SEPARATOR: char = ' ';
/// What begins the value of a write that was done.
const DONE: &str = "done";

impl<C: Connection> BoardStore<C> {
    /// Claims the write of this name, whose body has this digest, for at most `limit`: then
    /// another may do it. `token` is nobody else's.
    ///
    /// # Errors
    /// When Redis does not answer. The claim may stand all the same, until `limit`.
    pub async fn claim(
        &self,
        write: &str,
        digest: &str,
        token: &str,
        limit: Duration,
    ) -> Result<Claimed, StoreError> {
        let value = format!("work{SEPARATOR}{digest}{SEPARATOR}{token}");
        let mut command = redis::cmd("SET");
        command.arg(keys::idempotency(write)).arg(&value).arg("NX").arg("GET").arg("PX").arg(millis(limit));
        let before: Option<String> = command.query_async(&mut self.connection.clone()).await?;
        let Some(before) = before else {
            return Ok(Claimed::Ours(Claim { write: write.to_owned(), digest: digest.to_owned(), value }));
        };
        let mut parts = before.splitn(3, SEPARATOR);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(other), _) if other != digest => Ok(Claimed::OtherBody),
            (Some(DONE), _, Some(answer)) => Ok(Claimed::Done(answer.to_owned())),
            _ => Ok(Claimed::InWork),
        }
    }

    /// Remembers for `time` what was answered, unless someone else has claimed the write since.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn remember(&self, claim: &Claim, answer: &str, time: Duration) -> Result<(), StoreError> {
        let done = format!("{DONE}{SEPARATOR}{}{SEPARATOR}{answer}", claim.digest);
        self.settle(claim, &done, time).await
    }

    /// Gives the claim up, so that the write can be tried again at once.
    ///
    /// # Errors
    /// When Redis does not answer. The claim ends by itself then.
    pub async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        self.settle(claim, "", Duration::ZERO).await
    }

    async fn settle(&self, claim: &Claim, value: &str, time: Duration) -> Result<(), StoreError> {
        let mut call = self.scripts.settle.key(keys::idempotency(&claim.write));
        call.arg(&claim.value).arg(value).arg(millis(time));
        Ok(call.invoke_async(&mut self.connection.clone()).await?)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
