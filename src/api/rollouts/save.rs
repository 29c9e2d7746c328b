//! What a stepper does with a rollout: it takes the lease, and saves its record.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tracing::info;

use super::{Place, fields, lease_view, nothing, row, saves_of, tag};
use crate::api::App;
use crate::api::extract::Document;
use crate::api::problem::{Kind, Problem};
use crate::api::rendering::Written;
use crate::domain::fault::shown;
use crate::wire::{LeaseRequest, LeaseView, RolloutRow, RolloutSave};

/// The longest name of a stepper.
const LONGEST_HOLDER: usize = 253;

/// Takes, renews or gives back a rollout's lease: one stepper at a time moves it.
///
/// With `holder` it is taken, for 30 seconds, unless another stepper has it; with `fence` the one of that number is renewed, or given back.
/// Each new holder gets a higher number, which routers keep as well: whoever finds a higher one than its own touches nothing.
#[utoipa::path(
    post,
    path = "/api/v1/rollouts/{namespace}/{name}/lease",
    tag = "rollouts",
    operation_id = "leaseRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    request_body = LeaseRequest,
    responses(
        (status = 200, description = "The lease that is held now", body = LeaseView),
        (status = 204, description = "It was given back"),
    )
)]
pub(in crate::api) async fn lease(
    State(app): State<Arc<App>>,
    place: Place,
    Document(body): Document,
) -> Result<Response, Problem> {
    let LeaseRequest {
        holder,
        fence,
        release,
    } = fields(body)?;
    let leased = match (holder, fence) {
        (Some(holder), None) if !release => {
            refuse_strange(&holder)?;
            // What it does to a lease that somebody else keeps is kept as well.
            let took = app
                .rollouts
                .change(&place.namespace, &place.name, |desk, now, until| {
                    Ok(desk.take(&holder, now, until))
                })
                .await;
            let took = took.and_then(|(_, lease)| Ok(lease?));
            if let Ok(lease) = &took {
                info!(
                    lease.fence,
                    holder, "`{holder}` steps {}/{}", place.namespace, place.name
                );
            }
            took
        }
        (None, Some(fence)) if release => {
            let released = app
                .rollouts
                .change(&place.namespace, &place.name, |desk, _, _| {
                    desk.release(fence)
                })
                .await;
            return match released {
                Ok(_) => Ok(nothing()),
                Err(error) => Err(place.problem(error)),
            };
        }
        (None, Some(fence)) => app
            .rollouts
            .change(&place.namespace, &place.name, |desk, _, until| {
                desk.renew(fence, until)
            })
            .await
            .map(|(_, lease)| lease),
        (Some(_), _) | (None, None) => {
            return Err(Problem::new(
                Kind::Invalid,
                "expected `holder` to take the lease, or `fence` to renew it, and `release` with that to give it back",
            ));
        }
    };
    let lease = leased.map_err(|error| place.problem(error))?;
    Ok(Written::of(&lease_view(&app, &lease)).answer(StatusCode::OK))
}

fn refuse_strange(holder: &str) -> Result<(), Problem> {
    let is_plain = |c: char| c.is_ascii_graphic();
    if !holder.is_empty() && holder.len() <= LONGEST_HOLDER && holder.chars().all(is_plain) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Invalid,
        format!(
            "holder: expected up to {LONGEST_HOLDER} printable characters without blanks, found {}",
            shown(holder)
        ),
    ))
}

/// Keeps a stepper's record in place of the one before it.
///
/// `fence` is the number of the newest lease. `If-Match` names the state that this one follows by its `ETag`, `If-None-Match: *` says that
/// there was none. Only the record counts in that: commands that came since don't stand in its way.
/// The commands that the record counts as taken wait no more.
#[utoipa::path(
    put,
    path = "/api/v1/rollouts/{namespace}/{name}",
    tag = "rollouts",
    operation_id = "saveRollout",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name"),
        ("if-match" = Option<String>, Header, description = "The `ETag` of the state that was read or saved last"),
        ("if-none-match" = Option<String>, Header, description = "`*`: no record was saved yet")
    ),
    request_body = RolloutSave,
    responses(
        (status = 200, description = "How the rollout stands now", body = RolloutRow, headers(("etag" = String))),
    )
)]
pub(in crate::api) async fn save(
    State(app): State<Arc<App>>,
    place: Place,
    headers: HeaderMap,
    Document(body): Document,
) -> Result<Response, Problem> {
    let following = following(&headers)?;
    let RolloutSave { fence, rollout } = fields(body)?;
    let name = (place.namespace.as_str(), place.name.as_str());
    let saved = app
        .rollouts
        .change(name.0, name.1, |desk, _, _| {
            desk.save(name, fence, following, rollout.clone())
        })
        .await;
    let (kept, ()) = saved.map_err(|error| place.problem(error))?;
    let written = Written {
        tag: tag(&kept.desk),
        ..Written::of(&row(&app, &kept))
    };
    Ok(written.answer(StatusCode::OK))
}

/// The save that this one follows.
fn following(headers: &HeaderMap) -> Result<u64, Problem> {
    let text = |name| headers.get(name).map(|it| it.to_str().unwrap_or_default());
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None, Some("*")) => Ok(0),
        (Some(tag), None) => saves_of(tag).ok_or_else(|| {
            Problem::new(
                Kind::Malformed,
                format!(
                    "if-match: expected the etag of an earlier answer, found {}",
                    shown(tag)
                ),
            )
        }),
        _ => Err(Problem::new(
            Kind::Malformed,
            "the header if-match is missing: the etag of the state that was read or saved last",
        )),
    }
}
