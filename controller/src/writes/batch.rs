//! What a request to send scores asks for, judged as the sinks will judge it. Pure.

use super::idempotency::WriteName;
use crate::problem::{Kind, Problem};
use boards::BoardSet;
use bytes::Bytes;
use contracts::event::{MAX_EVENT_BYTES, with_event_id};
use contracts::{EventTime, PlayerId, Refusal, RefusalClass, ScoreEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// How many events one request may bring.
pub(super) const MAX_EVENTS: usize = 1_000;
/// By how much Kafka's clock may be behind ours. Its clock decides what lies too far in the
/// future, so we decide that as if it were this much earlier.
const CLOCK_MARGIN_SECONDS: i64 = 60;

/// The events of one request.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) accepted: Vec<Accepted>,
    pub(super) rejected: Vec<Rejected>,
}

/// An event that every sink will take.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Accepted {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    pub(super) player: PlayerId,
    /// What goes to Kafka: the client's own bytes, with an id where it gave none.
    pub(super) payload: Bytes,
}

/// An event that no sink would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RejectedEvent)]
pub(crate) struct Rejected {
    /// Its place in the request, from 0.
    index: usize,
    /// The member at fault, where there is one.
    field: Option<String>,
    /// The kind of fault, e.g. `missing_field`.
    class: &'static str,
    /// A sentence for a person.
    reason: String,
}

impl Batch {
    /// Takes the request's body apart. Events without an `event_id` get one by the write's name,
    /// where it has one.
    ///
    /// # Errors
    /// When the body is neither an event nor an array of 1 to [`MAX_EVENTS`] events.
    pub(super) fn read(
        body: &Bytes,
        boards: &BoardSet,
        now: EventTime,
        name: Option<&WriteName>,
    ) -> Result<Self, Problem> {
        let arrives_at = now.saturating_add_seconds(-CLOCK_MARGIN_SECONDS);
        let mut batch = Self { accepted: Vec::new(), rejected: Vec::new() };
        for (index, event) in events(body)?.into_iter().enumerate() {
            // A slice of the body: nothing is copied.
            let payload = body.slice_ref(event.get().as_bytes());
            match judge(payload, boards, arrives_at, || Some(name?.event_id(index))) {
                Ok((player, payload)) => batch.accepted.push(Accepted { index, player, payload }),
                Err(refusal) => batch.rejected.push(Rejected {
                    index,
                    field: refusal.field.map(Into::into),
                    class: refusal.class.as_str(),
                    reason: refusal.message,
                }),
            }
        }
        Ok(batch)
    }

    /// What is said when not one event was accepted.
    pub(super) fn all_rejected(&self) -> Problem {
        Problem::new(Kind::AllRejected, "none of the events can count; `rejected` says why")
            .all_rejected(self.rejected.clone())
    }

    /// How much of the room for events in flight it takes: one for each event, and one for each
    /// further KiB.
    pub(super) fn weight(&self) -> usize {
        self.accepted.iter().map(|event| 1 + event.payload.len() / 1024).sum()
    }
}

/// The events as they stand in the body.
fn events(body: &Bytes) -> Result<Vec<&RawValue>, Problem> {
    let bad = |what: String| Problem::new(Kind::InvalidBody, what);
    let not_json = |error: serde_json::Error| bad(format!("the body is not JSON: {error}"));
    let whole: &RawValue = serde_json::from_slice(body).map_err(not_json)?;
    let events: Vec<&RawValue> = match whole.get().as_bytes().first() {
        Some(b'{') => vec![whole],
        Some(b'[') => serde_json::from_str(whole.get()).map_err(not_json)?,
        _ => return Err(bad("the body must be a score event or an array of them".into())),
    };
    match events.len() {
        0 => Err(bad("the body holds no event".into())),
        1..=MAX_EVENTS => Ok(events),
        many => {
            let detail = format!("the body holds {many} events; at most {MAX_EVENTS} are taken at once");
            Err(Problem::new(Kind::BodyTooLarge, detail))
        }
    }
}

/// The player and the payload of an event that counts, judged by the very bytes that are sent.
fn judge(
    payload: Bytes,
    boards: &BoardSet,
    arrives_at: EventTime,
    id: impl FnOnce() -> Option<String>,
) -> Result<(PlayerId, Bytes), Refusal> {
    let event = ScoreEvent::decode(Some(&payload), arrives_at)?;
    boards.judge(&event, arrives_at)?;
    let Some(id) = event.event_id.is_none().then(id).flatten() else { return Ok((event.player, payload)) };
    let payload = Bytes::from(with_event_id(&payload, &id));
    if payload.len() > MAX_EVENT_BYTES {
        let what =
            format!("with its event id it is {} bytes; at most {MAX_EVENT_BYTES} are allowed", payload.len());
        return Err(Refusal::of_record(RefusalClass::TooLarge, what));
    }
    Ok((event.player, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_795_262_400_000_000;

    fn read(body: impl Into<Bytes>, name: Option<&WriteName>) -> Result<Batch, Problem> {
        Batch::read(&body.into(), &BoardSet::default(), EventTime::from_micros(NOW).unwrap(), name)
    }

    fn payloads(batch: &Batch) -> Vec<&str> {
        batch.accepted.iter().map(|event| std::str::from_utf8(&event.payload).unwrap()).collect()
    }

    #[test]
    fn one_event_or_many_keep_their_bytes() {
        let one = r#" { "score":5 , "user_id":42,"x":[1.50] } "#;
        assert_eq!(payloads(&read(one, None).unwrap()), [one.trim()]);
        let many = r#"[{"score":1,"user_id":"a"} ,  {"score":2,"user_id":"b","event_id":"e"}]"#;
        let batch = read(many, None).unwrap();
        assert_eq!(
            payloads(&batch),
            [r#"{"score":1,"user_id":"a"}"#, r#"{"score":2,"user_id":"b","event_id":"e"}"#]
        );
        assert_eq!((batch.accepted[1].index, batch.accepted[1].player.as_str()), (1, "b"));
        assert_eq!(batch.weight(), 2);
    }

    #[test]
    fn events_of_a_named_write_get_ids_by_their_place_unless_they_have_one() {
        let name = WriteName::new("game", "k-1");
        let body = r#"[{"score":1,"user_id":1},{"score":"x"},{"score":2,"user_id":2,"event_id":"e"},{"score":3,"user_id":1}]"#;
        let batch = read(body, Some(&name)).unwrap();
        let ids: Vec<_> = batch
            .accepted
            .iter()
            .map(|event| {
                ScoreEvent::decode(Some(&event.payload), EventTime::UNIX_EPOCH).unwrap().event_id.unwrap()
            })
            .collect();
        assert_eq!(&*ids[1], "e");
        assert_eq!((&*ids[0], &*ids[2]), (name.event_id(0).as_str(), name.event_id(3).as_str()));
        assert_eq!(payloads(&read(body, Some(&name)).unwrap()), payloads(&batch), "the same on every retry");
    }

    #[test]
    fn what_is_refused_is_named_and_the_rest_goes_on() {
        let batch = read(
            r#"[{"score":1,"user_id":1},{"user_id":2},7,{"score":1.5,"user_id":3},{"score":9,"user_id":4}]"#,
            None,
        )
        .unwrap();
        assert_eq!(batch.accepted.iter().map(|event| event.index).collect::<Vec<_>>(), [0, 4]);
        assert_eq!(
            serde_json::to_value(&batch.rejected).unwrap(),
            json!([
                { "index": 1, "field": "score", "class": "missing_field", "reason": "`score` is missing" },
                { "index": 2, "field": null, "class": "not_an_object", "reason": "the record must be a JSON object" },
                { "index": 3, "field": "score", "class": "too_precise",
                  "reason": "`score` is 1.5; board game-score keeps 0 decimals" },
            ])
        );
    }

    #[test]
    fn bodies_that_are_not_events_are_refused_whole() {
        for (body, kind) in [
            ("", Kind::InvalidBody),
            ("[]", Kind::InvalidBody),
            ("5", Kind::InvalidBody),
            ("null", Kind::InvalidBody),
            ("\"text\"", Kind::InvalidBody),
            ("{\"score\":1", Kind::InvalidBody),
            ("{} {}", Kind::InvalidBody),
            ("[{}", Kind::InvalidBody),
        ] {
            assert_eq!(read(body, None).unwrap_err().kind, kind, "{body}");
        }
        assert_eq!(read(&b"{\"x\":\"\xff\"}"[..], None).unwrap_err().kind, Kind::InvalidBody);
        let many = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(read(many(MAX_EVENTS), None).unwrap().rejected.len(), MAX_EVENTS);
        assert_eq!(read(many(MAX_EVENTS + 1), None).unwrap_err().kind, Kind::BodyTooLarge);
    }

    #[test]
    fn deep_nesting_is_refused_without_following_it() {
        let deep = "[".repeat(500_000);
        assert_eq!(read(deep.clone(), None).unwrap_err().kind, Kind::InvalidBody);
        let closed = format!("[{deep}{}]", "]".repeat(500_000));
        assert_eq!(read(closed, None).unwrap().rejected.len(), 1);
        let nested = |depth: usize| {
            let body = format!(r#"{{"score":1,"user_id":1,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
            read(body, None).unwrap().rejected.first().map(|rejected| rejected.class)
        };
        assert_eq!((nested(100), nested(200)), (None, Some("too_deep")));
    }

    #[test]
    fn event_that_its_id_makes_too_large_is_refused() {
        let of = |bytes: usize| {
            let body = format!(r#"{{"score":1,"user_id":1,"x":"{}"}}"#, "x".repeat(bytes));
            let named = read(body.clone(), Some(&WriteName::new("game", "k"))).unwrap();
            (read(body, None).unwrap().accepted.len(), named.accepted.len())
        };
        assert_eq!(of(MAX_EVENT_BYTES - 100), (1, 1));
        assert_eq!(of(MAX_EVENT_BYTES - 40), (1, 0));
    }

    proptest! {
        /// Nothing is accepted that would become a dead letter, also when Kafka's clock is behind.
        #[test]
        fn every_sink_takes_what_is_accepted(
            ahead_seconds in -700i64..700,
            score in "-?[0-9]{1,11}(\\.[0-9])?",
            user in "\"[a\\p{Cc}]{0,3}\"|-?[0-9]{1,3}|null",
            more in prop::sample::select(vec!["", r#","event_id":null"#, r#","event_id":"e""#, r#","nickname":3"#, r#","x":1e999"#]),
            behind_seconds in 0i64..=60,
            named: bool,
        ) {
            let created_at = EventTime::from_micros(NOW + ahead_seconds * 1_000_000).unwrap();
            let body = format!(r#"{{"score":{score},"user_id":{user},"created_at":"{created_at}"{more}}}"#);
            let name = WriteName::new("game", "k");
            let Ok(batch) = read(body, named.then_some(&name)) else { return Ok(()) };
            let stamped = EventTime::from_micros(NOW - behind_seconds * 1_000_000).unwrap();
            for event in &batch.accepted {
                let seen = ScoreEvent::decode(Some(&event.payload), stamped).unwrap();
                prop_assert_eq!(BoardSet::default().judge(&seen, stamped), Ok(()));
                prop_assert_eq!(&seen.player, &event.player);
                prop_assert!(!named || seen.event_id.is_some());
            }
        }
    }
}
