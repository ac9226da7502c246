//! Two viewers or two thousand, and one that never reads.

use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, Viewer};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const CROWD: usize = 2000;

/// Connects as a websocket client that never reads a byte after the handshake.
fn deaf_viewer(stack: &Stack) -> TcpStream {
    let address = stack.url().replace("http://", "");
    let mut socket = TcpStream::connect(&address).unwrap();
    write!(
        socket,
        "GET /live-updates/leaderboard HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 12];
    socket.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_viewers_see_every_last_state_beside_deaf_ones() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let score = async |total: i64| {
        let event = format!(r#"{{"score":{total},"user_id":1}}"#).into_bytes();
        stack.produce(&[(b"1".to_vec(), Some(event))]).await;
    };
    let mut first = Viewer::connect(&stack.live_url()).await;
    score(1).await;
    first.expect(PATIENCE, |frame| frame.rows() == [("1".to_owned(), 1)]).await;

    let deaf: Vec<TcpStream> = (0..20).map(|_| deaf_viewer(&stack)).collect();
    let url = stack.live_url();
    let mut crowd = Vec::new();
    for _ in 0..CROWD / 50 {
        let connecting: Vec<_> = (0..50)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { Viewer::connect(&url).await })
            })
            .collect();
        for viewer in connecting {
            crowd.push(viewer.await.unwrap());
        }
    }
    // Each has the newest state at once, without anything new happening.
    for viewer in &mut crowd {
        viewer.expect(PATIENCE, |frame| frame.rows() == [("1".to_owned(), 1)]).await;
    }
    for total in 2..=6i64 {
        score(1).await;
        let wanted = [("1".to_owned(), total)];
        let begun = std::time::Instant::now();
        first.expect(PATIENCE, |frame| frame.rows() == wanted).await;
        for viewer in &mut crowd {
            viewer.expect(PATIENCE, |frame| frame.rows() == wanted).await;
        }
        eprintln!("{CROWD} viewers had frame {total} after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    drop(deaf);
}
