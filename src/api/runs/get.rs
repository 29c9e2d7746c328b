//! `GET /api/v1/runs/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::{find, wait};
use crate::api::App;
use crate::api::extract::Id;
use crate::api::problem::Problem;
use crate::domain::run::Run;
use crate::wire::AnalysisRun;

/// A run as an `AnalysisRun`.
///
/// With `wait` the answer comes once the run has changed or ended, and is always 200. Whoever sends the `ETag` of the state
/// that it has seen as `If-None-Match` along with it misses nothing that happens between two waits.
/// Without `wait` that header makes the answer 304 while nothing has changed.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}",
    tag = "runs",
    operation_id = "getRun",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`"),
        ("wait" = Option<String>, Query, description = "Wait until the run has changed or ended, a Go duration up to 60s, or seconds", example = "30s"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of what the caller has seen")
    ),
    responses(
        (status = 200, description = "The run", body = AnalysisRun, headers(("etag" = String))),
        (status = 304, description = "It is as the caller has seen it"),
    )
)]
pub(in crate::api) async fn get(
    State(app): State<Arc<App>>,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = wait::asked(&uri)?;
    let mut watched = find(&app, &id).await?;
    let now = app.renderings.of(watched.run());
    let Some(wait) = wait else {
        return Ok(now.unless_known(&headers));
    };
    app.health.refuse_to_wait()?;
    let names_what_it_has = headers.contains_key(IF_NONE_MATCH);
    let seen = |run: &Arc<Run>| {
        let written = app.renderings.of(run);
        if names_what_it_has {
            written.is_known(&headers)
        } else {
            written.tag == now.tag
        }
    };
    if !wait::for_news(&app, &mut watched, seen, wait).await {
        return Err(Problem::no_run(&id.0));
    }
    Ok(app.renderings.of(watched.run()).answer(StatusCode::OK))
}
