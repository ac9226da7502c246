//! Windows and values over HTTP: which window an instant lies in, what boards and windows are called, what
//! is answered of those that are over.

use crate::deployment::{Deployment, EVERY_KIND, Played, TEAMS, at, encoded, played};
use crate::rest::redis;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn last_instant_of_a_day_is_of_that_day_in_every_zone() {
    for (zone, last, first) in [
        ("UTC", "2026-11-21T23:59:59.999999Z", "2026-11-22T00:00:00Z"),
        ("Asia/Kathmandu", "2026-11-21T23:59:59.999999+05:45", "2026-11-22T00:00:00+05:45"),
        ("America/St_Johns", "2026-11-21T23:59:59.999999-03:30", "2026-11-22T00:00:00-03:30"),
    ] {
        let file = format!("[[board]]\nname = \"TEST\"\nwindows = [\"day\"]\ntimezone = \"{zone}\"\n");
        let log = [played("last", "1", last), played("first", "1", first)];
        let Some(deployment) = Deployment::start(&file, &log, last).await else { return };
        assert_eq!(deployment.players("", "/top").await, ["last"], "{zone}");
        deployment.it_is(first);
        let page = deployment.json("", "/top?limit=1").await;
        assert_eq!(
            (&page["window"], &page["entries"][0]["user_id"]),
            (&"2026-11-22".into(), &"first".into())
        );
        assert_eq!(deployment.players("", "/top?window=previous-day").await, ["last"], "{zone}");
        assert_eq!(deployment.players("", "/top?window=2026-11-21").await, ["last"], "{zone}");
        let described = deployment.json("", "").await;
        assert_eq!(described["windows"][0]["window"], "2026-11-22");
        assert_eq!(described["windows"][0]["players"], 1);
        assert_eq!(at(described["windows"][0]["start"].as_str().unwrap()), at(first));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hour_that_happens_twice_is_two_windows() {
    let log = [played("a", "1", "2026-10-25T02:30:00+02:00"), played("b", "1", "2026-10-25T02:30:00+01:00")];
    let file = "[[board]]\nname = \"TEST\"\nwindows = [\"hour\"]\ntimezone = \"Europe/Berlin\"\n";
    let Some(deployment) = Deployment::start(file, &log, "2026-10-25T02:40:00+01:00").await else { return };
    for (window, id, player) in [
        ("2026-10-25T02%2B0200", "2026-10-25T02+0200", "a"),
        // As browsers write a space.
        ("2026-10-25T02+0200", "2026-10-25T02+0200", "a"),
        ("previous-hour", "2026-10-25T02+0200", "a"),
        ("hour", "2026-10-25T02+0100", "b"),
    ] {
        let page = deployment.json("", &format!("/top?window={window}")).await;
        assert_eq!(
            (&page["window"], &page["entries"][0]["user_id"]),
            (&id.into(), &player.into()),
            "{window}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_season_is_served_until_it_has_left_redis_and_then_that_is_said() {
    let file = "[[board]]\nname = \"TEST\"\nwindows = [\"all\"]\ngrace = \"1d\"\nallowed_lateness = \"1h\"\n\
                [[board.season]]\nname = \"cup\"\nstart = 2026-11-01\nend = 2026-11-02\n";
    let late = played("late", "1", "2026-11-01T23:30:00Z").late(7200);
    let log = [played("a", "1", "2026-11-01T12:00:00Z"), late, played("after", "1", "2026-11-02T00:00:00Z")];
    let Some(deployment) = Deployment::start(file, &log, "2026-11-03T00:59:59.999999Z").await else { return };
    assert_eq!(deployment.players("", "/top?window=cup").await, ["a"]);
    assert_eq!(deployment.players("", "/top").await, ["a", "late", "after"]);
    let seasons = deployment.json("", "").await["seasons"].clone();
    assert_eq!(
        seasons,
        json!([{"window": "cup", "start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"}])
    );
    deployment.it_is("2026-11-03T01:00:00Z");
    // It stays until it is kept elsewhere.
    assert_eq!(deployment.players("", "/top?window=cup&limit=9").await, ["a"]);
    deployment.lose("", "w:cup");
    for below in
        ["/top", "/players/a", "/players/a/around", "/distribution", "/players?ids=a", "/rank-of?score=1"]
    {
        let separator = if below.contains('?') { '&' } else { '?' };
        // Answers from before may be kept for a moment.
        let below = format!("{below}{separator}&window=cup");
        let answer = deployment.get("", &below).await;
        assert_eq!(answer.status, 404, "{below}");
        assert_eq!(answer.problem(), ("window-gone".to_owned(), Some("window".to_owned())), "{below}");
    }
    let name = &deployment.prefix;
    let of_player = format!("/v1/players/a/boards?boards={name}&window=cup");
    let of_player = deployment.controller.get(&of_player).await.json();
    assert_eq!(of_player["boards"][0]["problem"]["type"], "/problems/window-gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn board_of_a_value_is_called_by_name_and_value() {
    let log: Vec<Played> =
        TEAMS.iter().map(|team| played(team, "1", "2026-10-25T00:00:00Z").tagged("team", team)).collect();
    let Some(deployment) = Deployment::start(EVERY_KIND, &log, "2026-10-25T03:00:00Z").await else { return };
    for team in TEAMS {
        assert_eq!(deployment.players(&format!("-team:{team}"), "/top").await, [team]);
        let described = deployment.json(&format!("-team:{team}"), "").await;
        assert_eq!(described["board"], format!("{}-team:{team}", deployment.prefix));
        assert_eq!(described["windows"][0]["players"], 1);
    }
    // A value that nobody has yet.
    let nobody = deployment.json("-team:greens", "/top").await;
    assert_eq!((&nobody["entries"], &nobody["players"]), (&json!([]), &0.into()));
    assert_eq!(deployment.get("-team:greens", "/players/a").await.problem().0, "unknown-player");
    for name in ["-team", "-team:", ":reds", "-golf:reds", "-none", "-none:reds"] {
        for below in ["", "/top", "/players/a", "/events"] {
            let answer = deployment.get(name, below).await;
            assert_eq!((answer.status, answer.problem().0.as_str()), (404, "unknown-board"), "{name}{below}");
        }
    }
    let answer = deployment.get("-team:reds", "/events").await;
    assert_eq!((answer.status, answer.problem().0.as_str()), (404, "not-live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_of_another_board_or_window_is_refused() {
    let day = "2026-10-25T00:00:00Z";
    let log = [played("a", "2", day), played("b", "1", day)];
    let Some(deployment) = Deployment::start(EVERY_KIND, &log, "2026-10-25T03:00:00Z").await else { return };
    let next = deployment.json("", "/top?limit=1").await["next"].as_str().unwrap().to_owned();
    assert_eq!(deployment.players("", &format!("/top?cursor={next}&window=all")).await, ["b"]);
    for (board, query) in
        [("", "&window=day"), ("", "&window=2026-10-25T02%2B0200"), ("-golf", ""), ("-team:reds", "")]
    {
        let answer = deployment.get(board, &format!("/top?cursor={next}{query}")).await;
        assert_eq!(answer.status, 400, "{board} {query}");
        assert_eq!(answer.problem(), ("invalid-parameter".to_owned(), Some("cursor".to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn window_that_a_board_does_not_keep_is_refused_by_name() {
    let Some(deployment) = Deployment::start(EVERY_KIND, &[], "2026-10-25T03:00:00Z").await else { return };
    for (board, window) in [
        ("", "week"),
        ("", "2026-W43"),
        ("", "autumn"),
        ("", "2026-10-32"),
        ("", "2026-10-25T02%2B0300"),
        ("", ""),
        ("-golf", "all"),
        ("-golf", "2026-10-25"),
        ("-last", "season"),
        ("-team:reds", "previous-hour"),
    ] {
        for below in [
            "/top?",
            "/players/a?",
            "/players/a/around?",
            "/players?ids=a&",
            "/distribution?",
            "/rank-of?score=1&",
        ] {
            let answer = deployment.get(board, &format!("{below}window={window}")).await;
            assert_eq!(answer.status, 400, "{board} {below} {window}");
            assert_eq!(answer.problem(), ("invalid-parameter".to_owned(), Some("window".to_owned())));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn player_is_looked_up_on_all_boards_that_are_not_per_value() {
    let log = [played("a", "2", "2026-10-25T00:00:00Z").tagged("ranked", "yes").tagged("team", "reds")];
    let Some(deployment) = Deployment::start(EVERY_KIND, &log, "2026-10-25T01:30:00Z").await else { return };
    let found = deployment.controller.get("/v1/players/a/boards").await.json();
    let items = found["boards"].as_array().unwrap();
    let name = |suffix: &str| format!("{}{suffix}", deployment.prefix);
    let shown: Vec<(String, &str)> = items
        .iter()
        .map(|item| (item["board"].as_str().unwrap().to_owned(), item["window"].as_str().unwrap_or("-")))
        .collect();
    // The event is before both seasons.
    assert_eq!(shown, [(name(""), "all"), (name("-golf"), "2026-W43"), (name("-last"), "-")]);
    assert_eq!(items[2]["problem"]["type"], "/problems/unknown-player");
    let of_day = format!(
        "/v1/players/a/boards?window=day&boards={},{},{}",
        encoded(&name("")),
        encoded(&name("-golf")),
        encoded(&name("-team:reds"))
    );
    let found = deployment.controller.get(&of_day).await.json();
    assert_eq!(found["boards"][0]["window"], "2026-10-25");
    assert_eq!(found["boards"][1]["problem"]["field"], "window");
    assert_eq!(found["boards"][2]["window"], "2026-10-24", "by the clocks of St. John's");
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_are_listed_with_their_rules_and_present_windows() {
    let log = [played("a", "2", "2026-10-25T01:10:00Z").tagged("team", "reds").tagged("ranked", "yes")];
    let Some(deployment) = Deployment::start(EVERY_KIND, &log, "2026-10-25T01:30:00Z").await else { return };
    let list = deployment.controller.get("/v1/boards").await.json();
    let boards = list["boards"].as_array().unwrap();
    let windows = |index: usize| -> Vec<(String, Value)> {
        let windows = boards[index]["windows"].as_array().unwrap().iter();
        windows
            .map(|window| (window["window"].as_str().unwrap().to_owned(), window["players"].clone()))
            .collect()
    };
    let expected = [("all", json!(1)), ("2026-10-25T02+0100", json!(1)), ("2026-10-25", json!(1))];
    assert_eq!(windows(0), expected.map(|(id, players)| (id.to_owned(), players)));
    let expected = [("2026-W43", json!(1)), ("2026-10", json!(1))];
    assert_eq!(windows(1), expected.map(|(id, players)| (id.to_owned(), players)));
    assert_eq!(windows(2)[0], ("all".to_owned(), Value::Null), "of all values together");
    assert_eq!(windows(3).len(), 2, "seasons may overlap");
    let golf = &boards[1];
    let rules = ["aggregate", "order", "tie_break", "decimals", "timezone", "allowed_lateness_seconds"];
    let rules: Vec<&Value> = rules.iter().map(|rule| &golf[*rule]).collect();
    assert_eq!(json!(rules), json!(["best", "asc", "first", 2, "Asia/Kathmandu", null]));
    assert_eq!(boards[2]["per_value"], json!({"tag": "team", "max_values": 1000}));
    assert_eq!(boards[3]["match"], json!({"ranked": "yes"}));
    assert_eq!(boards[3]["window_kinds"], json!(["season"]));
    let season = &boards[3]["windows"][0];
    assert_eq!(season["final_at"], "2026-10-27T02:00:00Z");
    assert_eq!(deployment.json("-golf", "").await, *golf);
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_of_a_player_are_asked_for_at_once() {
    let names: Vec<String> = (0..40).map(|index| format!("TEST{index}")).collect();
    let file: String = names.iter().map(|name| format!("[[board]]\nname = \"{name}\"\n")).collect();
    let log = [played("a", "1", "2026-10-25T00:00:00Z")];
    let Some(deployment) = Deployment::start(&file, &log, "2026-10-25T00:00:00Z").await else { return };
    let reads = || -> u64 {
        let stats = redis(&deployment.url, &["INFO", "stats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        line.unwrap().parse().unwrap()
    };
    // Others use this Redis, and the machine may stand still: in one of many tries they come together.
    let mut least = u64::MAX;
    for _ in 0..200 {
        let before = reads();
        let found = deployment.controller.get("/v1/players/a/boards").await.json();
        assert_eq!(found["boards"].as_array().unwrap().len(), 40);
        least = least.min(reads() - before);
        if least < 10 {
            return;
        }
    }
    panic!("{least} round trips for 40 boards");
}
