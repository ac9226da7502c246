//! `boardctl rebuild`

use crate::output::{Misuse, Output};
use crate::settings::{BoardSettings, PostgresSettings, board_named};
use anyhow::Context as _;
use archive_store::ArchiveStore;
use board_store::{Begin, BoardStore, Seen, Source};
use contracts::dead_letter::DeadLetter;
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ, LEADERBOARD, PLAYER_PROFILE};
use contracts::{EventTime, Snapshot, Version};
use pipeline::producer::Ack;
use pipeline::scan::extents;
use pipeline::{AckProducer, KafkaSettings, tail};
use recovery::rebuild::{DeadLetters, Order, bury, field, fill};
use serde::Serialize;
use service::Clock;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often the board is asked how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long it may make no progress before a person is told that nobody works on it.
const PATIENCE: Duration = Duration::from_secs(30);
const READ_LIMIT: Duration = Duration::from_secs(30);

/// What a board is rebuilt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum From {
    /// The log, from its first record on: by the rankers, as when they count
    Kafka,
    /// The archive's events, and the log where the archive ends
    Archive,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rebuild {
    /// Which board; may be left out where there is one
    #[arg(long)]
    board: Option<String>,
    /// What from; default: the log if it reaches back to its first record, else the archive
    #[arg(long, value_enum)]
    from: Option<From>,
    /// Return when the rankers have the rest to do
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    boards: BoardSettings,
    #[command(flatten)]
    postgres: PostgresSettings,
    #[command(flatten)]
    kafka: KafkaSettings,
}

#[derive(Debug, Serialize)]
struct Answer {
    board: String,
    from: &'static str,
    epoch: u64,
    /// How many players are on the board for all time; `None` when nobody waited.
    players: Option<u64>,
    /// How many rows were poured from the archive: one for each player, value and window.
    rows: u64,
    /// Whether readers see the rebuilt board.
    done: bool,
    seconds: f64,
}

pub(crate) async fn run(command: &Rebuild, output: Output) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let boards = command.boards.boards()?;
    let board = board_named(&boards, command.board.as_deref())?;
    let store = BoardStore::new(&command.boards.redis, board.clone()).context("REDIS_URL")?;
    let name = board.name.clone();
    let (log, seen) = look(&command.kafka, &name).await?;
    let whole = Order::refused_from(&log).values().all(|low| *low == 0);
    let from = match command.from {
        Some(From::Kafka) if !whole => {
            let why = "--from kafka: the log no longer reaches back to its first record: use --from archive";
            return Err(Misuse(why.to_owned()).into());
        }
        Some(from) => from,
        None if whole => From::Kafka,
        None => From::Archive,
    };
    let mut rows = 0;
    match from {
        From::Kafka => {
            let begun = store.rebuild(&Source::Log, None, &seen, &log).await.context("REDIS_URL")?;
            begun.context("someone is filling the board from the archive already")?;
        }
        From::Archive => {
            let topic = command.kafka.topic(&GAME_SCORE);
            let archive = ArchiveStore::new(&command.postgres.postgres_url, vec![topic.clone()])
                .context("POSTGRES_URL")?;
            let refused_from = Order::refused_from(&log);
            let mut history = archive.history(refused_from).await?;
            let dead_letters = Dlq::new(&command.kafka)?;
            let bar = output.progress(None, "events and rows");
            let order = Order {
                boards: &boards,
                topic: &topic,
                token: uuid::Uuid::new_v4().to_string(),
                wanting: None,
                now: EventTime::from_micros(Clock::system().now_micros()).context("the clock")?,
                seen: &seen,
                log: &log,
            };
            let filled = fill(&store, &mut history, &dead_letters, order, |filled| {
                bar.set_position(filled.events + filled.rows);
            });
            rows = filled.await?.rows;
            bar.finish_and_clear();
        }
    }
    let done = if command.no_wait { false } else { wait(&store, &log, output).await? };
    let stand = store.all_time().stand().await.context("REDIS_URL")?;
    let stand = stand.context("the board is gone from Redis")?;
    let answer = Answer {
        board: name,
        from: if from == From::Kafka { "kafka" } else { "archive" },
        epoch: stand.version.epoch,
        players: done.then_some(stand.players),
        rows,
        done,
        seconds: begun.elapsed().as_secs_f64(),
    };
    output.answer(&answer, |answer| {
        let Answer { board, from, epoch, players, rows: _, done, seconds } = answer;
        let state = if *done { "is rebuilt" } else { "is being rebuilt" };
        let players = players.map(|players| format!("{players} players, ")).unwrap_or_default();
        format!("{board} {state} from {from}: {players}epoch {epoch}, {seconds:.1} s")
    });
    Ok(ExitCode::SUCCESS)
}

/// What the log holds, and where the board was published last.
async fn look(kafka: &KafkaSettings, board: &str) -> anyhow::Result<(Vec<Begin>, Seen)> {
    let (kafka, board) = (kafka.clone(), board.as_bytes().to_vec());
    let look = move || -> anyhow::Result<(Vec<Begin>, Seen)> {
        let mut log = Vec::new();
        for topic in [GAME_SCORE, PLAYER_PROFILE] {
            for (partition, extent) in extents(&kafka, &kafka.topic(&topic))? {
                log.push(Begin { field: field(topic.name, partition), low: extent.from, high: extent.to });
            }
        }
        let mut newest: Option<Version> = None;
        let topic = kafka.topic(&LEADERBOARD);
        tail::read_all(&kafka, "boardctl-epoch", &topic, READ_LIMIT, |key, payload| {
            let snapshot = payload.and_then(|payload| serde_json::from_slice::<Snapshot>(payload).ok());
            if let (true, Some(snapshot)) = (key == Some(&board), snapshot) {
                newest = newest.max(Some(snapshot.version));
            }
        })?;
        Ok((log, Seen { version: newest, ..Seen::default() }))
    };
    tokio::task::spawn_blocking(look).await?.context("KAFKA_BROKERS")
}

/// Waits until readers see the rebuilt board.
async fn wait(store: &BoardStore, log: &[Begin], output: Output) -> anyhow::Result<bool> {
    let all: i64 = log.iter().map(|partition| partition.high).sum();
    let bar = output.progress(u64::try_from(all).ok(), "records");
    let (mut before, mut moved_at) = (None, Instant::now());
    loop {
        let peek = store.peek().await.context("REDIS_URL")?.context("the board is gone from Redis")?;
        if !peek.rebuilding {
            bar.finish_and_clear();
            return Ok(true);
        }
        let now: i64 = peek.offsets.values().sum();
        bar.set_position(u64::try_from(now).unwrap_or(0));
        if before != Some(now) {
            (before, moved_at) = (Some(now), Instant::now());
        }
        anyhow::ensure!(
            moved_at.elapsed() < PATIENCE,
            "nobody has gone on with the rebuild for {PATIENCE:?}: it goes on when a score-ranker runs"
        );
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The topic of dead letters.
struct Dlq {
    producer: AckProducer,
    topic: String,
}

impl Dlq {
    fn new(kafka: &KafkaSettings) -> anyhow::Result<Self> {
        let producer = AckProducer::new(kafka, "boardctl", Duration::ZERO, Ack).context("Kafka settings")?;
        Ok(Self { producer, topic: kafka.topic(&GAME_SCORE_DLQ) })
    }
}

impl DeadLetters for Dlq {
    async fn bury(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        bury(&self.producer, &self.topic, letters).await
    }
}
