//! The way over the API: batches to `POST /v1/scores`, over a bounded number of connections.
//!
//! What is due goes together, up to a whole batch; nothing waits for company. When every connection
//! is busy and as many batches wait, events wait for their turn, and that counts as latency.
//! Nothing is sent twice: what is refused, also with 429 and 503, has failed. Where the API says
//! `Retry-After`, nothing more is sent until then.

use crate::Stop;
use crate::outlet::{Fates, Handed, Outcome, Outgoing, Outlet, lock};
use anyhow::Context as _;
use api_client::{Answer, Api, ApiSettings};
use judge::{Pen, Recording};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const PATH: &str = "/v1/scores";
/// How large a batch may be, for the API takes no larger ones by default.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How long a full queue is left alone before it is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// How long the API is left alone at most, however long it asks to be.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How events go over HTTP.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "HTTP, for --target http")]
pub struct HttpSettings {
    /// How many events a request has at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub http_batch: u16,
    /// How many requests are under way at a time, each on a connection of its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub http_connections: u16,
}

/// Events that go together.
#[derive(Default)]
struct Batch {
    /// A JSON array, still open.
    body: Vec<u8>,
    intended: Vec<Instant>,
}

/// What is known of the batches that were handed over.
struct Shared {
    api: Api,
    stop: Stop,
    waiting: Mutex<Receiver<Batch>>,
    results: Mutex<Results>,
    done: Condvar,
    recording: Option<Arc<Recording>>,
}

struct Results {
    /// Batches without an outcome yet.
    in_work: u64,
    fates: Fates,
    /// Until when the API wants to be left alone.
    not_before: Instant,
}

/// Sends events to the API.
pub struct HttpOutlet {
    shared: Arc<Shared>,
    queue: SyncSender<Batch>,
    pen: Option<Pen>,
    batch: Batch,
    max_events: usize,
    sent: u64,
}

impl HttpOutlet {
    /// Ready to send to the API, which must answer, and to write down when where there is a recording,
    /// which keeps [seconds](judge::Keep::Seconds) alone.
    ///
    /// # Errors
    /// When it does not.
    pub fn new(
        api: &ApiSettings,
        settings: &HttpSettings,
        stop: Stop,
        recording: Option<&Arc<Recording>>,
    ) -> anyhow::Result<Self> {
        let connections = usize::from(settings.http_connections);
        let api = Api::new(api, connections);
        api.get::<IgnoredAny>("/v1/boards").context("--api")?;
        let (queue, waiting) = sync_channel(connections);
        let shared = Arc::new(Shared {
            api,
            stop,
            waiting: Mutex::new(waiting),
            results: Mutex::new(Results { in_work: 0, fates: Fates::default(), not_before: Instant::now() }),
            done: Condvar::new(),
            recording: recording.cloned(),
        });
        for connection in 0..connections {
            let shared = Arc::clone(&shared);
            // Ends when the queue does; `finish` waits for what it does, not for itself.
            std::thread::Builder::new().name(format!("http-{connection}")).spawn(move || shared.work())?;
        }
        Ok(Self {
            shared,
            queue,
            pen: recording.map(Recording::pen),
            batch: Batch::default(),
            max_events: usize::from(settings.http_batch),
            sent: 0,
        })
    }

    /// Queues the batch, waiting while the queue is full.
    fn hand_over(&mut self) -> Handed {
        let mut batch = std::mem::take(&mut self.batch);
        if batch.intended.is_empty() {
            return Handed::Taken;
        }
        batch.body.push(b']');
        self.sent += batch.intended.len() as u64;
        lock(&self.shared.results).in_work += 1;
        let mut handed = Handed::Taken;
        loop {
            match self.queue.try_send(batch) {
                Ok(()) => return handed,
                Err(TrySendError::Full(full)) if !self.shared.stop.is_asked() => {
                    (batch, handed) = (full, Handed::Waited);
                    self.shared.stop.pause(QUEUE_FULL_PAUSE);
                }
                Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) => {
                    self.shared.settle(&left, &Settled::failed("it was not sent before the end of the run"));
                    return Handed::Stopped;
                }
            }
        }
    }
}

impl Outlet for HttpOutlet {
    fn send(&mut self, event: &Outgoing<'_>) -> anyhow::Result<Handed> {
        let bytes = self.batch.body.len() + event.payload.len() + 2;
        let mut handed = Handed::Taken;
        if bytes > MAX_BATCH_BYTES {
            handed = self.hand_over();
        }
        if handed == Handed::Stopped {
            return Ok(handed);
        }
        if let Some(pen) = &mut self.pen {
            pen.write(event.intended, event.payload);
            pen.sent();
        }
        self.batch.body.push(if self.batch.intended.is_empty() { b'[' } else { b',' });
        self.batch.body.extend_from_slice(event.payload);
        self.batch.intended.push(event.intended);
        if self.batch.intended.len() < self.max_events { Ok(handed) } else { Ok(self.hand_over()) }
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        self.hand_over();
        Ok(())
    }

    fn finish(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.hand_over();
        let results = lock(&self.shared.results);
        // What is missing when time runs out shows in the outcome.
        drop(self.shared.done.wait_timeout_while(results, limit, |results| results.in_work > 0));
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        lock(&self.shared.results).fates.outcome(self.sent)
    }
}

impl Shared {
    /// Sends one batch after the other.
    fn work(&self) {
        loop {
            let Ok(batch) = lock(&self.waiting).recv() else { return };
            let settled = if self.wait_until_welcome() {
                let settled = match self.api.post(PATH, &batch.body) {
                    Ok(answer) => Settled::of(&answer, batch.intended.len()),
                    Err(error) => Settled::unknown(error.to_string()),
                };
                if let Some(pause) = settled.retry_after {
                    let not_before = Instant::now() + pause.min(MAX_RETRY_AFTER);
                    let mut results = lock(&self.results);
                    results.not_before = results.not_before.max(not_before);
                }
                settled
            } else {
                Settled::failed("the run ended while the API asked to be left alone")
            };
            self.settle(&batch, &settled);
        }
    }

    /// Waits as long as the API asked to be left alone; `false` when the run is to end meanwhile.
    fn wait_until_welcome(&self) -> bool {
        loop {
            let left = lock(&self.results).not_before.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if self.stop.is_asked() {
                return false;
            }
            self.stop.pause(left);
        }
    }

    /// Adds up what became of a batch.
    fn settle(&self, batch: &Batch, settled: &Settled) {
        let now = Instant::now();
        let mut results = lock(&self.results);
        let Results { fates, in_work, .. } = &mut *results;
        if let Some(failure) = &settled.failure {
            fates.blame(|| failure.clone());
        }
        for (index, intended) in batch.intended.iter().enumerate() {
            match &settled.fate {
                Fate::Unknown => {}
                Fate::Failed => fates.fail(),
                Fate::TakenExcept(rejected) if rejected.contains(&index) => fates.fail(),
                Fate::TakenExcept(_) => {
                    fates.acknowledge(now.saturating_duration_since(*intended));
                    if let Some(recording) = &self.recording {
                        recording.taken(*intended, now);
                    }
                }
            }
        }
        *in_work -= 1;
        self.done.notify_all();
    }
}

/// What became of the events of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// They were taken, but for those at these places.
    TakenExcept(BTreeSet<usize>),
    /// None was taken.
    Failed,
    /// They may have been taken or not.
    Unknown,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
struct Settled {
    fate: Fate,
    failure: Option<String>,
    retry_after: Option<Duration>,
}

/// The members of answers that matter here.
#[derive(Deserialize)]
struct Told {
    accepted: Option<usize>,
    #[serde(default)]
    rejected: Vec<Rejected>,
    #[serde(default)]
    may_have_been_taken: bool,
    #[serde(rename = "type")]
    problem: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Rejected {
    index: usize,
    reason: String,
}

impl Settled {
    fn failed(why: &str) -> Self {
        Self { fate: Fate::Failed, failure: Some(why.into()), retry_after: None }
    }

    fn unknown(why: String) -> Self {
        Self { fate: Fate::Unknown, failure: Some(why), retry_after: None }
    }

    /// By what the API answered about `events` events.
    fn of(answer: &Answer, events: usize) -> Self {
        let status = answer.status;
        let Ok(told) = answer.read::<Told>() else {
            // Not ours: whoever answered may have passed the batch on.
            return Self::unknown(format!("status {status}, and an answer that is not the API's"));
        };
        let rejected: BTreeSet<usize> = told.rejected.iter().map(|rejected| rejected.index).collect();
        let reason = told.rejected.into_iter().next().map(|rejected| rejected.reason);
        let (fate, failure) = match (status, told.accepted) {
            (202 | 207, Some(accepted)) if accepted + rejected.len() == events => {
                (Fate::TakenExcept(rejected), reason)
            }
            (202 | 207, _) => {
                (Fate::Unknown, Some(format!("status {status} does not account for all events")))
            }
            _ => {
                let what = [told.problem, told.detail, reason].into_iter().flatten();
                let what = what.collect::<Vec<_>>().join(": ");
                let fate = if told.may_have_been_taken { Fate::Unknown } else { Fate::Failed };
                (fate, Some(format!("status {status}: {what}")))
            }
        };
        Self { fate, failure, retry_after: answer.retry_after }
    }
}
