//! From a reading to a measurement: what it counts as, and what it tells a person.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skygate::domain::args::Masker;
use skygate::domain::condition::Condition;
use skygate::domain::judge::{LONGEST_VALUE, judge};
use skygate::domain::measurement::{Measurement, Phase, Side};
use skygate::domain::plan::{MetricPlan, NoData};
use skygate::domain::reading::{
    Answer, ErrorClass, PathStep, Point, PointKind, Reading, Series, SourceError,
};
use skygate::domain::window::{OapTime, Step, Window, WindowSpec, parse_zone};

use super::driver::{at, metric};

fn zone() -> Offset {
    parse_zone("+0530").expect("a zone as an OAP writes it")
}

fn window(step: Step, buckets: u32) -> Window {
    let spec = WindowSpec {
        interval: step.width() * buckets,
        step,
        settle: Duration::from_secs(90),
    };
    let now: Timestamp = "2026-11-23T03:42:30Z".parse().expect("a moment");
    Window::choose(&spec, now, zone(), None)
        .window
        .expect("nothing is stale")
}

/// A series of minutes, one for each value; `None` is a minute without data.
fn series(name: &str, values: &[Option<f64>]) -> Series {
    let kind = |value: Option<f64>| match value {
        Some(_) => PointKind::Data,
        None => PointKind::Gap,
    };
    Series {
        name: name.to_owned(),
        path: Some(vec![PathStep::Key(name.to_owned())]),
        points: window(Step::Minute, 3)
            .buckets()
            .zip(values)
            .map(|(bucket, &value)| Point {
                at: Some(bucket),
                value,
                kind: kind(value),
            })
            .collect(),
    }
}

fn reading(answer: Result<Answer, SourceError>) -> Reading {
    Reading {
        server: "http://oap:12800".to_owned(),
        request: "service_apdex".to_owned(),
        window: Some(window(Step::Minute, 3)),
        time: Some(OapTime {
            zone: zone(),
            skew: SignedDuration::from_secs(2),
        }),
        answer,
    }
}

fn answer(series: Vec<Series>) -> Answer {
    let list = |series: &Series| -> Value {
        series
            .values()
            .map(|value| json!({"value": value}))
            .collect()
    };
    let result: serde_json::Map<String, Value> = series
        .iter()
        .map(|series| (series.name.clone(), list(series)))
        .collect();
    Answer {
        result: Value::Object(result),
        series,
        notes: Vec::new(),
    }
}

fn measure(metric: &MetricPlan, reading: Reading) -> Measurement {
    judge(metric, reading, 3, at(0), at(40), &Masker::default())
}

fn with_conditions(success: Option<&str>, failure: Option<&str>) -> MetricPlan {
    let parse = |source: &str| Arc::new(Condition::parse(source).expect("a good condition"));
    MetricPlan {
        success: success.map(parse),
        failure: failure.map(parse),
        ..metric("apdex", None)
    }
}

#[test]
fn a_measurement_without_conditions_is_successful() {
    let good = series("service_apdex", &[Some(9_950.), None, Some(9_960.)]);
    let measurement = measure(
        &metric("apdex", None),
        reading(Ok(answer(vec![good.clone()]))),
    );
    assert_eq!(measurement.phase, Phase::Successful);
    assert_eq!((measurement.number, measurement.counts), (3, true));
    assert_eq!(measurement.message, "");
    assert_eq!(
        measurement.value,
        r#"{"service_apdex":[{"value":9950.0},{"value":9960.0}]}"#
    );
    assert_eq!(
        (measurement.started_at, measurement.finished_at),
        (at(0), Some(at(40)))
    );
    assert!(measurement.is_good());
    let why = measurement.explanation.unwrap();
    assert_eq!(why.server, "http://oap:12800");
    assert_eq!(why.request, "service_apdex");
    assert_eq!(why.window, Some(window(Step::Minute, 3)));
    assert_eq!(why.skew, Some(SignedDuration::from_secs(2)));
    assert_eq!(why.series, [good]);
    assert_eq!((why.no_data, why.error, why.decided), (false, None, None));
}

#[test]
fn a_failure_to_measure_is_an_error_whatever_the_conditions() {
    let metric = MetricPlan {
        no_data: NoData::Failed,
        ..with_conditions(Some("true"), Some("false"))
    };
    let measurement = measure(
        &metric,
        reading(Err(SourceError {
            class: ErrorClass::UnknownMetric,
            message: "no metric `service_apdx`; the nearest is `service_apdex`".to_owned(),
        })),
    );
    assert_eq!(
        (measurement.phase, measurement.counts),
        (Phase::Error, true)
    );
    assert_eq!(
        measurement.message,
        "no metric `service_apdx`; the nearest is `service_apdex`"
    );
    assert_eq!(measurement.value, "");
    let why = measurement.explanation.unwrap();
    assert_eq!(why.error, Some(ErrorClass::UnknownMetric));
    assert!(!why.no_data);
}

#[test]
fn no_data_is_what_the_template_says_before_any_condition_is_asked() {
    for (no_data, phase, counts) in [
        (NoData::Wait, Phase::Inconclusive, false),
        (NoData::Inconclusive, Phase::Inconclusive, true),
        (NoData::Failed, Phase::Failed, true),
        (NoData::Successful, Phase::Successful, true),
        (NoData::Error, Phase::Error, true),
    ] {
        let metric = MetricPlan {
            no_data,
            ..with_conditions(Some("true"), None)
        };
        let absent = series("service_apdex", &[None, None, None]);
        let measurement = measure(&metric, reading(Ok(answer(vec![absent]))));
        assert_eq!((measurement.phase, measurement.counts), (phase, counts));
        assert_eq!(
            measurement.message,
            "no data: series `service_apdex` has no point with data in 09:08–09:10 (OAP time +0530)"
        );
        assert!(!measurement.is_good(), "{no_data:?} is no evidence");
        let why = measurement.explanation.unwrap();
        assert_eq!((why.no_data, why.error, why.decided), (true, None, None));
        assert_eq!(why.series[0].points.len(), 3);
    }
}

#[test]
fn one_series_without_data_is_enough() {
    let full = series("stable", &[Some(1.), Some(2.), Some(3.)]);
    let absent = |name: &str| series(name, &[None, None, None]);
    let check = |series: Vec<Series>, window: Window, expected: &str| {
        let mut reading = reading(Ok(answer(series)));
        reading.window = Some(window);
        assert_eq!(measure(&metric("apdex", None), reading).message, expected);
    };
    check(
        vec![full.clone(), absent("canary")],
        window(Step::Minute, 1),
        "no data: series `canary` has no point with data in 09:10 (OAP time +0530)",
    );
    check(
        vec![absent("a"), full, absent("b")],
        window(Step::Hour, 2),
        "no data: series `a`, `b` have no point with data in 2026-11-23 07:00–2026-11-23 08:00 (OAP time +0530)",
    );
    check(
        (1..=7).map(|n| absent(&n.to_string())).collect(),
        window(Step::Day, 1),
        "no data: series `1`, `2`, `3`, `4`, `5` and 2 more have no point with data in 2026-11-22 (OAP time +0530)",
    );
}

#[test]
fn a_gap_that_is_read_as_zero_is_no_data_and_a_true_zero_is() {
    let points = |kind| {
        let mut series = series("service_apdex", &[Some(0.), Some(0.), Some(0.)]);
        for point in &mut series.points {
            point.kind = kind;
        }
        series
    };
    let phase = |kind| {
        let metric = MetricPlan {
            no_data: NoData::Failed,
            ..metric("apdex", None)
        };
        measure(&metric, reading(Ok(answer(vec![points(kind)])))).phase
    };
    assert_eq!(phase(PointKind::Gap), Phase::Failed);
    assert_eq!(phase(PointKind::Data), Phase::Successful);
    assert_eq!(phase(PointKind::ZeroOrNothing), Phase::Successful);
}

#[test]
fn a_zero_that_may_be_nothing_is_no_evidence() {
    let of = |name, kinds: &[PointKind]| {
        let mut series = series(name, &vec![Some(0.); kinds.len()]);
        for (point, kind) in series.points.iter_mut().zip(kinds) {
            point.kind = *kind;
        }
        series
    };
    let check = |series: Vec<Series>, expected: bool| {
        let measurement = measure(&metric("apdex", None), reading(Ok(answer(series))));
        assert_eq!(measurement.phase, Phase::Successful);
        assert_eq!(measurement.is_good(), expected);
    };
    let guess = PointKind::ZeroOrNothing;
    check(vec![of("a", &[guess, guess])], false);
    check(vec![of("a", &[guess, PointKind::Data])], true);
    check(vec![of("a", &[PointKind::Unsettled])], true);
    check(vec![of("a", &[PointKind::Data]), of("b", &[guess])], false);
}

#[test]
fn a_condition_that_cannot_be_evaluated_says_the_way_out() {
    let good = series("service_apdex", &[Some(1.)]);
    let metric = with_conditions(Some("all(result.apdex.values, {true})"), None);
    let message = measure(&metric, reading(Ok(answer(vec![good])))).message;
    let expected = "(hint: result.apdex is missing; result has `service_apdex`)";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn nothing_but_stale_buckets_is_no_data() {
    let mut stale = series("service_apdex", &[None, None, None]);
    for point in &mut stale.points {
        point.kind = PointKind::Stale;
    }
    let expected = "no data: every bucket of the window began before notBefore, when the version took no traffic yet";
    for series in [vec![stale], Vec::new()] {
        let mut reading = reading(Ok(answer(series)));
        reading.window = None;
        let measurement = measure(&metric("apdex", None), reading);
        assert_eq!(measurement.message, expected);
        assert!(!measurement.counts);
        assert!(measurement.explanation.unwrap().no_data);
    }
}

#[test]
fn a_result_without_series_is_judged_as_it_is() {
    let metadata = Answer {
        result: json!({"version": "10.4.0"}),
        series: Vec::new(),
        notes: Vec::new(),
    };
    let measurement = measure(&metric("version", None), reading(Ok(metadata)));
    assert_eq!(measurement.phase, Phase::Successful);
    assert_eq!(measurement.value, r#"{"version":"10.4.0"}"#);
}

#[test]
fn a_long_value_is_cut_between_characters() {
    let long = Answer {
        result: json!("ä".repeat(LONGEST_VALUE)),
        series: Vec::new(),
        notes: Vec::new(),
    };
    let value = measure(&metric("m", None), reading(Ok(long))).value;
    assert!(value.ends_with("ä…"));
    assert_eq!(value.len(), LONGEST_VALUE - 1 + "…".len());
}

#[test]
fn no_secret_is_shown_anywhere() {
    let masker = Masker::new(["s3cret".to_owned()]);
    let judged = |answer| {
        let mut reading = reading(answer);
        reading.server = "http://s3cret@oap".to_owned();
        reading.request = "query s3cret".to_owned();
        let measurement = judge(&metric("m", None), reading, 1, at(0), at(1), &masker);
        let shown = format!("{measurement:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("*****"), "{shown}");
    };
    judged(Err(SourceError {
        class: ErrorClass::Refused,
        message: "the token s3cret was refused".to_owned(),
    }));
    judged(Ok(Answer {
        result: json!({"echo": "s3cret"}),
        series: vec![series("s3cret", &[Some(1.)])],
        notes: vec!["seen: s3cret".to_owned()],
    }));
    judged(Ok(answer(vec![series("s3cret", &[None])])));
    // A secret that lies across the end of a long value.
    let mut text = "x".repeat(LONGEST_VALUE - 4);
    text.push_str("s3cret");
    judged(Ok(Answer {
        result: json!(text),
        series: Vec::new(),
        notes: Vec::new(),
    }));
}

#[test]
fn nothing_is_told_of_what_is_computed_from_a_secret() {
    const KEPT_BACK: &str = "the reason is kept back: it would quote a secret";
    let masker = Masker::new(["s3cret".to_owned()]);
    let decided = |metric: &MetricPlan, echo: &str| {
        let answer = Answer {
            result: json!({"echo": echo}),
            series: vec![series("service_apdex", &[Some(5.)])],
            notes: Vec::new(),
        };
        judge(metric, reading(Ok(answer)), 1, at(0), at(1), &masker)
    };
    let reason = |measurement: Measurement| {
        let decided = measurement.explanation.unwrap().decided.unwrap();
        (decided.reason, decided.points, decided.holds)
    };
    // An OAP that repeats it, in whatever words.
    let upper = with_conditions(Some("upper(result.echo) == 'X'"), None);
    assert_eq!(
        reason(decided(&upper, "a s3cret b")),
        (KEPT_BACK.to_owned(), Vec::new(), false)
    );
    assert_eq!(
        reason(decided(&upper, "nothing")).0,
        "upper(result.echo) is \"NOTHING\", not 'X'"
    );
    let wrong = with_conditions(Some("int(result.echo) > 1"), None);
    let told = decided(&wrong, "s3cret");
    assert_eq!(told.phase, Phase::Error);
    assert_eq!(
        told.message,
        format!("could not evaluate successCondition \"int(result.echo) > 1\": {KEPT_BACK}")
    );
    // A condition that has it in itself.
    let discreet = |source: &str| {
        let condition = Condition::parse(source).expect("a condition");
        MetricPlan {
            failure: Some(Arc::new(condition.keeping_back())),
            ..metric("m", None)
        }
    };
    for source in ["all(values > 1) and 's3cret'[0:3] != 'x'", "values[0] == 5"] {
        let measurement = decided(&discreet(source), "");
        assert_eq!(measurement.phase, Phase::Failed, "{source}");
        assert_eq!(
            reason(measurement),
            (KEPT_BACK.to_owned(), Vec::new(), true)
        );
    }
}

#[test]
fn a_condition_that_fails_says_why_beside_the_message() {
    let metric = with_conditions(Some("all(values >= 9900)"), None);
    let bad = series("service_apdex", &[Some(9_950.), Some(9_611.), None]);
    let measurement = measure(&metric, reading(Ok(answer(vec![bad]))));
    assert_eq!(
        (measurement.phase, measurement.counts),
        (Phase::Failed, true)
    );
    assert_eq!(measurement.message, "");
    let decided = measurement.explanation.unwrap().decided.unwrap();
    assert_eq!((decided.side, decided.holds), (Side::Success, false));
    assert_eq!(decided.condition, "all(values >= 9900)");
    assert!(decided.reason.contains("9611"), "{}", decided.reason);
    assert_eq!(decided.points, [(0, 1)]);
}

#[test]
fn the_condition_that_decided_is_the_one_that_is_shown() {
    let check = |success, failure, expected: (Phase, Side, bool)| {
        let metric = with_conditions(success, failure);
        let seen = series("service_apdex", &[Some(5.)]);
        let measurement = measure(&metric, reading(Ok(answer(vec![seen]))));
        let decided = measurement.explanation.unwrap().decided.unwrap();
        assert_eq!((measurement.phase, decided.side, decided.holds), expected);
    };
    let (yes, no) = (Some("all(values > 1)"), Some("all(values > 9)"));
    check(yes, None, (Phase::Successful, Side::Success, true));
    check(no, None, (Phase::Failed, Side::Success, false));
    check(None, yes, (Phase::Failed, Side::Failure, true));
    check(None, no, (Phase::Successful, Side::Failure, false));
    check(yes, yes, (Phase::Failed, Side::Failure, true));
    check(yes, no, (Phase::Successful, Side::Success, true));
    check(no, no, (Phase::Inconclusive, Side::Success, false));
    check(no, yes, (Phase::Failed, Side::Failure, true));
}

#[test]
fn a_condition_that_cannot_be_evaluated_is_an_error() {
    let metric = with_conditions(Some("result.nothing.here > 1"), None);
    let seen = series("service_apdex", &[Some(5.)]);
    let mut reading = reading(Ok(answer(vec![seen])));
    reading.time = None;
    let measurement = measure(&metric, reading);
    assert_eq!(
        (measurement.phase, measurement.counts),
        (Phase::Error, true)
    );
    let told = "could not evaluate successCondition \"result.nothing.here > 1\": ";
    assert!(
        measurement.message.starts_with(told),
        "{}",
        measurement.message
    );
    let why = measurement.explanation.unwrap();
    assert_eq!((why.decided, why.error, why.skew), (None, None, None));
    assert_eq!(
        why.window.map(|window| window.zone()),
        Some(Offset::from_seconds(19_800).unwrap())
    );
}
