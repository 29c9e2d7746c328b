//! `POST /api/v1/measurements`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::App;
use super::extract::Document;
use super::problem::Problem;
use super::rendering::Written;
use super::templates::without_credentials;
use crate::domain::assess::worst;
use crate::domain::fault::{Fault, Faults};
use crate::domain::judge::judge;
use crate::domain::measurement::{Measurement, Phase};
use crate::domain::plan::{Ask, MetricPlan, Plan, Server};
use crate::domain::reading::{ErrorClass, Reading, SourceError};
use crate::domain::spec::{MeasurementBody, unknown_names};
use crate::ports::Moment;
use crate::secrets::without_url_credentials;
use crate::wire::{MeasurementRequest, MeasurementView, PhaseName, spec_of};

/// Callers such as Argo's `web` provider give up after ten seconds; what is not known by then is an Error.
const WITHIN: Duration = Duration::from_millis(7_500);

/// What one measurement of each metric came to. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measured {
    /// The worst of the metrics that are no dry run.
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    /// Why, in one line: what the metrics say that have that phase.
    explanation: String,
    /// Whether every metric that is no dry run was found good by data of its own.
    evidence: bool,
    metrics: Vec<NamedMeasurement>,
    /// What was measured: the merged templates, as in an `AnalysisRun`.
    #[schema(value_type = Object)]
    spec: Value,
}

/// The measurement of a metric.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NamedMeasurement {
    name: String,
    dry_run: bool,
    #[serde(flatten)]
    measurement: MeasurementView,
}

/// Measures once, now or at a past moment, and explains. Nothing is kept.
///
/// The answer is 200 with a phase whatever the OAP does, and comes within eight seconds: what could not be measured by then is an Error.
#[utoipa::path(
    post,
    path = "/api/v1/measurements",
    tag = "measurements",
    operation_id = "measure",
    request_body(
        description = "JSON or YAML",
        content(
            (MeasurementRequest = "application/json"),
            (MeasurementRequest = "application/yaml")
        )
    ),
    responses(
        (status = 200, description = "A phase, and why", body = Measured),
    )
)]
pub(super) async fn measure(
    State(app): State<Arc<App>>,
    Document(mut body): Document,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + WITHIN;
    without_credentials(&mut body);
    let MeasurementBody {
        request,
        not_before,
        at,
        metrics: wanted,
    } = MeasurementBody::read(&body);
    let plan = app.planner.plan(request).await?;

    let names = plan.metrics.iter().map(|metric| metric.name.as_str());
    let mut faults = unknown_names("metrics", &wanted, &names);
    if at.is_some_and(|at| at > app.ports.clock.now()) {
        faults.push(Fault::new(
            "at",
            "is in the future; nothing was measured then yet",
        ));
    }
    Faults::none_or(faults, ()).map_err(Problem::invalid)?;

    let moment = Moment { at, not_before };
    let chosen: Vec<&MetricPlan> = plan
        .metrics
        .iter()
        .filter(|metric| wanted.is_empty() || wanted.contains(&metric.name))
        .collect();
    let measured = take(&app, &plan, &chosen, moment, deadline).await;
    Ok(Written::of(&Measured::new(&plan, &measured)).answer(StatusCode::OK))
}

async fn take<'p>(
    app: &App,
    plan: &Plan,
    metrics: &[&'p MetricPlan],
    moment: Moment,
    deadline: Instant,
) -> Vec<(&'p MetricPlan, Measurement)> {
    let turn = timeout_at(deadline, app.measuring.acquire()).await;
    let has_turn = matches!(turn, Ok(Ok(_)));
    let measuring = metrics.iter().map(async |metric| {
        let started_at = app.ports.clock.now();
        let reading = if has_turn {
            let read = app.planner.source.read(&metric.source, moment);
            timeout_at(deadline, read).await.ok()
        } else {
            None
        };
        let reading = reading.unwrap_or_else(|| {
            let trouble = app.planner.source.trouble(&metric.source);
            too_late(metric, has_turn, trouble)
        });
        let finished_at = app.ports.clock.now();
        let measurement = judge(metric, reading, 1, started_at, finished_at, &plan.masker);
        (*metric, measurement)
    });
    join_all(measuring).await
}

/// What there is to say of a metric that was not read in time.
fn too_late(metric: &MetricPlan, was_asked: bool, trouble: Option<SourceError>) -> Reading {
    let class = match &trouble {
        Some(trouble) if was_asked => trouble.class,
        _ => ErrorClass::Unreachable,
    };
    let message = match trouble {
        _ if !was_asked => format!(
            "too many measurements are asked for at a time: this one had no turn within {WITHIN:?}"
        ),
        Some(trouble) => format!(
            "{}; it was asked again for {WITHIN:?}, which is all that a single measurement has",
            trouble.message
        ),
        None => format!(
            "the OAP did not answer within {WITHIN:?}, which is all that a single measurement has"
        ),
    };
    Reading {
        server: match &metric.source.server {
            Server::Named(name) => name.clone(),
            Server::Address(address) => without_url_credentials(address).into_owned(),
        },
        request: match &metric.source.ask {
            Ask::Query(query) => query.text().to_owned(),
            Ask::Expression { expression, .. } => expression.clone(),
        },
        window: None,
        time: None,
        answer: Err(SourceError { class, message }),
    }
}

impl Measured {
    fn new(plan: &Plan, measured: &[(&MetricPlan, Measurement)]) -> Self {
        let judged = || {
            let judged = measured.iter().filter(|(metric, _)| !metric.dry_run);
            judged.map(|(metric, measurement)| (metric.name.as_str(), measurement))
        };
        let phase = worst(judged().map(|(_, measurement)| measurement.phase));
        let reasons: Vec<String> = judged()
            .filter(|(_, measurement)| measurement.phase == phase)
            .map(|(name, measurement)| match measurement.reason() {
                reason if reason.is_empty() => name.to_owned(),
                reason => format!("{name}: {reason}"),
            })
            .collect();
        Self {
            phase: phase.name(),
            explanation: reasons.join("; "),
            evidence: phase == Phase::Successful && judged().all(|(_, it)| it.is_good()),
            metrics: measured
                .iter()
                .map(|(metric, measurement)| NamedMeasurement {
                    name: metric.name.clone(),
                    dry_run: metric.dry_run,
                    measurement: MeasurementView::new(measurement),
                })
                .collect(),
            spec: spec_of(plan),
        }
    }
}
