//! REST against a real Redis.

use crate::support::{Answer, Controller, Setup};
use board_store::{Begin, BoardStore, Fence, NameChange, RedisSettings, Seen, Write};
use boards::{BoardSet, Change, Changes, Reached};
use contracts::{EventTime, PlayerId};
use controller::writes::WriteLimits;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// A board of the test's own, with a controller that shows it. Removed when the test ends.
pub(crate) struct TestBoard {
    pub(crate) url: String,
    pub(crate) store: BoardStore,
    pub(crate) controller: Controller,
    players: Vec<String>,
}

impl TestBoard {
    /// On the Redis of the tests, or `None` where there is none.
    pub(crate) async fn with(totals: &[(&str, i64)]) -> Option<Self> {
        let url = test_servers::redis()?;
        Some(Self::at(url, totals).await)
    }

    /// On the Redis at `url`.
    pub(crate) async fn at(url: String, totals: &[(&str, i64)]) -> Self {
        let name = format!("test-{}", uuid::Uuid::new_v4());
        let boards = BoardSet::parse(&format!("[[board]]\nname = \"{name}\"\n")).unwrap();
        let redis = RedisSettings { redis_url: url.parse().unwrap() };
        let store = BoardStore::new(&redis, boards.default_board().clone()).unwrap();
        // No ranker applies anything here.
        let impatient = WriteLimits { applied: Duration::from_millis(20), ..WriteLimits::default() };
        let controller = Controller::start(Setup {
            redis_url: url.clone(),
            boards,
            write_limits: impatient,
            ..Setup::default()
        })
        .await;
        let players = totals.iter().map(|(player, _)| (*player).to_owned()).collect();
        let test = Self { url, store, controller, players };
        if !totals.is_empty() {
            test.fill(totals).await;
        }
        test
    }

    pub(crate) fn name(&self) -> &str {
        &self.store.board().name
    }

    async fn fill(&self, totals: &[(&str, i64)]) {
        let field = "game-score/0".to_owned();
        let log = [Begin { field: field.clone(), low: 0, high: 0 }];
        self.store.open(&Seen::default(), &log).await.unwrap();
        let mut changes = Changes::default();
        for (second, (player, total)) in (1..).zip(totals) {
            let at = Reached::at(EventTime::from_micros(second * 1_000_000).unwrap());
            changes.add(&PlayerId::new(*player).unwrap(), Change::of(*total, at));
        }
        let write = Write { changes: &changes, spans: &[(field, 0, 1)], stages: None, newest: None };
        self.store.apply(Fence::On, 1, &[write]).await.unwrap();
    }

    /// Asks for what is below the board's path.
    pub(crate) async fn get(&self, below: &str) -> Answer {
        self.controller.get(&format!("/v1/boards/{}{below}", self.store.board().name)).await
    }

    async fn top(&self, query: &str) -> Answer {
        self.get(&format!("/top{query}")).await
    }

    async fn player(&self, id: &str) -> Answer {
        self.get(&format!("/players/{id}")).await
    }

    /// What viewers were shown, further on than Redis is: as after the loss of Redis.
    pub(crate) fn show_newer(&self) {
        let text = r#"{"user_list":[{"rank":1,"score":9,"nickname":"Zo","user_id":"a"}],"current_time_ms":1.0,"board":"b","window":"all","epoch":7,"version":1,"players":3}"#;
        self.controller.publish_text(&text.replace("\"b\"", &format!("\"{}\"", self.name())));
    }
}

impl Drop for TestBoard {
    fn drop(&mut self) {
        let name = &self.store.board().name;
        let mut keys =
            vec!["DEL".to_owned(), name.clone(), format!("{{{name}}}:state"), format!("{{{name}}}:offsets")];
        keys.extend([format!("{{{name}}}:targets"), format!("{{{name}}}:rebuild")]);
        keys.extend(self.players.iter().map(|player| format!("player:{player}")));
        redis(&self.url, &keys);
    }
}

/// Asks Redis without a client: only board-store knows one. Takes replies of up to 64 KiB.
pub(crate) fn redis(url: &str, words: &[impl AsRef<str>]) -> String {
    let address = url.trim_start_matches("redis://").split('/').next().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut command = format!("*{}\r\n", words.len());
    for word in words.iter().map(AsRef::as_ref) {
        command += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(command.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = String::new();
    stream.take(64 * 1024).read_to_string(&mut reply).unwrap();
    assert!(!reply.starts_with('-'), "{reply}");
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_to_the_end() {
    let names: Vec<String> = (0..25).map(|player| format!("p{player:02}")).collect();
    // Pairs of equals, so that pages begin between them.
    let totals: Vec<(&str, i64)> =
        names.iter().map(String::as_str).zip((0..25).map(|n| 100 - n / 2)).collect();
    let Some(board) = TestBoard::with(&totals).await else { return };
    let mut read = Vec::new();
    let mut query = "?limit=7".to_owned();
    loop {
        let answer = board.top(&query).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let page = answer.json();
        assert_eq!((&page["players"], &page["window"]), (&25.into(), &"all".into()));
        assert_eq!((&page["epoch"], &page["version"]), (&1.into(), &1.into()));
        for entry in page["entries"].as_array().unwrap() {
            assert_eq!(entry["rank"], read.len() + 1);
            read.push((entry["user_id"].as_str().unwrap().to_owned(), entry["score"].as_i64().unwrap()));
        }
        let Some(next) = page["next"].as_str() else {
            assert_eq!(page["has_more"], false);
            break;
        };
        assert_eq!(page["has_more"], true);
        query = format!("?cursor={next}&limit=7");
    }
    let expected: Vec<(String, i64)> =
        totals.iter().map(|(name, total)| ((*name).to_owned(), *total)).collect();
    assert_eq!(read, expected);
    assert_eq!(board.top("").await.json()["entries"].as_array().unwrap().len(), 10);
    assert_eq!(board.top("?limit=100").await.json()["has_more"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn player_is_found_whatever_the_id() {
    let unique = uuid::Uuid::new_v4();
    let odd = format!("a/b c?d#e%f+g&h 🎯 {unique}");
    let Some(board) = TestBoard::with(&[("7", 30), (&odd, 20), ("x", 10), ("y", 10)]).await else { return };
    let given = NameChange {
        player: PlayerId::new(odd.as_str()).unwrap(),
        nickname: Some("<b>Zoë</b>".into()),
        given_ms: 1,
    };
    board.store.give_names(&[given]).await.unwrap();
    let encoded: String = odd.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = board.player(&encoded).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let name = &board.store.board().name;
    assert_eq!(
        answer.json(),
        serde_json::json!({
            "rank": 2, "score": 20, "user_id": odd, "nickname": "<b>Zoë</b>", "percentile": 75.0,
            "players": 4, "board": name, "window": "all", "epoch": 1, "version": 1,
        })
    );
    assert_eq!(board.top("?limit=2").await.json()["entries"][1]["nickname"], "<b>Zoë</b>");
    assert_eq!(board.player("7").await.json()["percentile"], 100.0);
    let reached_first = board.player("x").await.json();
    assert_eq!((&reached_first["rank"], &reached_first["nickname"]), (&3.into(), &"user-x".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_named() {
    let Some(board) = TestBoard::with(&[("7", 30)]).await else { return };
    for (query, field) in [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=x", "limit"),
        ("?cursor=x", "cursor"),
        ("?cursor=", "cursor"),
        ("?limt=5", "limt"),
        ("?limit=5&limit=5", "limit"),
    ] {
        let answer = board.top(query).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.problem(), ("invalid-parameter".to_owned(), Some(field.to_owned())), "{query}");
    }
    for (id, status, kind, field) in [
        ("8", 404, "unknown-player", None),
        ("a%0Ab", 400, "invalid-parameter", Some("id")),
        ("%FF", 400, "invalid-parameter", Some("id")),
        (&"x".repeat(129), 400, "invalid-parameter", Some("id")),
        ("7?x=1", 400, "invalid-parameter", Some("x")),
    ] {
        let answer = board.player(id).await;
        assert_eq!(answer.status, status, "{id}");
        assert_eq!(answer.problem(), (kind.to_owned(), field.map(str::to_owned)), "{id}");
    }
    for path in ["/v1/boards/none/top", "/v1/boards/none/players/7"] {
        let answer = board.controller.get(path).await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (404, "unknown-board"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn board_without_a_beginning_is_empty() {
    let Some(board) = TestBoard::with(&[]).await else { return };
    let page = board.top("").await.json();
    assert_eq!((&page["players"], &page["entries"]), (&0.into(), &serde_json::json!([])));
    assert_eq!(board.player("7").await.problem().0, "unknown-player");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_board_is_answered_for_by_what_viewers_saw() {
    let Some(board) = TestBoard::with(&[("a", 1), ("b", 2)]).await else { return };
    let cursor = board.top("?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    board.show_newer();
    let page = board.top("").await.json();
    assert_eq!((&page["rebuilding"], &page["epoch"]), (&true.into(), &7.into()));
    assert_eq!(page["entries"][0]["nickname"], "Zo");
    assert_eq!((&page["has_more"], &page["next"]), (&true.into(), &serde_json::Value::Null));
    for answer in [board.top(&format!("?cursor={cursor}")).await, board.player("c").await] {
        assert_eq!((answer.status, answer.problem().0.as_str()), (503, "board-rebuilding"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_away_is_a_passing_problem() {
    let controller = Controller::start(Setup::default()).await;
    for path in ["/v1/boards/game-score/top", "/v1/boards/game-score/players/7"] {
        let begun = Instant::now();
        let answer = controller.get(path).await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (503, "board-unavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
