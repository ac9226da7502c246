//! Bad records end in the dead letters with their reason; the good ones around them count.

use crate::truth::{every_offset_is_archived_once, top_is};
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ};
use e2e::bad_records::bad_records;
use e2e::stack::PATIENCE;
use e2e::{Infra, Stack, until};
use pipeline::tail;
use std::collections::BTreeMap;
use std::time::Duration;

/// What only a board can refuse.
fn refused_by_the_board() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("too precise", br#"{"score":0.5,"user_id":1}"#.to_vec(), "too_precise"),
        ("over the limit", br#"{"score":1000000001,"user_id":1}"#.to_vec(), "out_of_range"),
        ("under the limit", br#"{"score":-1000000001,"user_id":1}"#.to_vec(), "out_of_range"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_record_is_a_dead_letter_and_every_good_one_counts() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let good = br#"{"score":1,"user_id":"good"}"#;
    // Name, bytes, class; what only decoding refuses and what only a board does.
    let mut bad: Vec<(&str, Option<Vec<u8>>, &str)> = bad_records()
        .into_iter()
        .map(|record| (record.name, record.payload, record.class.as_str()))
        .collect();
    bad.extend(refused_by_the_board().into_iter().map(|(name, payload, class)| (name, Some(payload), class)));
    assert!(bad.len() >= 30);
    // One key, one partition: each bad record stands between two good ones.
    let mut records = vec![(b"k".to_vec(), Some(good.to_vec()))];
    for (_, payload, _) in &bad {
        records.push((b"k".to_vec(), payload.clone()));
        records.push((b"k".to_vec(), Some(good.to_vec())));
    }
    stack.produce(&records).await;

    let goods = i64::try_from(bad.len() + 1).unwrap();
    top_is(&stack, &[("good", goods)]).await;
    let postgres = stack.postgres().await;
    let bads = i64::try_from(bad.len()).unwrap();
    until("the archive has both", PATIENCE, async || match stack.archived(&postgres).await {
        both if both == (goods, bads) => Ok(()),
        other => Err(format!("{other:?}, wanted {:?}", (goods, bads))),
    })
    .await;
    every_offset_is_archived_once(&postgres).await;

    // The dead letters: their bytes untouched, under their coordinates.
    let kafka = stack.kafka();
    let mut letters: BTreeMap<i64, Option<Vec<u8>>> = BTreeMap::new();
    let topic = kafka.topic(&GAME_SCORE);
    tail::read_all(
        &kafka,
        "e2e-letters",
        &kafka.topic(&GAME_SCORE_DLQ),
        Duration::from_secs(20),
        |key, payload| {
            let key = String::from_utf8(key.unwrap().to_vec()).unwrap();
            let [found, _, offset] = key.split('/').collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(found, topic);
            assert!(
                letters.insert(offset.parse().unwrap(), payload.map(<[u8]>::to_vec)).is_none(),
                "{key} twice"
            );
        },
    )
    .unwrap();
    let expected: BTreeMap<i64, Option<Vec<u8>>> =
        bad.iter().zip(0i64..).map(|((_, payload, _), index)| (2 * index + 1, payload.clone())).collect();
    assert_eq!(letters, expected);

    // The reasons, as the archive has them: the same in both, because both ask the same code.
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT kafka_offset, class FROM leaderboard.refused_record ORDER BY kafka_offset")
            .fetch_all(&postgres)
            .await
            .unwrap();
    let classes: Vec<(i64, String)> =
        bad.iter().zip(0i64..).map(|((_, _, class), index)| (2 * index + 1, (*class).to_owned())).collect();
    assert_eq!(rows, classes);
    let metrics = stack.metrics("score-ranker");
    assert!(metrics.contains("ranker_dead_letters_total"), "{metrics}");
}
