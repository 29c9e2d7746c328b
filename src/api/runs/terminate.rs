//! `POST /api/v1/runs/{id}/terminate`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{find, located, wait};
use crate::api::App;
use crate::api::extract::Id;
use crate::api::problem::Problem;
use crate::domain::run::Command;
use crate::wire::AnalysisRun;

/// Ends a run now, as Argo's `terminate` does: the metrics that are not over come to what their measurements say so far.
///
/// 200 with the run once it is over, which it may have been before; 202 where that takes longer than a moment.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/terminate",
    tag = "runs",
    operation_id = "terminateRun",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`")
    ),
    responses(
        (status = 200, description = "The run, which is over", body = AnalysisRun),
        (status = 202, description = "The run, which will be over in a moment", body = AnalysisRun),
    )
)]
pub(in crate::api) async fn terminate(
    State(app): State<Arc<App>>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mut watched = find(&app, &id).await?;
    if !watched.run().phase.is_over() {
        app.engine.post(&id, Command::Terminate).await?;
        let is_over = |run: &crate::domain::run::Run| run.phase.is_over();
        if !wait::until(&app, &mut watched, is_over).await {
            return Err(Problem::no_run(&id.0));
        }
    }
    let status = if watched.run().phase.is_over() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok(located(&app.renderings.of(watched.run()), &id, status))
}
