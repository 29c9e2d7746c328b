//! What operators and aggregates make of series.

use serde_json::Value;

use super::result::{Found, Labels, Line, Point, Shape, number};
use super::{Aggregate, Op, Order};

pub(super) fn binary(op: Op, left: Found, right: Found) -> Result<Found, String> {
    // An empty single value counts as 0 beside a series.
    let scalar = |found: &Found| {
        let point = found.lines.first().and_then(|line| line.points.first());
        point.and_then(|point| point.value).unwrap_or(0.0)
    };
    match (left.shape, right.shape) {
        (Shape::Single, Shape::Single) => {
            let value = apply(op, scalar(&left), scalar(&right));
            Ok(Found::single(None, Some(value)))
        }
        (_, Shape::Single) => {
            let right = scalar(&right);
            Ok(left.map(|left| apply(op, left, right)))
        }
        (Shape::Single, _) => {
            let left = scalar(&left);
            Ok(right.map(|right| apply(op, left, right)))
        }
        (Shape::Series, Shape::Series) => series_with_series(op, &left, &right),
        (Shape::Sorted, _) | (_, Shape::Sorted) => {
            Err("Unsupported binary operation on SORTED_LIST.".to_owned())
        }
    }
}

/// Lines meet by their labels; a single unlabelled line meets all of the other side.
fn series_with_series(op: Op, left: &Found, right: &Found) -> Result<Found, String> {
    let alone = |found: &Found| {
        found.lines.len() == 1 && found.lines[0].labels.as_ref().is_none_or(Vec::is_empty)
    };
    let lines = if alone(right) {
        let pairs = left.lines.iter().map(|line| (line, &right.lines[0]));
        pairs.map(|(a, b)| meet(op, a, b, a)).collect()
    } else if alone(left) {
        let pairs = right.lines.iter().map(|line| (&left.lines[0], line));
        pairs.map(|(a, b)| meet(op, a, b, b)).collect()
    } else {
        let mut lines = Vec::new();
        for a in &left.lines {
            let Some(b) = right.lines.iter().find(|b| b.labels == a.labels) else {
                return Err("Binary operation on series with different labels.".to_owned());
            };
            lines.push(meet(op, a, b, a));
        }
        lines
    };
    Ok(Found {
        shape: Shape::Series,
        lines,
    })
}

fn meet(op: Op, left: &Line, right: &Line, labelled: &Line) -> Line {
    let points = left.points.iter().zip(&right.points).map(|(a, b)| Point {
        value: a.value.zip(b.value).map(|(a, b)| apply(op, a, b)),
        ..a.clone()
    });
    Line {
        labels: labelled.labels.clone().filter(|labels| !labels.is_empty()),
        points: points.collect(),
    }
}

#[expect(clippy::float_cmp, reason = "`==` of MQE is exact as well")]
fn apply(op: Op, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match op {
        Op::Add => left + right,
        Op::Sub => left - right,
        Op::Mul => left * right,
        Op::Div => left / right,
        Op::Mod => left % right,
        Op::Equal => truth(left == right),
        Op::NotEqual => truth(left != right),
        Op::Less => truth(left < right),
        Op::LessOrEqual => truth(left <= right),
        Op::Greater => truth(left > right),
        Op::GreaterOrEqual => truth(left >= right),
    }
}

/// Each line to one value. Points without data don't count; `max`, `min` and `latest` keep the id of their point.
pub(super) fn collapse(aggregate: Aggregate, found: Found) -> Found {
    let lines = found.lines.into_iter().map(|line| {
        let present: Vec<(&Point, f64)> = line
            .points
            .iter()
            .filter_map(|point| Some((point, point.value?)))
            .collect();
        let best = |better: &dyn Fn(f64, f64) -> bool| {
            present.iter().copied().reduce(
                |best, next| {
                    if better(next.1, best.1) { next } else { best }
                },
            )
        };
        let of_point = |found: Option<(&Point, f64)>| {
            found.map_or((None, None), |(point, value)| {
                (point.id.clone(), Some(value))
            })
        };
        let count = number(i64::try_from(present.len()).unwrap_or(i64::MAX));
        let sum: f64 = present.iter().map(|(_, value)| value).sum();
        let (id, value) = match aggregate {
            Aggregate::Avg => (None, (!present.is_empty()).then(|| sum / count)),
            Aggregate::Sum => (None, Some(sum)),
            Aggregate::Count => (None, Some(count)),
            Aggregate::Max => of_point(best(&|next, best| next > best)),
            Aggregate::Min => of_point(best(&|next, best| next < best)),
            Aggregate::Latest => of_point(present.last().copied()),
        };
        Line {
            labels: line.labels.clone(),
            points: vec![Point {
                id,
                value,
                owner: Value::Null,
            }],
        }
    });
    Found {
        shape: Shape::Single,
        lines: lines.collect(),
    }
}

/// All lines that agree in the labels kept, point by point to one line.
pub(super) fn across_labels(aggregate: Aggregate, kept: &[String], found: &Found) -> Found {
    let mut groups: Vec<(Labels, Vec<&Line>)> = Vec::new();
    for line in &found.lines {
        let key: Labels = line
            .labels
            .iter()
            .flatten()
            .filter(|(name, _)| kept.contains(name))
            .cloned()
            .collect();
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((key, vec![line])),
        }
    }
    let lines = groups.into_iter().map(|(labels, lines)| {
        let points = (0..lines[0].points.len()).map(|i| {
            let across = Line {
                labels: None,
                points: lines.iter().map(|line| line.points[i].clone()).collect(),
            };
            let single = collapse(
                aggregate,
                Found {
                    shape: Shape::Series,
                    lines: vec![across],
                },
            );
            Point {
                value: single.lines[0].points[0].value,
                ..lines[0].points[i].clone()
            }
        });
        Line {
            labels: Some(labels),
            points: points.collect(),
        }
    });
    Found {
        shape: found.shape,
        lines: lines.collect(),
    }
}

/// Lines ordered by the values of labels: numbers as numbers.
pub(super) fn sorted_by_label(mut found: Found, order: Order, names: &[String]) -> Found {
    let key = |line: &Line| -> Vec<(Option<i64>, String)> {
        names
            .iter()
            .filter_map(|name| {
                let (_, value) = line
                    .labels
                    .iter()
                    .flatten()
                    .find(|(known, _)| known == name)?;
                Some((value.parse().ok(), value.clone()))
            })
            .collect()
    };
    found.lines.sort_by(|a, b| match order {
        Order::Ascending => key(a).cmp(&key(b)),
        Order::Descending => key(b).cmp(&key(a)),
    });
    found
}
