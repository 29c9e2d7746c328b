//! The values that an expression has on its way to an `ExpressionResult`.

use serde_json::{Value, json};

use crate::sim::Generation;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    Single,
    Series,
    Sorted,
}

impl Shape {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Single => "SINGLE_VALUE",
            Self::Series => "TIME_SERIES_VALUES",
            Self::Sorted => "SORTED_LIST",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) shape: Shape,
    pub(super) lines: Vec<Line>,
}

/// Names and values.
pub(super) type Labels = Vec<(String, String)>;

/// One labelled list of points.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// `None` where a 9.7 loses track of what it calculated with.
    pub(super) labels: Option<Labels>,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) id: Option<String>,
    pub(super) value: Option<f64>,
    pub(super) owner: Value,
}

impl Found {
    pub(super) fn single(labels: Option<Labels>, value: Option<f64>) -> Self {
        let point = Point {
            id: None,
            value,
            owner: Value::Null,
        };
        Self {
            shape: Shape::Single,
            lines: vec![Line {
                labels,
                points: vec![point],
            }],
        }
    }

    pub(super) fn has_data(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.points.iter().any(|point| point.value.is_some()))
    }

    pub(super) fn map(mut self, change: impl Fn(f64) -> f64) -> Self {
        for point in self.lines.iter_mut().flat_map(|line| &mut line.points) {
            point.value = point.value.map(&change);
        }
        self
    }

    pub(super) fn to_json(&self, generation: Generation) -> Value {
        self.lines
            .iter()
            .map(|line| {
                let labels = line.labels.as_ref().map(|labels| -> Vec<Value> {
                    labels
                        .iter()
                        .map(|(key, value)| json!({"key": key, "value": value}))
                        .collect()
                });
                let metric = match (labels, generation) {
                    (None, Generation::V9_7) => Value::Null,
                    (labels, _) => json!({"labels": labels.unwrap_or_default()}),
                };
                let values: Vec<Value> = line
                    .points
                    .iter()
                    .map(|point| {
                        json!({
                            "id": point.id,
                            "value": point.value.map(decimal),
                            "owner": point.owner,
                            "traceID": null,
                        })
                    })
                    .collect();
                json!({"metric": metric, "values": values})
            })
            .collect()
    }
}

/// A figure as MQE calculates with it.
#[expect(
    clippy::cast_precision_loss,
    reason = "OAP calculates in doubles as well, and no figure comes near 2^53"
)]
pub(super) fn number(value: i64) -> f64 {
    value as f64
}

/// A number as Java's `DecimalFormat` writes it: at most three digits after the point, half to even.
fn decimal(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "-∞" }.to_owned();
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_at_most_three_digits_after_the_point() {
        let check = |value: f64, expected: &str| assert_eq!(decimal(value), expected);
        check(10_000.0, "10000");
        check(0.0, "0");
        check(-0.1, "-0.1");
        check(0.0004, "0");
        check(3_333.333_33, "3333.333");
        check(0.0625, "0.062");
        check(f64::INFINITY, "∞");
    }
}
