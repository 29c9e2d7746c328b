//! `POST /api/v1/runs/{id}/rerun`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;

use super::create::{answer, begin, request_key};
use super::find;
use crate::api::App;
use crate::api::access::Caller;
use crate::api::extract::Id;
use crate::api::problem::Problem;
use crate::wire::AnalysisRun;

/// The label that names the run which another one repeats.
const RERUN_OF: &str = "rerun-of";

/// Starts a new run of what a run was about: the same metrics, arguments and rules, with secrets as they are now. Templates may have
/// changed since; what counts is what they said then.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/rerun",
    tag = "runs",
    operation_id = "rerun",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`"),
        ("idempotency-key" = Option<String>, Header, description = "The same key with the same request starts no second run")
    ),
    responses(
        (status = 201, description = "The new run", body = AnalysisRun, headers(("location" = String))),
        (status = 200, description = "The run that the same request has started before", body = AnalysisRun, headers(("location" = String))),
    )
)]
pub(in crate::api) async fn rerun(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Id(id): Id,
) -> Result<Response, Problem> {
    let what = format!("rerun/{id}");
    let request = request_key(&headers, &caller, &what, &Value::Null)?;
    let watched = find(&app, &id).await?;
    let earlier = watched.run();
    let plan = app.planner.plan_anew(Arc::clone(&earlier.plan.analysis));
    let started = begin(&app, request, async {
        let plan = plan.await?;
        let mut run = super::create::new_run(&app, &earlier.namespace, &earlier.name, plan);
        run.labels = earlier.labels.clone();
        run.labels.insert(RERUN_OF.to_owned(), id.to_string());
        run.templates.clone_from(&earlier.templates);
        run.not_before = earlier.not_before;
        run.conclude_after = earlier.conclude_after;
        Ok(run)
    });
    answer(&app, started.await?).await
}
