//! Which pages may open a websocket, and read and write. Browsers let any page open one, and send
//! along where it is from.

use axum::http::{HeaderMap, header};
use std::str::FromStr;

/// The origins, besides our own, whose pages may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every page of every site.
    Any,
    /// The pages of these origins, in lower case, as `scheme://host[:port]`.
    Listed(Vec<String>),
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let origins = entries.map(|entry| {
            let origin = entry.strip_suffix('/').unwrap_or(entry).to_ascii_lowercase();
            match host_of(&origin) {
                Some(host) if !host.is_empty() && !host.contains(['/', '*', '@']) => Ok(origin),
                _ => Err(format!("`{entry}` is not of the form https://host[:port]")),
            }
        });
        origins.collect::<Result<_, _>>().map(Self::Listed)
    }
}

impl Origins {
    /// Whether the sender of these headers may connect. Programs send no origin and may.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        if matches!(self, Self::Any) || !headers.contains_key(header::ORIGIN) {
            return true;
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = text(header::ORIGIN) else { return false };
        let origin = origin.to_ascii_lowercase();
        let is_own = match (host_of(&origin), text(header::HOST)) {
            (Some(from), Some(to)) => from.eq_ignore_ascii_case(to),
            _ => false,
        };
        is_own || matches!(self, Self::Listed(listed) if listed.contains(&origin))
    }
}

/// `host[:port]` of an origin. A page without one, such as a file, says `null`.
fn host_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &str, origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        origins.parse::<Origins>().unwrap().allow(&headers)
    }

    #[test]
    fn our_own_page_and_programs_may_connect() {
        assert!(allowed("", None, "board.example"));
        assert!(allowed("", Some("https://board.example"), "board.example"));
        assert!(allowed("", Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(allowed("", Some("https://Board.Example"), "board.EXAMPLE"));
    }

    #[test]
    fn pages_of_other_sites_may_not_unless_listed() {
        for other in ["https://evil.example", "http://127.0.0.1:8081", "null", "https://board.example.evil"] {
            assert!(!allowed("", Some(other), "board.example"), "{other}");
        }
        let listed = "https://a.example, http://B.example:81/";
        assert!(allowed(listed, Some("https://a.example"), "board.example"));
        assert!(allowed(listed, Some("http://b.example:81"), "board.example"));
        assert!(!allowed(listed, Some("http://a.example"), "board.example"));
        assert!(!allowed(listed, Some("http://b.example"), "board.example"));
        assert!(allowed("*", Some("https://evil.example"), "board.example"));
    }

    #[test]
    fn list_is_checked_at_the_start() {
        for bad in ["example.org", "https://", "https://a/path", "https://*.example.org", "https://a,*"] {
            assert!(bad.parse::<Origins>().is_err(), "{bad}");
        }
    }
}
