//! How fast the writer is: `copy_rate URL [ROWS]`, on a database that holds nothing yet.
#![expect(clippy::print_stdout, reason = "the figures are the output")]

use anyhow::Context as _;
use archive_store::{ArchiveBatch, ArchiveStore, Place};
use contracts::{EventTime, ScoreEvent};
use pipeline::sink::{LogBounds, Partition, Span, Step};
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 6;
const PLAYERS: i64 = 100_000;
const CHAIN: usize = 4;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: copy_rate URL [ROWS]")?;
    let rows: i64 = arguments.next().map_or(Ok(1_000_000), |rows| rows.parse())?;
    let store = ArchiveStore::new(&url.parse()?, vec!["game-score".to_owned()])?;
    store.migrate().await?;
    let partition = |number| Partition { topic: 0, number };
    let log: Vec<_> = (0..PARTITIONS)
        .map(|number| LogBounds { partition: partition(number), low: 0, high: rows })
        .collect();
    store.open(&log.iter().map(|bounds| bounds.partition).collect::<Vec<_>>(), &log).await?;

    let begun = Instant::now();
    let mut encoding = Duration::ZERO;
    let mut next = 0;
    while next < rows {
        let encode = Instant::now();
        let mut chain = Vec::new();
        while next < rows && chain.len() < CHAIN {
            let mut batch = ArchiveBatch::default();
            let first = next;
            while next < rows && !batch.is_full() {
                batch.add_event(place(next)?, &event(next)?);
                next += 1;
            }
            chain.push(Step { batch, spans: spans(first, next), records: (next - first).unsigned_abs() });
        }
        encoding += encode.elapsed();
        store.write(&chain).await?;
    }
    let took = begun.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = |took: Duration| rows as f64 / took.as_secs_f64();
    println!("{rows} rows in {took:.2?}: {:.0} rows/s", rate(took));
    println!(
        "making and encoding them took {encoding:.2?} of it; writing alone: {:.0} rows/s",
        rate(took - encoding)
    );
    Ok(())
}

fn now(index: i64) -> anyhow::Result<EventTime> {
    EventTime::from_micros(1_795_262_400_000_000 + index * 100).context("not in range")
}

/// Records are dealt to the partitions in turn.
fn place(index: i64) -> anyhow::Result<Place> {
    let partition = i32::try_from(index % i64::from(PARTITIONS))?;
    Ok(Place { partition, offset: index / i64::from(PARTITIONS), arrived_at: now(index)? })
}

fn spans(first: i64, end: i64) -> Vec<Span> {
    // How many of the first `count` records lie in the partition.
    let within =
        |count: i64, number: i32| (count + i64::from(PARTITIONS - 1 - number)) / i64::from(PARTITIONS);
    (0..PARTITIONS)
        .map(|number| Span {
            partition: Partition { topic: 0, number },
            from: within(first, number),
            to: within(end, number),
        })
        .collect()
}

fn event(index: i64) -> anyhow::Result<ScoreEvent> {
    let player = (index * 7_919) % PLAYERS;
    let payload = format!(r#"{{"score":{},"user_id":{player}}}"#, index % 1_000);
    Ok(ScoreEvent::decode(Some(payload.as_bytes()), now(index)?)?)
}
