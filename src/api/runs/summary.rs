//! `GET /api/v1/runs/{id}/summary`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::{find, wait};
use crate::api::App;
use crate::api::extract::Id;
use crate::api::problem::Problem;
use crate::api::rendering::Written;
use crate::domain::run::Run;
use crate::wire::RunSummary;

/// A run in few fields, each of them always there: for callers that pick by JSONPath, such as Argo's `web` provider.
///
/// `wait` is that of the run itself: with `If-None-Match` and the `ETag` of a summary it lasts until the summary is another.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}/summary",
    tag = "runs",
    operation_id = "getRunSummary",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`"),
        ("wait" = Option<String>, Query, description = "Wait until the run has changed or ended, a Go duration up to 60s, or seconds", example = "30s"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of what the caller has seen")
    ),
    responses(
        (status = 200, description = "The run in small", body = RunSummary, headers(("etag" = String))),
        (status = 304, description = "It is as the caller has seen it"),
    )
)]
pub(in crate::api) async fn summary(
    State(app): State<Arc<App>>,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = wait::asked(&uri)?;
    let mut watched = find(&app, &id).await?;
    let Some(wait) = wait else {
        return Ok(written(watched.run()).unless_known(&headers));
    };
    app.health.refuse_to_wait()?;
    // A summary has a tag of its own: the run may change where what is in its summary doesn't.
    let names_what_it_has = headers.contains_key(IF_NONE_MATCH);
    let tag = app.renderings.of(watched.run()).tag;
    let seen = |run: &Arc<Run>| {
        if names_what_it_has {
            written(run).is_known(&headers)
        } else {
            app.renderings.of(run).tag == tag
        }
    };
    if !wait::for_news(&app, &mut watched, seen, wait).await {
        return Err(Problem::no_run(&id.0));
    }
    Ok(written(watched.run()).answer(StatusCode::OK))
}

fn written(run: &Run) -> Written {
    Written::of(&RunSummary::new(run))
}
