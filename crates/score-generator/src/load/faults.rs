//! What producers do wrong, on request: the same event again, events late or out of order, and
//! records that the pipeline must refuse. A name that stands in one of these is lost, as it is with any
//! producer: it is not said again.

use super::chance::Chance;
use super::crowd::stream;
use super::popularity::scale;
use super::synthesis::{Record, Synthesis};
use crate::Misuse;
use contracts::event::{MAX_DEPTH, MAX_EVENT_BYTES};
use contracts::{EventTime, RefusalClass};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The stream of the seed's random numbers that decides on faults, so that the events in between
/// are as they would be.
const FAULT_STREAM: u64 = 3;
/// A duplicate is of one of so many records before it: producers send again what was just sent.
const MAX_KEPT: usize = 64;
/// An event out of order has been overtaken by up to so many.
const MAX_OVERTAKEN: usize = 16;
/// By how much an oversize record is over the limit: 1 to so many bytes.
const OVERSIZE_RANGE: usize = 4096;
/// `created_at` of events of the future is from here on, 9000-01-01T00:00:00Z: too far whenever
/// they are sent.
const FUTURE_MICROS: i64 = 221_845_392_000_000_000;

/// What a record is, and so what must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An event like any other.
    Good,
    /// The very record, byte by byte, that was sent before. Both together count once.
    Duplicate,
    /// An event that happened a while before it is sent. It counts, where the board takes it.
    Late,
    /// An event that happened before some that were sent before it. It counts.
    OutOfOrder,
    /// A record that must be refused for what stands in it.
    Malformed(Malformed),
    /// An event over [`MAX_EVENT_BYTES`], which must be refused.
    Oversize,
    /// An event of the far future, which must be refused.
    Future,
}

impl Kind {
    /// Why the pipeline must refuse it; `None` for what it must take.
    #[must_use]
    pub fn refusal(self) -> Option<RefusalClass> {
        match self {
            Self::Good | Self::Duplicate | Self::Late | Self::OutOfOrder => None,
            Self::Malformed(malformed) => Some(malformed.refusal()),
            Self::Oversize => Some(RefusalClass::TooLarge),
            Self::Future => Some(RefusalClass::TooFarInFuture),
        }
    }
}

/// What is wrong in a malformed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// There is nothing in it.
    Empty,
    /// Its second half is missing.
    CutOff,
    /// A byte that is no UTF-8.
    NotUtf8,
    /// The event stands in an array.
    InAnArray,
    /// There are two scores.
    ScoreTwice,
    /// There is no score.
    NoScore,
    /// There is no player.
    NoPlayer,
    /// The score is text.
    ScoreAsText,
    /// The player's id is empty.
    EmptyPlayer,
    /// The time is none.
    TimeInWords,
    /// The score is beyond a double.
    HugeScore,
    /// The score has ten decimals.
    FineScore,
    /// An unknown member is nested too deep.
    TooDeep,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::CutOff,
        Self::NotUtf8,
        Self::InAnArray,
        Self::ScoreTwice,
        Self::NoScore,
        Self::NoPlayer,
        Self::ScoreAsText,
        Self::EmptyPlayer,
        Self::TimeInWords,
        Self::HugeScore,
        Self::FineScore,
        Self::TooDeep,
    ];

    /// Why the pipeline must refuse it.
    #[must_use]
    pub fn refusal(self) -> RefusalClass {
        match self {
            Self::Empty => RefusalClass::Empty,
            Self::CutOff => RefusalClass::NotJson,
            Self::NotUtf8 => RefusalClass::NotUtf8,
            Self::InAnArray => RefusalClass::NotAnObject,
            Self::ScoreTwice => RefusalClass::DuplicateMember,
            Self::NoScore | Self::NoPlayer => RefusalClass::MissingField,
            Self::ScoreAsText => RefusalClass::WrongType,
            Self::EmptyPlayer | Self::TimeInWords => RefusalClass::InvalidValue,
            Self::HugeScore => RefusalClass::OutOfRange,
            Self::FineScore => RefusalClass::TooPrecise,
            Self::TooDeep => RefusalClass::TooDeep,
        }
    }

    /// Spoils a good event.
    fn spoil(self, event: &mut Vec<u8>) {
        let end = event.len() - 1;
        match self {
            Self::Empty => event.clear(),
            Self::CutOff => event.truncate(event.len() / 2),
            Self::NotUtf8 => event[end] = 0xFF,
            Self::InAnArray => {
                event.insert(0, b'[');
                event.push(b']');
            }
            Self::ScoreTwice => insert(event, 1, br#""score":1,"#),
            Self::NoScore => rename(event, "score"),
            Self::NoPlayer => rename(event, "user_id"),
            Self::ScoreAsText => replace(event, "score", br#""ten""#),
            Self::EmptyPlayer => replace(event, "user_id", br#""""#),
            Self::TimeInWords => replace(event, "created_at", br#""just now""#),
            Self::HugeScore => replace(event, "score", b"1e400"),
            Self::FineScore => replace(event, "score", b"0.0000000001"),
            Self::TooDeep => {
                let deep =
                    [br#","deep":"#, &*vec![b'['; MAX_DEPTH + 1], &*vec![b']'; MAX_DEPTH + 1]].concat();
                insert(event, end, &deep);
            }
        }
    }
}

/// How often what is done wrong. No record is wrong twice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultTraits {
    /// [`Kind::Duplicate`], of a record that was good.
    pub duplicates: Chance,
    /// [`Kind::Late`].
    pub late: Chance,
    /// How late at most.
    pub late_by: Duration,
    /// [`Kind::OutOfOrder`].
    pub out_of_order: Chance,
    /// [`Kind::Malformed`], each kind as likely as the others.
    pub malformed: Chance,
    /// [`Kind::Oversize`].
    pub oversize: Chance,
    /// [`Kind::Future`].
    pub future: Chance,
}

impl FaultTraits {
    /// Nothing is wrong.
    pub const NONE: Self = Self {
        duplicates: Chance::NEVER,
        late: Chance::NEVER,
        late_by: Duration::ZERO,
        out_of_order: Chance::NEVER,
        malformed: Chance::NEVER,
        oversize: Chance::NEVER,
        future: Chance::NEVER,
    };
}

/// A fault that has been drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Duplicate,
    Late,
    OutOfOrder,
    Malformed,
    Oversize,
    Future,
}

/// How many records of each kind were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// [`Kind::Good`].
    pub good: u64,
    /// [`Kind::Duplicate`].
    pub duplicates: u64,
    /// [`Kind::Late`].
    pub late: u64,
    /// [`Kind::OutOfOrder`].
    pub out_of_order: u64,
    /// [`Kind::Oversize`].
    pub oversize: u64,
    /// [`Kind::Future`].
    pub future: u64,
    /// [`Kind::Malformed`], by what is wrong.
    pub malformed: BTreeMap<Malformed, u64>,
}

impl Tally {
    /// Counts a record.
    pub fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Good => &mut self.good,
            Kind::Duplicate => &mut self.duplicates,
            Kind::Late => &mut self.late,
            Kind::OutOfOrder => &mut self.out_of_order,
            Kind::Oversize => &mut self.oversize,
            Kind::Future => &mut self.future,
            Kind::Malformed(malformed) => self.malformed.entry(malformed).or_default(),
        } += 1;
    }
}

/// Makes one record after the other, some of them wrong.
pub struct Faults {
    synthesis: Synthesis,
    /// Each fault with the chance that it, or one before it, is drawn.
    chances: [(Chance, Fault); 6],
    late_by_micros: u64,
    rng: ChaCha8Rng,
    /// When the latest good events happened, after the start.
    happened: VecDeque<u64>,
    /// The latest records that count: keys and values.
    kept: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Faults {
    /// Begins with the first record.
    ///
    /// # Errors
    /// When faults come to more than all records, or duplicates would count twice.
    pub fn new(seed: u64, synthesis: Synthesis, traits: FaultTraits) -> Result<Self, Misuse> {
        if traits.duplicates > Chance::NEVER && !synthesis.gives_event_ids() {
            return Err(Misuse::new("--duplicates needs --event-ids: without ids they would count twice"));
        }
        let mut chances = [
            (traits.duplicates, Fault::Duplicate),
            (traits.late, Fault::Late),
            (traits.out_of_order, Fault::OutOfOrder),
            (traits.malformed, Fault::Malformed),
            (traits.oversize, Fault::Oversize),
            (traits.future, Fault::Future),
        ];
        let mut up_to = Chance::NEVER;
        for (chance, _) in &mut chances {
            up_to =
                up_to.or(*chance).ok_or_else(|| Misuse::new("the faults come to more than 1 together"))?;
            *chance = up_to;
        }
        Ok(Self {
            synthesis,
            chances,
            late_by_micros: u64::try_from(traits.late_by.as_micros()).unwrap_or(u64::MAX),
            rng: stream(seed, FAULT_STREAM),
            happened: VecDeque::with_capacity(MAX_OVERTAKEN),
            kept: VecDeque::with_capacity(MAX_KEPT),
        })
    }

    /// The first event happens then.
    pub(super) fn starts_at(&mut self, start: EventTime) {
        self.synthesis.starts_at(start);
    }

    /// Makes the next record, which is sent `after_micros` after the start.
    pub fn next_record(&mut self, after_micros: u64) -> Record<'_> {
        let random = self.rng.next_u64();
        let fault = self.chances.iter().find(|(chance, _)| chance.hits(random)).map(|(_, fault)| *fault);
        let now = self.synthesis.instant(signed(after_micros));
        let (kind, created_at) = match fault {
            // Until something was sent, nothing can be sent again.
            Some(Fault::Duplicate) if !self.kept.is_empty() => {
                let (key, payload) = &self.kept[draw(&mut self.rng, self.kept.len())];
                return Record { key, payload, kind: Kind::Duplicate };
            }
            Some(Fault::Late) => {
                let late = 1 + scale(self.rng.next_u64(), self.late_by_micros);
                (Kind::Late, self.synthesis.instant(signed(after_micros).saturating_sub(signed(late))))
            }
            // The first event can be late, but has nothing before it.
            Some(Fault::OutOfOrder) if !self.happened.is_empty() => {
                let overtaken_by = self.happened[draw(&mut self.rng, self.happened.len())];
                (Kind::OutOfOrder, self.synthesis.instant(signed(overtaken_by) - 1))
            }
            Some(Fault::Malformed) => {
                (Kind::Malformed(Malformed::ALL[draw(&mut self.rng, Malformed::ALL.len())]), now)
            }
            Some(Fault::Oversize) => (Kind::Oversize, now),
            Some(Fault::Future) => {
                (Kind::Future, EventTime::from_micros(FUTURE_MICROS).expect("the year 9000 is in range"))
            }
            _ => (Kind::Good, now),
        };
        self.synthesis.make(after_micros, created_at);
        match kind {
            Kind::Malformed(malformed) => malformed.spoil(self.synthesis.payload_mut()),
            Kind::Oversize => {
                let over = 1 + draw(&mut self.rng, OVERSIZE_RANGE);
                pad(self.synthesis.payload_mut(), MAX_EVENT_BYTES + over);
            }
            _ => {}
        }
        if kind == Kind::Good {
            if self.happened.len() == MAX_OVERTAKEN {
                self.happened.pop_front();
            }
            self.happened.push_back(after_micros);
        }
        if kind.refusal().is_none() {
            self.keep();
        }
        self.synthesis.record(kind)
    }

    /// Keeps the record for a duplicate, in place of the oldest.
    fn keep(&mut self) {
        let full = self.kept.len() == MAX_KEPT;
        let (mut key, mut payload) = if full { self.kept.pop_front() } else { None }.unwrap_or_default();
        let record = self.synthesis.record(Kind::Good);
        record.key.clone_into(&mut key);
        record.payload.clone_into(&mut payload);
        self.kept.push_back((key, payload));
    }
}

fn draw(rng: &mut ChaCha8Rng, below: usize) -> usize {
    usize::try_from(scale(rng.next_u64(), below as u64)).expect("it is below a usize")
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// Fills an event up to `bytes`, with a member that nobody knows.
fn pad(event: &mut Vec<u8>, bytes: usize) {
    const BEFORE: &[u8] = br#","padding":""#;
    event.pop();
    event.extend_from_slice(BEFORE);
    event.resize(bytes - 2, b'x');
    event.extend_from_slice(br#""}"#);
}

/// Where the value of a member begins that stands in the event.
fn value_of(event: &[u8], member: &str) -> usize {
    let name = format!(r#""{member}":"#);
    let at = event.windows(name.len()).position(|window| window == name.as_bytes());
    at.expect("a good event has the member") + name.len()
}

fn insert(event: &mut Vec<u8>, at: usize, what: &[u8]) {
    event.splice(at..at, what.iter().copied());
}

fn replace(event: &mut Vec<u8>, member: &str, value: &[u8]) {
    let from = value_of(event, member);
    let length = event[from..].iter().position(|byte| matches!(byte, b',' | b'}')).expect("an object ends");
    event.splice(from..from + length, value.iter().copied());
}

/// Another name is another member.
fn rename(event: &mut [u8], member: &str) {
    let value = value_of(event, member);
    event[value - member.len() - 2].make_ascii_uppercase();
}

#[cfg(test)]
mod tests {
    use super::super::synthesis::tests::synthesis;
    use super::*;
    use contracts::ScoreEvent;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const STEP_MICROS: u64 = 1000;

    fn chance(text: &str) -> Chance {
        text.parse().unwrap()
    }

    fn traits() -> FaultTraits {
        FaultTraits {
            duplicates: chance("0.1"),
            late: chance("0.1"),
            late_by: Duration::from_secs(600),
            out_of_order: chance("0.1"),
            malformed: chance("0.1"),
            oversize: chance("0.01"),
            future: chance("0.1"),
        }
    }

    fn faults(seed: u64, traits: FaultTraits) -> Faults {
        Faults::new(seed, synthesis(seed, 50, true), traits).unwrap()
    }

    #[test]
    fn every_fault_has_its_share_and_every_malformed_record_its_turn() {
        let mut faults = faults(1, traits());
        let mut tally = Tally::default();
        for index in 0..50_000 {
            tally.count(faults.next_record(index * STEP_MICROS).kind);
        }
        for count in
            [tally.duplicates, tally.late, tally.out_of_order, tally.future, tally.malformed.values().sum()]
        {
            assert!((4_700..5_300).contains(&count), "{tally:?}");
        }
        assert!((400..600).contains(&tally.oversize), "{tally:?}");
        assert_eq!(tally.malformed.len(), Malformed::ALL.len(), "{tally:?}");
        let refused = tally.oversize + tally.future + tally.malformed.values().sum::<u64>();
        let counting = tally.good + tally.late + tally.out_of_order;
        assert_eq!(counting + tally.duplicates + refused, 50_000);
    }

    #[test]
    fn without_faults_records_are_those_of_the_seed() {
        let (mut plain, mut none) = (synthesis(3, 50, true), faults(3, FaultTraits::NONE));
        let mut some = faults(3, FaultTraits { duplicates: Chance::NEVER, ..traits() });
        for index in 0..1000 {
            let expected = plain.next_event(index * STEP_MICROS).payload.to_vec();
            assert_eq!(none.next_record(index * STEP_MICROS).payload, expected);
            let record = some.next_record(index * STEP_MICROS);
            assert!(record.kind != Kind::Good || record.payload == expected);
        }
    }

    #[test]
    fn faults_that_cannot_be_are_misuse() {
        let refused = |event_ids, traits| {
            Faults::new(1, synthesis(1, 5, event_ids), traits).err().map(|misuse| misuse.to_string())
        };
        assert!(refused(false, traits()).unwrap().contains("--event-ids"));
        assert!(
            refused(true, FaultTraits { late: chance("0.7"), ..traits() }).unwrap().contains("more than 1")
        );
        assert_eq!(refused(true, traits()), None);
        assert_eq!(refused(false, FaultTraits { duplicates: Chance::NEVER, ..traits() }), None);
    }

    proptest! {
        /// The pipeline refuses what it must, for the reason that is said, and takes the rest.
        #[test]
        fn every_record_is_what_it_is_said_to_be(seed: u64) {
            let mut faults = faults(seed, traits());
            let mut sent: HashSet<Vec<u8>> = HashSet::new();
            let mut newest = i64::MIN;
            for index in 0..500 {
                let after = index * STEP_MICROS;
                let now = faults.synthesis.instant(signed(after));
                let record = faults.next_record(after);
                let decoded = ScoreEvent::decode(Some(record.payload), now);
                prop_assert_eq!(decoded.as_ref().err().map(|refusal| refusal.class), record.kind.refusal());
                let Ok(event) = decoded else { continue };
                let before = now.micros() - event.created_at.micros();
                match record.kind {
                    Kind::Good => prop_assert_eq!(before, 0),
                    Kind::Late => prop_assert!((1..=600_000_000).contains(&before)),
                    Kind::OutOfOrder => prop_assert!(event.created_at.micros() < newest),
                    _ => {}
                }
                prop_assert_eq!(record.kind == Kind::Duplicate, !sent.insert(record.payload.to_vec()));
                newest = newest.max(event.created_at.micros());
                prop_assert_eq!(record.key, event.player.as_str().as_bytes());
            }
        }
    }
}
