//! [`Expr`] to `ExpressionResult`.

use serde_json::{Value, json};

use super::combine::{across_labels, binary, collapse, sorted_by_label};
use super::parse::parse;
use super::result::{Found, Labels, Line, Point, Shape, number};
use super::{Expr, Label, MetricRef, Order};
use crate::sim::Generation;
use crate::sim::buckets::Buckets;
use crate::sim::metrics::{Entity, Metric, MetricKind, Reader};

/// Answers `execExpression`: faults of the expression stand in the result, never beside it.
pub(in crate::sim) fn execute(
    expression: &str,
    entity: &Entity,
    buckets: &Buckets,
    reader: &Reader<'_>,
) -> Value {
    let evaluation = Evaluation {
        entity,
        buckets,
        reader,
    };
    let outcome = parse(expression, reader.generation())
        .map_err(Stop::Fault)
        .and_then(|expr| evaluation.evaluate(&expr));
    let (shape, error, results) = match outcome {
        Ok(found) => (
            found.shape.name(),
            Value::Null,
            found.to_json(reader.generation()),
        ),
        Err(Stop::Fault(text)) => ("UNKNOWN", json!(text), json!([])),
        Err(Stop::IllegalEntity) => ("UNKNOWN", Value::Null, json!([])),
    };
    json!({"type": shape, "error": error, "results": results, "debuggingTrace": null})
}

/// Why there is no result.
enum Stop {
    Fault(String),
    /// 10.4 says nothing at all about it.
    IllegalEntity,
}

struct Evaluation<'a> {
    entity: &'a Entity,
    buckets: &'a Buckets,
    reader: &'a Reader<'a>,
}

impl Evaluation<'_> {
    fn evaluate(&self, expr: &Expr) -> Result<Found, Stop> {
        match expr {
            Expr::Number(number) => Ok(Found::single(None, Some(*number))),
            Expr::Metric(metric) => self.metric(metric, self.buckets),
            Expr::Binary(op, left, right) => {
                binary(*op, self.evaluate(left)?, self.evaluate(right)?).map_err(Stop::Fault)
            }
            Expr::Aggregate(aggregate, of) => Ok(collapse(*aggregate, self.evaluate(of)?)),
            Expr::Abs(of) => Ok(self.evaluate(of)?.map(f64::abs)),
            Expr::Ceil(of) => Ok(self.evaluate(of)?.map(f64::ceil)),
            Expr::Floor(of) => Ok(self.evaluate(of)?.map(f64::floor)),
            Expr::Round(of, digits) => {
                let scale = 10_f64.powi(i32::try_from(*digits).unwrap_or(0).min(15));
                Ok(self
                    .evaluate(of)?
                    .map(|value| (value * scale).round() / scale))
            }
            Expr::Increase(metric, over) => self.change(metric, *over, 1.0),
            Expr::Rate(metric, over) => {
                let millis = i32::try_from(self.buckets.step.millis()).unwrap_or(i32::MAX);
                let seconds = f64::from(*over) * f64::from(millis) / 1_000.0;
                self.change(metric, *over, seconds)
            }
            Expr::IsPresent(of) => {
                let mut present = false;
                for expr in of {
                    present |= self.evaluate(expr)?.has_data();
                }
                Ok(Found::single(
                    Some(vec![]),
                    Some(f64::from(u8::from(present))),
                ))
            }
            Expr::ViewAsSeq(of) => self.first_present(of),
            Expr::TopN(metric, count, order) => self.top(metric, *count, *order),
            Expr::Relabels(of, from, to) => Ok(self.relabel(self.evaluate(of)?, from, to)),
            Expr::AggregateLabels(of, aggregate, kept) => {
                Ok(across_labels(*aggregate, kept, &self.evaluate(of)?))
            }
            Expr::SortLabelValues(of, order, names) => {
                Ok(sorted_by_label(self.evaluate(of)?, *order, names))
            }
            Expr::Baseline(metric) => {
                self.known(metric)?;
                let points = self.buckets.starts().map(|at| Point {
                    id: Some(self.buckets.id(at)),
                    value: None,
                    owner: Value::Null,
                });
                Ok(Found {
                    shape: Shape::Series,
                    lines: vec![Line {
                        labels: Some(vec![]),
                        points: points.collect(),
                    }],
                })
            }
        }
    }

    fn known(&self, metric: &MetricRef) -> Result<Metric, Stop> {
        Metric::named(&metric.name).ok_or_else(|| {
            let does = match self.reader.generation() {
                // Word for word.
                Generation::V9_7 => "dose",
                Generation::V10_4 => "does",
            };
            Stop::Fault(format!("Metric: [{}] {does} not exist.", metric.name))
        })
    }

    fn metric(&self, written: &MetricRef, buckets: &Buckets) -> Result<Found, Stop> {
        let metric = self.known(written)?;
        if !self.entity.is_legal() && self.reader.generation() == Generation::V10_4 {
            return Err(Stop::IllegalEntity);
        }
        let lines = match metric.kind() {
            MetricKind::Plain(_) => {
                let values = self.reader.plain(metric, self.entity, buckets);
                vec![line(buckets, vec![], values.into_iter())]
            }
            MetricKind::Percentile => {
                let rows = self.reader.percentiles(metric, self.entity, buckets);
                let wanted = |label: &(String, String)| {
                    written
                        .labels
                        .iter()
                        .all(|asked| asked.name == label.0 && asked.values.contains(&label.1))
                };
                let labels = self.reader.generation().percentile_labels();
                let labels = labels
                    .into_iter()
                    .enumerate()
                    .filter(|(_, label)| wanted(label));
                if rows.iter().all(Option::is_none) {
                    vec![]
                } else {
                    labels
                        .map(|(i, label)| {
                            let values = rows.iter().map(|row| row.map(|row| row[i]));
                            line(buckets, vec![label], values)
                        })
                        .collect()
                }
            }
        };
        Ok(Found {
            shape: Shape::Series,
            lines,
        })
    }

    /// Each point less the one `over` buckets before it, divided.
    fn change(&self, metric: &MetricRef, over: u32, divisor: f64) -> Result<Found, Stop> {
        let over = over.min(500);
        let earlier = self.buckets.reaching_back(i64::from(over));
        let mut found = self.metric(metric, &earlier)?;
        for line in &mut found.lines {
            let changes: Vec<Point> = line
                .points
                .iter()
                .zip(line.points.iter().skip(over as usize))
                .map(|(before, point)| Point {
                    value: point
                        .value
                        .zip(before.value)
                        .map(|(now, before)| (now - before) / divisor),
                    ..point.clone()
                })
                .collect();
            line.points = changes;
        }
        Ok(found)
    }

    /// The first expression with any data, else the last.
    fn first_present(&self, of: &[Expr]) -> Result<Found, Stop> {
        let mut last = None;
        for expr in of {
            let found = self.evaluate(expr)?;
            if found.has_data() {
                return Ok(found);
            }
            last = Some(found);
        }
        last.ok_or_else(|| Stop::Fault("view_as_seq of nothing".to_owned()))
    }

    fn top(&self, written: &MetricRef, count: usize, order: Order) -> Result<Found, Stop> {
        let metric = self.known(written)?;
        let mut ranked = self.reader.ranked(metric, self.buckets);
        // Stable: equals keep the order in which services are listed.
        ranked.sort_by_key(|(_, value)| match order {
            Order::Ascending => *value,
            Order::Descending => -*value,
        });
        let points = ranked
            .into_iter()
            .take(count)
            .map(|(name, value)| Point {
                owner: json!({"scope": "Service", "serviceName": name, "normal": true}),
                id: Some(name),
                value: Some(number(value)),
            })
            .collect();
        Ok(Found {
            shape: Shape::Sorted,
            lines: vec![Line {
                labels: Some(vec![]),
                points,
            }],
        })
    }

    /// 10.4 maps values of one label to those of another; 9.7 gives the lines new values in their order.
    fn relabel(&self, mut found: Found, from: &Label, to: &Label) -> Found {
        let by_order = self.reader.generation() == Generation::V9_7;
        for (i, line) in found.lines.iter_mut().enumerate() {
            for label in line.labels.iter_mut().flatten() {
                let new = if by_order {
                    to.values.get(i)
                } else if label.0 == from.name {
                    let place = from.values.iter().position(|value| *value == label.1);
                    place.and_then(|place| to.values.get(place))
                } else {
                    None
                };
                if let Some(new) = new {
                    *label = (to.name.clone(), new.clone());
                }
            }
        }
        found
    }
}

fn line(buckets: &Buckets, labels: Labels, values: impl Iterator<Item = Option<i64>>) -> Line {
    let points = buckets.starts().zip(values).map(|(at, value)| Point {
        id: Some(at.to_string()),
        value: value.map(number),
        owner: Value::Null,
    });
    Line {
        labels: Some(labels),
        points: points.collect(),
    }
}
