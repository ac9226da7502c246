//! What a request costs Redis, counted by a server of the test's own.

use crate::rest::{TestBoard, redis};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    pub(crate) url: String,
    process: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { url: format!("redis://127.0.0.1:{port}"), process };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "redis-server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// How often the command was called.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let stats = redis(&self.url, &["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }

    /// How often something was read from a client, commands that came together once; without
    /// what asking for it costs.
    fn reads(&self) -> u64 {
        let stats = redis(&self.url, &["INFO", "stats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        line.unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_costs_one_round_trip_and_one_for_names_whatever_its_size() {
    if test_servers::redis().is_none() {
        return;
    }
    let server = Server::start();
    let names: Vec<String> = (0..1500).map(|place| format!("p{place}")).collect();
    let totals: Vec<_> =
        names.iter().map(String::as_str).zip((0..1500).map(|place| 5000 - place / 20)).collect();
    let board = TestBoard::at(server.url.clone(), &totals).await;
    // The scripts are known and the connection is there. The same path without `?` is asked below.
    for below in ["?", "/top", "/players/p1", "/players/p1/around", "/distribution", "/rank-of?score=1"] {
        assert_eq!(board.get(below).await.status, 200);
    }
    // Asking twice in a row: what that costs by itself.
    let (before, after) = (server.reads(), server.reads());
    let own = after - before;

    let list = |first: usize, count: usize| names[first..first + count].join(",");
    for (below, rows) in [
        ("/top?limit=1&rank=dense".to_owned(), 1),
        ("/top?limit=100&rank=competition".to_owned(), 100),
        ("/players/p900".to_owned(), 1),
        ("/players/p900/around?size=1".to_owned(), 1),
        ("/players/p900/around?size=100&rank=dense".to_owned(), 100),
        (format!("/players?ids={}", list(1100, 1)), 1),
        (format!("/players?ids={}&rank=dense", list(1200, 100)), 100),
        ("/distribution?buckets=100".to_owned(), 0),
        ("/rank-of?score=4950".to_owned(), 0),
        (String::new(), 0),
    ] {
        let (scripts, gets) = (server.calls("evalsha"), server.calls("hget"));
        let before = server.reads();
        assert_eq!(board.get(&below).await.status, 200, "{below}");
        let reads = server.reads() - before - own;
        assert_eq!(server.calls("evalsha") - scripts, 1, "{below}");
        assert!(server.calls("hget") - gets <= rows, "{below}");
        assert!((1..=if rows == 0 { 1 } else { 2 }).contains(&reads), "{reads} round trips for {below}");
    }
    let before = server.reads();
    assert_eq!(board.controller.get("/v1/players/p1400/boards").await.status, 200);
    let reads = server.reads() - before - own;
    assert!((1..=2).contains(&reads), "{reads} round trips for the boards of a player");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_a_moment_ago_costs_redis_nothing() {
    if test_servers::redis().is_none() {
        return;
    }
    let server = Server::start();
    let board = TestBoard::at(server.url.clone(), &[("a", 2), ("b", 1)]).await;
    // Unless the machine stands still between them each time, one of many pairs comes together.
    let costs_nothing = async |command: &str, first: &str, second: &str| {
        for _ in 0..100 {
            assert_eq!(board.get(first).await.status, 200);
            let calls = server.calls(command);
            assert_eq!(board.get(second).await.status, 200);
            if server.calls(command) == calls {
                return true;
            }
        }
        false
    };
    assert!(costs_nothing("evalsha", "/top", "/top").await);
    assert!(costs_nothing("evalsha", "/distribution", "/distribution").await);
    assert!(costs_nothing("hget", "/top", "/players/a/around").await, "names are known");
    // What a player may just have changed is always asked for anew.
    for below in ["/players/a", "/players?ids=a", "/players/a/around", "/rank-of?score=1"] {
        assert!(!costs_nothing("evalsha", below, below).await, "{below}");
    }
}
