//! The API's description, made from the handlers, and the pages that show it.
//!
//! The pages are Swagger UI, out of the binary.

use crate::pages::{etag, serve_tagged};
use crate::problem::{Kind, Problem};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::Config;

/// What Swagger UI needs beyond the page's policy: it puts styles into the elements it makes. No
/// inline script runs, and nothing comes from elsewhere.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// What the description says besides the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rankstream",
        description = "A live leaderboard: scores in, ranks out. Errors are `application/problem+json` \
            (RFC 9457); clients decide by their `type`."
    ),
    modifiers(&ApiKeys),
    tags(
        (name = "boards", description = "Who stands where"),
        (name = "live", description = "The board whenever it changes"),
        (name = "writing", description = "Scores and names"),
        (name = "keys", description = "The keys of the API"),
    )
)]
pub(crate) struct Description;

struct ApiKeys;

impl Modify for ApiKeys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        openapi.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// `/openapi.json` and `/docs`.
pub(crate) fn routes(description: &utoipa::openapi::OpenApi) -> Router {
    let json = Bytes::from(description.to_json().expect("a description always encodes"));
    let tag = etag(&Sha256::digest(&json).into());
    let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
    let document =
        async move |headers: HeaderMap| serve_tagged(&tag, json.clone(), "application/json", &headers);
    let file = async move |Path(path): Path<String>, headers: HeaderMap| docs(&path, &config, &headers);
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(async || Redirect::permanent("/docs/index.html")))
        .route("/docs/{*path}", get(file))
}

fn docs(path: &str, config: &Arc<Config<'static>>, headers: &HeaderMap) -> Response {
    match utoipa_swagger_ui::serve(path, Arc::clone(config)) {
        Ok(Some(file)) => {
            let body = Bytes::from(file.bytes.into_owned());
            // Files change with releases only, and these hardly ever.
            let tag = format!("\"{}-{}\"", env!("CARGO_PKG_VERSION"), body.len());
            let mut response = serve_tagged(&tag, body, &file.content_type, headers);
            let policy = HeaderValue::from_static(DOCS_POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        _ => Problem::new(Kind::UnknownPath, "there is no such file").into_response(),
    }
}
