//! Windows of event time, from their first event until they are history.

use contracts::EventTime;
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, until};
use std::time::{Duration, SystemTime};

/// How long the window stays open from the beginning of the test on.
const OPEN: Duration = Duration::from_secs(8);
/// After this, Kafka's clock is beyond doubt past the window's end.
const BEYOND_DOUBT: Duration = Duration::from_secs(6);
/// The ranker has looked for windows that are over.
const A_LOOK: Duration = Duration::from_secs(6);

pub(crate) fn now() -> EventTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    EventTime::from_micros(i64::try_from(now.as_micros()).unwrap()).unwrap()
}

fn later(seconds: u64) -> EventTime {
    now().saturating_add_seconds(i64::try_from(seconds).unwrap())
}

fn event(user: &str, score: i64, created_at: EventTime) -> (Vec<u8>, Option<Vec<u8>>) {
    let payload = format!(r#"{{"score":{score},"user_id":"{user}","created_at":"{created_at}"}}"#);
    (user.as_bytes().to_vec(), Some(payload.into_bytes()))
}

/// What the API says of the window, but for how often the board has changed.
fn answers(stack: &Stack) -> Vec<serde_json::Value> {
    let ask = |path: &str| {
        let (status, mut answer) = stack.get(&format!("/v1/boards/sprint/{path}window=heat"));
        assert!(status == 200 || path.contains("nobody"), "{path}: {status} {answer}");
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("version");
            answer.remove("next");
        }
        answer
    };
    let plain = ["distribution?buckets=3&", "rank-of?score=25&", "rank-of?score=1&", "players/nobody?"];
    let ranked = ["top?", "top?limit=2&", "players/c?", "players/a/around?size=2&", "players?ids=a,x,b&"];
    let by_mode = ["ordinal", "competition", "dense"]
        .into_iter()
        .flat_map(|mode| ranked.map(|path| format!("{path}rank={mode}&")));
    by_mode.chain(plain.map(str::to_owned)).map(|path| ask(&path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn window_that_is_over_is_kept_and_leaves_redis_and_takes_nothing_more() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    let (start, end) = (now(), later(OPEN.as_secs()));
    let file = stack.dir().join("boards.toml");
    let boards = format!(
        "[[board]]\nname = \"game-score\"\n\n\
         [[board]]\nname = \"sprint\"\norder = \"asc\"\nallowed_lateness = \"0s\"\ngrace = \"0s\"\n\
         [[board.season]]\nname = \"heat\"\nstart = {start}\nend = {end}\n\n\
         [[board]]\nname = \"cup\"\nwindows = []\nallowed_lateness = \"0s\"\ngrace = \"0s\"\n\
         [[board.season]]\nname = \"only\"\nstart = {start}\nend = {end}\n"
    );
    std::fs::write(&file, boards).unwrap();
    let boards = [("BOARDS_FILE", file.to_str().unwrap())];
    for service in [Service::Ranker, Service::Archiver, Service::Controller] {
        stack.spawn(service, service.program(), &boards);
        stack.ready(service.program()).await;
    }
    stack
        .produce(&[event("a", 30, start), event("b", 20, start), event("c", 20, start), event("c", 5, start)])
        .await;
    let in_redis = |key: &str| -> Vec<String> { stack.redis(&["ZREVRANGE", key, "0", "-1"]) };
    until("the window has its players", PATIENCE, async || match in_redis("{sprint}:w:heat") {
        players if players == ["b", "c", "a"] => Ok(()),
        players => Err(format!("{players:?}")),
    })
    .await;

    let asked = answers(&stack);
    assert_eq!(asked[0]["entries"][1]["user_id"], "c");

    let over = SystemTime::now() + OPEN + BEYOND_DOUBT;
    tokio::time::sleep(over.duration_since(SystemTime::now()).unwrap()).await;
    // It shows that the window is over; another is too late for it.
    stack.produce(&[event("a", 1, now()), event("b", 100, start)]).await;
    let postgres = stack.postgres().await;
    let kept = "SELECT place, user_id, score::bigint FROM analytics.final_standings \
                WHERE board = 'sprint' AND window_id = 'heat' ORDER BY place";
    let kept = until("its standings are kept", PATIENCE, async || {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(kept).fetch_all(&postgres).await.unwrap();
        if rows.is_empty() { Err("none".to_owned()) } else { Ok(rows) }
    })
    .await;
    assert_eq!(kept, [(1, "b".to_owned(), 20), (2, "c".to_owned(), 25), (3, "a".to_owned(), 30)]);
    until("it has left Redis", PATIENCE, async || match in_redis("{sprint}:w:heat") {
        players if players.is_empty() => Ok(()),
        players => Err(format!("{players:?}")),
    })
    .await;
    assert_eq!(in_redis("sprint"), ["c", "a", "b"], "all time goes on");
    assert_eq!(answers(&stack), asked, "the API answers as before");
    // Nothing counts on the other board any more. Its season is kept all the same, and shown on.
    let kept = "SELECT user_id FROM analytics.final_standings WHERE board = 'cup' ORDER BY place";
    until("its standings are kept, too", PATIENCE, async || {
        let kept: Vec<String> = sqlx::query_scalar(kept).fetch_all(&postgres).await.unwrap();
        if kept == ["a", "c", "b"] { Ok(()) } else { Err(format!("{kept:?}")) }
    })
    .await;
    let metrics = stack.metrics("score-ranker");
    assert!(metrics.contains(r#"ranker_late_total{board="sprint"} 1"#), "{metrics}");

    // Whoever is erased is erased here, too.
    let output =
        stack.command("boardctl").envs(boards).args(["erase-player", "c", "--yes", "--json"]).output();
    let answer: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let second = "SELECT user_id FROM analytics.final_standings WHERE board = 'sprint' AND place = 2";
    let second: String = sqlx::query_scalar(second).fetch_one(&postgres).await.unwrap();
    assert_eq!(answer["pseudonym"], second.as_str());
    tokio::time::sleep(A_LOOK).await;
    assert_eq!(in_redis("{cup}:w:only"), ["a", &*second, "b"], "the last season is shown on");
}
