//! `GET /openapi.json`: what the API is, in `OpenAPI` 3.1, made of the handlers themselves.

use std::sync::OnceLock;

use axum::response::Response;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, OpenApi as Description, Ref, RefOr, ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

use super::problem::ProblemView;
use super::rendering::Written;
use super::{
    canaries, dashboards, flagger, health, measurements, metrics, rollouts, runs, templates,
};

/// The description of the whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Skygate",
        description = "Canary analysis for Apache SkyWalking: Argo AnalysisTemplates in, explained verdicts out.\n\nEvery failure is `application/problem+json` (RFC 9457). No field of an answer ever vanishes: what is absent is null or empty.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This service")),
    tags(
        (name = "runs", description = "Analyses under way and over"),
        (name = "measurements", description = "One measurement, explained"),
        (name = "dashboards", description = "What the panels of a dashboard show: measurements as series, annotations. Runs and rollouts are listed as flat rows, too"),
        (name = "templates", description = "AnalysisTemplates and ClusterAnalysisTemplates"),
        (name = "rollouts", description = "What steppers keep here, and what people want of them"),
        (name = "flagger", description = "Flagger's webhooks, answered in its own contract: the status and a line of text"),
        (name = "health", description = "How the service does")
    ),
    paths(
        runs::list::list,
        runs::create::create,
        runs::get::get,
        runs::patch::patch,
        runs::delete::delete,
        runs::summary::summary,
        runs::events::events,
        runs::terminate::terminate,
        runs::rerun::rerun,
        measurements::measure,
        dashboards::measurements::measurements,
        dashboards::annotations::annotations,
        templates::list,
        templates::apply,
        templates::get,
        templates::delete,
        templates::list_cluster,
        templates::get_cluster,
        templates::delete_cluster,
        rollouts::list::list,
        rollouts::get::get,
        rollouts::save::save,
        rollouts::save::lease,
        rollouts::commands::promote,
        rollouts::commands::abort,
        rollouts::commands::retry,
        rollouts::commands::pause,
        rollouts::commands::resume,
        flagger::answer,
        canaries::list,
        canaries::get,
        canaries::delete,
        health::healthz,
        health::readyz,
        metrics::families,
        openapi
    ),
    components(schemas(ProblemView<'static>)),
    modifiers(&Common)
)]
struct Api;

/// What all operations have in common.
struct Common;

/// The operations that need no token.
const OPEN: [&str; 3] = ["isAlive", "isReady", "describe"];

/// The operation that Flagger calls.
const FLAGGER: &str = "answerFlagger";

/// The failures that callers of an operation meet in the ordinary course of things; any other is told in the same form.
const FAILURES: [(&str, &[(&str, &str)]); 29] = [
    ("listRuns", &[MALFORMED]),
    ("startRun", &[MALFORMED, TOO_LARGE, FORM, INVALID, TOO_MANY]),
    ("getRun", &[MALFORMED, NOT_FOUND]),
    (
        "patchRun",
        &[MALFORMED, NOT_FOUND, CONFLICT, TOO_LARGE, FORM, INVALID],
    ),
    ("deleteRun", &[NOT_FOUND]),
    ("getRunSummary", &[MALFORMED, NOT_FOUND]),
    ("followRun", &[NOT_FOUND]),
    ("terminateRun", &[NOT_FOUND]),
    ("rerun", &[MALFORMED, NOT_FOUND, INVALID, TOO_MANY]),
    ("measure", &[MALFORMED, TOO_LARGE, FORM, INVALID]),
    ("listMeasurements", &[MALFORMED]),
    ("listAnnotations", &[MALFORMED]),
    ("listTemplates", &[MALFORMED]),
    ("applyTemplates", &[MALFORMED, TOO_LARGE, FORM, INVALID]),
    ("getTemplate", &[NOT_FOUND]),
    ("deleteTemplate", &[NOT_FOUND]),
    ("listClusterTemplates", &[MALFORMED]),
    ("listRollouts", &[MALFORMED]),
    ("getRollout", &[MALFORMED, NOT_FOUND]),
    (
        "saveRollout",
        &[MALFORMED, CONFLICT, CHANGED, TOO_LARGE, FORM, INVALID],
    ),
    ("leaseRollout", &[MALFORMED, CONFLICT, FORM, INVALID]),
    ("promoteRollout", COMMAND),
    ("abortRollout", COMMAND),
    ("retryRollout", COMMAND),
    ("pauseRollout", COMMAND),
    ("resumeRollout", COMMAND),
    ("listCanaries", &[MALFORMED]),
    ("getCanary", &[MALFORMED, NOT_FOUND]),
    ("deleteCanary", &[NOT_FOUND]),
];

const COMMAND: &[(&str, &str)] = &[MALFORMED, NOT_FOUND, CONFLICT, FORM, INVALID];

const MALFORMED: (&str, &str) = ("400", "The request cannot be read");
const NOT_FOUND: (&str, &str) = ("404", "There is no such thing");
const CONFLICT: (&str, &str) = ("409", "It contradicts what is there");
const CHANGED: (&str, &str) = ("412", "It has changed since it was read");
const TOO_LARGE: (&str, &str) = ("413", "The body is too large");
const FORM: (&str, &str) = ("415", "The body is in a form that is not read here");
const INVALID: (&str, &str) = (
    "422",
    "What the request says is not valid: every fault with its path",
);
const TOO_MANY: (&str, &str) = ("429", "Too many runs are under way");

/// Bodies that are known to work: the tests send them.
const EXAMPLES: [(&str, &str); 2] = [
    ("startRun", include_str!("../../api/requests/run.json")),
    (
        "measure",
        include_str!("../../api/requests/measurement.json"),
    ),
];

impl Modify for Common {
    fn modify(&self, api: &mut Description) {
        for path in api.paths.paths.values_mut() {
            operations(path).for_each(complete);
        }
        let components = api.components.get_or_insert_with(Components::new);
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "A token of the scope `read`, `run` or `admin`; none is needed on loopback and with --open".to_owned(),
        );
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        post,
        patch,
        delete,
        put,
        ..
    } = path;
    [get, post, patch, delete, put].into_iter().flatten()
}

fn complete(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let failures = FAILURES.iter().find(|(of, _)| *of == id);
    let failures = failures.map_or(&[] as &[_], |(_, failures)| *failures);
    let example = EXAMPLES.iter().find(|(of, _)| *of == id);
    if let Some((_, example)) = example
        && let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(json)) = body.content.get_mut("application/json")
    {
        json.example = serde_json::from_str(example).ok();
    }
    let responses = &mut operation.responses.responses;
    if id == FLAGGER {
        // A foreign protocol, which has its own failures; its token may be in the body.
        let token = SecurityRequirement::new("token", [""; 0]);
        operation.security = Some(vec![SecurityRequirement::default(), token]);
        return;
    }
    for (status, description) in failures {
        responses.insert((*status).to_owned(), problem(description));
    }
    if !OPEN.contains(&id.as_str()) {
        for (status, description) in [
            ("401", "A token is needed"),
            ("403", "The token does not allow this"),
        ] {
            responses.insert(status.to_owned(), problem(description));
        }
        let token = SecurityRequirement::new("token", [""; 0]);
        operation.security = Some(vec![SecurityRequirement::default(), token]);
    }
    responses.insert("default".to_owned(), problem("Any other failure"));
}

fn problem(description: &str) -> RefOr<utoipa::openapi::Response> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}

/// The description, as a document.
pub fn description() -> Description {
    Api::openapi()
}

/// What this API is, in `OpenAPI` 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    operation_id = "describe",
    responses((status = 200, description = "This document", body = Object))
)]
pub(super) async fn openapi() -> Response {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    let written = WRITTEN.get_or_init(|| Written::of(&description()));
    written.answer(axum::http::StatusCode::OK)
}
