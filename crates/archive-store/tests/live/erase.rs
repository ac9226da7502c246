//! Erasing a player.

use crate::support::{TestDatabase, begin, event, step, time};
use archive_store::{Fence, Found, REDACTED, RefusedRecord};
use contracts::{PlayerId, Refusal, RefusalClass, ScoreEvent};
use pipeline::WriteError;
use std::collections::BTreeMap;

const TOTALS: &str =
    "SELECT user_id || ' ' || score || ' ' || events FROM analytics.standings ORDER BY user_id";
const SUMS: &str = "SELECT concat_ws(' ', (SELECT sum(score) FROM leaderboard.game_score), \
     (SELECT count(*) FROM leaderboard.game_score), (SELECT sum(score) FROM analytics.scores), \
     (SELECT count(*) FROM analytics.scores), (SELECT count(*) FROM leaderboard.game_score WHERE tags ->> 'country' = 'MT'), \
     (SELECT count(*) FROM leaderboard.refused_record))";

fn who(id: &str) -> PlayerId {
    PlayerId::new(id).unwrap()
}

fn identified(player: &str, id: &str) -> ScoreEvent {
    ScoreEvent {
        event_id: Some(id.into()),
        nickname: Some(format!("Nick of {player}").into()),
        tags: BTreeMap::from([("country".to_owned(), "MT".to_owned())]),
        unknown: BTreeMap::from([("mail".to_owned(), format!(r#""{player}@example.org""#))]),
        ..event(player)
    }
}

fn refused(key: &str, payload: &[u8]) -> RefusedRecord {
    let refusal = Refusal::of_field(RefusalClass::WrongType, "score", format!("is not {key}'s"));
    RefusedRecord { refusal, key: Some(key.into()), payload: Some(payload.to_vec()) }
}

/// Every text that the archive holds, but for what says who was erased.
async fn texts(database: &TestDatabase) -> String {
    let rows = database
        .values(
            "SELECT g::text FROM leaderboard.game_score g UNION ALL \
             SELECT r::text || encode(coalesce(payload, ''), 'escape') || encode(coalesce(record_key, ''), 'escape') \
             FROM leaderboard.refused_record r UNION ALL SELECT e::text FROM leaderboard.erased_player e",
        )
        .await;
    rows.join("\n")
}

#[tokio::test]
async fn erased_player_is_gone_by_name_and_every_sum_stays() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let records = [
        Ok(identified("anna", "anna-1")),
        Ok(identified("anna", "anna-1")),
        Ok(event("anna")),
        Ok(identified("anna2", "other")),
        Err(refused("anna", b"\xff")),
        Err(refused("k", r#"{"user_id":"ann\u0061","score":"x"}"#.as_bytes())),
        Err(refused("anna2", r#"{"user_id":"anna2","score":"anna"}"#.as_bytes())),
    ];
    store.write(&[step(0, 0, &records)]).await.unwrap();
    let sums = database.value(SUMS).await;
    let found = Found { events: 3, refused: 2, pseudonym: None };
    assert_eq!(store.find(&who("anna")).await.unwrap(), found);

    let erased = store.erase(&who("anna")).await.unwrap();
    assert_eq!((erased.events, erased.refused), (3, 2));
    assert!(erased.pseudonym.as_str().starts_with("erased-"), "{erased:?}");
    assert_eq!(database.value(SUMS).await, sums);
    let totals = ["anna2 1 1".to_owned(), format!("{} 2 2", erased.pseudonym)];
    assert_eq!(database.values(TOTALS).await, totals);
    let texts = texts(&database).await.replace("anna2", "");
    // The other player's refused record quotes the name; nobody can know that it is one.
    assert_eq!(texts.matches("anna").count(), 1, "{texts}");
    let redacted = "SELECT kafka_offset FROM leaderboard.refused_record \
         WHERE message = '{}' AND payload IS NULL AND record_key IS NULL ORDER BY 1";
    assert_eq!(database.values(&redacted.replace("{}", REDACTED)).await, ["4", "5"]);

    // Again: the same pseudonym, nothing left to do.
    let again = store.erase(&who("anna")).await.unwrap();
    assert_eq!((again.events, again.refused, &again.pseudonym), (0, 0, &erased.pseudonym));
    assert_eq!(database.values(TOTALS).await, totals);
    let found = Found { events: 0, refused: 0, pseudonym: Some(erased.pseudonym.clone()) };
    assert_eq!(store.find(&who("anna")).await.unwrap(), found);
    let refused = store.erase(&erased.pseudonym).await;
    assert!(matches!(refused, Err(WriteError::Impossible(_))), "{refused:?}");
    assert_eq!(database.values(TOTALS).await, totals);
}

#[tokio::test]
async fn what_comes_later_joins_the_pseudonym_and_resubmissions_still_count_once() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    store.write(&[step(0, 0, &[Ok(identified("a", "x"))])]).await.unwrap();
    let first = store.erase(&who("a")).await.unwrap();
    let later = ScoreEvent { created_at: time("2026-11-21T13:00:00"), ..identified("a", "y") };
    store.write(&[step(0, 1, &[Ok(identified("a", "x")), Ok(later)])]).await.unwrap();
    let second = store.erase(&who("a")).await.unwrap();
    assert_eq!((second.events, &second.pseudonym), (2, &first.pseudonym));
    // The resubmission of x is told by its digest.
    assert_eq!(database.values(TOTALS).await, [format!("{} 2 2", first.pseudonym)]);
}

#[tokio::test]
async fn those_who_hold_a_log_against_the_archive_can_tell_who_was_erased() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    let event = identified("é", "ü/1");
    store.write(&[step(0, 0, &[Ok(event.clone()), Ok(identified("b", "x"))])]).await.unwrap();
    let erased_players = async || store.audit("game-score").await.unwrap().erased().clone();
    assert_eq!(erased_players().await.pseudonym(&who("é")), None);
    let erased = store.erase(&who("é")).await.unwrap();
    let players = erased_players().await;
    assert_eq!(players.pseudonym(&who("é")), Some(&erased.pseudonym));
    assert_eq!(players.pseudonym(&who("b")), None);
    assert_eq!(players.archived(&identified("b", "x")), None);
    // The digests that we compute are those that Postgres computed.
    let archived = players.archived(&event).unwrap();
    let row = database
        .value("SELECT user_id || ' ' || event_id || ' ' || score FROM leaderboard.game_score WHERE kafka_offset = 0")
        .await;
    assert_eq!(row, format!("{} {} {}", archived.player, archived.event_id.unwrap(), archived.score));
}
