//! A judgement from before the run to the verdict.

use crate::api::{BoardApi, MAX_IDS, MAX_ROWS};
use crate::compare::{Answer, Expected, check_archive};
use crate::findings::{Findings, Part};
use crate::latencies::Latencies;
use crate::recording::Recording;
use crate::report::{Compared, Report, Verdict, ViewersReport};
use crate::settings::JudgeSettings;
use crate::sightings::{MAX_FRAMES, Sightings};
use crate::tracks::Tracks;
use crate::truth::{LogRecord, Sent, Truth};
use crate::viewers::Viewers;
use crate::watching::{Watched, WatchedSecond, Watching};
use anyhow::Context as _;
use api_client::ApiSettings;
use archive_store::ArchiveStore;
use archive_store::audit::OffsetRange;
use boards::rules::{Aggregate, Order};
use boards::{Board, BoardSet, RankMode, Ranking};
use contracts::topics::GAME_SCORE;
use contracts::{EventTime, PlayerId, ScoreEvent};
use pipeline::KafkaSettings;
use pipeline::producer::Place;
use pipeline::scan::{Scan, Scanned, extents};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;

/// How long all viewers may take to connect.
const VIEWERS_LIMIT: Duration = Duration::from_secs(30);
/// How long the first frame may take, of a board that has players.
const FIRST_FRAME_LIMIT: Duration = Duration::from_secs(5);
/// After how long without a frame the board is taken to stand still: the board-cache looks every half
/// second, and once a second also without being told.
const QUIET: Duration = Duration::from_secs(2);
/// How long a lone event may take to every screen.
const LONE_EVENT_LIMIT: Duration = Duration::from_secs(5);
/// How long nothing is sent before a lone event: longer than the board-cache waits between two frames.
const LONE_EVENT_PAUSE: Duration = Duration::from_millis(750);
/// How often it is looked whether everything shows all that was sent.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Around how many of the drawn players rows are compared, and how many.
const AROUND: (usize, usize) = (20, 11);

/// What is known of the run beside what was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Draws the players who are compared.
    pub seed: u64,
    /// Whether `created_at` is when an event was due.
    pub created_when_due: bool,
}

/// Sends an event: key, value, when it is due.
pub type SendEvent<'a> = dyn FnMut(&[u8], &[u8], Instant) -> anyhow::Result<()> + 'a;

/// A judge at work.
pub struct Judge {
    settings: JudgeSettings,
    kafka: KafkaSettings,
    topic: String,
    boards: BoardSet,
    api: BoardApi,
    archive: ArchiveStore,
    runtime: Runtime,
    recording: Arc<Recording>,
    viewers: Viewers,
    /// Where the log ended before the run.
    from: BTreeMap<i32, i64>,
    drained_nanos: u64,
    findings: Findings,
}

/// A judgement, with what the reports draw.
pub struct Judgement {
    /// What is told of it.
    pub report: Report,
    /// The seconds of the run, as viewers saw them.
    pub seconds: Vec<WatchedSecond>,
    /// From due to the frame in hand.
    pub frame: Latencies,
    /// The same of lone events.
    pub edge: Latencies,
}

impl Judge {
    /// Takes a seat before the run: looks whether everything that is to be compared can be, and has
    /// the viewers connect to the controller.
    ///
    /// # Errors
    /// When the run could not be judged.
    pub fn begin(
        settings: &JudgeSettings,
        api: &ApiSettings,
        kafka: &KafkaSettings,
        recording: &Arc<Recording>,
    ) -> anyhow::Result<Self> {
        let boards = BoardSet::load(&settings.boards_file).context("BOARDS_FILE")?;
        let board = boards.default_board();
        if settings.edge > 0 {
            lone_event_units(board)?;
            anyhow::ensure!(settings.viewers > 0, "--edge needs --viewers");
        }
        let topic = kafka.topic(&GAME_SCORE);
        let from = log_ends(kafka, &topic)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let archive =
            ArchiveStore::new(&settings.postgres_url, vec![topic.clone()]).context("POSTGRES_URL")?;
        let audit = runtime.block_on(archive.audit(&topic)).context("the archive cannot be judged")?;
        if let Some((partition, stretch)) = audit.stretches().iter().find(|(_, stretch)| stretch.first > 0) {
            anyhow::bail!(
                "the archive cannot be judged: it begins {topic}/{partition} at offset {}",
                stretch.first
            );
        }
        drop(audit);
        let board_api = BoardApi::new(api, &board.name);
        let standing = board_api.top(RankMode::Ordinal, 1, None);
        let standing = standing.context("--api: the board cannot be judged")?;
        let viewers = Viewers::start(api, settings.viewers, board.decimals, recording)?;
        let connected = viewers.wait(VIEWERS_LIMIT, |seen| seen.viewers().iter().all(|one| one.connected));
        if !connected {
            let seen = viewers.sightings();
            let fault = seen.viewers().iter().find_map(|viewer| viewer.fault.as_deref());
            anyhow::bail!("not all viewers could connect: {}", fault.unwrap_or("no answer"));
        }
        if matches!(standing, Answer::Rows(rows) if rows.players > 0) {
            // A board that was never published has none; then the first one is late, and counts as such.
            viewers.wait(FIRST_FRAME_LIMIT, |seen| seen.viewers().iter().all(|one| one.newest.is_some()));
        }
        Ok(Self {
            settings: settings.clone(),
            kafka: kafka.clone(),
            topic,
            boards,
            api: board_api,
            archive,
            runtime,
            recording: Arc::clone(recording),
            viewers,
            from,
            drained_nanos: 0,
            findings: Findings::default(),
        })
    }

    /// Everything was sent: waits until viewers see nothing new any more, and then times lone events,
    /// which it has `send` send, unless it is to `stop`.
    ///
    /// # Errors
    /// When `send` fails or there is nobody who leads.
    pub fn after_run(&mut self, send: &mut SendEvent<'_>, stop: &dyn Fn() -> bool) -> anyhow::Result<()> {
        self.recording.end_run();
        let ended = self.recording.nanos(Instant::now());
        self.drained_nanos = ended.max(self.viewers.wait_for_quiet(QUIET, self.settings.settle));
        for number in 1..=self.settings.edge {
            if stop() {
                break;
            }
            self.lone_event(number, send)?;
            std::thread::sleep(LONE_EVENT_PAUSE);
        }
        Ok(())
    }

    fn lone_event(&mut self, number: u16, send: &mut SendEvent<'_>) -> anyhow::Result<()> {
        let board = self.boards.default_board();
        let units = lone_event_units(board)?;
        let first_row = |seen: &Sightings| {
            let frame = seen.frame(seen.viewers().first()?.newest?);
            let (player, total) = *frame.rows.first()?;
            Some((player, seen.player(player).to_owned(), total))
        };
        let leads = first_row(&self.viewers.sightings());
        let (player, id, total) = leads.context("--edge: nobody leads, so there is nobody to score")?;
        let event = ScoreEvent {
            player: PlayerId::new(id.as_str())?,
            score: board.score(units),
            created_at: now(),
            event_id: None,
            nickname: None,
            tags: board.matches.clone(),
            unknown: BTreeMap::new(),
        };
        let expected = total + if board.aggregate == Aggregate::Count { 1 } else { units };
        send(id.as_bytes(), &event.encode(), Instant::now())?;
        let shown = |seen: &Sightings| {
            seen.viewers().iter().all(|viewer| {
                let rows = viewer.newest.map(|frame| &seen.frame(frame).rows);
                rows.is_some_and(|rows| rows.iter().any(|row| row.0 == player && row.1 >= expected))
            })
        };
        if !self.viewers.wait(LONE_EVENT_LIMIT, shown) {
            let of = format_args!("lone event {number}, of player {id}");
            let expected = format_args!("on every screen within {LONE_EVENT_LIMIT:?}");
            self.findings.add(Part::Viewers, of, expected, "not there");
        }
        Ok(())
    }

    /// Everything is there or will be within `--settle`: reads the log, compares, and judges.
    ///
    /// # Errors
    /// When the run cannot be judged.
    pub fn conclude(self, run: Run) -> anyhow::Result<Judgement> {
        let (recording, from, boards) = (Arc::clone(&self.recording), self.from.clone(), self.boards.clone());
        let ledger = recording.ledger().context("the events were not recorded")?;
        let sent = Sent { ledger, count: recording.sent(), from: &from };
        let tracks = {
            let seen = self.viewers.sightings();
            let windows: BTreeSet<&str> = seen.frames().iter().map(|frame| &*frame.window).collect();
            let told_apart = Tracks::can_be_kept(boards.default_board());
            Tracks::new(seen.players().filter(|_| told_apart), windows.into_iter())
        };
        let mut reading = Reading {
            truth: Truth::new(boards.clone(), sent, tracks, run.seed),
            scan: Scan::new(&self.kafka, "score-generator-judge", &self.topic, BTreeMap::new())?,
            ranking: None,
        };
        let (compared, found) = self.settled(&mut reading)?;

        // Nothing that viewers saw can be of events that are not read.
        let board = boards.default_board();
        let Self { settings, viewers, findings: not_shown, kafka, topic, drained_nanos, .. } = self;
        let sightings = viewers.stop()?;
        anyhow::ensure!(
            !sightings.too_many_frames,
            "viewers saw more than {MAX_FRAMES} different frames: too many to be judged"
        );
        reading.read_to(&log_ends(&kafka, &topic)?)?;
        let watching = Watched {
            sightings: &sightings,
            tracks: reading.truth.tracks(),
            ledger,
            of_run: recording.of_run(),
            drained_nanos,
            started_ms: millis_since_epoch(recording.began_at()),
            created_when_due: run.created_when_due,
        }
        .judge();
        let (mut differences, log) = reading.truth.log_findings();
        differences.absorb(found);
        differences.absorb(not_shown);
        differences.absorb(watching.findings.clone());
        if let Some(why) = &sightings.unreadable {
            differences.add(Part::Viewers, "a message", "a snapshot", why);
        }
        let verdict = if differences.is_empty() { Verdict::Right } else { Verdict::Different };
        let untimed = untimed(board, settings.viewers, &watching);
        let report = Report {
            verdict,
            board: board.name.clone(),
            compared,
            log,
            viewers: ViewersReport::of(&sightings),
            timed_events: watching.timed,
            frame: watching.frame.figures(),
            untimed,
            players_who_cannot_be_timed: watching.cannot_tell,
            lag_ms: worst_lag_ms(&watching.seconds),
            lone_events: watching.timed_lone,
            edge: watching.edge.figures(),
            stages: watching.stages,
            differences,
        };
        let Watching { seconds, frame, edge, .. } = watching;
        Ok(Judgement { report, seconds, frame, edge })
    }

    /// Compares until nothing differs, or `--settle` has passed.
    fn settled(&self, reading: &mut Reading<'_>) -> anyhow::Result<(Compared, Findings)> {
        // A long log takes its time, in which the others settle as well: only what follows counts.
        reading.read_to(&log_ends(&self.kafka, &self.topic)?)?;
        let begun = Instant::now();
        loop {
            let ends = log_ends(&self.kafka, &self.topic)?;
            reading.read_to(&ends)?;
            let last = begun.elapsed() >= self.settings.settle;
            let outcome = self.compare(reading, &ends, last);
            match outcome {
                Ok((compared, found)) if found.is_empty() => {
                    let settled_seconds = begun.elapsed().as_secs_f64();
                    return Ok((Compared { settled_seconds, ..compared }, found));
                }
                Ok((compared, found)) if last => {
                    anyhow::ensure!(
                        log_ends(&self.kafka, &self.topic)? == ends,
                        "the log does not stand still: someone else is writing"
                    );
                    let settled_seconds = begun.elapsed().as_secs_f64();
                    return Ok((Compared { settled_seconds, ..compared }, found));
                }
                Err(error) if last => return Err(error),
                Ok(_) | Err(_) => std::thread::sleep(LOOK_PAUSE),
            }
        }
    }

    /// Compares everything once. Unless it is the `last` time, the first part that differs is enough.
    fn compare(
        &self,
        reading: &mut Reading<'_>,
        ends: &BTreeMap<i32, i64>,
        last: bool,
    ) -> anyhow::Result<(Compared, Findings)> {
        let mut findings = Findings::default();
        let mut compared = Compared::default();
        let steps = [Self::compare_board, Self::compare_archive];
        for step in steps {
            step(self, reading, ends, last, &mut compared, &mut findings)?;
            if !findings.is_empty() && !last {
                break;
            }
        }
        Ok((compared, findings))
    }

    fn compare_board(
        &self,
        reading: &mut Reading<'_>,
        _: &BTreeMap<i32, i64>,
        last: bool,
        compared: &mut Compared,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let board = self.boards.default_board();
        let window = board.usual_window(now()).0;
        compared.window = window.id.to_string();
        let sample: Vec<String> = {
            let sample = reading.truth.sample();
            sample.iter().map(|(player, _)| player.to_string()).collect()
        };
        let ranking = reading.ranking(&window.id);
        compared.players = ranking.players() as u64;
        let is_ranked = |player: &String| ranking.place(RankMode::Ordinal, player).is_some();
        anyhow::ensure!(
            sample.is_empty() || sample.iter().any(is_ranked),
            "the run's events do not count in {} of board {}, which is what would be compared: \
             with --seed, --start now lets them happen now",
            window.id,
            board.name
        );
        let expected = Expected { board, window: &window.id, ranking };
        for mode in RankMode::ALL {
            let answer = self.api.top(mode, MAX_ROWS, Some(&window.id))?;
            expected.check_top(mode, MAX_ROWS, &answer, findings);
        }
        expected.check_viewers(&self.viewers.sightings(), findings);
        if !findings.is_empty() && !last {
            return Ok(());
        }
        let drawn: Vec<&str> = sample.iter().map(String::as_str).collect();
        for mode in RankMode::ALL {
            // One who is beyond what is known would leave the others without an answer.
            let known = |player: &&str| {
                let place = ranking.place(mode, player);
                place.is_none_or(|place| expected.must_be_known(mode, place.rank))
            };
            let (known, beyond): (Vec<&str>, Vec<&str>) = drawn.iter().copied().partition(known);
            for ids in known.chunks(MAX_IDS).chain(beyond.chunks(MAX_IDS)) {
                let answer = self.api.players(mode, ids, &window.id)?;
                expected.check_players(mode, ids, &answer, findings);
            }
            for player in drawn.iter().take(AROUND.0) {
                let answer = self.api.around(mode, player, AROUND.1, &window.id)?;
                expected.check_around(mode, player, AROUND.1, &answer, findings);
            }
        }
        compared.drawn = drawn.len() as u64;
        compared.surroundings = drawn.len().min(AROUND.0) as u64;
        Ok(())
    }

    fn compare_archive(
        &self,
        reading: &mut Reading<'_>,
        ends: &BTreeMap<i32, i64>,
        _: bool,
        compared: &mut Compared,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let range =
            |from: i64, (partition, to): (&i32, &i64)| OffsetRange { partition: *partition, from, to: *to };
        let all: Vec<OffsetRange> = ends.iter().map(|end| range(0, end)).collect();
        let of_run: Vec<OffsetRange> =
            ends.iter().map(|end| range(self.from.get(end.0).copied().unwrap_or(0), end)).collect();
        let sample = reading.truth.sample();
        let players: Vec<&str> = sample.iter().map(|(player, _)| player.as_str()).collect();
        let read = async {
            let mut audit = self.archive.audit(&self.topic).await?;
            let counts = audit.row_counts(&all).await?;
            anyhow::Ok((counts, audit.player_tallies(&of_run, &players).await?))
        };
        let (counts, tallies) = self.runtime.block_on(read).context("reading the archive")?;
        check_archive(reading.truth.rows(), &counts, &sample, &tallies, findings);
        compared.archive_rows = counts.values().map(|rows| rows.events + rows.refused).sum();
        Ok(())
    }
}

/// The log as far as it was read.
struct Reading<'l> {
    truth: Truth<'l>,
    scan: Scan,
    /// The window's id, and everybody in it; none while it is not known for what was read.
    ranking: Option<(String, Ranking)>,
}

impl Reading<'_> {
    fn read_to(&mut self, ends: &BTreeMap<i32, i64>) -> anyhow::Result<()> {
        if self.scan.positions() == ends {
            return Ok(());
        }
        self.ranking = None;
        let Self { truth, scan, .. } = self;
        scan.read_to(ends, |record| truth.take(&log_record(record))).context("reading the log")
    }

    fn ranking(&mut self, window: &str) -> &Ranking {
        if self.ranking.as_ref().is_none_or(|(id, _)| id != window) {
            self.ranking = Some((window.to_owned(), self.truth.ranking(window)));
        }
        &self.ranking.as_ref().expect("it was made").1
    }
}

fn log_record<'a>(record: &Scanned<'a>) -> LogRecord<'a> {
    LogRecord {
        place: Place { partition: record.partition, offset: record.offset },
        arrived_at: record.timestamp_ms().and_then(EventTime::from_millis).unwrap_or(EventTime::UNIX_EPOCH),
        payload: record.payload(),
    }
}

/// Where the log ends.
fn log_ends(kafka: &KafkaSettings, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let extents = extents(kafka, topic)?;
    for (partition, extent) in &extents {
        anyhow::ensure!(
            extent.from == 0,
            "the board cannot be judged: {topic}/{partition} begins at offset {}, what came before is gone",
            extent.from
        );
    }
    Ok(extents.into_iter().map(|(partition, extent)| (partition, extent.to)).collect())
}

/// What a lone event is worth, in units of the board's last decimal, so that it changes the first row.
fn lone_event_units(board: &Board) -> anyhow::Result<i64> {
    let rises = Tracks::can_be_kept(board) && board.order == Order::Desc;
    anyhow::ensure!(rises, "--edge needs a board of sums or counts with the highest first");
    let (least, most) = board.score_range();
    let points = 1.clamp(least, most.max(least));
    anyhow::ensure!(points > 0, "--edge needs a board that takes scores above 0");
    Ok(points * 10i64.pow(u32::from(board.decimals)))
}

/// Why no event was timed, where none was.
fn untimed(board: &Board, viewers: u16, watching: &Watching) -> Option<String> {
    if watching.frame.count() > 0 {
        return None;
    }
    Some(match (viewers, Tracks::can_be_kept(board)) {
        (0, _) => "there are no viewers".to_owned(),
        (_, false) => {
            format!("a total of aggregate `{}` does not say which events it counts", board.aggregate.as_str())
        }
        _ => "no event was of a player who was on a screen before it came".to_owned(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds need no more than 53 bits")]
fn worst_lag_ms(seconds: &[WatchedSecond]) -> Option<f64> {
    seconds.iter().filter_map(|second| second.lag_nanos).max().map(|nanos| nanos as f64 / 1e6)
}

fn millis_since_epoch(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

/// What this machine's clock says.
fn now() -> EventTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).ok().and_then(EventTime::from_micros).unwrap_or(EventTime::MAX)
}
