//! Boards of every kind, by value and window, over HTTP and against a real Redis: every answer is what
//! the oracle says, who was fed the same events.

use crate::deployment::{Deployment, EVERY_KIND, Played, TEAMS, a_prefix, at, encoded, played};
use crate::rest::redis;
use crate::support::{Controller, TestArchive};
use board_generators::Logged;
use boards::{Board, RankMode, Ranking, Standing, Standings};
use contracts::{EventTime, ScoreEvent};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// A view, over HTTP and in memory.
struct Compared<'a> {
    controller: &'a Controller,
    board: &'a Board,
    name: &'a str,
    window: &'a str,
    ranking: Ranking,
}

impl Compared<'_> {
    async fn get(&self, below: &str, query: &str) -> Value {
        let (name, window) = (encoded(self.name), encoded(self.window));
        let path = format!("/v1/boards/{name}{below}?window={window}{query}");
        let answer = self.controller.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let answer = answer.json();
        assert_eq!((&answer["board"], &answer["window"]), (&self.name.into(), &self.window.into()), "{path}");
        assert_eq!(answer["players"], self.ranking.players(), "{path}");
        answer
    }

    /// The row as the oracle has it.
    fn row(&self, Standing { rank, player, total }: &Standing) -> (u64, String, f64) {
        (*rank, player.to_string(), self.board.score(*total).to_f64())
    }

    fn rows(&self, rows: &[Standing]) -> Vec<(u64, String, f64)> {
        rows.iter().map(|row| self.row(row)).collect()
    }

    async fn compare(&self, standings: &Standings) {
        let (name, window) = (self.name, self.window);
        for mode in RankMode::ALL {
            let rank = format!("&rank={}", mode.as_str());
            let all = self.ranking.page(mode, 0, 100);
            let page = self.get("/top", &format!("&limit=100{rank}")).await;
            assert_eq!(entries(&page), self.rows(&all), "{name} {window} {mode:?}");
            self.compare_pages(&rank, &all).await;

            let ids: Vec<&str> = all.iter().map(|row| row.player.as_str()).rev().collect();
            let list = format!(
                "&ids=nobody%20at%20all,{}",
                ids.iter().map(|id| encoded(id)).collect::<Vec<_>>().join(",")
            );
            let list = self.get("/players", &format!("{list}{rank}")).await;
            let places: Vec<Standing> = self.ranking.by_ids(mode, &ids).into_iter().flatten().collect();
            assert_eq!(entries(&list), self.rows(&places), "{name} {window} {mode:?}");
            assert_eq!(list["not_found"], json!(["nobody at all"]));

            for row in &all {
                let player = row.player.as_str();
                let below = format!("/players/{}", encoded(player));
                let one = self.get(&below, &rank).await;
                assert_eq!(entry(&one), self.row(row), "{name} {window} {mode:?}");
                assert_eq!(one["percentile"].as_f64(), self.ranking.percentile(player));
                for size in [1, 2, 3, 50] {
                    let around = self.get(&format!("{below}/around"), &format!("&size={size}{rank}")).await;
                    let expected = self.ranking.around(mode, player, size).unwrap();
                    assert_eq!(entries(&around), self.rows(&expected), "{name} {window} {player} {size}");
                }
            }
        }
        self.compare_totals(standings).await;
    }

    /// Pages of two rows, one after another.
    async fn compare_pages(&self, rank: &str, all: &[Standing]) {
        let (mut read, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get("/top", &format!("&limit=2{rank}{cursor}")).await;
            read.extend(entries(&page));
            assert_eq!(page["has_more"], read.len() < all.len());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(read, self.rows(all), "{} {}", self.name, self.window);
    }

    async fn compare_totals(&self, standings: &Standings) {
        let score = |units: i64| self.board.score(units);
        for buckets in [1, 3, 100] {
            let found = self.get("/distribution", &format!("&buckets={buckets}")).await;
            let expected: Vec<(f64, f64, u64)> = self
                .ranking
                .distribution(buckets)
                .into_iter()
                .map(|bucket| (score(bucket.from).to_f64(), score(bucket.to - 1).to_f64(), bucket.players))
                .collect();
            let found = found["buckets"].as_array().unwrap().iter();
            let number = |bucket: &Value, member: &str| bucket[member].as_f64().unwrap();
            let found: Vec<_> = found
                .map(|bucket| {
                    (number(bucket, "from"), number(bucket, "to"), bucket["count"].as_u64().unwrap())
                })
                .collect();
            assert_eq!(found, expected, "{} {} {buckets}", self.name, self.window);
        }
        let first = self.ranking.page(RankMode::Ordinal, 0, 1)[0].player.to_string();
        let best = standings.total(&first).unwrap();
        for units in [best, best + 1, best - 1, 0] {
            let found = self.get("/rank-of", &format!("&score={}", score(units))).await;
            let expected = self.ranking.rank_of_score(units);
            let ranks = json!({"ordinal": expected.ordinal, "competition": expected.competition, "dense": expected.dense});
            assert_eq!((&found["ranks"], &found["players_at"]), (&ranks, &expected.players.into()));
        }
    }
}

fn entry(entry: &Value) -> (u64, String, f64) {
    let player = entry["user_id"].as_str().unwrap().to_owned();
    (entry["rank"].as_u64().unwrap(), player, entry["score"].as_f64().unwrap())
}

fn entries(page: &Value) -> Vec<(u64, String, f64)> {
    page["entries"].as_array().unwrap().iter().map(entry).collect()
}

impl Deployment {
    /// Every view answers every question as the oracle does: how many views.
    async fn is_as_the_oracle_says(&self) -> usize {
        let mut views = 0;
        for (name, window, standings) in self.oracle.views() {
            let (index, _) = self.oracle.boards().find(&name).unwrap();
            let view = Compared {
                controller: &self.controller,
                board: &self.oracle.boards()[index],
                name: &name,
                window,
                ranking: standings.ranking(),
            };
            view.compare(standings).await;
            views += 1;
        }
        views
    }
}

const PLAYERS: [&str; 7] = ["a", "b/c", "10", "9", "x y", "🎯", "ü"];

/// How many logs are compared.
const LOGS: usize = 12;
/// How many random files of boards are, each with a log of its own.
const RANDOM: usize = 24;
/// The seed of the run: the same logs each time.
const SEED: [u8; 32] = [5; 32];

fn any_log() -> impl Strategy<Value = Vec<Played>> {
    let beginning = at("2026-10-24T20:30:00Z").micros();
    let tenths = prop_oneof![-30..30i64, Just(0), -3_000..3_000i64];
    let eighths = prop_oneof![0..6 * 3600 * 8i64, 0..40i64, select(vec![16_200 * 8, 16_200 * 8 - 1])];
    let (later, team) = (select(vec![0, 5, 3600, 90_000]), prop::option::of(select(TEAMS.to_vec())));
    let one = (select(PLAYERS.to_vec()), tenths, eighths, later, team, any::<bool>()).prop_map(
        move |(player, tenths, eighths, later, team, ranked)| {
            let created_at = EventTime::from_micros(beginning + eighths * 125_000).unwrap().to_string();
            let sign = if tenths < 0 { "-" } else { "" };
            let score = format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10);
            let mut played = played(player, &score, &created_at).late(later);
            played.tags.extend(team.map(|team| ("team", team.to_owned())));
            played.tags.extend(ranked.then(|| ("ranked", "yes".to_owned())));
            played
        },
    );
    prop::collection::vec(one, 1..60)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_about_every_view_is_what_the_oracle_says() {
    let mut runner =
        TestRunner::new_with_rng(ProptestConfig::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    for _ in 0..LOGS {
        let log = any_log().new_tree(&mut runner).unwrap().current();
        // Before any window is gone.
        let Some(deployment) = Deployment::start(EVERY_KIND, &log, "2026-10-25T03:00:00Z").await else {
            return;
        };
        assert!(deployment.is_as_the_oracle_says().await > 0, "nothing was compared");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_about_random_boards_is_what_the_oracle_says() {
    let mut runner =
        TestRunner::new_with_rng(ProptestConfig::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let (mut compared, mut kept) = (0, 0);
    for _ in 0..RANDOM {
        let prefix = a_prefix();
        let set = board_generators::boards(&prefix).new_tree(&mut runner).unwrap().current();
        let log = board_generators::logs(39).new_tree(&mut runner).unwrap().current();
        // What comes twice is the ranker's to know.
        let event = |record: &Logged| (ScoreEvent { event_id: None, ..record.event() }, record.arrival());
        let log: Vec<_> = log.iter().map(event).collect();
        let now = log.iter().map(|(_, arrival)| arrival.at).max().unwrap_or(EventTime::UNIX_EPOCH);
        let archive = TestArchive::default();
        let started = Deployment::of(prefix, set, &log, now, Some(archive.clone())).await;
        let Some(deployment) = started else { return };
        compared += deployment.is_as_the_oracle_says().await;
        // The same from the archive, when the windows are over and gone.
        let over = deployment.keep_what_is_over(&archive);
        deployment.it_is("2027-06-01T00:00:00Z");
        deployment.is_as_the_oracle_says().await;
        assert!(archive.asked() > 0 || over == 0, "the archive was not asked");
        kept += over;
    }
    assert!(compared > 3 * RANDOM && kept > RANDOM, "{compared} and {kept} views are few");
}

/// The negative control: one point more, and it is noticed.
#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "left == right")]
async fn a_score_that_is_not_as_it_was_played_is_noticed() {
    let log = [played("a", "1", "2026-10-25T00:00:00Z"), played("b", "1", "2026-10-25T00:00:01Z")];
    let now = "2026-10-25T03:00:00Z";
    let Some(deployment) = Deployment::start(EVERY_KIND, &log, now).await else {
        panic!("left == right holds where there is no Redis");
    };
    let hour = format!("{{{}}}:w:2026-10-25T02+0200", deployment.prefix);
    redis(&deployment.url, &["ZINCRBY", &hour, "1", "b"]);
    deployment.is_as_the_oracle_says().await;
}
