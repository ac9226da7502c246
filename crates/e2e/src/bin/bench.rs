//! The whole-system figures: how fast a backlog is ranked and archived, how soon an event shows.
//!
//! Started by `cargo xtask bench`, which starts the servers. Prints a table and writes JSON.

use anyhow::Context as _;
use e2e::api_load::{self, cpu_seconds};
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, Viewer, until};
use pipeline::{AckProducer, Message};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const BACKLOG: u64 = 1_000_000;
const BACKLOG_RUNS: usize = 3;
const LIMIT: Duration = Duration::from_secs(300);
/// How many records are produced at a time.
const CHUNK: usize = 50_000;
const RATE: u64 = 1000;
const LOAD_SECONDS: u64 = 20;
const LONE_EVENTS: usize = 40;
const QUIET: Duration = Duration::from_millis(700);

/// The whole-system figures
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// Where the JSON goes
    #[arg(long, default_value = "target/bench/figures.json")]
    json: PathBuf,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Backlog, Part::Latency, Part::Rebuild, Part::Api])]
    only: Vec<Part>,
}

/// A part of the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Backlog,
    Latency,
    Rebuild,
    Api,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Arguments = clap::Parser::parse();
    let infra = Infra::from_env().context("start it with `cargo xtask bench`")?;
    let mut figures = Vec::new();
    if arguments.only.contains(&Part::Backlog) {
        for services in [&[Service::Ranker][..], &[Service::Archiver], &[Service::Ranker, Service::Archiver]]
        {
            figures.push(backlog(&infra, services).await?);
        }
    }
    if arguments.only.contains(&Part::Latency) {
        let stack = Stack::start(&infra).await;
        figures.push(lone_events(&stack).await?);
        drop(stack);
        let stack = Stack::start(&infra).await;
        figures.push(steady_load(&stack).await?);
    }
    if arguments.only.contains(&Part::Rebuild) {
        figures.push(rebuild(&infra).await?);
    }
    if arguments.only.contains(&Part::Api) {
        figures.extend(api_load::measure(&infra).await?);
    }

    let mut out = std::io::stdout().lock();
    for figure in &figures {
        writeln!(out, "{}", figure["text"].as_str().unwrap_or_default())?;
    }
    if let Some(folder) = arguments.json.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&arguments.json, serde_json::to_vec_pretty(&figures)?)?;
    writeln!(out, "written to {}", arguments.json.display())?;
    Ok(())
}

/// Fills the log, then times how long the consumers take for all of it: median of several runs.
async fn backlog(infra: &Infra, services: &[Service]) -> anyhow::Result<Value> {
    let name = "backlog of 1,000,000 events, 1,000,000 players evenly";
    let mut runs = Vec::new();
    for _ in 0..BACKLOG_RUNS {
        let mut stack = Stack::bare(infra).await;
        let count = BACKLOG.to_string();
        let filled = stack
            .command("score-generator")
            .args(["load", "--rate", "0", "--seed", "1", "--no-progress", "--nicknames", "false"])
            .args(["--count", &count, "--players", &count, "--zipf", "0"])
            .output()?;
        anyhow::ensure!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
        let migrated = stack.command("boardctl").arg("migrate").output()?;
        anyhow::ensure!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        for service in services {
            stack.spawn(*service, service.program(), &[]);
        }
        // Joining the group is not what is timed: the clock starts with the first record taken.
        let taken = |stack: &Stack, service: &Service| records_taken(&stack.metrics(service.program()));
        until("consuming begins", PATIENCE, async || {
            if services.iter().any(|service| taken(&stack, service) > 0) { Ok(()) } else { Err("no".into()) }
        })
        .await;
        let begun = Instant::now();
        let before: Vec<u64> = services.iter().map(|service| taken(&stack, service)).collect();
        until("the backlog is done", LIMIT, async || {
            let done: Vec<u64> = services.iter().map(|service| taken(&stack, service)).collect();
            if done.iter().all(|done| *done >= BACKLOG) { Ok(()) } else { Err(format!("{done:?}")) }
        })
        .await;
        let seconds = begun.elapsed().as_secs_f64();
        let least = before.iter().max().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a million fits")]
        let rate = (BACKLOG - least) as f64 / seconds;
        let mut cpu = Vec::new();
        for service in services {
            let pid = stack.program(service.program()).pid();
            #[expect(clippy::cast_precision_loss, reason = "a million fits")]
            cpu.push((service.program(), cpu_seconds(pid)? * 1e6 / BACKLOG as f64));
        }
        #[expect(clippy::cast_precision_loss, reason = "a million fits")]
        cpu.push(("redis-server", cpu_seconds(stack.redis_pid())? * 1e6 / BACKLOG as f64));
        runs.push((rate, cpu));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (rate, cpu) = &runs[runs.len() / 2];
    let names: Vec<&str> = services.iter().map(|service| service.program()).collect();
    let cpu_text: Vec<String> = cpu.iter().map(|(name, micros)| format!("{name} {micros:.2}")).collect();
    let text = format!(
        "{name}: {} {rate:.0} events/s (min {:.0}, max {:.0}); CPU µs per event: {}",
        names.join(" + "),
        runs[0].0,
        runs[runs.len() - 1].0,
        cpu_text.join(", ")
    );
    eprintln!("{text}");
    Ok(json!({"name": name, "consumers": names, "events_per_second": rate, "cpu_micros": cpu, "text": text}))
}

/// Rebuilds a board of a million players from the archive, and verifies it: medians.
async fn rebuild(infra: &Infra) -> anyhow::Result<Value> {
    let stack = Stack::start(infra).await;
    // Each player has an event. Drawn at random, a third of the players would have none.
    for first in (0..BACKLOG).step_by(CHUNK) {
        let event = |player| format!(r#"{{"score":{},"user_id":{player}}}"#, 1 + player % 1000).into_bytes();
        let players = first..first + CHUNK as u64;
        let records: Vec<_> =
            players.map(|player| (player.to_string().into_bytes(), Some(event(player)))).collect();
        stack.produce(&records).await;
    }
    until("everything is ranked and archived", LIMIT, async || {
        let names = [Service::Ranker, Service::Archiver].map(Service::program);
        let taken = names.map(|name| records_taken(&stack.metrics(name)));
        if taken.iter().all(|taken| *taken >= BACKLOG) { Ok(()) } else { Err(format!("{taken:?}")) }
    })
    .await;
    let mut runs = Vec::new();
    for _ in 0..BACKLOG_RUNS {
        let rebuilt = stack.command("boardctl").args(["rebuild", "--from", "archive", "--json"]).output()?;
        anyhow::ensure!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        let answer: Value = serde_json::from_slice(&rebuilt.stdout)?;
        runs.push((answer["seconds"].as_f64().context("seconds")?, answer["players"].clone()));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let verified = stack.command("boardctl").arg("verify").output()?;
    anyhow::ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let (seconds, players) = &runs[runs.len() / 2];
    let (least, most) = (runs[0].0, runs[runs.len() - 1].0);
    let text = format!(
        "rebuild from the archive, {BACKLOG} events, {players} players: {seconds:.1} s (min {least:.1}, max \
         {most:.1}), verified afterwards"
    );
    eprintln!("{text}");
    Ok(json!({"name": "rebuild from the archive", "seconds": seconds, "players": players, "text": text}))
}

fn records_taken(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("pipeline_records_total "));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// From handing an event to the producer until its frame is in hand.
async fn lone_events(stack: &Stack) -> anyhow::Result<Value> {
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let kafka = stack.kafka();
    let producer = AckProducer::new(&kafka, "bench", Duration::ZERO, pipeline::producer::Ack)?;
    let topic = kafka.topic(&contracts::topics::GAME_SCORE);
    let mut took = Vec::new();
    for total in 1..=LONE_EVENTS {
        tokio::time::sleep(QUIET).await;
        let begun = Instant::now();
        producer.send_unconfirmed(&event(&topic, b"1"));
        let wanted = i64::try_from(total)?;
        let frame =
            viewer.expect(PATIENCE, |frame| frame.rows().first().is_some_and(|row| row.1 == wanted)).await;
        took.push(frame.at - begun);
    }
    // The first ones connect and warm up.
    Ok(latency("event to frame after quiet", took.split_off(5)))
}

/// From the moment each event was due until the first frame that counts it.
async fn steady_load(stack: &Stack) -> anyhow::Result<Value> {
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let kafka = stack.kafka();
    let producer = AckProducer::new(&kafka, "bench", Duration::ZERO, pipeline::producer::Ack)?;
    let topic = kafka.topic(&contracts::topics::GAME_SCORE);
    producer.check(&topic, PATIENCE)?;
    let count = RATE * LOAD_SECONDS;
    let begun = Instant::now() + Duration::from_millis(100);
    let due = move |event: u64| begun + Duration::from_micros(event * 1_000_000 / RATE);
    let sending = tokio::task::spawn_blocking(move || {
        for number in 0..count {
            std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
            producer.send_unconfirmed(&event(&topic, &[b'0' + u8::try_from(number % 10).unwrap_or(0)]));
        }
        producer
    });
    // Every event is worth one point and the top ten are all players: the sum of a frame's rows
    // is the number of events it counts.
    let mut took = Vec::new();
    while u64::try_from(took.len())? < count {
        let frame = viewer.next(PATIENCE).await.context("no frame")?;
        let counted: i64 = frame.rows().iter().map(|row| row.1).sum();
        while u64::try_from(took.len())? < u64::try_from(counted)? {
            took.push(frame.at.saturating_duration_since(due(u64::try_from(took.len())?)));
        }
    }
    drop(sending.await?);
    Ok(latency(&format!("event to frame at {RATE} events/s"), took))
}

fn event<'a>(topic: &'a str, key: &'a [u8]) -> Message<'a> {
    const EVENTS: [&[u8]; 10] = [
        br#"{"score":1,"user_id":0}"#,
        br#"{"score":1,"user_id":1}"#,
        br#"{"score":1,"user_id":2}"#,
        br#"{"score":1,"user_id":3}"#,
        br#"{"score":1,"user_id":4}"#,
        br#"{"score":1,"user_id":5}"#,
        br#"{"score":1,"user_id":6}"#,
        br#"{"score":1,"user_id":7}"#,
        br#"{"score":1,"user_id":8}"#,
        br#"{"score":1,"user_id":9}"#,
    ];
    Message { topic, key, payload: Some(EVENTS[usize::from(key[0] - b'0')]), headers: &[] }
}

fn latency(name: &str, mut took: Vec<Duration>) -> Value {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let (p50, p99, max) = (millis(at(50)), millis(at(99)), millis(at(100)));
    let text = format!("{name}: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms, of {} events", took.len());
    eprintln!("{text}");
    json!({"name": name, "p50_ms": p50, "p99_ms": p99, "max_ms": max, "events": took.len(), "text": text})
}
