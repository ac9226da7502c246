//! Every error that a client sees: `application/problem+json` (RFC 9457).

use crate::access::whole_seconds;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;
use utoipa::{IntoResponses, ToSchema};

/// What was wrong (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "only described")]
pub(crate) struct Described {
    /// What it is: clients decide by this.
    #[schema(rename = "type", example = "/problems/invalid-parameter")]
    kind: String,
    /// The same in words.
    title: String,
    /// The answer's status.
    status: u16,
    /// What was wrong this time.
    detail: String,
    /// The parameter, header or member at fault, where there is one.
    #[schema(nullable = false)]
    field: Option<String>,
    /// Where a write failed for now: whether it may count all the same.
    #[schema(nullable = false)]
    may_have_been_taken: Option<bool>,
    /// Where all events of a write were rejected: each, and why.
    #[schema(nullable = false)]
    rejected: Option<Vec<crate::writes::Rejected>>,
}

/// What may be wrong with any read.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum ReadProblems {
    /// A parameter is not valid: `field` names it.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(#[to_schema] Described),
    /// The API key is not known, or one is needed and none was given.
    #[response(status = 401, content_type = "application/problem+json")]
    Key(#[to_schema] Described),
    /// The API key may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Role(#[to_schema] Described),
    /// There is no such path, board or player.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(#[to_schema] Described),
    /// The key or the address asks more often than it may; `Retry-After` says when to go on.
    #[response(status = 429, content_type = "application/problem+json")]
    TooOften(#[to_schema] Described),
    /// For the moment it cannot be answered; `Retry-After` says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Passing(#[to_schema] Described),
}

/// What may be wrong with any write.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum WriteProblems {
    /// The body or a parameter is not valid. Where all events were rejected, `rejected` says why.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(#[to_schema] Described),
    /// The API key is not known, or none was given.
    #[response(status = 401, content_type = "application/problem+json")]
    Key(#[to_schema] Described),
    /// The API key may not write, or the page's origin may not.
    #[response(status = 403, content_type = "application/problem+json")]
    Role(#[to_schema] Described),
    /// The body did not come in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(#[to_schema] Described),
    /// The body is too large, or brings too many events.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Described),
    /// The body is not announced as `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(#[to_schema] Described),
    /// The key or the address writes more often than it may; `Retry-After` says when to go on.
    #[response(status = 429, content_type = "application/problem+json")]
    TooOften(#[to_schema] Described),
    /// Kafka did not acknowledge it, or too much is in work. `may_have_been_taken` says whether it
    /// may count all the same: then only a retry with the same `Idempotency-Key` counts once.
    #[response(status = 503, content_type = "application/problem+json")]
    Passing(#[to_schema] Described),
}

/// The kinds of problem. Their slugs are part of the API: clients decide by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidParameter,
    InvalidBody,
    AllRejected,
    KeyNeeded,
    KeyUnknown,
    RoleTooLow,
    OriginNotAllowed,
    UnknownPath,
    UnknownBoard,
    UnknownPlayer,
    MethodNotAllowed,
    BodyTooSlow,
    KeyReused,
    WriteInWork,
    BodyTooLarge,
    NotJson,
    UpgradeRequired,
    RateLimited,
    Internal,
    TooManyViewers,
    TooManyRequests,
    TimedOut,
    BoardUnavailable,
    BoardRebuilding,
    TooManyWrites,
    NotAcknowledged,
}

/// What a kind always says.
struct About {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    retry_after_seconds: Option<u16>,
}

impl Kind {
    fn about(self) -> About {
        let lasting = |status, slug, title| About { status, slug, title, retry_after_seconds: None };
        let passing = |slug, title, seconds| About {
            status: StatusCode::SERVICE_UNAVAILABLE,
            slug,
            title,
            retry_after_seconds: Some(seconds),
        };
        match self {
            Self::InvalidParameter => {
                lasting(StatusCode::BAD_REQUEST, "invalid-parameter", "A parameter is not valid")
            }
            Self::InvalidBody => {
                lasting(StatusCode::BAD_REQUEST, "invalid-body", "The body is not understood")
            }
            Self::AllRejected => {
                lasting(StatusCode::BAD_REQUEST, "all-rejected", "None of the events can count")
            }
            Self::KeyNeeded => lasting(StatusCode::UNAUTHORIZED, "key-needed", "An API key is needed"),
            Self::KeyUnknown => lasting(StatusCode::UNAUTHORIZED, "key-unknown", "The API key is not known"),
            Self::RoleTooLow => lasting(StatusCode::FORBIDDEN, "role-too-low", "The API key may not do this"),
            Self::OriginNotAllowed => {
                lasting(StatusCode::FORBIDDEN, "origin-not-allowed", "Pages of this origin may not connect")
            }
            Self::UnknownPath => lasting(StatusCode::NOT_FOUND, "unknown-path", "There is nothing here"),
            Self::UnknownBoard => lasting(StatusCode::NOT_FOUND, "unknown-board", "There is no such board"),
            Self::UnknownPlayer => {
                lasting(StatusCode::NOT_FOUND, "unknown-player", "The player is not on the board")
            }
            Self::MethodNotAllowed => {
                lasting(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method")
            }
            Self::BodyTooSlow => {
                lasting(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body took too long")
            }
            Self::KeyReused => lasting(
                StatusCode::CONFLICT,
                "idempotency-key-reused",
                "The Idempotency-Key stands for another body",
            ),
            Self::WriteInWork => About {
                retry_after_seconds: Some(1),
                ..lasting(StatusCode::CONFLICT, "write-in-work", "The write is being done")
            },
            Self::BodyTooLarge => {
                lasting(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            }
            Self::NotJson => lasting(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "The body must come as application/json",
            ),
            Self::UpgradeRequired => {
                lasting(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "This path is a websocket")
            }
            Self::RateLimited => About {
                retry_after_seconds: Some(1),
                ..lasting(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests a second")
            },
            Self::Internal => {
                lasting(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong on our side")
            }
            Self::TooManyViewers => passing("too-many-viewers", "All seats are taken", 5),
            Self::TooManyRequests => passing("too-many-requests", "Too much is in work", 1),
            Self::TimedOut => passing("timed-out", "The answer took too long", 1),
            Self::BoardUnavailable => passing("board-unavailable", "The board cannot be read now", 1),
            Self::BoardRebuilding => passing("board-rebuilding", "The board is being rebuilt", 1),
            Self::TooManyWrites => passing("too-many-writes", "Too many events wait for Kafka", 1),
            Self::NotAcknowledged => passing("not-acknowledged", "Kafka has not acknowledged it", 2),
        }
    }
}

/// An answer that says what was wrong, and with which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    pub(crate) field: Option<String>,
    /// When to come back, where its kind alone does not know.
    retry_after: Option<Duration>,
    /// Further members of the answer.
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), field: None, retry_after: None, more: Map::new() }
    }

    /// `what` follows the field's name: "`limit` must be …".
    pub(crate) fn of_field(field: &str, what: impl std::fmt::Display) -> Self {
        let detail = format!("`{field}` {what}");
        Self { field: Some(field.to_owned()), ..Self::new(Kind::InvalidParameter, detail) }
    }

    /// The same, to be tried again after `wait`.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The same with a further member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let About { status, slug, title, retry_after_seconds } = self.kind.about();
        let mut body = json!({
            "type": format!("/problems/{slug}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        for (name, value) in self.more {
            body[name] = value;
        }
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        let wait = self.retry_after.map(whole_seconds).or(retry_after_seconds.map(u64::from));
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::UpgradeRequired {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> Value {
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn problem_names_type_status_and_field() {
        let response = Problem::of_field("limit", "must be a whole number").into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            body(response).await,
            json!({
                "type": "/problems/invalid-parameter",
                "title": "A parameter is not valid",
                "status": 400,
                "detail": "`limit` must be a whole number",
                "field": "limit",
            })
        );
    }

    #[tokio::test]
    async fn passing_problem_says_when_to_come_back() {
        let response = Problem::new(Kind::TooManyViewers, "full").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert!(body(response).await.get("field").is_none());
    }
}
