//! The real program against a server that answers as the API does, over real sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A request with scores.
struct Sent {
    at: Instant,
    peer: SocketAddr,
    key: Option<String>,
    events: Vec<Value>,
}

/// Says what the answer is: of the how many-eth request, to so many events.
type Answers = fn(usize, usize) -> (StatusCode, Option<&'static str>, Value);

struct Server {
    answers: Answers,
    sent: Mutex<Vec<Sent>>,
}

async fn take(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(events): Json<Vec<Value>>,
) -> impl IntoResponse {
    let key = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let mut sent = server.sent.lock().unwrap();
    let (status, retry_after, body) = (server.answers)(sent.len(), events.len());
    sent.push(Sent { at: Instant::now(), peer, key, events });
    let headers: HeaderMap = retry_after
        .map(|value| ("retry-after".parse().unwrap(), value.parse().unwrap()))
        .into_iter()
        .collect();
    (status, headers, Json(body))
}

fn taken(events: usize) -> (StatusCode, Option<&'static str>, Value) {
    (StatusCode::ACCEPTED, None, json!({"accepted": events, "rejected": []}))
}

/// Runs the program against a server with these answers. What it received, and said.
fn load(answers: Answers, arguments: &[&str]) -> (Vec<Sent>, Output, Value) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = Arc::new(Server { answers, sent: Mutex::default() });
    let router = Router::new()
        .route("/v1/boards", get(async || Json(json!({"boards": [{"board": "game-score"}]}))))
        .route("/v1/scores", post(take))
        .with_state(Arc::clone(&server))
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    runtime.spawn(async { axum::serve(listener, router).await });
    let report =
        std::env::temp_dir().join(format!("http-load-{}", url.trim_matches('/').replace([':', '/'], "-")));
    let output = Command::new(env!("CARGO_BIN_EXE_score-generator"))
        .args(["load", "--target", "http", "--api", &url, "--no-progress", "--seed", "42"])
        .args(arguments)
        .arg("--report")
        .arg(&report)
        .env_remove("API_KEY")
        .output()
        .expect("the program can be run");
    let told =
        std::fs::read(&report).map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default();
    let _ = std::fs::remove_file(report);
    let sent = std::mem::take(&mut *server.sent.lock().unwrap());
    (sent, output, told)
}

#[test]
fn every_event_goes_once_in_whole_batches_over_connections_that_stay() {
    let arguments = ["--rate", "0", "--count", "2550", "--api-key", "s3cret"];
    let (sent, output, told) = load(
        |_, events| taken(events),
        &[&arguments[..], &["--http-batch", "100", "--http-connections", "3"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        (&told["sent"], &told["acknowledged"], &told["failed"]),
        (&2550.into(), &2550.into(), &0.into())
    );
    assert!(told["latency"]["p99_ms"].as_f64().unwrap() > 0.0);
    let mut sizes: Vec<usize> = sent.iter().map(|request| request.events.len()).collect();
    sizes.sort_unstable();
    assert_eq!((sizes[0], sizes[1], sizes.len()), (50, 100, 26));
    assert!(sent.iter().all(|request| request.key.as_deref() == Some("Bearer s3cret")));
    let peers: BTreeSet<_> = sent.iter().map(|request| request.peer).collect();
    assert!(peers.len() <= 4, "{} connections; one may be that of the first question", peers.len());
    // Whatever order they came in, they are the events of the seed.
    let mut events: Vec<&Value> = sent.iter().flat_map(|request| &request.events).collect();
    events.sort_by_key(|event| event["created_at"].as_str().unwrap());
    let golden = include_str!("golden/load-seed-42-rate-0.jsonl");
    for (line, event) in golden.lines().zip(events) {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap(), *event);
    }
}

#[test]
fn conditions_and_reports_are_had_over_http_too() {
    let csv = std::env::temp_dir().join(format!("http-load-{}.csv", std::process::id()));
    let arguments =
        ["--rate", "500", "--count", "100", "--fail-if", "ack.p99>60min", "--fail-if", "rate<1000000"];
    let (_, output, told) = load(
        |_, events| taken(events),
        &[&arguments[..], &["--max-behind", "1h", "--csv", csv.to_str().unwrap()]].concat(),
    );
    let rows = std::fs::read_to_string(&csv).unwrap();
    std::fs::remove_file(csv).unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let failed: Vec<&Value> =
        told["conditions"].as_array().unwrap().iter().map(|condition| &condition["failed"]).collect();
    assert_eq!(failed, [&json!(false), &json!(true)]);
    let sum = |column: usize| -> u64 {
        rows.lines().skip(1).map(|row| row.split(',').nth(column).unwrap().parse::<u64>().unwrap()).sum()
    };
    // Due, sent, acknowledged.
    assert_eq!([sum(1), sum(2), sum(3)], [100; 3], "{rows}");
}

#[test]
fn report_that_cannot_be_written_is_told_after_all_else() {
    let (_, output, _) =
        load(|_, events| taken(events), &["--rate", "0", "--count", "5", "--html", "/nowhere/at/all.html"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("5 acknowledged") && told.contains("writing /nowhere/at/all.html"), "{told}");
}

#[test]
fn event_that_is_due_alone_goes_alone() {
    let (sent, output, _) =
        load(|_, events| taken(events), &["--rate", "20", "--count", "5", "--max-behind", "1h"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // On a machine that stands still in between two may go together; but not all.
    assert!(sent.len() > 1, "{}", sent.len());
}

#[test]
fn what_is_refused_has_failed_and_is_not_sent_again() {
    let answers: Answers = |request, events| match request {
        0 => {
            let rejected =
                json!([{"index": 1, "field": "score", "class": "out_of_range", "reason": "too much"}]);
            (StatusCode::MULTI_STATUS, None, json!({"accepted": events - 1, "rejected": rejected}))
        }
        1 => {
            let problem =
                json!({"type": "/problems/all-rejected", "status": 400, "detail": "none", "rejected": []});
            (StatusCode::BAD_REQUEST, None, problem)
        }
        2 => (
            StatusCode::SERVICE_UNAVAILABLE,
            None,
            json!({"type": "/problems/not-acknowledged", "may_have_been_taken": true}),
        ),
        3 => (StatusCode::BAD_GATEWAY, None, json!("a proxy says this")),
        _ => taken(events),
    };
    let one_by_one = ["--rate", "0", "--count", "50", "--http-batch", "10", "--http-connections", "1"];
    let (sent, output, told) = load(answers, &one_by_one);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(sent.len(), 5, "nothing is sent twice");
    // 9 + 10 are in, 1 + 10 are not, and of twice 10 nobody knows.
    assert_eq!((&told["sent"], &told["acknowledged"], &told["failed"]), (&50.into(), &19.into(), &11.into()));
    assert_eq!(told["first_failure"], "too much");
}

#[test]
fn api_that_asks_to_be_left_alone_is() {
    let answers: Answers = |request, events| match request {
        0 => (
            StatusCode::TOO_MANY_REQUESTS,
            Some("1"),
            json!({"type": "/problems/rate-limited", "detail": "slower"}),
        ),
        _ => taken(events),
    };
    let (sent, output, told) =
        load(answers, &["--rate", "0", "--count", "30", "--http-batch", "10", "--http-connections", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&told["acknowledged"], &told["failed"]), (&20.into(), &10.into()));
    assert_eq!(told["first_failure"], "status 429: /problems/rate-limited: slower");
    assert!(sent[1].at - sent[0].at >= Duration::from_secs(1), "{:?}", sent[1].at - sent[0].at);
    // The wait counts, from when the events should have gone: for some that may be a little after it began.
    assert!(told["latency"]["p50_ms"].as_f64().unwrap() > 900.0, "{told}");
}

#[test]
fn api_that_is_not_there_is_said_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_score-generator"))
        .args(["load", "--target", "http", "--api", "http://127.0.0.1:1", "--count", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("--api: http://127.0.0.1:1/v1/boards"), "{told}");
}
