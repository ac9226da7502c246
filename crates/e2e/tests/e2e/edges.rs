//! Every edge in one table: what is sent, what is asked then, what must be answered.

use crate::boards::encoded;
use crate::windows::now;
use contracts::EventTime;
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, until};
use serde_json::{Value, json};

const BOARDS: &str = r#"
[[board]]
name = "game-score"
match = { on = "alone" }
[[board]]
name = "empty"
match = { on = "empty" }
[[board]]
name = "ties"
match = { on = "ties" }
[[board]]
name = "ids"
match = { on = "ids" }
[[board]]
name = "limits"
match = { on = "limits" }
max_score = 100
max_total = 250
[[board]]
name = "low"
match = { on = "low" }
[[board]]
name = "half"
match = { on = "half" }
decimals = 1
[[board]]
name = "utc"
match = { on = "zones" }
windows = ["day"]
allowed_lateness = "forever"
[[board]]
name = "tokyo"
match = { on = "zones" }
windows = ["day"]
timezone = "Asia/Tokyo"
allowed_lateness = "forever"
[[board]]
name = "new-york"
match = { on = "zones" }
windows = ["day", "hour"]
timezone = "America/New_York"
allowed_lateness = "forever"
[[board]]
name = "late"
match = { on = "late" }
windows = ["all", "hour"]
allowed_lateness = "10m"
[[board]]
name = "over"
match = { on = "over" }
allowed_lateness = "0s"
[[board.season]]
name = "old"
start = 2020-01-01
end = 2021-01-01
"#;

const LONGEST_ID: &str = "x123456789x123456789x123456789x123456789x123456789x123456789x123\
                          x123456789x123456789x123456789x123456789x123456789x123456789x123";

fn seconds_from_now(seconds: i64) -> EventTime {
    now().saturating_add_seconds(seconds)
}

/// An event for the boards that ask for `on`; `score` is JSON.
fn event(on: &str, user: &str, score: &str, created_at: Option<&str>) -> String {
    let created_at = created_at.map(|at| format!(r#","created_at":"{at}""#)).unwrap_or_default();
    let user = Value::from(user);
    format!(r#"{{"score":{score},"user_id":{user},"tags":{{"on":"{on}"}}{created_at}}}"#)
}

/// What is not there, or otherwise than expected; members that are not asked about may be any.
fn differs(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .any(|(name, expected)| found.get(name).is_none_or(|found| differs(found, expected))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() != expected.len()
                || found.iter().zip(expected).any(|(found, expected)| differs(found, expected))
        }
        _ => found != expected,
    }
}

/// Paths below `/v1/boards/`, the status and what must be in the answer.
type Table = Vec<(String, u16, Value)>;

fn check(stack: &Stack, table: &Table) -> Result<(), String> {
    for (path, status, expected) in table {
        let (found_status, found) = stack.get(&format!("/v1/boards/{path}"));
        if found_status != *status || differs(&found, expected) {
            return Err(format!("{path}: {found_status} {found}, not {status} {expected}"));
        }
    }
    Ok(())
}

fn rows(rows: &[(u64, &str, i64)]) -> Value {
    let row = |(rank, user, score): &(u64, &str, i64)| json!({"rank": rank, "user_id": user, "score": score});
    rows.iter().map(row).collect()
}

/// What counts, in this order.
fn taken(hours_ago: EventTime) -> Vec<String> {
    let at = |second: u32| format!("2026-11-01T00:00:{second:02}Z");
    let in_turn = |on, (user, second): (&str, u32), score| event(on, user, score, Some(&at(second)));
    let mut events = vec![event("alone", "only", "7", None)];
    events.extend(["t1", "t2", "t3", "t4"].into_iter().zip(0..).map(|turn| in_turn("ties", turn, "10")));
    events.extend(IDS.into_iter().zip(0..).map(|turn| in_turn("ids", turn, "1")));
    events.extend(["high", "high", "high"].into_iter().zip(0..).map(|turn| in_turn("limits", turn, "100")));
    events.extend(["deep", "deep", "deep"].into_iter().zip(0..).map(|turn| in_turn("limits", turn, "-100")));
    events.extend([
        event("low", "negative", "-5", None),
        event("low", "negative", "-1", None),
        event("low", "zero", "-0", None),
        event("half", "sum", "0.1", None),
        event("half", "sum", "0.2", None),
        event("half", "half", "-0.5", None),
    ]);
    // The last microsecond of a day in each zone, and the first of the next one.
    for (user, last, first) in [
        ("utc", "2026-03-01T23:59:59.999999Z", "2026-03-02T00:00:00Z"),
        ("tokyo", "2026-03-01T14:59:59.999999Z", "2026-03-01T15:00:00Z"),
        ("new-york", "2026-03-02T04:59:59.999999Z", "2026-03-02T05:00:00Z"),
    ] {
        events.extend([event("zones", user, "1", Some(last)), event("zones", user, "20", Some(first))]);
    }
    events.extend([
        event("zones", "twice", "3", Some("2026-11-01T05:30:00Z")),
        event("zones", "twice", "4", Some("2026-11-01T06:30:00Z")),
        event("late", "late", "5", Some(&hours_ago.to_string())),
        event("over", "late", "8", Some("2020-06-01T00:00:00Z")),
    ]);
    events
}

const IDS: [&str; 5] = ["a/b,c%2F", "two words", "🦀 crab", "שלום עולם", LONGEST_ID];

/// Events that no board takes, and the member that is at fault.
fn refused() -> Vec<(String, &'static str)> {
    vec![
        (event("ids", &format!("{LONGEST_ID}x"), "1", None), "user_id"),
        (event("limits", "high", "101", None), "score"),
        (event("limits", "deep", "-101", None), "score"),
        (event("low", "big", "9007199254740993", None), "score"),
        (event("low", "half", "1.5", None), "score"),
        (event("low", "object", "{}", None), "score"),
        (event("low", "null", "null", None), "score"),
        (event("half", "quarter", "0.25", None), "score"),
        (event("late", "future", "1", Some(&seconds_from_now(610).to_string())), "created_at"),
    ]
}

fn table(hours_ago: EventTime) -> Table {
    let day = |board: &str, day: &str| format!("{board}/players/{board}?window={day}");
    let score = |score: i64| json!({ "score": score });
    let none = json!({ "entries": [], "players": 0, "has_more": false, "next": null });
    let unknown = json!({ "type": "/problems/unknown-player" });
    let invalid = |field: &str| json!({ "type": "/problems/invalid-parameter", "field": field });
    let hour = hours_ago.to_string()[..13].to_owned() + "%2B0000";
    let mut table: Table = [
        ("empty/top", 200, none.clone()),
        ("empty/players/a", 404, unknown.clone()),
        ("empty/players/a/around", 404, unknown.clone()),
        ("empty/players?ids=a", 200, json!({ "entries": [], "not_found": ["a"] })),
        ("empty/rank-of?score=5", 200, json!({ "ranks": { "ordinal": 1 }, "players_at": 0 })),
        (
            "game-score/top",
            200,
            json!({ "entries": rows(&[(1, "only", 7)]), "players": 1, "has_more": false }),
        ),
        ("game-score/players/only/around?size=1", 200, json!({ "entries": rows(&[(1, "only", 7)]) })),
        ("game-score/players/nobody", 404, unknown.clone()),
        ("game-score/top?page=0", 400, invalid("page")),
        ("game-score/top?limit=-1", 400, invalid("limit")),
        (
            "ties/players/t1/around?size=3",
            200,
            json!({ "entries": rows(&[(1, "t1", 10), (2, "t2", 10), (3, "t3", 10)]) }),
        ),
        (
            "ties/players/t4/around?size=3",
            200,
            json!({ "entries": rows(&[(2, "t2", 10), (3, "t3", 10), (4, "t4", 10)]) }),
        ),
        ("ties/players/t3/around?size=1", 200, json!({ "entries": rows(&[(3, "t3", 10)]) })),
        (
            "ties/top?limit=2&rank=dense",
            200,
            json!({ "entries": rows(&[(1, "t1", 10), (1, "t2", 10)]), "has_more": true }),
        ),
        ("limits/players/high", 200, score(250)),
        ("limits/players/deep", 200, score(-250)),
        ("low/top", 200, json!({ "entries": rows(&[(1, "zero", 0), (2, "negative", -6)]), "players": 2 })),
        (
            "half/top",
            200,
            json!({ "entries": [{ "user_id": "sum", "score": 0.3 }, { "user_id": "half", "score": -0.5 }] }),
        ),
        ("new-york/players/twice?window=2026-11-01T01-0400", 200, score(3)),
        ("new-york/players/twice?window=2026-11-01T01-0500", 200, score(4)),
        ("new-york/players/twice?window=2026-11-01", 200, score(7)),
        ("late/players/late", 200, score(5)),
        ("late/players/future", 200, score(6)),
        ("over/players/late", 200, score(8)),
        ("over/top?window=old", 200, none.clone()),
    ]
    .map(|(path, status, answer)| (path.to_owned(), status, answer))
    .into();
    for board in ["utc", "tokyo", "new-york"] {
        table.push((day(board, "2026-03-01"), 200, score(1)));
        table.push((day(board, "2026-03-02"), 200, score(20)));
    }
    table.push((format!("late/top?window={hour}"), 200, none));
    for (id, rank) in IDS.into_iter().zip(1u64..) {
        let row = json!({ "rank": rank, "user_id": id, "score": 1 });
        table.push((format!("ids/players/{}", encoded(id)), 200, row.clone()));
        let around = json!({ "entries": [row] });
        table.push((format!("ids/players/{}/around?size=1", encoded(id)), 200, around));
    }
    let too_long = encoded(&format!("{LONGEST_ID}x"));
    table.push((format!("ids/players/{too_long}"), 400, json!({ "type": "/problems/invalid-parameter" })));
    let ids: Vec<String> = IDS.into_iter().chain(["nobody"]).map(encoded).collect();
    let all: Vec<Value> = IDS.into_iter().map(|id| json!({ "user_id": id })).collect();
    let listed = json!({ "entries": all, "not_found": ["nobody"] });
    table.push((format!("ids/players?ids={}", ids.join(",")), 200, listed));
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edge_is_as_it_must_be() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    let file = stack.dir().join("boards.toml");
    std::fs::write(&file, BOARDS).unwrap();
    for service in [Service::Ranker, Service::Archiver, Service::Controller] {
        stack.spawn(service, service.program(), &[("BOARDS_FILE", file.to_str().unwrap())]);
        stack.ready(service.program()).await;
    }
    let hours_ago = seconds_from_now(-2 * 3600);
    assert_eq!(LONGEST_ID.len(), 128);

    for (event, field) in refused() {
        let (status, answer) = stack.post_scores("", &event);
        assert_eq!((status, &answer["type"]), (400, &json!("/problems/all-rejected")), "{event}: {answer}");
        assert_eq!(answer["rejected"][0]["field"], field, "{event}: {answer}");
    }
    let events = taken(hours_ago);
    let (status, answer) = stack.post_scores("", &format!("[{}]", events.join(",")));
    assert_eq!((status, &answer["accepted"]), (202, &json!(events.len())), "{answer}");

    // Over HTTP there is a margin for clocks that differ; Kafka's own decides.
    let future = event("late", "future", "6", Some(&seconds_from_now(595).to_string()));
    stack.produce(&[(b"future".to_vec(), Some(future.into_bytes()))]).await;

    let table = table(hours_ago);
    until("every edge is right", PATIENCE, async || check(&stack, &table)).await;

    // Equals across the border of two pages, then a page whose rows have all gone elsewhere.
    let page = |cursor: &str| stack.get(&format!("/v1/boards/ties/top?limit=3&rank=competition{cursor}")).1;
    let first = page("");
    assert!(!differs(&first["entries"], &rows(&[(1, "t1", 10), (1, "t2", 10), (1, "t3", 10)])), "{first}");
    let cursor = format!("&cursor={}", first["next"].as_str().unwrap());
    assert!(!differs(&page(&cursor)["entries"], &rows(&[(1, "t4", 10)])));
    let (status, _) = stack.post_scores("", &event("ties", "t4", "1", None));
    assert_eq!(status, 202);
    until("nothing is behind the cursor", PATIENCE, async || {
        let page = page(&cursor);
        let nothing = json!({ "entries": [], "has_more": false, "next": null, "players": 4 });
        if differs(&page, &nothing) { Err(page.to_string()) } else { Ok(()) }
    })
    .await;
}
