//! Two thousand viewers. Run with
//! `cargo test --release -p controller -- --ignored --nocapture two_thousand`.

use crate::support::{Controller, Setup, next_text};
use controller::live::ViewerLimits;
use controller::server::{ServerLimits, room_for};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const VIEWERS: u32 = 2_000;
const FRAMES: u64 = 20;
/// About a top ten.
const FRAME_BYTES: usize = 1_000;

/// Processor time of this process so far: server and viewers together.
fn processor_time() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let micros =
        |time: nix::sys::time::TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

#[ignore = "a measurement: cargo test --release -p controller -- --ignored --nocapture two_thousand"]
#[test]
fn two_thousand_viewers_see_twenty_frames() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    // Both ends of every connection are in this process.
    assert_eq!(room_for(2 * VIEWERS), 2 * VIEWERS, "ulimit -n");
    let server_limits = ServerLimits::new(VIEWERS + 10);
    let viewer_limits = ViewerLimits::default();
    let setup = Setup { viewers: VIEWERS, server_limits, viewer_limits, ..Setup::default() };
    let controller = Controller::start(setup).await;

    let begun = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..VIEWERS {
        clients.push(controller.connect().await);
    }
    controller.seated(clients.len()).await;
    println!("{VIEWERS} viewers connected in {:?}", begun.elapsed());

    let mut slowest = Vec::new();
    let before = processor_time();
    let begun = Instant::now();
    for version in 1..=FRAMES {
        let published = controller.publish(1, version, FRAME_BYTES);
        let at = Instant::now();
        let mut reading = JoinSet::new();
        for mut client in clients.drain(..) {
            reading.spawn(async move { (next_text(&mut client).await, client) });
        }
        while let Some(read) = reading.join_next().await {
            let (text, client) = read.unwrap();
            assert_eq!(text, published);
            clients.push(client);
        }
        slowest.push(at.elapsed());
    }
    slowest.sort();
    let (elapsed, busy) = (begun.elapsed(), processor_time() - before);
    let frames = u64::from(VIEWERS) * FRAMES;
    println!(
        "{frames} frames in {elapsed:?}, {busy:?} of processor time (server and clients), {:.1} us a frame; \
         a frame is with all viewers after {:?} (median), {:?} (worst)",
        busy.as_secs_f64() * 1e6 / frames as f64,
        slowest[slowest.len() / 2],
        slowest[slowest.len() - 1],
    );
}
