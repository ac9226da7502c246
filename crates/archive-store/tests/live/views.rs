//! What the views say, against the same computed in memory.

use crate::support::{TestDatabase, arrived, begin, event, partition, time};
use archive_store::{ArchiveBatch, Fence, Place};
use boards::{Arrival, BoardSet, Oracle, RankMode, Standings};
use contracts::{EventTime, Score, ScoreEvent};
use pipeline::sink::{Span, Step};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

/// Writes events at their places; each partition's offsets must go up from 0.
async fn write(database: &TestDatabase, events: &[(Place, ScoreEvent)]) {
    let store = database.store(Fence::On);
    begin(&store, 3).await;
    let mut batch = ArchiveBatch::default();
    let mut ends = BTreeMap::new();
    for (place, event) in events {
        batch.add_event(*place, event);
        ends.insert(place.partition, place.offset + 1);
    }
    let spans =
        ends.into_iter().map(|(number, to)| Span { partition: partition(number), from: 0, to }).collect();
    store.write(&[Step { batch, spans, records: events.len() as u64 }]).await.unwrap();
}

#[tokio::test]
async fn standings_are_those_of_the_board_in_memory() {
    const DAY_MICROS: i64 = 86_400_000_000;
    let Some(database) = TestDatabase::migrated().await else { return };
    // Few players, ids, scores and seconds, so that all of them meet.
    let strategy = (
        ("[a-cA-C]", -3..4i64, 0..60i64, proptest::option::of("[xy]")),
        (0..3i32, 0..2_000i64, proptest::option::of("[m-p]")),
    );
    let mut runner = TestRunner::deterministic();
    let mut drawn: Vec<_> = (0..600).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    // A log arrives in order; there are some fifteen days of it.
    drawn.sort_by_key(|(_, (_, arrival, _))| *arrival);
    let mut offsets = [0i64; 3];
    let events: Vec<(Place, ScoreEvent)> = drawn
        .into_iter()
        .map(|((player, score, second, event_id), (number, arrival, nickname))| {
            let at = time("2026-11-01").micros() + arrival * DAY_MICROS / 130;
            let offset = &mut offsets[usize::try_from(number).unwrap()];
            let place =
                Place { partition: number, offset: *offset, arrived_at: EventTime::from_micros(at).unwrap() };
            *offset += 1;
            let created_at =
                EventTime::from_micros(time("2026-10-01").micros() + second * 1_000_000).unwrap();
            let event = ScoreEvent {
                score: Score::new(score, 0),
                created_at,
                event_id: event_id.map(Into::into),
                nickname: nickname.map(Into::into),
                ..event(&player)
            };
            (place, event)
        })
        .collect();
    write(&database, &events).await;

    let mut in_order: Vec<_> = events.iter().collect();
    in_order.sort_by_key(|(place, _)| (place.arrived_at, place.partition, place.offset));
    let mut oracle = Standings::default();
    for (place, event) in &in_order {
        let Place { partition, offset, arrived_at: at } = *place;
        oracle.apply(event, Arrival { at, partition, offset }).unwrap();
    }
    let named = |player: &str| {
        let newest = in_order
            .iter()
            .filter(|(_, event)| event.player.as_str() == player && event.nickname.is_some())
            .max_by_key(|(place, event)| (event.created_at, place.arrived_at, place.partition, place.offset));
        newest.map_or(format!("user-{player}"), |(_, event)| event.nickname.clone().unwrap().into())
    };
    let expected: Vec<String> = oracle
        .top(usize::MAX)
        .into_iter()
        .map(|row| format!("{} {} {} {}", row.rank, row.player, row.total, named(row.player.as_str())))
        .collect();
    let rows = database
        .values("SELECT rank || ' ' || user_id || ' ' || score || ' ' || nickname FROM analytics.standings ORDER BY rank")
        .await;
    assert_eq!(rows, expected);

    let sums =
        "SELECT (SELECT sum(score) FROM analytics.standings) - (SELECT sum(score) FROM game_score_redis)";
    assert_eq!(database.value(sums).await, "0");
    let last_totals = "SELECT count(*) FROM analytics.standings s WHERE s.score <> ( \
         SELECT total FROM analytics.player_history h WHERE h.user_id = s.user_id \
         ORDER BY created_at DESC, arrived_at DESC LIMIT 1)";
    assert_eq!(database.value(last_totals).await, "0");
    let unique = "SELECT count(*) - count(DISTINCT game_score_id) FROM game_score_redis";
    assert_eq!(database.value(unique).await, "0");
}

/// `[[board]]`s, and how SQL is asked for the same.
const BOARDS: [(&str, &str); 7] = [
    ("", ""),
    ("order = \"asc\"", "lowest_first => true"),
    (
        "aggregate = \"count\"\nmatch = { team = \"reds\" }",
        "aggregate => 'count', tags => '{\"team\": \"reds\"}'",
    ),
    ("aggregate = \"best\"\norder = \"asc\"", "aggregate => 'best', lowest_first => true"),
    ("aggregate = \"last\"", "aggregate => 'last'"),
    ("aggregate = \"best\"\ntie_break = \"player_id\"", "aggregate => 'best', tie_break => 'player_id'"),
    // Of totals so large, times are told apart by the minute at best.
    ("aggregate = \"best\"\ndecimals = 6", "aggregate => 'best', decimals => 6"),
];

#[tokio::test]
async fn standings_of_any_board_and_window_are_those_of_the_oracle() {
    const DAY_MICROS: i64 = 86_400_000_000;
    let Some(database) = TestDatabase::migrated().await else { return };
    let strategy = (
        // Minutes before they arrive, or within a few eighths of a second of each other.
        (
            "[a-cA-C]",
            -3..4i64,
            prop_oneof![(0..300i64).prop_map(|minutes| minutes * 60_000), 0..500i64],
            proptest::option::of("[xy]"),
        ),
        (0..3i32, 0..72i64, proptest::option::of("reds|blues")),
    );
    let mut runner = TestRunner::deterministic();
    let mut drawn: Vec<_> = (0..600).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    // A log arrives in order.
    drawn.sort_by_key(|(_, (_, hours, _))| *hours);
    let mut offsets = [0i64; 3];
    let begin = time("2026-11-01").micros();
    let events: Vec<(Place, ScoreEvent)> = drawn
        .into_iter()
        .map(|((player, score, millis_ago, event_id), (number, hours, team))| {
            let at = begin + hours * DAY_MICROS / 24;
            let offset = &mut offsets[usize::try_from(number).unwrap()];
            let place =
                Place { partition: number, offset: *offset, arrived_at: EventTime::from_micros(at).unwrap() };
            *offset += 1;
            let event = ScoreEvent {
                score: Score::new(score, 0),
                created_at: EventTime::from_micros(at - millis_ago * 1000).unwrap(),
                event_id: event_id.map(Into::into),
                tags: team.map(|team| ("team".to_owned(), team)).into_iter().collect(),
                ..event(&player)
            };
            (place, event)
        })
        .collect();
    write(&database, &events).await;

    let text: String = BOARDS
        .iter()
        .zip(0..)
        .map(|((rules, _), at)| {
            format!("[[board]]\nname = \"b{at}\"\nwindows = [\"all\", \"day\"]\nallowed_lateness = \"1h\"\n{rules}\n")
        })
        .collect();
    let mut oracle = Oracle::new(BoardSet::parse(&text).unwrap());
    let mut in_order: Vec<_> = events.iter().collect();
    in_order.sort_by_key(|(place, _)| (place.arrived_at, place.partition, place.offset));
    for (place, event) in in_order {
        let Place { partition, offset, arrived_at: at } = *place;
        oracle.apply(event, Arrival { at, partition, offset }).unwrap();
    }
    let mut compared = 0;
    for (board, window, standings) in oracle.views() {
        let at: usize = board[1..].parse().unwrap();
        let asked = if window == "all" {
            BOARDS[at].1.to_owned()
        } else {
            let day = format!(
                "starts_at => timestamptz '{window} UTC', ends_at => timestamptz '{window} UTC' + interval '1 day', \
                 lateness => interval '1 hour'"
            );
            [BOARDS[at].1, &day]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let found = database
            .values(&format!(
                "SELECT concat_ws(' ', rank, competition_rank, dense_rank, user_id, score) \
                 FROM analytics.standings_of({asked}) ORDER BY rank"
            ))
            .await;
        let ranking = standings.ranking();
        let [ordinal, competition, dense] = RankMode::ALL.map(|mode| ranking.page(mode, 0, usize::MAX));
        let expected: Vec<String> = ordinal
            .iter()
            .zip(&competition)
            .zip(&dense)
            .map(|((row, competition), dense)| {
                let total = oracle.boards()[at].score(row.total);
                format!("{} {} {} {} {total}", row.rank, competition.rank, dense.rank, row.player)
            })
            .collect();
        assert_eq!(found, expected, "{board} in {window}");
        compared += 1;
    }
    assert!(compared > 15, "{compared}");
}

#[tokio::test]
async fn the_same_id_within_a_day_of_the_one_before_counts_once() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let with_id = |player: &str, id: &str| ScoreEvent { event_id: Some(id.into()), ..event(player) };
    let log = [
        // The same and the next day, then two days after the last: it counts again.
        ("2026-11-21T00:00:00", with_id("a", "x")),
        ("2026-11-21T23:59:59", with_id("a", "x")),
        ("2026-11-22T23:59:59", with_id("a", "x")),
        ("2026-11-24T00:00:00", with_id("a", "x")),
        // Another player, another id, no id.
        ("2026-11-21T00:00:00", with_id("b", "x")),
        ("2026-11-21T00:00:00", with_id("a", "y")),
        ("2026-11-21T00:00:00", event("a")),
        ("2026-11-21T00:00:00", event("a")),
    ];
    let events: Vec<_> =
        log.into_iter().zip(0..).map(|((at, event), offset)| (arrived(0, offset, at), event)).collect();
    write(&database, &events).await;
    let counted = database.values("SELECT kafka_offset FROM analytics.scores ORDER BY 1").await;
    assert_eq!(counted, ["0", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn days_count_by_event_time() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let on = |player: &str, at: &str| ScoreEvent { created_at: time(at), ..event(player) };
    let log =
        [on("a", "1916-07-02"), on("a", "1916-07-02T23:59:59"), on("b", "1916-07-02"), on("a", "1916-07-03")];
    let events: Vec<_> =
        log.into_iter().zip(0..).map(|(event, offset)| (arrived(0, offset, "2026-11-21"), event)).collect();
    write(&database, &events).await;
    let rows = database
        .values("SELECT day || ' ' || players || ' ' || events || ' ' || score FROM analytics.daily_active_players ORDER BY day")
        .await;
    assert_eq!(rows, ["1916-07-02 2 3 3", "1916-07-03 1 1 1"]);
}
