//! A model of Kafka: one topic of scores, one of profiles, and a consumer group.

use pipeline::sink::{LogBounds, Partition};
use std::collections::{BTreeMap, VecDeque};

/// The topics that the ranker reads, as [`Partition::topic`] counts them.
pub(crate) const SCORES: usize = 0;
/// The profiles.
pub(crate) const PROFILES: usize = 1;

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct LogRecord {
    /// When it was appended, in ms.
    pub(crate) timestamp_ms: i64,
    /// The key.
    pub(crate) key: Vec<u8>,
    /// The value.
    pub(crate) payload: Vec<u8>,
}

/// A partition, all of it, though its oldest records may be gone for readers.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogPartition {
    /// Everything that was ever appended.
    pub(crate) records: Vec<LogRecord>,
    /// The oldest offset that readers still get.
    pub(crate) low: i64,
}

impl LogPartition {
    /// The offset that the next record will have.
    #[must_use]
    pub(crate) fn high(&self) -> i64 {
        i64::try_from(self.records.len()).expect("a short log")
    }
}

/// The log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// Its partitions.
    pub(crate) partitions: BTreeMap<Partition, LogPartition>,
}

impl Log {
    /// Appends to a partition.
    pub(crate) fn append(&mut self, partition: Partition, record: LogRecord) {
        self.partitions.entry(partition).or_default().records.push(record);
    }

    /// The partitions of a topic.
    #[must_use]
    pub(crate) fn of_topic(&self, topic: usize) -> Vec<Partition> {
        self.partitions.keys().copied().filter(|partition| partition.topic == topic).collect()
    }

    /// What readers of these topics can get.
    #[must_use]
    pub(crate) fn bounds(&self, topics: usize) -> Vec<LogBounds> {
        self.partitions
            .iter()
            .filter(|(partition, _)| partition.topic < topics)
            .map(|(partition, log)| LogBounds { partition: *partition, low: log.low, high: log.high() })
            .collect()
    }
}

/// What the group tells a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// These are yours.
    Assigned(Vec<Partition>),
    /// None is yours any more.
    Revoked,
}

/// A consumer group: who has which partitions, and what members have not been told yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// Members that the group takes for alive, with what they have yet to hear.
    members: BTreeMap<usize, VecDeque<Change>>,
}

impl Group {
    /// Deals the partitions out among `members`, the others being gone. `turn` decides who gets
    /// which.
    pub(crate) fn deal(&mut self, members: &[usize], partitions: &[Partition], turn: usize) {
        self.members.retain(|member, _| members.contains(member));
        for (place, member) in members.iter().enumerate() {
            let news = self.members.entry(*member).or_default();
            let mine = partitions
                .iter()
                .enumerate()
                .filter(|(at, _)| (at + turn) % members.len() == place)
                .map(|(_, partition)| *partition)
                .collect();
            news.push_back(Change::Revoked);
            news.push_back(Change::Assigned(mine));
        }
    }

    /// What a member is told next.
    pub(crate) fn hear(&mut self, member: usize) -> Option<Change> {
        self.members.get_mut(&member)?.pop_front()
    }
}
