//! Every error that a client sees: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The kinds of problem. Their slugs are part of the API: clients decide by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidParameter,
    OriginNotAllowed,
    UnknownPath,
    UnknownBoard,
    UnknownPlayer,
    MethodNotAllowed,
    BodyTooLarge,
    UpgradeRequired,
    Internal,
    RankUnknown,
    TooManyViewers,
    TooManyRequests,
    TimedOut,
    BoardUnavailable,
    BoardRebuilding,
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
            Self::BodyTooLarge => {
                lasting(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            }
            Self::UpgradeRequired => {
                lasting(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "This path is a websocket")
            }
            Self::RankUnknown => {
                lasting(StatusCode::UNPROCESSABLE_ENTITY, "rank-unknown", "The rank is not known")
            }
            Self::Internal => {
                lasting(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong on our side")
            }
            Self::TooManyViewers => passing("too-many-viewers", "All seats are taken", 5),
            Self::TooManyRequests => passing("too-many-requests", "Too much is in work", 1),
            Self::TimedOut => passing("timed-out", "The answer took too long", 1),
            Self::BoardUnavailable => passing("board-unavailable", "The board cannot be read now", 1),
            Self::BoardRebuilding => passing("board-rebuilding", "The board is being rebuilt", 1),
        }
    }
}

/// An answer that says what was wrong, and with which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    pub(crate) field: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), field: None }
    }

    /// `what` follows the field's name: "`limit` must be …".
    pub(crate) fn of_field(field: &str, what: impl std::fmt::Display) -> Self {
        let detail = format!("`{field}` {what}");
        Self { kind: Kind::InvalidParameter, detail, field: Some(field.to_owned()) }
    }
}

/// What a problem looks like to clients.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// `/problems/` and the kind; decide by this.
    #[schema(example = "/problems/invalid-parameter")]
    r#type: String,
    /// What the kind always says.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: String,
    /// The parameter, header or member that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl From<Problem> for ProblemBody {
    fn from(problem: Problem) -> Self {
        let Problem { kind, detail, field } = problem;
        let About { status, slug, title, .. } = kind.about();
        Self { r#type: format!("/problems/{slug}"), title, status: status.as_u16(), detail, field }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let About { status, retry_after_seconds, .. } = self.kind.about();
        let upgrade = self.kind == Kind::UpgradeRequired;
        let body = Json(ProblemBody::from(self));
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if upgrade {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
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
