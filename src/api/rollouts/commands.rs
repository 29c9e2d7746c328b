//! What people want of a rollout.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use tracing::info;

use super::{Place, fields, lease_view};
use crate::api::App;
use crate::api::access::Caller;
use crate::api::extract::Document;
use crate::api::problem::{Kind, Problem};
use crate::api::rendering::Written;
use crate::domain::rollout::Command;
use crate::wire::{CommandRequest, PostedView};

/// Has a rollout go on: ends its pause, or else its step. With `full` it goes to the end at once, whatever analyses say.
/// Once the canary has all traffic, it says that the canary is the stable version now.
#[utoipa::path(
    post,
    path = "/api/v1/rollouts/{namespace}/{name}/promote",
    tag = "rollouts",
    operation_id = "promoteRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    request_body(content = Option<CommandRequest>),
    responses(
        (status = 202, description = "It is kept for the stepper", body = PostedView),
    )
)]
pub(in crate::api) async fn promote(
    State(app): State<Arc<App>>,
    place: Place,
    caller: Caller,
    Document(body): Document,
) -> Result<Response, Problem> {
    let request: CommandRequest = fields(body)?;
    let command = if request.full {
        Command::PromoteFull
    } else {
        Command::Promote
    };
    post(&app, &place, &caller, command, &request).await
}

/// Has all traffic go back to the stable version.
#[utoipa::path(
    post,
    path = "/api/v1/rollouts/{namespace}/{name}/abort",
    tag = "rollouts",
    operation_id = "abortRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    request_body(content = Option<CommandRequest>),
    responses(
        (status = 202, description = "It is kept for the stepper", body = PostedView),
    )
)]
pub(in crate::api) async fn abort(
    State(app): State<Arc<App>>,
    place: Place,
    caller: Caller,
    Document(body): Document,
) -> Result<Response, Problem> {
    plain(&app, &place, &caller, Command::Abort, body).await
}

/// Begins a rollout again after an abort, or has its on-promote hook run again.
#[utoipa::path(
    post,
    path = "/api/v1/rollouts/{namespace}/{name}/retry",
    tag = "rollouts",
    operation_id = "retryRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    request_body(content = Option<CommandRequest>),
    responses(
        (status = 202, description = "It is kept for the stepper", body = PostedView),
    )
)]
pub(in crate::api) async fn retry(
    State(app): State<Arc<App>>,
    place: Place,
    caller: Caller,
    Document(body): Document,
) -> Result<Response, Problem> {
    plain(&app, &place, &caller, Command::Retry, body).await
}

/// Has a rollout go no further until it is resumed or promoted. Analyses go on, and can still abort it.
#[utoipa::path(
    post,
    path = "/api/v1/rollouts/{namespace}/{name}/pause",
    tag = "rollouts",
    operation_id = "pauseRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    request_body(content = Option<CommandRequest>),
    responses(
        (status = 202, description = "It is kept for the stepper", body = PostedView),
    )
)]
pub(in crate::api) async fn pause(
    State(app): State<Arc<App>>,
    place: Place,
    caller: Caller,
    Document(body): Document,
) -> Result<Response, Problem> {
    plain(&app, &place, &caller, Command::Pause, body).await
}

/// Lifts a pause by hand, and ends no step by that.
#[utoipa::path(
    post,
    path = "/api/v1/rollouts/{namespace}/{name}/resume",
    tag = "rollouts",
    operation_id = "resumeRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    request_body(content = Option<CommandRequest>),
    responses(
        (status = 202, description = "It is kept for the stepper", body = PostedView),
    )
)]
pub(in crate::api) async fn resume(
    State(app): State<Arc<App>>,
    place: Place,
    caller: Caller,
    Document(body): Document,
) -> Result<Response, Problem> {
    plain(&app, &place, &caller, Command::Resume, body).await
}

async fn plain(
    app: &App,
    place: &Place,
    caller: &Caller,
    command: Command,
    body: Value,
) -> Result<Response, Problem> {
    let request: CommandRequest = fields(body)?;
    if request.full {
        return Err(Problem::new(
            Kind::Invalid,
            format!("full: goes with `promote`, and not with `{command}`"),
        ));
    }
    post(app, place, caller, command, &request).await
}

async fn post(
    app: &App,
    place: &Place,
    caller: &Caller,
    command: Command,
    request: &CommandRequest,
) -> Result<Response, Problem> {
    let posted = app
        .rollouts
        .change(&place.namespace, &place.name, |desk, now, _| {
            desk.post(command, request.seen, caller.name(), now)
        })
        .await;
    let (kept, letter) = posted.map_err(|error| place.problem(error))?;
    let number = letter.posted.number;
    info!(
        number,
        %command,
        by = caller.name(),
        "rollout {}/{}: command {number}: {command}",
        place.namespace,
        place.name
    );
    let stepper = kept.desk.stepper(app.ports.clock.now());
    let stepper = stepper.map(|lease| lease_view(app, lease));
    let view = PostedView::new(&letter, &kept.desk, stepper);
    Ok(Written::of(&view).answer(StatusCode::ACCEPTED))
}
