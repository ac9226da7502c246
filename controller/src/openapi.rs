//! The API's description, made from the handlers, and the pages that show it.
//!
//! The pages are Swagger UI, out of the binary.

use crate::etag::{self, IfNoneMatch};
use crate::problem::{Kind, Problem, ProblemBody};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
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
    components(schemas(ProblemBody)),
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
    let tag = etag::of_hash(&Sha256::digest(&json).into());
    let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
    let document = async move |has: IfNoneMatch| {
        has.answer(tag.clone(), HeaderValue::from_static("application/json"), json.clone())
    };
    let file = async move |Path(path): Path<String>, has: IfNoneMatch| docs(&path, &config, &has);
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(to_docs))
        .route("/docs/", get(to_docs))
        .route("/docs/{*path}", get(file))
}

async fn to_docs() -> Redirect {
    Redirect::permanent("/docs/index.html")
}

fn docs(path: &str, config: &Arc<Config<'static>>, has: &IfNoneMatch) -> Response {
    match utoipa_swagger_ui::serve(path, Arc::clone(config)) {
        Ok(Some(file)) => {
            let body = Bytes::from(file.bytes.into_owned());
            // Files change with releases only, and these hardly ever.
            let tag = format!("\"{}-{}\"", env!("CARGO_PKG_VERSION"), body.len());
            let fit = "versions, numbers and types of media are fit for a header";
            let tag = HeaderValue::try_from(tag).expect(fit);
            let content_type = HeaderValue::try_from(file.content_type).expect(fit);
            let mut response = has.answer(tag, content_type, body);
            let policy = HeaderValue::from_static(DOCS_POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        _ => Problem::new(Kind::UnknownPath, "there is no such file").into_response(),
    }
}
