//! The same totals by Kafka Streams, exactly once, beside the ranker.

use crate::Bench;
use crate::figure::{Figure, Side};
use crate::meter::{self, Meter};
use crate::parts::backlog::{EVENTS, Players, fill, work_through};
use crate::parts::reference::Reference;
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use e2e::{Service, Stack};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/streams/Totals.java");
const POM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/streams/pom.xml");

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Figure> {
    let jars = [fetched(bench)?, kafka_jars()?];
    let (mut ours, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        let mut stack = Stack::bare(&bench.infra).await;
        fill(&stack, Players::EVENLY)?;
        ours.push(work_through(bench, &mut stack, &[Service::Ranker], &[]).await?);
        streams.push(run(bench, &stack, &jars)?);
    }
    let sides = vec![Side::of("score-ranker", &ours), Side::of("Kafka Streams, exactly_once_v2", &streams)];
    Figure::of(format!("totals of a backlog, {}", Players::EVENLY.name), sides)
        .with_ratio("events/s", (0, "events/s"), (1, "events/s"))?
        .with_ratio("CPU with all servers", (0, "CPU µs all"), (1, "CPU µs all"))
}

fn run(bench: &Bench, stack: &Stack, jars: &[PathBuf; 2]) -> anyhow::Result<crate::figure::Run> {
    let mut java = Command::new("java");
    java.args(["-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"]);
    java.arg(format!("{}/*:{}/*", jars[0].display(), jars[1].display())).arg(PROGRAM);
    java.args([&bench.infra.kafka, &stack.kafka().topic(&GAME_SCORE)]);
    java.arg(stack.dir().join("streams")).arg(EVENTS.to_string());
    // Ready with its first event: neither its start nor its compilation is counted.
    let mut reference = Reference::prepare(&mut java)?;
    let meter = Meter::start(&[("kafka", bench.kafka), ("Kafka Streams", reference.pid())])?;
    let mut run = vec![("events/s".to_owned(), EVENTS as f64 / reference.go()?)];
    run.extend(meter.micros_per(EVENTS as f64)?);
    reference.end()?;
    Ok(run)
}

/// The jars that it needs beside Kafka's, fetched once.
fn fetched(bench: &Bench) -> anyhow::Result<PathBuf> {
    let jars = bench.infra.programs.join("../bench/streams-jars");
    std::fs::create_dir_all(&jars)?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime"]);
    meter::run(maven.arg(format!("-DoutputDirectory={}", absolute(&jars)?.display())))?;
    absolute(&jars)
}

/// Those of the broker, which have the rest.
fn kafka_jars() -> anyhow::Result<PathBuf> {
    let jars = std::env::var("RANKSTREAM_TEST_KAFKA_JARS").context("RANKSTREAM_TEST_KAFKA_JARS")?;
    absolute(Path::new(&jars))
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| path.display().to_string())
}
