//! Server-Sent Events.

use crate::support::{Controller, DEADLINE, Setup, until};
use controller::live::ViewerLimits;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATH: &str = "/v1/boards/game-score/events";
/// More than the sockets of both sides hold.
const LARGE_BYTES: usize = 8 * 1024 * 1024;

/// A viewer that reads what comes, chunk marks included.
struct Viewer {
    stream: TcpStream,
    read: String,
}

impl Viewer {
    async fn connect(controller: &Controller, headers: &str) -> Self {
        let mut stream = TcpStream::connect(controller.address).await.unwrap();
        let head = format!("GET {PATH} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, read: String::new() }
    }

    /// Reads on; whether there was anything.
    async fn more(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        let length =
            timeout(DEADLINE, self.stream.read(&mut bytes)).await.expect("nothing came in time").unwrap();
        self.read += std::str::from_utf8(&bytes[..length]).unwrap();
        length > 0
    }

    async fn sees(&mut self, text: &str) {
        while !self.read.contains(text) {
            assert!(self.more().await, "it ended with {}", self.read);
        }
    }

    /// How many of such events came.
    fn count(&self, text: &str) -> usize {
        self.read.matches(text).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_snapshot_comes_at_once_and_then_every_newer_one() {
    let controller = Controller::start(Setup::default()).await;
    controller.publish(1, 1, 0);
    let second = controller.publish(1, 2, 0);
    let mut viewer = Viewer::connect(&controller, "").await;
    viewer.sees(&format!("id: 1-2\nevent: snapshot\ndata: {second}\n\n")).await;
    assert!(
        viewer.read.contains("content-type: text/event-stream\r\n")
            && viewer.read.contains("retry: 2000\n\n")
    );
    assert_eq!(viewer.count("event:"), 1);
    controller.publish(1, 1, 0);
    let anew = controller.publish(2, 0, 0);
    viewer.sees(&format!("id: 2-0\nevent: snapshot\ndata: {anew}\n\n")).await;
    assert_eq!(viewer.count("event:"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_who_has_the_newest_gets_nothing_until_there_is_a_newer_one() {
    let controller = Controller::start(Setup::default()).await;
    controller.publish(3, 7, 0);
    let mut up_to_date = Viewer::connect(&controller, "Last-Event-ID: 3-7\r\n").await;
    let mut ahead = Viewer::connect(&controller, "Last-Event-ID: 3-8\r\n").await;
    let mut behind = Viewer::connect(&controller, "Last-Event-ID: 3-6\r\n").await;
    let mut odd = Viewer::connect(&controller, "Last-Event-ID: yesterday\r\n").await;
    behind.sees("id: 3-7\n").await;
    odd.sees("id: 3-7\n").await;
    up_to_date.sees("retry:").await;
    ahead.sees("retry:").await;
    controller.publish(3, 8, 0);
    up_to_date.sees("id: 3-8\n").await;
    behind.sees("id: 3-8\n").await;
    controller.publish(3, 9, 0);
    ahead.sees("id: 3-9\n").await;
    assert_eq!((up_to_date.count("event:"), ahead.count("event:"), behind.count("event:")), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_viewer_skips_to_the_newest() {
    let controller = Controller::start(Setup::default()).await;
    let mut viewer = Viewer::connect(&controller, "").await;
    viewer.sees("retry:").await;
    controller.publish(1, 1, LARGE_BYTES);
    timeout(DEADLINE, viewer.stream.readable()).await.unwrap().unwrap();
    for version in 2..=500 {
        controller.publish(1, version, 1000);
    }
    viewer.sees("id: 1-500\n").await;
    assert!(viewer.count("event:") <= 4, "{} were sent", viewer.count("event:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_share_the_seats_of_the_websocket() {
    let controller = Controller::start(Setup { viewers: 1, ..Setup::default() }).await;
    let viewer = Viewer::connect(&controller, "").await;
    controller.seated(1).await;
    let answer = controller.get(PATH).await;
    assert_eq!((answer.status, answer.problem().0.as_str()), (503, "too-many-viewers"));
    drop(viewer);
    controller.publish(1, 1, 0);
    controller.seated(0).await;
    assert_eq!(controller.get("/v1/boards/none/events").await.problem().0, "unknown-board");
    assert_eq!(controller.get(&format!("{PATH}?x=1")).await.problem().1.as_deref(), Some("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_filled_with_heartbeats() {
    let viewer_limits = ViewerLimits { ping_every: Duration::from_millis(50), ..ViewerLimits::default() };
    let controller = Controller::start(Setup { viewer_limits, ..Setup::default() }).await;
    let mut viewer = Viewer::connect(&controller, "").await;
    while viewer.count("\n:\n\n") < 3 {
        assert!(viewer.more().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_are_sent_away_when_the_process_stops_whatever_goes_on() {
    let controller = Controller::start(Setup { viewers: 3_000, ..Setup::default() }).await;
    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(Viewer::connect(&controller, "").await);
    }
    controller.seated(20).await;
    controller.stop.cancel();
    // A board that goes on moving does not keep them.
    for version in 0..20 {
        controller.publish(1, version, 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for viewer in &mut viewers {
        while viewer.more().await {}
        assert!(viewer.read.ends_with("0\r\n\r\n"), "it broke off: {}", viewer.read);
    }
    let serving = controller.serving;
    until(|| serving.is_finished()).await;
}
