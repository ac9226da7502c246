//! What the log comes to, player by player, in memory.

use crate::verify::ids::{KEPT_DAYS, SeenIds, Sight, id_hash};
use crate::verify::tally::Tally;
use archive_store::Place;
use boards::Reached;
use boards::changes::day_of;
use contracts::{EventTime, PlayerId};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// Enough that readers seldom want the same one.
const SHARDS: usize = 64;

/// An event that the board takes.
#[derive(Debug)]
pub(crate) struct Scored<'a> {
    pub(crate) place: Place,
    pub(crate) player: PlayerId,
    pub(crate) units: i64,
    pub(crate) created_at: EventTime,
    pub(crate) event_id: Option<&'a str>,
}

/// Players and their tallies. Several may fold into it at once.
#[derive(Debug)]
pub(crate) struct Fold {
    shards: Vec<Mutex<Shard>>,
    /// For each partition that is being read, the day that it has reached.
    days: Mutex<BTreeMap<i32, i64>>,
    /// The first event that could not be judged.
    unknown: Mutex<Option<Place>>,
    /// The pseudonyms of players who were erased → the names that the log still has.
    names: Mutex<BTreeMap<PlayerId, PlayerId>>,
}

#[derive(Debug, Default)]
struct Shard {
    players: IndexMap<PlayerId, Tally>,
    ids: SeenIds,
}

/// How far one has gone through the players. They keep the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark([usize; SHARDS]);

impl Default for Mark {
    fn default() -> Self {
        Self([0; SHARDS])
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shard_of(player: &str) -> usize {
    usize::try_from(xxh3_64(player.as_bytes()) % SHARDS as u64).expect("below 64")
}

impl Fold {
    /// Nobody.
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, days: Mutex::default(), unknown: Mutex::default(), names: Mutex::default() }
    }

    /// Takes an event in. Those of one partition come in its order.
    pub(crate) fn add(&self, event: Scored<'_>) {
        let Scored { place, player, units, created_at, event_id } = event;
        let reached = Reached::at(created_at);
        let mut shard = locked(&self.shards[shard_of(player.as_str())]);
        if let Some(event_id) = event_id {
            match shard.ids.see(id_hash(&player, event_id), day_of(place.arrived_at)) {
                Sight::First => {}
                Sight::Again => return,
                Sight::Unknown => {
                    locked(&self.unknown).get_or_insert(place);
                    return;
                }
            }
        }
        shard.players.entry(player).or_default().add(units, reached);
    }

    /// Takes in by what name a player is known who was erased.
    pub(crate) fn know(&self, pseudonym: &PlayerId, name: PlayerId) {
        let mut names = locked(&self.names);
        if !names.contains_key(pseudonym) {
            names.insert(pseudonym.clone(), name);
        }
    }

    /// The names of those who were erased, by their pseudonyms.
    pub(crate) fn names(&self) -> BTreeMap<PlayerId, PlayerId> {
        locked(&self.names).clone()
    }

    /// Whether this is the name of one who was erased.
    pub(crate) fn is_erased_name(&self, player: &str) -> bool {
        locked(&self.names).values().any(|name| name.as_str() == player)
    }

    /// Says which partitions are about to be read. Ids that none of them can ask for any more are
    /// forgotten on the way.
    pub(crate) fn begin(&self, partitions: impl Iterator<Item = i32>) {
        *locked(&self.days) = partitions.map(|partition| (partition, i64::MIN)).collect();
    }

    /// Says that `partition` has come to `day`; `None` when it was read.
    pub(crate) fn reach(&self, partition: i32, day: Option<i64>) {
        let mut days = locked(&self.days);
        let before = days.values().copied().min();
        match day {
            Some(day) => drop(days.insert(partition, day)),
            None => drop(days.remove(&partition)),
        }
        let Some(slowest) = days.values().copied().min().filter(|day| *day > i64::MIN) else { return };
        if before.is_some_and(|before| before < slowest) {
            for shard in &self.shards {
                locked(shard).ids.forget_before(slowest - KEPT_DAYS);
            }
        }
    }

    /// The first event of which nobody can say whether its id was seen, if there is one.
    pub(crate) fn unknown(&self) -> Option<Place> {
        *locked(&self.unknown)
    }

    /// How many players there are.
    pub(crate) fn players(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).players.len()).sum()
    }

    /// How many ids are remembered.
    pub(crate) fn ids(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).ids.len()).sum()
    }

    /// What the player's events come to; `None` when there were none.
    pub(crate) fn tally(&self, player: &str) -> Option<Tally> {
        locked(&self.shards[shard_of(player)]).players.get(player).copied()
    }

    /// Where all players that are there now were gone through.
    pub(crate) fn end(&self) -> Mark {
        Mark(std::array::from_fn(|shard| locked(&self.shards[shard]).players.len()))
    }

    /// Up to `limit` players after `mark` and before `end`; moves the mark.
    pub(crate) fn next_players(&self, mark: &mut Mark, end: &Mark, limit: usize) -> Vec<PlayerId> {
        let mut players = Vec::new();
        for (shard, (at, end)) in mark.0.iter_mut().zip(end.0).enumerate() {
            let stop = end.min(*at + limit - players.len());
            if *at < stop {
                let shard = locked(&self.shards[shard]);
                players.extend(
                    shard.players.get_range(*at..stop).into_iter().flat_map(|part| part.keys()).cloned(),
                );
                *at = stop;
            }
        }
        players
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tally::Standing;
    use boards::changes::{Change, Identified};
    use boards::{Changes, Standings, View};
    use proptest::prelude::*;

    const DAY_MICROS: i64 = 86_400_000_000;

    #[derive(Clone, Debug)]
    struct Event {
        player: usize,
        units: i64,
        second: i64,
        id: Option<u8>,
        days_later: i64,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let units = prop_oneof![-3..3i64, -200_000..200_000i64];
        let id = proptest::option::of(0..3u8);
        let event = (0..5usize, units, 0..1000i64, id, prop_oneof![5 => Just(0), 2 => Just(1), 1 => 2..9i64]);
        let event = event.prop_map(|(player, units, second, id, days_later)| Event {
            player,
            units,
            second,
            id,
            days_later,
        });
        proptest::collection::vec(event, 1..80)
    }

    fn player(index: usize) -> PlayerId {
        PlayerId::new(["a", "b", "c", "d", "é"][index]).unwrap()
    }

    fn place(offset: usize, day: i64) -> Place {
        let arrived_at = EventTime::from_micros(day * DAY_MICROS).unwrap();
        Place { partition: 0, offset: i64::try_from(offset).unwrap(), arrived_at }
    }

    proptest! {
        #[test]
        fn fold_comes_to_what_the_board_does(events in events(), batch in 1..10usize) {
            let (mut standings, mut day) = (Standings::default(), 0);
            let fold = Fold::new();
            fold.begin([0].into_iter());
            for (chunk, at) in events.chunks(batch).zip(0..) {
                let mut changes = Changes::default();
                for (event, index) in chunk.iter().zip(0..) {
                    day += event.days_later;
                    fold.reach(0, Some(day));
                    let created_at = EventTime::from_micros(event.second * 1_000_000).unwrap();
                    let id = event.id.map(|id| id.to_string());
                    let change = Change::of(event.units, Reached::at(created_at));
                    match &id {
                        None => changes.add(player(event.player), change),
                        Some(id) => changes.add_identified(Identified {
                            player: player(event.player),
                            event_id: id.as_str().into(),
                            arrival_day: day,
                            views: vec![View::all_time()],
                            change,
                        }),
                    }
                    fold.add(Scored {
                        place: place(at * batch + index, day),
                        player: player(event.player),
                        units: event.units,
                        created_at,
                        event_id: id.as_deref(),
                    });
                }
                standings.apply_changes(&changes);
            }
            prop_assert_eq!(fold.unknown(), None);
            prop_assert_eq!(fold.players(), standings.players());
            for row in standings.top(10) {
                let tally = fold.tally(row.player.as_str()).unwrap();
                prop_assert_eq!(tally.total(), row.total);
                let standing = tally.judge(standings.sorted_set_score(row.player.as_str()).unwrap());
                prop_assert!(matches!(standing, Standing::Exact | Standing::CoarserReach), "{standing:?}");
            }
        }
    }

    fn scored(name: &str, offset: usize, day: i64) -> Scored<'static> {
        Scored {
            place: place(offset, day),
            player: PlayerId::new(name).unwrap(),
            units: 1,
            created_at: EventTime::UNIX_EPOCH,
            event_id: Some("x"),
        }
    }

    #[test]
    fn pages_have_each_player_once_while_players_come() {
        let fold = Fold::new();
        for index in 0..100 {
            fold.add(scored(&index.to_string(), index, 0));
        }
        let (mut mark, end, mut seen) = (Mark::default(), fold.end(), Vec::new());
        loop {
            let page = fold.next_players(&mut mark, &end, 7);
            fold.add(scored(&format!("late {}", seen.len()), 0, 0));
            if page.is_empty() {
                break;
            }
            assert!(page.len() == 7 || seen.len() + page.len() == 100);
            seen.extend(page.into_iter().map(|player| player.as_str().to_owned()));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
        assert!(seen.iter().all(|name| !name.starts_with("late")));
        let mut rest = fold.next_players(&mut mark, &fold.end(), 1000);
        rest.retain(|player| player.as_str().starts_with("late"));
        assert_eq!(rest.len(), fold.players() - 100);
    }

    #[test]
    fn ids_go_with_the_slowest_partition() {
        let fold = Fold::new();
        fold.begin([0, 1].into_iter());
        fold.add(scored("a", 0, 0));
        fold.reach(0, Some(0));
        fold.reach(0, Some(30));
        assert_eq!(fold.ids(), 1, "partition 1 may still ask for it");
        fold.reach(1, Some(KEPT_DAYS));
        assert_eq!(fold.ids(), 1);
        fold.reach(1, Some(KEPT_DAYS + 1));
        assert_eq!(fold.ids(), 0);
        fold.add(scored("a", 1, 1));
        assert_eq!(fold.unknown(), Some(place(1, 1)));
        assert_eq!(fold.tally("a").unwrap().total(), 1);
    }
}
