//! Conditions: the corpus of Argo's behaviour, the short form, reasons, hints, laws, and the guard.

mod corpus;
mod guard;
mod laws;
mod printing;
mod reasons;
mod short_form;
mod slips;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Value, json};
use skygate::domain::condition::{Condition, ConditionError, Scope};
use skygate::domain::reading::{PathStep, Point, PointKind, Series};
use skygate::domain::window::Step;

/// What a condition sees at the moment of every measurement here.
fn scope<'a>(result: &'a Value, series: &'a [Series]) -> Scope<'a> {
    Scope {
        result,
        series,
        zone: Offset::UTC,
        step: Step::Minute,
        now: "2026-11-23T09:12:30Z".parse().expect("a moment"),
    }
}

fn evaluate(condition: &str, result: &Value) -> Result<bool, ConditionError> {
    let scope = scope(result, &[]);
    Condition::parse(condition)?.holds(&scope)
}

/// A series of points a minute apart, from 12:03 on.
fn series(name: &str, path: Option<Vec<PathStep>>, values: &[Option<f64>]) -> Series {
    let first: Timestamp = "2024-05-01T12:03:00Z".parse().expect("a time");
    let points = values.iter().zip(0_i64..).map(|(value, minute)| Point {
        at: Some(first + jiff::SignedDuration::from_mins(minute)),
        value: *value,
        kind: if value.is_some() {
            PointKind::Data
        } else {
            PointKind::Gap
        },
    });
    Series {
        name: name.to_owned(),
        path,
        points: points.collect(),
    }
}

fn path(steps: &[&str]) -> Vec<PathStep> {
    steps
        .iter()
        .map(|step| PathStep::Key((*step).to_owned()))
        .collect()
}

/// The seed's answer, of which the bucket of 12:06 has no data.
fn apdex() -> (Value, Vec<Series>) {
    let values = [9950.0, 9611.0, 9702.0, 9433.0, 9900.0];
    let list: Vec<Value> = values
        .iter()
        .map(|value| json!({"value": value.to_string()}))
        .collect();
    let result = json!({"service_apdex": {"label": null, "values": {"values": list}}});
    let points = [
        Some(9950.0),
        Some(9611.0),
        Some(9702.0),
        None,
        Some(9433.0),
        Some(9900.0),
    ];
    let path = path(&["service_apdex", "values", "values"]);
    (result, vec![series("service_apdex", Some(path), &points)])
}

fn explained(condition: &str, result: &Value, series: &[Series]) -> (String, Vec<(usize, usize)>) {
    let scope = scope(result, series);
    let condition = Condition::parse(condition).expect("a condition");
    let reason = condition.reason(&scope);
    (reason.text, reason.points)
}
