//! Random commands, alone, in scripts and in transactions.

use crate::live::{Live, runner, value_of};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use redis::Value;
use simulator::redis::{Command, Server};

/// Commands with holes: `h`, `e`, `z`, `t` a key that is mostly a hash, a set, a sorted set, a
/// string; `m` a member, field or value; `i` an integer; `s` a score; `b` a bound of scores; `x` a
/// time to live.
const TEMPLATES: &[&str] = &[
    "HSET h m m",
    "HSET h m m m m m m",
    "HSET h m i",
    "HSET h m m m",
    "HSETNX h m m",
    "HGET h m",
    "hmget h m m m",
    "HGETALL h",
    "HEXISTS h m",
    "HLEN h",
    "HDEL h m m",
    "HINCRBY h m i",
    "SADD e m m m",
    "SREM e m m",
    "SMEMBERS e",
    "SCARD e",
    "SISMEMBER e m",
    "SMISMEMBER e m m",
    "ZADD z s m",
    "ZADD z s m s m s m",
    "ZADD z NX s m s m",
    "ZADD z XX CH s m s m",
    "ZADD z GT CH s m s m",
    "ZADD z LT s m",
    "ZADD z NX XX s m",
    "ZADD z GT NX s m",
    "ZADD z s m s",
    "ZREM z m m",
    "ZSCORE z m",
    "ZMSCORE z m m m",
    "ZCOUNT z b b",
    "ZCARD z",
    "ZRANK z m",
    "ZREVRANK z m",
    "ZRANGE z i i",
    "ZRANGE z i i REV WITHSCORES",
    "ZREVRANGE z i i WITHSCORES",
    "ZREVRANGE z 0 -1",
    "ZRANGE z i i NOPE",
    "GET t",
    "SET t m",
    "SET t m PX 500000",
    "SET t m NX EX 1000",
    "SET t m XX KEEPTTL",
    "SET t m NX XX",
    "SET t m EX x",
    "EXPIRE h x",
    "EXPIRE e x",
    "PEXPIRE z x000",
    "EXPIRE t x",
    "PERSIST t",
    "TTL h",
    "TTL t",
    "TTL z",
    "TYPE h",
    "EXISTS h e z t t",
    "DEL h t",
    "UNLINK z",
    "RENAME z z",
    "RENAME h h",
    "RENAME t e",
    "COPY z z",
    "COPY h h REPLACE",
    "COPY e t NOPE",
    "PING",
    "PING m",
    "GET",
    "NOPE m m",
    "EVALSHA 0000000000000000000000000000000000000000 0",
    "EVAL return(1) i m",
    "SCRIPT EXISTS 0000000000000000000000000000000000000000",
];
const MEMBERS: &[&str] =
    &["a", "b", "c", "é", "10", "9", "B", "~", "", "a b", "-5", "9223372036854775807", "1.5"];
const INTEGERS: &[&str] =
    &["0", "1", "2", "-1", "-2", "3", "7", "-9", "9223372036854775807", "x", "", "01", "1.0"];
const SCORES: &[&str] = &[
    "0",
    "-0",
    "1",
    "1",
    "2",
    "-1.5",
    "0.1",
    "3.0000000000000004",
    "17179869184.25",
    "1e300",
    "5e-324",
    ".5",
    "-1e-7",
    "1e17",
    "123456789012345678",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "x",
    "",
    "131071.99999999999",
];
const LIVES: &[&str] = &["1000", "5000", "100000", "0", "-1", "x", "9223372036854775807"];

/// What fills the holes of a template: a random number for each.
type Dealt = (&'static str, Vec<usize>);

#[derive(Clone, Debug)]
enum Step {
    Command(Dealt),
    /// By `redis.call` (or `redis.pcall`) in a script.
    Scripted(Dealt, bool),
    Transaction(Vec<Dealt>),
}

fn step() -> impl Strategy<Value = Step> {
    let dealt = || (select(TEMPLATES), vec(any::<usize>(), 10));
    prop_oneof![
        6 => dealt().prop_map(Step::Command),
        3 => (dealt(), any::<bool>()).prop_map(|(dealt, quiet)| Step::Scripted(dealt, quiet)),
        1 => vec(dealt(), 1..4).prop_map(Step::Transaction),
    ]
}

fn words((template, choices): &Dealt, prefix: &str) -> Vec<String> {
    template
        .split(' ')
        .zip(choices)
        .map(|(word, &choice)| {
            let from = |pool: &[&str]| pool[choice % pool.len()].to_owned();
            let key = |kind: &str| {
                // One in nine is of whatever kind.
                let kind = if choice % 9 == 0 { ["h", "e", "z", "t"][choice / 9 % 4] } else { kind };
                format!("{prefix}:{kind}{}", choice / 40 % 2)
            };
            match word {
                "h" | "e" | "z" | "t" => key(word),
                "m" => from(MEMBERS),
                "i" => from(INTEGERS),
                "s" => from(SCORES),
                "b" if choice % 2 == 0 => format!("({}", SCORES[choice / 2 % SCORES.len()]),
                "b" => SCORES[choice / 2 % SCORES.len()].to_owned(),
                "x" => from(LIVES),
                "x000" => format!("{}000", from(LIVES)),
                _ => word.to_owned(),
            }
        })
        .collect()
}

/// What the real server is sent, and the step's answers of the model.
fn commands_and_answers(step: &Step, prefix: &str, server: &mut Server) -> Vec<(Command, Option<Value>)> {
    match step {
        Step::Command(dealt) => {
            let command = Command::of(words(dealt, prefix));
            let answer = value_of(server, &command);
            vec![(command, Some(answer))]
        }
        Step::Scripted(dealt, quiet) => {
            let script = if *quiet {
                "return {redis.pcall(unpack(ARGV))}"
            } else {
                "local reply = redis.call(unpack(ARGV))\nreturn reply"
            };
            let eval = ["EVAL", script, "0"].map(str::to_owned).into_iter();
            let command = Command::of(eval.chain(words(dealt, prefix)));
            let answer = value_of(server, &command);
            vec![(command, Some(answer))]
        }
        Step::Transaction(list) => {
            let list: Vec<Command> = list.iter().map(|dealt| Command::of(words(dealt, prefix))).collect();
            let answer = server.transaction(&list).into_value();
            let mut all = vec![(Command::of(["MULTI"]), None)];
            all.extend(list.into_iter().map(|command| (command, None)));
            all.push((Command::of(["EXEC"]), Some(answer)));
            all
        }
    }
}

#[test]
fn random_commands_are_answered_as_by_redis() {
    let Some(_) = Live::new() else { return };
    let live = std::cell::RefCell::new(Live::new().unwrap());
    let mut runs = 0;
    let counter = std::cell::RefCell::new(&mut runs);
    runner()
        .run(&vec(step(), 1..40), |steps| {
            let mut live = live.borrow_mut();
            **counter.borrow_mut() += 1;
            let prefix = format!("{}-{}", live.prefix, counter.borrow());
            let mut server = Server::default();
            let all: Vec<(Command, Option<Value>)> =
                steps.iter().flat_map(|step| commands_and_answers(step, &prefix, &mut server)).collect();
            let commands: Vec<Command> = all.iter().map(|(command, _)| command.clone()).collect();
            let real = live.execute(&commands);
            let mut queued = Vec::new();
            for ((command, model), real) in all.iter().zip(&real) {
                queued.push(format!("{command:?}"));
                if let Some(model) = model {
                    // A transaction is compared as a whole, under the names of its commands.
                    live.compare(&Command::of(queued.drain(..)), model, real)?;
                }
            }
            live.compare_keyspaces(&mut server, &prefix)?;
            live.remove_keys(&prefix);
            Ok(())
        })
        .unwrap();
}
