//! `GET /api/v1/rollouts`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::row;
use crate::api::App;
use crate::api::extract::Parameters;
use crate::api::problem::Problem;
use crate::api::rendering::Written;
use crate::api::templates::{LONGEST_PAGE, PAGE, cursor};
use crate::wire::RolloutPage;

/// The rollouts, by namespace and name, as flat rows.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts",
    tag = "rollouts",
    operation_id = "listRollouts",
    params(
        ("namespace" = Option<String>, Query, description = "Only those of this namespace"),
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 500, 100 by default", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of rollouts", body = RolloutPage),
    )
)]
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri)?;
    let namespace = parameters.text("namespace");
    let limit = parameters.number("limit", 1..=LONGEST_PAGE).unwrap_or(PAGE);
    let after = cursor(&mut parameters);
    let after = parameters.done(after)?;
    let after = after.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
    // One more says whether there is another page.
    let kept = app
        .rollouts
        .list(namespace.as_deref(), after, limit + 1)
        .await?;
    let last = kept.get(limit - 1).filter(|_| kept.len() > limit);
    let page = RolloutPage {
        next: last.map(|last| {
            let place = format!("{}/{}", last.namespace, last.name);
            URL_SAFE_NO_PAD.encode(place)
        }),
        items: kept.iter().take(limit).map(|it| row(&app, it)).collect(),
    };
    Ok(Written::of(&page).answer(StatusCode::OK))
}
