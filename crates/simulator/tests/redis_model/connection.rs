//! What the owner of a model can do to requests.

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, RedisFuture, Value};
use simulator::redis::{ModelConnection, Redis, RequestId};
use std::io::ErrorKind as Io;
use std::task::{Context, Poll, Waker};

fn poll<T>(future: &mut RedisFuture<'_, T>) -> Poll<Result<T, RedisError>> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn get(redis: &Redis, key: &str) -> Option<String> {
    let mut connection = redis.connect(99);
    redis.serve(redis::cmd("GET").arg(key).query_async(&mut connection)).unwrap()
}

fn set(key: &str) -> redis::Cmd {
    let mut set = redis::cmd("SET");
    set.arg(key).arg("1");
    set
}

fn chain(keys: &[&str]) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.add_command(set(key));
    }
    pipeline
}

fn is_io(result: Poll<Result<Value, RedisError>>) -> bool {
    matches!(result, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Io)
}

#[test]
fn requests_wait_for_their_owner_in_the_order_in_which_they_were_sent() {
    let redis = Redis::default();
    let (mut first, mut second) = (redis.connect(1), redis.connect(2));
    let (a, b) = (set("a"), set("b"));
    let mut late = first.req_packed_command(&a);
    let mut early = second.req_packed_command(&b);
    // Nothing is sent before it is polled.
    assert!(redis.requests().is_empty());
    assert!(poll(&mut early).is_pending() && poll(&mut late).is_pending());
    let ids: Vec<_> = redis.requests().iter().map(|request| (request.id, request.client)).collect();
    assert_eq!(ids, [(RequestId(0), 2), (RequestId(1), 1)]);

    redis.apply(RequestId(1));
    assert!(poll(&mut late).is_pending());
    redis.answer(RequestId(1));
    assert_eq!(poll(&mut late), Poll::Ready(Ok(Value::Okay)));
    assert_eq!(redis.requests().len(), 1);
}

#[test]
fn failed_request_may_have_been_applied_or_not_or_be_applied_later() {
    let redis = Redis::default();
    let mut connection = redis.connect(1);
    let commands = ["applied", "never", "late"].map(set);
    let futures = commands.iter().map(|command| {
        let mut connection = connection.clone();
        async move { connection.req_packed_command(command).await }
    });
    let mut futures: Vec<RedisFuture<'_, Value>> =
        futures.map(|future| -> RedisFuture<'_, Value> { Box::pin(future) }).collect();
    futures.iter_mut().for_each(|future| assert!(poll(future).is_pending()));
    redis.apply(RequestId(0));
    for (id, future) in (0..).map(RequestId).zip(&mut futures) {
        redis.fail(id, Io::ConnectionReset);
        assert!(is_io(poll(future)));
    }
    redis.discard(RequestId(1));
    assert_eq!(get(&redis, "late"), None);
    redis.apply(RequestId(2));
    assert!(redis.requests().is_empty());
    let found = ["applied", "never", "late"].map(|key| get(&redis, key).is_some());
    assert_eq!(found, [true, false, true]);
    assert!(redis.serve(redis::cmd("PING").query_async::<()>(&mut connection)).is_ok());
}

#[test]
fn crash_can_hit_between_the_commands_of_a_chain_but_not_within_a_transaction() {
    let redis = Redis::default();
    let mut connection = redis.connect(1);
    let pipeline = chain(&["a", "b", "c"]);
    let mut future = connection.req_packed_commands(&pipeline, 0, 3);
    assert!(poll(&mut future).is_pending());
    assert!(redis.apply_next_command(RequestId(0)));
    // The client is gone; its request is not.
    drop(future);
    let left = redis.requests().remove(0);
    assert_eq!((left.applied, left.commands.len(), left.awaited), (1, 3, false));
    assert!(redis.apply_next_command(RequestId(0)));
    redis.discard(RequestId(0));
    assert!(redis.requests().is_empty());
    assert_eq!(["a", "b", "c"].map(|key| get(&redis, key).is_some()), [true, true, false]);

    let mut pipeline = chain(&["d", "e"]);
    pipeline.atomic();
    let mut future = connection.req_packed_commands(&pipeline, 3, 1);
    assert!(poll(&mut future).is_pending());
    let id = redis.requests()[0].id;
    assert!(!redis.apply_next_command(id));
    redis.answer(id);
    let replies = Value::Array(vec![Value::Okay, Value::Okay]);
    assert!(matches!(poll(&mut future), Poll::Ready(Ok(found)) if found == [replies]));
}

#[test]
fn discarded_request_fails_when_its_sender_is_told() {
    let redis = Redis::default();
    let mut connection: ModelConnection = redis.connect(1);
    let command = set("a");
    let mut future = connection.req_packed_command(&command);
    assert!(poll(&mut future).is_pending());
    redis.discard(RequestId(0));
    redis.apply(RequestId(0));
    assert!(poll(&mut future).is_pending());
    redis.fail(RequestId(0), Io::TimedOut);
    assert!(is_io(poll(&mut future)));
    assert!(redis.requests().is_empty());
    assert_eq!(get(&redis, "a"), None);
}
