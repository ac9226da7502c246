//! A backlog into Redis: the ranker, with its fence, ties and an extra window, beside increments
//! without any of that, and beside a consumer that throws everything away.

use crate::Bench;
use crate::figure::{Figure, Run, Side};
use crate::meter::Meter;
use crate::parts::backlog::{EVENTS, Players, fill, work_through};
use crate::parts::reference::Reference;
use contracts::topics::GAME_SCORE;
use e2e::{Service, Stack};

/// How many are sent one by one, where each waits for the one before.
const ONE_BY_ONE: u64 = 100_000;
const WITH_A_WINDOW: &str =
    "[[board]]\nname = \"game-score\"\nwindows = [\"all\", \"day\"]\nallowed_lateness = \"forever\"\n";
const REDIS: &str = "CPU µs redis";

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for players in [Players::EVENLY, Players::UNEVENLY] {
        let mut sides: [Vec<Run>; 6] = Default::default();
        for _ in 0..bench.runs {
            let [plain, windowed, pipelined, twice, one_by_one, consumed] = &mut sides;
            let mut stack = Stack::bare(&bench.infra).await;
            fill(&stack, players)?;
            consumed.push(consume(bench, &stack)?);
            plain.push(work_through(bench, &mut stack, &[Service::Ranker], &[]).await?);
            drop(stack);
            let mut stack = Stack::bare(&bench.infra).await;
            fill(&stack, players)?;
            let boards = stack.dir().join("boards.toml");
            std::fs::write(&boards, WITH_A_WINDOW)?;
            let boards = [("BOARDS_FILE", boards.to_str().unwrap_or_default())];
            windowed.push(work_through(bench, &mut stack, &[Service::Ranker], &boards).await?);
            drop(stack);
            for (runs, mode, events) in [
                (pipelined, "pipelined", EVENTS),
                (twice, "twice", EVENTS),
                (one_by_one, "one-by-one", ONE_BY_ONE),
            ] {
                runs.push(increment(bench, mode, events, players).await?);
            }
        }
        let [plain, windowed, pipelined, twice, one_by_one, consumed] = sides;
        let sides = vec![
            Side::of("score-ranker", &plain),
            Side::of("score-ranker with a window of a day beside", &windowed),
            Side::of("ZINCRBY, a thousand in a pipeline", &pipelined),
            Side::of("the same, each in a second set as well", &twice),
            Side::of("ZINCRBY, one round trip each", &one_by_one),
            Side::of("a bare consumer", &consumed),
        ];
        let figure = Figure::of(format!("ranked alone, {}", players.name), sides)
            .with_ratio("Redis' CPU to pipelined ZINCRBY", (0, REDIS), (2, REDIS))?
            .with_ratio("the same with the window", (1, REDIS), (2, REDIS))?
            .with_ratio("with the window to pipelined ZINCRBY in two sets", (1, REDIS), (3, REDIS))?;
        figures.push(figure);
    }
    Ok(figures)
}

async fn increment(bench: &Bench, mode: &str, events: u64, players: Players) -> anyhow::Result<Run> {
    // For its Redis.
    let stack = Stack::bare(&bench.infra).await;
    let mut command = bench.reference("increment");
    command.args([mode, &stack.redis_url(), &events.to_string()]).args(players.arguments());
    measured(&mut Reference::prepare(&mut command)?, ("redis", stack.redis_pid()), events)
}

fn consume(bench: &Bench, stack: &Stack) -> anyhow::Result<Run> {
    let mut command = bench.reference("consume");
    command.args([&bench.infra.kafka, &stack.kafka().topic(&GAME_SCORE), &EVENTS.to_string()]);
    measured(&mut Reference::prepare(&mut command)?, ("kafka", bench.kafka), EVENTS)
}

/// What a reference and its server take.
pub(super) fn measured(reference: &mut Reference, server: (&str, u32), events: u64) -> anyhow::Result<Run> {
    let meter = Meter::start(&[server, ("reference", reference.pid())])?;
    let mut run = vec![("events/s".to_owned(), events as f64 / reference.go()?)];
    run.extend(meter.micros_per(events as f64)?);
    Ok(run)
}
