//! Measurements as rows that a panel can plot.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{PhaseName, time};
use crate::domain::measurement::Measurement;
use crate::domain::plan::MetricPlan;
use crate::domain::reading::Series;
use crate::domain::run::Run;

/// What one series of one measurement came to, as a row of a table. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRow {
    /// When the measurement was done.
    #[schema(format = DateTime)]
    time: String,
    /// The run's id.
    run: String,
    namespace: String,
    /// The run's name.
    name: String,
    /// The templates that the run was asked for by, with commas between them.
    templates: String,
    metric: String,
    /// Which series: the key of a query, the labels of an expression; empty where the measurement has none, and this is all of it.
    series: String,
    /// The number of the measurement within its metric.
    number: u64,
    /// What the measurement counts as, whichever series decided.
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    dry_run: bool,
    /// The newest number of the series; null where it has none.
    value: Option<f64>,
    /// How many numbers of it were judged.
    count: usize,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    /// Why the measurement came out as it did, in one line.
    reason: String,
    /// The start of the first bucket that was asked for; null where nothing was.
    #[schema(format = DateTime)]
    window_from: Option<String>,
    /// The end of the last one.
    #[schema(format = DateTime)]
    window_to: Option<String>,
}

impl MeasurementRow {
    /// The row of `series`, or of a `measurement` that has none, of the metric that `plan` is of.
    pub fn new(
        run: &Run,
        plan: &MetricPlan,
        measurement: &Measurement,
        series: Option<&Series>,
    ) -> Self {
        let numbers: Vec<f64> = series.into_iter().flat_map(Series::values).collect();
        let window = measurement.explanation.as_ref();
        let window = window.and_then(|why| why.window.as_ref());
        Self {
            time: time(Self::moment(measurement)),
            run: run.id.to_string(),
            namespace: run.namespace.clone(),
            name: run.name.clone(),
            templates: run.templates.join(","),
            metric: plan.name.clone(),
            series: series.map_or_else(String::new, |series| series.name.clone()),
            number: measurement.number,
            phase: measurement.phase.name(),
            dry_run: plan.dry_run,
            value: numbers.last().copied(),
            count: numbers.len(),
            min: numbers.iter().copied().reduce(f64::min),
            max: numbers.iter().copied().reduce(f64::max),
            mean: mean(&numbers),
            reason: measurement.reason(),
            window_from: window.map(|window| time(window.first())),
            window_to: window.map(|window| time(window.end())),
        }
    }

    /// The moment of its rows: within the life of its run.
    pub fn moment(measurement: &Measurement) -> Timestamp {
        measurement.finished_at.unwrap_or(measurement.started_at)
    }
}

/// Each number is divided before they are added, so that large ones don't overflow.
#[expect(
    clippy::cast_precision_loss,
    reason = "a series has at most as many points as a window has buckets"
)]
fn mean(numbers: &[f64]) -> Option<f64> {
    let count = numbers.len() as f64;
    numbers
        .iter()
        .map(|number| number / count)
        .reduce(|sum, part| sum + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_all_and_never_beyond_them() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[7.0]), Some(7.0));
        assert_eq!(mean(&[1.0, 2.0, 3.0, 6.0]), Some(3.0));
        assert_eq!(mean(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }
}
