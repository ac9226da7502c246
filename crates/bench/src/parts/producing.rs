//! Events into Kafka, each acknowledged: the generator beside a loop that makes nothing.

use crate::Bench;
use crate::figure::{Figure, Run, Side};
use crate::meter::{self, Meter};
use crate::parts::reference::Reference;
use contracts::topics::GAME_SCORE;
use e2e::Stack;
use std::time::Instant;

const EVENTS: u64 = 3_000_000;

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Figure> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        let stack = Stack::bare(&bench.infra).await;
        let mut generator = stack.command("score-generator");
        generator.args(["load", "--rate", "0", "--seed", "1", "--no-progress", "--nicknames", "false"]);
        generator.args(["--count", &EVENTS.to_string(), "--players", "1000000", "--zipf", "0"]);
        let (broker, begun) = (Meter::start(&[("kafka", bench.kafka)])?, Instant::now());
        let (_, cpu) = meter::run(&mut generator)?;
        ours.push(run(begun.elapsed().as_secs_f64(), cpu, &broker)?);
        drop(stack);

        let stack = Stack::bare(&bench.infra).await;
        let mut command = bench.reference("produce");
        command.args([&bench.infra.kafka, &stack.kafka().topic(&GAME_SCORE), &EVENTS.to_string()]);
        let mut reference = Reference::prepare(&mut command)?;
        let broker = Meter::start(&[("kafka", bench.kafka)])?;
        let seconds = reference.go()?;
        bare.push(run(seconds, meter::cpu_seconds(reference.pid())?, &broker)?);
    }
    let sides = vec![Side::of("score-generator", &ours), Side::of("a bare librdkafka loop", &bare)];
    let producer = "CPU µs producer";
    Figure::of("3,000,000 events acknowledged by Kafka", sides).with_ratio(
        producer,
        (0, producer),
        (1, producer),
    )
}

fn run(seconds: f64, producer: f64, broker: &Meter) -> anyhow::Result<Run> {
    let events = EVENTS as f64;
    let mut run = vec![
        ("events/s".to_owned(), events / seconds),
        ("CPU µs producer".to_owned(), producer * 1e6 / events),
    ];
    // The broker alone: together with the producer, whose time was taken otherwise, it means nothing.
    run.extend(broker.micros_per(events)?.into_iter().take(1));
    Ok(run)
}
