//! What the archive's events come to on one board, in memory: about as much of it as the board has
//! in Redis.

use board_store::NameChange;
use boards::changes::day_of;
use boards::{Arrival, BoardSet, Change, Effect, View, Window, WindowCache};
use contracts::{PlayerId, ScoreEvent};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// For how many days before the newest the event ids are poured: as long as a board keeps them.
const ID_DAYS: i64 = 3;

type Players = HashMap<PlayerId, Change>;
/// An event id: it is one among those of its player.
type Id = (PlayerId, Box<str>);

/// A board in the making. Events come by their day of arrival.
pub(super) struct Fold<'a> {
    boards: &'a BoardSet,
    /// Which of them is made.
    index: usize,
    windows: WindowCache,
    /// By the window's id.
    views: HashMap<Box<str>, OfWindow>,
    /// The values that have a board.
    values: HashSet<Box<str>>,
    /// By the UTC day of their arrival.
    ids: BTreeMap<i64, HashSet<Id>>,
    names: HashMap<PlayerId, NameChange>,
}

struct OfWindow {
    window: Arc<Window>,
    /// Where the board is not per value.
    whole: Players,
    by_value: HashMap<Box<str>, Players>,
}

/// What the events came to.
pub(super) struct Folded {
    pub(super) views: Vec<(View, Vec<(PlayerId, Change)>)>,
    /// Those that a board still keeps, by the UTC day of their arrival.
    pub(super) ids: Vec<(i64, Vec<Id>)>,
    pub(super) names: Vec<NameChange>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(boards: &'a BoardSet, index: usize) -> Self {
        Self {
            boards,
            index,
            windows: WindowCache::new(boards),
            views: HashMap::new(),
            values: HashSet::new(),
            ids: BTreeMap::new(),
            names: HashMap::new(),
        }
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, mut event: ScoreEvent, arrival: Arrival) {
        let Self { boards, index, windows, views, values, ids, names } = self;
        if let Some(nickname) = event.nickname.take() {
            let given_ms = arrival.at.micros().div_euclid(1000);
            let newer = names.get(&event.player).is_none_or(|known| known.given_ms <= given_ms);
            if newer {
                let player = event.player.clone();
                names.insert(player.clone(), NameChange { player, nickname: Some(nickname), given_ms });
            }
        }
        let board = &boards[*index];
        let max_values = board.per_value.as_ref().map_or(0, |per_value| per_value.max_values);
        // Whether it counts at all is decided in the first view that it would count in.
        let mut counts = None;
        boards.visit_effects_on(*index, &event, arrival, windows, |effect| {
            let Effect::Counts { value, window, change, .. } = effect else { return };
            let counts = *counts.get_or_insert_with(|| {
                let is_new = value.is_some_and(|value| !values.contains(value));
                if is_new && values.len() >= max_values {
                    return false;
                }
                let counts =
                    event.event_id.as_ref().is_none_or(|id| is_first(ids, &event.player, id, arrival));
                if counts && is_new {
                    values.extend(value.map(Into::into));
                }
                counts
            });
            if !counts {
                return;
            }
            let of_window = match views.get_mut(&window.id) {
                Some(of_window) => of_window,
                None => views.entry(window.id.clone()).or_insert_with(|| OfWindow {
                    window: Arc::clone(window),
                    whole: Players::new(),
                    by_value: HashMap::new(),
                }),
            };
            let players = match value {
                None => &mut of_window.whole,
                Some(value) => match of_window.by_value.get_mut(value) {
                    Some(players) => players,
                    None => of_window.by_value.entry(value.into()).or_default(),
                },
            };
            if let Some(stands) = players.get_mut(&event.player) {
                *stands = stands.merge(change).settled(board.max_total_units);
            } else {
                players.insert(event.player.clone(), change.settled(board.max_total_units));
            }
        });
    }

    /// What they came to.
    pub(super) fn end(self) -> Folded {
        let views = self.views.into_values().flat_map(|OfWindow { window, whole, by_value }| {
            let whole = (!whole.is_empty()).then_some((None, whole));
            let by_value = by_value.into_iter().map(|(value, players)| (Some(value), players));
            whole.into_iter().chain(by_value).map(move |(value, players)| {
                (View { value, window: Arc::clone(&window) }, players.into_iter().collect())
            })
        });
        Folded {
            views: views.collect(),
            ids: self.ids.into_iter().map(|(day, ids)| (day, ids.into_iter().collect())).collect(),
            names: self.names.into_values().collect(),
        }
    }
}

/// Whether an id counts. It does not when it came before from the same player on that UTC day of
/// arrival or the one before; ids of days that matter no more are forgotten.
fn is_first(
    ids: &mut BTreeMap<i64, HashSet<Id>>,
    player: &PlayerId,
    event_id: &str,
    arrival: Arrival,
) -> bool {
    let day = day_of(arrival.at);
    if !ids.contains_key(&day) {
        ids.retain(|known, _| *known >= day - ID_DAYS);
    }
    let id = (player.clone(), Box::from(event_id));
    let seen = ids.get(&(day - 1)).is_some_and(|ids| ids.contains(&id));
    ids.entry(day).or_default().insert(id) && !seen
}
