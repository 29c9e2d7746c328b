//! Conditions: parsed once a run, evaluated once a measurement, on points that all have to be looked at.
//!
//! `just bench-peers` holds Argo's spelling against the same in Go.

use divan::{Bencher, black_box};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;
use skygate::domain::condition::{Condition, Scope};
use skygate::domain::reading::Answer;

use super::fixtures::{Asked, all_healthy, points, query_body};

const ARGOS: &str = "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})";
const SHORT: &str = "all(values >= 9900)";
const CEL: &str = "result.service_apdex.values.values.all(p, double(p.value) >= 9900.0)";
const POINTS: [u64; 3] = [4, 60, 1_440];

#[divan::bench(args = [ARGOS, SHORT, CEL])]
fn parse(source: &str) -> Condition {
    condition(source)
}

#[divan::bench(args = POINTS)]
fn holds_argos(bencher: Bencher<'_, '_>, count: u64) {
    holds(bencher, ARGOS, count);
}

/// With texts for numbers, as some queries have them.
#[divan::bench(args = POINTS)]
fn holds_argos_texts(bencher: Bencher<'_, '_>, count: u64) {
    let (condition, mut answer) = (condition(ARGOS), answer(count));
    write_texts(&mut answer.result);
    let scope = scope(&answer);
    assert_eq!(condition.holds(&scope), Ok(true));
    bencher
        .counter(count)
        .bench(|| condition.holds(black_box(&scope)));
}

/// Parsed each time, as Argo does it.
#[divan::bench(args = POINTS)]
fn parse_and_hold_argos(bencher: Bencher<'_, '_>, count: u64) {
    let answer = answer(count);
    let scope = scope(&answer);
    bencher
        .counter(count)
        .bench(|| condition(ARGOS).holds(black_box(&scope)));
}

#[divan::bench(args = POINTS)]
fn holds_short(bencher: Bencher<'_, '_>, count: u64) {
    holds(bencher, SHORT, count);
}

#[divan::bench(args = POINTS)]
fn holds_cel(bencher: Bencher<'_, '_>, count: u64) {
    holds(bencher, CEL, count);
}

#[divan::bench(args = POINTS)]
fn holds_by_hand(bencher: Bencher<'_, '_>, count: u64) {
    let answer = answer(count);
    bencher
        .counter(count)
        .bench(|| all_healthy(points(black_box(&answer.result))));
}

#[divan::bench(args = POINTS)]
fn reason_argos(bencher: Bencher<'_, '_>, count: u64) {
    reason(bencher, ARGOS, count);
}

#[divan::bench(args = POINTS)]
fn reason_short(bencher: Bencher<'_, '_>, count: u64) {
    reason(bencher, SHORT, count);
}

#[divan::bench(args = POINTS)]
fn reason_cel(bencher: Bencher<'_, '_>, count: u64) {
    reason(bencher, CEL, count);
}

fn holds(bencher: Bencher<'_, '_>, source: &str, count: u64) {
    let (condition, answer) = (condition(source), answer(count));
    let scope = scope(&answer);
    assert_eq!(condition.holds(&scope), Ok(true));
    bencher
        .counter(count)
        .bench(|| condition.holds(black_box(&scope)));
}

fn reason(bencher: Bencher<'_, '_>, source: &str, count: u64) {
    let (condition, answer) = (condition(source), answer(count));
    let scope = scope(&answer);
    bencher
        .counter(count)
        .bench(|| condition.reason(black_box(&scope)));
}

fn condition(source: &str) -> Condition {
    Condition::parse(black_box(source)).expect("a condition")
}

fn answer(count: u64) -> Answer {
    let asked = Asked::about(count);
    asked.decode_query(query_body(&asked.window).as_bytes())
}

fn scope(answer: &Answer) -> Scope<'_> {
    Scope {
        result: &answer.result,
        series: &answer.series,
        zone: Offset::UTC,
        step: skygate::domain::window::Step::default(),
        now: Timestamp::UNIX_EPOCH,
    }
}

/// Writes each number in `json` as a text.
fn write_texts(json: &mut Value) {
    match json {
        Value::Number(number) => *json = Value::from(number.to_string()),
        Value::Array(items) => items.iter_mut().for_each(write_texts),
        Value::Object(members) => members.values_mut().for_each(write_texts),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
