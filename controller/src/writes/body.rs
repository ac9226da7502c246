//! A body of JSON: announced as such, within its size, and in time.

use crate::problem::{Kind, Problem};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

/// How long a body may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(5);

/// The bytes of such a body, not yet looked at.
pub(super) struct JsonBody(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Kind::NotJson, "`Content-Type` must be application/json"));
        }
        let late = |_| Problem::new(Kind::BodyTooSlow, format!("it did not come within {BODY_LIMIT:?}"));
        let read = timeout(BODY_LIMIT, Bytes::from_request(request, state)).await.map_err(late)?;
        read.map(Self).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::BodyTooLarge, "it is larger than is taken"),
            _ => Problem::new(Kind::InvalidBody, "it broke off"),
        })
    }
}

/// Pages of other sites can send only what is not announced as JSON without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_announced_as_json_is() {
        for (kind, is) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
            ("text/plain; application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_json(&headers), is, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
