//! Load on the API: the controller beside a naive server, on one Redis with a million players, at
//! rest and while events flow.

use crate::Bench;
use crate::figure::{Figure, Run, Side};
use crate::meter::cpu_seconds;
use anyhow::Context as _;
use contracts::topics::GAME_SCORE;
use e2e::stack::{PATIENCE, WRITER};
use e2e::{Program, Service, Stack, until};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PLAYERS: u32 = 1_000_000;
const CHUNK: u32 = 50_000;
/// How long filling the board may take.
const FILL_LIMIT: Duration = Duration::from_secs(120);
/// Events a second, where events flow.
const FLOW: u32 = 20_000;
/// Until the flow is steady.
const FLOW_BEGINS: Duration = Duration::from_secs(3);
const NAIVE_BOARD: &str = "naive";
const CONNECTIONS: u64 = 32;
/// How long each of the two is asked, in turns.
const TURN: Duration = Duration::from_secs(2);
const ALL: &str = "CPU µs all";

/// What is asked for, each time of players drawn anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Top,
    Rank,
    Around,
    Ids,
    Submit,
}

impl Ask {
    const ALL: [Self; 5] = [Self::Top, Self::Rank, Self::Around, Self::Ids, Self::Submit];

    fn name(self) -> &'static str {
        match self {
            Self::Top => "top 10",
            Self::Rank => "rank of a player",
            Self::Around => "around a player, 10 rows",
            Self::Ids => "10 players by id",
            Self::Submit => "submit a score",
        }
    }

    fn request(self, random: &mut ChaCha8Rng) -> String {
        let board = GAME_SCORE.name;
        let mut player = || random.next_u32() % PLAYERS;
        let path = match self {
            Self::Top => format!("/v1/boards/{board}/top?limit=10"),
            Self::Rank => format!("/v1/boards/{board}/players/{}", player()),
            Self::Around => format!("/v1/boards/{board}/players/{}/around?size=10", player()),
            Self::Ids => {
                let ids: Vec<String> = (0..10).map(|_| player().to_string()).collect();
                format!("/v1/boards/{board}/players?ids={}", ids.join(","))
            }
            Self::Submit => {
                let event = format!(r#"{{"score":1,"user_id":{}}}"#, player());
                return format!(
                    "POST /v1/scores HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {WRITER}\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
                    event.len()
                );
            }
        };
        format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n")
    }
}

/// One of the two that are compared: where it listens, and its processes.
struct Target {
    address: SocketAddr,
    server: u32,
    /// Those through which a score goes once it was taken.
    behind: Vec<u32>,
}

/// Seconds, or seconds a second.
#[derive(Clone, Copy, Default)]
struct Cpu {
    server: f64,
    redis: f64,
}

impl Target {
    /// What it has used so far that may be for what is asked.
    fn cpu(&self, ask: Ask, redis: u32) -> anyhow::Result<Cpu> {
        let behind = self.behind.iter().filter(|_| ask == Ask::Submit);
        let server = [&self.server].into_iter().chain(behind).map(|pid| cpu_seconds(*pid));
        Ok(Cpu { server: server.sum::<anyhow::Result<f64>>()?, redis: cpu_seconds(redis)? })
    }

    /// What it uses a second while nobody asks.
    async fn idle(&self, ask: Ask, redis: u32) -> anyhow::Result<Cpu> {
        let (begun, before) = (Instant::now(), self.cpu(ask, redis)?);
        tokio::time::sleep(TURN / 2).await;
        let (seconds, after) = (begun.elapsed().as_secs_f64(), self.cpu(ask, redis)?);
        Ok(Cpu {
            server: (after.server - before.server) / seconds,
            redis: (after.redis - before.redis) / seconds,
        })
    }
}

/// Measures both, for each question.
pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut stack = Stack::bare(&bench.infra).await;
    // All ask from one address: its rate is checked each time, and never reached.
    let unreached = [("READS_PER_SECOND", "1000000"), ("WRITES_PER_SECOND", "1000000")];
    for service in [Service::Ranker, Service::BoardCache, Service::Controller] {
        stack.spawn(service, service.program(), &unreached);
        stack.ready(service.program()).await;
    }
    fill(&stack).await?;

    let address = SocketAddr::from(([127, 0, 0, 1], free_ports::kept()));
    let mut command = bench.reference("api");
    let _: u64 = stack.redis(&["COPY", GAME_SCORE.name, NAIVE_BOARD]);
    command.args([&address.to_string(), &stack.redis_url(), NAIVE_BOARD]);
    let naive = Program::start("naive", stack.dir(), &mut command);
    until("the naive server listens", PATIENCE, async || {
        TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())
    })
    .await;

    let ours = stack.url().trim_start_matches("http://").parse()?;
    let mut pid = |service: Service| stack.program(service.program()).pid();
    let server = pid(Service::Controller);
    let behind = vec![bench.kafka, pid(Service::Ranker), pid(Service::BoardCache)];
    let targets = [
        Target { address: ours, server, behind },
        Target { address, server: naive.pid(), behind: Vec::new() },
    ];
    let redis = stack.redis_pid();
    let mut figures = Vec::new();
    for flows in [false, true] {
        let flow = flows.then(|| flow(&stack));
        if flows {
            tokio::time::sleep(FLOW_BEGINS).await;
        }
        for ask in Ask::ALL {
            figures.push(side_by_side(bench, ask, &targets, redis, flows).await?);
        }
        drop(flow);
    }
    Ok(figures)
}

/// Events until it is dropped.
fn flow(stack: &Stack) -> Program {
    let mut command = stack.command("score-generator");
    command.args(["load", "--no-progress", "--nicknames", "false", "--rate", &FLOW.to_string()]);
    command.args(["--players", &PLAYERS.to_string()]);
    Program::start("flow", stack.dir(), &mut command)
}

async fn side_by_side(
    bench: &Bench,
    ask: Ask,
    targets: &[Target; 2],
    redis: u32,
    flows: bool,
) -> anyhow::Result<Figure> {
    let mut turns = [Vec::new(), Vec::new()];
    for turn in 0..=bench.runs {
        for (target, turns) in targets.iter().zip(&mut turns) {
            // What is done for others meanwhile is not counted.
            let others = flows || ask == Ask::Submit;
            let idle = if others { target.idle(ask, redis).await? } else { Cpu::default() };
            let measured = measure_turn(target, ask, redis, idle, turn).await?;
            // The first one warms up.
            if turn > 0 {
                turns.push(measured);
            }
        }
    }
    let beside = if flows { format!(", {FLOW} events/s flowing") } else { String::new() };
    let sides = vec![Side::of("controller", &turns[0]), Side::of("naive", &turns[1])];
    Figure::of(format!("API, {}{beside}", ask.name()), sides).with_ratio("CPU", (0, ALL), (1, ALL))
}

/// A board of a million named players, made by the ranker.
async fn fill(stack: &Stack) -> anyhow::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for first in (0..PLAYERS).step_by(CHUNK as usize) {
        let event = |player: u32| {
            let score = random.next_u32() % 100_000;
            let event = format!(r#"{{"score":{score},"user_id":{player},"nickname":"Player {player}"}}"#);
            (player.to_string().into_bytes(), Some(event.into_bytes()))
        };
        let records: Vec<_> = (first..first + CHUNK).map(event).collect();
        stack.produce(&records).await;
    }
    until("the board is full", FILL_LIMIT, async || {
        let players: u64 = stack.redis(&["ZCARD", GAME_SCORE.name]);
        if players == u64::from(PLAYERS) { Ok(()) } else { Err(format!("{players} players")) }
    })
    .await;
    Ok(())
}

/// Asks one side from all connections, each for the next thing as soon as it has the one before.
async fn measure_turn(target: &Target, ask: Ask, redis: u32, idle: Cpu, turn: usize) -> anyhow::Result<Run> {
    let before = target.cpu(ask, redis)?;
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let random = ChaCha8Rng::seed_from_u64(turn as u64 * CONNECTIONS + connection);
        asking.spawn(converse(target.address, ask, random, begun + TURN));
    }
    let mut took = Vec::new();
    while let Some(one) = asking.join_next().await {
        took.extend(one??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let requests = took.len() as f64;
    let at = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1000.0;
    let after = target.cpu(ask, redis)?;
    let micros = |before: f64, after: f64, idle: f64| (after - before - idle * seconds) * 1e6 / requests;
    let server = micros(before.server, after.server, idle.server);
    let redis = micros(before.redis, after.redis, idle.redis);
    let run = [
        ("requests/s", requests / seconds),
        ("p50 ms", at(50)),
        ("p99 ms", at(99)),
        ("CPU µs server", server),
        ("CPU µs redis", redis),
        (ALL, server + redis),
    ];
    Ok(run.map(|(name, value)| (name.to_owned(), value)).into())
}

/// One connection, kept alive; how long each answer took.
async fn converse(
    address: SocketAddr,
    ask: Ask,
    mut random: ChaCha8Rng,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut took = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < end {
        let request = ask.request(&mut random);
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            let count = stream.read(&mut buffer[filled..]).await?;
            anyhow::ensure!(
                count > 0,
                "the connection ended: {}",
                String::from_utf8_lossy(&buffer[..filled])
            );
            filled += count;
            if whole(&buffer[..filled])? {
                break;
            }
        }
        took.push(begun.elapsed());
    }
    Ok(took)
}

/// Whether a response is there with all of its body; an error unless it is a success.
fn whole(bytes: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(&bytes[..head])?;
    anyhow::ensure!(text.starts_with("HTTP/1.1 20"), "{}", String::from_utf8_lossy(bytes));
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    };
    let length: usize = text.lines().find_map(header).context("no content-length")?;
    Ok(bytes.len() >= head + 4 + length)
}
