//! Every path, and what holds for all answers.

use crate::access::{ALLOWANCE_HEADERS, Access, Gate, key_routes};
use crate::api::Api;
use crate::live::{Live, Origins};
use crate::openapi::{self, Description};
use crate::pages;
use crate::problem::{Kind, Problem};
use crate::requests::{InFlight, MAX_BODY_BYTES, take_on};
use crate::writes::{REPLAYED, Writes};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use contracts::api_key::Role;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// What every answer says unless its handler said otherwise.
const HEADERS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];
/// How long a browser may remember what pages of other sites may do.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);

/// What answers.
pub struct Parts {
    /// Liveness and the like. Never refused for lack of room: it is how one sees that there is none.
    pub admin: Router,
    /// The live board.
    pub live: Live,
    /// The boards, to be read.
    pub api: Api,
    /// The way in.
    pub writes: Writes,
    /// Who may.
    pub access: Access,
    /// How many at once.
    pub in_flight: InFlight,
}

/// All paths.
pub fn routes(parts: Parts) -> Router {
    let Parts { admin, live, api, writes, access, in_flight } = parts;
    let cross_origin = cross_origin(&access.origins);
    let access = Arc::new(access);
    let gate = |role| Gate::new(&access, role);
    let body_bytes = writes.body_bytes();
    let small = OpenApiRouter::with_openapi(Description::openapi())
        .merge(api.routes(gate(Role::Read)))
        .merge(key_routes(gate(Role::Admin)))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(in_flight.clone(), take_on));
    let large =
        writes.routes(gate(Role::Write)).layer(from_fn_with_state(in_flight.with_body(body_bytes), take_on));
    let (api, description) = small.merge(large).merge(live.routes(gate(Role::Read))).split_for_parts();
    // Browsers ask by a method that no path answers.
    let api = api.method_not_allowed_fallback(wrong_method).layer(cross_origin);
    let pages = pages::routes()
        .merge(openapi::routes(&description))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(in_flight, take_on));
    api.merge(pages)
        .merge(admin)
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(map_response(with_headers))
}

/// Which pages of other sites browsers let read our answers: those that may open the websocket. No
/// cookie is ever looked at, so credentials are never allowed.
fn cross_origin(origins: &Origins) -> CorsLayer {
    let origins = match origins.clone() {
        Origins::Any => AllowOrigin::any(),
        Origins::Listed(listed) => AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| listed.contains(&origin.to_ascii_lowercase()))
        }),
    };
    let [limit, remaining, reset] = ALLOWANCE_HEADERS;
    let (name, last_event) =
        (HeaderName::from_static("idempotency-key"), HeaderName::from_static("last-event-id"));
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, name, last_event])
        .expose_headers([ETAG, RETRY_AFTER, REPLAYED, limit, remaining, reset])
        .max_age(PREFLIGHT_KEPT)
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(Kind::UnknownPath, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not answered at {}", uri.path()))
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
