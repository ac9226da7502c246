//! The steps of an event's way, one by one.

#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks")]

use archive_store::{ArchiveBatch, Place};
use board_store::{BoardStore, Fence, Write};
use boards::order::{sorted_set_score, total_of};
use boards::{Arrival, BoardSet, Changes, Effect, Reached, WindowCache};
use contracts::{EventTime, PlayerId, Score, ScoreEvent, Snapshot, SnapshotEntry, Version};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use std::hint::black_box;

/// As many as one script call works through, where each has one row.
const PLAYERS: i64 = 512;
const PLAIN: &str = r#"{"score":57,"user_id":123456,"created_at":"2026-11-21T12:00:00.123456"}"#;
const WHOLE: &str = r#"{"score":57.5,"user_id":"player-123456","created_at":"2026-11-21T12:00:00.123456+01:00","event_id":"0123456789abcdef-1","nickname":"Zoë","tags":{"country":"MT","team":"red"},"level":7}"#;
const WINDOWS: &str = "[[board]]\nname = \"b\"\nwindows = [\"all\", \"hour\", \"day\", \"week\", \"month\"]\n\
     timezone = \"Europe/Malta\"\nallowed_lateness = \"forever\"\n";

/// A board that takes nothing of these events, since the first may not be per value, and one per team.
const VALUES: &str = "[[board]]\nname = \"a\"\nmatch = { no = \"such\" }\n\n\
     [[board]]\nname = \"b\"\nmatch = { team = \"{team}\" }\n";
const TEAMS: i64 = 100;

fn arrived() -> EventTime {
    EventTime::parse_iso("2026-11-21T12:00:01Z", "arrived").unwrap()
}

fn event(player: i64) -> ScoreEvent {
    let text = PLAIN.replace("123456,", &format!("{player},"));
    ScoreEvent::decode(Some(text.as_bytes()), arrived()).unwrap()
}

/// The same, for one of the teams.
fn event_of_a_team(player: i64) -> ScoreEvent {
    let tags = format!(r#"{{"tags":{{"team":"team-{}"}},"score""#, player % TEAMS);
    let text = PLAIN.replace("123456,", &format!("{player},")).replace(r#"{"score""#, &tags);
    ScoreEvent::decode(Some(text.as_bytes()), arrived()).unwrap()
}

/// What the events do to the boards, of which one takes them.
fn fold(boards: &BoardSet, windows: &mut WindowCache, events: &[ScoreEvent]) -> Changes {
    let mut changes = Changes::default();
    for (event, offset) in events.iter().zip(0..) {
        let arrival = Arrival { at: arrived(), partition: 0, offset };
        boards.visit_effects(event, arrival, windows, |effect| {
            if let Effect::Counts { value, windows, change, .. } = effect {
                changes.add_in(value, windows, &event.player, change);
            }
        });
    }
    changes
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, text) in [("plain form", PLAIN), ("every member", WHOLE)] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bench| {
            bench.iter(|| ScoreEvent::decode(Some(black_box(text.as_bytes())), arrived()));
        });
    }
    group.finish();
}

fn fold_batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(PLAYERS.unsigned_abs()));
    let [windowed, of_teams] = [WINDOWS, VALUES].map(|text| BoardSet::parse(text).unwrap());
    let events = |event: fn(i64) -> ScoreEvent| (0..PLAYERS).map(event).collect::<Vec<_>>();
    for (name, boards, events) in [
        ("for all time", BoardSet::default(), events(event)),
        ("five windows", windowed, events(event)),
        ("a hundred teams", of_teams, events(event_of_a_team)),
    ] {
        let mut windows = WindowCache::new(&boards);
        group.bench_function(name, |bench| bench.iter(|| fold(&boards, &mut windows, &events)));
    }
    group.finish();
}

fn windows(criterion: &mut Criterion) {
    let boards = BoardSet::parse(WINDOWS).unwrap();
    let times: Vec<EventTime> = (0..1000).map(|hour| arrived().saturating_add_seconds(hour * 3600)).collect();
    criterion.bench_function("windows/of a time, in a zone", |bench| {
        let mut times = times.iter().cycle();
        bench.iter(|| boards[0].windows_at(*times.next().unwrap()));
    });
}

fn ties(criterion: &mut Criterion) {
    let reached = Reached::at(arrived());
    criterion.bench_function("ties/double of a total and back", |bench| {
        bench.iter(|| total_of(sorted_set_score(black_box(1_234_567), black_box(reached))));
    });
}

/// Takes commands as the client does, encoded, and sends them nowhere.
#[derive(Clone)]
struct Nowhere;

impl ConnectionLike for Nowhere {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        unreachable!("batches go in pipelines")
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        black_box(pipeline.get_packed_pipeline());
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let reply = Value::Array(vec![text("ok"), text("1"), Value::Int(1), Value::Int(0)]);
        Box::pin(async move { Ok(vec![reply; count]) })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let boards = BoardSet::default();
    let events: Vec<ScoreEvent> = (0..PLAYERS).map(event).collect();
    let changes = fold(&boards, &mut WindowCache::new(&boards), &events);
    let store = BoardStore::with_connection(Nowhere, boards[0].clone());
    let spans = [("game-score/0".to_owned(), 0, PLAYERS)];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    group.throughput(Throughput::Elements(PLAYERS.unsigned_abs()));
    group.bench_function("a batch for Redis", |bench| {
        bench.iter(|| {
            let write = Write { changes: &changes, spans: &spans, stages: None, newest: Some(arrived()) };
            runtime.block_on(store.apply(Fence::On, 1, &[write])).unwrap()
        });
    });
    group.bench_function("rows for Postgres", |bench| {
        bench.iter_batched(
            ArchiveBatch::default,
            |mut batch| {
                for (event, offset) in events.iter().zip(0..) {
                    batch.add_event(Place { partition: 0, offset, arrived_at: arrived() }, event);
                }
                batch
            },
            BatchSize::SmallInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    let row = |rank: u64| {
        let player = PlayerId::new(format!("player-{rank}")).unwrap();
        SnapshotEntry::new(rank, &player, Score::new(100_000, 0), Some("Zoë".into()))
    };
    let snapshot = Snapshot {
        user_list: (1..=10).map(row).collect(),
        current_time_ms: 1_795_260_000_123.4,
        board: "game-score".into(),
        window: "all".into(),
        version: Version { epoch: 1, version: 123_456 },
        players: 1_000_000,
        rebuilding: false,
        stages: None,
    };
    group.bench_function("a snapshot", |bench| bench.iter(|| serde_json::to_string(&snapshot)));
    group.finish();
}

criterion_group!(steps, decode, fold_batches, windows, ties, encode);
criterion_main!(steps);
