//! The names of the keys (a contract: people query them).

/// The sorted set of a board is its name. Keys in braces hash to the same slot.
pub(crate) fn offsets(board: &str) -> String {
    format!("{{{board}}}:offsets")
}

pub(crate) fn state(board: &str) -> String {
    format!("{{{board}}}:state")
}

pub(crate) fn rebuild(board: &str) -> String {
    format!("{{{board}}}:rebuild")
}

pub(crate) fn targets(board: &str) -> String {
    format!("{{{board}}}:targets")
}

pub(crate) fn lease(board: &str) -> String {
    format!("{{{board}}}:lease")
}

pub(crate) fn ids(board: &str, begun: u64, day: i64) -> String {
    format!("{{{board}}}:ids:{begun}:{day}")
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
