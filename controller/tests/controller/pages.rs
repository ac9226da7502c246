//! The page, its parts, and what holds for every answer.

use crate::support::{Controller, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn page_and_overlay_are_served_under_their_policies() {
    let controller = Controller::start(Setup::default()).await;
    for (path, frame_ancestors) in [("/", "frame-ancestors 'none'"), ("/overlay", "frame-ancestors *")] {
        let answer = controller.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';") && policy.ends_with(frame_ancestors), "{policy}");
        assert!(answer.body.contains("<!doctype html>"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_that_the_page_names_is_there() {
    let controller = Controller::start(Setup::default()).await;
    for page in ["/", "/overlay"] {
        let body = controller.get(page).await.body;
        let parts: Vec<&str> =
            body.split('"').filter(|attribute| attribute.starts_with("/static/")).collect();
        assert!(parts.len() >= 2, "{parts:?}");
        for part in parts {
            let answer = controller.get(part).await;
            assert_eq!(answer.status, 200, "{part}");
            assert_ne!(answer.header("content-type"), Some("application/octet-stream"), "{part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_part_is_not_sent_again() {
    let controller = Controller::start(Setup::default()).await;
    let first = controller.get("/static/style.css").await;
    assert_eq!(first.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let tag = first.header("etag").unwrap();
    let again = controller.ask("GET", "/static/style.css", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(tag));
    let other = controller.ask("GET", "/static/style.css", "If-None-Match: \"other\"\r\n").await;
    assert_eq!(other.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_problems() {
    let controller = Controller::start(Setup::default()).await;
    for path in [
        "/nothing",
        "/v1",
        "/v1/boards/game-score/players/",
        "/static/",
        "/static/no.js",
        "/static/index.html",
        "/static/../Cargo.toml",
        "/static/%2e%2e%2fCargo.toml",
    ] {
        let answer = controller.get(path).await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (404, "unknown-path"), "{path}");
    }
    for path in ["/", "/static/style.css", "/v1/boards/game-score/top", "/live-updates/leaderboard", "/livez"]
    {
        let answer = controller.ask("DELETE", path, "").await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (405, "method-not-allowed"), "{path}");
        assert!(answer.header("allow").is_some_and(|allowed| allowed.contains("GET")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_guarded() {
    let controller = Controller::start(Setup::default()).await;
    for path in ["/", "/static/style.css", "/nothing", "/livez", "/v1/boards/none/top"] {
        let answer = controller.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
        assert!(answer.header("cache-control").is_some(), "{path}");
    }
    let answer = controller.get("/v1/boards/none/top").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(controller.ask("HEAD", "/", "").await.body, "");
}
