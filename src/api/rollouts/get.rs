//! `GET /api/v1/rollouts/{namespace}/{name}`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::{Place, no_rollout, tag, written};
use crate::api::App;
use crate::api::extract::Parameters;
use crate::api::problem::Problem;
use crate::api::rendering::Written;
use crate::api::runs::LONGEST_WAIT;
use crate::engine::Kept;
use crate::wire::RolloutView;

/// How often what is kept is looked at while somebody waits: another process may have changed it.
const LOOK: Duration = Duration::from_secs(5);

/// All that is kept of a rollout: how far it has come, who steps it, what people want of it, and the stepper's record.
///
/// With `wait` the answer comes once any of that has changed, and is always 200. Whoever sends the `ETag` of the state
/// that it has seen as `If-None-Match` along with it misses nothing that happens between two waits.
/// A lease that is renewed changes nothing by that.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{namespace}/{name}",
    tag = "rollouts",
    operation_id = "getRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name"),
        ("wait" = Option<String>, Query, description = "Wait until something has changed, a Go duration up to 60s, or seconds", example = "30s"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of what the caller has seen")
    ),
    responses(
        (status = 200, description = "All that is kept of it", body = RolloutView, headers(("etag" = String))),
        (status = 304, description = "It is as the caller has seen it"),
    )
)]
pub(in crate::api) async fn get(
    State(app): State<Arc<App>>,
    place: Place,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri)?;
    let wait = parameters.span("wait");
    let wait = parameters.done(wait.map(|wait| wait.min(LONGEST_WAIT)))?;
    // Before anything is read, so that no change is missed.
    let mut news = app.rollouts.news();
    let mut kept = find(&app, &place).await?;
    let Some(wait) = wait else {
        return Ok(written(&app, &kept).unless_known(&headers));
    };
    app.health.refuse_to_wait()?;
    let _waits = app.health.waits();
    let seen = tag(&kept.desk);
    let is_seen = |kept: &Kept| {
        if headers.contains_key(IF_NONE_MATCH) {
            let tag = tag(&kept.desk);
            Written::tagged(tag).is_known(&headers)
        } else {
            tag(&kept.desk) == seen
        }
    };
    let time_is_up = tokio::time::sleep(wait);
    let stopped = app.health.stopped();
    tokio::pin!(time_is_up, stopped);
    while is_seen(&kept) {
        tokio::select! {
            biased;
            () = news.heard() => {}
            () = &mut time_is_up => break,
            () = &mut stopped => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        kept = find(&app, &place).await?;
    }
    Ok(written(&app, &kept).answer(StatusCode::OK))
}

async fn find(app: &App, place: &Place) -> Result<Kept, Problem> {
    let kept = app.rollouts.read(&place.namespace, &place.name).await?;
    kept.ok_or_else(|| no_rollout(place))
}
