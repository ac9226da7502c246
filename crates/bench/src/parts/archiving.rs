//! A backlog into Postgres: the archiver, beside a COPY of the same rows without fence, day
//! partitions and rules, and beside a commit for each row.

use crate::Bench;
use crate::figure::{Figure, Side};
use crate::parts::backlog::{EVENTS, Players, fill, work_through};
use crate::parts::ranking::measured;
use crate::parts::reference::Reference;
use e2e::{Service, Stack};

/// How many are inserted one by one.
const ONE_BY_ONE: u64 = 20_000;
const POSTGRES: &str = "CPU µs postgres";

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Figure> {
    let (mut ours, mut copied, mut inserted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        let mut stack = Stack::bare(&bench.infra).await;
        fill(&stack, Players::EVENLY)?;
        ours.push(work_through(bench, &mut stack, &[Service::Archiver], &[]).await?);
        // Of the rows that are there now.
        for (runs, mode, rows) in [(&mut copied, "copy", EVENTS), (&mut inserted, "rows", ONE_BY_ONE)] {
            let mut command = bench.reference("archive");
            command.args([mode, &stack.postgres_url(), &rows.to_string()]);
            runs.push(measured(&mut Reference::prepare(&mut command)?, ("postgres", bench.postgres), rows)?);
        }
    }
    let sides = vec![
        Side::of("score-archiver", &ours),
        Side::of("a bare COPY with a primary key", &copied),
        Side::of("a commit for each row", &inserted),
    ];
    Figure::of(format!("archived alone, {}", Players::EVENLY.name), sides).with_ratio(
        "Postgres' CPU to a bare COPY",
        (0, POSTGRES),
        (1, POSTGRES),
    )
}
