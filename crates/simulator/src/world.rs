//! A run: processes, servers and viewers, and a schedule that does the worst it can.

mod faults;

use crate::archive::ArchiveSink;
use crate::cache::Caches;
use crate::choices::Choices;
use crate::consumer::Process;
use crate::desk::{Desk, Stores};
use crate::log::{Group, LogRecord, PROFILES, SCORES};
use crate::ranker::{ModelSurroundings, Shared};
use crate::redis::{Keyspace, ModelConnection, Redis, RequestId};
use crate::truth::{Truth, scores};
use board_cache::TrailingEdge;
use board_store::{BoardStore, Fence};
use boards::{Board, BoardSet};
use contracts::Version;
use pipeline::sink::Partition;
use score_ranker::RankSink;
use service::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What some runs have; the others have one board, a sum for all time.
const SEVERAL_BOARDS: &str = r#"
[[board]]
name = "game-score"

[[board]]
name = "teams"
match = { team = "{team}" }
aggregate = "last"
order = "asc"
windows = ["all", "hour"]
"#;
/// Wall-clock time at the start of a run: 2026-11-21T12:00:00Z.
const BEGINNING_MICROS: i64 = 1_795_262_400_000_000;
const PARTITIONS: i32 = 2;
/// How many copies of Redis' data are kept, of the moments at which it changed.
const COPIES: usize = 24;
/// How many rounds without faults a run may take to come to rest.
const CALM_ROUNDS: usize = 600;
/// After so many rounds in which nothing was published or applied, it is at rest: long enough
/// for every retry's pause and every reconciliation.
const QUIET_ROUNDS: usize = 15;
/// Rounds without faults at the beginning, so that there is something to break.
const WARM_UP: usize = 4;

/// What is switched off, for negative controls.
#[derive(Clone, Copy, Debug)]
pub struct Protections {
    /// The ranker's fence.
    pub fence: Fence,
    /// Whether the archiver's offsets are compared.
    pub archive_fenced: bool,
    /// The throttle's.
    pub trailing_edge: TrailingEdge,
}

impl Default for Protections {
    fn default() -> Self {
        Self { fence: Fence::On, archive_fenced: true, trailing_edge: TrailingEdge::On }
    }
}

/// What happened in a run, for those who want to know that it was not idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Happened {
    /// Records appended.
    pub records: u64,
    /// Faults of any kind.
    pub faults: u64,
    /// Writes refused by a fence.
    pub fenced: u64,
    /// New epochs.
    pub epochs: u64,
    /// Snapshots published.
    pub snapshots: u64,
}

impl Happened {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.faults += other.faults;
        self.fenced += other.fenced;
        self.epochs += other.epochs;
        self.snapshots += other.snapshots;
    }
}

type Rank = RankSink<ModelSurroundings, ModelConnection>;

/// A place for a process, which may be dead or stopped.
struct Slot<P> {
    process: Option<P>,
    stopped: bool,
}

impl<P> Slot<P> {
    fn is_running(&self) -> bool {
        self.process.is_some() && !self.stopped
    }
}

pub(crate) struct World {
    choices: Choices,
    protections: Protections,
    stores: Stores,
    boards: BoardSet,
    truth: Truth,
    desk: Desk,
    redis: Redis,
    shared: Arc<Shared>,
    now: Instant,
    rankers: Vec<Slot<Process<Rank>>>,
    archivers: Vec<Slot<Process<ArchiveSink>>>,
    caches: Vec<Slot<Caches>>,
    ranking: Group,
    archiving: Group,
    /// How much of the topic each viewer's controller has read, and what the viewer sees.
    viewers: Vec<(usize, Option<Version>)>,
    copies: Vec<Keyspace>,
    archive_copy: Option<crate::archive::Archive>,
    /// How far each partition was ranked, ever.
    ranked: BTreeMap<Partition, i64>,
    next_event: u64,
    happened: Happened,
}

/// Runs until everything is at rest, and says what happened.
///
/// # Errors
/// When something is not as it must be: what.
pub fn run(choices: Choices, protections: Protections) -> (Choices, Result<Happened, String>) {
    let mut world = World::new(choices, protections);
    let outcome = world.live();
    (world.choices, outcome.map(|()| world.happened))
}

impl World {
    fn new(mut choices: Choices, protections: Protections) -> Self {
        let boards =
            if choices.below(16) == 15 { BoardSet::parse(SEVERAL_BOARDS) } else { Ok(BoardSet::default()) };
        let boards = boards.expect("the boards have no faults");
        let shared = Arc::new(Shared::default());
        shared.now_micros.store(BEGINNING_MICROS, Ordering::Relaxed);
        let mut stores = Stores::default();
        for number in 0..PARTITIONS {
            stores.log.partitions.insert(scores(number), Default::default());
        }
        stores.log.partitions.insert(Partition { topic: PROFILES, number: 0 }, Default::default());
        fn slots<P>(count: usize) -> Vec<Slot<P>> {
            (0..count).map(|_| Slot { process: None, stopped: false }).collect()
        }
        let mut world = Self {
            choices,
            protections,
            stores,
            truth: Truth::of(boards.clone()),
            boards,
            desk: Desk::default(),
            redis: Redis::default(),
            shared,
            now: Instant::now(),
            rankers: slots(2),
            archivers: slots(2),
            caches: slots(2),
            ranking: Group::default(),
            archiving: Group::default(),
            viewers: vec![(0, None); 2],
            copies: vec![Keyspace::default()],
            archive_copy: None,
            ranked: BTreeMap::new(),
            next_event: 0,
            happened: Happened::default(),
        };
        world.redis.with_server(|server| server.set_now_ms(BEGINNING_MICROS / 1000));
        world.start_all();
        world
    }

    fn live(&mut self) -> Result<(), String> {
        for _ in 0..WARM_UP {
            self.produce();
            self.calm_round()?;
        }
        let steps = 40 + self.choices.below(160);
        for _ in 0..steps {
            match self.choices.below(100) {
                0..=7 => {
                    self.choices.tell(|| "a calm round".to_owned());
                    self.calm_round()?;
                }
                8..=34 => self.process_goes_on(),
                35..=54 => self.serve_redis()?,
                55..=64 => self.serve_desk(),
                65..=74 => self.produce(),
                75..=82 => self.fetch(),
                83..=85 => self.tell_news(),
                86..=88 => self.time_passes(),
                _ => {
                    self.happened.faults += 1;
                    self.fault()?;
                }
            }
            self.viewers_look();
        }
        self.come_to_rest()?;
        self.happened.fenced = self.told().iter().map(|(fenced, _)| fenced).sum();
        self.happened.snapshots = self.stores.leaderboard.len() as u64;
        self.happened.epochs =
            self.stores.leaderboard.iter().map(|snapshot| snapshot.version.epoch).max().unwrap_or(0);
        self.check_end()?;
        let newest = self.shown(&self.boards.default_board().name);
        for (_, seen) in &self.viewers {
            if *seen != newest {
                return Err(format!("a viewer sees {seen:?}, not {newest:?}"));
            }
        }
        if self.choices.chance(10) {
            self.topics_are_made_anew()?;
        }
        Ok(())
    }

    /// The topics are deleted and made anew under the stores: nothing may be applied, and a person
    /// must be told.
    fn topics_are_made_anew(&mut self) -> Result<(), String> {
        self.choices.tell(|| "the topics are made anew".to_owned());
        let ranked = self.redis.with_server(|server| crate::truth::stored(server.keyspace(), &self.boards));
        for log in self.stores.log.partitions.values_mut() {
            *log = Default::default();
        }
        // Fewer records than before, of a player that nobody knows.
        for (partition, stored) in &ranked {
            for _ in 1..*stored {
                let payload = br#"{"score":1,"user_id":"new"}"#.to_vec();
                let record =
                    LogRecord { timestamp_ms: BEGINNING_MICROS / 1000, key: b"new".to_vec(), payload };
                self.stores.log.append(*partition, record);
            }
        }
        let archived = self.stores.archive.rows.len();
        self.rankers.iter_mut().for_each(|slot| slot.process = None);
        self.archivers.iter_mut().for_each(|slot| slot.process = None);
        self.start_all();
        for _ in 0..20 {
            self.calm_round()?;
            self.pass(Duration::from_millis(400));
        }
        let has_records = ranked.values().any(|stored| *stored > 0);
        let told = self.told().iter().filter(|(_, why)| why.is_some()).count();
        if has_records && told < 2 {
            return Err("nobody is told that the topics were made anew".to_owned());
        }
        if self.stores.archive.rows.len() != archived {
            return Err("records of another log were archived".to_owned());
        }
        Ok(())
    }

    // --- What happens when nothing goes wrong ---

    fn process_goes_on(&mut self) {
        let process = self.choices.below(6);
        if self.step(process) {
            self.choices.tell(|| format!("process {process} goes on"));
        }
        self.spread_notice();
    }

    fn step(&mut self, process: usize) -> bool {
        let now = self.now;
        match process {
            0 | 1 => live(&mut self.rankers[process]).is_some_and(|process| process.step(now)),
            2 | 3 => live(&mut self.archivers[process - 2]).is_some_and(|process| process.step(now)),
            _ => live(&mut self.caches[process - 4])
                .is_some_and(|process| process.step(&self.stores.leaderboard, now)),
        }
    }

    /// A notice reaches every cache, or is lost.
    fn spread_notice(&mut self) {
        if !self.shared.noticed.swap(false, Ordering::Relaxed) {
            return;
        }
        for cache in &mut self.caches {
            if let Some(process) = live(cache)
                && !self.choices.chance(10)
            {
                process.notice(self.now);
            }
        }
    }

    fn serve_redis(&mut self) -> Result<(), String> {
        let waiting = self.waiting();
        let Some(id) = self.choices.pick(&waiting).copied() else { return Ok(()) };
        self.choices.tell(|| format!("Redis does and answers {}", id.0));
        self.redis.apply(id);
        self.redis.answer(id);
        self.redis_changed()
    }

    /// After anything that may have changed Redis: what is there must be right.
    fn redis_changed(&mut self) -> Result<(), String> {
        if self.copies.len() == COPIES {
            self.copies.remove(0);
        }
        let data = self.redis.with_server(|server| server.keyspace().clone());
        let outcome = self.truth.check_boards(&data);
        for (partition, offset) in crate::truth::stored(&data, &self.boards) {
            let ranked = self.ranked.entry(partition).or_insert(offset);
            *ranked = (*ranked).max(offset);
        }
        self.copies.push(data);
        outcome
    }

    fn serve_desk(&mut self) {
        let count = self.desk.jobs().len();
        if count == 0 {
            return;
        }
        let mut job = {
            let at = self.choices.below(count);
            self.desk.jobs().remove(at)
        };
        if !job.is_done() {
            job.carry_out(&mut self.stores);
        }
        job.answer();
    }

    fn produce(&mut self) {
        let partition = scores(i32::try_from(self.choices.below(self.score_partitions())).expect("few"));
        let player = self.choices.below(4);
        let tags = format!(r#""tags":{{"team":"{}"}}"#, player % 2);
        // The same id again is the same event again.
        let id = (self.choices.below(4) == 3).then(|| self.choices.below(3));
        let payload = match (self.choices.below(12), id) {
            (11, _) => "poison".to_owned(),
            (_, Some(id)) => {
                format!(
                    r#"{{"score":{},"user_id":{player},"event_id":"e{id}","created_at":"2026-11-21T11:00:0{id}",{tags}}}"#,
                    id + 1
                )
            }
            (score, None) => {
                let at = self.next_event % 60;
                format!(
                    r#"{{"score":{},"user_id":{player},"created_at":"2026-11-21T11:30:{at:02}",{tags}}}"#,
                    i64::try_from(score).expect("small") - 2
                )
            }
        };
        self.next_event += 1;
        self.happened.records += 1;
        let record = LogRecord {
            timestamp_ms: BEGINNING_MICROS / 1000 + i64::try_from(self.next_event).expect("few"),
            key: player.to_string().into_bytes(),
            payload: payload.into_bytes(),
        };
        self.choices.tell(|| {
            let payload = String::from_utf8_lossy(&record.payload);
            format!("appended to {}: {payload}", partition.number)
        });
        self.truth.append(partition, &record);
        self.stores.log.append(partition, record);
    }

    fn score_partitions(&self) -> usize {
        self.stores.log.of_topic(SCORES).len()
    }

    fn fetch(&mut self) {
        let (process, most, turn) = (self.choices.below(4), 1 + self.choices.below(4), self.choices.below(3));
        let (log, now) = (&self.stores.log, self.now);
        if process < 2 {
            if let Some(process) = live(&mut self.rankers[process]) {
                process.fetch(log, most, turn, now);
            }
        } else if let Some(process) = live(&mut self.archivers[process - 2]) {
            process.fetch(log, most, turn, now);
        }
    }

    fn tell_news(&mut self) {
        let process = self.choices.below(4);
        self.tell(process);
    }

    fn tell(&mut self, process: usize) -> bool {
        let now = self.now;
        if process < 2 {
            let Some(running) = live(&mut self.rankers[process]) else { return false };
            let Some(change) = self.ranking.hear(process) else { return false };
            running.hear(change, now);
        } else {
            let Some(running) = live(&mut self.archivers[process - 2]) else { return false };
            let Some(change) = self.archiving.hear(process - 2) else { return false };
            running.hear(change, now);
        }
        true
    }

    fn time_passes(&mut self) {
        let millis = [1, 20, 200, 600, 1100, 5000][self.choices.below(6)];
        self.pass(Duration::from_millis(millis));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let micros = i64::try_from(time.as_micros()).expect("short");
        self.shared.now_micros.fetch_add(micros, Ordering::Relaxed);
        // The clock of Redis' own machine, which does not step.
        self.redis.with_server(|server| {
            let now_ms = server.keyspace().now_ms() + micros / 1000;
            server.set_now_ms(now_ms);
        });
    }

    /// Where a board stood when it was published last.
    fn shown(&self, board: &str) -> Option<Version> {
        let snapshots = self.stores.leaderboard.iter().filter(|snapshot| snapshot.board == board);
        snapshots.map(|snapshot| snapshot.version).max()
    }

    /// Viewers of the default board read what is on the topic, as a controller shows it to them.
    fn viewers_look(&mut self) {
        for (read, seen) in &mut self.viewers {
            while let Some(snapshot) = self.stores.leaderboard.get(*read) {
                *read += 1;
                if snapshot.board == self.boards.default_board().name {
                    *seen = (*seen).max(Some(snapshot.version));
                }
            }
        }
    }

    /// How often each consumer was refused by a fence, and what it wants a person to mend.
    fn told(&self) -> Vec<(u64, Option<&str>)> {
        let rankers = self.rankers.iter().filter_map(|slot| slot.process.as_ref());
        let archivers = self.archivers.iter().filter_map(|slot| slot.process.as_ref());
        rankers
            .map(|process| (process.fenced, process.impossible.as_deref()))
            .chain(archivers.map(|process| (process.fenced, process.impossible.as_deref())))
            .collect()
    }

    // --- Faults ---

    fn store(&self) -> BoardStore<ModelConnection> {
        BoardStore::with_connection(self.redis.connect(0), self.boards.default_board().clone())
    }

    fn start_all(&mut self) {
        for slot in 0..2 {
            self.start_ranker(slot);
            self.start_archiver(slot);
            self.start_cache(slot);
            self.rankers[slot].stopped = false;
            self.archivers[slot].stopped = false;
            self.caches[slot].stopped = false;
        }
        self.deal();
    }

    fn start_ranker(&mut self, slot: usize) {
        if self.rankers[slot].process.is_none() {
            let surroundings =
                ModelSurroundings { desk: self.desk.clone(), shared: Arc::clone(&self.shared) };
            let fence = self.protections.fence;
            let topics = score_ranker::TOPICS.map(|topic| topic.name.to_owned()).to_vec();
            let connection = self.redis.connect(0);
            let sink = RankSink::new(topics, self.boards.clone(), &connection, surroundings, fence);
            self.rankers[slot].process = Some(Process::start(sink, 2, self.desk.clone(), slot as u64));
        }
    }

    fn start_archiver(&mut self, slot: usize) {
        if self.archivers[slot].process.is_none() {
            let sink =
                ArchiveSink::new(self.desk.clone(), self.boards.clone(), self.protections.archive_fenced);
            self.archivers[slot].process = Some(Process::start(sink, 1, self.desk.clone(), slot as u64));
        }
    }

    fn start_cache(&mut self, slot: usize) {
        if self.caches[slot].process.is_none() {
            let shared = Arc::clone(&self.shared);
            let clock = Clock::new(move || shared.now_micros.load(Ordering::Relaxed));
            let edge = self.protections.trailing_edge;
            let topic = &self.stores.leaderboard;
            let store = |board: &Board| BoardStore::with_connection(self.redis.connect(0), board.clone());
            let stores = self.boards.iter().map(store).collect();
            let caches = Caches::start(stores, &self.desk, &clock, edge, topic, self.now);
            self.caches[slot].process = Some(caches);
        }
    }

    /// The groups take those that run for alive, and deal the partitions out anew.
    fn deal(&mut self) {
        self.choices.tell(|| "the groups deal".to_owned());
        let turn = self.choices.below(2);
        let running = |slots: Vec<bool>| -> Vec<usize> { (0..2).filter(|slot| slots[*slot]).collect() };
        let rankers = running(self.rankers.iter().map(Slot::is_running).collect());
        let archivers = running(self.archivers.iter().map(Slot::is_running).collect());
        let all: Vec<Partition> = self.stores.log.partitions.keys().copied().collect();
        self.ranking.deal(&rankers, &all, turn);
        self.archiving.deal(&archivers, &self.stores.log.of_topic(SCORES), turn);
    }

    fn check_end(&self) -> Result<(), String> {
        self.redis.with_server(|server| self.truth.check_end(server.keyspace(), &self.stores))
    }

    /// Everything that runs goes on as it would when nothing goes wrong.
    fn calm_round(&mut self) -> Result<(), String> {
        for process in 0..4 {
            while self.tell(process) {}
        }
        for (slot, turn) in [(0, 0), (1, 1)] {
            let (log, now) = (&self.stores.log, self.now);
            if let Some(process) = live(&mut self.rankers[slot]) {
                process.fetch(log, 9, turn, now);
            }
            if let Some(process) = live(&mut self.archivers[slot]) {
                process.fetch(log, 9, turn, now);
            }
        }
        for _ in 0..4 {
            for process in 0..6 {
                self.step(process);
            }
            self.spread_notice();
            let waiting = self.waiting();
            for id in &waiting {
                self.redis.apply(*id);
                self.redis.answer(*id);
            }
            if !waiting.is_empty() {
                self.redis_changed()?;
            }
            let jobs = std::mem::take(&mut *self.desk.jobs());
            for mut job in jobs {
                if !job.is_done() {
                    job.carry_out(&mut self.stores);
                }
                job.answer();
            }
        }
        self.viewers_look();
        Ok(())
    }

    /// Requests to Redis that someone waits for.
    fn waiting(&self) -> Vec<RequestId> {
        self.redis.open().into_iter().filter(|(_, awaited)| *awaited).map(|(id, _)| id).collect()
    }

    /// Requests that nobody waits for, and that may arrive all the same.
    fn given_up(&self) -> Vec<RequestId> {
        self.redis.open().into_iter().filter(|(_, awaited)| !*awaited).map(|(id, _)| id).collect()
    }

    fn lose_answer(&self, id: RequestId) {
        self.redis.fail(id, std::io::ErrorKind::TimedOut);
    }

    // --- The end ---

    /// No more faults: everything runs until nothing happens any more.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.choices.tell(|| "no more faults".to_owned());
        self.start_all();
        let mut quiet = 0;
        let mut before = (0, 0);
        for _ in 0..CALM_ROUNDS {
            self.calm_round()?;
            self.pass(Duration::from_millis(400));
            let archived: i64 = self.stores.archive.offsets.values().sum();
            let now = (self.stores.leaderboard.len(), archived);
            let impossible = self.told().iter().any(|(_, why)| why.is_some());
            let behind = now != before || impossible || self.check_end().is_err();
            quiet = if behind { 0 } else { quiet + 1 };
            before = now;
            if quiet == QUIET_ROUNDS {
                return Ok(());
            }
        }
        self.check_end()?;
        Err(match self.told().into_iter().find_map(|(_, why)| why) {
            Some(why) => format!("a person is asked to act: {why}"),
            None => "it does not come to rest".to_owned(),
        })
    }
}

fn live<P>(slot: &mut Slot<P>) -> Option<&mut P> {
    if slot.stopped { None } else { slot.process.as_mut() }
}
