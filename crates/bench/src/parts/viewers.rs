//! A frame to two thousand viewers: the controller beside a plain broadcast.

use crate::Bench;
use crate::figure::{Figure, Run, Side};
use crate::meter::Meter;
use anyhow::Context as _;
use contracts::topics::{GAME_SCORE, LEADERBOARD};
use contracts::{PlayerId, Score, Snapshot, SnapshotEntry, Version};
use e2e::stack::PATIENCE;
use e2e::{Program, Service, Stack, until};
use futures_util::StreamExt as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const VIEWERS: usize = 2_000;
const FRAMES: u64 = 20;
/// Between two frames, as the board-cache leaves it.
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Figure> {
    // Each viewer is a connection here; the servers ask for their own.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        let mut stack = Stack::bare(&bench.infra).await;
        stack.spawn(Service::Controller, "controller", &[]);
        stack.ready("controller").await;
        let pid = stack.program("controller").pid();
        let to_topic = async |frame: &str| {
            let record = (GAME_SCORE.name.as_bytes().to_vec(), Some(frame.as_bytes().to_vec()));
            stack.produce_to(&LEADERBOARD, &[record]).await;
            Ok(())
        };
        ours.push(show(&stack.live_url(), pid, to_topic).await?);

        let port = free_ports::kept();
        let mut command = bench.reference("broadcast");
        let program = Program::start("broadcast", stack.dir(), command.arg(format!("127.0.0.1:{port}")));
        until("the reference listens", PATIENCE, async || {
            TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        let to_server = async |frame: &str| {
            ureq::post(format!("http://127.0.0.1:{port}/publish")).send(frame)?;
            Ok(())
        };
        plain.push(show(&format!("ws://127.0.0.1:{port}/live"), program.pid(), to_server).await?);
    }
    let sides = vec![Side::of("controller", &ours), Side::of("a plain broadcast in axum", &plain)];
    let server = "CPU µs server";
    Figure::of("a frame to each of 2,000 viewers", sides).with_ratio("CPU", (0, server), (1, server))
}

/// Publishes frames and waits each time until every viewer has it.
async fn show(
    url: &str,
    server: u32,
    publish: impl AsyncFn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    let (seen, mut frames) = mpsc::channel(VIEWERS);
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        let (mut socket, _) = connect_async(url).await.context("a viewer")?;
        let seen = seen.clone();
        viewers.push(tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                if matches!(message, Message::Text(_)) && seen.send(()).await.is_err() {
                    return;
                }
            }
        }));
    }
    let mut latest = Vec::new();
    let mut meter = Meter::start(&[("server", server)])?;
    for version in 0..=FRAMES {
        if version == 1 {
            // The first one warms up.
            meter = Meter::start(&[("server", server)])?;
        }
        let begun = tokio::time::Instant::now();
        publish(&serde_json::to_string(&snapshot(version + 1)?)?).await?;
        for _ in 0..VIEWERS {
            timeout(PATIENCE, frames.recv()).await.context("a frame that never came")?;
        }
        latest.push(begun.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep_until(begun + INTERVAL).await;
    }
    let mut run = meter.micros_per((VIEWERS as u64 * FRAMES) as f64)?;
    run.truncate(1);
    latest.remove(0);
    latest.sort_by(f64::total_cmp);
    run.push(("ms until all have it".to_owned(), latest[latest.len() / 2]));
    viewers.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(run)
}

fn snapshot(version: u64) -> anyhow::Result<Snapshot> {
    let row = |rank: u64| {
        let player = PlayerId::new(format!("player-{rank}"))?;
        let total = i64::try_from(version * 1000 - rank)?;
        anyhow::Ok(SnapshotEntry::new(rank, &player, Score::new(total, 0), None))
    };
    Ok(Snapshot {
        user_list: (1..=10).map(row).collect::<anyhow::Result<_>>()?,
        current_time_ms: 0.0,
        board: GAME_SCORE.name.to_owned(),
        window: "all".to_owned(),
        version: Version { epoch: 1, version },
        players: 10,
        rebuilding: false,
        stages: None,
    })
}
