//! The websocket of the full form.

use crate::rest::{TestBoard, redis};
use crate::support::{Client, Controller, DEADLINE, Setup, next_text};
use boards::BoardSet;
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use test_servers::OwnRedis;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

async fn next(client: &mut Client) -> Value {
    serde_json::from_str(&next_text(client).await).unwrap()
}

/// The next message of that type.
async fn next_of(client: &mut Client, kind: &str) -> Value {
    loop {
        let message = next(client).await;
        if message["type"] == kind {
            return message;
        }
    }
}

async fn say(client: &mut Client, said: &Value) {
    client.send(Message::text(said.to_string())).await.unwrap();
}

/// (rank, score, player) of the own row, and the players above and below.
fn told(player: &Value) -> (Value, Vec<&str>, Vec<&str>) {
    fn ids(rows: &Value) -> Vec<&str> {
        rows.as_array().unwrap().iter().map(|row| row["user_id"].as_str().unwrap()).collect()
    }
    let own = json!([player["rank"], player["score"], player["user_id"], player["nickname"]]);
    (own, ids(&player["above"]), ids(&player["below"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_comes_first_and_then_every_newer_snapshot() {
    let controller = Controller::start(Setup::default()).await;
    let mut early = controller.connect_full("game-score", "").await;
    let hello = json!({"type": "hello", "board": "game-score", "epoch": 0, "version": 0});
    assert_eq!(next(&mut early).await, hello);
    let first = controller.publish(3, 14, 0);
    let mut client = controller.connect_full("game-score", "").await;
    assert_eq!(
        next(&mut client).await,
        json!({"type": "hello", "board": "game-score", "epoch": 3, "version": 14})
    );
    for client in [&mut early, &mut client] {
        let mut snapshot = next(client).await;
        assert_eq!(snapshot.as_object_mut().unwrap().remove("type"), Some("snapshot".into()));
        assert_eq!(snapshot, serde_json::from_str::<Value>(&first).unwrap());
    }
    controller.publish(3, 13, 0);
    controller.publish(4, 0, 0);
    assert_eq!(next(&mut client).await["epoch"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_who_has_the_newest_gets_nothing_until_there_is_a_newer_one() {
    let controller = Controller::start(Setup::default()).await;
    controller.publish(3, 14, 0);
    for (since, gets) in [("3.14", 15), ("3.13", 14), ("2.99", 14)] {
        let mut client = controller.connect_full("game-score", &format!("?since={since}")).await;
        assert_eq!(next(&mut client).await["type"], "hello");
        if gets == 15 {
            controller.publish(3, 15, 0);
        }
        let shown = next_of(&mut client, "snapshot").await["version"].as_u64().unwrap();
        // The first of them has moved the board for the others.
        assert_eq!(shown, 15.max(gets), "{since}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followed_players_come_with_their_neighbours_and_again_when_they_change() {
    let totals = [("a", 50), ("b", 40), ("c", 30), ("d", 20), ("e", 10)];
    let Some(board) = TestBoard::with(&totals).await else { return };
    let mut client = board.controller.connect_full(board.name(), "").await;
    say(&mut client, &json!({"follow": ["e", "a", "c", "nobody"]})).await;
    let follow = next_of(&mut client, "follow").await;
    assert_eq!(
        (&follow["window"], &follow["epoch"], &follow["version"]),
        (&"all".into(), &1.into(), &1.into())
    );
    assert_eq!(follow["not_found"], json!(["nobody"]));
    let players = follow["players"].as_array().unwrap();
    assert_eq!(told(&players[0]), (json!([5, 10, "e", "user-e"]), vec!["d"], vec![]));
    assert_eq!(told(&players[1]), (json!([1, 50, "a", "user-a"]), vec![], vec!["b"]));
    assert_eq!(told(&players[2]), (json!([3, 30, "c", "user-c"]), vec!["b"], vec!["d"]));
    assert_eq!(players.len(), 3);
    // Nothing is said until something changes; then at once, for whom it changes.
    redis(&board.url, &["ZINCRBY", board.name(), "100", "e"]);
    let follow = next_of(&mut client, "follow").await;
    assert_eq!(told(&follow["players"][0]), (json!([1, 110, "e", "user-e"]), vec![], vec!["a"]));
    assert_eq!(told(&follow["players"][1]), (json!([2, 50, "a", "user-a"]), vec!["e"], vec!["b"]));
    // Whom it follows now is followed instead.
    say(&mut client, &json!({"follow": ["b"]})).await;
    let follow = next_of(&mut client, "follow").await;
    assert_eq!(follow["players"].as_array().unwrap().len(), 1);
    assert_eq!(told(&follow["players"][0]), (json!([3, 40, "b", "user-b"]), vec!["a"], vec!["c"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_id_can_be_followed() {
    let longest = "ü".repeat(64);
    let ids = ["a/b", "a,b", "50%", "a%2Cb", "a b", "\"\\", "🎯", "אב", &longest];
    let totals: Vec<(&str, i64)> = ids.into_iter().zip((1..=9).rev()).collect();
    let Some(board) = TestBoard::with(&totals).await else { return };
    let mut client = board.controller.connect_full(board.name(), "").await;
    // Escapes of paths mean nothing in JSON.
    let followed = [&ids[..], &["a%2Fb", "b"]].concat();
    say(&mut client, &json!({ "follow": followed })).await;
    let follow = next_of(&mut client, "follow").await;
    assert_eq!(follow["not_found"], json!(["a%2Fb", "b"]));
    let players = follow["players"].as_array().unwrap();
    assert_eq!(players.len(), ids.len());
    for (place, (player, (id, total))) in players.iter().zip(&totals).enumerate() {
        let above: Vec<&str> = ids[..place].last().copied().into_iter().collect();
        let below: Vec<&str> = ids[place + 1..].first().copied().into_iter().collect();
        let own = json!([place + 1, total, id, format!("user-{id}")]);
        assert_eq!(told(player), (own, above, below));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_answered_and_the_viewer_stays() {
    let Some(board) = TestBoard::with(&[("a", 1)]).await else { return };
    let mut client = board.controller.connect_full(board.name(), "").await;
    let ids: Vec<String> = (0..21).map(|id| id.to_string()).collect();
    for (said, field) in [
        ("hello".to_owned(), "message"),
        (r#"{"follow":7}"#.to_owned(), "message"),
        (r#"{"folow":["7"]}"#.to_owned(), "message"),
        (r#"{"follow":[""]}"#.to_owned(), "follow"),
        (json!({"follow": ids}).to_string(), "follow"),
    ] {
        client.send(Message::text(said.as_str())).await.unwrap();
        let error = next_of(&mut client, "error").await;
        assert_eq!((&error["field"], error["detail"].is_string()), (&field.into(), true), "{said}");
    }
    client.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(next_of(&mut client, "error").await["field"], "message");
    say(&mut client, &json!({"follow": ["a"]})).await;
    assert_eq!(next_of(&mut client, "follow").await["players"][0]["rank"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_followed_is_read_together_and_bounded() {
    if test_servers::redis().is_none() {
        return;
    }
    let server = OwnRedis::start(&[]);
    let names: Vec<String> = (0..700).map(|place| format!("p{place}")).collect();
    let totals: Vec<_> = names.iter().map(String::as_str).zip((0..700).map(|place| 5000 - place)).collect();
    let board = TestBoard::at(server.url(), &totals).await;
    let before = server.calls("evalsha");
    let mut clients = Vec::new();
    // Twenty each, so that 25 viewers follow 500 players, and 35 more the same as others.
    for viewer in 0..60 {
        let mut client = board.controller.connect_full(board.name(), "").await;
        let first = viewer % 25 * 20;
        say(&mut client, &json!({"follow": names[first..first + 20]})).await;
        clients.push((first, client));
    }
    for (first, client) in &mut clients {
        let follow = next_of(client, "follow").await;
        assert_eq!(follow["players"].as_array().unwrap().len(), 20);
        assert_eq!(follow["players"][0]["rank"], *first + 1);
    }
    // A call for each viewer would be sixty.
    let calls = server.calls("evalsha") - before;
    assert!(calls < 45, "{calls} calls");
    let mut late = board.controller.connect_full(board.name(), "").await;
    say(&mut late, &json!({"follow": names[600..620]})).await;
    assert_eq!(next_of(&mut late, "error").await["field"], "follow");
    // Those whom a viewer gives up make room: for as many, not for more.
    say(&mut late, &json!({"follow": names[600..612]})).await;
    assert_eq!(next_of(&mut late, "follow").await["players"][0]["user_id"], "p600");
    say(&mut late, &json!({"follow": names[620..632]})).await;
    assert_eq!(next_of(&mut late, "follow").await["players"][0]["user_id"], "p620");
    say(&mut late, &json!({"follow": names[640..653]})).await;
    assert_eq!(next_of(&mut late, "error").await["field"], "follow");
    // Those of before are followed still.
    redis(&board.url, &["ZINCRBY", board.name(), "10000", "p620"]);
    assert_eq!(next_of(&mut late, "follow").await["players"][0]["rank"], 1);
    // Those who leave make room.
    clients.truncate(20);
    let room = async {
        loop {
            say(&mut late, &json!({"follow": names[600..620]})).await;
            match next(&mut late).await {
                follow if follow["type"] == "follow" && follow["players"][0]["user_id"] == "p600" => break,
                _ => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    };
    timeout(DEADLINE, room).await.expect("nobody made room");
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_that_cannot_be_watched_say_so() {
    let boards = BoardSet::parse(
        "[[board]]\nname = \"game-score\"\n[[board]]\nname = \"team\"\nmatch = { team = \"{team}\" }\n",
    );
    let controller = Controller::start(Setup { boards: boards.unwrap(), ..Setup::default() }).await;
    for (path, status, kind, field) in [
        ("game-score/live", 426, "upgrade-required", None),
        ("game-score/live?since=yesterday", 400, "invalid-parameter", Some("since")),
        ("game-score/live?x=1", 400, "invalid-parameter", Some("x")),
        ("team:reds/live", 404, "not-live", None),
        ("team/live", 404, "unknown-board", None),
        ("none/live", 404, "unknown-board", None),
    ] {
        let answer = controller.get(&format!("/v1/boards/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.problem(), (kind.to_owned(), field.map(str::to_owned)), "{path}");
    }
    match connect_async(format!("ws://{}/v1/boards/team:reds/live", controller.address)).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 404),
        other => panic!("{other:?}"),
    }
}
