//! The services when nothing happens, with ten viewers.

use crate::Bench;
use crate::figure::{Figure, Side};
use crate::meter::{Meter, resident_megabytes};
use e2e::{Service, Stack, Viewer};
use std::time::Duration;

const VIEWERS: usize = 10;
/// Until everything has come to rest.
const SETTLES: Duration = Duration::from_secs(10);
/// How long is measured each time.
const TURN: Duration = Duration::from_secs(10);

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Figure> {
    let mut stack = Stack::start(&bench.infra).await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        viewers.push(Viewer::connect(&stack.live_url()).await);
    }
    tokio::time::sleep(SETTLES).await;
    let services = Service::ALL.map(Service::program);
    let pids = services.map(|name| (name, stack.program(name).pid()));
    let mut runs = Vec::new();
    for _ in 0..bench.runs {
        let meter = Meter::start(&pids)?;
        tokio::time::sleep(TURN).await;
        // Of one core, in percent: microseconds by ten thousandths of a second.
        let of_turn = meter.micros_per(meter.seconds() * 1e4)?;
        let mut run: Vec<_> =
            of_turn.into_iter().map(|(name, share)| (name.replace("CPU µs", "% of a core"), share)).collect();
        let resident: Vec<f64> =
            pids.iter().map(|(_, pid)| resident_megabytes(*pid)).collect::<anyhow::Result<_>>()?;
        let of_each = pids.iter().zip(&resident).map(|((name, _), each)| (format!("MB {name}"), *each));
        run.extend(of_each);
        run.push(("MB all".to_owned(), resident.iter().sum()));
        runs.push(run);
    }
    Ok(Figure::of("at rest, 10 viewers", vec![Side::of("the services", &runs)]))
}
