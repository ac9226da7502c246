//! The bytes of made-up events.
//!
//! Everything follows from the seed (`ChaCha8`, named so that it stays the same), the first
//! event's time and the settings; in plain load two draws per event, first the player, then the
//! score.

use super::crowd::{Crowd, Player};
use super::faults::Kind;
use super::lively::Lively;
use super::naive_iso::NaiveIso;
use super::names::Names;
use super::popularity::scale;
use super::seeded_start;
use contracts::EventTime;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::io::Write as _;

/// Who plays, and how.
#[derive(Clone, Debug)]
pub enum Cast {
    /// Anyone at any time, with a score drawn anew each time.
    Plain(Crowd),
    /// Players with sessions, streaks and names in many scripts.
    Lively(Lively),
}

/// What events look like.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Scores are 1 to this.
    pub max_score: u32,
    /// Every event carries an id.
    pub event_ids: bool,
}

/// A record that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The user id as text.
    pub key: &'a [u8],
    /// The plain form, with `event_id` and `nickname` behind it where they are used.
    pub payload: &'a [u8],
    /// What it is.
    pub kind: Kind,
}

/// Makes one event after the other, into the same buffers.
pub struct Synthesis {
    seed: u64,
    start: EventTime,
    cast: Cast,
    traits: Traits,
    rng: ChaCha8Rng,
    names: Names,
    index: u64,
    iso: NaiveIso,
    key: Vec<u8>,
    payload: Vec<u8>,
}

impl Synthesis {
    /// Starts with the first event, at the beginning of 2026.
    #[must_use]
    pub fn new(seed: u64, cast: Cast, traits: Traits) -> Self {
        let names = match cast {
            Cast::Plain(_) => Names::new(seed),
            Cast::Lively(_) => Names::of_the_world(seed),
        };
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            names,
            index: 0,
            iso: NaiveIso::new(),
            key: Vec::with_capacity(20),
            payload: Vec::with_capacity(256),
            seed,
            start: seeded_start(),
            cast,
            traits,
        }
    }

    /// The first event happens then.
    pub(super) fn starts_at(&mut self, start: EventTime) {
        self.start = start;
    }

    /// Makes the next event, which happens `after_micros` after the start.
    pub fn next_event(&mut self, after_micros: u64) -> Record<'_> {
        let created_at = self.instant(i64::try_from(after_micros).unwrap_or(i64::MAX));
        self.make(after_micros, created_at);
        self.record(Kind::Good)
    }

    /// Makes the next event. It is sent `after_micros` after the start, whatever it says itself.
    pub(super) fn make(&mut self, after_micros: u64, created_at: EventTime) {
        let max_score = u64::from(self.traits.max_score);
        let (Player { id, says_name }, score) = match &mut self.cast {
            Cast::Plain(crowd) => {
                (crowd.draw(&mut self.rng, after_micros), 1 + scale(self.rng.next_u64(), max_score))
            }
            Cast::Lively(lively) => lively.draw(&mut self.rng, after_micros, max_score),
        };
        self.key.clear();
        push_number(&mut self.key, id);
        let out = &mut self.payload;
        out.clear();
        out.extend_from_slice(br#"{"score":"#);
        push_number(out, score);
        out.extend_from_slice(br#","user_id":"#);
        out.extend_from_slice(&self.key);
        out.extend_from_slice(br#","created_at":""#);
        out.extend_from_slice(self.iso.write(created_at));
        out.push(b'"');
        if self.traits.event_ids {
            write!(out, r#","event_id":"{:016x}-{}""#, self.seed, self.index)
                .expect("a vector takes every byte");
        }
        if says_name {
            out.extend_from_slice(br#","nickname":""#);
            self.names.write(id, out);
            out.push(b'"');
        }
        out.push(b'}');
        self.index += 1;
    }

    /// The event that was made last.
    pub(super) fn record(&self, kind: Kind) -> Record<'_> {
        Record { key: &self.key, payload: &self.payload, kind }
    }

    /// The value of the event that was made last.
    pub(super) fn payload_mut(&mut self) -> &mut Vec<u8> {
        &mut self.payload
    }

    /// Whether every event carries an id.
    pub(super) fn gives_event_ids(&self) -> bool {
        self.traits.event_ids
    }

    /// The instant so many microseconds after the start, as far as instants can be written.
    pub(super) fn instant(&self, after_micros: i64) -> EventTime {
        let micros = self.start.micros().saturating_add(after_micros);
        EventTime::from_micros(micros).unwrap_or(if after_micros < 0 {
            EventTime::MIN
        } else {
            EventTime::MAX
        })
    }
}

/// Appends the decimal digits of `number`. A third of the time of `write!`, three times an event.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[from..]);
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::SEEDED_START_MICROS;
    use super::super::crowd::CrowdTraits;
    use super::super::crowd::tests::traits;
    use super::*;
    use contracts::ScoreEvent;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const PLAIN: Traits = Traits { max_score: 100, event_ids: false };
    /// A hundred events a second.
    const STEP_MICROS: u64 = 10_000;

    fn made_of(seed: u64, crowd: CrowdTraits, traits: Traits) -> Synthesis {
        Synthesis::new(seed, Cast::Plain(Crowd::new(seed, crowd).unwrap()), traits)
    }

    pub(in crate::load) fn synthesis(seed: u64, players: u32, event_ids: bool) -> Synthesis {
        made_of(seed, traits(players), Traits { event_ids, ..PLAIN })
    }

    fn unnamed(players: u32) -> CrowdTraits {
        CrowdTraits { nicknames: false, ..traits(players) }
    }

    fn lines(mut synthesis: Synthesis, count: u64) -> Vec<String> {
        let mut line = |index| synthesis.next_event(index * STEP_MICROS).payload.to_vec();
        (0..count).map(|index| String::from_utf8(line(index)).unwrap()).collect()
    }

    /// FNV-1a, which is short enough to be written down here.
    fn fingerprint(lines: &[String]) -> u64 {
        let bytes = lines.iter().flat_map(|line| line.bytes());
        bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    }

    #[test]
    fn same_seed_gives_the_same_bytes_on_every_machine() {
        let golden = include_str!("../../tests/golden/load-seed-42.jsonl");
        let made = lines(synthesis(42, 1000, false), 100_000);
        assert_eq!(made[..5].join("\n"), golden.trim_end());
        assert_eq!(fingerprint(&made), 0x2AD0_B812_7E70_F212, "the bytes of seed 42 have changed");
    }

    #[test]
    fn plain_form_has_its_members_and_no_other() {
        let line = lines(made_of(1, unnamed(1), PLAIN), 1).remove(0);
        let (score, rest) = line.strip_prefix(r#"{"score":"#).unwrap().split_once(',').unwrap();
        assert!((1..=100).contains(&score.parse().unwrap()));
        assert_eq!(rest, r#""user_id":1,"created_at":"2026-01-01T00:00:00.000000"}"#);
    }

    #[test]
    fn nickname_stands_in_a_players_first_event_only() {
        let arrival = EventTime::from_micros(SEEDED_START_MICROS + 3_600_000_000).unwrap();
        let mut named = HashMap::new();
        for line in lines(synthesis(3, 20, false), 2000) {
            let event = ScoreEvent::decode(Some(line.as_bytes()), arrival);
            let event = event.unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
            let before = named.entry(event.player).or_insert(0);
            assert_eq!(event.nickname.is_some(), *before == 0, "{line}");
            *before += 1;
        }
        assert_eq!(named.len(), 20);
    }

    #[test]
    fn event_ids_are_those_of_seed_and_number() {
        let made = lines(made_of(255, unnamed(5), Traits { event_ids: true, ..PLAIN }), 3);
        assert!(made[2].ends_with(r#","event_id":"00000000000000ff-2"}"#), "{}", made[2]);
    }

    proptest! {
        #[test]
        fn every_event_is_one_that_the_pipeline_takes(
            seed: u64, players in 1u32..10_000, max_score in 1u32.., nicknames: bool, event_ids: bool,
        ) {
            let crowd = CrowdTraits { nicknames, ..traits(players) };
            let mut synthesis = made_of(seed, crowd, Traits { max_score, event_ids });
            for index in 0..50 {
                let record = synthesis.next_event(index * STEP_MICROS);
                let after = i64::try_from(index * STEP_MICROS).unwrap();
                let created_at = EventTime::from_micros(SEEDED_START_MICROS + after).unwrap();
                let event = ScoreEvent::decode(Some(record.payload), created_at).unwrap();
                prop_assert_eq!(event.created_at, created_at);
                prop_assert_eq!(event.player.as_str().as_bytes(), record.key);
                prop_assert!((1..=i64::from(max_score)).contains(&event.score.units()));
                prop_assert_eq!(event.score.scale(), 0);
            }
        }
    }
}
