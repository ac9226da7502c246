//! Every error that a client sees: `application/problem+json` (RFC 9457).

use crate::access::whole_seconds;
use crate::writes::Rejected;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use utoipa::{IntoResponses, ToSchema};

/// What was wrong (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `/problems/` and the kind: clients decide by this.
    #[schema(example = "/problems/invalid-parameter")]
    r#type: String,
    /// What the kind always says.
    title: &'static str,
    /// The answer's status.
    status: u16,
    /// What was wrong this time.
    detail: String,
    /// The parameter, header or member at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// Where a write failed for now: whether it may count all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    may_have_been_taken: Option<bool>,
    /// Where all events of a write were rejected: how many were accepted, which is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    accepted: Option<usize>,
    /// Where all events of a write were rejected: each, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rejected: Option<Vec<Rejected>>,
}

/// What may be wrong with any read.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum ReadProblems {
    /// A parameter is not valid: `field` names it.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(ProblemBody),
    /// The API key is not known, or one is needed and none was given.
    #[response(status = 401, content_type = "application/problem+json")]
    Key(ProblemBody),
    /// The API key may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// There is no such path, board or player, or the window is gone.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
    /// The key or the address asks more often than it may; `Retry-After` says when to go on.
    #[response(status = 429, content_type = "application/problem+json")]
    TooOften(ProblemBody),
    /// For the moment it cannot be answered; `Retry-After` says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Passing(ProblemBody),
}

/// The dense rank is beyond those that are known: `field` names the parameter.
#[derive(IntoResponses)]
#[response(status = 422, content_type = "application/problem+json")]
#[expect(dead_code, reason = "only described")]
pub(crate) struct RankUnknown(ProblemBody);

/// What may be wrong with any write.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum WriteProblems {
    /// The body or a parameter is not valid. Where all events were rejected, `rejected` says why.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(ProblemBody),
    /// The API key is not known, or none was given.
    #[response(status = 401, content_type = "application/problem+json")]
    Key(ProblemBody),
    /// The API key may not write, or the page's origin may not.
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// The body did not come in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(ProblemBody),
    /// The body is too large, or brings too many events.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not announced as `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemBody),
    /// The key or the address writes more often than it may; `Retry-After` says when to go on.
    #[response(status = 429, content_type = "application/problem+json")]
    TooOften(ProblemBody),
    /// Kafka did not acknowledge it, or too much is in work. `may_have_been_taken` says whether it
    /// may count all the same: then only a retry with the same `Idempotency-Key` counts once.
    #[response(status = 503, content_type = "application/problem+json")]
    Passing(ProblemBody),
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
    WindowGone,
    NotLive,
    MethodNotAllowed,
    BodyTooSlow,
    KeyReused,
    WriteInWork,
    RankUnknown,
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
            Self::WindowGone => lasting(StatusCode::NOT_FOUND, "window-gone", "The window is over and gone"),
            Self::NotLive => lasting(StatusCode::NOT_FOUND, "not-live", "The board cannot be watched"),
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
            Self::RankUnknown => {
                lasting(StatusCode::UNPROCESSABLE_ENTITY, "rank-unknown", "The rank is not known")
            }
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
    /// Of a write: whether it may count all the same.
    may_have_been_taken: Option<bool>,
    /// Of a write: its events, none of which can count.
    rejected: Option<Vec<Rejected>>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, detail, field: None, retry_after: None, may_have_been_taken: None, rejected: None }
    }

    /// `what` follows the field's name: "`limit` must be …".
    pub(crate) fn of_field(field: &str, what: impl std::fmt::Display) -> Self {
        Self::new(Kind::InvalidParameter, format!("`{field}` {what}")).about(field)
    }

    /// The same, with the field that is at fault.
    pub(crate) fn about(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// The same, to be tried again after `wait`.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The same of a write, which may count all the same or not.
    pub(crate) fn may_have_been_taken(self, may: bool) -> Self {
        Self { may_have_been_taken: Some(may), ..self }
    }

    /// The same of a write all of whose events were rejected.
    pub(crate) fn all_rejected(self, rejected: Vec<Rejected>) -> Self {
        Self { rejected: Some(rejected), ..self }
    }
}

impl From<Problem> for ProblemBody {
    fn from(problem: Problem) -> Self {
        let Problem { kind, detail, field, retry_after: _, may_have_been_taken, rejected } = problem;
        let About { status, slug, title, .. } = kind.about();
        Self {
            r#type: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail,
            field,
            may_have_been_taken,
            accepted: rejected.as_ref().map(|_| 0),
            rejected,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = self.kind;
        let About { status, retry_after_seconds, .. } = kind.about();
        let wait = self.retry_after.map(whole_seconds).or(retry_after_seconds.map(u64::from));
        let body = Json(ProblemBody::from(self));
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if kind == Kind::UpgradeRequired {
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
    use serde_json::{Value, json};

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
