//! The answer to an MQE expression.

use serde::Deserialize;
use serde_json::{Value, json};

use super::point::{Buckets, Found, json_number};
use super::{error, malformed, unique, unknown_metric};
use crate::domain::nearest::nearest;
use crate::domain::plan::{Gaps, aggregate_of_nothing};
use crate::domain::reading::{
    Answer, ErrorClass, PathStep, Point, PointKind, Series, SourceError, clock_text,
};
use crate::domain::window::Window;

/// MQE's functions, as 10.4 lists them.
const FUNCTIONS: [&str; 21] = [
    "abs",
    "aggregate_labels",
    "avg",
    "baseline",
    "ceil",
    "count",
    "floor",
    "increase",
    "is_present",
    "latest",
    "max",
    "min",
    "rate",
    "relabels",
    "round",
    "sort_label_values",
    "sort_values",
    "sum",
    "top_n",
    "top_n_of",
    "view_as_seq",
];

/// OAP's `ExpressionResult`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ExpressionResult {
    /// `type`: `TIME_SERIES_VALUES`, `SINGLE_VALUE`, `SORTED_LIST`, `RECORD_LIST`, `UNKNOWN`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why the type is `UNKNOWN`, if the OAP says.
    #[serde(default)]
    pub error: Option<String>,
    /// One for each set of labels.
    #[serde(default)]
    pub results: Vec<MqeValues>,
}

/// OAP's `MQEValues`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct MqeValues {
    /// Null on 9.7 where two metrics are combined.
    #[serde(default)]
    pub metric: Option<MqeMetadata>,
    /// One for each bucket of a series, one for an aggregate, one for each entity of a list.
    #[serde(default)]
    pub values: Vec<MqeValue>,
}

/// OAP's `Metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct MqeMetadata {
    /// Empty for a metric without labels.
    #[serde(default)]
    pub labels: Vec<Label>,
}

/// OAP's `KeyValue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// `p`; `_` before 10.0.
    pub key: String,
    /// `99`.
    #[serde(default)]
    pub value: Option<String>,
}

/// OAP's `MQEValue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct MqeValue {
    /// The bucket or the entity.
    #[serde(default)]
    pub id: Option<String>,
    /// A number; `None` where there is no data.
    #[serde(default)]
    pub value: Option<String>,
}

/// Turns an answer into what conditions see and into series.
///
/// `result` is, by the answer's type:
///
/// | type | result |
/// | --- | --- |
/// | `TIME_SERIES_VALUES`, one series | `{"type": …, "values": [10000, 9950]}` |
/// | `TIME_SERIES_VALUES`, several | `{"type": …, "series": {"p=50": [100, 90], "p=99": [150, 140]}}` |
/// | `SINGLE_VALUE`, one | the number; null without data |
/// | `SINGLE_VALUE`, several | `{"type": …, "series": {"p=50": 100, "p=99": 150}}` |
/// | `SORTED_LIST`, `RECORD_LIST` | `[{"name": "checkout", "value": 12}]` |
///
/// Points without data are left out of it under [`Gaps::Skip`] and are 0 under [`Gaps::Zero`].
/// A series is named by its labels, `p=99`; one without labels by the expression.
pub fn decode_expression(
    expression: &str,
    answer: &ExpressionResult,
    window: &Window,
    gaps: Gaps,
) -> Result<Answer, SourceError> {
    check(expression, Some(&answer.kind), answer.error.as_deref())?;
    let decoder = Decoder {
        expression,
        answer,
        buckets: Buckets { window, gaps },
    };
    match answer.kind.as_str() {
        "TIME_SERIES_VALUES" => decoder.time_series(),
        "SINGLE_VALUE" => decoder.single_values(),
        "SORTED_LIST" | "RECORD_LIST" => decoder.list(),
        other => Err(malformed(format!(
            "the OAP answers `{expression}` with the type `{other}`, which is not known here"
        ))),
    }
}

/// Finds what an answer says is wrong with the expression or its entity; the type may not be known.
pub(super) fn check(
    expression: &str,
    kind: Option<&str>,
    complaint: Option<&str>,
) -> Result<(), SourceError> {
    match (kind, complaint) {
        (_, Some(complaint)) if !complaint.is_empty() => Err(explained(expression, complaint)),
        (Some("UNKNOWN"), _) => Err(error(
            ErrorClass::IncompleteEntity,
            format!(
                "the OAP has no answer to `{expression}` and doesn't say why, as for an incomplete entity: give `serviceName`, `normal` and every other name that its scope needs"
            ),
        )),
        (Some(_) | None, _) => Ok(()),
    }
}

/// What an OAP's complaint about an expression means.
fn explained(expression: &str, complaint: &str) -> SourceError {
    // "Metric: [x] does not exist." and, on 9.7, "dose not exist".
    if let Some((name, _)) = complaint
        .strip_prefix("Metric: [")
        .and_then(|rest| rest.split_once(']'))
    {
        return if is_called(expression, name) {
            unknown_function(name)
        } else {
            unknown_metric(name)
        };
    }
    if complaint.contains("expecting {'_'") {
        return error(
            ErrorClass::Unsupported,
            format!(
                "this OAP is older than 10.0 and knows labels by their number only, `{{_='4'}}` instead of `{{p='99'}}` (0 to 4 are 50, 75, 90, 95, 99): {complaint}"
            ),
        );
    }
    error(
        ErrorClass::BadQuery,
        format!("the OAP cannot read the expression `{expression}`: {complaint}"),
    )
}

/// Whether `name` is followed by a parenthesis anywhere in `expression`.
fn is_called(expression: &str, name: &str) -> bool {
    expression
        .match_indices(name)
        .any(|(at, _)| expression[at + name.len()..].trim_start().starts_with('('))
}

fn unknown_function(name: &str) -> SourceError {
    if FUNCTIONS.contains(&name) {
        return error(
            ErrorClass::Unsupported,
            format!("this OAP is too old for the function `{name}`"),
        );
    }
    let message = match nearest(name, FUNCTIONS) {
        Some(meant) => format!("MQE has no function `{name}`; did you mean `{meant}`?"),
        None => format!(
            "MQE has no function `{name}`, only {}",
            FUNCTIONS.join(", ")
        ),
    };
    error(ErrorClass::BadQuery, message)
}

struct Decoder<'a> {
    expression: &'a str,
    answer: &'a ExpressionResult,
    buckets: Buckets<'a>,
}

impl Decoder<'_> {
    fn time_series(&self) -> Result<Answer, SourceError> {
        let mut series = self.series()?;
        let numbers = |series: &Series| series.values().map(json_number).collect::<Vec<_>>();
        let result = if let [only] = series.as_mut_slice() {
            only.path = Some(vec![PathStep::Key("values".to_owned())]);
            json!({"type": self.answer.kind, "values": numbers(only)})
        } else {
            for one in &mut series {
                let path = ["series", &one.name].map(|key| PathStep::Key(key.to_owned()));
                one.path = Some(path.to_vec());
            }
            let by_name = series
                .iter()
                .map(|one| (one.name.clone(), Value::from(numbers(one))));
            json!({"type": self.answer.kind, "series": by_name.collect::<serde_json::Map<_, _>>()})
        };
        let mut notes = Vec::new();
        if self.answer.results.is_empty() && self.expression.contains('{') {
            notes.push(
                "no series came back: there is no data, or the metric has none of the labels"
                    .to_owned(),
            );
        }
        Ok(Answer {
            result,
            series,
            notes,
        })
    }

    fn single_values(&self) -> Result<Answer, SourceError> {
        let mut series = self.series()?;
        let mut notes = Vec::new();
        self.doubt_zeros(&mut series, &mut notes);
        self.note_stale(&series, &mut notes);
        let number = |series: &Series| series.values().next().map_or(Value::Null, json_number);
        let result = if let [only] = series.as_slice() {
            number(only)
        } else {
            let by_name = series.iter().map(|one| (one.name.clone(), number(one)));
            json!({"type": self.answer.kind, "series": by_name.collect::<serde_json::Map<_, _>>()})
        };
        Ok(Answer {
            result,
            series,
            notes,
        })
    }

    fn list(&self) -> Result<Answer, SourceError> {
        let mut list = Vec::new();
        let mut points = Vec::new();
        for value in self.answer.results.iter().flat_map(|result| &result.values) {
            let point = self.point(value, None)?;
            if let Some(number) = point.value {
                list.push(json!({"name": value.id, "value": json_number(number)}));
            }
            points.push(point);
        }
        Ok(Answer {
            result: Value::Array(list),
            series: vec![Series {
                name: self.expression.to_owned(),
                path: Some(Vec::new()),
                points,
            }],
            notes: Vec::new(),
        })
    }

    /// The series, without paths. An empty answer is a series without points: there is no data, whatever the labels.
    fn series(&self) -> Result<Vec<Series>, SourceError> {
        let mut series = Vec::new();
        for result in &self.answer.results {
            let name = label_of(result).unwrap_or_else(|| self.expression.to_owned());
            let mut points = Vec::with_capacity(result.values.len());
            for value in &result.values {
                let at = value
                    .id
                    .as_deref()
                    .and_then(|id| self.buckets.of_mqe_id(id));
                points.push(self.point(value, at)?);
            }
            series.push(Series {
                name: unique(name, &series),
                path: None,
                points,
            });
        }
        if series.is_empty() {
            series.push(Series {
                name: self.expression.to_owned(),
                path: None,
                points: Vec::new(),
            });
        }
        Ok(series)
    }

    fn point(&self, value: &MqeValue, at: Option<jiff::Timestamp>) -> Result<Point, SourceError> {
        let found = match &value.value {
            Some(text) => Found::Number(self.buckets.number(text, at)?),
            None => Found::Nothing,
        };
        Ok(self.buckets.point(at, found))
    }

    /// A sum or a count of nothing is 0, and so may be whatever is made of it.
    fn doubt_zeros(&self, series: &mut [Series], notes: &mut Vec<String>) {
        let Some(function) = aggregate_of_nothing(self.expression) else {
            return;
        };
        let zeros = series
            .iter_mut()
            .flat_map(|series| &mut series.points)
            .filter(|point| point.value == Some(0.0) && point.kind != PointKind::Gap);
        let mut found = false;
        for point in zeros {
            point.kind = PointKind::ZeroOrNothing;
            found = true;
        }
        if found {
            notes.push(format!(
                "`{function}` of no data is 0 too: only the series itself, or `avg` of it, tells zero from nothing"
            ));
        }
    }

    /// `latest` passes over buckets without data, however many there are.
    fn note_stale(&self, series: &[Series], notes: &mut Vec<String>) {
        if outer_call(self.expression) != Some("latest") {
            return;
        }
        let window = self.buckets.window;
        let latest = series
            .iter()
            .flat_map(|series| &series.points)
            .filter_map(|point| point.at)
            .min();
        if let Some(at) = latest
            && at < window.last()
        {
            notes.push(format!(
                "`latest` is of {}, and the window goes on to {} without data",
                clock_text(at, window.zone(), window.step()),
                clock_text(window.last(), window.zone(), window.step())
            ));
        }
    }
}

/// `p=99`, `a=1,b=2`; `None` without labels.
fn label_of(result: &MqeValues) -> Option<String> {
    let labels = &result.metric.as_ref()?.labels;
    let parts: Vec<String> = labels
        .iter()
        .map(|label| format!("{}={}", label.key, label.value.as_deref().unwrap_or("")))
        .collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// The function that the whole expression is a call of: `sum` of `sum(service_cpm)`, none of `sum(a) / sum(b)`.
fn outer_call(expression: &str) -> Option<&str> {
    let (name, rest) = expression.trim().split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    let mut depth = 0_i32;
    let mut in_label = false;
    for character in inner.chars() {
        match character {
            '\'' => in_label = !in_label,
            '(' if !in_label => depth += 1,
            ')' if !in_label => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    Some(name.trim())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::Offset;

    use super::*;
    use crate::domain::window::{Step, WindowSpec};

    #[test]
    fn a_zero_made_of_a_sum_is_no_data_for_sure() {
        let spec = WindowSpec {
            interval: Duration::from_mins(3),
            step: Step::Minute,
            settle: Duration::ZERO,
        };
        let now = "2026-11-23T09:24:06Z".parse().unwrap();
        let window = Window::choose(&spec, now, Offset::UTC, None)
            .window
            .unwrap();
        let check = |expression, value: &str, expected| {
            let value = MqeValue {
                id: None,
                value: Some(value.to_owned()),
            };
            let answer = ExpressionResult {
                kind: "SINGLE_VALUE".to_owned(),
                error: None,
                results: vec![MqeValues {
                    metric: None,
                    values: vec![value],
                }],
            };
            let answer = decode_expression(expression, &answer, &window, Gaps::Skip).unwrap();
            assert_eq!(answer.series[0].points[0].kind, expected, "{expression}");
        };
        check("sum(a)", "0", PointKind::ZeroOrNothing);
        check("sum(a)/1", "0", PointKind::ZeroOrNothing);
        check("sum(a) - sum(b)", "0", PointKind::ZeroOrNothing);
        check("abs(count(a))", "0", PointKind::ZeroOrNothing);
        check("sum(a)/1", "7", PointKind::Data);
        check("avg(a)", "0", PointKind::Data);
    }

    #[test]
    fn the_outer_function_is_found() {
        let check =
            |expression, expected| assert_eq!(outer_call(expression), expected, "{expression}");
        check("sum(service_cpm)", Some("sum"));
        check(" sum ( service_cpm > (1 + 2) ) ", Some("sum"));
        check("sum(a{p=')('})", Some("sum"));
        check("sum(a) / sum(b)", None);
        check("service_cpm", None);
        check("(a) + 1", None);
    }

    #[test]
    fn complaints_are_explained() {
        let check = |expression, complaint, class, message: &str| {
            let error = explained(expression, complaint);
            assert_eq!(error.class, class, "{complaint}");
            assert!(error.message.starts_with(message), "{}", error.message);
        };
        let unknown = "the OAP knows no metric named `service_apdx`";
        check(
            "service_apdx",
            "Metric: [service_apdx] does not exist.",
            ErrorClass::UnknownMetric,
            unknown,
        );
        check(
            "avg(service_apdx)",
            "Metric: [service_apdx] dose not exist.",
            ErrorClass::UnknownMetric,
            unknown,
        );
        check(
            "is_present(a)",
            "Metric: [is_present] dose not exist.",
            ErrorClass::Unsupported,
            "this OAP is too old for the function `is_present`",
        );
        check(
            "agv(a)",
            "Metric: [agv] does not exist.",
            ErrorClass::BadQuery,
            "MQE has no function `agv`; did you mean `avg`?",
        );
        check(
            "median(a)",
            "Metric: [median] does not exist.",
            ErrorClass::BadQuery,
            "MQE has no function `median`, only abs, ",
        );
        check(
            "a{p='99'}",
            "line 1:19 mismatched input 'p' expecting {'_', '}'}",
            ErrorClass::Unsupported,
            "this OAP is older than 10.0",
        );
        check(
            "a >",
            "line 1:15 mismatched input '<EOF>'",
            ErrorClass::BadQuery,
            "the OAP cannot read the expression `a >`: line 1:15",
        );
    }
}
