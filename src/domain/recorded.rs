//! The series in a recorded result, for conditions that are tried offline.
//!
//! A measurement knows its series from the query that it sent. A recorded `result` comes alone, so they are found by the shapes
//! that answers have, as they stand under the result's keys:
//!
//! | what stands there | series |
//! | --- | --- |
//! | `12`, `{"value": 12}` | one number |
//! | `[12, 13]`, `[{"value": 12}, {"value": "13"}]` | the numbers in the list |
//! | `{"values": …}`, `{"label": …, "values": {"values": …}}` | those in the list within |
//! | `[{"label": "50", "values": …}, …]` | one for each label |
//! | `{"results": [{"metric": {"labels": …}, "values": …}, …]}`, an MQE answer as OAP gives it | one for each set of labels |
//!
//! A series is named by its key; one with labels by them (`p=99`), as `key{p=99}` where the result has several keys.
//! An expression's answer is a result of another form: `{"type": …, "values": […]}` has the series `values`,
//! `{"type": …, "series": {"p=50": […], …}}` one for each name. A result that is itself a number or such a list has the series `result`.

use serde_json::{Map, Value};

use super::reading::{PathStep, Point, PointKind, Series};

/// The series in `result`, in its order; points have no times.
///
/// A null, or a point with `"isEmptyValue": true`, is a gap.
pub fn series_of(result: &Value) -> Vec<Series> {
    let mut found = Found::default();
    match result {
        Value::Object(fields) => {
            if let Some(Value::Object(named)) = fields.get("series") {
                found.of_named(named);
            } else {
                found.several = fields.len() > 1;
                for (name, value) in fields {
                    found.of(name, value, &[key(name)]);
                }
            }
        }
        other => found.of("result", other, &[]),
    }
    found.series
}

#[derive(Default)]
struct Found {
    /// Whether labels alone could be those of several keys.
    several: bool,
    series: Vec<Series>,
}

impl Found {
    /// Every one of them is a series, be it without data.
    fn of_named(&mut self, named: &Map<String, Value>) {
        for (name, value) in named {
            if value.is_null() {
                self.push(name, None, vec![point(value)]);
            } else {
                self.of(name, value, &[key("series"), key(name)]);
            }
        }
    }

    /// What stands under the key `name`, at `path`.
    fn of(&mut self, name: &str, value: &Value, path: &[PathStep]) {
        match value {
            Value::Number(_) => self.push(name, None, vec![point(value)]),
            Value::Array(items) => self.of_list(name, items, path),
            Value::Object(fields) => self.of_object(name, fields, path),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }

    fn of_list(&mut self, name: &str, items: &[Value], path: &[PathStep]) {
        if let Some(points) = points(items) {
            // Where gaps stand in the list, its n-th element is not the n-th number.
            let is_whole = points.iter().all(|point| point.value.is_some());
            return self.push(name, is_whole.then(|| path.to_vec()), points);
        }
        for (index, item) in items.iter().enumerate() {
            let Some(values) = item.get("values") else {
                continue;
            };
            let name = match labels(item) {
                Some(labels) if self.several => format!("{name}{{{labels}}}"),
                Some(labels) => labels,
                None if items.len() > 1 => format!("{name}[{index}]"),
                None => name.to_owned(),
            };
            self.of_values(&name, values, &with(path, [PathStep::Index(index)]));
        }
    }

    fn of_object(&mut self, name: &str, fields: &Map<String, Value>, path: &[PathStep]) {
        if let Some(value) = fields.get("value") {
            if is_point(value) {
                self.push(name, None, vec![point(&Value::Object(fields.clone()))]);
            }
        } else if let Some(values) = fields.get("values") {
            self.of_values(name, values, path);
        } else if let Some(Value::Array(results)) = fields.get("results") {
            self.of_list(name, results, &with(path, [key("results")]));
        }
    }

    /// `values: […]` or `values: {values: […]}` in what stands at `path`.
    fn of_values(&mut self, name: &str, values: &Value, path: &[PathStep]) {
        match values {
            Value::Array(items) => self.of_list(name, items, &with(path, [key("values")])),
            Value::Object(inner) => {
                if let Some(Value::Array(items)) = inner.get("values") {
                    self.of_list(name, items, &with(path, [key("values"), key("values")]));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn push(&mut self, name: &str, path: Option<Vec<PathStep>>, points: Vec<Point>) {
        self.series.push(Series {
            name: name.to_owned(),
            path,
            points,
        });
    }
}

/// The points of a list, if it has nothing but points.
fn points(items: &[Value]) -> Option<Vec<Point>> {
    items
        .iter()
        .map(|item| is_in_list(item).then(|| point(item)))
        .collect()
}

fn is_in_list(item: &Value) -> bool {
    match item {
        Value::Null | Value::Number(_) => true,
        Value::Object(fields) => fields.get("value").is_some_and(is_point),
        Value::Bool(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// Whether it may stand as a point's `value`.
fn is_point(value: &Value) -> bool {
    value.is_null() || number(value).is_some()
}

/// MQE writes numbers as texts.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn point(item: &Value) -> Point {
    let is_empty = item.get("isEmptyValue") == Some(&Value::Bool(true));
    let value = number(item.get("value").unwrap_or(item)).filter(|_| !is_empty);
    Point {
        at: None,
        value,
        kind: value.map_or(PointKind::Gap, |_| PointKind::Data),
    }
}

/// `50`, or `p=99,a=b` of an MQE answer; `None` without labels.
fn labels(item: &Value) -> Option<String> {
    if let Some(label) = item.get("label").and_then(Value::as_str) {
        return Some(label.to_owned());
    }
    let text = |label: &Value, part: &str| label.get(part)?.as_str().map(str::to_owned);
    let labels: Vec<String> = item
        .get("metric")?
        .get("labels")?
        .as_array()?
        .iter()
        .map(|label| {
            let value = text(label, "value").unwrap_or_default();
            text(label, "key").map_or_else(|| value.clone(), |key| format!("{key}={value}"))
        })
        .collect();
    (!labels.is_empty()).then(|| labels.join(","))
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}

fn with<const N: usize>(path: &[PathStep], steps: [PathStep; N]) -> Vec<PathStep> {
    path.iter().cloned().chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each series as `name[at path]: numbers`.
    fn shown(result: &Value) -> Vec<String> {
        let shown = |series: Series| {
            let path = series.path.as_ref().map(|path| {
                let steps = path.iter().map(|step| match step {
                    PathStep::Key(key) => key.clone(),
                    PathStep::Index(index) => index.to_string(),
                });
                steps.collect::<Vec<_>>().join(".")
            });
            let values: Vec<String> = series.values().map(|value| value.to_string()).collect();
            let path = path.map_or_else(|| "nowhere".to_owned(), |path| format!("at `{path}`"));
            format!("{} {path}: {}", series.name, values.join(" "))
        };
        series_of(result).into_iter().map(shown).collect()
    }

    fn check(result: &Value, expected: &[&str]) {
        assert_eq!(shown(result), expected, "{result}");
    }

    #[test]
    fn answers_to_queries() {
        let points = json!([{"value": 9950}, {"value": 9433}]);
        check(
            &json!({"service_apdex": {"label": null, "values": {"values": points}}}),
            &["service_apdex at `service_apdex.values.values`: 9950 9433"],
        );
        check(
            &json!({"a": 1, "b": {"value": 2}}),
            &["a nowhere: 1", "b nowhere: 2"],
        );
        check(
            &json!({"p": [{"label": "50", "values": {"values": points}}, {"label": "99", "values": {"values": []}}]}),
            &[
                "50 at `p.0.values.values`: 9950 9433",
                "99 at `p.1.values.values`: ",
            ],
        );
        check(
            &json!({"p": [{"label": "50", "values": {"values": points}}], "q": 1}),
            &["p{50} at `p.0.values.values`: 9950 9433", "q nowhere: 1"],
        );
        check(
            &json!({"sortMetrics": [{"name": "a", "value": "21"}, {"name": "b", "value": "2.5"}]}),
            &["sortMetrics at `sortMetrics`: 21 2.5"],
        );
    }

    #[test]
    fn answers_to_expressions() {
        check(
            &json!({"type": "TIME_SERIES_VALUES", "values": [10000, 9950]}),
            &["values at `values`: 10000 9950"],
        );
        check(
            &json!({"type": "TIME_SERIES_VALUES", "series": {"p=50": [100, 90], "p=99": [150]}}),
            &[
                "p=50 at `series.p=50`: 100 90",
                "p=99 at `series.p=99`: 150",
            ],
        );
        check(
            &json!({"type": "SINGLE_VALUE", "series": {"p=50": 100, "p=99": null}}),
            &["p=50 nowhere: 100", "p=99 nowhere: "],
        );
        check(
            &json!({"execExpression": {"type": "TIME_SERIES_VALUES", "error": null, "results": [
                {"metric": {"labels": [{"key": "p", "value": "99"}]}, "values": [{"id": "1", "value": "7"}, {"id": "2", "value": null}]},
                {"metric": {"labels": []}, "values": [{"id": "1", "value": "8"}]},
            ]}}),
            &[
                "p=99 nowhere: 7",
                "execExpression[1] at `execExpression.results.1.values`: 8",
            ],
        );
    }

    #[test]
    fn results_without_keys() {
        check(&json!(0.99), &["result nowhere: 0.99"]);
        check(&json!([1, 2]), &["result at ``: 1 2"]);
        check(&json!([]), &["result at ``: "]);
        check(&json!([1, "2"]), &[]);
        check(&json!("12"), &[]);
        check(&json!(null), &[]);
    }

    #[test]
    fn gaps_are_no_numbers() {
        let result = json!({"a": [{"value": 0, "isEmptyValue": true}, {"value": 0, "isEmptyValue": false}, null]});
        check(&result, &["a nowhere: 0"]);
        let kinds: Vec<PointKind> = series_of(&result)[0]
            .points
            .iter()
            .map(|it| it.kind)
            .collect();
        assert_eq!(kinds, [PointKind::Gap, PointKind::Data, PointKind::Gap]);
    }

    #[test]
    fn other_things_are_no_series() {
        check(
            &json!({"version": "10.4.0", "ok": true, "tags": ["a"], "deep": {"er": [1]}}),
            &[],
        );
        check(
            &json!({"a": {"value": "many"}, "b": [{"value": true}]}),
            &[],
        );
    }
}
