//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::Problem;

/// What Prometheus collects, in its text form.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    operation_id = "getMetrics",
    responses((status = 200, description = "Prometheus' text form", body = String, content_type = "text/plain"))
)]
pub(super) async fn families(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    // A store in trouble is a family of its own: the others are still told.
    if let Ok(tally) = app.ports.store.tally().await {
        app.metrics.count_runs(&tally);
    }
    let mut response = app
        .metrics
        .text()
        .map_err(Problem::internal)?
        .into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
