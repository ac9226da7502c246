//! One event's journey.

use crate::truth::top_is;
use contracts::topics::PLAYER_PROFILE;
use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, Viewer, until};
use sqlx::Row as _;

#[tokio::test(flavor = "multi_thread")]
async fn event_goes_from_kafka_to_frame_row_and_api() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let event = r#"{"score":5,"user_id":"zoë","created_at":"1916-07-02T12:00:00.123456","event_id":"e-1",
                    "nickname":"Zoë 🎯 <b>","tags":{"country":"MT"},"steam":[76561197960287930123,1.50]}"#;
    stack.produce(&[(b"zoe".to_vec(), Some(event.into()))]).await;

    let frame = viewer.expect(PATIENCE, |frame| frame.rows() == [("zoë".to_owned(), 5)]).await;
    let snapshot = frame.snapshot();
    assert_eq!(snapshot.user_list[0].nickname, "Zoë 🎯 <b>");
    assert_eq!(
        (snapshot.board.as_str(), snapshot.window.as_str(), snapshot.players),
        ("game-score", "all", 1)
    );
    let stages = snapshot.stages.unwrap();
    assert!(stages.created_ms < 0.0, "1916 is before 1970");
    assert!(stages.in_kafka_ms <= stages.applied_ms + 1.0 && stages.applied_ms <= stages.published_ms);
    // The cache holds the very bytes that viewers got, and a second viewer gets them at once.
    assert_eq!(stack.redis::<String>(&["GET", "game-score-cache"]), frame.text);
    let mut second = Viewer::connect(&stack.live_url()).await;
    assert_eq!(second.next(PATIENCE).await.unwrap().text, frame.text);

    let page = top_is(&stack, &[("zoë", 5)]).await;
    assert_eq!(page["entries"][0]["nickname"], "Zoë 🎯 <b>");
    assert_eq!((&page["has_more"], &page["next"]), (&false.into(), &serde_json::Value::Null));
    let (status, player) = stack.get("/v1/boards/game-score/players/zo%C3%AB");
    assert_eq!((status, &player["rank"], &player["score"]), (200, &1.into(), &5.into()));
    let (status, problem) = stack.get("/v1/boards/game-score/players/nobody");
    assert_eq!((status, problem["status"].as_u64()), (404, Some(404)));

    let postgres = stack.postgres().await;
    let row = until("the row", PATIENCE, async || {
        sqlx::query("SELECT user_id, score::text AS score, created_at::text AS created_at, event_id, nickname, tags->>'country' AS country, extra::text AS extra FROM leaderboard.game_score")
            .fetch_one(&postgres)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    let text = |column: &str| row.get::<String, _>(column);
    assert_eq!((text("user_id"), text("score"), text("event_id")), ("zoë".into(), "5".into(), "e-1".into()));
    assert!(text("created_at").starts_with("1916-07-02 12:00:00.123456"), "{}", text("created_at"));
    assert_eq!((text("nickname"), text("country")), ("Zoë 🎯 <b>".into(), "MT".into()));
    assert_eq!(text("extra"), r#"{"steam":[76561197960287930123,1.50]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_event_id_counts_once_on_the_board_and_in_sql() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let event = |id: &str| format!(r#"{{"score":5,"user_id":1,"event_id":"{id}"}}"#).into_bytes();
    // Other keys: other partitions, as when a client retries through another producer.
    let records: Vec<_> =
        ["a", "a", "b", "a", "a"].iter().zip(0u8..).map(|(id, key)| (vec![key], Some(event(id)))).collect();
    stack.produce(&records).await;
    top_is(&stack, &[("1", 10)]).await;
    let postgres = stack.postgres().await;
    until("all five are archived, two count", PATIENCE, async || {
        let counted: Option<i64> = sqlx::query_scalar("SELECT sum(score)::bigint FROM analytics.scores")
            .fetch_one(&postgres)
            .await
            .unwrap_or(None);
        let archived = stack.archived(&postgres).await.0;
        if (archived, counted) == (5, Some(10)) { Ok(()) } else { Err(format!("{archived}, {counted:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_names_a_player_until_its_tombstone() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let profile = async |value: Option<&str>| {
        stack
            .produce_to(&PLAYER_PROFILE, &[(b"5".to_vec(), value.map(|value| value.as_bytes().to_vec()))])
            .await;
    };
    let name_is = async |wanted: Option<&str>| {
        until("the name", PATIENCE, async || {
            let name: Option<String> = stack.redis(&["HGET", "player:5", "nickname"]);
            if name.as_deref() == wanted { Ok(()) } else { Err(format!("{name:?}")) }
        })
        .await;
    };
    let score =
        async || stack.produce(&[(b"5".to_vec(), Some(br#"{"score":1,"user_id":5}"#.to_vec()))]).await;
    let mut shown = async |wanted: &str| {
        viewer
            .expect(PATIENCE, |frame| frame.snapshot().user_list.iter().any(|row| row.nickname == wanted))
            .await;
    };
    profile(Some(r#"{"user_id":5,"nickname":"Five"}"#)).await;
    name_is(Some("Five")).await;
    score().await;
    shown("Five").await;
    profile(None).await;
    name_is(None).await;
    score().await;
    shown("user-5").await;
}
