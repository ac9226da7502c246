//! The schedule: which fault when. Pure; the same seed draws the same schedule.
//!
//! Faults are drawn from a deck that holds every kind, so that a run of sixty has met each. No
//! two faults befall one target at once; those of different targets overlap as they fall.

use crate::faults::fault::{Fault, Instance, Link, Server, Target};
use crate::stack::Service;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use score_generator::load::popularity::scale;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many partitions may be added in one run, in one or several steps.
const MAX_RAISES: usize = 2;

/// A kind of fault: a card of the deck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Fault::Kill`]
    Kill,
    /// [`Fault::Freeze`]
    Freeze,
    /// [`Fault::Restart`]
    Restart,
    /// [`Fault::StepClock`]
    StepClock,
    /// [`Fault::Cut`]
    Cut,
    /// [`Fault::Close`]
    Close,
    /// [`Fault::Delay`]
    Delay,
    /// [`Fault::LoseReplies`]
    LoseReplies,
    /// [`Fault::KillKafka`]
    KillKafka,
    /// [`Fault::AddPartition`]
    AddPartition,
    /// [`Fault::KillRedis`]
    KillRedis,
    /// [`Fault::CutRedis`]
    CutRedis,
    /// [`Fault::OldRedis`]
    OldRedis,
    /// [`Fault::FlushRedis`]
    FlushRedis,
    /// [`Fault::FlushScripts`]
    FlushScripts,
    /// [`Fault::CutRedisClients`]
    CutRedisClients,
    /// [`Fault::StopPostgres`]
    StopPostgres,
    /// [`Fault::CutPostgresClients`]
    CutPostgresClients,
    /// [`Fault::LockOffsets`]
    LockOffsets,
}

/// How often each kind is in the deck.
pub const DECK: [(Kind, usize); 19] = [
    (Kind::Kill, 7),
    (Kind::Freeze, 6),
    (Kind::Restart, 4),
    (Kind::StepClock, 2),
    (Kind::Cut, 4),
    (Kind::Close, 4),
    (Kind::Delay, 3),
    (Kind::LoseReplies, 7),
    (Kind::KillKafka, 1),
    (Kind::AddPartition, 1),
    (Kind::KillRedis, 2),
    (Kind::CutRedis, 2),
    (Kind::OldRedis, 2),
    (Kind::FlushRedis, 1),
    (Kind::FlushScripts, 1),
    (Kind::CutRedisClients, 1),
    (Kind::StopPostgres, 1),
    (Kind::CutPostgresClients, 1),
    (Kind::LockOffsets, 2),
];

/// A fault at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the run began.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// In the order of their time.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Draws `faults` faults from `deck`, on average `gap` apart.
    #[must_use]
    pub fn draw(seed: u64, faults: usize, gap: Duration, deck: &[(Kind, usize)]) -> Self {
        let mut draw = Draw { random: ChaCha8Rng::seed_from_u64(seed) };
        let mut cards: Vec<Kind> = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        let mut busy: BTreeMap<Target, Duration> = BTreeMap::new();
        let mut raises = 0;
        let mut at = Duration::ZERO;
        while steps.len() < faults {
            at += gap / 2 + draw.up_to(gap);
            if cards.is_empty() {
                cards = draw.shuffled(deck, raises);
            }
            // The first card that befalls someone who is free; if none does, time goes by.
            let free = |fault: &Fault| busy.get(&fault.target()).is_none_or(|until| *until <= at);
            let found = cards.iter().rposition(|kind| {
                let fault = draw.fault(*kind);
                let is_free = free(&fault);
                if is_free {
                    steps.push(Step { at, fault });
                }
                is_free
            });
            if let Some(position) = found {
                raises += usize::from(cards.remove(position) == Kind::AddPartition);
                let fault = steps[steps.len() - 1].fault;
                busy.insert(fault.target(), at + fault.hold());
            }
        }
        Self { seed, steps }
    }

    /// When the last fault is over.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.steps.iter().map(|step| step.at + step.fault.hold()).max().unwrap_or_default()
    }
}

/// Draws.
struct Draw {
    random: ChaCha8Rng,
}

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(scale(self.random.next_u64(), limit as u64)).expect("it is below a usize")
    }

    fn up_to(&mut self, limit: Duration) -> Duration {
        let micros = u64::try_from(limit.as_micros()).expect("gaps are far below 500,000 years");
        Duration::from_micros(scale(self.random.next_u64(), micros + 1))
    }

    fn between(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms) + self.up_to(Duration::from_millis(to_ms - from_ms))
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The deck in a drawn order, without what may not happen again.
    fn shuffled(&mut self, deck: &[(Kind, usize)], raises: usize) -> Vec<Kind> {
        let of = |(kind, times): &(Kind, usize)| std::iter::repeat_n(*kind, *times);
        let mut cards: Vec<Kind> = deck
            .iter()
            .flat_map(of)
            .filter(|kind| *kind != Kind::AddPartition || raises < MAX_RAISES)
            .collect();
        for left in (1..cards.len()).rev() {
            cards.swap(left, self.below(left + 1));
        }
        cards
    }

    /// Consumers more often than those who only read.
    fn instance(&mut self) -> Instance {
        use Service::{Archiver, BoardCache, Controller, Ranker};
        let service = self.one_of(&[
            Ranker, Ranker, Ranker, Archiver, Archiver, Archiver, BoardCache, BoardCache, Controller,
        ]);
        Instance { service, second: self.below(2) == 1 }
    }

    fn link(&mut self) -> Link {
        self.one_of(&Link::all())
    }

    /// Where a lost reply leaves a write in doubt, more often than elsewhere.
    fn link_that_is_written_through(&mut self) -> Link {
        let second = self.below(2) == 1;
        let of = |service, server| Link { client: Some(Instance { service, second }), server };
        let other = self.link();
        self.one_of(&[
            of(Service::Ranker, Server::Redis),
            of(Service::Archiver, Server::Postgres),
            of(Service::BoardCache, Server::Redis),
            of(Service::Ranker, Server::Kafka),
            Link { client: None, server: Server::Kafka },
            other,
        ])
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        match kind {
            Kind::Kill => Fault::Kill(self.instance(), self.between(0, 2000)),
            Kind::Freeze => {
                let longest = self.one_of(&[3000, 6000, 12_000, 40_000]);
                Fault::Freeze(self.instance(), self.between(1000, longest))
            }
            Kind::Restart => Fault::Restart(self.instance()),
            Kind::StepClock => {
                let service = self.one_of(&[Service::Ranker, Service::Archiver, Service::BoardCache]);
                let step = self.one_of(&[-86_400_000, -3_600_000, -1000, 1000, 3_600_000, 86_400_000]);
                // The first of the two is the program itself, whose clock is the machine's.
                Fault::StepClock(Instance { service, second: true }, step)
            }
            Kind::Cut => Fault::Cut(self.link()),
            Kind::Close => Fault::Close(self.link(), self.between(500, 8000)),
            Kind::Delay => Fault::Delay(self.link(), self.between(10, 400), self.between(1000, 6000)),
            Kind::LoseReplies => {
                Fault::LoseReplies(self.link_that_is_written_through(), self.between(50, 6000))
            }
            Kind::KillKafka => Fault::KillKafka(self.between(0, 3000)),
            Kind::AddPartition => Fault::AddPartition,
            Kind::KillRedis => Fault::KillRedis(self.between(0, 3000)),
            Kind::CutRedis => {
                // Mostly a tail, at times nearly all.
                let most = self.one_of(&[2, 20, 200, 1000]);
                Fault::CutRedis(u32::try_from(self.below(most)).expect("it is below 1000"))
            }
            Kind::OldRedis => Fault::OldRedis(self.between(500, 8000)),
            Kind::FlushRedis => Fault::FlushRedis,
            Kind::FlushScripts => Fault::FlushScripts,
            Kind::CutRedisClients => Fault::CutRedisClients,
            Kind::StopPostgres => Fault::StopPostgres(self.between(0, 3000)),
            Kind::CutPostgresClients => Fault::CutPostgresClients,
            Kind::LockOffsets => Fault::LockOffsets(self.between(1000, 8000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const GAP: Duration = Duration::from_secs(3);

    #[test]
    fn same_seed_draws_the_same_schedule_and_another_another() {
        assert_eq!(Plan::draw(7, 200, GAP, &DECK), Plan::draw(7, 200, GAP, &DECK));
        assert_ne!(Plan::draw(7, 200, GAP, &DECK).steps, Plan::draw(8, 200, GAP, &DECK).steps);
    }

    #[test]
    fn sixty_faults_meet_every_kind() {
        for seed in 0..50 {
            let plan = Plan::draw(seed, 60, GAP, &DECK);
            assert_eq!(plan.steps.len(), 60);
            let kinds: BTreeSet<&str> = plan.steps.iter().map(|step| step.fault.kind()).collect();
            assert_eq!(kinds.len(), DECK.len(), "seed {seed}: {kinds:?}");
        }
    }

    #[test]
    fn no_target_has_two_faults_at_once_and_time_goes_on() {
        for seed in 0..20 {
            let mut busy: BTreeMap<Target, Duration> = BTreeMap::new();
            let mut before = Duration::ZERO;
            for Step { at, fault } in Plan::draw(seed, 300, GAP, &DECK).steps {
                assert!(at > before);
                before = at;
                let until = busy.insert(fault.target(), at + fault.hold());
                assert!(until.is_none_or(|until| until <= at), "seed {seed}: {fault} at {at:?}");
            }
        }
    }

    #[test]
    fn partitions_are_raised_twice_at_most() {
        for seed in 0..20 {
            let steps = Plan::draw(seed, 1000, GAP, &DECK).steps;
            let raises = steps.iter().filter(|step| step.fault == Fault::AddPartition).count();
            assert!(raises <= MAX_RAISES, "seed {seed}: {raises}");
        }
    }

    #[test]
    fn clocks_step_only_where_they_can_be_set() {
        for Step { fault, .. } in Plan::draw(1, 1000, GAP, &DECK).steps {
            if let Fault::StepClock(instance, millis) = fault {
                assert!(instance.second && instance.service != Service::Controller && millis != 0);
            }
        }
    }
}
