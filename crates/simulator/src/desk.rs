//! Requests to Kafka and Postgres, which the schedule carries out, answers, loses or forgets.

use crate::archive::Archive;
use crate::log::Log;
use contracts::Snapshot;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What stands behind the desk: everything but Redis.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    /// The topics that are consumed.
    pub(crate) log: Log,
    /// The archive.
    pub(crate) archive: Archive,
    /// The keys of the dead letters, in order.
    pub(crate) dead_letters: Vec<String>,
    /// The topic `leaderboard`.
    pub(crate) leaderboard: Vec<Snapshot>,
}

/// A request that someone waits for, or has stopped waiting for.
pub(crate) trait Job: Send {
    /// Carries it out, once.
    fn carry_out(&mut self, stores: &mut Stores);
    /// Whether it was carried out.
    fn is_done(&self) -> bool;
    /// Answers it, after it was carried out.
    fn answer(self: Box<Self>);
    /// Tells whoever asked that nobody knows; it may still be carried out.
    fn lose_answer(&mut self);
}

struct Typed<T, F> {
    work: Option<F>,
    outcome: Option<T>,
    reply: Option<oneshot::Sender<anyhow::Result<T>>>,
}

impl<T: Send, F: FnOnce(&mut Stores) -> T + Send> Job for Typed<T, F> {
    fn carry_out(&mut self, stores: &mut Stores) {
        if let Some(work) = self.work.take() {
            self.outcome = Some(work(stores));
        }
    }

    fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    fn answer(mut self: Box<Self>) {
        if let (Some(reply), Some(outcome)) = (self.reply.take(), self.outcome.take()) {
            let _ = reply.send(Ok(outcome));
        }
    }

    fn lose_answer(&mut self) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(Err(anyhow::anyhow!("no answer")));
        }
    }
}

/// Where requests are handed in. Clones are one desk.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Vec<Box<dyn Job>>>>);

impl Desk {
    /// Hands in work; resolves when the schedule answers.
    pub(crate) fn ask<T: Send + 'static, F: FnOnce(&mut Stores) -> T + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = anyhow::Result<T>> + Send + use<T, F> {
        let (reply, answer) = oneshot::channel();
        self.jobs().push(Box::new(Typed { work: Some(work), outcome: None, reply: Some(reply) }));
        async { answer.await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer"))) }
    }

    /// What was handed in and is neither answered nor forgotten.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, Vec<Box<dyn Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
