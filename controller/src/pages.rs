//! The page and its parts, out of the binary.

use crate::etag::{self, IfNoneMatch};
use crate::problem::{Kind, Problem};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

/// A release carries the files; a debug build reads them anew each time.
#[derive(RustEmbed)]
#[folder = "../static"]
#[include = "*.html"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[include = "*.png"]
#[include = "*.woff2"]
#[exclude = "*.test.js"]
#[exclude = "node_modules/*"]
struct Files;

macro_rules! policy {
    ($frame_ancestors:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; ",
            // 'self' covers websockets to the same host and port.
            "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; ",
            "frame-ancestors ",
            $frame_ancestors
        )
    };
}

/// Nobody may frame the page: its button could be clicked by trickery.
const PAGE_POLICY: &str = policy!("'none'");
/// The overlay is there to be framed, and has nothing to click.
const OVERLAY_POLICY: &str = policy!("*");

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(async |asked: IfNoneMatch| page("index.html", PAGE_POLICY, &asked)))
        .route("/overlay", get(async |asked: IfNoneMatch| page("overlay.html", OVERLAY_POLICY, &asked)))
        .route("/static/{*path}", get(part))
}

fn page(path: &str, policy: &'static str, asked: &IfNoneMatch) -> Response {
    let Some(file) = Files::get(path) else { return not_found() };
    let mut response = serve(path, file, asked);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

async fn part(Path(path): Path<String>, asked: IfNoneMatch) -> Response {
    match Files::get(&path) {
        // Pages have their own paths, with their own policies.
        Some(file) if !path.ends_with(".html") => serve(&path, file, &asked),
        _ => not_found(),
    }
}

fn not_found() -> Response {
    Problem::new(Kind::UnknownPath, "there is no such file").into_response()
}

fn serve(path: &str, file: EmbeddedFile, asked: &IfNoneMatch) -> Response {
    let tag = etag::of_hash(&file.metadata.sha256_hash());
    let body = match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    };
    asked.answer(tag, HeaderValue::from_static(content_type(path)), body)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_has_a_content_type() {
        let mut paths = 0;
        for path in Files::iter() {
            assert_ne!(content_type(&path), "application/octet-stream", "{path}");
            paths += 1;
        }
        assert!(paths >= 4, "index, overlay, style and a script");
    }

    #[test]
    fn no_page_runs_scripts_of_others_and_only_the_overlay_is_framed() {
        for policy in [PAGE_POLICY, OVERLAY_POLICY] {
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
            assert!(!policy.contains("unsafe"));
        }
        assert!(PAGE_POLICY.ends_with("frame-ancestors 'none'"));
        assert!(OVERLAY_POLICY.ends_with("frame-ancestors *"));
    }
}
