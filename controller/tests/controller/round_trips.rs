//! What a request costs Redis, counted by a server of the test's own.

use crate::rest::TestBoard;
use test_servers::OwnRedis;

#[tokio::test(flavor = "multi_thread")]
async fn request_costs_one_round_trip_and_one_for_names_whatever_its_size() {
    if test_servers::redis().is_none() {
        return;
    }
    let server = OwnRedis::start(&[]);
    let names: Vec<String> = (0..1500).map(|place| format!("p{place}")).collect();
    let totals: Vec<_> =
        names.iter().map(String::as_str).zip((0..1500).map(|place| 5000 - place / 20)).collect();
    let board = TestBoard::at(server.url(), &totals).await;
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
    let server = OwnRedis::start(&[]);
    let board = TestBoard::at(server.url(), &[("a", 2), ("b", 1)]).await;
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
