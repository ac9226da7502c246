//! The edges of every read, against a real Redis.

use crate::deployment::encoded;
use crate::rest::{TestBoard, redis};
use crate::support::{Answer, DEADLINE};
use serde_json::{Value, json};
use std::time::Instant;

/// (rank, player, score) of each entry.
fn rows(answer: &Answer) -> Vec<(u64, String, i64)> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let row = |entry: &Value| {
        let player = entry["user_id"].as_str().unwrap().to_owned();
        (entry["rank"].as_u64().unwrap(), player, entry["score"].as_i64().unwrap())
    };
    answer.json()["entries"].as_array().unwrap().iter().map(row).collect()
}

fn ranks(answer: &Answer) -> Vec<u64> {
    rows(answer).into_iter().map(|row| row.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn board_without_players_is_answered_for() {
    let Some(board) = TestBoard::with(&[]).await else { return };
    let page = board.get("/top?rank=dense").await.json();
    assert_eq!(
        (&page["entries"], &page["has_more"], &page["next"]),
        (&json!([]), &false.into(), &Value::Null)
    );
    let list = board.get("/players?ids=a,b").await.json();
    assert_eq!((&list["entries"], &list["not_found"]), (&json!([]), &json!(["a", "b"])));
    assert_eq!(board.get("/distribution").await.json()["buckets"], json!([]));
    let rank = board.get("/rank-of?score=5").await.json();
    assert_eq!(rank["ranks"], json!({"ordinal": 1, "competition": 1, "dense": 1}));
    assert_eq!((&rank["players_at"], &rank["players"]), (&0.into(), &0.into()));
    for path in ["/players/a", "/players/a/around"] {
        let answer = board.get(path).await;
        assert_eq!((answer.status, answer.problem()), (404, ("unknown-player".to_owned(), None)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_player_is_first_last_and_all_around() {
    let Some(board) = TestBoard::with(&[("a", -7)]).await else { return };
    for rank in ["ordinal", "competition", "dense"] {
        for below in ["/top", "/players/a/around?size=1", "/players/a/around?size=100", "/players?ids=a"] {
            let separator = if below.contains('?') { '&' } else { '?' };
            let answer = board.get(&format!("{below}{separator}rank={rank}")).await;
            assert_eq!(rows(&answer), [(1, "a".to_owned(), -7)], "{below} {rank}");
        }
    }
    assert_eq!(board.get("/players/a").await.json()["percentile"], 100.0);
    let bucket = json!([{"from": -7, "to": -7, "count": 1}]);
    assert_eq!(board.get("/distribution?buckets=100").await.json()["buckets"], bucket);
}

#[tokio::test(flavor = "multi_thread")]
async fn equals_are_ranked_as_asked_also_across_pages() {
    let totals = [("a", 9), ("b", 5), ("c", 5), ("d", 5), ("e", 5), ("f", 1)];
    let Some(board) = TestBoard::with(&totals).await else { return };
    for (rank, expected) in
        [("ordinal", [1, 2, 3, 4, 5, 6]), ("competition", [1, 2, 2, 2, 2, 6]), ("dense", [1, 2, 2, 2, 2, 3])]
    {
        let mut read = Vec::new();
        let mut cursor = String::new();
        for page in 0..2 {
            let answer = board.get(&format!("/top?limit=3&rank={rank}{cursor}")).await;
            read.extend(ranks(&answer));
            assert_eq!(answer.json()["has_more"], page == 0);
            cursor = format!("&cursor={}", answer.json()["next"].as_str().unwrap_or_default());
        }
        assert_eq!(read, expected, "{rank}");
        assert_eq!(ranks(&board.get(&format!("/players/d/around?size=4&rank={rank}")).await), expected[2..]);
        let one = board.get(&format!("/players/d?rank={rank}")).await.json();
        // The percentile goes by the place, whatever the way of counting.
        assert_eq!((&one["rank"], &one["percentile"]), (&expected[3].into(), &json!(50.0)), "{rank}");
        let list = board.get(&format!("/players?ids=f,d,a&rank={rank}")).await;
        assert_eq!(ranks(&list), [expected[5], expected[3], expected[0]]);
    }
    let at_five = board.get("/rank-of?score=5").await.json();
    assert_eq!(at_five["ranks"], json!({"ordinal": 6, "competition": 2, "dense": 2}));
    assert_eq!(at_five["players_at"], 4);
    let three = json!([{"from": 1, "to": 3, "count": 1}, {"from": 4, "to": 6, "count": 4}, {"from": 7, "to": 9, "count": 1}]);
    assert_eq!(board.get("/distribution?buckets=3").await.json()["buckets"], three);
}

#[tokio::test(flavor = "multi_thread")]
async fn slice_around_a_player_is_whole_at_both_ends() {
    let names: Vec<String> = (1..=9).map(|place| format!("p{place}")).collect();
    let totals: Vec<_> = names.iter().map(String::as_str).zip((1..=9).map(|place| 100 - place)).collect();
    let Some(board) = TestBoard::with(&totals).await else { return };
    for (place, size, first, count) in [
        (1, 1, 1, 1),
        (9, 1, 9, 1),
        (5, 1, 5, 1),
        (1, 4, 1, 4),
        (2, 4, 1, 4),
        (3, 4, 2, 4),
        (5, 5, 3, 5),
        (8, 4, 6, 4),
        (9, 4, 6, 4),
        (5, 9, 1, 9),
        (9, 100, 1, 9),
    ] {
        let answer = board.get(&format!("/players/p{place}/around?size={size}")).await;
        let expected: Vec<u64> = (first..first + count).collect();
        assert_eq!(ranks(&answer), expected, "{place} {size}");
        let entries = answer.json()["entries"].as_array().unwrap().clone();
        let mine: Vec<&Value> = entries.iter().filter(|entry| entry["me"] == true).collect();
        assert_eq!(mine.len(), 1);
        assert_eq!((&mine[0]["rank"], mine[0]["percentile"].is_f64()), (&place.into(), true));
        let others = entries.iter().filter(|entry| entry.get("me").is_none());
        assert!(
            others.clone().count() == entries.len() - 1
                && others.into_iter().all(|e| e.get("percentile").is_none())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_id_is_found_one_by_one_in_a_list_with_its_rows_and_on_its_boards() {
    let longest = "ü".repeat(64);
    let ids = ["a/b", "a b", "a,b", "50%", "a%2Cb", "🎯", "אב", "+", "?&=#", "..", &longest];
    let totals: Vec<(&str, i64)> = ids.iter().copied().zip(1..).collect();
    let Some(board) = TestBoard::with(&totals).await else { return };
    for (id, total) in &totals {
        for path in [format!("/players/{}", encoded(id)), format!("/players?ids={}", encoded(id))] {
            let answer = board.get(&path).await;
            assert_eq!(answer.status, 200, "{id}");
            let entry = answer.json();
            let entry = if path.contains('?') { entry["entries"][0].clone() } else { entry };
            assert_eq!((&entry["user_id"], &entry["score"]), (&(*id).into(), &(*total).into()), "{path}");
        }
        let around = board.get(&format!("/players/{}/around?size=1", encoded(id))).await;
        let place = i64::try_from(ids.len()).unwrap() + 1 - total;
        assert_eq!(rows(&around), [(u64::try_from(place).unwrap(), (*id).to_owned(), *total)], "{id}");
        let path = format!("/v1/players/{}/boards?boards={}", encoded(id), board.name());
        let answer = board.controller.get(&path).await.json();
        let on_board = &answer["boards"][0];
        assert_eq!(
            (&answer["user_id"], &on_board["score"], &on_board["rank"]),
            (&(*id).into(), &(*total).into(), &place.into()),
            "{path}"
        );
    }
    let list = ids.map(encoded).join(",");
    let answer = board.get(&format!("/players?ids={list},nobody,{},nobody", encoded(ids[0]))).await;
    let found: Vec<String> = rows(&answer).into_iter().map(|row| row.1).collect();
    assert_eq!(found, ids, "in the order asked, each once");
    assert_eq!(answer.json()["not_found"], json!(["nobody"]));
    for path in [format!("/players/{}", "x".repeat(129)), format!("/players?ids=a,{}", "x".repeat(129))] {
        let field = if path.contains('?') { "ids" } else { "id" };
        let answer = board.get(&path).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.problem(), ("invalid-parameter".to_owned(), Some(field.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_exact_at_the_limits_of_what_a_total_can_be() {
    let limit = boards::rules::MAX_TOTAL_UNITS;
    let totals = [("top", limit), ("zero", 0), ("below", -1), ("bottom", -limit)];
    let Some(board) = TestBoard::with(&totals).await else { return };
    let expected: Vec<_> =
        (1..).zip(totals).map(|(rank, (id, total))| (rank, id.to_owned(), total)).collect();
    for rank in ["ordinal", "competition", "dense"] {
        assert_eq!(rows(&board.get(&format!("/top?rank={rank}")).await), expected, "{rank}");
    }
    for (score, place, at) in
        [(limit, 1, 1), (limit - 1, 2, 0), (0, 2, 1), (-1, 3, 1), (1 - limit, 4, 0), (-limit, 4, 1)]
    {
        let answer = board.get(&format!("/rank-of?score={score}")).await.json();
        let found = (&answer["ranks"]["competition"], &answer["players_at"], &answer["score"]);
        assert_eq!(found, (&place.into(), &at.into(), &score.into()));
    }
    let minus_zero = board.get("/rank-of?score=-0").await.json();
    assert_eq!((&minus_zero["score"], &minus_zero["players_at"]), (&0.into(), &1.into()));
    let buckets = board.get("/distribution?buckets=2").await.json()["buckets"].clone();
    assert_eq!((&buckets[0]["from"], &buckets[1]["to"]), (&(-limit).into(), &(limit + 1).into()));
    assert_eq!((&buckets[0]["count"], &buckets[1]["count"]), (&3.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_after_the_last_row_is_empty() {
    let Some(board) = TestBoard::with(&[("a", 2), ("b", 1)]).await else { return };
    let cursor = board.get("/top?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    // Everybody moves above the place that the cursor means.
    redis(&board.url, &["ZINCRBY", &board.store.board().name, "50", "b"]);
    redis(&board.url, &["ZINCRBY", &board.store.board().name, "50", "a"]);
    for rank in ["ordinal", "competition", "dense"] {
        let answer = board.get(&format!("/top?rank={rank}&cursor={cursor}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        assert_eq!(
            (&page["entries"], &page["has_more"], &page["next"]),
            (&json!([]), &false.into(), &Value::Null)
        );
        assert_eq!(page["players"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_named() {
    let Some(board) = TestBoard::with(&[("a", 1)]).await else { return };
    for (below, field) in [
        ("/top?limit=0", "limit"),
        ("/top?limit=-1", "limit"),
        ("/top?page=1", "page"),
        ("/top?rank=best", "rank"),
        ("/top?window=day", "window"),
        ("/players/a?window=2026-11", "window"),
        ("/players/a?limit=5", "limit"),
        ("/players/a/around?size=0", "size"),
        ("/players/a/around?size=-1", "size"),
        ("/players/a/around?size=101", "size"),
        ("/players", "ids"),
        ("/players?ids=", "ids"),
        ("/players?ids=a,,b", "ids"),
        ("/players?ids=%F", "ids"),
        ("/distribution?buckets=0", "buckets"),
        ("/distribution?buckets=101", "buckets"),
        ("/rank-of", "score"),
        ("/rank-of?score=x", "score"),
        ("/rank-of?score=0.5", "score"),
        ("/rank-of?score=1e16", "score"),
        ("?x=1", "x"),
    ] {
        let answer = board.get(below).await;
        assert_eq!(answer.status, 400, "{below}");
        assert_eq!(answer.problem(), ("invalid-parameter".to_owned(), Some(field.to_owned())), "{below}");
    }
    for path in ["/v1/boards?x=1", "/v1/players/a/boards?x=1"] {
        assert_eq!(board.controller.get(path).await.problem().1.as_deref(), Some("x"));
    }
    for below in ["", "/top", "/players?ids=a", "/players/a/around", "/distribution", "/rank-of?score=1"] {
        let answer = board.controller.get(&format!("/v1/boards/none{below}")).await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (404, "unknown-board"), "{below}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dense_rank_beyond_what_is_counted_is_a_problem_of_its_own() {
    let names: Vec<String> = (0..210).map(|place| format!("p{place}")).collect();
    let totals: Vec<_> = names.iter().map(String::as_str).zip((0..210).map(|place| 1000 - place)).collect();
    let Some(board) = TestBoard::with(&totals).await else { return };
    assert_eq!(board.get("/players/p199?rank=dense").await.json()["rank"], 200);
    for below in [
        "/players/p200?rank=dense",
        "/players?ids=p0,p200&rank=dense",
        "/players/p209/around?size=5&rank=dense",
    ] {
        let answer = board.get(below).await;
        assert_eq!(answer.status, 422, "{below}");
        assert_eq!(answer.problem(), ("rank-unknown".to_owned(), Some("rank".to_owned())));
    }
    let rank = board.get("/rank-of?score=800").await.json();
    assert_eq!(rank["ranks"], json!({"ordinal": 202, "competition": 201, "dense": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_of_a_player_fail_one_by_one() {
    let Some(board) = TestBoard::with(&[("a", 3), ("b", 5)]).await else { return };
    let name = &board.store.board().name;
    let answer =
        board.controller.get(&format!("/v1/players/a/boards?boards=none,{name},{name}&rank=dense")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    assert_eq!((&answer["user_id"], &answer["nickname"]), (&"a".into(), &"user-a".into()));
    assert_eq!(answer["boards"].as_array().unwrap().len(), 2);
    assert_eq!(answer["boards"][0]["board"], "none");
    assert_eq!(answer["boards"][0]["problem"]["type"], "/problems/unknown-board");
    assert_eq!(
        answer["boards"][1],
        json!({"board": name, "window": "all", "epoch": 1, "version": 1, "players": 2, "rank": 2, "score": 3,
               "percentile": 50.0})
    );
    let all = board.controller.get("/v1/players/nobody/boards").await.json();
    assert_eq!(all["boards"][0]["problem"]["type"], "/problems/unknown-player");
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_say_their_rules_and_sizes() {
    let Some(board) = TestBoard::with(&[("a", 3), ("b", 5)]).await else { return };
    let expected = json!({
        "board": board.name(), "match": {}, "aggregate": "sum", "order": "desc", "tie_break": "first",
        "decimals": 0, "max_score": 1_000_000_000, "min_score": -1_000_000_000,
        "max_total": boards::rules::MAX_TOTAL_UNITS, "top": 10, "timezone": "UTC",
        "allowed_lateness_seconds": 3600, "grace_seconds": 86_400, "future_limit_seconds": 600,
        "window_kinds": ["all"], "seasons": [],
        "windows": [{"window": "all", "kind": "all", "start": null, "end": null, "final_at": null,
                     "epoch": 1, "version": 1, "players": 2}],
    });
    assert_eq!(board.get("").await.json(), expected);
    assert_eq!(board.controller.get("/v1/boards").await.json(), json!({"boards": [expected]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn board_that_is_half_there_is_never_ranked() {
    let Some(board) = TestBoard::with(&[("a", 3), ("b", 5)]).await else { return };
    let name = board.store.board().name.clone();
    let state = format!("{{{name}}}:state");
    let paths =
        ["/top", "/players/a", "/players?ids=a", "/players/a/around", "/distribution", "/rank-of?score=1"];
    // Rebuilt beside the last good rows: these are shown, and marked.
    redis(&board.url, &["HSET", &state, "rebuilding", "log"]);
    for below in paths {
        assert_eq!(board.get(below).await.json()["rebuilding"], true, "{below}");
    }
    redis(&board.url, &["HDEL", &state, "rebuilding"]);
    redis(&board.url, &["HINCRBY", &state, "version", "1"]);
    // A half of it, in each way in which that comes about.
    let halves: [&dyn Fn(); 3] = [
        &|| drop(redis(&board.url, &["HSET", &state, "rebuilding", "rewind"])),
        &|| drop(redis(&board.url, &["HINCRBY", &state, "entered", "1"])),
        &|| board.show_newer(),
    ];
    for (half, make) in halves.iter().enumerate() {
        make();
        // What was prepared a moment ago goes first.
        let last = half == 2;
        for (below, comes) in [
            ("", if last { "\"players\":3" } else { "\"players\":null" }),
            ("/top", if last { "\"epoch\":7" } else { "board-rebuilding" }),
            ("/distribution", "board-rebuilding"),
        ] {
            let begun = Instant::now();
            while !board.get(below).await.body.contains(comes) {
                assert!(begun.elapsed() < DEADLINE, "{half} {below}");
            }
        }
        for below in paths {
            let answer = board.get(below).await;
            if last && below == "/top" {
                // Viewers were shown something; that is what there is.
                let page = answer.json();
                assert_eq!((&page["rebuilding"], &page["epoch"]), (&true.into(), &7.into()));
                continue;
            }
            assert_eq!(
                (answer.status, answer.problem().0.as_str()),
                (503, "board-rebuilding"),
                "{half} {below}"
            );
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        let described = board.get("").await.json();
        assert_eq!(described["windows"][0]["rebuilding"], true);
        let of_player = board.controller.get("/v1/players/a/boards").await.json();
        assert_eq!(of_player["boards"][0]["problem"]["type"], "/problems/board-rebuilding");
        redis(&board.url, &["HDEL", &state, "rebuilding"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_answer_already_gets_none() {
    let Some(board) = TestBoard::with(&[("a", 3), ("b", 5)]).await else { return };
    let name = board.store.board().name.clone();
    let mut tags = Vec::new();
    for below in
        ["", "/top", "/players/a", "/players?ids=a", "/players/a/around", "/distribution", "/rank-of?score=1"]
    {
        let path = format!("/v1/boards/{name}{below}");
        let answer = board.controller.get(&path).await;
        let tag = answer.header("etag").unwrap().to_owned();
        assert!(tag.starts_with("\"1-1-"), "{tag}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let again = board.controller.ask("GET", &path, &format!("If-None-Match: \"x\", {tag}\r\n")).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{below}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 7, "each answer has a tag of its own");
    redis(&board.url, &["HINCRBY", &format!("{{{name}}}:state"), "version", "1"]);
    let path = format!("/v1/boards/{name}/players/a");
    let moved = board.controller.ask("GET", &path, &format!("If-None-Match: {}\r\n", tags.join(","))).await;
    assert_eq!(moved.status, 200);
}
