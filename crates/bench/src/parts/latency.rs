//! From an event to the frame that shows it.

use crate::Bench;
use crate::figure::{Figure, Run, Side};
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use e2e::stack::PATIENCE;
use e2e::{Program, Service, Stack, Viewer};
use pipeline::{AckProducer, Message, scan};
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_millis(700);
const LONE_EVENTS: usize = 40;
/// How many of them connect and warm up.
const WARM_UP: usize = 5;
/// How many of the events that are followed are sent a second, and for how long.
const RATE: u64 = 1000;
const SECONDS: u64 = 10;
/// What their players are called, with a digit behind.
const FOLLOWED: &str = "followed-";
/// What each of them is worth: their ten players are the top ten, whatever else flows.
const WORTH: i64 = 1_000_000;
/// How many events flow beside them: together half of what both consumers work through at their best
/// of such events.
const FLOW: u64 = 149_000;

/// What is set up, and how much flows beside.
struct Setting {
    name: &'static str,
    interval_ms: &'static str,
    flow: u64,
}

const SETTINGS: [Setting; 3] = [
    Setting { name: "event to frame at 1,000 events/s", interval_ms: "500", flow: 0 },
    Setting { name: "event to frame at 1,000 events/s, every change published", interval_ms: "0", flow: 0 },
    Setting { name: "event to frame at 150,000 events/s", interval_ms: "500", flow: FLOW },
];

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for setting in &SETTINGS {
        let mut runs = Vec::new();
        for _ in 0..bench.runs {
            runs.push(steady_load(bench, setting).await?);
        }
        figures.push(Figure::of(setting.name, vec![Side::of("the whole way", &runs)]));
    }
    // Last: by now the broker has compiled what it does with records that come one by one.
    let mut runs = Vec::new();
    for _ in 0..bench.runs {
        runs.push(lone_events(&Stack::start(&bench.infra).await).await?);
    }
    figures.push(Figure::of("event to frame after quiet", vec![Side::of("the whole way", &runs)]));
    Ok(figures)
}

/// From handing an event to the producer until its frame is in hand. Of so few the 99th percentile is
/// the slowest.
async fn lone_events(stack: &Stack) -> anyhow::Result<Run> {
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let producer = AckProducer::new(&stack.kafka(), "bench", Duration::ZERO, pipeline::producer::Ack)?;
    let topic = stack.kafka().topic(&GAME_SCORE);
    let mut took = Vec::new();
    for count in 1..=LONE_EVENTS {
        tokio::time::sleep(QUIET).await;
        let begun = Instant::now();
        send(&producer, &topic, 1);
        let wanted = WORTH * i64::try_from(count)?;
        let frame =
            viewer.expect(PATIENCE, |frame| frame.rows().first().is_some_and(|row| row.1 == wanted)).await;
        took.push(frame.at - begun);
    }
    Ok(latency(took.split_off(WARM_UP)))
}

/// From the moment each event was due until the first frame that counts it.
async fn steady_load(bench: &Bench, setting: &Setting) -> anyhow::Result<Run> {
    let mut stack = Stack::bare(&bench.infra).await;
    for service in Service::ALL {
        stack.spawn(service, service.program(), &[("PUBLISH_INTERVAL_MS", setting.interval_ms)]);
    }
    for service in Service::ALL {
        stack.ready(service.program()).await;
    }
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let producer = AckProducer::new(&stack.kafka(), "bench", Duration::ZERO, pipeline::producer::Ack)?;
    let topic = stack.kafka().topic(&GAME_SCORE);
    producer.check(&topic, PATIENCE)?;
    // The followed players are on top before anyone else plays.
    (0..10).for_each(|player| send(&producer, &topic, player));
    let mut counted = 0;
    while counted < 10 {
        counted = events_in(&viewer.next(PATIENCE).await.context("no frame")?);
    }
    let _flow = (setting.flow > 0).then(|| flow(&stack, setting.flow));
    let count = RATE * SECONDS;
    let log_ended = log_end(&stack)?;
    let begun = Instant::now() + QUIET;
    let due = move |event: u64| begun + Duration::from_micros(event * 1_000_000 / RATE);
    let sending = tokio::task::spawn_blocking(move || {
        for number in 0..count {
            std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
            send(&producer, &topic, number % 10);
        }
        producer
    });
    // Of each player, how many were shown.
    let (mut took, mut shown) = (Vec::new(), [0; 10]);
    while (took.len() as u64) < count {
        let frame = viewer.next(PATIENCE).await.context("no frame")?;
        for (name, total) in frame.rows() {
            let player: usize = name.strip_prefix(FOLLOWED).context("another is on top")?.parse()?;
            // The first was sent before.
            let counted = total.unsigned_abs() / WORTH.unsigned_abs() - 1;
            for nth in std::mem::replace(&mut shown[player], counted)..counted {
                took.push(frame.at.saturating_duration_since(due(nth * 10 + player as u64)));
            }
        }
    }
    let sent = log_end(&stack)? - log_ended;
    let per_second = sent as f64 / begun.elapsed().as_secs_f64();
    drop(sending.await?);
    let mut run = latency(took);
    run.push(("events/s".to_owned(), per_second));
    Ok(run)
}

/// How many records the log has.
fn log_end(stack: &Stack) -> anyhow::Result<i64> {
    let kafka = stack.kafka();
    let extents = tokio::task::block_in_place(|| scan::extents(&kafka, &kafka.topic(&GAME_SCORE)))?;
    Ok(extents.values().map(|extent| extent.to).sum())
}

/// How many of the followed events a frame counts: all of their players are its rows.
fn events_in(frame: &e2e::viewer::Frame) -> u64 {
    frame.rows().iter().map(|row| row.1.unsigned_abs() / WORTH.unsigned_abs()).sum()
}

/// Events until it is dropped.
fn flow(stack: &Stack, rate: u64) -> Program {
    let mut command = stack.command("score-generator");
    command.args(["load", "--no-progress", "--nicknames", "false", "--rate", &rate.to_string()]);
    command.args(["--players", "100000", "--max-score", "10"]);
    Program::start("flow", stack.dir(), &mut command)
}

fn send(producer: &AckProducer, topic: &str, player: u64) {
    let key = format!("{FOLLOWED}{player}");
    let payload = format!(r#"{{"score":{WORTH},"user_id":"{key}"}}"#);
    producer.send_unconfirmed(&Message {
        topic,
        key: key.as_bytes(),
        payload: Some(payload.as_bytes()),
        headers: &[],
    });
}

fn latency(mut took: Vec<Duration>) -> Run {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_secs_f64() * 1000.0;
    vec![("p50 ms".to_owned(), at(50)), ("p99 ms".to_owned(), at(99)), ("max ms".to_owned(), at(100))]
}
