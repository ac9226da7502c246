//! Clients that do not play along.

use crate::support::{Controller, DEADLINE, Setup};
use controller::server::ServerLimits;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long until the server has closed the connection.
async fn closed_after(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    drop(timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("it was never closed"));
    begun.elapsed()
}

fn strict() -> Setup {
    let limit = Duration::from_millis(300);
    let server_limits = ServerLimits { head: limit, stall: limit, drain: limit, ..ServerLimits::new(200) };
    Setup { server_limits, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_says_nothing_or_not_enough_is_closed() {
    let controller = Controller::start(strict()).await;
    for said in ["", "GET / HTTP/1.1\r\nHost: te", "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"] {
        let mut stream = TcpStream::connect(controller.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let after = closed_after(&mut stream).await;
        assert!(after < Duration::from_secs(2), "{said:?}: {after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_takes_no_answers_is_closed() {
    let controller = Controller::start(strict()).await;
    let mut stream = TcpStream::connect(controller.address).await.unwrap();
    let request = b"GET /static/style.css HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100);
    let talks = async { while stream.write_all(&request).await.is_ok() {} };
    timeout(DEADLINE, talks).await.expect("it was never closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_request_is_bounded() {
    let controller = Controller::start(Setup::default()).await;
    let large = controller.ask("GET", "/livez", &format!("X: {}\r\n", "x".repeat(20_000))).await;
    assert_eq!(large.status, 431);
    let many = controller.ask("GET", "/livez", &"X: x\r\n".repeat(100)).await;
    assert_eq!(many.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let server_limits = ServerLimits::new(1);
    let controller = Controller::start(Setup { server_limits, ..Setup::default() }).await;
    let viewer = controller.connect().await;
    let waiting = controller.get("/livez");
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_millis(200), &mut waiting).await.is_err(), "a websocket holds its place");
    drop(viewer);
    assert_eq!(timeout(DEADLINE, waiting).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_does_not_hold_up_the_end() {
    let controller = Controller::start(strict()).await;
    let mut half = TcpStream::connect(controller.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(controller.get("/livez").await.status, 200);
    controller.stop.cancel();
    timeout(Duration::from_secs(2), controller.serving).await.unwrap().unwrap();
}
