//! Runs in few and flat fields: rows for dashboards, a summary for callers that pick by JSONPath.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{PhaseName, stop_word, time};
use crate::domain::measurement::Measurement;
use crate::domain::metric_run::MetricRun;
use crate::domain::plan::MetricPlan;
use crate::domain::run::Run;

/// A run as a row of a table. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// What tells it apart: `metadata.uid` of the `AnalysisRun`.
    id: String,
    namespace: String,
    name: String,
    /// The templates that it was asked for by, with commas between them.
    templates: String,
    /// Its labels as `name=value`, with commas between them.
    labels: String,
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    /// Whether nothing can follow.
    is_over: bool,
    /// Whether every metric that counts has a good measurement.
    evidence: bool,
    /// Whether it is Successful, there is evidence for it, and nobody terminated it: what a gate should go by.
    passed: bool,
    /// The verdict in one line; empty while it is under way.
    explanation: String,
    message: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    #[schema(format = DateTime)]
    not_before: Option<String>,
    /// From its start to its end; null while it is under way.
    duration_seconds: Option<f64>,
    metric_count: usize,
    /// Measurements taken of all metrics, those that waited for data included.
    taken: u64,
    /// Measurements that are evidence.
    good: u64,
    successful: u64,
    failed: u64,
    inconclusive: u64,
    error: u64,
}

/// A run in small: the row, and each of its metrics in a few fields.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    #[serde(flatten)]
    run: RunRow,
    metrics: Vec<MetricSummary>,
}

/// One metric of a run in small. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSummary {
    name: String,
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    message: String,
    dry_run: bool,
    taken: u64,
    good: u64,
    count: u64,
    successful: u64,
    failed: u64,
    inconclusive: u64,
    error: u64,
    consecutive_success: u64,
    consecutive_failure: u64,
    consecutive_error: u64,
    /// Why it ended before its own end, in the words of a run's `stop`; null where it came to it.
    cut_short: Option<&'static str>,
    /// The phase of its newest measurement; null before the first one.
    #[schema(value_type = Option<PhaseName>)]
    last_phase: Option<&'static str>,
    /// The newest number in the first series of that measurement; null where it has none.
    last_value: Option<f64>,
    /// Why that measurement came out as it did, in one line.
    last_reason: String,
    #[schema(format = DateTime)]
    last_at: Option<String>,
}

impl RunRow {
    /// `run` as it is.
    pub fn new(run: &Run) -> Self {
        let sum = |of: fn(&MetricRun) -> u64| run.metrics.iter().map(of).sum();
        let labels: Vec<String> = run
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Self {
            id: run.id.to_string(),
            namespace: run.namespace.clone(),
            name: run.name.clone(),
            templates: run.templates.join(","),
            labels: labels.join(","),
            phase: run.phase.name(),
            is_over: run.phase.is_over(),
            evidence: run.has_evidence(),
            passed: run.has_passed(),
            explanation: run.explanation(),
            message: run.message.clone(),
            created_at: time(run.created_at),
            started_at: run.started_at.map(time),
            completed_at: run.completed_at.map(time),
            not_before: run.not_before.map(time),
            duration_seconds: duration(run.started_at, run.completed_at),
            metric_count: run.metrics.len(),
            taken: sum(|metric| metric.taken),
            good: sum(|metric| metric.good),
            successful: sum(|metric| metric.counts.successful),
            failed: sum(|metric| metric.counts.failed),
            inconclusive: sum(|metric| metric.counts.inconclusive),
            error: sum(|metric| metric.counts.error),
        }
    }
}

impl RunSummary {
    /// `run` as it is.
    pub fn new(run: &Run) -> Self {
        Self {
            run: RunRow::new(run),
            metrics: run
                .metrics()
                .map(|(plan, metric)| MetricSummary::new(plan, metric))
                .collect(),
        }
    }
}

impl MetricSummary {
    fn new(plan: &MetricPlan, metric: &MetricRun) -> Self {
        let last = metric.measurements.back();
        Self {
            name: plan.name.clone(),
            phase: metric.phase.name(),
            message: metric.message.clone(),
            dry_run: plan.dry_run,
            taken: metric.taken,
            good: metric.good,
            count: metric.counts.count,
            successful: metric.counts.successful,
            failed: metric.counts.failed,
            inconclusive: metric.counts.inconclusive,
            error: metric.counts.error,
            consecutive_success: metric.counts.consecutive_success,
            consecutive_failure: metric.counts.consecutive_failure,
            consecutive_error: metric.counts.consecutive_error,
            cut_short: metric.cut_short.map(stop_word),
            last_phase: last.map(|last| last.phase.name()),
            last_value: last.and_then(newest_number),
            last_reason: last.map(Measurement::reason).unwrap_or_default(),
            last_at: last.map(|last| time(last.started_at)),
        }
    }
}

fn duration(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<f64> {
    Some(to?.duration_since(from?).as_secs_f64())
}

fn newest_number(measurement: &Measurement) -> Option<f64> {
    let series = measurement.explanation.as_ref()?.series.first()?;
    series.values().last()
}
