//! The full form of the websocket, `GET /v1/boards/{board}/live`: every message says its `type`.
//!
//! First `hello`, with where the board stands; then a `snapshot` whenever there is a newer one. The
//! viewer may say `{"follow":["7","42"]}`, and again to follow others: then it gets `follow` with these
//! players' rows and their neighbours, at once and whenever they change. What is not understood is
//! answered with `error`.

use super::Frame;
use super::feed::NOTHING_SHOWN;
use super::viewer::Form;
use crate::api::follows::{Followed, Following, MAX_EACH};
use crate::api::parameters::player;
use crate::problem::Problem;
use axum::extract::ws::{Message, Utf8Bytes};
use contracts::{PlayerId, Version};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// One viewer of the full form.
pub(super) struct Full {
    board: String,
    /// The newest that the viewer has.
    seen: Option<Version>,
    followed: Arc<Followed>,
    following: Option<Following>,
}

impl Full {
    /// A viewer of `board` that has everything up to `since`.
    pub(super) fn new(board: String, since: Option<Version>, followed: Arc<Followed>) -> Self {
        Self { board, seen: since, followed, following: None }
    }

    fn follow(&mut self, said: &str) -> Result<(), Problem> {
        let players = players(said)?;
        // When that is refused, it goes on following those of before.
        self.following = Some(self.followed.follow(players, self.following.as_ref())?);
        Ok(())
    }
}

impl Form for Full {
    fn greeting(&self, newest: Option<&Frame>) -> Option<Utf8Bytes> {
        let Version { epoch, version } = newest.map_or(NOTHING_SHOWN, Frame::version);
        let hello = json!({"type": "hello", "board": self.board, "epoch": epoch, "version": version});
        Some(hello.to_string().into())
    }

    fn show(&mut self, frame: &Frame) -> Option<Utf8Bytes> {
        if self.seen.is_some_and(|seen| frame.version() <= seen) {
            return None;
        }
        self.seen = None;
        Some(frame.typed())
    }

    fn answer(&mut self, message: &Message) -> Option<Utf8Bytes> {
        let outcome = match message {
            Message::Text(text) => self.follow(text),
            Message::Binary(_) => Err(Problem::of_field("message", "must be text")),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        };
        let Problem { detail, field, .. } = outcome.err()?;
        Some(json!({"type": "error", "field": field, "detail": detail}).to_string().into())
    }

    async fn news(&mut self) -> Utf8Bytes {
        match &mut self.following {
            Some(following) => following.news().await.into(),
            None => std::future::pending().await,
        }
    }
}

/// The players whom a viewer says it follows: each once.
fn players(said: &str) -> Result<Vec<PlayerId>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        follow: Vec<String>,
    }
    let Said { follow } = serde_json::from_str(said).map_err(|error| {
        Problem::of_field("message", format_args!("must be {{\"follow\": [ids as text]}}: {error}"))
    })?;
    if follow.len() > MAX_EACH {
        return Err(Problem::of_field("follow", format_args!("must be at most {MAX_EACH}")));
    }
    let mut players = Vec::with_capacity(follow.len());
    for id in follow {
        let player = player("follow", id)?;
        if !players.contains(&player) {
            players.push(player);
        }
    }
    Ok(players)
}

/// What stands in `?since=`: `epoch.version`.
pub(super) fn since(text: &str) -> Result<Version, Problem> {
    let version = || {
        let (epoch, version) = text.split_once('.')?;
        Some(Version { epoch: epoch.parse().ok()?, version: version.parse().ok()? })
    };
    version().ok_or_else(|| Problem::of_field("since", "must be epoch.version, such as 3.88121"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_player_is_followed_once_and_at_most_twenty_are() {
        let ids =
            |said: &str| players(said).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(ids(r#"{"follow":["7","42","7"]}"#).unwrap(), ["7", "42"]);
        assert_eq!(ids(r#"{"follow":[]}"#).unwrap(), [""; 0]);
        let many = |count: usize| {
            json!({"follow": (0..count).map(|id| id.to_string()).collect::<Vec<_>>()}).to_string()
        };
        assert_eq!(ids(&many(20)).unwrap().len(), 20);
        for (bad, field) in [
            (many(21).as_str(), "follow"),
            (r#"{"follow":[""]}"#, "follow"),
            (r#"{"follow":["a\u0000"]}"#, "follow"),
            (r#"{"follow":[7]}"#, "message"),
            (r#"{"follow":"7"}"#, "message"),
            (r#"{"follow":["7"],"x":1}"#, "message"),
            ("{}", "message"),
            ("", "message"),
            ("hello", "message"),
        ] {
            assert_eq!(ids(bad).unwrap_err().field.as_deref(), Some(field), "{bad}");
        }
    }

    #[test]
    fn since_is_epoch_and_version() {
        assert_eq!(since("3.14"), Ok(Version { epoch: 3, version: 14 }));
        for bad in ["", "3", "3.", ".3", "3-4", "3.4.5", "-1.2", "x.y"] {
            assert_eq!(since(bad).unwrap_err().field.as_deref(), Some("since"), "{bad}");
        }
    }
}
