//! `POST /api/v1/runs`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use tracing::info;

use super::{find, located};
use crate::api::App;
use crate::api::access::Caller;
use crate::api::extract::Document;
use crate::api::problem::{Kind, Problem};
use crate::api::templates::without_credentials;
use crate::domain::analysis::Request;
use crate::domain::fault::shown;
use crate::domain::plan::Plan;
use crate::domain::run::{Run, RunId};
use crate::domain::spec::{self, RunBody};
use crate::ports::{Inserted, RequestKey};
use crate::wire::{AnalysisRun, RunRequest};

/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

/// What came of a request for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// A run has begun.
    New(RunId),
    /// The same request has been made before, and this is its run.
    Before(RunId),
}

/// Starts a run, once however often the same request is sent with the same `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/api/v1/runs",
    tag = "runs",
    operation_id = "startRun",
    params(
        ("idempotency-key" = Option<String>, Header, description = "The same key with the same request starts no second run")
    ),
    request_body(
        description = "JSON or YAML",
        content(
            (RunRequest = "application/json"),
            (RunRequest = "application/yaml")
        )
    ),
    responses(
        (status = 201, description = "The new run", body = AnalysisRun, headers(("location" = String))),
        (status = 200, description = "The run that the same request has started before", body = AnalysisRun, headers(("location" = String))),
    )
)]
pub(in crate::api) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Document(mut body): Document,
) -> Result<Response, Problem> {
    let request = request_key(&headers, &caller, "runs", &body)?;
    without_credentials(&mut body);
    let started = start(&app, RunBody::read(&body), request).await?;
    answer(&app, started).await
}

/// 201 for a run that has begun, 200 for one that had before.
pub(super) async fn answer(app: &App, started: Started) -> Result<Response, Problem> {
    let (id, status) = match started {
        Started::New(id) => (id, StatusCode::CREATED),
        Started::Before(id) => (id, StatusCode::OK),
    };
    let watched = find(app, &id).await?;
    let written = app.renderings.of(watched.run());
    Ok(located(&written, &id, status))
}

/// Starts the run that `body` asks for, unless `request` was made before. Whoever else starts runs starts them here.
pub async fn start(
    app: &App,
    body: RunBody,
    request: Option<RequestKey>,
) -> Result<Started, Problem> {
    begin(app, request, prepare(app, body)).await
}

/// The run that `body` asks for, created now and started by nobody yet.
pub(in crate::api) async fn prepare(app: &App, body: RunBody) -> Result<Run, Problem> {
    let RunBody {
        request: asked,
        name,
        labels,
        not_before,
        conclude_after,
    } = body;
    let namespace = asked.namespace.clone();
    let name = name.unwrap_or_else(|| name_of(&asked));
    let templates = templates_of(&asked);
    let plan = app.planner.plan(asked).await?;
    let mut run = new_run(app, &namespace, &name, plan);
    run.labels = labels;
    run.templates = templates;
    run.not_before = not_before;
    run.conclude_after = conclude_after;
    Ok(run)
}

/// Starts the run that is made by `make`, unless `request` was made before.
pub(super) async fn begin(
    app: &App,
    request: Option<RequestKey>,
    make: impl Future<Output = Result<Run, Problem>>,
) -> Result<Started, Problem> {
    if let Some(request) = &request
        && let Some(before) = app.ports.store.requested(request).await?
    {
        return outcome(before, RunId(String::new()));
    }
    let run = make.await?;
    app.refuse_too_many().await?;
    let id = &run.id;
    let inserted = app.engine.start_once(&run, request.as_ref()).await?;
    if inserted == Inserted::New {
        info!(run.id = %id, run.namespace, run.name, "run `{id}` was started: `{}`", run.name);
    }
    outcome(inserted, run.id)
}

/// A run of `plan`, created now.
pub(super) fn new_run(app: &App, namespace: &str, name: &str, plan: Arc<Plan>) -> Run {
    let id = RunId(uuid::Uuid::new_v4().to_string());
    Run::new(id, namespace, name, plan, app.ports.clock.now())
}

fn outcome(inserted: Inserted, id: RunId) -> Result<Started, Problem> {
    match inserted {
        Inserted::New => Ok(Started::New(id)),
        Inserted::Before(id) => Ok(Started::Before(id)),
        Inserted::Differs => Err(Problem::new(
            Kind::KeyReused,
            "another request was made under this idempotency key; give each request a key of its own",
        )),
    }
}

/// The only template's name, or all of them joined.
fn name_of(request: &Request) -> String {
    let names: Vec<&str> = request
        .templates
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    if names.is_empty() {
        "analysis".to_owned()
    } else {
        names.join("-")
    }
}

fn templates_of(request: &Request) -> Vec<String> {
    let name = |it: &spec::TemplateRef| match it.kind() {
        spec::Kind::Namespaced => it.name.clone(),
        spec::Kind::Cluster => format!("clustertemplates/{}", it.name),
    };
    request.templates.iter().map(name).collect()
}

/// What tells a request from others: the caller's own key, which nobody else's can be, and a digest of what it says.
pub(super) fn request_key(
    headers: &HeaderMap,
    caller: &Caller,
    what: &str,
    body: &Value,
) -> Result<Option<RequestKey>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(key.as_bytes());
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if text.trim().is_empty() || text.len() > LONGEST_KEY || !is_plain || keys.next().is_some() {
        return Err(Problem::new(
            Kind::Malformed,
            format!(
                "expected one Idempotency-Key of up to {LONGEST_KEY} printable characters, found {}",
                shown(&text)
            ),
        ));
    }
    // Fields in whatever order: a `Value` writes them in one.
    let fingerprint = digest(&SHA256, body.to_string().as_bytes());
    Ok(Some(RequestKey {
        key: format!("api/{}/{what}/{text}", caller.name()),
        fingerprint: URL_SAFE_NO_PAD.encode(fingerprint.as_ref()),
    }))
}
