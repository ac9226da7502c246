//! Scores and names over HTTP, without Kafka.

use crate::support::{Answer, Controller, DEADLINE, JSON, Setup, WRITER, until};
use controller::writes::WriteLimits;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SCORE: &str = r#"{"score":5,"user_id":42}"#;

fn named() -> (String, String) {
    let key = uuid::Uuid::new_v4().to_string();
    (format!("Idempotency-Key: {key}\r\n"), key)
}

fn quick() -> Setup {
    // Longer than Redis is waited for.
    let acknowledged = Duration::from_secs(2);
    Setup { write_limits: WriteLimits { acknowledged, ..WriteLimits::default() }, ..Setup::default() }
}

fn assert_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.status, answer.problem().0.as_str()), (status, kind), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_to_kafka_under_their_players_as_they_came() {
    let controller = Controller::start(Setup::default()).await;
    let answer = controller.post("/v1/scores", "", &format!(" {SCORE} ")).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1, "rejected": [] })));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("idempotent-replayed"), None);
    let batch = r#"[{"score":1,"user_id":"zoë","x":[1.50]},{"user_id":1},{"score":2,"user_id":7}]"#;
    let answer = controller.post("/v1/scores", "", batch).await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        answer.json(),
        json!({ "accepted": 2, "rejected": [
            { "index": 1, "field": "score", "class": "missing_field", "reason": "`score` is missing" },
        ]})
    );
    let entry = |key: &str, payload: &str| ("game-score", key.to_owned(), payload.to_owned());
    assert_eq!(
        *controller.log.entries.lock().unwrap(),
        [
            entry("42", SCORE),
            entry("zoë", r#"{"score":1,"user_id":"zoë","x":[1.50]}"#),
            entry("7", r#"{"score":2,"user_id":7}"#),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_named_and_nothing_is_sent() {
    let controller = Controller::start(Setup::default()).await;
    for (body, kind) in [
        ("", "invalid-body"),
        ("{", "invalid-body"),
        ("[]", "invalid-body"),
        ("7", "invalid-body"),
        (r#"{"user_id":1}"#, "all-rejected"),
        (r#"[{"user_id":1},{"score":1}]"#, "all-rejected"),
    ] {
        assert_problem(&controller.post("/v1/scores", "", body).await, 400, kind);
    }
    let answer = controller.post("/v1/scores", "", r#"[{"user_id":1},{"score":1}]"#).await.json();
    assert_eq!((&answer["accepted"], &answer["rejected"][1]["field"]), (&0.into(), &"user_id".into()));
    for (query, field) in [("?wait=long", "wait"), ("?wat=applied", "wat"), ("?wait=", "wait")] {
        let answer = controller.post(&format!("/v1/scores{query}"), "", SCORE).await;
        assert_eq!(answer.problem(), ("invalid-parameter".into(), Some(field.into())), "{query}");
    }
    let answer = controller.post("/v1/scores", "Idempotency-Key: a b\r\n", SCORE).await;
    assert_eq!(answer.problem(), ("invalid-parameter".into(), Some("Idempotency-Key".into())));
    let text =
        controller.send("POST", "/v1/scores", &format!("{WRITER}Content-Type: text/plain\r\n"), SCORE).await;
    assert_problem(&text, 415, "not-json");
    assert_eq!(controller.log.payloads(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_also_when_they_do_not_say_how_long_they_are() {
    let write_limits = WriteLimits { body_bytes: 100_000, ..WriteLimits::default() };
    let controller = Controller::start(Setup { write_limits, ..Setup::default() }).await;
    let padded = |bytes: usize| format!("{SCORE}{}", " ".repeat(bytes - SCORE.len()));
    assert_eq!(controller.post("/v1/scores", "", &padded(100_000)).await.status, 202);
    assert_problem(&controller.post("/v1/scores", "", &padded(100_001)).await, 413, "body-too-large");
    let chunked = format!("{:x}\r\n{}\r\n0\r\n\r\n", 100_001, padded(100_001));
    let mut stream = TcpStream::connect(controller.address).await.unwrap();
    let head =
        format!("POST /v1/scores HTTP/1.1\r\nHost: test\r\n{WRITER}{JSON}Transfer-Encoding: chunked\r\n\r\n");
    drop(stream.write_all(format!("{head}{chunked}").as_bytes()).await);
    let mut start = [0; 12];
    timeout(DEADLINE, stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    let many = format!("[{}]", vec![SCORE; 1001].join(","));
    assert_problem(&controller.post("/v1/scores", "", &many).await, 413, "body-too-large");
    assert_eq!(controller.log.payloads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_dribbles_is_given_up() {
    let controller = Controller::start(Setup::default()).await;
    let mut stream = TcpStream::connect(controller.address).await.unwrap();
    let head =
        format!("POST /v1/scores HTTP/1.1\r\nHost: test\r\n{WRITER}{JSON}Content-Length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    timeout(DEADLINE, stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_that_does_not_acknowledge_is_said_and_so_is_that_it_may_have_it() {
    let controller = Controller::start(quick()).await;
    controller.log.acknowledges.send_replace(false);
    let (header, _) = named();
    let answer = controller.post("/v1/scores", &header, SCORE).await;
    assert_problem(&answer, 503, "not-acknowledged");
    assert_eq!(answer.json()["may_have_been_taken"], true);
    assert!(answer.header("retry-after").is_some());
    // The retry comes without Redis: it is the same event, so that it counts once.
    controller.log.acknowledges.send_replace(true);
    assert_eq!(controller.post("/v1/scores", &header, SCORE).await.status, 202);
    let payloads = controller.log.payloads();
    assert!(
        payloads.len() == 2 && payloads[0] == payloads[1] && payloads[0].contains("event_id"),
        "{payloads:?}"
    );
    // Control: without a key the same event would count twice.
    for _ in 0..2 {
        assert_eq!(controller.post("/v1/scores", "", SCORE).await.status, 202);
    }
    assert!(!controller.log.payloads()[2].contains("event_id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_beyond_the_room_are_refused_at_once_until_kafka_has_acknowledged() {
    let acknowledged = Duration::from_millis(200);
    let write_limits = WriteLimits { events_in_flight: 3, acknowledged, ..WriteLimits::default() };
    let controller = Controller::start(Setup { write_limits, ..Setup::default() }).await;
    controller.log.acknowledges.send_replace(false);
    let three = format!("[{SCORE},{SCORE},{SCORE}]");
    // Its client is told that nothing is known, but its events are on their way.
    assert_problem(&controller.post("/v1/scores", "", &three).await, 503, "not-acknowledged");
    for _ in 0..3 {
        let answer = controller.post("/v1/scores", "", SCORE).await;
        assert_problem(&answer, 503, "too-many-writes");
        assert_eq!(answer.json()["may_have_been_taken"], false);
    }
    assert_eq!(controller.log.payloads().len(), 3);
    controller.log.acknowledges.send_replace(true);
    let begun = std::time::Instant::now();
    while controller.post("/v1/scores", "", SCORE).await.status != 202 {
        assert!(begun.elapsed() < DEADLINE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_is_carried_out_although_its_client_has_gone_and_we_are_stopping() {
    let Some(redis_url) = test_servers::redis() else { return };
    let controller = Controller::start(Setup { redis_url, ..Setup::default() }).await;
    controller.log.acknowledges.send_replace(false);
    let (header, _) = named();
    let mut stream = TcpStream::connect(controller.address).await.unwrap();
    let length = SCORE.len();
    let head = format!(
        "POST /v1/scores HTTP/1.1\r\nHost: test\r\n{WRITER}{JSON}{header}Content-Length: {length}\r\n\r\n{SCORE}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    until(|| !controller.log.payloads().is_empty()).await;
    drop(stream);
    let again = controller.post("/v1/scores", &header, SCORE).await;
    assert_problem(&again, 409, "write-in-work");
    assert!(again.header("retry-after").is_some());
    controller.log.acknowledges.send_replace(true);
    let begun = std::time::Instant::now();
    let answer = loop {
        let answer = controller.post("/v1/scores", &header, SCORE).await;
        if answer.status != 409 {
            break answer;
        }
        assert!(begun.elapsed() < DEADLINE);
    };
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(controller.log.payloads().len(), 1);
    controller.stop.cancel();
    timeout(DEADLINE, controller.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_and_body_is_answered_as_before_and_another_body_is_refused() {
    let Some(redis_url) = test_servers::redis() else { return };
    let controller = Controller::start(Setup { redis_url: redis_url.clone(), ..Setup::default() }).await;
    let other = Controller::start(Setup { redis_url, ..Setup::default() }).await;
    let (header, _) = named();
    let batch = r#"[{"score":1,"user_id":1},{"score":"x"}]"#;
    let first = controller.post("/v1/scores", &header, batch).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (207, None));
    for again in
        [controller.post("/v1/scores", &header, batch).await, other.post("/v1/scores", &header, batch).await]
    {
        assert_eq!((again.status, again.header("idempotent-replayed")), (207, Some("true")));
        assert_eq!(again.body, first.body);
    }
    assert_problem(&other.post("/v1/scores", &header, SCORE).await, 409, "idempotency-key-reused");
    // The same words of another caller are another key.
    let boss = format!("Authorization: Bearer a\r\n{JSON}{header}");
    assert_eq!(other.send("POST", "/v1/scores", &boss, SCORE).await.status, 202);
    assert_eq!((controller.log.payloads().len(), other.log.payloads().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn board_that_does_not_come_is_not_waited_for_for_ever() {
    let applied = Duration::from_millis(200);
    let write_limits = WriteLimits { applied, ..WriteLimits::default() };
    let controller = Controller::start(Setup { write_limits, ..Setup::default() }).await;
    let answer = controller.post("/v1/scores?wait=applied", "", SCORE).await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({ "accepted": 1, "rejected": [], "applied": false }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_named() {
    let controller = Controller::start(Setup::default()).await;
    let put =
        async |path: &str, body: &str| controller.send("PUT", path, &format!("{WRITER}{JSON}"), body).await;
    let answer = put("/v1/players/zo%C3%AB%2F7", r#"{"nickname":"Zoë <b>"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let (topic, key, payload) = controller.log.entries.lock().unwrap()[0].clone();
    assert_eq!((topic, key.as_str()), ("player-profile", "zoë/7"));
    assert_eq!(payload, r#"{"nickname":"Zoë <b>","user_id":"zoë/7"}"#);
    for (path, body, field) in [
        ("/v1/players/7", r#"{"nickname":""}"#, "nickname"),
        ("/v1/players/7", "{}", "nickname"),
        ("/v1/players/7", r#"{"nickname":"Zo","admin":true}"#, "admin"),
        ("/v1/players/a%0Ab", r#"{"nickname":"Zo"}"#, "id"),
        ("/v1/players/%FF", r#"{"nickname":"Zo"}"#, "id"),
    ] {
        let answer = put(path, body).await;
        assert_eq!(answer.status, 400, "{path} {body}");
        assert_eq!(answer.problem(), ("invalid-parameter".into(), Some(field.into())), "{path} {body}");
    }
    assert_problem(&put("/v1/players/7", "Zo").await, 400, "invalid-body");
    assert_eq!(controller.log.payloads().len(), 1);
}
