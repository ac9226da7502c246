//! `PUT /v1/players/{id}`.

use super::body::JsonBody;
use super::{Entry, Writes};
use crate::api::parameters::{IdPath, In, player};
use crate::problem::{Kind, Problem, WriteProblems};
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use contracts::topics::PLAYER_PROFILE;
use contracts::{PlayerId, Profile};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// A player's profile.
#[derive(ToSchema)]
#[schema(as = Profile)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only described")]
pub(super) struct NewProfile {
    /// What the player is called from now on: 1 to 128 bytes without control characters.
    #[schema(min_length = 1, max_length = 128)]
    nickname: String,
}

/// Names a player.
///
/// Answers when Kafka has acknowledged it. It may be sent again: the newest name stands. A player
/// who has no score yet has one when the first comes.
#[utoipa::path(put, path = "/v1/players/{id}", tag = "writing", security(("key" = [])),
    params(IdPath),
    request_body(content = NewProfile),
    responses((status = 204, description = "The name is taken"), WriteProblems))]
pub(super) async fn name(
    State(Writes(writes)): State<Writes>,
    In(IdPath { id }): In<IdPath>,
    JsonBody(body): JsonBody,
) -> Result<StatusCode, Problem> {
    let player = player("id", id)?;
    let payload = payload(&player, &body)?;
    let room = writes.room.take(1)?;
    let entry = Entry { key: player.as_str().to_owned(), payload };
    let work = {
        let writes = Arc::clone(&writes);
        async move { writes.append(&PLAYER_PROFILE, vec![entry], room).await }
    };
    writes.answer(work, writes.limits.acknowledged).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The record, judged as the ranker will judge it.
fn payload(player: &PlayerId, body: &Bytes) -> Result<Bytes, Problem> {
    let members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        Problem::new(Kind::InvalidBody, format!("the body is not a JSON object: {error}"))
    })?;
    if let Some(unknown) = members.keys().find(|name| *name != "nickname") {
        return Err(Problem::of_field(unknown, "is not a member of a profile"));
    }
    let nickname = members.get("nickname").filter(|value| !value.is_null());
    let nickname = nickname.ok_or_else(|| Problem::of_field("nickname", "is missing"))?;
    let payload = json!({ "user_id": player, "nickname": nickname }).to_string();
    let refused = |refusal: contracts::Refusal| match refusal.field.as_deref() {
        Some(field) => Problem::of_field(field, refusal.message.trim_start_matches(&format!("`{field}` "))),
        None => Problem::new(Kind::InvalidBody, refusal.message),
    };
    Profile::decode(None, Some(payload.as_bytes())).map_err(refused)?;
    Ok(payload.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(body: &'static str) -> Result<Bytes, Problem> {
        payload(&PlayerId::new("42").unwrap(), &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn profile_is_what_the_ranker_reads() {
        let payload = made(r#"{"nickname":"Zoë \"Z\""}"#).unwrap();
        let profile = Profile::decode(None, Some(&payload)).unwrap();
        assert_eq!((profile.player.as_str(), profile.nickname.as_deref()), ("42", Some("Zoë \"Z\"")));
    }

    #[test]
    fn bad_profiles_name_the_member() {
        let long = format!(r#"{{"nickname":"{}"}}"#, "x".repeat(129)).leak();
        for (body, field) in [
            ("{}", "nickname"),
            (r#"{"nickname":null}"#, "nickname"),
            (r#"{"nickname":""}"#, "nickname"),
            (r#"{"nickname":3}"#, "nickname"),
            (r#"{"nickname":"a\u0000"}"#, "nickname"),
            (long, "nickname"),
            (r#"{"nickname":"Zo","user_id":"7"}"#, "user_id"),
        ] {
            assert_eq!(made(body).unwrap_err().field.as_deref(), Some(field), "{body}");
        }
        for body in ["", "[]", "5", r#"{"nickname":"#, "{} {}"] {
            assert_eq!(made(body).unwrap_err().kind, Kind::InvalidBody, "{body}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!(r#"{{"nickname":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)).leak();
        assert_eq!(made(deep).unwrap_err().kind, Kind::InvalidBody);
    }
}
