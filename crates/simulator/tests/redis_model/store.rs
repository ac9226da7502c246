//! Our real scripts, called by the real store.

use crate::live::{Live, runner, value_of};
use board_store::{
    Begin, BoardStore, Cursor, Fence, IdSet, NameChange, Page, Reading, Row, Seen, Source, Write,
};
use boards::changes::{Change, Changes, Identified};
use boards::{Board, BoardSet, RankMode, Reached, Scope, View};
use contracts::{EventTime, PlayerId, Stages, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use redis::aio::{ConnectionLike, ConnectionManager};
use simulator::redis::{Command, Redis, Server};
use std::cell::{Cell, RefCell};
use std::fmt::Debug;

const PLAYERS: [&str; 8] = ["a", "b", "c/d", "é", "10", "9", "~", "B"];
const PARTITIONS: usize = 2;
const SNAPSHOTS: [&str; 6] = ["", "nope", "3", "{}", "[1,2]", r#"{"epoch":1,"version":"x"}"#];

/// Player, units, second, arrival day and id of an identified event.
type Event = (usize, i64, i64, Option<(i64, u8)>);

/// Fails when the model and the real server differ.
type Same = Result<(), TestCaseError>;

#[derive(Clone, Debug)]
struct Batch {
    events: Vec<Event>,
    /// How many records of each partition, and how far off the batch begins.
    spans: Vec<(i64, i64)>,
    with_stages: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// With what was seen, what the log holds, and the offset known to be stored.
    Open(Option<Version>, Vec<(i64, i64)>, Option<i64>),
    /// What viewers were shown, and whether the server was started since.
    Confirm(Version, bool),
    /// Begun to be rebuilt from the log, or filled from an archive, whole or given up half-way.
    Rebuild(bool, Vec<Event>, bool, Vec<(i64, i64)>),
    Apply(bool, Vec<Batch>),
    Pages(usize),
    Standing(usize),
    Publish(Option<usize>, Version, bool),
    Names(Vec<(usize, Option<&'static str>, i64)>),
    /// The board's state is lost, and it begins anew: a rebuild if it had an epoch.
    Lose(Version, Vec<(i64, i64)>),
    /// The model forgets its scripts; the real server, which may be shared, does not.
    ForgetScripts,
    /// What someone else does to the keys of the board.
    Meddle(&'static str),
}

fn version() -> impl Strategy<Value = Version> {
    (0..4u64, 0..6u64).prop_map(|(epoch, version)| Version { epoch, version })
}

fn event() -> impl Strategy<Value = Event> {
    let units =
        prop_oneof![-20..20i64, Just(0), -300_000..300_000i64, Just(1_000_000_000), Just(-1_000_000_000)];
    let id = option::weighted(0.3, (0..5i64, 0..3u8));
    (0..PLAYERS.len(), units, -5_000_000_000..3_000_000_000i64, id)
}

fn batch() -> impl Strategy<Value = Batch> {
    let span = (0..4i64, prop_oneof![30 => Just(0i64), 1 => -2..3i64]);
    (vec(event(), 0..6), vec(span, PARTITIONS), any::<bool>())
        .prop_map(|(events, spans, with_stages)| Batch { events, spans, with_stages })
}

fn step() -> impl Strategy<Value = Step> {
    let partitions = || vec((select(vec![0, 0, 0, 3]), select(vec![0, 0, 4, 9])), 0..=PARTITIONS);
    let name = (0..PLAYERS.len(), option::of(select(vec!["Zoë 🎯", "x"])), 0..5i64);
    prop_oneof![
        5 => (option::of(version()), partitions(), option::of(0..6i64))
            .prop_map(|(seen, partitions, stored)| Step::Open(seen, partitions, stored)),
        1 => (version(), any::<bool>()).prop_map(|(shown, restarted)| Step::Confirm(shown, restarted)),
        2 => (any::<bool>(), vec(event(), 0..6), any::<bool>(), partitions())
            .prop_map(|(log, rows, whole, partitions)| Step::Rebuild(log, rows, whole, partitions)),
        9 => (select(vec![true, true, true, false]), vec(batch(), 1..4))
            .prop_map(|(fence, batches)| Step::Apply(fence, batches)),
        2 => (1..5usize).prop_map(Step::Pages),
        1 => (0..PLAYERS.len()).prop_map(Step::Standing),
        2 => (option::weighted(0.3, 0..SNAPSHOTS.len()), version(), any::<bool>())
            .prop_map(|(text, version, rebuilding)| Step::Publish(text, version, rebuilding)),
        1 => vec(name, 1..4).prop_map(Step::Names),
        2 => (version(), vec((Just(0), 0..5i64), 1..=PARTITIONS))
            .prop_map(|(seen, partitions)| Step::Lose(seen, partitions)),
        1 => Just(Step::ForgetScripts),
        1 => select(vec![
            "DEL {B}:state {B}:offsets",
            "DEL B",
            "DEL {B}:rebuild",
            "HSET {B}:state rules other",
            "HSET {B}:state meaning other",
            "HDEL {B}:state meaning",
            "HSET {B}:state version x",
            "HSET {B}:offsets game-score/0 x",
            "SET {B}:state x",
            "SET B x",
            "ZADD B 1.5 someone",
        ])
        .prop_map(Step::Meddle),
    ]
}

/// The store on both servers.
struct Both<'a, C> {
    redis: &'a Redis,
    runtime: &'a tokio::runtime::Runtime,
    model: BoardStore<simulator::redis::ModelConnection>,
    real: BoardStore<C>,
}

/// Calls the same on both and gives back what the model answered.
macro_rules! both {
    ($both:expr, $store:ident => $call:expr) => {{
        let $store = &$both.model;
        let model = $both.redis.serve($call);
        let $store = &$both.real;
        let real = $both.runtime.block_on($call);
        prop_assert_eq!(said(&model), said(&real), "{}", stringify!($call));
        model
    }};
}

fn said<T: Debug, E: ToString>(result: &Result<T, E>) -> Result<String, String> {
    result.as_ref().map(|value| format!("{value:?}")).map_err(ToString::to_string)
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Both<'_, C> {
    fn player(&self, at: usize) -> PlayerId {
        // Names stand outside of the board: its own players have its name in theirs.
        PlayerId::new(format!("{}-{}", self.model.board().name, PLAYERS[at])).unwrap()
    }

    fn open(&self, version: Option<Version>, log: &[(i64, i64)], stored: Option<i64>) -> Same {
        let offsets = stored.map(|offset| (field(0), offset)).into_iter().collect();
        let seen = Seen { version, offsets };
        let log = begins(log);
        let _ = both!(self, store => store.open(&seen, &log));
        let _ = both!(self, store => store.stands());
        Ok(())
    }

    fn rebuild(&self, from_log: bool, rows: &[Event], whole: bool, log: &[(i64, i64)]) -> Same {
        let source = if from_log { Source::Log } else { Source::Archive { token: "me".to_owned() } };
        let (seen, log) = (Seen::default(), begins(log));
        let model = self.redis.serve(self.model.rebuild(&source, None, &seen, &log));
        let real = self.runtime.block_on(self.real.rebuild(&source, None, &seen, &log));
        prop_assert_eq!(said(&model), said(&real));
        let (Ok(Some(mut model)), Ok(Some(mut real))) = (model, real) else { return Ok(()) };
        let totals: Vec<_> = rows
            .iter()
            .map(|&(player, units, second, _)| {
                let reached = Reached::at(EventTime::from_micros(second * 1_000_000).unwrap());
                (self.player(player), Change::of(units, reached))
            })
            .collect();
        let ids = rows.iter().filter_map(|(player, _, _, id)| Some((*player, (*id)?)));
        let ids = ids.map(|(player, (_, id))| (self.player(player), format!("e{id}").into())).collect();
        let set = IdSet { day: 2, ids };
        let answers = [
            said(&self.redis.serve(self.model.fill_rows(&mut model, &View::all_time(), &totals))),
            said(&self.redis.serve(self.model.fill_ids(&mut model, &set))),
        ];
        let expected = [
            said(&self.runtime.block_on(self.real.fill_rows(&mut real, &View::all_time(), &totals))),
            said(&self.runtime.block_on(self.real.fill_ids(&mut real, &set))),
        ];
        prop_assert_eq!(answers, expected);
        if whole {
            let offsets = log.iter().map(|begin| (begin.field.clone(), begin.high)).collect();
            prop_assert_eq!(
                said(&self.redis.serve(self.model.filled(model, &offsets))),
                said(&self.runtime.block_on(self.real.filled(real, &offsets)))
            );
        }
        Ok(())
    }

    fn apply(&self, fence: bool, batches: &[Batch]) -> Same {
        let stands = both!(self, store => store.stands()).ok().flatten();
        let begun = stands.as_ref().map_or(1, |stand| stand.begun);
        let mut next = stands.map(|stand| stand.offsets).unwrap_or_default();
        let changes: Vec<Changes> = batches.iter().map(|batch| self.changes(&batch.events)).collect();
        let spans: Vec<Vec<(String, i64, i64)>> = batches
            .iter()
            .map(|batch| {
                let partitions = batch.spans.iter().enumerate().filter(|(_, (count, _))| *count > 0);
                let span = |(partition, &(count, off)): (usize, &(i64, i64))| {
                    let end = next.entry(field(partition)).or_insert(0);
                    let from = *end + off;
                    *end = from + count;
                    (field(partition), from, *end)
                };
                let spans: Vec<_> = partitions.map(span).collect();
                if spans.is_empty() {
                    vec![(field(0), next.get(&field(0)).copied().unwrap_or(0), 0)]
                } else {
                    spans
                }
            })
            .collect();
        let writes: Vec<Write<'_>> = batches
            .iter()
            .zip(&changes)
            .zip(&spans)
            .map(|((batch, changes), spans)| {
                let stages =
                    Stages { created_ms: 1.5, in_kafka_ms: 2e12, applied_ms: 3.25, published_ms: 0.0 };
                Write { changes, spans, stages: batch.with_stages.then_some(stages), newest: None }
            })
            .collect();
        let fence = if fence { Fence::On } else { Fence::Off };
        let _ = both!(self, store => store.apply(fence, begun, &writes));
        Ok(())
    }

    fn changes(&self, events: &[Event]) -> Changes {
        let mut changes = Changes::default();
        for &(player, units, second, id) in events {
            let reached = Reached::at(EventTime::from_micros(second * 1_000_000).unwrap());
            let (player, change) = (self.player(player), Change::of(units, reached));
            match id {
                None => changes.add(&player, change),
                Some((arrival_day, id)) => changes.add_identified(Identified {
                    player,
                    event_id: format!("e{id}").into(),
                    arrival_day,
                    scope: Scope::all_time(),
                    change,
                }),
            }
        }
        changes
    }

    fn pages(&self, limit: usize) -> Same {
        let mut cursor: Option<Cursor> = None;
        loop {
            let page: Option<Reading<Page>> =
                both!(self, store => store.all_time().page(limit, cursor.as_ref(), RankMode::Competition))
                    .ok()
                    .flatten();
            let Some(page) = page.map(|page| page.found).filter(|page| page.has_more) else { return Ok(()) };
            cursor = page.rows.last().map(Row::cursor);
        }
    }

    fn publish(&self, text: Option<usize>, version: Version, rebuilding: bool) -> Same {
        let Version { epoch, version: number } = version;
        let usual = format!(
            r#"{{"epoch":{epoch},"version":{number},"rebuilding":{rebuilding},"rows":[{{"é":1.5}}]}}"#
        );
        let text = text.map_or(usual.as_str(), |at| SNAPSHOTS[at]);
        let _ = both!(self, store => store.publish(text, version, rebuilding));
        let _ = both!(self, store => store.cached());
        Ok(())
    }

    fn names(&self, given: &[(usize, Option<&'static str>, i64)]) -> Same {
        let changes: Vec<NameChange> = given
            .iter()
            .map(|&(player, nickname, given_ms)| NameChange {
                player: self.player(player),
                nickname: nickname.map(Into::into),
                given_ms,
            })
            .collect();
        let _ = both!(self, store => store.give_names(&changes));
        let players: Vec<PlayerId> = (0..PLAYERS.len()).map(|at| self.player(at)).collect();
        let _ = both!(self, store => store.names(&players));
        Ok(())
    }

    fn step(&self, step: &Step, live: &mut Live) -> Same {
        match step {
            Step::Open(seen, log, stored) => self.open(*seen, log, *stored),
            Step::Confirm(shown, restarted) => {
                if *restarted {
                    self.step(&Step::Meddle("HSET {B}:state server another"), live)?;
                }
                let read = both!(self, store => store.version()).ok().flatten().unwrap_or(*shown);
                let _ = both!(self, store => store.confirm(read, *shown));
                // The two servers are not called the same.
                self.step(&Step::Meddle("HDEL {B}:state server"), live)
            }
            Step::Rebuild(from_log, rows, whole, log) => self.rebuild(*from_log, rows, *whole, log),
            Step::Apply(fence, batches) => self.apply(*fence, batches),
            Step::Pages(limit) => self.pages(*limit),
            Step::Standing(player) => {
                let player = self.player(*player);
                let _ = both!(self, store => store.all_time().places([&player], RankMode::Ordinal));
                let _ = both!(self, store => store.version());
                Ok(())
            }
            Step::Publish(text, version, rebuilding) => self.publish(*text, *version, *rebuilding),
            Step::Names(given) => self.names(given),
            Step::ForgetScripts => {
                self.redis.with_server(Server::forget_scripts);
                Ok(())
            }
            Step::Lose(seen, partitions) => {
                self.step(&Step::Meddle("DEL {B}:state {B}:offsets"), live)?;
                self.open(Some(*seen), partitions, None)
            }
            Step::Meddle(words) => {
                let board = &self.model.board().name;
                let key = |word: &str| word.replace("{B}", &format!("{{{board}}}"));
                let words = words.split(' ').map(|word| if word == "B" { board.clone() } else { key(word) });
                let command = Command::of(words);
                let real = live.execute(std::slice::from_ref(&command)).remove(0);
                live.compare(&command, &self.redis.with_server(|server| value_of(server, &command)), &real)
            }
        }
    }
}

/// What the log holds: the oldest offset and how many records, for each partition.
fn begins(log: &[(i64, i64)]) -> Vec<Begin> {
    log.iter()
        .enumerate()
        .map(|(partition, &(low, length))| Begin { field: field(partition), low, high: low + length })
        .collect()
}

fn field(partition: usize) -> String {
    format!("game-score/{partition}")
}

#[test]
fn store_sees_no_difference_between_the_model_and_redis() {
    let Some(live) = Live::new() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = redis::Client::open(live.url.as_str()).unwrap();
    let manager = runtime.block_on(ConnectionManager::new(client)).unwrap();
    let (live, count) = (RefCell::new(live), Cell::new(0));
    let anyone = BoardSet::default().default_board().clone();
    runner()
        .run(&vec(step(), 1..14), |steps| {
            let live = &mut *live.borrow_mut();
            count.set(count.get() + 1);
            let board = Board { name: format!("{}-{}", live.prefix, count.get()), ..anyone.clone() };
            let redis = Redis::default();
            let both = Both {
                redis: &redis,
                runtime: &runtime,
                model: BoardStore::with_connection(redis.connect(0), board.clone()),
                real: BoardStore::with_connection(manager.clone(), board.clone()),
            };
            both.open(None, &[(0, 0), (0, 0)], None)?;
            for step in &steps {
                both.step(step, live)?;
            }
            redis.with_server(|server| live.compare_keyspaces(server, &board.name))?;
            live.remove_keys(&board.name);
            Ok(())
        })
        .unwrap();
}
