//! The HTTP API: routes, and handlers that translate between HTTP and the engine.
//!
//! - [`router`]: every route there is, by what a caller must be allowed to do.
//! - [`App`]: what handlers work with. [`Planner`]: from a request to a plan.
//! - [`Problem`]: every failure a client can see.
//! - [`Access`], [`Tokens`]: who may do what. `guard`: what every request passes. [`serve`]: the socket, and how little a client can hold of it.
//! - [`Service`]: all of it together with the engine.

mod access;
mod app;
mod canaries;
mod dashboards;
mod extract;
mod flagger;
mod guard;
mod health;
mod measurements;
mod metrics;
mod openapi;
mod planning;
mod problem;
mod rendering;
mod rollouts;
mod runs;
mod server;
mod service;
mod templates;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn_with_state, map_request_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};

use access::authorize;

pub use access::{Access, Caller, Scope, Tokens, TokensError};
pub use app::{App, Ports, Settings};
pub use health::Health;
pub use openapi::description;
pub use planning::{Planner, Secrets};
pub use problem::{FaultView, Kind, Problem, ProblemView};
pub use runs::{Started, start};
pub use server::{Limits, serve};
pub use service::{Died, Service};

/// The routes of the service.
pub fn router(app: &Arc<App>) -> Router {
    let anyone = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi::openapi));

    let read = Router::new()
        .route("/metrics", get(metrics::families))
        .route("/api/v1/templates", get(templates::list))
        .route("/api/v1/templates/{namespace}/{name}", get(templates::get))
        .route("/api/v1/clustertemplates", get(templates::list_cluster))
        .route(
            "/api/v1/clustertemplates/{name}",
            get(templates::get_cluster),
        )
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{id}", get(runs::get))
        .route("/api/v1/runs/{id}/summary", get(runs::summary))
        .route("/api/v1/runs/{id}/events", get(runs::events))
        .route("/api/v1/measurements", get(dashboards::measurements))
        .route("/api/v1/annotations", get(dashboards::annotations))
        .route("/api/v1/flagger/canaries", get(canaries::list))
        .route(
            "/api/v1/flagger/canaries/{namespace}/{name}",
            get(canaries::get),
        )
        .route("/api/v1/rollouts", get(rollouts::list))
        .route("/api/v1/rollouts/{namespace}/{name}", get(rollouts::get));

    let run = Router::new()
        .route("/api/v1/runs", post(runs::create))
        .route("/api/v1/runs/{id}", patch(runs::patch))
        .route("/api/v1/runs/{id}/terminate", post(runs::terminate))
        .route("/api/v1/runs/{id}/rerun", post(runs::rerun))
        .route("/api/v1/measurements", post(measurements::measure))
        .route("/api/v1/rollouts/{namespace}/{name}", put(rollouts::save))
        .route(
            "/api/v1/rollouts/{namespace}/{name}/lease",
            post(rollouts::lease),
        )
        .route(
            "/api/v1/rollouts/{namespace}/{name}/promote",
            post(rollouts::promote),
        )
        .route(
            "/api/v1/rollouts/{namespace}/{name}/abort",
            post(rollouts::abort),
        )
        .route(
            "/api/v1/rollouts/{namespace}/{name}/retry",
            post(rollouts::retry),
        )
        .route(
            "/api/v1/rollouts/{namespace}/{name}/pause",
            post(rollouts::pause),
        )
        .route(
            "/api/v1/rollouts/{namespace}/{name}/resume",
            post(rollouts::resume),
        );

    let admin = Router::new()
        .route("/api/v1/templates", post(templates::apply))
        .route(
            "/api/v1/templates/{namespace}/{name}",
            delete(templates::delete),
        )
        .route(
            "/api/v1/clustertemplates/{name}",
            delete(templates::delete_cluster),
        )
        .route(
            "/api/v1/flagger/canaries/{namespace}/{name}",
            delete(canaries::delete),
        )
        .route("/api/v1/runs/{id}", delete(runs::delete));

    // Flagger sends no headers: the token may be in the body, which only the handler reads.
    let flagger = Router::new().route("/flagger/{hook}", post(flagger::answer));

    anyone
        .merge(flagger)
        .merge(allowed(read, app, Scope::Read))
        .merge(allowed(run, app, Scope::Run))
        .merge(allowed(admin, app, Scope::Admin))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(app), guard::pass))
        .with_state(Arc::clone(app))
}

/// `routes` for those who may do what `scope` says.
fn allowed(routes: Router<Arc<App>>, app: &Arc<App>, scope: Scope) -> Router<Arc<App>> {
    match app.access {
        Access::Open | Access::Loopback => routes,
        Access::Tokens(_) => {
            routes.route_layer(map_request_with_state((Arc::clone(app), scope), authorize))
        }
    }
}

async fn no_such_path(uri: Uri) -> Response {
    let path = crate::domain::fault::shown(uri.path());
    let problem = Problem::new(
        Kind::NotFound,
        format!("nothing is at {path}; /openapi.json describes what there is"),
    );
    refusal(&uri, problem)
}

async fn no_such_method(method: Method, uri: Uri) -> Response {
    let path = crate::domain::fault::shown(uri.path());
    let problem = Problem::new(
        Kind::MethodNotAllowed,
        format!("{path} has no {method}; the header `allow` names its methods"),
    );
    refusal(&uri, problem)
}

/// A failure in the form of those who call there: Flagger's users read the body as it is.
fn refusal(uri: &Uri, problem: Problem) -> Response {
    if flagger::is_below(uri) {
        flagger::told(problem)
    } else {
        problem.into_response()
    }
}
