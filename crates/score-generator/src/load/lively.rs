//! Players as they are: they come, play for a while at a pace of their own, have winning
//! streaks, and leave.
//!
//! The schedule still says when events are due; this says whose they are and what they are worth.
//! Memory is that of the sessions, however long the run.

use super::crowd::{Crowd, Player};
use super::popularity::scale;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

/// One in so many players is in a session.
const PLAYERS_PER_SESSION: usize = 8;
/// How many sessions there are at most, since each newcomer is compared with all.
const MAX_SESSIONS: usize = 1024;
/// How often a draw that does not fit is repeated. After that it is taken, which only makes the
/// picture a little less true.
const MAX_TRIES: u32 = 8;
/// The fastest players score so often while the slowest do once.
const MAX_PACE: u64 = 4;
/// A session has from this many events …
const MIN_EVENTS: u64 = 8;
/// … to so many more.
const EVENTS_RANGE: u64 = 56;
/// One event in so many begins a streak.
const EVENTS_PER_STREAK: u64 = 16;
/// A streak has from this many events …
const MIN_STREAK: u64 = 3;
/// … to so many more.
const STREAK_RANGE: u64 = 7;

/// A player at play.
#[derive(Clone, Copy, Debug)]
struct Session {
    player: Player,
    pace: u64,
    events_left: u64,
    streak_left: u64,
}

/// Sessions, in which the players of a crowd take turns.
#[derive(Clone, Debug)]
pub struct Lively {
    crowd: Crowd,
    sessions: Vec<Session>,
    /// How many there are once everyone has come.
    places: usize,
}

impl Lively {
    /// The crowd, with nobody at play yet.
    #[must_use]
    pub fn new(crowd: Crowd) -> Self {
        let places = (crowd.players() / PLAYERS_PER_SESSION).clamp(1, MAX_SESSIONS);
        Self { crowd, sessions: Vec::with_capacity(places), places }
    }

    /// Draws who scores, and how much, from 1 to `max_score`.
    pub fn draw(&mut self, rng: &mut ChaCha8Rng, after_micros: u64, max_score: u64) -> (Player, u64) {
        while self.sessions.len() < self.places {
            let session = self.begin(rng, after_micros);
            self.sessions.push(session);
        }
        let mut place = 0;
        for _ in 0..MAX_TRIES {
            place = usize::try_from(scale(rng.next_u64(), self.places as u64)).expect("a place");
            if scale(rng.next_u64(), MAX_PACE) < self.sessions[place].pace {
                break;
            }
        }
        let session = &mut self.sessions[place];
        let score = session.score(rng, max_score);
        let player = session.player;
        session.player.says_name = false;
        session.events_left -= 1;
        if session.events_left == 0 {
            self.sessions[place] = self.begin(rng, after_micros);
        }
        (player, score)
    }

    /// A session of someone who is not at play. Whoever is drawn in vain has begun one before, in
    /// which the name is said.
    fn begin(&mut self, rng: &mut ChaCha8Rng, after_micros: u64) -> Session {
        let mut player = self.crowd.draw(rng, after_micros);
        for _ in 1..MAX_TRIES {
            if self.sessions.iter().all(|session| session.player.id != player.id) {
                break;
            }
            player = self.crowd.draw(rng, after_micros);
        }
        Session {
            player,
            pace: 1 + scale(rng.next_u64(), MAX_PACE),
            events_left: MIN_EVENTS + scale(rng.next_u64(), EVENTS_RANGE + 1),
            streak_left: 0,
        }
    }
}

impl Session {
    /// On a streak the upper half of what can be scored, else the lower.
    fn score(&mut self, rng: &mut ChaCha8Rng, max_score: u64) -> u64 {
        if self.streak_left == 0 && scale(rng.next_u64(), EVENTS_PER_STREAK) == 0 {
            self.streak_left = MIN_STREAK + scale(rng.next_u64(), STREAK_RANGE + 1);
        }
        let low = max_score.div_ceil(2);
        if self.streak_left == 0 {
            return 1 + scale(rng.next_u64(), low);
        }
        self.streak_left -= 1;
        max_score - scale(rng.next_u64(), low)
    }
}

#[cfg(test)]
mod tests {
    use super::super::crowd::tests::traits;
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng as _;
    use std::collections::{HashMap, HashSet};

    fn drawn(players: u32, events: u64, max_score: u64) -> (Lively, Vec<(Player, u64)>) {
        let mut lively = Lively::new(Crowd::new(4, traits(players)).unwrap());
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let drawn = (0..events).map(|event| lively.draw(&mut rng, event, max_score)).collect();
        (lively, drawn)
    }

    #[test]
    fn few_play_at_a_time_and_many_in_the_course_of_it() {
        let (lively, drawn) = drawn(400, 20_000, 100);
        assert_eq!(lively.sessions.len(), 50);
        let at_a_time: Vec<usize> = drawn
            .chunks(200)
            .map(|events| events.iter().map(|(player, _)| player.id).collect::<HashSet<_>>().len())
            .collect();
        assert!(at_a_time.iter().all(|players| *players <= 80), "{at_a_time:?}");
        assert!(drawn.iter().map(|(player, _)| player.id).collect::<HashSet<_>>().len() > 200);
    }

    #[test]
    fn winners_go_on_winning_for_a_while() {
        let (_, drawn) = drawn(400, 50_000, 100);
        let mut last: HashMap<u64, bool> = HashMap::new();
        let (mut after_win, mut wins_again, mut after_loss, mut wins_then) = (0.0, 0.0, 0.0, 0.0);
        for (player, score) in drawn {
            let wins = score > 50;
            match last.insert(player.id, wins) {
                Some(true) => {
                    after_win += 1.0;
                    wins_again += f64::from(u8::from(wins));
                }
                Some(false) => {
                    after_loss += 1.0;
                    wins_then += f64::from(u8::from(wins));
                }
                None => {}
            }
        }
        let (again, then) = (wins_again / after_win, wins_then / after_loss);
        assert!(again > 0.7 && then < 0.15, "{again} after a win, {then} after none");
    }

    #[test]
    fn nobody_says_a_name_twice() {
        let (_, drawn) = drawn(3000, 20_000, 100);
        let mut named = HashSet::new();
        for (player, _) in drawn {
            assert!(!player.says_name || named.insert(player.id), "{} said it twice", player.id);
        }
        assert!(named.len() > 500);
    }

    proptest! {
        #[test]
        fn scores_are_within_their_range_whatever_it_is(players in 1u32..100, max_score in 1u64..5) {
            let (_, drawn) = drawn(players, 500, max_score);
            prop_assert!(drawn.iter().all(|(_, score)| (1..=max_score).contains(score)));
        }
    }
}
