//! The requests on their way to the server and back: the owner of the model decides every step.
//!
//! A request of a client waits in a list until the owner [applies](Redis::apply) it to the
//! server; its future is pending until the owner [answers](Redis::answer) or
//! [fails](Redis::fail) it. The two are independent, so that an answer can be lost after the
//! work was done, and work can be done late, after its sender gave up or crashed.

use super::command::Command;
use super::connection::ModelConnection;
use super::reply::Reply;
use super::server::Server;
use redis::{RedisError, RedisResult};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Names a request. They are given in the order in which requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A request as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Its name.
    pub id: RequestId,
    /// Who sent it: what [`Redis::connect`] was given.
    pub client: u32,
    /// Its commands, in order.
    pub commands: Arc<[Command]>,
    /// Whether they are a `MULTI` … `EXEC`, done all at once.
    pub atomic: bool,
    /// How many commands have been done.
    pub applied: usize,
    /// Whether the sender is still waiting for the answer.
    pub awaited: bool,
}

/// A server with its network. Clones share both.
#[derive(Clone, Default)]
pub struct Redis {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    server: Server,
    /// Requests of which something is left to decide.
    requests: BTreeMap<RequestId, Request>,
    sent: u64,
}

struct Request {
    client: u32,
    commands: Arc<[Command]>,
    atomic: bool,
    applied: usize,
    /// Whether what has not been applied never will be.
    discarded: bool,
    replies: Vec<Reply>,
    sender: Sender,
}

enum Sender {
    Waits(Option<Waker>),
    /// It has its answer, but has not been polled since.
    Has(RedisResult<Vec<Reply>>),
    Gone,
}

impl Request {
    fn is_applied(&self) -> bool {
        self.applied == self.commands.len()
    }

    fn can_be_applied(&self) -> bool {
        !self.discarded && !self.is_applied()
    }

    fn is_awaited(&self) -> bool {
        matches!(self.sender, Sender::Waits(_))
    }

    fn resolve(&mut self, result: RedisResult<Vec<Reply>>) {
        if let Sender::Waits(waker) = std::mem::replace(&mut self.sender, Sender::Has(result))
            && let Some(waker) = waker
        {
            waker.wake();
        }
    }
}

impl Shared {
    fn request(&mut self, id: RequestId) -> &mut Request {
        self.requests.get_mut(&id).unwrap_or_else(|| missing(id))
    }

    fn apply_next(&mut self, id: RequestId) -> bool {
        let request = self.requests.get_mut(&id).unwrap_or_else(|| missing(id));
        if !request.can_be_applied() {
            return false;
        }
        if request.atomic {
            request.replies.push(self.server.transaction(&request.commands));
            request.applied = request.commands.len();
        } else {
            request.replies.push(self.server.execute(&request.commands[request.applied].words()));
            request.applied += 1;
        }
        let more = request.can_be_applied();
        self.forget_if_over(id);
        more
    }

    /// A request of which nothing is left to decide leaves the list.
    fn forget_if_over(&mut self, id: RequestId) {
        let is_over = |request: &Request| !request.can_be_applied() && matches!(request.sender, Sender::Gone);
        if self.requests.get(&id).is_some_and(is_over) {
            self.requests.remove(&id);
        }
    }
}

fn missing(id: RequestId) -> ! {
    panic!("nothing about {id:?} is left to decide")
}

impl Redis {
    /// A connection of `client`, a number that is the caller's to choose.
    #[must_use]
    pub fn connect(&self, client: u32) -> ModelConnection {
        ModelConnection::new(self.clone(), client)
    }

    /// Looks at the server, or changes it behind the clients' backs.
    pub fn with_server<R>(&self, look: impl FnOnce(&mut Server) -> R) -> R {
        look(&mut self.lock().server)
    }

    /// The requests that can still be applied, answered or failed, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestView> {
        let shared = self.lock();
        let open =
            shared.requests.iter().filter(|(_, request)| request.is_awaited() || request.can_be_applied());
        open.map(|(id, request)| RequestView {
            id: *id,
            client: request.client,
            commands: request.commands.clone(),
            atomic: request.atomic,
            applied: request.applied,
            awaited: request.is_awaited(),
        })
        .collect()
    }

    /// The same, only their names, and whether the sender is still waiting.
    #[must_use]
    pub fn open(&self) -> Vec<(RequestId, bool)> {
        let shared = self.lock();
        let open =
            shared.requests.iter().filter(|(_, request)| request.is_awaited() || request.can_be_applied());
        open.map(|(id, request)| (*id, request.is_awaited())).collect()
    }

    /// Does the commands of a request that are still to be done.
    ///
    /// # Panics
    /// As all that take an id: when nothing about the request is left to decide.
    pub fn apply(&self, id: RequestId) {
        let mut shared = self.lock();
        while shared.apply_next(id) {}
    }

    /// Does the next command of a request, all of them if they are atomic; says whether there
    /// are more.
    pub fn apply_next_command(&self, id: RequestId) -> bool {
        self.lock().apply_next(id)
    }

    /// Lets the sender have the replies.
    ///
    /// # Panics
    /// When not all commands have been done, or the sender does not wait any more.
    pub fn answer(&self, id: RequestId) {
        let mut shared = self.lock();
        let request = shared.request(id);
        assert!(request.is_applied(), "{id:?} was to be answered before it was applied");
        assert!(request.is_awaited(), "nobody waits for the answer to {id:?}");
        let replies = std::mem::take(&mut request.replies);
        request.resolve(Ok(replies));
    }

    /// Lets the sender have an I/O error instead of an answer. What was not done before can
    /// still be done later.
    ///
    /// # Panics
    /// When the sender does not wait any more.
    pub fn fail(&self, id: RequestId, kind: std::io::ErrorKind) {
        let mut shared = self.lock();
        let request = shared.request(id);
        assert!(request.is_awaited(), "nobody waits for the answer to {id:?}");
        request.resolve(Err(RedisError::from(std::io::Error::from(kind))));
    }

    /// Decides that what has not been done of a request never will be. Who waits for it waits on
    /// until it is failed.
    pub fn discard(&self, id: RequestId) {
        let mut shared = self.lock();
        shared.request(id).discarded = true;
        shared.forget_if_over(id);
    }

    /// Runs a future that waits for nothing but this server, which does and answers what the
    /// future asks at once. Other requests stay as they are.
    ///
    /// # Panics
    /// When the future waits for something else.
    pub fn serve<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let first = RequestId(self.lock().sent);
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            let sent = first.0..self.lock().sent;
            assert!(!sent.is_empty(), "the future waits for something that is not this server");
            for id in sent.map(RequestId) {
                self.apply(id);
                self.answer(id);
            }
        }
    }

    pub(super) fn send(&self, client: u32, commands: Vec<Command>, atomic: bool) -> RequestId {
        let mut shared = self.lock();
        let id = RequestId(shared.sent);
        shared.sent += 1;
        let request = Request {
            client,
            commands: commands.into(),
            atomic,
            applied: 0,
            discarded: false,
            replies: Vec::new(),
            sender: Sender::Waits(None),
        };
        shared.requests.insert(id, request);
        id
    }

    pub(super) fn poll(&self, id: RequestId, waker: &Waker) -> Poll<RedisResult<Vec<Reply>>> {
        let mut shared = self.lock();
        let sender = &mut shared.request(id).sender;
        match std::mem::replace(sender, Sender::Gone) {
            Sender::Waits(_) => {
                *sender = Sender::Waits(Some(waker.clone()));
                Poll::Pending
            }
            Sender::Has(result) => {
                shared.forget_if_over(id);
                Poll::Ready(result)
            }
            Sender::Gone => panic!("{id:?} was polled after it was ready"),
        }
    }

    /// The sender waits no more, whether it has an answer or not.
    pub(super) fn leave(&self, id: RequestId) {
        let mut shared = self.lock();
        if let Some(request) = shared.requests.get_mut(&id) {
            request.sender = Sender::Gone;
        }
        shared.forget_if_over(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        // A panic while it was held is a failed run, which nobody continues.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
