//! What can happen, and to whom.

use crate::stack::Service;
use std::fmt;
use std::time::Duration;

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
