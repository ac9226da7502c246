//! Another `boards.toml` over the data of before.

use crate::boards::every_view_is_as_the_oracle_says;
use crate::windows::now;
use boards::{Arrival, BoardSet, Oracle};
use contracts::{EventTime, PlayerId, Score, ScoreEvent};
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

const FIRST: &str = "[[board]]\nname = \"game-score\"\n";
const ADDED: &str = r#"
[[board]]
name = "by-team"
match = { team = "{team}" }
aggregate = "count"
windows = ["all", "day"]
allowed_lateness = "forever"
"#;

fn race(aggregate: &str) -> String {
    format!(
        "[[board]]\nname = \"race\"\naggregate = \"{aggregate}\"\nwindows = [\"all\", \"month\"]\n\
         allowed_lateness = \"forever\"\n"
    )
}

/// One every half an hour, up or down, many of a team, and every third with an id.
fn event(index: i64) -> ScoreEvent {
    let begin = EventTime::parse_iso("2026-01-01T00:00:00", "begin").unwrap();
    let team = (index % 4 != 0).then(|| ("team".to_owned(), format!("t{}", index % 3)));
    ScoreEvent {
        player: PlayerId::new(format!("p{}", index % 41)).unwrap(),
        score: Score::new(index * 37 % 101 - 20, 0),
        created_at: begin.saturating_add_seconds(index * 1800),
        event_id: (index % 3 == 0).then(|| format!("e{index}").into()),
        nickname: None,
        tags: team.into_iter().collect(),
        unknown: BTreeMap::new(),
    }
}

/// A deployment, and all that it was sent.
struct Deployment {
    stack: Stack,
    sent: Vec<ScoreEvent>,
    boards: String,
}

impl Deployment {
    async fn start(infra: &Infra, boards: &str) -> Self {
        let stack = Stack::bare(infra).await;
        let mut deployment = Self { stack, sent: Vec::new(), boards: String::new() };
        deployment.run(boards).await;
        deployment.stack.ready("score-ranker").await;
        deployment
    }

    fn file(&self) -> PathBuf {
        self.stack.dir().join("boards.toml")
    }

    fn stop(&mut self) {
        for service in Service::ALL {
            let (status, _) = self.stack.program(service.program()).terminate(PATIENCE);
            assert!(status.success(), "{service:?}: {status}");
        }
    }

    /// Runs everything by these boards. Whether the ranker can rank them is not waited for.
    async fn run(&mut self, boards: &str) {
        boards.clone_into(&mut self.boards);
        std::fs::write(self.file(), boards).unwrap();
        let file = self.file();
        for service in Service::ALL {
            self.stack.spawn(service, service.program(), &[("BOARDS_FILE", file.to_str().unwrap())]);
        }
        for service in [Service::Archiver, Service::BoardCache, Service::Controller] {
            self.stack.ready(service.program()).await;
        }
    }

    async fn send(&mut self, events: Range<i64>) {
        let events: Vec<ScoreEvent> = events.map(event).collect();
        let record = |event: &ScoreEvent| (event.player.as_str().into(), Some(event.encode()));
        self.stack.produce(&events.iter().map(record).collect::<Vec<_>>()).await;
        self.sent.extend(events);
    }

    /// Waits until the API says of every view what all that was sent makes by the boards of now.
    async fn is_right(&self) {
        let mut oracle = Oracle::new(BoardSet::parse(&self.boards).unwrap());
        for event in &self.sent {
            oracle.apply(event, Arrival { at: now(), partition: 0, offset: 0 }).unwrap();
        }
        let compared = every_view_is_as_the_oracle_says(&self.stack, &oracle).await;
        assert!(compared >= 5, "{compared}");
    }

    async fn archived(&self) {
        let postgres = self.stack.postgres().await;
        until("everything is archived", PATIENCE, async || match self.stack.archived(&postgres).await {
            (good, 0) if usize::try_from(good).unwrap() == self.sent.len() => Ok(()),
            other => Err(format!("{other:?} of {}", self.sent.len())),
        })
        .await;
    }

    fn epoch(&self, board: &str) -> u64 {
        let (status, page) = self.stack.get(&format!("/v1/boards/{board}/top"));
        page["epoch"].as_u64().unwrap_or_else(|| panic!("{status}: {page}"))
    }

    /// Waits until the ranker refuses the rules, and returns how often it has.
    async fn refusals(&self, more_than: f64) -> f64 {
        until("the ranker refuses the rules", PATIENCE, async || {
            let (status, readiness) = self.stack.readiness("score-ranker");
            let metrics = self.stack.metrics("score-ranker");
            let impossible = r#"pipeline_rewinds_total{reason="impossible"} "#;
            let count = metrics.lines().find_map(|line| line.strip_prefix(impossible)?.parse::<f64>().ok());
            let named = readiness.contains("made under other rules")
                && readiness.contains("boardctl rebuild --board race");
            match count {
                Some(count) if status == 503 && named && count > more_than => Ok(count),
                _ => Err(format!("{status}: {readiness}: {count:?}")),
            }
        })
        .await
    }

    /// The ranker refuses the rules and says what to do; nothing is ranked of what comes meanwhile, which is
    /// archived all the same.
    async fn is_refused(&mut self, events: Range<i64>) {
        let refused = self.refusals(0.0).await;
        let log = self.stack.program("score-ranker").log();
        assert!(log.contains("boardctl rebuild --board race"), "{log}");
        let stands = |stack: &Stack| {
            let offsets: BTreeMap<String, i64> = stack.redis(&["HGETALL", "{game-score}:offsets"]);
            (offsets, stack.get("/v1/boards/game-score/top?limit=100"))
        };
        let before = stands(&self.stack);
        assert_eq!(before.1.0, 200, "{}", before.1.1);
        self.send(events).await;
        self.archived().await;
        // It has tried again with all of them before it.
        self.refusals(refused + 1.0).await;
        assert_eq!(stands(&self.stack), before);
        let added: BTreeMap<String, i64> = self.stack.redis(&["HGETALL", "{by-team}:offsets"]);
        assert!(added.values().all(|offset| *offset == 0), "{added:?}");
        assert!(self.stack.program("score-ranker").is_running());
    }

    fn rebuild(&self, source: &str) -> Value {
        let output = self
            .stack
            .command("boardctl")
            .env("BOARDS_FILE", self.file())
            .args(["--json", "rebuild", "--board", "race", "--from", source])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn added_board_is_made_from_the_log_by_itself_and_the_others_stay() {
    let Some(infra) = Infra::from_env() else { return };
    let mut deployment = Deployment::start(&infra, &[FIRST, &race("sum")].concat()).await;
    deployment.send(0..3000).await;
    deployment.is_right().await;
    deployment.stop();
    deployment.send(3000..3100).await;
    deployment.run(&[FIRST, ADDED, &race("sum")].concat()).await;
    deployment.is_right().await;
    assert_eq!(["game-score", "race"].map(|board| deployment.epoch(board)), [1, 1]);
    // Of those that come again, each has counted.
    deployment.send(3000..3200).await;
    deployment.is_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_are_refused_until_they_are_put_back_or_the_board_is_rebuilt() {
    let Some(infra) = Infra::from_env() else { return };
    let before = [FIRST, &race("sum")].concat();
    let mut deployment = Deployment::start(&infra, &before).await;
    deployment.send(0..3000).await;
    deployment.is_right().await;

    deployment.stop();
    deployment.run(&[FIRST, ADDED, &race("best")].concat()).await;
    deployment.is_refused(3000..3100).await;
    deployment.stop();
    deployment.run(&before).await;
    deployment.is_right().await;

    deployment.stop();
    deployment.run(&[FIRST, ADDED, &race("best")].concat()).await;
    deployment.is_refused(3100..3200).await;
    let rebuilt = deployment.rebuild("kafka");
    assert_eq!(
        (&rebuilt["board"], &rebuilt["players"], &rebuilt["done"]),
        (&"race".into(), &41.into(), &true.into())
    );
    // The added board, too, of which nobody has said a word.
    deployment.is_right().await;
    deployment.send(3100..3300).await;
    deployment.is_right().await;
    deployment.stack.ready("score-ranker").await;
    assert_eq!(["game-score", "race"].map(|board| deployment.epoch(board)), [1, 2]);

    deployment.stop();
    deployment.run(&[FIRST, ADDED, &race("count")].concat()).await;
    deployment.refusals(0.0).await;
    deployment.archived().await;
    assert_eq!(deployment.rebuild("archive")["done"], true);
    deployment.is_right().await;
    deployment.send(3200..3400).await;
    deployment.is_right().await;
    assert_eq!(["game-score", "race"].map(|board| deployment.epoch(board)), [1, 3]);
}
