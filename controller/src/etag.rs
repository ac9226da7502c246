//! Entity tags (RFC 9110): whoever has an answer already gets 304 and no body.

use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use std::convert::Infallible;

/// What the client says it has.
pub(crate) struct IfNoneMatch(Option<HeaderValue>);

impl IfNoneMatch {
    /// The body, unless the client has what the tag stands for. Clients keep it, but ask for it
    /// anew each time: what is newer shows at once.
    pub(crate) fn answer(&self, tag: HeaderValue, content_type: HeaderValue, body: Bytes) -> Response {
        let known = self.lists(&tag);
        let kept = [(ETAG, tag), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        if known {
            return (StatusCode::NOT_MODIFIED, kept).into_response();
        }
        (kept, [(CONTENT_TYPE, content_type)], body).into_response()
    }

    fn lists(&self, tag: &HeaderValue) -> bool {
        let texts = self.0.as_ref().and_then(|asked| asked.to_str().ok()).zip(tag.to_str().ok());
        texts.is_some_and(|(asked, tag)| lists(asked, tag))
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(IF_NONE_MATCH).cloned()))
    }
}

/// A tag of the first half of a hash.
pub(crate) fn of_hash(hash: &[u8; 32]) -> HeaderValue {
    let digits: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{digits}\"")).expect("digits are fit for a header")
}

/// Whether an `If-None-Match` names the tag (compared without regard to `W/`).
fn lists(asked: &str, tag: &str) -> bool {
    let mut tags = asked.split(',').map(|item| item.trim().trim_start_matches("W/"));
    asked.trim() == "*" || tags.any(|item| item == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_is_found_in_any_form_of_the_list() {
        let tag = of_hash(&[0xab; 32]);
        let tag = tag.to_str().unwrap();
        assert_eq!(tag, format!("\"{}\"", "ab".repeat(16)));
        for asked in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert!(lists(&asked, tag), "{asked}");
        }
        for asked in ["", "\"x\"", "abab"] {
            assert!(!lists(asked, tag), "{asked}");
        }
    }
}
