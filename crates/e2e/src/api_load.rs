//! Load on the reads of the API: the controller beside a naive server, on one Redis with a million
//! players.

use crate::infra::{Infra, free_port};
use crate::program::Program;
use crate::stack::{PATIENCE, Service, Stack};
use crate::wait::until;
use anyhow::Context as _;
use boards::{Board, BoardSet, Reached, order::sorted_set_score};
use contracts::EventTime;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PLAYERS: u32 = 1_000_000;
const CHUNK: u32 = 10_000;
const CONNECTIONS: u64 = 32;
/// How long each of the two is asked, in turns.
const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 5;
/// Clock ticks a second in /proc, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is asked for, each time of players drawn anew.
#[derive(Clone, Copy, Debug)]
enum Read {
    Top,
    Rank,
    Around,
    Ids,
}

impl Read {
    const ALL: [Self; 4] = [Self::Top, Self::Rank, Self::Around, Self::Ids];

    fn name(self) -> &'static str {
        match self {
            Self::Top => "top 10",
            Self::Rank => "rank of a player",
            Self::Around => "around a player, 10 rows",
            Self::Ids => "10 players by id",
        }
    }

    fn path(self, board: &str, random: &mut ChaCha8Rng) -> String {
        let mut player = || random.next_u32() % PLAYERS;
        match self {
            Self::Top => format!("/v1/boards/{board}/top?limit=10"),
            Self::Rank => format!("/v1/boards/{board}/players/{}", player()),
            Self::Around => format!("/v1/boards/{board}/players/{}/around?size=10", player()),
            Self::Ids => {
                let ids: Vec<String> = (0..10).map(|_| player().to_string()).collect();
                format!("/v1/boards/{board}/players?ids={}", ids.join(","))
            }
        }
    }
}

/// One of the two that are compared.
struct Side {
    address: SocketAddr,
    pid: u32,
    turns: Vec<Turn>,
}

/// What one turn came to.
struct Turn {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    server_micros: f64,
    redis_micros: f64,
}

impl Turn {
    fn micros(&self) -> f64 {
        self.server_micros + self.redis_micros
    }
}

/// Measures both, for each read.
///
/// # Errors
/// When something does not answer as it should.
pub async fn measure(infra: &Infra) -> anyhow::Result<Vec<Value>> {
    let mut stack = Stack::bare(infra).await;
    let boards = BoardSet::default();
    let board = boards.default_board();
    fill(&stack, board).await?;
    // All ask from one address: its rate is checked each time, and never reached.
    let unreached = [("READS_PER_SECOND", "1000000")];
    stack.spawn(Service::Controller, Service::Controller.program(), &unreached);
    stack.ready(Service::Controller.program()).await;

    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(infra.programs.join("naive-api"));
    command.args([&address.to_string(), &stack.redis_url(), &board.name]);
    let naive = Program::start("naive-api", stack.dir(), &mut command);
    until("the naive server listens", PATIENCE, async || {
        TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())
    })
    .await;

    let ours = stack.url().trim_start_matches("http://").parse()?;
    let our_pid = stack.program(Service::Controller.program()).pid();
    let mut figures = Vec::new();
    for read in Read::ALL {
        let side = |address, pid| Side { address, pid, turns: Vec::new() };
        let mut sides = [side(ours, our_pid), side(address, naive.pid())];
        for turn in 0..=TURNS {
            for side in &mut sides {
                let measured = ask(side, read, board, stack.redis_pid(), turn).await?;
                // The first one warms up.
                if turn > 0 {
                    side.turns.push(measured);
                }
            }
        }
        figures.push(compare(read, &sides));
    }
    Ok(figures)
}

/// A board of a million named players, as the ranker would have left it.
async fn fill(stack: &Stack, board: &Board) -> anyhow::Result<()> {
    let client = redis::Client::open(stack.redis_url())?;
    // The client's own limit of half a second is too little for so much at a time.
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let mut redis = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for first in (0..PLAYERS).step_by(CHUNK as usize) {
        let mut pipeline = redis::pipe();
        let mut rows = Vec::new();
        for player in first..first + CHUNK {
            let at = EventTime::from_micros(1_700_000_000_000_000 + i64::from(player) * 1_000_000);
            let reached = Reached::at(at.context("a time within range")?);
            rows.push((sorted_set_score(i64::from(random.next_u32() % 100_000), reached), player));
            pipeline.hset(format!("player:{player}"), "nickname", format!("Player {player}")).ignore();
        }
        pipeline.zadd_multiple(&board.name, &rows).ignore();
        pipeline.query_async::<()>(&mut redis).await?;
    }
    let fields = [("epoch", "1"), ("begun", "1"), ("version", "1"), ("rules", &board.fingerprint())];
    redis::cmd("HSET")
        .arg(format!("{{{}}}:state", board.name))
        .arg(&fields)
        .query_async::<()>(&mut redis)
        .await?;
    Ok(())
}

/// Asks one side from all connections, each for the next thing as soon as it has the one before.
async fn ask(side: &Side, read: Read, board: &Board, redis: u32, turn: usize) -> anyhow::Result<Turn> {
    let name: Arc<str> = board.name.as_str().into();
    let (server_before, redis_before) = (cpu_seconds(side.pid)?, cpu_seconds(redis)?);
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let random = ChaCha8Rng::seed_from_u64(turn as u64 * CONNECTIONS + connection);
        asking.spawn(converse(side.address, read, Arc::clone(&name), random, begun + TURN));
    }
    let mut took = Vec::new();
    while let Some(one) = asking.join_next().await {
        took.extend(one??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let requests = took.len() as f64;
    let at = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1000.0;
    Ok(Turn {
        per_second: requests / seconds,
        p50_ms: at(50),
        p99_ms: at(99),
        server_micros: (cpu_seconds(side.pid)? - server_before) * 1e6 / requests,
        redis_micros: (cpu_seconds(redis)? - redis_before) * 1e6 / requests,
    })
}

/// One connection, kept alive; how long each answer took.
async fn converse(
    address: SocketAddr,
    read: Read,
    board: Arc<str>,
    mut random: ChaCha8Rng,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut took = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < end {
        let request = format!("GET {} HTTP/1.1\r\nHost: bench\r\n\r\n", read.path(&board, &mut random));
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

/// Whether a response is there with all of its body; an error unless its status is 200.
fn whole(bytes: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(&bytes[..head])?;
    anyhow::ensure!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(bytes));
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    };
    let length: usize = text.lines().find_map(header).context("no content-length")?;
    Ok(bytes.len() >= head + 4 + length)
}

fn compare(read: Read, sides: &[Side; 2]) -> Value {
    let [ours, naive] = sides.each_ref().map(|side| {
        let of = |value: fn(&Turn) -> f64| spread(side.turns.iter().map(value).collect());
        let figures = [
            of(|turn| turn.per_second),
            of(|turn| turn.p50_ms),
            of(|turn| turn.p99_ms),
            of(|turn| turn.server_micros),
            of(|turn| turn.redis_micros),
            of(Turn::micros),
        ];
        let [rate, p50, p99, server, redis, both] = figures;
        let text = format!(
            "{:.0}/s ({:.0}-{:.0}), p50 {:.2} ms, p99 {:.2} ms, CPU {:.1} + {:.1} = {:.1} µs ({:.1}-{:.1})",
            rate[1], rate[0], rate[2], p50[1], p99[1], server[1], redis[1], both[1], both[0], both[2],
        );
        let json = json!({
            "per_second": rate, "p50_ms": p50, "p99_ms": p99,
            "server_micros": server, "redis_micros": redis, "micros": both,
        });
        (text, json, both[1])
    });
    let ratio = ours.2 / naive.2;
    let text = format!(
        "{}: controller {}; naive {}; CPU of both processes per request, ratio {ratio:.2}",
        read.name(),
        ours.0,
        naive.0
    );
    eprintln!("{text}");
    json!({"name": read.name(), "controller": ours.1, "naive": naive.1, "cpu_ratio": ratio, "text": text})
}

/// The least, the median, the most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// User and system time of a process so far.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc stat")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}
