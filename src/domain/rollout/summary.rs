//! What a run has come to, as far as the tree of a rollout shows it.

use super::super::measurement::Measurement;
use super::super::metric_run::MetricRun;
use super::super::plan::MetricPlan;
use super::super::run::Run;
use super::tree::{Latest, MetricSummary, RunSummary};

impl RunSummary {
    /// The summary of `run`.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            phase: run.phase,
            metrics: run
                .metrics()
                .map(|(plan, metric)| of_metric(plan, metric))
                .collect(),
        }
    }
}

fn of_metric(plan: &MetricPlan, metric: &MetricRun) -> MetricSummary {
    let counts = &metric.counts;
    MetricSummary {
        name: plan.name.clone(),
        phase: metric.phase,
        successful: counts.successful,
        failed: counts.failed,
        inconclusive: counts.inconclusive,
        error: counts.error,
        latest: metric.measurements.back().map(latest),
    }
}

fn latest(measured: &Measurement) -> Latest {
    let why = measured.explanation.as_ref();
    let decided = why.and_then(|why| why.decided.as_ref());
    Latest {
        at: measured.finished_at.unwrap_or(measured.started_at),
        phase: measured.phase,
        values: values(measured).unwrap_or_else(|| measured.message.clone()),
        condition: decided.map_or_else(String::new, |decided| decided.condition.clone()),
    }
}

/// `9900, 10000`; with several series `canary: 9900, 10000; stable: 10000, 10000`. `None`: there are no numbers.
fn values(measured: &Measurement) -> Option<String> {
    let series = &measured.explanation.as_ref()?.series;
    let texts = series.iter().filter_map(|it| {
        let numbers: Vec<String> = it.values().map(|number| number.to_string()).collect();
        (!numbers.is_empty()).then(|| (it.name.as_str(), numbers.join(", ")))
    });
    let texts: Vec<(&str, String)> = texts.collect();
    match texts.as_slice() {
        [] => None,
        [(_, only)] => Some(only.clone()),
        several => {
            let several = several.iter().map(|(name, text)| format!("{name}: {text}"));
            Some(several.collect::<Vec<_>>().join("; "))
        }
    }
}
