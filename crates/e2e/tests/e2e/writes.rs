//! Scores and names over HTTP, through everything.

use crate::truth::board_in_redis;
use contracts::ApiKey;
use contracts::api_key::{Role, SecretDigest};
use e2e::faults::fault::Server;
use e2e::faults::servers::Servers;
use e2e::stack::{ADMIN, PATIENCE, Sent, WRITER, send};
use e2e::{Infra, Service, Stack, Viewer, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many changes are sent again and again.
const CHANGES: usize = 40;

/// Sends scores to a controller; with a key that names the write, if there is one.
fn post(url: &str, name: Option<&str>, body: &str) -> Sent {
    let headers: Vec<_> = name.map(|name| ("idempotency-key", name)).into_iter().collect();
    send("POST", &format!("{url}/v1/scores"), WRITER, &headers, body)
}

/// Sends scores again and again, to one controller and the other, until one has taken them; how
/// often it was not known whether they were.
fn insist(urls: &[String], first: usize, name: Option<&str>, body: &str) -> usize {
    let (begun, mut unknown) = (Instant::now(), 0);
    for url in urls.iter().cycle().skip(first) {
        let sent = post(url, name, body);
        match sent.status {
            202 => return unknown,
            0 => unknown += 1,
            503 => unknown += usize::from(sent.body["may_have_been_taken"] == true),
            // In work, or too often from all of us together.
            409 | 429 => {}
            status => panic!("{status}: {}", sent.body),
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "never taken: {sent:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    unreachable!("a cycle has no end")
}

#[tokio::test(flavor = "multi_thread")]
async fn score_that_was_sent_is_on_the_board_when_it_was_waited_for() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let (status, answer) = stack.post_scores("?wait=applied", r#"{"score":5,"user_id":"zoë","x":[1.50]}"#);
    assert_eq!(status, 202);
    let results = json!([{ "index": 0, "user_id": "zoë", "score": 5, "rank": 1 }]);
    assert_eq!(answer, json!({ "accepted": 1, "rejected": [], "applied": true, "results": results }));
    viewer.expect(PATIENCE, |frame| frame.rows() == [("zoë".to_owned(), 5)]).await;

    let batch =
        r#"[{"score":7,"user_id":1},{"score":"x"},{"score":3,"user_id":"zoë"},{"score":2,"user_id":1}]"#;
    let (status, answer) = stack.post_scores("?wait=applied", batch);
    assert_eq!((status, &answer["accepted"], &answer["applied"]), (207, &3.into(), &true.into()));
    let places: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["index"].as_u64().unwrap(), result["score"].as_i64(), result["rank"].as_u64()))
        .collect();
    assert_eq!(places, [(0, Some(9), Some(1)), (2, Some(8), Some(2)), (3, Some(9), Some(1))]);

    let url = format!("{}/v1/players/zo%C3%AB", stack.url());
    assert_eq!(send("PUT", &url, WRITER, &[], r#"{"nickname":"Zoë 🎯"}"#).status, 204);
    until("the name", PATIENCE, async || {
        let (_, player) = stack.get("/v1/boards/game-score/players/zo%C3%AB");
        if player["nickname"] == "Zoë 🎯" { Ok(()) } else { Err(player.to_string()) }
    })
    .await;
    let postgres = stack.postgres().await;
    until("every event is archived", PATIENCE, async || {
        let archived = stack.archived(&postgres).await;
        if archived == (4, 0) { Ok(()) } else { Err(format!("{archived:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_a_thousand_counts_but_for_what_is_bad_and_leaves_no_dead_letter() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let event = |index: usize| match index % 10 {
        3 => format!(r#"{{"score":1.5,"user_id":{index}}}"#),
        7 => format!(r#"{{"score":1,"user_id":{index},"created_at":"2999-01-01"}}"#),
        _ => format!(r#"{{"score":1,"user_id":{}}}"#, index % 4),
    };
    let batch = format!("[{}]", (0..1000).map(event).collect::<Vec<_>>().join(","));
    let (status, answer) = stack.post_scores("?wait=applied", &batch);
    assert_eq!((status, &answer["accepted"]), (207, &800.into()));
    let rejected = answer["rejected"].as_array().unwrap();
    let fields = |field: &str| rejected.iter().filter(|one| one["field"] == field).count();
    assert_eq!((rejected.len(), fields("score"), fields("created_at")), (200, 100, 100));
    assert!(rejected.iter().all(|one| matches!(one["index"].as_u64().unwrap() % 10, 3 | 7)));
    let total: i64 = board_in_redis(&stack).iter().map(|row| row.1).sum();
    assert_eq!(total, 800);
    let dead =
        pipeline::scan::extents(&stack.kafka(), &stack.kafka().topic(&contracts::topics::GAME_SCORE_DLQ));
    assert!(dead.unwrap().values().all(|extent| extent.from == extent.to), "a dead letter");
}

/// What stands on the board, (player, total), when forty changes were each sent three times, through two
/// controllers of which one is killed again and again: a point for a player of its own, and one for `all`.
async fn forty_changes_sent_three_times(infra: &Infra, named: bool) -> BTreeMap<String, i64> {
    let mut stack = Stack::start(infra).await;
    let port = free_ports::kept();
    let listen = format!("127.0.0.1:{port}");
    stack.spawn(Service::Controller, "second", &[("LISTEN_ADDR", &listen)]);
    stack.ready("second").await;
    let urls = [stack.url(), format!("http://{listen}")];
    let ended = Arc::new(AtomicBool::new(false));
    let sending: Vec<_> = (0..4)
        .map(|thread| {
            let urls = urls.clone();
            std::thread::spawn(move || {
                for change in (0..CHANGES).filter(|change| change % 4 == thread) {
                    let name = format!("change-{change}");
                    let body = format!(r#"[{{"score":1,"user_id":{change}}},{{"score":1,"user_id":"all"}}]"#);
                    for time in 0..3 {
                        // As good as random, and the same on every run.
                        let first = (change * 7 + time * 5 + thread) % 3 % 2;
                        insist(&urls, first, named.then_some(name.as_str()), &body);
                    }
                }
            })
        })
        .collect();
    let waiting = {
        let ended = Arc::clone(&ended);
        tokio::task::spawn_blocking(move || {
            for sender in sending {
                sender.join().unwrap();
            }
            ended.store(true, Ordering::Release);
        })
    };
    let mut kills = 0;
    while !ended.load(Ordering::Acquire) || kills == 0 {
        tokio::time::sleep(Duration::from_millis(150 + kills % 5 * 70)).await;
        stack.program("second").kill();
        stack.spawn(Service::Controller, "second", &[("LISTEN_ADDR", &listen)]);
        kills += 1;
    }
    waiting.await.unwrap();
    eprintln!("a controller was killed {kills} times");
    // Everything that was sent is applied when this is.
    let (status, answer) = stack.post_scores("?wait=applied", r#"[{"score":0,"user_id":"all"}]"#);
    assert_eq!((status, &answer["rejected"]), (202, &json!([])));
    let kafka = stack.kafka();
    let ends = pipeline::scan::extents(&kafka, &kafka.topic(&contracts::topics::GAME_SCORE)).unwrap();
    until("everything is applied", PATIENCE, async || {
        let offset = |partition: &i32| {
            let field = format!("game-score/{partition}");
            stack.redis::<Option<i64>>(&["HGET", "{game-score}:offsets", &field]).unwrap_or(0)
        };
        let left: i64 = ends.iter().map(|(partition, extent)| extent.to - offset(partition)).sum();
        if left <= 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await;
    board_in_redis(&stack).into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn named_write_counts_once_however_often_it_is_sent_and_whoever_is_killed() {
    let Some(infra) = Infra::from_env() else { return };
    let own = (0..CHANGES).map(|change| (change.to_string(), 1));
    let expected: BTreeMap<String, i64> = own.chain([("all".to_owned(), 40)]).collect();
    assert_eq!(forty_changes_sent_three_times(&infra, true).await, expected);
}

/// The negative control: without names nothing tells a retry from another write.
#[tokio::test(flavor = "multi_thread")]
async fn write_without_a_name_counts_as_often_as_it_is_taken() {
    let Some(infra) = Infra::from_env() else { return };
    let board = forty_changes_sent_three_times(&infra, false).await;
    assert!(board["all"] >= 120, "{board:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_that_is_away_is_said_and_retries_lose_and_double_nothing() {
    if Infra::from_env().is_none() {
        return;
    }
    let servers = Servers::start("writes-servers").await.unwrap();
    let infra = Infra {
        kafka: servers.direct.kafka.clone(),
        postgres: servers.direct.postgres.clone(),
        ..Infra::from_env().unwrap()
    };
    let stack = Stack::start(&infra).await;
    let change =
        |number: usize| (format!("change-{number}"), format!(r#"{{"score":1,"user_id":"{}"}}"#, number % 3));
    let url = stack.url();
    let (name, body) = change(0);
    assert_eq!(post(&url, Some(&name), &body).status, 202);
    let away = servers.kill(Server::Kafka, Duration::from_secs(12));
    let meanwhile = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_secs(1));
        let (name, body) = change(1);
        let begun = Instant::now();
        let sent = post(&url, Some(&name), &body);
        assert_eq!((sent.status, &sent.body["may_have_been_taken"]), (503, &Value::Bool(true)), "{sent:?}");
        assert!(sent.headers.contains_key("retry-after"));
        eprintln!("503 after {:?}", begun.elapsed());
        let urls = [url];
        let sending: Vec<_> = (0..30)
            .map(|number| {
                let (urls, (name, body)) = (urls.clone(), change(number));
                std::thread::spawn(move || insist(&urls, 0, Some(&name), &body))
            })
            .collect();
        sending.into_iter().map(|sender| sender.join().unwrap()).sum::<usize>()
    });
    away.await.unwrap();
    let unknown = meanwhile.await.unwrap();
    eprintln!("{unknown} times it was not known whether a write was taken");
    let kafka = stack.kafka();
    let ends = pipeline::scan::extents(&kafka, &kafka.topic(&contracts::topics::GAME_SCORE)).unwrap();
    until("everything is applied", PATIENCE, async || {
        let offset = |partition: &i32| {
            let field = format!("game-score/{partition}");
            stack.redis::<Option<i64>>(&["HGET", "{game-score}:offsets", &field]).unwrap_or(0)
        };
        let left: i64 = ends.iter().map(|(partition, extent)| extent.to - offset(partition)).sum();
        if left <= 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await;
    let totals: Vec<i64> = board_in_redis(&stack).into_iter().map(|row| row.1).collect();
    assert_eq!(totals, [10, 10, 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_by_the_tool_and_change_without_a_restart() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let score = r#"{"score":1,"user_id":1}"#;
    let scores = format!("{}/v1/scores", stack.url());
    let status = |secret: &str| send("POST", &scores, secret, &[], score).status;
    assert_eq!((status(WRITER), status(ADMIN), status("wrong"), status("")), (202, 202, 401, 401));

    let made =
        stack.command("boardctl").args(["--json", "api-key", "new", "game", "--role", "write"]).output();
    let made: Value = serde_json::from_slice(&made.unwrap().stdout).unwrap();
    let (secret, line) = (made["secret"].as_str().unwrap(), made["line"].as_str().unwrap());
    assert_eq!(status(secret), 401);
    let before = std::fs::read_to_string(stack.keys_file()).unwrap();
    std::fs::write(stack.keys_file(), format!("{before}{line}\n")).unwrap();
    until("the new key", PATIENCE, async || match status(secret) {
        202 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    assert_eq!(status(WRITER), 202, "the old one goes on beside it");
    let keys = send("GET", &format!("{}/v1/keys", stack.url()), ADMIN, &[], "").body;
    let names: Vec<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["game", "boss", "game"]);
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key["last_used"].is_string()), "{keys}");

    // A faulty file changes nothing, and says so once.
    std::fs::write(stack.keys_file(), "game write no-digest\n").unwrap();
    until("the fault is said", PATIENCE, async || {
        let metrics = stack.metrics("controller");
        let faulty = metrics.contains("controller_api_keys_faulty 1");
        if faulty { Ok(()) } else { Err("no word of it".into()) }
    })
    .await;
    assert_eq!((status(WRITER), status(secret)), (202, 202));
    std::fs::write(stack.keys_file(), format!("{line}\n")).unwrap();
    until("the old key is gone", PATIENCE, async || match status(WRITER) {
        401 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    assert_eq!(status(secret), 202);
    let reader = ApiKey::new("reader", Role::Read, SecretDigest::of(b"r")).unwrap();
    std::fs::write(stack.keys_file(), format!("{line}\n{reader}\n")).unwrap();
    until("a key that may only read", PATIENCE, async || match status("r") {
        403 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_writes_are_refused_where_others_could_reach_them() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::bare(&infra).await;
    let output = stack
        .command("controller")
        .env("ADMIN_ADDR", "127.0.0.1:0")
        .env("DEV_OPEN_WRITES", "true")
        .env("LISTEN_ADDR", "0.0.0.0:0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("DEV_OPEN_WRITES"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_writes_need_no_key_on_this_machine_and_are_warned_of() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    stack.spawn(Service::Controller, "controller", &[("DEV_OPEN_WRITES", "true")]);
    stack.ready("controller").await;
    let sent = send("POST", &format!("{}/v1/scores", stack.url()), "", &[], r#"{"score":1,"user_id":1}"#);
    assert_eq!(sent.status, 202, "{sent:?}");
    let log = stack.program("controller").log();
    assert!(log.contains("DEV_OPEN_WRITES: anyone on this machine may write"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_too_often_is_told_when_to_go_on() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    stack.spawn(Service::Controller, "controller", &[("WRITES_PER_SECOND", "1")]);
    stack.ready("controller").await;
    let url = stack.url();
    let refused = until("a refusal", PATIENCE, async || {
        let burst: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::task::spawn_blocking(move || post(&url, None, r#"{"score":1,"user_id":1}"#))
            })
            .collect();
        let mut refused = None;
        for sent in burst {
            refused = Some(sent.await.unwrap()).filter(|sent| sent.status == 429).or(refused);
        }
        refused.ok_or_else(|| "all were taken".to_owned())
    })
    .await;
    assert_eq!(refused.body["type"], "/problems/rate-limited");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!((&*refused.headers["ratelimit-limit"], &*refused.headers["ratelimit-remaining"]), ("1", "0"));
}

/// Reads Server-Sent Events until one has this text in it, and returns its id.
fn event_with(stack: &Stack, last: Option<&str>, wanted: &str, send: impl FnOnce()) -> String {
    let address = stack.url().replace("http://", "");
    let mut socket = TcpStream::connect(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
    write!(socket, "GET /v1/boards/game-score/events HTTP/1.1\r\nHost: {address}\r\n{last}\r\n").unwrap();
    let (mut read, mut send) = (String::new(), Some(send));
    let mut bytes = [0; 16 * 1024];
    loop {
        let length = socket.read(&mut bytes).unwrap();
        assert!(length > 0, "it ended with {read}");
        read += std::str::from_utf8(&bytes[..length]).unwrap();
        if read.contains("retry:")
            && let Some(send) = send.take()
        {
            send();
        }
        // The first event that comes must be the one.
        if let Some((event, _)) = read.split_once("id: ").and_then(|(_, rest)| rest.split_once("}\n\n")) {
            assert!(event.contains(wanted), "{event}");
            return event.lines().next().unwrap().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_resumed_where_they_broke_off() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let score = |stack: &Stack| assert_eq!(stack.post_scores("", r#"{"score":1,"user_id":1}"#).0, 202);
    score(&stack);
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    viewer.expect(PATIENCE, |frame| frame.rows() == [("1".to_owned(), 1)]).await;
    let first = event_with(&stack, None, r#""score":1,"#, || {});
    // Whoever has this one gets nothing until there is a newer one.
    let second = event_with(&stack, Some(&first), r#""score":2,"#, || score(&stack));
    // Whoever comes late gets the newest at once.
    assert_eq!(event_with(&stack, Some(&first), r#""score":2,"#, || {}), second);
}
