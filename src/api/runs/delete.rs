//! `DELETE /api/v1/runs/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::api::App;
use crate::api::extract::Id;
use crate::api::problem::Problem;

/// Forgets a run, whether it is over or not: no further measurement is taken, and nothing of it is kept.
#[utoipa::path(
    delete,
    path = "/api/v1/runs/{id}",
    tag = "runs",
    operation_id = "deleteRun",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`")
    ),
    responses(
        (status = 204, description = "It is gone"),
    )
)]
pub(in crate::api) async fn delete(
    State(app): State<Arc<App>>,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    if app.engine.delete(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::no_run(&id.0))
    }
}
