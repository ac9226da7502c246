//! The sink on a real Redis.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod oracle;
mod script_calls;
mod stand;

use archive_store::{History, KeptWindow, Portion};
use board_store::{Fence, RedisSettings};
use boards::BoardSet;
use contracts::dead_letter::DeadLetter;
use contracts::{EventTime, Notice, Version};
use recovery::rebuild::DeadLetters;
use redis::aio::ConnectionManager;
use score_ranker::{RankSink, Surroundings};
use std::collections::BTreeMap;

/// Nothing beside the stores: no dead letters are expected, no archive is there.
struct Alone;

struct NoHistory;

impl DeadLetters for Alone {
    async fn bury(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        anyhow::bail!("unexpected: {letters:?}")
    }
}

impl History for NoHistory {
    fn offsets(&self) -> &BTreeMap<i32, i64> {
        unreachable!("there is none")
    }

    fn kept_windows(&self) -> &[KeptWindow] {
        &[]
    }

    async fn next(&mut self) -> anyhow::Result<Option<Portion>> {
        Ok(None)
    }
}

impl Surroundings for Alone {
    type History = NoHistory;

    fn notify(&self, _: &Notice) {}

    async fn published(&self, boards: &[String]) -> anyhow::Result<Vec<Version>> {
        Ok(vec![Version { epoch: 0, version: 0 }; boards.len()])
    }

    async fn history(&self, _: BTreeMap<i32, i64>) -> Option<anyhow::Result<NoHistory>> {
        None
    }

    fn token(&self) -> String {
        "me".to_owned()
    }

    fn now(&self) -> EventTime {
        EventTime::UNIX_EPOCH
    }
}

struct Live {
    runtime: tokio::runtime::Runtime,
    connection: ConnectionManager,
}

impl Live {
    /// `None` where there is no Redis.
    fn new() -> Option<Self> {
        Some(Self::at(&test_servers::redis()?))
    }

    fn at(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = RedisSettings { redis_url: url.parse().unwrap() };
        let connection = runtime.block_on(async { settings.connect().unwrap() });
        Self { runtime, connection }
    }

    fn redis<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.runtime.block_on(command.query_async(&mut self.connection.clone())).unwrap()
    }

    /// One that has seen nothing yet.
    fn sink(&self, boards: &BoardSet) -> RankSink<Alone, ConnectionManager> {
        let topics = score_ranker::TOPICS.map(|topic| topic.name.to_owned()).to_vec();
        RankSink::new(topics, boards.clone(), &self.connection, Alone, Fence::On)
    }

    fn remove(&self, prefix: &str) {
        let pattern = |before: &str| format!("{before}{prefix}*");
        for pattern in [pattern(""), pattern("{")] {
            let keys: Vec<String> = self.redis(&["KEYS", &pattern]);
            for key in &keys {
                let _: i64 = self.redis(&["DEL", key]);
            }
        }
    }
}
