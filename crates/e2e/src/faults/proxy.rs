//! A TCP proxy that does to a connection what a network does on its bad days.
//!
//! It listens on loopback, in front of one server, for one client. What it does to each direction
//! can be changed at any time and holds for the connections that are open as for new ones.

use anyhow::Context as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const CHUNK_BYTES: usize = 64 * 1024;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    #[default]
    Pass,
    /// They pass, each portion this much later.
    Delay(Duration),
    /// They are taken and thrown away.
    Swallow,
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// New connections are closed at once.
    pub closed: bool,
    /// From the client to the server.
    pub requests: Flow,
    /// From the server to the client.
    pub replies: Flow,
}

/// A proxy. Dropping it closes it and everything that goes through it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// What it comes back to.
    usual: watch::Sender<Weather>,
    /// Counts the cuts: a connection ends when it changes.
    cuts: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on the loopback `port` (0: any) and passes on to `upstream`.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn listen(port: u16, upstream: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(([127, 0, 0, 1], port).into()).with_context(|| format!("a proxy on port {port}"))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (weather, usual) = <(watch::Sender<Weather>, watch::Sender<Weather>)>::default();
        let cuts = watch::Sender::new(0);
        let accepting = tokio::spawn(accept(listener, upstream, weather.subscribe(), cuts.subscribe()));
        Ok(Self { address, weather, usual, cuts, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays each direction by `by` for as long as nothing else happens.
    pub fn slow_down(&self, by: Duration) {
        let slow = Flow::Delay(by);
        self.usual.send_replace(Weather { closed: false, requests: slow, replies: slow });
        self.clear_up();
    }

    fn clear_up(&self) {
        self.weather.send_replace(*self.usual.borrow());
    }

    /// Ends every connection there is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends every connection and takes no new ones for `time`.
    pub async fn close(&self, time: Duration) {
        self.weather.send_replace(Weather { closed: true, ..Weather::default() });
        self.cut();
        tokio::time::sleep(time).await;
        self.clear_up();
    }

    /// Delays each direction by `by` for `time`.
    pub async fn delay(&self, by: Duration, time: Duration) {
        let slow = Flow::Delay(by);
        self.weather.send_replace(Weather { closed: false, requests: slow, replies: slow });
        tokio::time::sleep(time).await;
        self.clear_up();
    }

    /// For `time` what is asked is done, and nobody hears of it; then connections end.
    pub async fn lose_replies(&self, time: Duration) {
        self.weather.send_replace(Weather { replies: Flow::Swallow, ..Weather::default() });
        tokio::time::sleep(time).await;
        // A stream with a hole in it must not go on.
        self.cut();
        self.clear_up();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    weather: watch::Receiver<Weather>,
    cuts: watch::Receiver<u64>,
) {
    // Dropped, and so aborted, with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                if !weather.borrow().closed {
                    connections.spawn(carry(client, upstream, weather.clone(), cuts.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until either side or a cut ends it.
async fn carry(
    client: TcpStream,
    upstream: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut cuts: watch::Receiver<u64>,
) {
    cuts.mark_unchanged();
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    // The servers' and clients' own choice, which we must not undo.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let replies = weather.clone();
    tokio::select! {
        () = pump(from_client, to_server, || weather.borrow().requests) => {}
        () = pump(from_server, to_client, || replies.borrow().replies) => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, flow: impl Fn() -> Flow) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        match flow() {
            Flow::Pass => {}
            Flow::Delay(Duration::ZERO) => {}
            Flow::Delay(by) => tokio::time::sleep(by).await,
            Flow::Swallow => continue,
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(20);

    /// A server that answers each byte with the same byte and counts what it was asked.
    async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut byte = [0];
                    while client.read_exact(&mut byte).await.is_ok() {
                        counter.fetch_add(1, Ordering::SeqCst);
                        if client.write_all(&byte).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (address, asked)
    }

    /// Asks once; `None` when the connection ended instead.
    async fn ask(client: &mut TcpStream) -> Option<u8> {
        client.write_all(b"x").await.ok()?;
        let mut byte = [0];
        tokio::time::timeout(LIMIT, client.read_exact(&mut byte))
            .await
            .expect("neither answer nor end")
            .ok()?;
        Some(byte[0])
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_until_a_cut_and_new_connections_after_it() {
        let (server, _) = echo().await;
        let proxy = Proxy::listen(0, server).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!((ask(&mut client).await, ask(&mut client).await), (Some(b'x'), Some(b'x')));
        proxy.cut();
        assert_eq!(ask(&mut client).await, None);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again).await, Some(b'x'));
    }

    #[tokio::test]
    async fn what_is_asked_while_replies_are_lost_is_done_and_nobody_hears_of_it() {
        let (server, asked) = echo().await;
        let proxy = Proxy::listen(0, server).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut client).await, Some(b'x'));
        let (_, answer) =
            tokio::join!(proxy.lose_replies(Duration::from_millis(300)), async { ask(&mut client).await });
        assert_eq!((answer, asked.load(Ordering::SeqCst)), (None, 2));
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again).await, Some(b'x'));
    }

    #[tokio::test]
    async fn a_closed_proxy_ends_what_is_there_and_takes_nothing_new_for_its_time() {
        let (server, asked) = echo().await;
        let proxy = Arc::new(Proxy::listen(0, server).unwrap());
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut client).await, Some(b'x'));
        let closing = tokio::spawn({
            let proxy = Arc::clone(&proxy);
            async move { proxy.close(Duration::from_millis(300)).await }
        });
        assert_eq!(ask(&mut client).await, None);
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut refused).await, None);
        closing.await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again).await, Some(b'x'));
    }

    #[tokio::test]
    async fn a_delay_delays_each_way_and_loses_nothing() {
        let (server, _) = echo().await;
        let proxy = Proxy::listen(0, server).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let begun = Instant::now();
        let by = Duration::from_millis(40);
        let (_, answer) = tokio::join!(proxy.delay(by, Duration::from_millis(500)), async {
            let answer = ask(&mut client).await;
            (answer, begun.elapsed())
        });
        assert_eq!(answer.0, Some(b'x'));
        assert!(answer.1 >= by, "{answer:?}");
        assert_eq!(ask(&mut client).await, Some(b'x'));
    }

    #[tokio::test]
    async fn a_client_is_let_go_when_the_server_is_away() {
        let gone = SocketAddr::from(([127, 0, 0, 1], free_ports::kept()));
        let proxy = Proxy::listen(0, gone).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut client).await, None);
    }
}
