//! A real server beside the model, and how their answers are compared.

use proptest::prelude::{prop_assert, prop_assert_eq};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use redis::{Cmd, ConnectionLike, Value};
use simulator::redis::{Command, Server};

/// As many sequences as it takes to see the rare combinations, in some seconds.
const SEQUENCES: u32 = 2_500;
/// How much a time to live may differ: the real server's clock goes on.
const TTL_SLACK_SECONDS: i64 = 2;

/// The same sequences in every run.
pub(crate) fn runner() -> TestRunner {
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// The real server. Every key that a test makes has `prefix` in its name; they are removed when
/// the test ends, however it ends.
pub(crate) struct Live {
    pub(crate) url: String,
    pub(crate) prefix: String,
    connection: redis::Connection,
    is_7_0: bool,
}

impl Live {
    /// `None` where there is no Redis.
    pub(crate) fn new() -> Option<Self> {
        let url = test_servers::redis()?;
        let mut connection = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
        let info: String = redis::cmd("INFO").arg("server").query(&mut connection).unwrap();
        let is_7_0 = info.contains("redis_version:7.0.");
        let prefix = format!("test-{}", uuid::Uuid::new_v4());
        Some(Self { url, prefix, connection, is_7_0 })
    }

    /// Does the commands in one round trip.
    pub(crate) fn execute(&mut self, commands: &[Command]) -> Vec<Value> {
        if commands.is_empty() {
            return Vec::new();
        }
        let packed: Vec<u8> = commands
            .iter()
            .flat_map(|command| {
                let mut packed = Cmd::new();
                packed.arg(command.words());
                packed.get_packed_command()
            })
            .collect();
        self.connection.req_packed_commands(&packed, 0, commands.len()).unwrap()
    }

    pub(crate) fn keys(&mut self, part: &str) -> Vec<String> {
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("*{part}*")).query(&mut self.connection).unwrap();
        keys.sort();
        keys
    }

    pub(crate) fn remove_keys(&mut self, part: &str) {
        for keys in self.keys(part).chunks(1000) {
            let _: i64 = redis::cmd("DEL").arg(keys).query(&mut self.connection).unwrap();
        }
    }

    /// Fails unless both answers to `command` are the same. From Redis 7.2 on doubles have
    /// shorter texts, and some errors other words.
    pub(crate) fn compare(
        &self,
        command: &Command,
        model: &Value,
        real: &Value,
    ) -> Result<(), TestCaseError> {
        let text = format!("{command:?}").to_uppercase();
        let (mut model, mut real) = (model.clone(), real.clone());
        if text.contains("SMEMBERS") {
            sort(&mut model);
            sort(&mut real);
        }
        let is_ttl = text.contains("TTL");
        prop_assert!(self.is_same(&model, &real, is_ttl), "{command:?}\nmodel {model:?}\nreal  {real:?}");
        Ok(())
    }

    fn is_same(&self, model: &Value, real: &Value, is_ttl: bool) -> bool {
        match (model, real) {
            (Value::Array(model), Value::Array(real)) => {
                let mut pairs = model.iter().zip(real);
                model.len() == real.len() && pairs.all(|(model, real)| self.is_same(model, real, is_ttl))
            }
            (Value::Int(model), Value::Int(real)) if is_ttl && *model > 0 => {
                (model - real).abs() <= TTL_SLACK_SECONDS
            }
            (Value::BulkString(model), Value::BulkString(real)) if !self.is_7_0 => {
                model == real || double(model).is_some_and(|score| Some(score) == double(real))
            }
            (Value::ServerError(model), Value::ServerError(real)) if !self.is_7_0 => {
                model.code() == real.code()
            }
            (model, real) => model == real,
        }
    }

    /// Fails unless both servers hold the same under the keys that have `part` in their names.
    pub(crate) fn compare_keyspaces(&mut self, server: &mut Server, part: &str) -> Result<(), TestCaseError> {
        let keys = server.keyspace().iter().map(|(key, ..)| String::from_utf8(key.to_vec()).unwrap());
        let keys: Vec<String> = keys.filter(|key| key.contains(part)).collect();
        prop_assert_eq!(&keys, &self.keys(part));
        let mut commands = Vec::new();
        for key in &keys {
            let key = key.as_str();
            let content = match value_of(server, &Command::of(["TYPE", key])) {
                Value::SimpleString(kind) if kind == "string" => Command::of(["GET", key]),
                Value::SimpleString(kind) if kind == "hash" => Command::of(["HGETALL", key]),
                Value::SimpleString(kind) if kind == "set" => Command::of(["SMEMBERS", key]),
                _ => Command::of(["ZRANGE", key, "0", "-1", "WITHSCORES"]),
            };
            commands.extend([Command::of(["TYPE", key]), Command::of(["TTL", key]), content]);
        }
        for (command, real) in commands.iter().zip(self.execute(&commands)) {
            self.compare(command, &value_of(server, command), &real)?;
        }
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.remove_keys(&self.prefix.clone());
    }
}

pub(crate) fn value_of(server: &mut Server, command: &Command) -> Value {
    server.execute(&command.words()).into_value()
}

fn double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn sort(value: &mut Value) {
    if let Value::Array(items) = value {
        items.iter_mut().for_each(sort);
        items.sort_by_key(|item| format!("{item:?}"));
    }
}
