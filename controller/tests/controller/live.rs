//! The websocket of the plain form.

use crate::support::{Client, Controller, DEADLINE, Setup, close_code, next_text, until, version_of};
use controller::live::ViewerLimits;
use futures_util::SinkExt as _;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, connect_async};

/// Waits for the first bytes of a frame without taking them.
async fn begun_to_come(client: &Client) {
    let MaybeTlsStream::Plain(stream) = client.get_ref() else { panic!("no TLS here") };
    timeout(DEADLINE, stream.readable()).await.unwrap().unwrap();
}

/// More than the sockets of both sides hold.
const LARGE_BYTES: usize = 8 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn newest_snapshot_is_shown_at_once_and_then_every_newer_one() {
    let controller = Controller::start(Setup::default()).await;
    controller.publish(1, 1, 0);
    let second = controller.publish(1, 2, 0);
    let mut client = controller.connect().await;
    assert_eq!(next_text(&mut client).await, second);
    controller.publish(1, 1, 0);
    let third = controller.publish(1, 3, 0);
    assert_eq!(next_text(&mut client).await, third);
    let anew = controller.publish(2, 0, 0);
    assert_eq!(next_text(&mut client).await, anew);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_who_comes_first_gets_the_first_snapshot() {
    let controller = Controller::start(Setup::default()).await;
    let mut client = controller.connect().await;
    controller.seated(1).await;
    let first = controller.publish(1, 1, 0);
    assert_eq!(next_text(&mut client).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_of_a_burst_always_shows() {
    let controller = Controller::start(Setup::default()).await;
    let mut client = controller.connect().await;
    for burst in 1..=100 {
        for step in 0..50 {
            controller.publish(burst, step, 100);
        }
        let last = controller.publish(burst, 50, 100);
        while next_text(&mut client).await != last {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_viewer_skips_to_the_newest() {
    let controller = Controller::start(Setup::default()).await;
    let mut client = controller.connect().await;
    controller.seated(1).await;
    // It does not read for now, and the first frame is more than its socket holds.
    controller.publish(1, 1, LARGE_BYTES);
    begun_to_come(&client).await;
    for version in 2..=500 {
        controller.publish(1, version, 1000);
    }
    assert_eq!(version_of(&next_text(&mut client).await), 1);
    assert_eq!(version_of(&next_text(&mut client).await), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_never_reads_is_closed_and_nobody_else_feels_it() {
    let write = Duration::from_secs(1);
    let viewer_limits = ViewerLimits { write, ..ViewerLimits::default() };
    let controller = Controller::start(Setup { viewer_limits, ..Setup::default() }).await;
    let mut reader = controller.connect().await;
    controller.seated(1).await;
    let _never_reads = controller.connect().await;
    controller.seated(2).await;
    let large = controller.publish(1, 1, LARGE_BYTES);
    assert_eq!(next_text(&mut reader).await, large);
    let begun = Instant::now();
    let mut version = 1;
    while controller.seats.taken() == 2 {
        version += 1;
        let published = controller.publish(1, version, 100);
        let sent = Instant::now();
        assert_eq!(next_text(&mut reader).await, published);
        assert!(sent.elapsed() < write / 2, "the other viewer was felt");
        assert!(begun.elapsed() < DEADLINE);
    }
    assert!(version > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_viewer_is_closed_and_one_that_answers_pings_is_not() {
    let viewer_limits = ViewerLimits {
        ping_every: Duration::from_millis(100),
        silence: Duration::from_millis(400),
        ..ViewerLimits::default()
    };
    let controller = Controller::start(Setup { viewer_limits, ..Setup::default() }).await;
    let mut answers = controller.connect().await;
    controller.seated(1).await;
    // A client answers pings only while it is being read.
    let _silent = controller.connect().await;
    controller.seated(2).await;
    let mut left_at = None;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1200) {
        drop(timeout(Duration::from_millis(20), futures_util::StreamExt::next(&mut answers)).await);
        if controller.seats.taken() == 1 && left_at.is_none() {
            left_at = Some(begun.elapsed());
        }
    }
    assert!(left_at.is_some_and(|at| at >= Duration::from_millis(300)), "{left_at:?}");
    assert_eq!(controller.seats.taken(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_viewers_are_ignored_until_they_are_a_flood() {
    let controller = Controller::start(Setup::default()).await;
    let mut client = controller.connect().await;
    for _ in 0..10 {
        client.send(Message::text("hello")).await.unwrap();
    }
    let first = controller.publish(1, 1, 0);
    assert_eq!(next_text(&mut client).await, first);
    for _ in 0..100 {
        // It may be closed before it is done.
        drop(client.send(Message::text("hello")).await);
    }
    assert!(matches!(close_code(&mut client).await, Some(1008) | None));
    controller.seated(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_message_closes() {
    let controller = Controller::start(Setup::default()).await;
    let mut client = controller.connect().await;
    controller.seated(1).await;
    client.send(Message::text("x".repeat(5 * 1024))).await.unwrap();
    controller.seated(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goodbye_is_answered() {
    let controller = Controller::start(Setup::default()).await;
    let mut client = controller.connect().await;
    controller.seated(1).await;
    client.close(None).await.unwrap();
    let _ = close_code(&mut client).await;
    controller.seated(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_beyond_the_seats_are_told_to_come_back() {
    let controller = Controller::start(Setup { viewers: 1, ..Setup::default() }).await;
    let mut first = controller.connect().await;
    controller.seated(1).await;
    match connect_async(controller.live_url()).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "5");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
        other => panic!("{other:?}"),
    }
    first.close(None).await.unwrap();
    let _ = close_code(&mut first).await;
    controller.seated(0).await;
    drop(controller.connect().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_cannot_connect() {
    let controller = Controller::start(Setup { origins: "https://friend.example", ..Setup::default() }).await;
    let own = format!("http://{}", controller.address);
    for (origin, may) in
        [(own.as_str(), true), ("https://friend.example", true), ("https://evil.example", false)]
    {
        let mut request = controller.live_url().into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => assert!(may, "{origin}"),
            Err(Error::Http(response)) => assert!(!may && response.status() == 403, "{origin}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_request_is_told_to_upgrade() {
    let controller = Controller::start(Setup::default()).await;
    let answer = controller.get("/live-updates/leaderboard").await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.problem().0, "upgrade-required");
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(controller.seats.taken(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_sent_away_when_the_process_stops() {
    let controller = Controller::start(Setup::default()).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(controller.connect().await);
    }
    controller.seated(50).await;
    let begun = Instant::now();
    controller.stop.cancel();
    for client in &mut clients {
        assert_eq!(close_code(client).await, Some(1001));
    }
    timeout(DEADLINE, controller.serving).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_never_reads_does_not_hold_up_the_end() {
    let controller = Controller::start(Setup::default()).await;
    let _never_reads = controller.connect().await;
    controller.seated(1).await;
    controller.publish(1, 1, 1000);
    let begun = Instant::now();
    controller.stop.cancel();
    let serving = controller.serving;
    until(|| serving.is_finished()).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
