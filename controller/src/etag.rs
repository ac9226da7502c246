//! Entity tags (RFC 9110): whoever has an answer already gets 304 and no body.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::IF_NONE_MATCH;
use axum::http::request::Parts;
use std::convert::Infallible;

/// What the client says it has.
pub(crate) struct IfNoneMatch(Option<HeaderValue>);

impl IfNoneMatch {
    /// Whether the client has what this tag stands for.
    pub(crate) fn lists(&self, tag: &HeaderValue) -> bool {
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
        let tag = format!("\"{}\"", "ab".repeat(16));
        for asked in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert!(lists(&asked, &tag), "{asked}");
        }
        for asked in ["", "\"x\"", "abab"] {
            assert!(!lists(asked, &tag), "{asked}");
        }
    }
}
