//! What the tests have in common.

use boards::{Arrival, Board, BoardSet};
use contracts::{EventTime, PlayerId, ScoreEvent};
use std::collections::BTreeMap;

pub(crate) fn time(text: &str) -> EventTime {
    EventTime::parse_iso(text, "t").unwrap()
}

pub(crate) fn boards(text: &str) -> BoardSet {
    BoardSet::parse(text).unwrap()
}

/// One board with these members besides its name, `b`.
pub(crate) fn board(members: &str) -> Board {
    boards(&format!("[[board]]\nname = \"b\"\n{members}")).default_board().clone()
}

pub(crate) fn event(player: &str, score: &str, created_at: &str) -> ScoreEvent {
    let payload = format!(r#"{{"user_id":"{player}","score":{score},"created_at":"{created_at}"}}"#);
    ScoreEvent::decode(Some(payload.as_bytes()), EventTime::MAX).unwrap()
}

pub(crate) fn tagged(event: ScoreEvent, tags: &[(&str, &str)]) -> ScoreEvent {
    let tags: BTreeMap<String, String> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ScoreEvent { tags, ..event }
}

pub(crate) fn with_id(event: ScoreEvent, id: &str) -> ScoreEvent {
    ScoreEvent { event_id: Some(id.into()), ..event }
}

pub(crate) fn arrival(at: &str) -> Arrival {
    Arrival { at: time(at), partition: 0, offset: 0 }
}

pub(crate) fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}
