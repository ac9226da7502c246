//! Who may ask for what, and how often.

use crate::support::{Controller, JSON, Setup, WRITER};
use controller::access::Rates;
use governor::Quota;
use std::num::NonZeroU32;
use std::time::Duration;

const SCORE: &str = r#"{"score":1,"user_id":1}"#;

/// So many requests, and no more while a test runs.
fn only(requests: u32) -> Rates {
    let quota = Quota::with_period(Duration::from_secs(86_400)).unwrap();
    Rates::of(quota.allow_burst(NonZeroU32::new(requests).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_needs_a_key_that_may() {
    let controller = Controller::start(Setup::default()).await;
    for (key, status, kind) in [
        ("", 401, "key-needed"),
        ("Authorization: Bearer x\r\n", 401, "key-unknown"),
        ("Authorization: Basic dzp3\r\n", 401, "key-unknown"),
        ("Authorization: Bearer r\r\n", 403, "role-too-low"),
    ] {
        for (method, path) in [("POST", "/v1/scores"), ("PUT", "/v1/players/7")] {
            let answer = controller.send(method, path, &format!("{key}{JSON}"), SCORE).await;
            assert_eq!((answer.status, answer.problem().0.as_str()), (status, kind), "{key} {path}");
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{key}");
        }
    }
    assert_eq!(controller.log.payloads(), Vec::<String>::new());
    for key in [WRITER, "Authorization: Bearer a\r\n"] {
        assert_eq!(controller.send("POST", "/v1/scores", &format!("{key}{JSON}"), SCORE).await.status, 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_writes_unless_it_was_opened() {
    let closed = Controller::start(Setup { keys: Vec::new(), ..Setup::default() }).await;
    assert_eq!(closed.send("POST", "/v1/scores", JSON, SCORE).await.status, 401);
    let open = Controller::start(Setup { keys: Vec::new(), open_writes: true, ..Setup::default() }).await;
    assert_eq!(open.send("POST", "/v1/scores", JSON, SCORE).await.status, 202);
    let evil = format!("{JSON}Origin: https://evil.example\r\n");
    let answer = open.send("POST", "/v1/scores", &evil, SCORE).await;
    assert_eq!((answer.status, answer.problem().0.as_str()), (403, "origin-not-allowed"));
    assert_eq!(open.get("/v1/keys").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_reads_need_a_key_on_every_path_that_shows_a_board() {
    let controller = Controller::start(Setup { public_reads: false, ..Setup::default() }).await;
    for path in [
        "/v1/boards/none/top",
        "/v1/boards/none/players/7",
        "/v1/boards/none/events",
        "/live-updates/leaderboard",
    ] {
        assert_eq!(controller.get(path).await.status, 401, "{path}");
        assert_ne!(controller.ask("GET", path, "Authorization: Bearer r\r\n").await.status, 401, "{path}");
    }
    for path in ["/", "/livez", "/openapi.json"] {
        assert_eq!(controller.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_the_keys_and_when_they_were_used() {
    let controller = Controller::start(Setup::default()).await;
    assert_eq!(controller.get("/v1/keys").await.problem().0, "key-needed");
    assert_eq!(controller.ask("GET", "/v1/keys", WRITER).await.problem().0, "role-too-low");
    let answer = controller.ask("GET", "/v1/keys", "Authorization: Bearer a\r\n").await;
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    let names: Vec<_> = keys.iter().map(|key| (key["name"].as_str(), key["role"].as_str())).collect();
    assert_eq!(
        names,
        [(Some("reader"), Some("read")), (Some("game"), Some("write")), (Some("boss"), Some("admin"))]
    );
    assert!(keys[0]["last_used"].is_null() && keys[1]["last_used"].is_string(), "{keys:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let setup = Setup { reads: only(2), writes: only(3), ..Setup::default() };
    let controller = Controller::start(setup).await;
    for left in ["1", "0"] {
        let answer = controller.get("/v1/boards/none/top").await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (404, Some(left)));
        assert_eq!(answer.header("ratelimit-limit"), Some("2"));
    }
    for path in ["/v1/boards/none/top", "/v1/boards/none/events", "/live-updates/leaderboard"] {
        let answer = controller.get(path).await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (429, "rate-limited"), "{path}");
        assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 80_000);
    }
    for _ in 0..3 {
        assert_eq!(controller.post("/v1/scores", "", SCORE).await.status, 202);
    }
    assert_eq!(controller.post("/v1/scores", "", SCORE).await.status, 429);
    assert_eq!(controller.log.payloads().len(), 3);
    // The pages are not counted.
    assert_eq!(controller.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_listed_sites_may_read_the_answers_and_no_others() {
    let controller = Controller::start(Setup { origins: "https://friend.example", ..Setup::default() }).await;
    let preflight = "Origin: https://friend.example\r\nAccess-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: authorization,content-type,idempotency-key\r\n";
    let answer = controller.ask("OPTIONS", "/v1/scores", preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://friend.example"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(["authorization", "content-type", "idempotency-key"].iter().all(|name| allowed.contains(name)));
    let answer = controller.ask("GET", "/v1/boards/none/top", "Origin: https://friend.example\r\n").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://friend.example"));
    assert!(answer.header("vary").unwrap().contains("origin"));
    for (method, more) in [("OPTIONS", "Access-Control-Request-Method: POST\r\n"), ("GET", "")] {
        let answer = controller
            .ask(method, "/v1/boards/none/top", &format!("Origin: https://evil.example\r\n{more}"))
            .await;
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let any = Controller::start(Setup { origins: "*", ..Setup::default() }).await;
    let answer = any.ask("GET", "/v1/boards/none/top", "Origin: https://evil.example\r\n").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}
