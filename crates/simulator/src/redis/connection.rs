//! What a client of the model holds.

use super::command::Command;
use super::network::{Redis, RequestId};
use super::reply::Reply;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use std::pin::Pin;
use std::task::{Context, Poll};

/// How a client reaches the model. Clones are the same client.
#[derive(Clone)]
pub struct ModelConnection {
    redis: Redis,
    client: u32,
}

impl ModelConnection {
    pub(super) fn new(redis: Redis, client: u32) -> Self {
        Self { redis, client }
    }

    async fn request(&self, commands: Vec<Command>, atomic: bool) -> RedisResult<Vec<Value>> {
        let id = self.redis.send(self.client, commands, atomic);
        let replies = Waiting { redis: &self.redis, id }.await?;
        Ok(replies.into_iter().map(Reply::into_value).collect())
    }
}

/// Waits for the answer. Dropped before it came, it leaves the request to the model's owner.
struct Waiting<'a> {
    redis: &'a Redis,
    id: RequestId,
}

impl Future for Waiting<'_> {
    type Output = RedisResult<Vec<Reply>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.redis.poll(self.id, context.waker())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.redis.leave(self.id);
    }
}

impl ConnectionLike for ModelConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut replies = self.request(vec![command.into()], false).await?;
            Ok(replies.pop().expect("one reply for each command"))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let commands = pipeline.cmd_iter().map(Command::from).collect();
            let replies = self.request(commands, pipeline.is_transaction()).await?;
            match replies.as_slice() {
                // What the library makes of a transaction that was refused.
                [Value::ServerError(error)] if pipeline.is_transaction() => Err(error.clone().into()),
                _ => Ok(replies),
            }
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
