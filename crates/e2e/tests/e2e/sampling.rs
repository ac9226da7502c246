//! Asking the API all the while something happens: every answer must be of a whole board.

use api_client::{Answer, Api, ApiSettings};
use e2e::Stack;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Leaves the machine to the others for a moment.
const PAUSE: Duration = Duration::from_millis(2);

/// What of `game-score` every answer must have.
#[derive(Clone, Debug)]
pub struct Whole {
    /// (player, total), best first: nobody is ever missing or has less.
    least: Vec<(String, i64)>,
    /// How many points may have come since. Without any, every answer is exactly that board.
    may_come: i64,
    /// What it must be instead under a newer epoch than that.
    anew: Option<(u64, Box<Whole>)>,
}

impl Whole {
    /// The board as it is and stays.
    pub fn exactly(board: &[(&str, i64)]) -> Self {
        Self::or_more(board, 0)
    }

    /// The board as it is; so many points come while it is asked for.
    pub fn or_more(board: &[(&str, i64)], may_come: i64) -> Self {
        let least = board.iter().map(|(player, total)| ((*player).to_owned(), *total)).collect();
        Self { least, may_come, anew: None }
    }

    /// The same; under a newer `epoch` the board begins farther back.
    pub fn until_after(self, epoch: u64, anew: Self) -> Self {
        Self { anew: Some((epoch, Box::new(anew))), ..self }
    }

    fn of(&self, answer: &Value) -> &Self {
        let is_newer = |epoch: u64| answer["epoch"].as_u64().unwrap() > epoch;
        self.anew.as_ref().filter(|(epoch, _)| is_newer(*epoch)).map_or(self, |(_, anew)| anew)
    }

    fn check_players(&self, answer: &Value) {
        let (players, least) = (answer["players"].as_u64().unwrap(), self.least.len() as u64);
        assert!(players == least || (self.may_come > 0 && players > least), "half a board: {answer}");
    }

    /// One row of what was answered, for a player who was there before.
    fn check_row(&self, player: &str, row: &Value) {
        let place = self.least.iter().position(|(least, _)| least == player).unwrap();
        let total = self.least[place].1;
        let (score, rank) = (row["score"].as_i64().unwrap(), row["rank"].as_u64().unwrap());
        let right = row["user_id"] == player
            && (total..=total + self.may_come).contains(&score)
            && (self.may_come > 0 || rank == place as u64 + 1);
        assert!(right, "half a board: {row}, not {player} with {total} at {}", place + 1);
    }

    fn check_top(&self, page: &Value) {
        self.check_players(page);
        let rows = page["entries"].as_array().unwrap();
        for (player, _) in &self.least {
            let row = rows.iter().find(|row| row["user_id"] == player.as_str());
            self.check_row(player, row.unwrap_or_else(|| panic!("half a board, without {player}: {page}")));
        }
    }
}

/// How often there was which answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    /// The board as it stands.
    pub current: usize,
    /// As it last was, marked `rebuilding`.
    pub last_good: usize,
    /// None for now: 503, and when to ask again.
    pub later: usize,
}

impl Answers {
    fn take(&mut self, answer: &Answer, check: impl FnOnce(&Value)) {
        if answer.status == 503 {
            assert!(answer.retry_after.is_some(), "nobody says when to ask again: {}", answer.body);
            self.later += 1;
            return;
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
        let found: Value = answer.read().unwrap();
        check(&found);
        if found["rebuilding"] == true {
            self.last_good += 1;
        } else {
            self.current += 1;
        }
    }
}

/// Asks for the top and for each player in turn, until it is ended.
pub struct Sampling {
    ended: Arc<AtomicBool>,
    asking: Option<JoinHandle<Answers>>,
}

impl Sampling {
    pub fn begin(stack: &Stack, whole: Whole) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (api, end) = (Api::new(&ApiSettings::open(&stack.url()), 1), Arc::clone(&ended));
        let asking = std::thread::spawn(move || {
            let ask = |path: &str| api.ask(&format!("/v1/boards/game-score/{path}")).unwrap();
            let (mut answers, mut players) = (Answers::default(), whole.least.iter().cycle());
            while !end.load(Ordering::Acquire) {
                answers.take(&ask("top"), |page| whole.of(page).check_top(page));
                let (player, _) = players.next().unwrap();
                answers.take(&ask(&format!("players/{player}")), |found| {
                    whole.of(found).check_players(found);
                    whole.of(found).check_row(player, found);
                });
                std::thread::sleep(PAUSE);
            }
            answers
        });
        Self { ended, asking: Some(asking) }
    }

    /// How often there was which answer.
    ///
    /// # Panics
    /// When one was wrong.
    pub fn end(mut self) -> Answers {
        self.ended.store(true, Ordering::Release);
        let answers = self.asking.take().unwrap().join().unwrap();
        eprintln!("{answers:?}");
        answers
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        // The test has failed, and its servers are about to go.
        self.ended.store(true, Ordering::Release);
    }
}

/// The negative control.
#[test]
fn board_that_is_not_whole_is_noticed() {
    let page = |rows: &[(u64, &str, i64)], players: u64| {
        let entry = |(rank, player, score): &(u64, &str, i64)| json!({"rank": rank, "user_id": player, "score": score});
        json!({"players": players, "entries": rows.iter().map(entry).collect::<Vec<_>>()})
    };
    let whole = Whole::exactly(&[("a", 2), ("b", 1)]);
    whole.check_top(&page(&[(1, "a", 2), (2, "b", 1)], 2));
    for (rows, players) in [
        (vec![(1, "a", 2)], 2),
        (vec![(1, "a", 2), (2, "b", 1)], 1),
        (vec![(1, "a", 2), (2, "b", 0)], 2),
        (vec![(1, "a", 3), (2, "b", 1)], 2),
        (vec![(1, "b", 1), (2, "a", 2)], 2),
    ] {
        let wrong = page(&rows, players);
        let noticed = catch_unwind(AssertUnwindSafe(|| whole.check_top(&wrong)));
        assert!(noticed.is_err(), "{wrong}");
    }
}
