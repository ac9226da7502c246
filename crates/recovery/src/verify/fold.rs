//! What the log comes to on one board, view by view and player by player, in memory.

use crate::verify::ids::{KEPT_DAYS, SeenIds, Sight, id_hash};
use crate::verify::tally::Tally;
use crate::verify::views::{Coverage, Met, ViewId, Views};
use archive_store::Place;
use boards::changes::day_of;
use boards::{Arrival, BoardSet, Change, Effect, WindowCache};
use contracts::{PlayerId, ScoreEvent};
use indexmap::{Equivalent, IndexMap};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Enough that readers seldom want the same one.
const SHARDS: usize = 64;

/// An event of the log that is no dead letter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored<'a> {
    pub(crate) place: Place,
    /// As it was sent.
    pub(crate) event: &'a ScoreEvent,
    /// What stands for it since its player was erased.
    pub(crate) forgotten: Option<&'a ScoreEvent>,
}

/// Views, players and their tallies. Several may fold into it at once.
#[derive(Debug)]
pub(crate) struct Fold {
    boards: BoardSet,
    /// Which of them is folded.
    index: usize,
    views: Views,
    shards: Vec<Mutex<Shard>>,
    /// For each partition that is being read, the day that it has reached.
    days: Mutex<BTreeMap<i32, i64>>,
    /// The first event that could not be judged.
    unknown: Mutex<Option<Place>>,
    /// The pseudonyms of players who were erased → the names that the log still has.
    names: Mutex<BTreeMap<PlayerId, PlayerId>>,
}

/// What each reader of the log has for itself.
#[derive(Debug)]
pub(crate) struct Reader {
    windows: WindowCache,
    /// What the event does that is being taken in.
    counts: Vec<(ViewId, Change)>,
}

impl Reader {
    pub(crate) fn new(boards: &BoardSet) -> Self {
        Self { windows: WindowCache::new(boards), counts: Vec::new() }
    }
}

#[derive(Debug, Default)]
struct Shard {
    rows: IndexMap<Row, Tally, Rows>,
    ids: SeenIds,
}

/// A player in a view.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    view: ViewId,
    player: PlayerId,
}

/// The same before it is known.
struct Asked<'a> {
    view: ViewId,
    player: &'a str,
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not the hash that chose the shard: within one, its last bits are the same.
        state.write_u64(xxh3_64_with_seed(self.player.as_bytes(), u64::from(self.view.number()) + 1));
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked { view: self.view, player: self.player.as_str() }.hash(state);
    }
}

impl Equivalent<Row> for Asked<'_> {
    fn equivalent(&self, row: &Row) -> bool {
        (self.view, self.player) == (row.view, row.player.as_str())
    }
}

/// Rows are looked up by their own hash, half of the time of the standard library's.
type Rows = BuildHasherDefault<OwnHash>;

#[derive(Default)]
struct OwnHash(u64);

impl Hasher for OwnHash {
    fn write(&mut self, _: &[u8]) {
        unreachable!("rows write one number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How far one has gone through the rows. They keep the order in which they came.
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
    /// Nobody on the board at `index`, of which only what lies in `coverage` is held.
    pub(crate) fn new(boards: &BoardSet, index: usize, coverage: Coverage) -> Self {
        Self {
            boards: boards.clone(),
            index,
            views: Views::new(boards[index].clone(), coverage),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            days: Mutex::default(),
            unknown: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// Takes an event in. Those of one partition come in its order.
    pub(crate) fn take(&self, reader: &mut Reader, scored: Scored<'_>) {
        let Scored { place: Place { partition, offset, arrived_at }, event, forgotten } = scored;
        let ScoreEvent { player, event_id, .. } = forgotten.unwrap_or(event);
        if forgotten.is_some() {
            self.know(player, &event.player);
        }
        let Reader { windows, counts } = reader;
        counts.clear();
        // What counts in windows alone that are gone is seen, too.
        let mut seen = false;
        let arrival = Arrival { at: arrived_at, partition, offset };
        self.boards.visit_effects_on(self.index, event, arrival, windows, |effect| {
            let Effect::Counts { value, windows, change, .. } = effect else { return };
            for window in windows {
                match self.views.meet(value, window) {
                    Met::Folded(view) => counts.push((view, change)),
                    Met::Gone => seen = true,
                    Met::WithoutRoom => {}
                }
            }
        });
        if counts.is_empty() && !seen {
            return;
        }
        let mut shard = locked(&self.shards[shard_of(player.as_str())]);
        if let Some(event_id) = event_id {
            match shard.ids.see(id_hash(player, event_id), day_of(arrived_at)) {
                Sight::First => {}
                Sight::Again => return,
                Sight::Unknown => {
                    locked(&self.unknown).get_or_insert(scored.place);
                    return;
                }
            }
        }
        for (view, change) in counts.drain(..) {
            if let Some(tally) = shard.rows.get_mut(&Asked { view, player: player.as_str() }) {
                tally.add(change);
            } else {
                shard.rows.insert(Row { view, player: player.clone() }, change.into());
                self.views.add_player(view);
            }
        }
    }

    /// Takes in by what name a player is known who was erased.
    fn know(&self, pseudonym: &PlayerId, name: &PlayerId) {
        let mut names = locked(&self.names);
        if !names.contains_key(pseudonym) {
            names.insert(pseudonym.clone(), name.clone());
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

    /// The views that were met.
    pub(crate) fn views(&self) -> &Views {
        &self.views
    }

    /// How many rows there are, one for each player in each view.
    pub(crate) fn rows(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).rows.len()).sum()
    }

    /// How many ids are remembered.
    pub(crate) fn ids(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).ids.len()).sum()
    }

    /// What the player's events come to in a view; `None` when there were none.
    pub(crate) fn tally(&self, view: ViewId, player: &str) -> Option<Tally> {
        locked(&self.shards[shard_of(player)]).rows.get(&Asked { view, player }).copied()
    }

    /// Where all rows that are there now were gone through.
    pub(crate) fn end(&self) -> Mark {
        Mark(std::array::from_fn(|shard| locked(&self.shards[shard]).rows.len()))
    }

    /// Up to `limit` rows after `mark` and before `end`, by view; moves the mark.
    pub(crate) fn next_rows(
        &self,
        mark: &mut Mark,
        end: &Mark,
        limit: usize,
    ) -> BTreeMap<ViewId, Vec<PlayerId>> {
        let mut views: BTreeMap<ViewId, Vec<PlayerId>> = BTreeMap::new();
        let mut left = limit;
        for (shard, (at, end)) in mark.0.iter_mut().zip(end.0).enumerate() {
            let stop = end.min(*at + left);
            if *at < stop {
                let shard = locked(&self.shards[shard]);
                for Row { view, player } in
                    shard.rows.get_range(*at..stop).into_iter().flat_map(|part| part.keys())
                {
                    views.entry(*view).or_default().push(player.clone());
                }
                left -= stop - *at;
                *at = stop;
            }
        }
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tally::Standing;
    use board_generators::{Logged, PARTITIONS};
    use boards::{Oracle, View};
    use contracts::EventTime;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const DAY_MICROS: i64 = 86_400_000_000;

    /// Everything has its place in Redis.
    fn everything() -> Coverage {
        Coverage { listed: HashSet::new(), kept: HashSet::new(), values: None, now: EventTime::MIN }
    }

    fn folded<'l>(boards: &BoardSet, index: usize, log: impl Iterator<Item = &'l Logged>) -> Fold {
        let (fold, mut reader) = (Fold::new(boards, index, everything()), Reader::new(boards));
        fold.begin(0..PARTITIONS);
        let mut days = BTreeMap::new();
        for record in log {
            let Arrival { at, partition, offset } = record.arrival();
            let newest = days.entry(partition).or_insert(i64::MIN);
            *newest = day_of(at).max(*newest);
            fold.reach(partition, Some(*newest));
            let place = Place { partition, offset, arrived_at: at };
            fold.take(&mut reader, Scored { place, event: &record.event(), forgotten: None });
        }
        fold
    }

    proptest! {
        #[test]
        fn fold_comes_to_what_the_board_does(
            boards in board_generators::boards("board"),
            log in board_generators::logs(39),
            reversed in any::<bool>(),
        ) {
            let mut oracle = Oracle::new(boards.clone());
            for record in &log {
                oracle.apply(&record.event(), record.arrival()).unwrap();
            }
            let mut one_by_one: Vec<_> = log.iter().collect();
            one_by_one.sort_by_key(|record| if reversed { -record.partition } else { record.partition });
            for (index, board) in boards.iter().enumerate() {
                let fold = folded(&boards, index, one_by_one.iter().copied());
                prop_assert_eq!(fold.unknown(), None);
                let mut rows = 0;
                for (name, window, standings) in oracle.views() {
                    let (of, value) = boards.find(&name).unwrap();
                    if of != index {
                        continue;
                    }
                    let window = board.window_of_id(window).unwrap().into();
                    let met = fold.views().met(&View { value: value.map(Into::into), window });
                    let Some(Met::Folded(view)) = met else { panic!("{name}: {met:?}") };
                    prop_assert_eq!(fold.views().players(view), standings.players() as u64);
                    for row in standings.top(usize::MAX) {
                        let tally = fold.tally(view, row.player.as_str()).unwrap();
                        prop_assert_eq!(tally.total(board), row.total);
                        let stands = standings.sorted_set_score(row.player.as_str()).unwrap();
                        prop_assert_eq!(tally.judge(board, stands, tally.recency()), Standing::Exact);
                    }
                    rows += standings.players();
                }
                prop_assert_eq!(fold.rows(), rows, "there is nothing else");
            }
        }
    }

    fn place(offset: usize, day: i64) -> Place {
        let arrived_at = EventTime::from_micros(day * DAY_MICROS).unwrap();
        Place { partition: 0, offset: i64::try_from(offset).unwrap(), arrived_at }
    }

    /// On the plain board.
    fn plain() -> (Fold, Reader) {
        let boards = BoardSet::default();
        (Fold::new(&boards, 0, everything()), Reader::new(&boards))
    }

    fn all_time(fold: &Fold) -> ViewId {
        let Some(Met::Folded(view)) = fold.views().met(&View::all_time()) else { panic!("it is there") };
        view
    }

    /// An event of that player with the id x.
    fn add((fold, reader): &mut (Fold, Reader), player: &str, place: Place) {
        let text = format!(r#"{{"score":1,"user_id":"{player}","event_id":"x"}}"#);
        let event = ScoreEvent::decode(Some(text.as_bytes()), place.arrived_at).unwrap();
        fold.take(reader, Scored { place, event: &event, forgotten: None });
    }

    #[test]
    fn pages_have_each_row_once_while_players_come() {
        let mut plain = plain();
        for index in 0..100 {
            add(&mut plain, &index.to_string(), place(index, 0));
        }
        let (mut mark, end, mut seen) = (Mark::default(), plain.0.end(), Vec::new());
        loop {
            let page = plain.0.next_rows(&mut mark, &end, 7);
            add(&mut plain, &format!("late {}", seen.len()), place(0, 0));
            let Some(page) = page.into_values().next() else { break };
            assert!(page.len() == 7 || seen.len() + page.len() == 100);
            seen.extend(page.into_iter().map(|player| player.as_str().to_owned()));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
        assert!(seen.iter().all(|name| !name.starts_with("late")));
        let fold = plain.0;
        let rest = fold.next_rows(&mut mark, &fold.end(), 1000).remove(&all_time(&fold)).unwrap();
        let late = rest.iter().filter(|player| player.as_str().starts_with("late"));
        assert_eq!(late.count(), fold.rows() - 100);
    }

    #[test]
    fn ids_go_with_the_slowest_partition() {
        let mut plain = plain();
        plain.0.begin([0, 1].into_iter());
        add(&mut plain, "a", place(0, 0));
        plain.0.reach(0, Some(0));
        plain.0.reach(0, Some(30));
        assert_eq!(plain.0.ids(), 1, "partition 1 may still ask for it");
        plain.0.reach(1, Some(KEPT_DAYS));
        assert_eq!(plain.0.ids(), 1);
        plain.0.reach(1, Some(KEPT_DAYS + 1));
        assert_eq!(plain.0.ids(), 0);
        add(&mut plain, "a", place(1, 1));
        let fold = plain.0;
        assert_eq!(fold.unknown(), Some(place(1, 1)));
        assert_eq!(fold.tally(all_time(&fold), "a").unwrap().total(&fold.boards[0]), 1);
    }

    #[test]
    fn ids_are_seen_in_windows_that_are_gone_and_not_on_boards_there_is_no_room_for() {
        let text = "[[board]]\nname = \"a\"\n[[board]]\nname = \"b\"\nwindows = [\"hour\"]\ngrace = \"0s\"\n\
                    match = { team = \"{team}\" }";
        let boards = BoardSet::parse(text).unwrap();
        let arrived_at = EventTime::parse_iso("2026-11-21T12:30:00Z", "t").unwrap();
        let coverage = Coverage {
            listed: HashSet::new(),
            kept: HashSet::new(),
            values: Some(["reds".into()].into()),
            now: EventTime::parse_iso("2026-11-21T13:30:00Z", "t").unwrap(),
        };
        let (fold, mut reader) = (Fold::new(&boards, 1, coverage), Reader::new(&boards));
        // The hour from 11 to 12 is gone at 13, the next one at 14.
        let events = [("a", "blues", 12), ("a", "reds", 12), ("b", "reds", 11), ("b", "reds", 12)];
        for ((player, team, hour), offset) in events.into_iter().zip(0..) {
            let text = format!(
                r#"{{"score":1,"user_id":"{player}","event_id":"x","created_at":"2026-11-21T{hour}:00:00Z","tags":{{"team":"{team}"}}}}"#
            );
            let event = ScoreEvent::decode(Some(text.as_bytes()), arrived_at).unwrap();
            let place = Place { partition: 0, offset, arrived_at };
            fold.take(&mut reader, Scored { place, event: &event, forgotten: None });
        }
        assert_eq!((fold.rows(), fold.ids()), (1, 2), "b's event counted in the hour that is gone");
        assert_eq!(fold.views().left_out(), (1, 1));
    }
}
