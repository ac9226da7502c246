//! The names of the keys (a contract: people query them). `scripts/keys.lua` makes the same ones.

use boards::windows::ALL;
use boards::{Board, View};
use std::borrow::Cow;

pub(crate) fn offsets(board: &str) -> String {
    format!("{{{board}}}:offsets")
}

pub(crate) fn state(board: &str) -> String {
    format!("{{{board}}}:state")
}

/// The names of the views that are there beside that of all players for all time.
pub(crate) fn views(board: &str) -> String {
    format!("{{{board}}}:views")
}

/// The values that have a board.
pub(crate) fn values(board: &str) -> String {
    format!("{{{board}}}:values")
}

/// There for as long as someone fills the board from the archive.
pub(crate) fn lease(board: &str) -> String {
    format!("{{{board}}}:lease")
}

/// Which event is each player's newest in a view, on a board of last scores.
pub(crate) fn newest(board: &str, view: &str) -> String {
    beside(board, "newest", view)
}

/// The sorted set of a view: that of all players for all time is the board's name. Keys in braces
/// hash to the same slot as what is within.
pub(crate) fn set<'b>(board: &'b str, view: &str) -> Cow<'b, str> {
    if view.is_empty() { Cow::Borrowed(board) } else { Cow::Owned(format!("{{{board}}}:{view}")) }
}

/// The totals that there are in a view, on a board that keeps dense ranks.
pub(crate) fn totals(board: &str, view: &str) -> String {
    beside(board, "totals", view)
}

fn beside(board: &str, what: &str, view: &str) -> String {
    let colon = if view.is_empty() { "" } else { ":" };
    format!("{{{board}}}:{what}{colon}{view}")
}

/// The sorted set of a view (a contract): its members are the players, its scores the doubles of
/// `boards::order`, best first when read backwards.
#[must_use]
pub fn sorted_set<'b>(board: &'b str, view: &View) -> Cow<'b, str> {
    set(board, &self::view(view.value.as_deref(), &view.window.id))
}

/// What a view is called in keys: `w:<window>`, `v:<value>`, `v:<value>:w:<window>`; the view of
/// all players for all time has no name.
pub(crate) fn view(value: Option<&str>, window: &str) -> String {
    let value = value.map(|value| format!("v:{}", value.replace('%', "%25").replace(':', "%3A")));
    let window = (window != ALL).then(|| format!("w:{window}"));
    value.into_iter().chain(window).collect::<Vec<_>>().join(":")
}

/// The view of that name; `None` when the board keeps none that is called so.
pub(crate) fn view_of_name(board: &Board, name: &str) -> Option<View> {
    let (value, window) = match name.strip_prefix("v:") {
        None => (None, name),
        Some(rest) => {
            let (value, window) = rest.split_once(':').unwrap_or((rest, ""));
            (Some(value.replace("%3A", ":").replace("%25", "%")), window)
        }
    };
    let window = if window.is_empty() { ALL } else { window.strip_prefix("w:")? };
    let window = board.window_of_id(window)?;
    (value.is_some() == board.per_value.is_some())
        .then(|| View { value: value.map(Into::into), window: window.into() })
}

/// What stands in a set of event ids.
pub(crate) fn id(player: &contracts::PlayerId, event_id: &str) -> String {
    format!("{player}\n{event_id}")
}

pub(crate) fn player(id: &str) -> String {
    format!("player:{id}")
}

pub(crate) fn idempotency(write: &str) -> String {
    format!("idempotency:{write}")
}

pub(crate) fn cache(board: &str) -> String {
    format!("{board}-cache")
}
