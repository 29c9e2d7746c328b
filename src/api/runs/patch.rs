//! `PATCH /api/v1/runs/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::{find, located, wait};
use crate::api::App;
use crate::api::extract::{Document, Id};
use crate::api::problem::{Kind, Problem};
use crate::domain::fault::Faults;
use crate::domain::run::{Command, Run};
use crate::domain::spec::PatchBody;
use crate::wire::{AnalysisRun, RunPatch};

/// Says when the version that a run judges first took traffic, where nobody has said it before.
///
/// 200 with the run once it knows; 202 where that takes longer than a moment; 409 where it knows otherwise, or is over.
#[utoipa::path(
    patch,
    path = "/api/v1/runs/{id}",
    tag = "runs",
    operation_id = "patchRun",
    params(
        ("id" = String, Path, description = "The run's `metadata.uid`")
    ),
    request_body = RunPatch,
    responses(
        (status = 200, description = "The run, which knows it", body = AnalysisRun),
        (status = 202, description = "The run, which will know it in a moment", body = AnalysisRun),
    )
)]
pub(in crate::api) async fn patch(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Document(body): Document,
) -> Result<Response, Problem> {
    let (body, faults) = PatchBody::read(&body);
    let body = Faults::none_or(faults, body).map_err(Problem::invalid)?;
    let mut watched = find(&app, &id).await?;
    if let Some(moment) = body.not_before {
        refuse_otherwise(watched.run(), moment)?;
        if watched.run().not_before.is_none() {
            app.engine.post(&id, Command::NotBefore(moment)).await?;
            // Of two that come at the same time one is first.
            let is_heard = |run: &Run| run.not_before.is_some() || run.phase.is_over();
            if !wait::until(&app, &mut watched, is_heard).await {
                return Err(Problem::no_run(&id.0));
            }
            refuse_otherwise(watched.run(), moment)?;
        }
    }
    let is_known = watched.run().not_before == body.not_before;
    let status = if is_known {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok(located(&app.renderings.of(watched.run()), &id, status))
}

fn refuse_otherwise(run: &Run, moment: Timestamp) -> Result<(), Problem> {
    if run.accepts_not_before(moment) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Conflict,
        match run.not_before {
            Some(set) => format!("notBefore is {set} already, and is set once"),
            None => format!("the run is over ({}), and took no notBefore", run.phase),
        },
    ))
}
