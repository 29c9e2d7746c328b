//! What the data of an answer means: numbers, and for each of them whether it is data, a gap, not settled or anyone's guess.
//!
//! Pure functions of the JSON that came back. An OAP says nearly everything that is wrong in the shape of a perfectly good
//! answer, mostly as zeros; here they become typed errors with a text that helps.
//!
//! - `query`: the answer to a user's query.
//! - `expression`: the answer to an MQE expression.
//! - `parts`: where things stand in the JSON.
//! - `point`: one bucket.

mod expression;
mod parts;
mod point;
mod query;

use std::collections::BTreeMap;

use crate::domain::nearest::nearest;
use crate::domain::plan::Gaps;
use crate::domain::query::{Query, Read, ReadField};
use crate::domain::reading::{Answer, ErrorClass, Point, PointKind, Series, SourceError};
use crate::domain::window::Window;

pub use expression::{
    ExpressionResult, Label, MqeMetadata, MqeValue, MqeValues, decode_expression,
};
pub use query::decode_query;

/// What `typeOfMetrics` says of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// The OAP doesn't know the metric.
    Unknown,
    /// A number a bucket.
    Regular,
    /// A number a bucket and label.
    Labeled,
    /// A histogram a bucket.
    Heatmap,
    /// The slowest of something, say.
    SampledRecord,
    /// One that came with a later server.
    Other,
}

impl MetricType {
    /// Reads OAP's word for it.
    pub fn named(name: &str) -> Self {
        match name {
            "UNKNOWN" => Self::Unknown,
            "REGULAR_VALUE" => Self::Regular,
            "LABELED_VALUE" => Self::Labeled,
            "HEATMAP" => Self::Heatmap,
            "SAMPLED_RECORD" => Self::SampledRecord,
            _ => Self::Other,
        }
    }
}

/// The types of metrics, as far as they are known, by name.
pub type MetricTypes = BTreeMap<String, MetricType>;

/// Finds a metric that doesn't exist or is read as one of another kind, which an OAP answers with zeros, nothing or its database's error.
/// Metrics whose type isn't in `types` pass.
pub fn check_kinds(query: &Query, types: &MetricTypes) -> Result<(), SourceError> {
    for read in query.reads() {
        if let Some(metric) = &read.metric
            && let Some(kind) = types.get(metric)
        {
            check_kind(read, metric, *kind)?;
        }
    }
    Ok(())
}

fn check_kind(read: &Read, metric: &str, kind: MetricType) -> Result<(), SourceError> {
    let field = read.field.name();
    let message = match (read.field, kind) {
        (_, MetricType::Unknown) => return Err(unknown_metric(metric)),
        (
            ReadField::ReadMetricsValue
            | ReadField::ReadNullableMetricsValue
            | ReadField::ReadMetricsValues,
            MetricType::Labeled,
        ) => format!(
            "`{metric}` is a labelled metric, which `{field}` cannot read: use `readLabeledMetricsValues`, or an `expression` such as `{metric}{{p='99'}}`"
        ),
        (ReadField::ReadLabeledMetricsValues, MetricType::Regular) => {
            format!("`{metric}` has no labels, so `{field}` finds nothing: use `readMetricsValues`")
        }
        (
            ReadField::ReadMetricsValue
            | ReadField::ReadNullableMetricsValue
            | ReadField::ReadMetricsValues
            | ReadField::ReadLabeledMetricsValues,
            MetricType::Heatmap,
        ) => format!("`{metric}` is a heat map, which `{field}` cannot read: use `readHeatMap`"),
        (
            ReadField::ReadMetricsValue
            | ReadField::ReadNullableMetricsValue
            | ReadField::ReadMetricsValues
            | ReadField::ReadLabeledMetricsValues
            | ReadField::SortMetrics
            | ReadField::ReadHeatMap
            | ReadField::ReadSampledRecords
            | ReadField::ExecExpression,
            MetricType::Regular
            | MetricType::Labeled
            | MetricType::Heatmap
            | MetricType::SampledRecord
            | MetricType::Other,
        ) => return Ok(()),
    };
    Err(error(ErrorClass::WrongKindOfMetric, message))
}

/// Finds points of a time that nobody asked for in the answer to an expression, which is always asked for the window.
pub fn check_times(answer: &Answer, window: &Window) -> Result<(), SourceError> {
    let buckets = point::Buckets {
        window,
        gaps: Gaps::Skip,
    };
    let mut points = answer.series.iter().flat_map(|series| &series.points);
    points.try_for_each(|point| buckets.check(point.at))
}

/// Whether a series may come of a service that doesn't exist: it has no bucket with data, only gaps and zeros that may be nothing.
pub fn proves_nothing(series: &Series) -> bool {
    series.points.iter().all(|point| match point.kind {
        PointKind::Gap | PointKind::Stale | PointKind::ZeroOrNothing => true,
        PointKind::Data | PointKind::Unsettled => false,
    })
}

/// Decides for the zeros of an answer that may be nothing: they are gaps, in each series that has nothing else.
pub fn read_zeros_as_gaps(answer: &mut Answer, gaps: Gaps) {
    for series in answer.series.iter_mut().filter(|it| proves_nothing(it)) {
        let is_seen = |point: &Point| point.value.is_some();
        let had: Vec<bool> = series.points.iter().map(is_seen).collect();
        for point in &mut series.points {
            if point.kind == PointKind::ZeroOrNothing {
                *point = point::gap(point.at, gaps);
            }
        }
        let list = series
            .path
            .as_deref()
            .and_then(|path| parts::list_at(&mut answer.result, path));
        if let Some(list) = list {
            let left = series.points.iter().zip(had).filter(|(_, had)| *had);
            let left: Vec<Point> = left.map(|(point, _)| *point).collect();
            parts::keep_seen(list, &left);
        }
    }
}

/// An error of the class `UnknownMetric`.
pub fn unknown_metric(name: &str) -> SourceError {
    error(
        ErrorClass::UnknownMetric,
        format!("the OAP knows no metric named `{name}`"),
    )
}

/// The same error with the metric that was most likely meant, where it is an unknown one and `metrics` has one that is close.
#[must_use]
pub fn suggest<'a>(error: SourceError, metrics: impl IntoIterator<Item = &'a str>) -> SourceError {
    let meant = match error.class {
        // `unknown_metric` is where such errors come from: the name stands between the first two backticks.
        ErrorClass::UnknownMetric => error
            .message
            .split('`')
            .nth(1)
            .and_then(|name| nearest(name, metrics)),
        ErrorClass::Unreachable
        | ErrorClass::Refused
        | ErrorClass::Malformed
        | ErrorClass::BadQuery
        | ErrorClass::IncompleteEntity
        | ErrorClass::WrongKindOfMetric
        | ErrorClass::Unsupported => None,
    };
    match meant {
        Some(name) => SourceError {
            message: format!("{}; did you mean `{name}`?", error.message),
            ..error
        },
        None => error,
    }
}

fn error(class: ErrorClass, message: impl Into<String>) -> SourceError {
    SourceError {
        class,
        message: message.into(),
    }
}

fn malformed(message: impl Into<String>) -> SourceError {
    error(ErrorClass::Malformed, message)
}

/// `name`, or `name#2` and so on where a series has it already.
fn unique(name: String, taken: &[Series]) -> String {
    let is_taken = |name: &str| taken.iter().any(|series| series.name == name);
    if !is_taken(&name) {
        return name;
    }
    (2..=taken.len() + 2)
        .map(|number| format!("{name}#{number}"))
        .find(|name| !is_taken(name))
        .unwrap_or(name)
}
