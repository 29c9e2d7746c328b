//! What programs read: an `AnalysisRun` in Argo's shape, with what we add in fields of their own.
//!
//! No field ever vanishes: what is absent is null or empty, so that a JSONPath always finds something.
//! All that a command shows of a run is in it: [`read`] is the way back.

pub mod read;

mod annotation;
mod canary;
mod flat;
mod request;
mod rollout;
mod series;

use std::collections::BTreeMap;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::args::Masker;
use crate::domain::assess::{Counts, Struck, worst};
use crate::domain::duration::short;
use crate::domain::measurement::{Explanation, Measurement, Phase, Side};
use crate::domain::plan::{MetricPlan, Plan};
use crate::domain::reading::{Point, PointKind, Series};
use crate::domain::run::{MetricRun, Run, Stop};
use crate::domain::verdict::Summary;

pub use annotation::Annotation;
pub use canary::{CanaryPage, CanaryRow, CanaryView, JudgedBy, KeptCanary};
pub use flat::{MetricSummary, RunRow, RunSummary};
pub use request::{
    ArgumentValue, DryRun, MeasurementRequest, MeasurementRetention, RunPatch, RunRequest,
    SecretKeyRef, TemplateReference, TtlStrategy, ValueSource,
};

pub use rollout::{
    CommandRequest, CommandView, LeaseRequest, LeaseView, PostedView, RolloutPage, RolloutRow,
    RolloutSave, RolloutView, SeenAt,
};
pub use series::MeasurementRow;

/// What the `type` of every problem of ours begins with; the name of its kind follows.
pub const PROBLEM_TYPE: &str = "urn:skygate:problem:";

/// Pretty JSON with a line end.
pub fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// YAML.
pub fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_norway::to_string(value)?)
}

/// How a run, a metric or a measurement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Phase)]
pub enum PhaseName {
    /// Accepted, nothing done yet.
    Pending,
    /// Under way.
    Running,
    /// The condition held.
    Successful,
    /// The condition was evaluated and not met.
    Failed,
    /// It could not be measured.
    Error,
    /// Measured, but neither good nor bad.
    Inconclusive,
}

/// An `AnalysisRun`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRun {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    /// The merged templates, placeholders unrendered, secrets as references.
    #[schema(value_type = Object)]
    spec: Value,
    status: Status,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    labels: BTreeMap<String, String>,
    #[schema(format = DateTime)]
    creation_timestamp: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    message: String,
    metric_results: Vec<MetricResult>,
    run_summary: Summed,
    dry_run_summary: Summed,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// Ours: the verdict in one line.
    explanation: String,
    /// Ours: whether every metric that counts has a good measurement.
    evidence: bool,
    /// Ours: when the version first took traffic.
    #[schema(format = DateTime)]
    not_before: Option<String>,
    /// Ours: how long after its start a run is ended that has no end of its own, as in `30m`.
    conclude_after: Option<String>,
    /// Ours: the templates it was asked for by, as `name` or `clustertemplates/name`.
    templates: Vec<String>,
    /// Ours: why it takes no further measurement although some metrics have not come to their own end:
    /// `Terminated`, `Concluded`, or `Metric` where one of them ended it.
    stop: Option<&'static str>,
    /// Ours: the metric that ended it.
    stop_by: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Summed {
    count: u64,
    successful: u64,
    failed: u64,
    inconclusive: u64,
    error: u64,
}

/// How far a metric has come. Argo lists one once it was measured; here all are, in the order of the spec.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MetricResult {
    name: String,
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    message: String,
    dry_run: bool,
    count: u64,
    successful: u64,
    failed: u64,
    inconclusive: u64,
    error: u64,
    consecutive_error: u64,
    consecutive_success: u64,
    measurements: Vec<MeasurementView>,
    /// Ours.
    consecutive_failure: u64,
    /// Ours: how many of its measurements are evidence that the service is good.
    good: u64,
    /// Ours: how many were taken, those that waited for data and those that are no longer kept included.
    taken: u64,
    /// Ours: the limit that ended it.
    struck: Option<StruckView>,
    /// Ours: why it ended before its own end, in the words of the run's `stop`; null where it came to it.
    cut_short: Option<&'static str>,
    /// Ours: the metric that ended the run before.
    cut_short_by: Option<String>,
    /// Ours: when it is measured next; null while it is being measured, and when it is over.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// Ours: since when its next measurement is under way.
    #[schema(format = DateTime)]
    in_flight_since: Option<String>,
    /// Ours: since when it has waited for data.
    #[schema(format = DateTime)]
    waiting_since: Option<String>,
}

/// The limit that ended a metric.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Struck)]
struct StruckView {
    /// The template's field: `failureLimit`, say.
    rule: &'static str,
    /// What that field says; null for a time.
    limit: Option<i64>,
    /// How many measurements there were of what it limits; null for a time.
    count: Option<u64>,
    /// How long there was no data, where that was the end.
    waited_seconds: Option<f64>,
}

/// A measurement in Argo's shape, with its explanation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Measurement)]
pub struct MeasurementView {
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    message: String,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    value: String,
    /// Ours.
    number: u64,
    /// Ours: whether it entered the counters; not so for one that waits for data.
    counts: bool,
    /// Ours.
    explanation: Option<ExplanationView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Explanation)]
struct ExplanationView {
    server: String,
    query: String,
    window: Option<WindowView>,
    /// How far the OAP's clock is ahead of ours, in seconds.
    skew_seconds: Option<f64>,
    no_data: bool,
    error: Option<&'static str>,
    decided_by: Option<&'static str>,
    condition: Option<String>,
    holds: Option<bool>,
    reason: String,
    series: Vec<SeriesView>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Window)]
struct WindowView {
    /// Both ends inclusive, in the OAP's own zone, as they were sent.
    start: String,
    end: String,
    step: &'static str,
    zone: String,
    /// The same as moments: the start of the first bucket and the end of the last one.
    #[schema(format = DateTime)]
    from: String,
    #[schema(format = DateTime)]
    to: String,
    buckets: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Series)]
struct SeriesView {
    name: String,
    points: Vec<PointView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Point)]
struct PointView {
    #[schema(format = DateTime)]
    at: Option<String>,
    value: Option<f64>,
    kind: &'static str,
    decided: bool,
}

/// The measurements of one `measure`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Measured {
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    metrics: Vec<NamedMeasurement>,
    /// The merged templates, as in an `AnalysisRun`; null where nobody said them.
    #[schema(value_type = Option<Object>)]
    spec: Value,
}

#[derive(Debug, Serialize, ToSchema)]
struct NamedMeasurement {
    name: String,
    #[serde(flatten)]
    measurement: MeasurementView,
}

impl AnalysisRun {
    /// `run` as it is.
    pub fn new(run: &Run) -> Self {
        Self {
            api_version: "argoproj.io/v1alpha1",
            kind: "AnalysisRun",
            metadata: Metadata {
                name: run.name.clone(),
                namespace: run.namespace.clone(),
                uid: run.id.to_string(),
                labels: run.labels.clone(),
                creation_timestamp: time(run.created_at),
            },
            spec: spec_of(&run.plan),
            status: Status {
                phase: run.phase.name(),
                message: run.message.clone(),
                metric_results: run
                    .metrics()
                    .map(|(plan, metric)| MetricResult::new(metric, plan, run))
                    .collect(),
                run_summary: run.summary().into(),
                dry_run_summary: run.dry_run_summary().into(),
                started_at: run.started_at.map(time),
                completed_at: run.completed_at.map(time),
                explanation: run.explanation(),
                evidence: run.has_evidence(),
                not_before: run.not_before.map(time),
                conclude_after: run.conclude_after.map(short),
                templates: run.templates.clone(),
                stop: run.stop.map(stop_word),
                stop_by: run.stop.and_then(|stop| stopped_by(stop, run)),
            },
        }
    }
}

impl MetricResult {
    fn new(metric: &MetricRun, plan: &MetricPlan, run: &Run) -> Self {
        let Counts {
            count,
            successful,
            failed,
            inconclusive,
            error,
            consecutive_error,
            consecutive_success,
            consecutive_failure,
        } = metric.counts;
        Self {
            name: plan.name.clone(),
            phase: metric.phase.name(),
            message: metric.message.clone(),
            dry_run: plan.dry_run,
            count,
            successful,
            failed,
            inconclusive,
            error,
            consecutive_error,
            consecutive_success,
            measurements: metric
                .measurements
                .iter()
                .map(MeasurementView::new)
                .collect(),
            consecutive_failure,
            good: metric.good,
            taken: metric.taken,
            struck: metric.struck.map(StruckView::new),
            cut_short: metric.cut_short.map(stop_word),
            cut_short_by: metric.cut_short.and_then(|stop| stopped_by(stop, run)),
            due_at: metric.due_at.map(time),
            in_flight_since: metric.in_flight.map(|in_flight| time(in_flight.started_at)),
            waiting_since: metric.waiting_since.map(time),
        }
    }
}

impl StruckView {
    fn new(struck: Struck) -> Self {
        let (limit, count, waited) = match struck {
            Struck::Failures { failed, limit } => (Some(limit), Some(failed), None),
            Struck::FailuresInARow { failures, limit } => (Some(limit), Some(failures), None),
            Struck::Inconclusives {
                inconclusive,
                limit,
            } => (Some(limit), Some(inconclusive), None),
            Struck::ErrorsInARow { errors, limit } => (Some(limit), Some(errors), None),
            Struck::NoData { waited } => (None, None, Some(waited)),
        };
        Self {
            rule: rule(struck),
            limit,
            count,
            waited_seconds: waited.map(|waited| waited.as_secs_f64()),
        }
    }
}

/// The template's field that `struck` is about.
fn rule(struck: Struck) -> &'static str {
    match struck {
        Struck::Failures { .. } => "failureLimit",
        Struck::FailuresInARow { .. } => "consecutiveFailureLimit",
        Struck::Inconclusives { .. } => "inconclusiveLimit",
        Struck::ErrorsInARow { .. } => "consecutiveErrorLimit",
        Struck::NoData { .. } => "noDataTimeout",
    }
}

impl MeasurementView {
    /// A measurement.
    pub fn new(measured: &Measurement) -> Self {
        Self {
            phase: measured.phase.name(),
            message: measured.message.clone(),
            started_at: time(measured.started_at),
            finished_at: measured.finished_at.map(time),
            value: measured.value.clone(),
            number: measured.number,
            counts: measured.counts,
            explanation: measured.explanation.as_deref().map(ExplanationView::new),
        }
    }
}

impl ExplanationView {
    fn new(why: &Explanation) -> Self {
        let decided = why.decided.as_ref();
        let deciding = |series: usize, point: usize| {
            decided.is_some_and(|decided| decided.points.contains(&(series, point)))
        };
        Self {
            server: why.server.clone(),
            query: why.request.clone(),
            window: why.window.as_ref().map(|window| WindowView {
                start: window.start_text(),
                end: window.end_text(),
                step: window.step().name(),
                zone: window.zone().to_string(),
                from: time(window.first()),
                to: time(window.end()),
                buckets: window.buckets().len(),
            }),
            skew_seconds: why.skew.map(|skew| skew.as_secs_f64()),
            no_data: why.no_data,
            error: why.error.map(crate::domain::reading::ErrorClass::name),
            decided_by: decided.map(|decided| Side::name(decided.side)),
            condition: decided.map(|decided| decided.condition.clone()),
            holds: decided.map(|decided| decided.holds),
            reason: decided
                .map(|decided| decided.reason.clone())
                .unwrap_or_default(),
            series: why
                .series
                .iter()
                .enumerate()
                .map(|(index, series)| series_view(series, |point| deciding(index, point)))
                .collect(),
            notes: why.notes.clone(),
        }
    }
}

/// What `plan` was made of as the `spec` of an `AnalysisRun`, its secrets masked.
pub fn spec_of(plan: &Plan) -> Value {
    let mut spec = plan.analysis.written();
    if !plan.masker.is_empty() {
        mask(&mut spec, &plan.masker);
    }
    spec
}

/// Masks every text; the names of fields stay.
fn mask(value: &mut Value, masker: &Masker) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = masker.mask(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, masker)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask(field, masker)),
    }
}

fn series_view(series: &Series, decided: impl Fn(usize) -> bool) -> SeriesView {
    let view = |(index, point): (usize, &Point)| PointView {
        at: point.at.map(time),
        value: point.value,
        kind: kind(point.kind),
        decided: decided(index),
    };
    SeriesView {
        name: series.name.clone(),
        points: series.points.iter().enumerate().map(view).collect(),
    }
}

/// Why a run, or one of its metrics, did not come to its own end, in a word for programs.
fn stop_word(stop: Stop) -> &'static str {
    match stop {
        Stop::Terminated => "Terminated",
        Stop::Concluded => "Concluded",
        Stop::Metric(_) => "Metric",
    }
}

/// The metric that is the reason.
fn stopped_by(stop: Stop, run: &Run) -> Option<String> {
    match stop {
        Stop::Terminated | Stop::Concluded => None,
        Stop::Metric(by) => run.plan.metrics.get(by).map(|metric| metric.name.clone()),
    }
}

fn kind(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Data => "Data",
        PointKind::Gap => "Gap",
        PointKind::Unsettled => "Unsettled",
        PointKind::Stale => "Stale",
        PointKind::ZeroOrNothing => "ZeroOrNothing",
    }
}

impl Measured {
    /// One measurement a metric; the phase is the worst of them.
    pub fn new<'a>(measured: impl IntoIterator<Item = (&'a str, &'a Measurement)>) -> Self {
        let (phases, metrics): (Vec<Phase>, Vec<NamedMeasurement>) = measured
            .into_iter()
            .map(|(name, measurement)| {
                let named = NamedMeasurement {
                    name: name.to_owned(),
                    measurement: MeasurementView::new(measurement),
                };
                (measurement.phase, named)
            })
            .unzip();
        Self {
            phase: worst(phases).name(),
            metrics,
            spec: Value::Null,
        }
    }

    /// The same with the spec that was measured by: who gets it needs no template to understand it.
    #[must_use]
    pub fn with_spec(self, plan: &Plan) -> Self {
        Self {
            spec: spec_of(plan),
            ..self
        }
    }
}

impl From<Summary> for Summed {
    fn from(summary: Summary) -> Self {
        let Summary {
            count,
            successful,
            failed,
            inconclusive,
            error,
        } = summary;
        Self {
            count,
            successful,
            failed,
            inconclusive,
            error,
        }
    }
}

/// RFC 3339, UTC, to the millisecond at most. Cut and not rounded, so that its second is the moment's own.
pub fn time(at: Timestamp) -> String {
    let to_the_millisecond = TimestampRound::new()
        .smallest(Unit::Millisecond)
        .mode(RoundMode::Trunc);
    at.round(to_the_millisecond).unwrap_or(at).to_string()
}
