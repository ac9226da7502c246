//! A board of a million players, made anew from the archive.

use crate::Bench;
use crate::figure::{Figure, Side};
use crate::parts::backlog::{EVENTS, LIMIT, records_taken};
use anyhow::Context as _;
use e2e::{Service, Stack, until};
use serde_json::Value;

/// How many records are produced at a time.
const CHUNK: usize = 50_000;

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Figure> {
    let stack = Stack::start(&bench.infra).await;
    // Each player has an event. Drawn at random, a third of the players would have none.
    for first in (0..EVENTS).step_by(CHUNK) {
        let event = |player| format!(r#"{{"score":{},"user_id":{player}}}"#, 1 + player % 1000).into_bytes();
        let players = first..first + CHUNK as u64;
        let records: Vec<_> =
            players.map(|player| (player.to_string().into_bytes(), Some(event(player)))).collect();
        stack.produce(&records).await;
    }
    until("everything is ranked and archived", LIMIT, async || {
        let names = [Service::Ranker, Service::Archiver].map(Service::program);
        let taken = names.map(|name| records_taken(&stack.metrics(name)));
        if taken.iter().all(|taken| *taken >= EVENTS) { Ok(()) } else { Err(format!("{taken:?}")) }
    })
    .await;
    let mut runs = Vec::new();
    for _ in 0..bench.runs {
        let rebuilt = stack.command("boardctl").args(["rebuild", "--from", "archive", "--json"]).output()?;
        anyhow::ensure!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        let answer: Value = serde_json::from_slice(&rebuilt.stdout)?;
        runs.push(vec![("seconds".to_owned(), answer["seconds"].as_f64().context("seconds")?)]);
    }
    let verified = stack.command("boardctl").arg("verify").output()?;
    anyhow::ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    Ok(Figure::of(
        "a board of 1,000,000 players from the archive, verified afterwards",
        vec![Side::of("boardctl rebuild", &runs)],
    ))
}
