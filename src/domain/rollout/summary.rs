//! What of a run stands in a rollout's tree.

use jiff::Timestamp;

use super::super::measurement::{Measurement, Phase};
use super::super::metric_run::MetricRun;
use super::super::plan::MetricPlan;
use super::super::reading::Series;
use super::super::run::{Run, RunId};

/// What the service knows of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Which run.
    pub run: RunId,
    /// Its phase.
    pub phase: Phase,
    /// What its metrics have come to.
    pub metrics: Vec<MetricSummary>,
}

/// What a metric of a run has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSummary {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// How many of its measurements were Successful.
    pub successful: u64,
    /// How many were Failed.
    pub failed: u64,
    /// How many were Inconclusive.
    pub inconclusive: u64,
    /// How many were Error.
    pub error: u64,
    /// Its newest measurement.
    pub latest: Option<Latest>,
}

/// A metric's newest measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// When it was taken.
    pub at: Timestamp,
    /// Its phase.
    pub phase: Phase,
    /// The values in it, or what there is instead, in one line.
    pub values: String,
    /// The condition that they were held against; empty where there was none.
    pub condition: String,
}

/// How many values of a series are shown: the newest.
const MOST_VALUES: usize = 8;

impl RunSummary {
    /// What of `run` stands in the tree.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            phase: run.phase,
            metrics: run
                .metrics()
                .map(|(plan, state)| MetricSummary::of(plan, state))
                .collect(),
        }
    }
}

impl MetricSummary {
    fn of(plan: &MetricPlan, state: &MetricRun) -> Self {
        let dry = if plan.dry_run { " (dry run)" } else { "" };
        Self {
            name: format!("{}{dry}", plan.name),
            phase: state.phase,
            successful: state.counts.successful,
            failed: state.counts.failed,
            inconclusive: state.counts.inconclusive,
            error: state.counts.error,
            latest: state.measurements.back().map(Latest::of),
        }
    }
}

impl Latest {
    fn of(measured: &Measurement) -> Self {
        let why = measured.explanation.as_deref();
        let decided = why.and_then(|why| why.decided.as_ref());
        let series = why.map_or(&[][..], |why| &why.series);
        let is_single = series.len() == 1;
        let values: Vec<String> = series
            .iter()
            .filter_map(|series| values_of(series, is_single))
            .collect();
        let condition = decided.map_or(String::new(), |decided| decided.condition.clone());
        let (values, condition) = match values.join("; ") {
            values if !values.is_empty() => (values, condition),
            _ if !measured.message.is_empty() => (measured.message.clone(), String::new()),
            _ => (measured.value.clone(), condition),
        };
        Self {
            at: measured.finished_at.unwrap_or(measured.started_at),
            phase: measured.phase,
            values,
            condition,
        }
    }
}

/// `9950, 10000, 9980`, with its name where there are several; `None` where it has no value.
fn values_of(series: &Series, is_single: bool) -> Option<String> {
    let values: Vec<String> = series.values().map(|value| value.to_string()).collect();
    if values.is_empty() {
        return None;
    }
    let newest = &values[values.len().saturating_sub(MOST_VALUES)..];
    let newest = newest.join(", ");
    Some(if is_single {
        newest
    } else {
        format!("{}: {newest}", series.name)
    })
}
