//! Windows of event time, from their first event until they are history.

use crate::verify::{named, verify};
use contracts::EventTime;
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, until};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
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
    let payload = format!(
        r#"{{"score":{score},"user_id":"{user}","created_at":"{created_at}","tags":{{"team":"reds"}}}}"#
    );
    (user.as_bytes().to_vec(), Some(payload.into_bytes()))
}

/// The windows that end: of a board, and of a value of a board that there is per value.
const OVER: [[&str; 2]; 2] = [["sprint", "heat"], ["team:reds", "round"]];

/// What the API says of the windows, but for how often their boards have changed.
fn answers(stack: &Stack) -> Vec<Value> {
    OVER.iter().flat_map(|[board, window]| answers_of(stack, board, window)).collect()
}

fn answers_of(stack: &Stack, board: &str, window: &str) -> Vec<Value> {
    let ask = |path: &str| {
        let (status, mut answer) = stack.get(&format!("/v1/boards/{board}/{path}window={window}"));
        assert!(status == 200 || path.contains("nobody"), "{path}: {status} {answer}");
        let next = answer["next"].as_str().map(str::to_owned);
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("version");
            answer.remove("next");
        }
        (answer, next)
    };
    let plain = ["distribution?buckets=3&", "rank-of?score=25&", "rank-of?score=1&", "players/nobody?"];
    let ranked =
        ["top?", "players/c?", "players/a/around?size=2&", "players/d/around?size=1&", "players?ids=a,x,b&"];
    let mut answers: Vec<Value> = plain.iter().map(|path| ask(path).0).collect();
    for mode in ["ordinal", "competition", "dense"] {
        answers.extend(ranked.iter().map(|path| ask(&format!("{path}rank={mode}&")).0));
        let mut cursor = String::new();
        for _ in 0..3 {
            let (page, next) = ask(&format!("top?limit=2&rank={mode}&{cursor}"));
            answers.push(page);
            let Some(next) = next else { break };
            cursor = format!("cursor={next}&");
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn window_that_is_over_is_kept_and_leaves_redis_and_takes_nothing_more() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    let (start, end) = (now(), later(OPEN.as_secs()));
    let file = stack.dir().join("boards.toml");
    let ends = "allowed_lateness = \"0s\"\ngrace = \"0s\"";
    let season =
        |name: &str| format!("[[board.season]]\nname = \"{name}\"\nstart = {start}\nend = {end}\n\n");
    let boards = [
        "[[board]]\nname = \"game-score\"\n\n".to_owned(),
        format!("[[board]]\nname = \"sprint\"\norder = \"asc\"\n{ends}\n{}", season("heat")),
        format!("[[board]]\nname = \"cup\"\nwindows = []\n{ends}\n{}", season("only")),
        format!("[[board]]\nname = \"team\"\nmatch = {{ team = \"{{team}}\" }}\n{ends}\n{}", season("round")),
    ];
    std::fs::write(&file, boards.concat()).unwrap();
    let boards = [("BOARDS_FILE", file.to_str().unwrap())];
    for service in [Service::Ranker, Service::Archiver, Service::Controller] {
        stack.spawn(service, service.program(), &boards);
        stack.ready(service.program()).await;
    }
    // Two are equal from the first page on to the second.
    let events = [("a", 30), ("b", 20), ("c", 20), ("d", 25), ("c", 5)];
    stack.produce(&events.map(|(user, score)| event(user, score, start))).await;
    let in_redis = |key: &str| -> Vec<String> { stack.redis(&["ZREVRANGE", key, "0", "-1"]) };
    let heat = "{sprint}:w:heat";
    until("the window has its players", PATIENCE, async || match in_redis(heat) {
        players if players == ["b", "d", "c", "a"] => Ok(()),
        players => Err(format!("{players:?}")),
    })
    .await;
    let round = "{team}:v:reds:w:round";
    until("the value's window, too", PATIENCE, async || match in_redis(round) {
        players if players == ["a", "d", "c", "b"] => Ok(()),
        players => Err(format!("{players:?}")),
    })
    .await;

    let asked = answers(&stack);
    let ranks = |mode: &str| {
        let (_, page) = stack.get(&format!("/v1/boards/sprint/top?window=heat&rank={mode}"));
        let entries = page["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["rank"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        [ranks("ordinal"), ranks("competition"), ranks("dense")],
        [[1, 2, 3, 4], [1, 2, 2, 4], [1, 2, 2, 3]]
    );

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
    let row = |place, user: &str, score| (place, user.to_owned(), score);
    assert_eq!(kept, [row(1, "b", 20), row(2, "d", 25), row(3, "c", 25), row(4, "a", 30)]);
    until("both have left Redis", PATIENCE, async || match [in_redis(heat), in_redis(round)] {
        windows if windows.iter().all(Vec::is_empty) => Ok(()),
        windows => Err(format!("{windows:?}")),
    })
    .await;
    assert_eq!(in_redis("sprint"), ["d", "c", "a", "b"], "all time goes on");
    assert_eq!(answers(&stack), asked, "the API answers as before");
    // Nothing counts on the other board any more. Its season is kept all the same, and shown on.
    let kept = "SELECT user_id FROM analytics.final_standings WHERE board = 'cup' ORDER BY place";
    until("its standings are kept, too", PATIENCE, async || {
        let kept: Vec<String> = sqlx::query_scalar(kept).fetch_all(&postgres).await.unwrap();
        if kept == ["a", "d", "c", "b"] { Ok(()) } else { Err(format!("{kept:?}")) }
    })
    .await;
    let metrics = stack.metrics("score-ranker");
    assert!(metrics.contains(r#"ranker_late_total{board="sprint"} 1"#), "{metrics}");

    every_tampering_is_named(&stack, &postgres).await;

    // Whoever is erased is erased here, too.
    let output =
        stack.command("boardctl").envs(boards).args(["erase-player", "c", "--yes", "--json"]).output();
    let answer: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let third = "SELECT user_id FROM analytics.final_standings WHERE board = 'sprint' AND place = 3";
    let third: String = sqlx::query_scalar(third).fetch_one(&postgres).await.unwrap();
    assert_eq!(answer["pseudonym"], third.as_str());
    tokio::time::sleep(A_LOOK).await;
    assert_eq!(in_redis("{cup}:w:only"), ["a", &*third, "d", "b"], "the last season is shown on");
    // The pseudonym stands where the name stood, also among its equals.
    let (code, report) = verify(&stack, &[]);
    assert_eq!(
        (code, report["boards"][1]["finals"]["compared"]["windows"].as_u64()),
        (0, Some(1)),
        "{report:#}"
    );
}

/// `boardctl verify` compares what is kept, also once it has left Redis, and names what was changed.
async fn every_tampering_is_named(stack: &Stack, postgres: &PgPool) {
    let (code, report) = verify(stack, &[]);
    assert_eq!(code, 0, "{report:#}");
    for board in 1..4 {
        let finals = &report["boards"][board]["finals"]["compared"];
        let compared = ["windows", "players", "of_other_rules", "left_out"].map(|what| finals[what].as_u64());
        assert_eq!(compared, [1, 4, 0, 0].map(Some), "{report:#}");
    }
    let run = async |statement: &str| {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(postgres).await.unwrap();
    };
    run("CREATE TABLE public.kept AS TABLE leaderboard.final_standing").await;
    let update = "UPDATE leaderboard.final_standing SET";
    let heat = "WHERE board = 'sprint' AND user_id =";
    let cases = [
        (format!("{update} score = score + 1 {heat} 'd'"), vec!["sprint/heat/d"]),
        (format!("{update} sorted_set_score = sorted_set_score - 1, score = score + 1 {heat} 'd'"), vec!["sprint/heat/c", "sprint/heat/d"]),
        (format!("{update} sorted_set_score = sorted_set_score - 2^(-30) {heat} 'a'"), vec!["sprint/heat/a"]),
        (format!("{update} place = 9 {heat} 'a'"), vec!["sprint/heat/a"]),
        (format!("{update} user_id = 'e' {heat} 'd'"), vec!["sprint/heat/d", "sprint/heat/e"]),
        (format!("{update} user_id = CASE user_id WHEN 'c' THEN 'd' ELSE 'c' END WHERE board = 'sprint' AND place IN (2, 3)"), vec!["sprint/heat/d"]),
        (format!("DELETE FROM leaderboard.final_standing {heat} 'a'"), vec!["sprint/heat", "sprint/heat/a"]),
        (
            "INSERT INTO leaderboard.final_standing SELECT board, window_id, 5, sorted_set_score, user_id, score \
             FROM leaderboard.final_standing WHERE board = 'team:reds' AND place = 4"
                .to_owned(),
            vec!["team:reds/round", "team:reds/round/b"],
        ),
    ];
    for (statement, expected) in cases {
        run(&statement).await;
        let (code, report) = verify(stack, &[]);
        let mut found = named(&report);
        assert!(found.iter().all(|(kind, _)| kind == "wrong_final_standing"), "{statement}: {report:#}");
        found.sort_unstable();
        found.dedup();
        let found: Vec<&str> = found.iter().map(|(_, at)| at.as_str()).collect();
        assert_eq!((code, found), (1, expected), "{statement}: {report:#}");
        run("BEGIN; DELETE FROM leaderboard.final_standing; \
             INSERT INTO leaderboard.final_standing SELECT * FROM public.kept; COMMIT")
        .await;
    }
    // By which rules these were kept was not written down once.
    run("UPDATE leaderboard.final_window SET rules = NULL WHERE board = 'cup'").await;
    let (code, report) = verify(stack, &[]);
    assert_eq!(
        (code, report["boards"][2]["finals"]["compared"]["of_other_rules"].as_u64()),
        (0, Some(1)),
        "{report:#}"
    );
}
