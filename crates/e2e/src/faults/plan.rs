//! The schedule: which fault when. Pure; the same seed draws the same schedule.
//!
//! Faults are drawn from a deck that holds every kind, so that a run of sixty has met each. No
//! two faults befall one target at once; those of different targets overlap as they fall.

use crate::stack::Service;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use score_generator::load::popularity::scale;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How many partitions may be added in one run, in one or several steps.
const MAX_RAISES: usize = 2;

/// One of the two processes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// The service.
    pub service: Service,
    /// Whether it is the second of the two.
    pub second: bool,
}

impl Instance {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let both = |service| [false, true].map(|second| Self { service, second });
        Service::ALL.into_iter().flat_map(both).collect()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.service.program(), if self.second { "b" } else { "a" })
    }
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The broker.
    Kafka,
    /// The boards.
    Redis,
    /// The archive.
    Postgres,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "Kafka",
            Self::Redis => "Redis",
            Self::Postgres => "Postgres",
        })
    }
}

/// The way of one client to one server. `None` are the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Whose.
    pub client: Option<Instance>,
    /// Where to.
    pub server: Server,
}

impl Link {
    /// All that there are.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let sources = Self { client: None, server: Server::Kafka };
        let of = |instance: Instance| {
            let servers: &[Server] = match instance.service {
                Service::Ranker => &[Server::Kafka, Server::Redis, Server::Postgres],
                Service::Archiver => &[Server::Kafka, Server::Postgres],
                Service::BoardCache | Service::Controller => &[Server::Kafka, Server::Redis],
            };
            servers.iter().map(move |server| Self { client: Some(instance), server: *server })
        };
        std::iter::once(sources).chain(Instance::all().into_iter().flat_map(of)).collect()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Some(client) => write!(f, "{client} → {}", self.server),
            None => write!(f, "sources → {}", self.server),
        }
    }
}

/// What happens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; started again after the pause.
    Kill(Instance, Duration),
    /// SIGSTOP, and SIGCONT after the time.
    Freeze(Instance, Duration),
    /// SIGTERM, and started again when it has ended.
    Restart(Instance),
    /// The wall clock of the instance steps by so many milliseconds.
    StepClock(Instance, i64),
    /// All connections end.
    Cut(Link),
    /// All connections end, and there are no new ones for the time.
    Close(Link, Duration),
    /// Each direction is delayed by the first, for the second.
    Delay(Link, Duration, Duration),
    /// Requests are carried out and the replies lost, for the time; then connections end.
    LoseReplies(Link, Duration),
    /// SIGKILL; started again after the pause.
    KillKafka(Duration),
    /// `game-score` has one partition more.
    AddPartition,
    /// SIGKILL; started again after the pause.
    KillRedis(Duration),
    /// SIGKILL; started again from its append-only file, without so many thousandths of it.
    CutRedis(u32),
    /// Replaced by a copy of itself that was made so long before.
    OldRedis(Duration),
    /// FLUSHALL.
    FlushRedis,
    /// SCRIPT FLUSH and FUNCTION FLUSH.
    FlushScripts,
    /// CLIENT KILL of everybody.
    CutRedisClients,
    /// Stopped at once, without a checkpoint; started again after the pause.
    StopPostgres(Duration),
    /// All backends are terminated.
    CutPostgresClients,
    /// The rows of the archive's offsets are locked, for the time.
    LockOffsets(Duration),
}

/// What a fault befalls. A target has one fault at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A process of ours.
    Instance(Instance),
    /// A way to a server.
    Link(Link),
    /// A server.
    Server(Server),
}

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

impl Fault {
    /// Its kind, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill(..) => "service killed",
            Self::Freeze(..) => "service stopped and continued",
            Self::Restart(..) => "service restarted",
            Self::StepClock(..) => "clock stepped",
            Self::Cut(..) => "connections cut",
            Self::Close(..) => "link closed",
            Self::Delay(..) => "link delayed",
            Self::LoseReplies(..) => "replies lost",
            Self::KillKafka(..) => "Kafka killed",
            Self::AddPartition => "partition added",
            Self::KillRedis(..) => "Redis killed",
            Self::CutRedis(..) => "Redis lost its tail",
            Self::OldRedis(..) => "Redis replaced by an old copy",
            Self::FlushRedis => "Redis emptied",
            Self::FlushScripts => "Redis forgot its scripts",
            Self::CutRedisClients => "Redis' clients killed",
            Self::StopPostgres(..) => "Postgres stopped at once",
            Self::CutPostgresClients => "Postgres' backends terminated",
            Self::LockOffsets(..) => "offset rows locked",
        }
    }

    /// What it befalls.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Kill(instance, _)
            | Self::Freeze(instance, _)
            | Self::Restart(instance)
            | Self::StepClock(instance, _) => Target::Instance(*instance),
            Self::Cut(link) | Self::Close(link, _) | Self::Delay(link, ..) | Self::LoseReplies(link, _) => {
                Target::Link(*link)
            }
            Self::KillKafka(_) | Self::AddPartition => Target::Server(Server::Kafka),
            Self::KillRedis(_)
            | Self::CutRedis(_)
            | Self::OldRedis(_)
            | Self::FlushRedis
            | Self::FlushScripts
            | Self::CutRedisClients => Target::Server(Server::Redis),
            Self::StopPostgres(_) | Self::CutPostgresClients | Self::LockOffsets(_) => {
                Target::Server(Server::Postgres)
            }
        }
    }

    /// For about how long its target is not to be met by another.
    #[must_use]
    pub fn hold(&self) -> Duration {
        const PROCESS_START: Duration = Duration::from_secs(2);
        const SERVER_START: Duration = Duration::from_secs(4);
        const BROKER_START: Duration = Duration::from_secs(10);
        match self {
            Self::Kill(_, pause) => *pause + PROCESS_START,
            Self::Restart(_) => Duration::from_secs(6),
            Self::Freeze(_, time)
            | Self::Close(_, time)
            | Self::Delay(_, _, time)
            | Self::LoseReplies(_, time)
            | Self::LockOffsets(time) => *time + Duration::from_secs(1),
            Self::KillKafka(pause) => *pause + BROKER_START,
            Self::KillRedis(pause) | Self::StopPostgres(pause) => *pause + SERVER_START,
            Self::OldRedis(age) => *age + SERVER_START,
            Self::CutRedis(_) => SERVER_START,
            Self::StepClock(..)
            | Self::Cut(_)
            | Self::AddPartition
            | Self::FlushRedis
            | Self::FlushScripts
            | Self::CutRedisClients
            | Self::CutPostgresClients => Duration::ZERO,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Kill(instance, pause) => write!(f, "{kind}: {instance}, away for {pause:.1?}"),
            Self::Freeze(instance, time) => write!(f, "{kind}: {instance}, for {time:.1?}"),
            Self::Restart(instance) => write!(f, "{kind}: {instance}"),
            Self::StepClock(instance, millis) => write!(f, "{kind}: {instance}, by {millis} ms"),
            Self::Cut(link) => write!(f, "{kind}: {link}"),
            Self::Close(link, time) => write!(f, "{kind}: {link}, for {time:.1?}"),
            Self::Delay(link, by, time) => write!(f, "{kind}: {link}, by {by:.0?} each way for {time:.1?}"),
            Self::LoseReplies(link, time) => write!(f, "{kind}: {link}, for {time:.1?}"),
            Self::KillKafka(pause) | Self::KillRedis(pause) | Self::StopPostgres(pause) => {
                write!(f, "{kind}, away for {pause:.1?}")
            }
            Self::CutRedis(lost) => write!(f, "{kind}: {lost} ‰ of its append-only file"),
            Self::OldRedis(age) => write!(f, "{kind}, {age:.1?} old"),
            Self::LockOffsets(time) => write!(f, "{kind} for {time:.1?}"),
            Self::AddPartition
            | Self::FlushRedis
            | Self::FlushScripts
            | Self::CutRedisClients
            | Self::CutPostgresClients => f.write_str(kind),
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
