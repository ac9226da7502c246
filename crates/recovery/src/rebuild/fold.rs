//! What the archive's events come to on one board, in memory: about as much of it as the board has
//! in Redis. Windows that have left Redis are left out.

use archive_store::KeptWindow;
use board_store::NameChange;
use boards::changes::day_of;
use boards::{Arrival, BoardSet, Change, Effect, View, Window, WindowCache};
use contracts::{EventTime, PlayerId, ScoreEvent};
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
    gone: Gone,
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

/// The windows of a board that have left Redis and are kept in the archive: they are not made again.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// By the window's id, the values; '' where the board is not per value.
    values: HashMap<Box<str>, HashSet<Box<str>>>,
}

impl Gone {
    pub(super) fn of(boards: &BoardSet, index: usize, kept: &[KeptWindow], now: EventTime) -> Self {
        let board = &boards[index];
        let (usual, _) = board.usual_window(now);
        let mut gone = Self::default();
        for KeptWindow { board: name, window: id, start, end } in kept {
            let Some((_, value)) = boards.find(name).filter(|(of, _)| *of == index) else { continue };
            // Standings of a window that has other bounds by now are another's.
            let window = board.window_of_id(id).filter(|window| (window.start, window.end) == (*start, *end));
            let is_gone =
                |window: &Window| window.id != usual.id && board.gone_at(window).is_some_and(|at| at <= now);
            if let Some(window) = window.filter(is_gone) {
                gone.values.entry(window.id).or_default().insert(value.unwrap_or_default().into());
            }
        }
        gone
    }

    fn has(&self, window: &Window, value: Option<&str>) -> bool {
        self.values.get(&window.id).is_some_and(|values| values.contains(value.unwrap_or_default()))
    }
}

/// What the events came to.
pub(super) struct Folded {
    pub(super) views: Vec<(View, Vec<(PlayerId, Change)>)>,
    /// Those that a board still keeps, by the UTC day of their arrival.
    pub(super) ids: Vec<(i64, Vec<Id>)>,
    pub(super) names: Vec<NameChange>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(boards: &'a BoardSet, index: usize, gone: Gone) -> Self {
        Self {
            boards,
            index,
            windows: WindowCache::new(boards),
            gone,
            views: HashMap::new(),
            values: HashSet::new(),
            ids: BTreeMap::new(),
            names: HashMap::new(),
        }
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, mut event: ScoreEvent, arrival: Arrival) {
        let Self { boards, index, windows, gone, views, values, ids, names } = self;
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
        boards.visit_effects_on(*index, &event, arrival, windows, |effect| {
            let Effect::Counts { value, windows, change, .. } = effect else { return };
            let new_value = value.filter(|value| !values.contains(*value));
            if new_value.is_some() && values.len() >= max_values {
                return;
            }
            if event.event_id.as_ref().is_some_and(|id| !is_first(ids, &event.player, id, arrival)) {
                return;
            }
            values.extend(new_value.map(Into::into));
            for window in windows.iter().filter(|window| !gone.has(window, value)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_are_gone_and_kept_are_not_made_again_though_their_ids_are_known() {
        let text = "[[board]]\nname = \"b\"\nwindows = [\"all\", \"day\"]\nallowed_lateness = \"0s\"\n\
                    grace = \"1d\"";
        let boards = BoardSet::parse(text).unwrap();
        let board = boards.default_board();
        let at = |text: &str| EventTime::parse_iso(text, "t").unwrap();
        let kept = |board_name: &str, id: &str| {
            let window = board.window_of_id(id).unwrap();
            KeptWindow {
                board: board_name.to_owned(),
                window: id.to_owned(),
                start: window.start,
                end: window.end,
            }
        };
        let days = ["2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"];
        let mut kept = [kept("b", days[0]), kept("other", days[1]), kept("b", days[2]), kept("b", days[3])];
        kept[2].end = at("2026-11-20T01:00:00Z");
        // The last of them is over for less than its grace.
        let gone = Gone::of(&boards, 0, &kept, at("2026-11-21T12:00:00Z"));
        let mut fold = Fold::new(&boards, 0, gone);
        for (offset, day) in (0..).zip(days) {
            let event =
                format!(r#"{{"score":1,"user_id":"p","event_id":"{day}","created_at":"{day}T10:00:00Z"}}"#);
            let arrived_at = at(&format!("{day}T10:00:00Z"));
            let event = ScoreEvent::decode(Some(event.as_bytes()), arrived_at).unwrap();
            fold.take(event, Arrival { at: arrived_at, partition: 0, offset });
        }
        let Folded { views, ids, .. } = fold.end();
        let mut made: Vec<String> = views.iter().map(|(view, _)| view.window.id.to_string()).collect();
        made.sort();
        assert_eq!(made, [&days[1..], &["all"]].concat());
        assert_eq!(ids.len(), 4);
    }
}
