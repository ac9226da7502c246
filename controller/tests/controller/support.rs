//! A controller on a free port, and clients for it.

use archive_store::{FinalRow, FinalStandings, FinalWindow};
use board_store::{BoardStore, RedisSettings};
use boards::{Board, BoardSet};
use contracts::api_key::{ApiKey, Role, SecretDigest};
use contracts::topics::Topic;
use controller::access::{Access, Keys, Rates, TrustedProxies};
use controller::api::{Api, Archive};
use controller::live::{Feed, Live, Seats, ViewerLimits};
use controller::requests::InFlight;
use controller::routes::{Parts, routes};
use controller::server::{ServerLimits, serve};
use controller::writes::{Entry, Log, WriteLimits, Writes};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use pipeline::WriteError;
use pipeline::producer::{Ends, KafkaError};
use service::{Clock, Stop};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a test may want to be otherwise.
pub(crate) struct Setup {
    pub(crate) viewers: u32,
    pub(crate) viewer_limits: ViewerLimits,
    pub(crate) server_limits: ServerLimits,
    pub(crate) origins: &'static str,
    pub(crate) public_reads: bool,
    pub(crate) open_writes: bool,
    /// Names, roles and secrets.
    pub(crate) keys: Vec<(&'static str, Role, &'static str)>,
    pub(crate) reads: Rates,
    pub(crate) writes: Rates,
    pub(crate) write_limits: WriteLimits,
    pub(crate) log: TestLog,
    pub(crate) redis_url: String,
    pub(crate) boards: BoardSet,
    pub(crate) clock: Clock,
    pub(crate) archive: Option<TestArchive>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            viewers: 100,
            viewer_limits: ViewerLimits::default(),
            server_limits: ServerLimits::new(200),
            origins: "",
            public_reads: true,
            open_writes: false,
            keys: vec![("reader", Role::Read, "r"), ("game", Role::Write, "w"), ("boss", Role::Admin, "a")],
            reads: Rates::unlimited(),
            writes: Rates::unlimited(),
            write_limits: WriteLimits::default(),
            log: TestLog::default(),
            // Nobody listens on port 1.
            redis_url: "redis://127.0.0.1:1".to_owned(),
            boards: BoardSet::default(),
            clock: Clock::system(),
            archive: None,
        }
    }
}

/// What the board of a window is called that is kept for all boards.
pub(crate) const ANY_BOARD: &str = "any";

type Kept = (FinalWindow, Vec<FinalRow>);
type Happens = Box<dyn FnOnce() + Send>;

/// Final standings in memory. Answers can be held back, and something can happen
/// between looking and the answer.
#[derive(Clone)]
pub(crate) struct TestArchive {
    kept: Arc<Mutex<Vec<Kept>>>,
    asked: Arc<AtomicUsize>,
    meanwhile: Arc<Mutex<Option<Happens>>>,
    pub(crate) answers: watch::Sender<bool>,
}

impl Default for TestArchive {
    fn default() -> Self {
        let answers = watch::Sender::new(true);
        Self { kept: Arc::default(), asked: Arc::default(), meanwhile: Arc::default(), answers }
    }
}

impl TestArchive {
    /// Of a board called [`ANY_BOARD`] it is kept for all.
    pub(crate) fn keep(&self, window: FinalWindow, rows: Vec<FinalRow>) {
        let mut kept = self.kept.lock().unwrap();
        kept.retain(|(other, _)| (&other.board, &other.window) != (&window.board, &window.window));
        kept.push((window, rows));
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// What happens once, when somebody has looked and was not answered yet.
    pub(crate) fn meanwhile(&self, happens: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(happens));
    }
}

impl Archive for TestArchive {
    fn final_standings<'a>(
        &'a self,
        board: &'a str,
        window: &'a str,
        max_rows: u64,
    ) -> BoxFuture<'a, Result<FinalStandings, WriteError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let is_it =
                |of: &FinalWindow| of.window == window && (of.board == board || of.board == ANY_BOARD);
            let kept = self.kept.lock().unwrap().iter().find(|(of, _)| is_it(of)).cloned();
            let happens = self.meanwhile.lock().unwrap().take();
            if let Some(happens) = happens {
                happens();
            }
            self.answers.subscribe().wait_for(|answers| *answers).await.unwrap();
            Ok(match kept {
                None => FinalStandings::NotKept,
                Some((_, rows)) if rows.len() as u64 > max_rows => FinalStandings::TooMany(rows.len() as u64),
                Some((window, rows)) => FinalStandings::Kept(window, rows),
            })
        })
    }
}

/// Topic, key and payload.
pub(crate) type Logged = (&'static str, String, String);

/// A log in memory, whose acknowledgements can be held back.
#[derive(Clone)]
pub(crate) struct TestLog {
    pub(crate) entries: Arc<Mutex<Vec<Logged>>>,
    pub(crate) acknowledges: watch::Sender<bool>,
}

impl Default for TestLog {
    fn default() -> Self {
        Self { entries: Arc::default(), acknowledges: watch::Sender::new(true) }
    }
}

impl Log for TestLog {
    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Ends, KafkaError>> {
        Box::pin(async move {
            let mut held_back = self.acknowledges.subscribe();
            let end = {
                let mut log = self.entries.lock().unwrap();
                let text = |entry: &Entry| String::from_utf8(entry.payload.to_vec()).unwrap();
                log.extend(entries.iter().map(|entry| (topic.name, entry.key.clone(), text(entry))));
                i64::try_from(log.len()).unwrap()
            };
            held_back.wait_for(|acknowledges| *acknowledges).await.unwrap();
            Ok(Ends::from([(0, end)]))
        })
    }
}

impl TestLog {
    /// The payloads there are.
    pub(crate) fn payloads(&self) -> Vec<String> {
        self.entries.lock().unwrap().iter().map(|(_, _, payload)| payload.clone()).collect()
    }
}

pub(crate) struct Controller {
    pub(crate) address: SocketAddr,
    pub(crate) feed: Feed,
    pub(crate) seats: Seats,
    pub(crate) stop: Stop,
    pub(crate) log: TestLog,
    pub(crate) serving: JoinHandle<()>,
}

impl Controller {
    pub(crate) async fn start(setup: Setup) -> Self {
        let stop = Stop::new();
        let feed = Feed::new(setup.boards.clone());
        let seats = Seats::new(setup.viewers, stop.clone());
        let redis = RedisSettings { redis_url: setup.redis_url.parse().unwrap() };
        let connection = redis.connect().unwrap();
        let store = |board: &Board| BoardStore::with_connection(connection.clone(), board.clone());
        let stores: Vec<BoardStore> = setup.boards.iter().map(store).collect();
        let of_default = stores[0].clone();
        let archive = setup.archive.map(|archive| Box::new(archive) as Box<dyn Archive>);
        let (api, reading) =
            Api::new(setup.boards.clone(), stores, feed.newest(), archive, setup.clock.clone());
        let follows = api.follows();
        let live = Live {
            boards: setup.boards.clone(),
            newest: feed.newest(),
            follows: follows.clone(),
            seats: seats.clone(),
            origins: setup.origins.parse().unwrap(),
            limits: setup.viewer_limits,
        };
        let key = |(name, role, secret): (&str, _, &str)| {
            ApiKey::new(name, role, SecretDigest::of(secret.as_bytes())).unwrap()
        };
        let access = Access {
            keys: Keys::of(setup.keys.into_iter().map(key).collect()),
            public_reads: setup.public_reads,
            open_writes: setup.open_writes,
            proxies: TrustedProxies::default(),
            reads: setup.reads,
            writes: setup.writes,
            origins: setup.origins.parse().unwrap(),
        };
        let log = setup.log;
        let writes = Writes::new(log.clone(), setup.boards, of_default, setup.write_limits, setup.clock);
        let admin = axum::Router::new().route("/livez", axum::routing::get(async || "ok"));
        let in_flight = InFlight::new(64);
        let parts = Parts { admin, live, api, writes: writes.clone(), access, in_flight };
        let router = routes(parts);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = {
            let (seats, stop) = (seats.clone(), stop.clone());
            tokio::spawn(async move {
                let reading = tokio::spawn(reading);
                tokio::join!(writes.look(&stop), follows.look(&stop), async {
                    serve(listener, router, setup.server_limits, stop.clone()).await;
                    seats.empty().await;
                    writes.drain().await;
                });
                reading.await.unwrap();
            })
        };
        Self { address, feed, seats, stop, log, serving }
    }

    /// Offers a snapshot of so many bytes, roughly; returns its text.
    pub(crate) fn publish(&self, epoch: u64, version: u64, bytes: usize) -> String {
        let text = snapshot(epoch, version, bytes);
        self.publish_text(&text);
        text
    }

    pub(crate) fn publish_text(&self, text: &str) {
        let snapshot: contracts::Snapshot = serde_json::from_str(text).unwrap();
        self.feed.take(Some(snapshot.board.as_bytes()), Some(text.as_bytes()));
    }

    pub(crate) fn live_url(&self) -> String {
        format!("ws://{}/live-updates/leaderboard", self.address)
    }

    /// The websocket of the full form, with this query.
    pub(crate) async fn connect_full(&self, board: &str, query: &str) -> Client {
        connect_async(format!("ws://{}/v1/boards/{board}/live{query}", self.address)).await.unwrap().0
    }

    pub(crate) async fn connect(&self) -> Client {
        connect_async(self.live_url()).await.unwrap().0
    }

    /// Waits until so many viewers are seated.
    pub(crate) async fn seated(&self, viewers: usize) {
        until(|| self.seats.taken() == viewers).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    /// One request on a connection of its own. `headers` are whole lines.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(method, path, headers, "").await
    }

    /// Sends JSON with the key that may write.
    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.send("POST", path, &format!("{WRITER}{JSON}{headers}"), body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}{length}\r\n");
        // A server that refuses a body need not read it.
        drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
        let mut bytes = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        Answer::read(&String::from_utf8(bytes).unwrap())
    }
}

/// The key that may write.
pub(crate) const WRITER: &str = "Authorization: Bearer w\r\n";
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The problem's type and field, with all that every problem must have.
    pub(crate) fn problem(&self) -> (String, Option<String>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        let kind = body["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
        (kind.to_owned(), body["field"].as_str().map(str::to_owned))
    }
}

pub(crate) fn snapshot(epoch: u64, version: u64, bytes: usize) -> String {
    let filler = "x".repeat(bytes);
    format!(
        r#"{{"user_list":[],"current_time_ms":1.5,"board":"game-score","window":"all","epoch":{epoch},"version":{version},"players":0,"filler":"{filler}"}}"#
    )
}

pub(crate) fn version_of(text: &str) -> u64 {
    serde_json::from_str::<contracts::Snapshot>(text).unwrap().version.version
}

/// The next text frame.
pub(crate) async fn next_text(client: &mut Client) -> String {
    loop {
        match next(client).await {
            Some(Ok(Message::Text(text))) => return text.to_string(),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("no text frame but {other:?}"),
        }
    }
}

/// Reads to the end; the close code, if a close frame came.
pub(crate) async fn close_code(client: &mut Client) -> Option<u16> {
    let mut code = None;
    while let Some(Ok(message)) = next(client).await {
        if let Message::Close(Some(frame)) = message {
            code = Some(frame.code.into());
        }
    }
    code
}

async fn next(client: &mut Client) -> Option<Result<Message, Error>> {
    timeout(DEADLINE, client.next()).await.expect("nothing came in time")
}

/// Polls until it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let poll = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, poll).await.expect("it did not come to be");
}
