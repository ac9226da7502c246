//! Every path, and what holds for all answers.

use crate::api::Api;
use crate::live::Live;
use crate::pages;
use crate::problem::{Kind, Problem};
use crate::requests::{InFlight, MAX_BODY_BYTES, take_on};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;

/// What every answer says unless its handler said otherwise.
const HEADERS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// All paths. `admin` is never refused for lack of room: it is how one sees that there is none.
pub fn routes(admin: Router, live: Live, api: Api, in_flight: InFlight) -> Router {
    let plain = Router::new()
        .merge(pages::routes())
        .merge(Router::from(api.routes()))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(in_flight, take_on));
    plain
        .merge(live.routes())
        .merge(admin)
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(map_response(with_headers))
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
