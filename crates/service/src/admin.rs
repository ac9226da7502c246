//! The four endpoints that every process has.

use crate::health::Health;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

/// `/livez`, `/readyz`, `/metrics` and `/version`.
///
/// Live means that the process answers; ready, that its work goes on. A process that waits for
/// a store is live and not ready, so that it is left alone and not sent traffic.
pub fn admin_routes(name: &'static str, health: Health, metrics: PrometheusHandle) -> Router {
    let readyz = move || async move {
        let code = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (code, axum::Json(health.report()))
    };
    let metrics = move || async move {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
    };
    let version =
        move || async move { axum::Json(json!({ "service": name, "version": env!("CARGO_PKG_VERSION") })) };
    Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
}
