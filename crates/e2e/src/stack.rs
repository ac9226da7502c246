//! A deployment of its own for one test: topics with a prefix, a Redis, a database, the services.

use crate::infra::Infra;
use crate::program::Program;
use crate::wait::until;
use clap::Parser as _;
use contracts::api_key::{ApiKey, Role, SecretDigest};
use contracts::topics::{GAME_SCORE, TOPICS, Topic};
use pipeline::{AckProducer, KafkaSettings, Message};
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use test_servers::OwnRedis;

/// The keys of the API, in the folder of the logs.
const KEYS_FILE: &str = "keys";
/// How long anything may take to be there on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Short, so that the partitions of a killed consumer move on soon.
const SESSION_TIMEOUT_MS: &str = "2000";

/// The secret of a key that may write, called `game`.
pub const WRITER: &str = "the game's secret";
/// The secret of a key that may do everything, called `boss`.
pub const ADMIN: &str = "the boss' secret";

/// The programs that make up a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// score-ranker
    Ranker,
    /// score-archiver
    Archiver,
    /// board-cache
    BoardCache,
    /// controller
    Controller,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ranker, Self::Archiver, Self::BoardCache, Self::Controller];

    /// The program's name.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Ranker => "score-ranker",
            Self::Archiver => "score-archiver",
            Self::BoardCache => "board-cache",
            Self::Controller => "controller",
        }
    }
}

/// A deployment. Everything it made is gone when it is dropped.
pub struct Stack {
    infra: Infra,
    prefix: String,
    dir: PathBuf,
    listen_port: u16,
    database: String,
    running: BTreeMap<String, (Program, u16)>,
    redis: OwnRedis,
    producer: AckProducer,
}

impl Stack {
    /// Topics, Redis and database, no services yet.
    ///
    /// # Panics
    /// When one cannot be made.
    pub async fn bare(infra: &Infra) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let prefix = format!("t{}-", &id[..12]);
        let dir = std::env::temp_dir().join(format!("rankstream-{prefix}e2e"));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let key = |name, role, secret: &str| ApiKey::new(name, role, SecretDigest::of(secret.as_bytes()));
        let keys = [key("game", Role::Write, WRITER), key("boss", Role::Admin, ADMIN)];
        let keys: String = keys.map(|key| format!("{}\n", key.expect("a key"))).concat();
        std::fs::write(dir.join(KEYS_FILE), keys).expect("a file of keys");
        let database = format!("rankstream_{}", &id[..12]);
        let admin = PgPool::connect(&infra.postgres).await.expect("Postgres");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {database}")))
            .execute(&admin)
            .await
            .expect("a database");
        admin.close().await;
        let kafka = kafka_settings(&infra.kafka, &prefix);
        pipeline::admin::create_topics(&kafka, &TOPICS, 1).await.expect("topics");
        let producer =
            AckProducer::new(&kafka, "e2e", Duration::ZERO, pipeline::producer::Ack).expect("a producer");
        Self {
            infra: infra.clone(),
            prefix,
            dir,
            listen_port: free_ports::kept(),
            database,
            running: BTreeMap::new(),
            redis: OwnRedis::start(&[]),
            producer,
        }
    }

    /// Everything, ready.
    ///
    /// # Panics
    /// When a service does not get ready.
    pub async fn start(infra: &Infra) -> Self {
        let mut stack = Self::bare(infra).await;
        for service in Service::ALL {
            stack.spawn(service, service.program(), &[]);
        }
        for service in Service::ALL {
            stack.ready(service.program()).await;
        }
        stack
    }

    /// Those services that rank and show the boards of this file, ready.
    ///
    /// # Panics
    /// When one does not get ready.
    pub async fn of_boards(infra: &Infra, file: &Path) -> Self {
        let mut stack = Self::bare(infra).await;
        let file = file.display().to_string();
        let services = [Service::Ranker, Service::BoardCache, Service::Controller];
        for service in services {
            stack.spawn(service, service.program(), &[("BOARDS_FILE", &file)]);
        }
        for service in services {
            stack.ready(service.program()).await;
        }
        stack
    }

    /// Starts a program as a service of this deployment, under `name`, with further environment.
    pub fn spawn_as(&mut self, program: &str, name: &str, environment: &[(&str, &str)]) {
        let admin_port = free_ports::kept();
        let mut command = self.command(program);
        command.env("ADMIN_ADDR", format!("127.0.0.1:{admin_port}")).envs(environment.iter().copied());
        let program = Program::start(name, &self.dir, &mut command);
        self.running.insert(name.to_owned(), (program, admin_port));
    }

    /// Starts a service under `name`.
    pub fn spawn(&mut self, service: Service, name: &str, environment: &[(&str, &str)]) {
        self.spawn_as(service.program(), name, environment);
    }

    /// A program of ours with the settings of this deployment.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.infra.programs.join(program));
        command
            // Away from any .env of the checkout.
            .current_dir(&self.dir)
            .env("KAFKA_BROKERS", &self.infra.kafka)
            .env("KAFKA_SESSION_TIMEOUT_MS", SESSION_TIMEOUT_MS)
            .env("TOPIC_PREFIX", &self.prefix)
            .env("REDIS_URL", self.redis_url())
            .env("POSTGRES_URL", self.postgres_url())
            .env("LISTEN_ADDR", format!("127.0.0.1:{}", self.listen_port))
            .env("API_KEYS_FILE", self.keys_file())
            // Whole crowds come from one address here.
            .env("READS_PER_SECOND", "0")
            .env("BOARDS_FILE", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards.toml"))
            .env("RUST_LOG", "info");
        command
    }

    /// Waits until the service of that name says that it is ready.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ready(&self, name: &str) {
        until(&format!("{name} is ready"), PATIENCE, async || match self.readiness(name) {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status}: {body}\n{}", self.running[name].0.log())),
        })
        .await;
    }

    /// What the service of that name says of its readiness: status and body.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn readiness(&self, name: &str) -> (u16, String) {
        get(&format!("http://127.0.0.1:{}/readyz", self.running[name].1))
    }

    /// The running program of that name.
    ///
    /// # Panics
    /// When there is none.
    pub fn program(&mut self, name: &str) -> &mut Program {
        &mut self.running.get_mut(name).expect("it was started").0
    }

    /// The metrics of the service of that name, as it renders them.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn metrics(&self, name: &str) -> String {
        get(&format!("http://127.0.0.1:{}/metrics", self.running[name].1)).1
    }

    /// How to reach the brokers, as the services do.
    #[must_use]
    pub fn kafka(&self) -> KafkaSettings {
        kafka_settings(&self.infra.kafka, &self.prefix)
    }

    /// The folder of the logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of the API's keys.
    #[must_use]
    pub fn keys_file(&self) -> PathBuf {
        self.dir.join(KEYS_FILE)
    }

    /// The database's URL.
    #[must_use]
    pub fn postgres_url(&self) -> String {
        let (server, query) = self.infra.postgres.split_once('?').unwrap_or((&self.infra.postgres, ""));
        let (server, _) = server.rsplit_once('/').expect("a URL with a database");
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{server}/{}{separator}{query}", self.database)
    }

    /// A connection to the database.
    ///
    /// # Panics
    /// When there is none.
    pub async fn postgres(&self) -> PgPool {
        PgPool::connect(&self.postgres_url()).await.expect("Postgres")
    }

    /// Redis' URL.
    #[must_use]
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// Redis' process id.
    #[must_use]
    pub fn redis_pid(&self) -> u32 {
        self.redis.pid()
    }

    /// Redis' port.
    #[must_use]
    pub fn redis_port(&self) -> u16 {
        self.redis.port()
    }

    /// Ends Redis, which keeps its data.
    ///
    /// # Panics
    /// When it does not keep it.
    pub fn stop_redis(&mut self) {
        let _: String = self.redis(&["SAVE"]);
        self.kill_redis();
    }

    /// Ends Redis, which keeps what it was told to save last.
    pub fn kill_redis(&mut self) {
        self.redis.kill();
    }

    /// Starts Redis again with what it had.
    pub fn start_redis(&mut self) {
        self.redis.restart();
    }

    /// Asks Redis.
    ///
    /// # Panics
    /// When it refuses.
    pub fn redis<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.redis_url()).expect("a URL");
        let mut connection = client.get_connection().expect("Redis");
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).expect("an answer")
    }

    /// The controller's base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.listen_port)
    }

    /// The plain websocket's URL.
    #[must_use]
    pub fn live_url(&self) -> String {
        format!("ws://127.0.0.1:{}/live-updates/leaderboard", self.listen_port)
    }

    /// GETs a path of the controller.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, body) = get(&format!("{}{path}", self.url()));
        (status, serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body)))
    }

    /// Sends scores with the key that may write: status and body.
    #[must_use]
    pub fn post_scores(&self, query: &str, body: &str) -> (u16, serde_json::Value) {
        let sent = send("POST", &format!("{}/v1/scores{query}", self.url()), WRITER, &[], body);
        (sent.status, sent.body)
    }

    /// Sends (key, value) records to `game-score` and returns when Kafka has them.
    ///
    /// # Panics
    /// When it does not take them.
    pub async fn produce(&self, records: &[(Vec<u8>, Option<Vec<u8>>)]) {
        self.produce_to(&GAME_SCORE, records).await;
    }

    /// Sends (key, value) records to a topic and returns when Kafka has them.
    ///
    /// # Panics
    /// When it does not take them.
    pub async fn produce_to(&self, topic: &Topic, records: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let topic = self.kafka().topic(topic);
        let messages: Vec<Message<'_>> = records
            .iter()
            .map(|(key, payload)| Message { topic: &topic, key, payload: payload.as_deref(), headers: &[] })
            .collect();
        self.producer.send_all(&messages).await.expect("acknowledged");
    }

    /// How many rows the archive has of good and of refused records; (0, 0) before its tables.
    ///
    /// # Panics
    /// When Postgres is away.
    pub async fn archived(&self, postgres: &PgPool) -> (i64, i64) {
        let count = |table: &str| AssertSqlSafe(format!("SELECT count(*) FROM leaderboard.{table}"));
        let good = sqlx::query_scalar(count("game_score")).fetch_one(postgres).await;
        let refused = sqlx::query_scalar(count("refused_record")).fetch_one(postgres).await;
        (good.unwrap_or(0), refused.unwrap_or(0))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.running.clear();
        let (kafka, admin, database) = (self.kafka(), self.infra.postgres.clone(), self.database.clone());
        // Its own thread, because a runtime may be in the middle of a panic here.
        let cleaned = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let topics = pipeline::admin::delete_topics(&kafka, &TOPICS).await;
                let admin = PgPool::connect(&admin).await?;
                let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
                sqlx::query(AssertSqlSafe(drop)).execute(&admin).await?;
                topics
            })
        })
        .join();
        match cleaned {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("cleaning up: {error:#}"),
            Err(_) => eprintln!("cleaning up panicked"),
        }
        // The logs of a failed test were printed.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(crate) fn kafka_settings(brokers: &str, prefix: &str) -> KafkaSettings {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        kafka: KafkaSettings,
    }
    let (brokers, prefix) = (format!("--kafka-brokers={brokers}"), format!("--topic-prefix={prefix}"));
    Only::parse_from(["e2e", &brokers, &prefix]).kafka
}

/// What a controller answered to a write.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The status; 0 when nobody answered.
    pub status: u16,
    /// The body, as text where it is no JSON.
    pub body: serde_json::Value,
    /// The headers, by name in lower case.
    pub headers: BTreeMap<String, String>,
}

/// Sends JSON to a controller with this key's secret.
///
/// # Panics
/// When the method or a header is not one.
#[must_use]
pub fn send(method: &str, url: &str, secret: &str, headers: &[(&str, &str)], body: &str) -> Sent {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let mut request =
        ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    if !secret.is_empty() {
        request = request.header("authorization", format!("Bearer {secret}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match agent.run(request.body(body.to_owned()).expect("a request")) {
        Ok(mut response) => {
            let text =
                |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers =
                response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let body = response.body_mut().read_to_string().unwrap_or_default();
            let body = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
            Sent { status: response.status().as_u16(), body, headers }
        }
        Err(error) => {
            Sent { status: 0, body: serde_json::Value::String(error.to_string()), headers: BTreeMap::new() }
        }
    }
}

fn get(url: &str) -> (u16, String) {
    get_within(url, Duration::from_secs(10))
}

/// GETs a URL; status 0 when nobody answers within `limit`.
pub(crate) fn get_within(url: &str, limit: Duration) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(limit)).build().into();
    match agent.get(url).call() {
        Ok(mut response) => {
            (response.status().as_u16(), response.body_mut().read_to_string().unwrap_or_default())
        }
        Err(error) => (0, error.to_string()),
    }
}
