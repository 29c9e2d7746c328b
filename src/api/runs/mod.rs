//! Runs: started, looked at, waited for, changed, ended.

pub(in crate::api) mod create;
pub(in crate::api) mod delete;
pub(in crate::api) mod events;
pub(in crate::api) mod get;
pub(in crate::api) mod list;
pub(in crate::api) mod patch;
pub(in crate::api) mod rerun;
pub(in crate::api) mod summary;
pub(in crate::api) mod terminate;
mod wait;

use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::App;
use super::problem::Problem;
use super::rendering::Written;
use crate::domain::run::RunId;
use crate::engine::Watched;

pub(super) use create::create;
pub(super) use create::prepare;
pub use create::{Started, start};
pub(super) use delete::delete;
pub(super) use events::events;
pub(super) use get::get;
pub(super) use list::list;
pub(super) use patch::patch;
pub(super) use rerun::rerun;
pub(super) use summary::summary;
pub(super) use terminate::terminate;
pub(super) use wait::{LONGEST_WAIT, until};

/// The run of that id, to look at it and to wait for what becomes of it.
async fn find(app: &App, id: &RunId) -> Result<Watched, Problem> {
    let watched = app.engine.watch(id).await?;
    watched.ok_or_else(|| Problem::no_run(&id.0))
}

/// The run as it is, with where it is.
fn located(written: &Written, id: &RunId, status: StatusCode) -> Response {
    let mut response = written.answer(status);
    // An id of ours has nothing that a header can't hold; one of a store's might.
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/runs/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
