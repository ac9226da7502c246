//! Who plays: by popularity, with a hot set, and with players who leave for good.

use super::chance::Chance;
use super::popularity::{Popularity, index, scale};
use super::shape::split;
use crate::Misuse;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::str::FromStr;

/// How many players a hot set may have.
const MAX_HOT: u32 = 100_000;
/// How many players may leave in a second.
const MAX_CHURN: f64 = 1e6;
const MICROS_PER_SECOND: f64 = 1e6;
/// Streams of the seed's random numbers beside those of the events, which they leave as they are.
const HOT_STREAM: u64 = 1;
const CHURN_STREAM: u64 = 2;

/// A few players who have a share of all events between them. Written as `SHARE:PLAYERS`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HotSet {
    share: Chance,
    players: u32,
}

impl FromStr for HotSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [share, players] = split(text).ok_or("must be SHARE:PLAYERS, e.g. 0.5:10")?;
        let share = share.parse().map_err(|what| format!("the share {what}"))?;
        match players.parse() {
            Ok(players) if (1..=MAX_HOT).contains(&players) => Ok(Self { share, players }),
            _ => Err(format!("the players must be from 1 to {MAX_HOT}")),
        }
    }
}

/// How many players leave for good in a second, each replaced by a new one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn(f64);

impl FromStr for Churn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate) if (0.0..=MAX_CHURN).contains(&rate) => Ok(Self(rate)),
            _ => Err(format!("must be a number from 0 to {MAX_CHURN}")),
        }
    }
}

/// What a crowd is made of.
#[derive(Clone, Copy, Debug)]
pub struct CrowdTraits {
    /// How many play at a time; their ids are 1 to this at the start.
    pub players: u32,
    /// How unevenly: see [`Popularity::zipf`].
    pub zipf: f64,
    /// Who has a share for themselves, beside that by popularity.
    pub hot: Option<HotSet>,
    /// Who leaves.
    pub churn: Option<Churn>,
    /// Whether players say their name, once.
    pub nicknames: bool,
}

/// Who is to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Player {
    /// The user id.
    pub id: u64,
    /// Whether the name is to be said: it has not been yet.
    pub says_name: bool,
}

/// Places that players hold. A place has a popularity, and may be hot; who holds it may change.
#[derive(Clone, Debug)]
pub struct Crowd {
    popularity: Popularity,
    hot: Option<(Chance, Vec<usize>)>,
    turnover: Option<Turnover>,
    nicknames: bool,
    introduced: Vec<bool>,
}

impl Crowd {
    /// The crowd of a seed.
    ///
    /// # Errors
    /// When the hot set has more players than there are.
    pub fn new(seed: u64, traits: CrowdTraits) -> Result<Self, Misuse> {
        let players = usize::try_from(traits.players).unwrap_or(usize::MAX);
        let hot = match traits.hot {
            Some(hot) if hot.players > traits.players => {
                return Err(Misuse::new(format!(
                    "--hot has {} players; there are {}",
                    hot.players, traits.players
                )));
            }
            Some(hot) => Some((hot.share, hot_places(seed, hot.players, traits.players))),
            None => None,
        };
        Ok(Self {
            popularity: Popularity::zipf(traits.players, traits.zipf),
            hot,
            turnover: traits.churn.map(|churn| Turnover::new(seed, churn, traits.players)),
            nicknames: traits.nicknames,
            introduced: vec![false; players],
        })
    }

    /// How many play at a time.
    #[must_use]
    pub fn players(&self) -> usize {
        self.introduced.len()
    }

    /// Draws who plays, `after_micros` after the start; times must not go down. Whoever is asked
    /// for the name is taken to say it.
    pub fn draw(&mut self, rng: &mut ChaCha8Rng, after_micros: u64) -> Player {
        if let Some(turnover) = &mut self.turnover {
            let introduced = &mut self.introduced;
            turnover.go_on(after_micros, |place| introduced[place] = false);
        }
        let place = match &self.hot {
            Some((share, places)) if share.hits(rng.next_u64()) => {
                places[index(scale(rng.next_u64(), places.len() as u64))]
            }
            _ => self.popularity.pick(rng.next_u64()) - 1,
        };
        let id = self.turnover.as_ref().map_or(place as u64 + 1, |turnover| turnover.ids[place]);
        let says_name = self.nicknames && !std::mem::replace(&mut self.introduced[place], true);
        Player { id, says_name }
    }
}

/// The places of the hot set: drawn once, whatever their popularity.
fn hot_places(seed: u64, players: u32, all: u32) -> Vec<usize> {
    let mut rng = stream(seed, HOT_STREAM);
    let mut places = BTreeSet::new();
    // Floyd's way of drawing without repetition: one number a place.
    for last in all - players..all {
        let drawn = scale(rng.next_u64(), u64::from(last) + 1);
        if !places.insert(drawn) {
            places.insert(u64::from(last));
        }
    }
    places.into_iter().map(index).collect()
}

/// Which player holds which place.
#[derive(Clone, Debug)]
struct Turnover {
    per_second: f64,
    gone: u64,
    ids: Vec<u64>,
    rng: ChaCha8Rng,
}

impl Turnover {
    fn new(seed: u64, Churn(per_second): Churn, players: u32) -> Self {
        let ids = (1..=u64::from(players)).collect();
        Self { per_second, gone: 0, ids, rng: stream(seed, CHURN_STREAM) }
    }

    /// Lets those go whose time has come, and tells `on_new` the place of each newcomer.
    fn go_on(&mut self, after_micros: u64, mut on_new: impl FnMut(usize)) {
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 years")]
        let seconds = after_micros as f64 / MICROS_PER_SECOND;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded down, from 0")]
        let due = (seconds * self.per_second) as u64;
        while self.gone < due {
            let players = self.ids.len() as u64;
            let place = index(scale(self.rng.next_u64(), players));
            self.gone += 1;
            self.ids[place] = players + self.gone;
            on_new(place);
        }
    }
}

/// Random numbers of a seed that no other stream of it has.
pub(super) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    pub(in crate::load) fn traits(players: u32) -> CrowdTraits {
        CrowdTraits { players, zipf: 1.0, hot: None, churn: None, nicknames: true }
    }

    fn counts(traits: CrowdTraits, draws: u64) -> HashMap<u64, u64> {
        let mut crowd = Crowd::new(5, traits).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut counts = HashMap::new();
        for draw in 0..draws {
            *counts.entry(crowd.draw(&mut rng, draw * 1000).id).or_default() += 1;
        }
        counts
    }

    #[test]
    fn hot_set_has_its_share_evenly_between_its_players() {
        let hot = Some("0.5:10".parse().unwrap());
        let counts = counts(CrowdTraits { zipf: 0.0, hot, ..traits(10_000) }, 100_000);
        let mut counts: Vec<u64> = counts.into_values().collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let share: u64 = counts[..10].iter().sum();
        assert!((49_000..51_500).contains(&share), "{share}");
        assert!(counts[..10].iter().all(|count| (4_600..5_500).contains(count)), "{:?}", &counts[..10]);
        assert!(counts[10] < 30, "{}", counts[10]);
    }

    #[test]
    fn whole_crowd_can_be_hot_and_not_more() {
        let all = |hot: &str| Crowd::new(1, CrowdTraits { hot: Some(hot.parse().unwrap()), ..traits(50) });
        let (_, places) = all("1:50").unwrap().hot.unwrap();
        assert_eq!(places, (0..50).collect::<Vec<_>>());
        assert!(all("1:51").unwrap_err().to_string().contains("51 players; there are 50"));
        for text in ["0.5", "2:10", "0.5:0", "0.5:many"] {
            assert!(text.parse::<HotSet>().is_err(), "{text}");
        }
    }

    #[test]
    fn players_who_left_never_come_back_and_newcomers_say_their_names() {
        let churn = Some("10".parse().unwrap());
        let mut crowd = Crowd::new(9, CrowdTraits { churn, ..traits(20) }).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let (mut seen, mut gone) = (HashSet::new(), HashSet::new());
        let mut present: HashSet<u64> = (1..=20).collect();
        for draw in 0..100_000u64 {
            let player = crowd.draw(&mut rng, draw * 100);
            assert_eq!(player.says_name, seen.insert(player.id));
            let now: HashSet<u64> = crowd.turnover.as_ref().unwrap().ids.iter().copied().collect();
            gone.extend(present.difference(&now).copied());
            assert!(!gone.contains(&player.id), "{} came back", player.id);
            assert_eq!(now.len(), 20);
            present = now;
        }
        // Ten seconds: the hundredth is about to leave, and nearly all have played.
        assert_eq!(gone.len(), 99);
        assert!((60..=119).contains(&seen.len()), "{}", seen.len());
    }

    #[test]
    fn neither_churn_nor_hot_set_is_the_crowd_as_it_was() {
        let plain = counts(traits(100), 1000);
        let still = Some("0".parse().unwrap());
        assert_eq!(counts(CrowdTraits { churn: still, ..traits(100) }, 1000), plain);
    }
}
