//! What holds for any input whatever: the bodies of the fuzz targets, and of the smoke run among the ordinary tests.
//!
//! Each takes bytes and panics where a law is broken.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Value, json};
use skygate::domain::args::{Arguments, Piece, pieces, render};
use skygate::domain::condition::{Condition, ConditionError, Language, Scope};
use skygate::domain::duration::GoDuration;
use skygate::domain::plan::Gaps;
use skygate::domain::query::{Extras, Query};
use skygate::domain::reading::{PathStep, Series};
use skygate::domain::recorded::series_of;
use skygate::domain::window::{Step, Window, WindowSpec};
use skygate::oap::answer::{ExpressionResult, MetricTypes, decode_expression, decode_query};

/// A condition in Argo's dialect: a result as JSON in the first line, the condition in the others.
pub(crate) fn expr(input: &[u8]) {
    condition(Language::Expr, input);
}

/// A condition in CEL, in the same form.
pub(crate) fn cel(input: &[u8]) {
    condition(Language::Cel, input);
}

/// An argument's value in the first line, a templated text in the others.
pub(crate) fn arguments(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (value, template) = text.split_once('\n').unwrap_or((&text, ""));
    let args: Arguments = [("x".to_owned(), value.to_owned())].into_iter().collect();
    rendered(template, &args, value);
    let _ = Query::render(template, &args);
    shape_of_a_query(value);
    secrets_are_masked(template, value);
}

/// A duration as Go writes it.
pub(crate) fn duration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(duration) = GoDuration::parse(&text) else {
        return;
    };
    assert_eq!(GoDuration::parse(&duration.to_string()), Ok(duration));
}

/// The `data` of an OAP's answer, as JSON.
pub(crate) fn answer(input: &[u8]) {
    let Ok(data) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let window = window();
    for gaps in [Gaps::Skip, Gaps::Zero] {
        let result = data.get("execExpression").unwrap_or(&data).clone();
        if let Ok(result) = serde_json::from_value::<ExpressionResult>(result)
            && let Ok(answer) = decode_expression("service_apdex", &result, &window, gaps)
        {
            places_of_series(&answer.result, &answer.series);
        }
        let query = Query::parse(EVERY_READ.to_owned()).expect("a query of ours");
        for extras in [Extras::default(), ALL_EXTRAS] {
            let (_, added) = query.asking(extras);
            let types = MetricTypes::new();
            let decoded = decode_query(&query, &added, data.clone(), &window, gaps, &types);
            if let Ok(answer) = decoded {
                places_of_series(&answer.result, &answer.series);
            }
        }
    }
}

fn condition(language: Language, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (result, source) = text.split_once('\n').unwrap_or(("", &text));
    let result = serde_json::from_str(result).unwrap_or_else(|_| some_result());
    if let Err(error) = Condition::parse(source) {
        errors_can_be_shown(&error, source);
    }
    let condition = match Condition::parse_as(language, source) {
        Ok(condition) => condition,
        Err(error) => return errors_can_be_shown(&error, source),
    };
    assert_eq!(condition.language(), language);
    assert_eq!(condition.source(), source);
    let series = series_of(&result);
    places_of_series(&result, &series);
    let scope = Scope {
        result: &result,
        series: &series,
        zone: Offset::UTC,
        step: Step::Minute,
        now: Timestamp::UNIX_EPOCH,
    };
    let holds = condition.holds(&scope);
    assert_eq!(holds, condition.holds(&scope), "evaluated twice");
    if let Err(error) = &holds {
        errors_can_be_shown(error, source);
    }
    let reason = condition.reason(&scope);
    assert!(!reason.text.contains('\n'), "{:?} has lines", reason.text);
    for (place, point) in reason.points {
        assert!(series[place].points.len() > point, "no such point");
    }
}

fn errors_can_be_shown(error: &ConditionError, source: &str) {
    assert!(!error.message.is_empty());
    assert!(!error.message.contains('\n'), "{:?}", error.message);
    assert!(error.shown_in(source).contains('^'));
    assert!(error.place_in(source).contains("column"));
}

fn some_result() -> Value {
    json!({
        "service_apdex": {"label": null, "values": {"values": [{"value": 9950}, {"value": "9433"}, {"value": null}]}},
        "l": [1, 2.5, -3, "a", null, [true]],
        "s": "text",
        "n": null,
        "i": 5,
    })
}

/// What stands between placeholders stays, and a value is put in as it is.
fn rendered(template: &str, args: &Arguments, value: &str) {
    let (Ok(pieces), Ok(rendered)) = (pieces(template), render(template, args)) else {
        return;
    };
    let mut written = String::new();
    let mut expected = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                written.push_str(text);
                expected.push_str(text);
            }
            Piece::Placeholder { written: text, .. } => {
                written.push_str(text);
                expected.push_str(value);
            }
        }
    }
    assert_eq!(written, template);
    assert_eq!(rendered, expected);
}

/// Whatever an argument holds, the query asks for what its author wrote.
fn shape_of_a_query(value: &str) {
    const TEMPLATE: &str = r#"query($duration: Duration!) {
        a: readMetricsValues(condition: {name: "service_apdex", entity: {scope: Service, serviceName: "{{ args.x }}", normal: true}}, duration: $duration) {
            values { values { value } }
        }
    }"#;
    let args: Arguments = [("x".to_owned(), value.to_owned())].into_iter().collect();
    let query = Query::render(TEMPLATE, &args).expect("a text takes any value");
    let [read] = query.reads() else {
        panic!("{} reads", query.reads().len());
    };
    assert_eq!(
        (read.key.as_str(), read.metric.as_deref()),
        ("a", Some("service_apdex"))
    );
}

fn secrets_are_masked(template: &str, value: &str) {
    let mut args = Arguments::default();
    args.set_secret("x", value);
    let Ok(text) = render(template, &args) else {
        return;
    };
    let masked = args.masker().mask(&text);
    // What the mask is made of may stand there of itself.
    if !value.is_empty() && !value.contains('*') {
        assert!(!masked.contains(value), "{masked:?}");
    }
}

/// Every way of reading metrics that a query has.
const EVERY_READ: &str = r#"query($duration: Duration!) {
    service_apdex: readMetricsValues(condition: {name: "service_apdex", entity: {scope: Service, serviceName: "a", normal: true}}, duration: $duration) {
        label values { values { id value isEmptyValue } }
    }
    plain: readMetricsValues(condition: {name: "service_cpm", entity: {scope: Service, serviceName: "a", normal: true}}, duration: $duration) {
        values { values { value } }
    }
    v: readMetricsValue(condition: {name: "service_cpm", entity: {scope: Service, serviceName: "a", normal: true}}, duration: $duration)
    a: readNullableMetricsValue(condition: {name: "service_cpm", entity: {scope: Service, serviceName: "a", normal: true}}, duration: $duration) {
        value isEmptyValue
    }
    p: readLabeledMetricsValues(condition: {name: "service_percentile", entity: {scope: Service, serviceName: "a", normal: true}}, labels: ["0", "4"], duration: $duration) {
        label values { values { id value isEmptyValue } }
    }
    sortMetrics(condition: {name: "service_cpm", normal: true, scope: Service, topN: 5, order: DES}, duration: $duration) {
        id name value
    }
    execExpression(expression: "service_percentile", entity: {scope: Service, serviceName: "a", normal: true}, duration: $duration) {
        type error results { metric { labels { key value } } values { id value } }
    }
}"#;

const ALL_EXTRAS: Extras = Extras {
    id: true,
    is_empty_value: true,
};

/// The window of most recorded answers.
fn window() -> Window {
    let spec = WindowSpec {
        interval: std::time::Duration::from_mins(5),
        step: Step::Minute,
        settle: std::time::Duration::from_mins(1),
    };
    let now: Timestamp = "2026-11-23T09:12:17Z".parse().expect("a moment");
    let choice = Window::choose(&spec, now, Offset::UTC, None);
    choice.window.expect("nothing is stale")
}

/// A series that says where its points stand has as many numbers as there are.
fn places_of_series(result: &Value, series: &[Series]) {
    for series in series {
        if let Some(path) = &series.path {
            let found = follow(result, path).and_then(Value::as_array);
            assert_eq!(
                found.map(Vec::len),
                Some(series.values().count()),
                "{series:?}"
            );
        }
    }
}

fn follow<'a>(json: &'a Value, path: &[PathStep]) -> Option<&'a Value> {
    path.iter().try_fold(json, |json, step| match step {
        PathStep::Key(key) => json.get(key),
        PathStep::Index(index) => json.get(index),
    })
}
