//! Users' queries and what their answers mean, on what two real OAP servers answered.

#![expect(
    clippy::unwrap_used,
    reason = "what a test rests on fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use graphql_parser::schema::{Definition, Document, TypeDefinition, parse_schema};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Value, json};
use skygate::domain::args::Arguments;
use skygate::domain::plan::Gaps;
use skygate::domain::query::{Added, Extras, Query};
use skygate::domain::reading::{Answer, ErrorClass, PathStep, PointKind, Series, SourceError};
use skygate::domain::window::{Step, Window, WindowSpec, parse_zone};
use skygate::oap::answer::{
    ExpressionResult, MetricType, MetricTypes, decode_expression, decode_query, suggest,
};

const SERVERS: [&str; 2] = ["oap-10.4.0", "oap-9.7.0"];

const EVERYTHING: Extras = Extras {
    id: true,
    is_empty_value: true,
};

/// The recordings of one file.
struct Recording {
    zone: Offset,
    answers: Vec<Value>,
}

impl Recording {
    fn of(server: &str, file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oap");
        let text = std::fs::read_to_string(path.join(server).join(file)).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        Self {
            zone: parse_zone(recording["timezone"].as_str().unwrap()).unwrap(),
            answers: recording["answers"].as_array().unwrap().clone(),
        }
    }

    fn exchanges(&self) -> impl Iterator<Item = Exchange<'_>> {
        self.answers.iter().map(|answer| Exchange {
            answer,
            zone: self.zone,
        })
    }

    fn exchange(&self, name: &str) -> Exchange<'_> {
        self.exchanges()
            .find(|one| one.name() == name)
            .unwrap_or_else(|| panic!("no recording `{name}`"))
    }
}

/// One question and its answer.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    answer: &'a Value,
    zone: Offset,
}

impl<'a> Exchange<'a> {
    fn name(self) -> &'a str {
        self.answer["name"].as_str().unwrap()
    }

    fn query_text(self) -> &'a str {
        self.answer["request"]["body"]["query"].as_str().unwrap()
    }

    fn variable(self, name: &str) -> &'a Value {
        &self.answer["request"]["body"]["variables"][name]
    }

    /// The data, without the lines that stand for points left out of the recording; null where there was an error.
    fn data(self) -> Value {
        let mut data = self.answer["response"]["body"]["data"].clone();
        whole(&mut data);
        data
    }

    /// The window that was asked for, as if it had been chosen as soon as all of it had settled.
    fn window(self) -> Option<Window> {
        self.chosen(Step::default_settle)
    }

    /// The window that was asked for, chosen as Argo does at the moment of the recording.
    fn argos_window(self) -> Option<Window> {
        self.chosen(|_| Duration::ZERO)
    }

    fn chosen(self, settle: impl Fn(Step) -> Duration) -> Option<Window> {
        let duration = self.variable("duration");
        let step = match duration["step"].as_str()? {
            "MINUTE" => Step::Minute,
            "HOUR" => Step::Hour,
            "DAY" => Step::Day,
            _ => return None,
        };
        let first = bucket(duration["start"].as_str()?, self.zone)?;
        let last = bucket(duration["end"].as_str()?, self.zone)?;
        let covered = last
            .as_second()
            .checked_sub(first.as_second())
            .and_then(|s| u64::try_from(s).ok())?;
        let settle = settle(step);
        let (interval, now) = if settle.is_zero() {
            (
                Duration::from_secs(covered),
                self.answer["at"].as_str()?.parse().ok()?,
            )
        } else {
            (
                Duration::from_secs(covered) + step.width(),
                last + step.width() + settle,
            )
        };
        let spec = WindowSpec {
            interval,
            step,
            settle,
        };
        let window = Window::choose(&spec, now, self.zone, None).window?;
        assert_eq!(window.start_text(), duration["start"].as_str()?);
        assert_eq!(window.end_text(), duration["end"].as_str()?);
        Some(window)
    }

    fn query(self) -> Query {
        Query::parse(self.query_text().to_owned()).unwrap()
    }

    fn decode(self, gaps: Gaps) -> Result<Answer, SourceError> {
        let query = self.query();
        let (text, added) = query.asking(EVERYTHING);
        let recorded = query.text() == text || !self.query_text().contains("values { value }");
        assert!(
            recorded,
            "the recording `{}` has less than is asked for",
            self.name()
        );
        decode_query(
            &query,
            &added,
            self.data(),
            &self.window().unwrap(),
            gaps,
            &MetricTypes::new(),
        )
    }
}

fn whole(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.retain(|element| element.get("...").is_none());
            list.iter_mut().for_each(whole);
        }
        Value::Object(fields) => fields.values_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `2026-11-23 0909`, `2026-11-23 09` or `2026-11-23` in `zone`.
fn bucket(text: &str, zone: Offset) -> Option<Timestamp> {
    let (date, time) = text.split_once(' ').unwrap_or((text, ""));
    let time = match time.len() {
        4 => format!("{}:{}", &time[..2], &time[2..]),
        2 => format!("{time}:00"),
        0 => "00:00".to_owned(),
        _ => return None,
    };
    let local: DateTime = format!("{date}T{time}").parse().ok()?;
    zone.to_timestamp(local).ok()
}

/// A letter a point: `d`ata, `g`ap, `u`nsettled, `s`tale, zero `o`r nothing; a capital where conditions see it.
fn kinds(series: &Series) -> String {
    let letter = |kind| match kind {
        PointKind::Data => 'd',
        PointKind::Gap => 'g',
        PointKind::Unsettled => 'u',
        PointKind::Stale => 's',
        PointKind::ZeroOrNothing => 'o',
    };
    let points = series.points.iter();
    points
        .map(|point| match point.value {
            Some(_) => letter(point.kind).to_ascii_uppercase(),
            None => letter(point.kind),
        })
        .collect()
}

fn only(answer: &Answer) -> &Series {
    let [series] = answer.series.as_slice() else {
        panic!("not one series: {answer:?}");
    };
    series
}

/// What stands at the end of a path.
fn at_path<'v>(result: &'v Value, path: &[PathStep]) -> &'v Value {
    path.iter().fold(result, |value, step| match step {
        PathStep::Key(key) => &value[key],
        PathStep::Index(index) => &value[index],
    })
}

#[test]
fn each_service_is_told_apart_on_both_servers() {
    let check = |service: &str, minutes: [&str; 2], skipped: [usize; 2]| {
        for (server, (minutes, left)) in SERVERS.into_iter().zip(minutes.into_iter().zip(skipped)) {
            let recording = Recording::of(server, "read_metrics_values.json");
            let exchange = recording.exchange(&format!("marked_{service}"));
            let answer = exchange.decode(Gaps::Skip).unwrap();
            let series = only(&answer);
            assert_eq!(kinds(series), minutes, "{service} on {server}");
            assert_eq!(series.name, "service_apdex");
            assert_eq!(answer.notes, [""; 0]);
            // Its times are the window's buckets.
            let times: Vec<_> = series
                .points
                .iter()
                .map(|point| point.at.unwrap())
                .collect();
            assert_eq!(
                times,
                exchange.window().unwrap().buckets().collect::<Vec<_>>()
            );
            // Conditions see the list without the gaps; under `zero` as OAP sends it.
            let list = at_path(&answer.result, series.path.as_ref().unwrap())
                .as_array()
                .unwrap();
            assert_eq!(list.len(), left, "{service} on {server}");
            let zero = exchange.decode(Gaps::Zero).unwrap();
            assert_eq!(zero.result, exchange.data());
            assert_eq!(zero.without_data(), answer.without_data());
        }
    };
    check("canary", ["DDDDDDDDDDD"; 2], [11, 11]);
    check("stable", ["DDDDDDDDDDD"; 2], [11, 11]);
    check("degraded", ["DDDDDDDDDDD"; 2], [11, 11]);
    check("frustrated", ["DDDDDDDDDDD"; 2], [11, 11]);
    check("gappy", ["DDgDDDgDDDg", "DDDgDDDgDDD"], [8, 9]);
    check("rare", ["ggggggggDgg", "gDggggggggg"], [1, 1]);
    check("absent", ["ggggggggggg"; 2], [0, 0]);
}

#[test]
fn a_true_zero_is_data_and_nothing_is_not() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        let decode = |name: &str| recording.exchange(name).decode(Gaps::Skip).unwrap();
        let frustrated = decode("marked_frustrated");
        assert!(only(&frustrated).values().all(|value| value == 0.0));
        assert!(frustrated.without_data().is_empty());
        for nothing in [
            "marked_absent",
            "normal_false",
            "future",
            "unquoted_injection",
        ] {
            assert_eq!(
                decode(nothing).without_data(),
                ["service_apdex"],
                "{nothing} on {server}"
            );
        }
    }
}

/// The seed's query, asked for more, answered as the server answered the same question with more in it.
#[test]
fn the_seeds_query_gets_what_it_needs_and_shows_what_it_asked() {
    let service = |name: &str| format!("{name}|reviews|bookinfo|cp-cluster-1|-");
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        for name in ["canary", "frustrated", "gappy", "rare", "absent"] {
            let seed = recording.exchange(&format!("seed_{name}"));
            let marked = recording.exchange(&format!("marked_{name}"));
            let template = seed
                .query_text()
                .replace(&service(name), "{{ args.service-name }}");
            let args: Arguments = [("service-name".to_owned(), service(name))]
                .into_iter()
                .collect();
            let query = Query::render(&template, &args).unwrap();
            assert_eq!(query.text(), seed.query_text());

            let (text, added) = query.asking(EVERYTHING);
            assert_eq!(
                text,
                seed.query_text().replace(
                    "{ value }",
                    "{ value  skygate_id: id skygate_isEmptyValue: isEmptyValue }"
                )
            );
            let mut data = marked.data();
            for point in data["service_apdex"]["values"]["values"]
                .as_array_mut()
                .unwrap()
            {
                *point = json!({"value": point["value"], "skygate_id": point["id"], "skygate_isEmptyValue": point["isEmptyValue"]});
            }
            let window = marked.window().unwrap();
            let decode = |gaps| {
                decode_query(
                    &query,
                    &added,
                    data.clone(),
                    &window,
                    gaps,
                    &MetricTypes::new(),
                )
                .unwrap()
            };
            let expected = marked.decode(Gaps::Skip).unwrap();
            let answer = decode(Gaps::Skip);
            assert_eq!(answer.series, expected.series, "{name} on {server}");
            let values: Vec<Value> = marked.data()["service_apdex"]["values"]["values"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|point| point["isEmptyValue"] == false)
                .map(|point| json!({"value": point["value"]}))
                .collect();
            assert_eq!(
                answer.result,
                json!({"service_apdex": {"label": null, "values": {"values": values}}})
            );
            // As Argo sees it.
            let bare: Vec<Value> = data["service_apdex"]["values"]["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|point| json!({"value": point["value"]}))
                .collect();
            assert_eq!(
                decode(Gaps::Zero).result["service_apdex"]["values"]["values"],
                json!(bare)
            );
        }
    }
}

#[test]
fn an_old_server_cannot_tell_and_the_answer_says_so() {
    let recording = Recording::of("oap-10.4.0", "read_metrics_values.json");
    let decode = |name: &str| {
        let exchange = recording.exchange(name);
        let window = exchange.window().unwrap();
        decode_query(
            &exchange.query(),
            &Added::default(),
            exchange.data(),
            &window,
            Gaps::Skip,
            &MetricTypes::new(),
        )
        .unwrap()
    };
    for (name, expected) in [
        ("seed_canary", "DDDD"),
        ("seed_gappy", "DDDO"),
        ("seed_absent", "OOOO"),
        ("seed_frustrated", "OOOO"),
    ] {
        let answer = decode(name);
        let series = only(&answer);
        assert_eq!(kinds(series), expected, "{name}");
        assert_eq!(answer.result, recording.exchange(name).data());
        let window = recording.exchange(name).window().unwrap();
        let times: Vec<_> = series.points.iter().filter_map(|point| point.at).collect();
        assert_eq!(times, window.buckets().collect::<Vec<_>>());
        let note = "this OAP cannot tell zero from nothing (`isEmptyValue` came with 9.5): each 0 of `service_apdex` may be either";
        assert_eq!(
            answer.notes.iter().any(|n| n == note),
            expected.contains('O'),
            "{name}"
        );
    }
}

#[test]
fn in_argos_window_the_unfinished_minutes_are_marked() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        let exchange = recording.exchange("seed_canary");
        let window = exchange.argos_window().unwrap();
        let answer = decode_query(
            &exchange.query(),
            &Added::default(),
            exchange.data(),
            &window,
            Gaps::Zero,
            &MetricTypes::new(),
        )
        .unwrap();
        let kinds = kinds(only(&answer));
        assert!(
            kinds.starts_with('D') && kinds.ends_with("UU"),
            "{kinds} on {server}"
        );
        assert_eq!(only(&answer).values().count(), 4);
    }
}

#[test]
fn an_unknown_metric_is_an_error_with_the_name_that_was_meant() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        let error = recording
            .exchange("unknown_metric")
            .decode(Gaps::Zero)
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::UnknownMetric);
        let listed = Recording::of(server, "preflight.json")
            .exchange("list_metrics")
            .data();
        let names: Vec<&str> = listed["listMetrics"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|metric| metric["name"].as_str())
            .collect();
        assert_eq!(
            suggest(error, names).message,
            "the OAP knows no metric named `service_apdx`; did you mean `service_apdex`?"
        );
    }
}

#[test]
fn an_incomplete_entity_is_found_before_and_after() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        let incomplete = recording.exchange("normal_absent");
        let faults = Query::parse(incomplete.query_text().to_owned()).unwrap_err();
        assert_eq!(
            faults[0].message,
            "`service_apdex`: an entity of the scope `Service` needs `normal`"
        );
        // Had it been sent.
        let query = recording.exchange("marked_canary").query();
        let window = incomplete.window().unwrap();
        let error = decode_query(
            &query,
            &Added::default(),
            incomplete.data(),
            &window,
            Gaps::Zero,
            &MetricTypes::new(),
        )
        .unwrap_err();
        assert_eq!(error.class, ErrorClass::IncompleteEntity);
        // The scope is the one thing that an OAP infers.
        let inferred = recording
            .exchange("scope_absent")
            .decode(Gaps::Skip)
            .unwrap();
        assert_eq!(kinds(only(&inferred)), "DDDD");
    }
}

#[test]
fn several_metrics_are_several_series() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        let exchange = recording.exchange("aliases");
        let query = exchange.query();
        let window = exchange.window().unwrap();
        let answer = decode_query(
            &query,
            &Added::default(),
            exchange.data(),
            &window,
            Gaps::Skip,
            &MetricTypes::new(),
        )
        .unwrap();
        let names: Vec<&str> = answer
            .series
            .iter()
            .map(|series| series.name.as_str())
            .collect();
        assert_eq!(names, ["canary", "stable"]);
        for series in &answer.series {
            // Without ids the times come from the position.
            let times: Vec<_> = series.points.iter().filter_map(|point| point.at).collect();
            assert_eq!(times, window.buckets().collect::<Vec<_>>());
        }
    }
}

#[test]
fn hours_days_and_long_windows_have_their_times() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_metrics_values.json");
        for name in ["hour", "day", "points_501"] {
            let exchange = recording.exchange(name);
            let answer = exchange.decode(Gaps::Skip).unwrap();
            let points = &only(&answer).points;
            let window = exchange.window().unwrap();
            assert_eq!(
                points.first().unwrap().at,
                Some(window.first()),
                "{name} on {server}"
            );
            assert_eq!(
                points.last().unwrap().at,
                Some(window.last()),
                "{name} on {server}"
            );
        }
    }
}

fn percentile_is_labelled() -> MetricTypes {
    let types = [
        ("service_percentile", "LABELED_VALUE"),
        ("service_resp_time", "REGULAR_VALUE"),
    ];
    types
        .map(|(name, kind)| (name.to_owned(), MetricType::named(kind)))
        .into()
}

#[test]
fn a_labelled_metric_is_read_label_by_label() {
    let nine = Recording::of("oap-9.7.0", "read_others.json");
    let numbered = nine
        .exchange("read_labeled_metrics_values")
        .decode(Gaps::Skip)
        .unwrap();
    let names: Vec<&str> = numbered
        .series
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    assert_eq!(names, ["0", "1", "2", "3", "4"]);
    for series in &numbered.series {
        assert_eq!(kinds(series), "DDDDD");
        let list = at_path(&numbered.result, series.path.as_ref().unwrap());
        let values: Vec<f64> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point["value"].as_f64().unwrap())
            .collect();
        assert_eq!(values, series.values().collect::<Vec<_>>());
    }
    let named = nine
        .exchange("read_labeled_metrics_values_p")
        .decode(Gaps::Skip)
        .unwrap();
    assert_eq!(named.without_data(), ["p=50", "p=99"]);

    let ten = Recording::of("oap-10.4.0", "read_others.json");
    for name in [
        "read_labeled_metrics_values",
        "read_labeled_metrics_values_p",
    ] {
        let answer = ten.exchange(name).decode(Gaps::Skip).unwrap();
        assert_eq!(answer.without_data(), ["p"]);
        assert!(
            answer.notes[0].contains("`service_percentile{p='99'}`"),
            "{:?}",
            answer.notes
        );
    }
}

#[test]
fn a_labelled_metric_read_as_a_plain_one_is_an_error() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_others.json");
        let exchange = recording.exchange("read_metrics_values_of_labeled");
        let query = exchange.query();
        let error =
            skygate::oap::answer::check_kinds(&query, &percentile_is_labelled()).unwrap_err();
        assert_eq!(error.class, ErrorClass::WrongKindOfMetric);
        assert!(
            error
                .message
                .starts_with("`service_percentile` is a labelled metric"),
            "{error}"
        );
    }
}

#[test]
fn single_numbers_are_series_of_one_point() {
    for server in SERVERS {
        let recording = Recording::of(server, "read_others.json");
        let bare = recording
            .exchange("read_metrics_value")
            .decode(Gaps::Skip)
            .unwrap();
        assert_eq!(kinds(only(&bare)), "D");
        assert_eq!(bare.result, json!({"v": 95}));

        let nullable = recording
            .exchange("read_nullable_metrics_value")
            .decode(Gaps::Skip)
            .unwrap();
        assert_eq!(nullable.without_data(), ["a"]);
        assert_eq!(
            nullable.result["a"],
            json!({"value": null, "isEmptyValue": true})
        );

        let sorted = recording
            .exchange("sort_metrics")
            .decode(Gaps::Skip)
            .unwrap();
        assert_eq!(
            only(&sorted).values().count(),
            sorted.result["sortMetrics"].as_array().unwrap().len()
        );
    }
}

#[test]
fn a_bare_zero_may_be_nothing() {
    let exchange = Recording::of("oap-10.4.0", "read_others.json");
    let exchange = exchange.exchange("read_metrics_value");
    let window = exchange.window().unwrap();
    let answer = decode_query(
        &exchange.query(),
        &Added::default(),
        json!({"v": 0}),
        &window,
        Gaps::Skip,
        &MetricTypes::new(),
    )
    .unwrap();
    assert_eq!(kinds(only(&answer)), "O");
    assert!(answer.notes[0].contains("`readNullableMetricsValue`"));
}

#[test]
fn malformed_data_is_an_error_and_never_a_panic() {
    let recording = Recording::of("oap-10.4.0", "read_metrics_values.json");
    let exchange = recording.exchange("marked_canary");
    let decode = |data: Value| {
        let window = exchange.window().unwrap();
        decode_query(
            &exchange.query(),
            &Added::default(),
            data,
            &window,
            Gaps::Skip,
            &MetricTypes::new(),
        )
    };
    for data in [
        json!(null),
        json!([]),
        json!({"service_apdex": {"values": {"values": 1}}}),
        json!({"service_apdex": {"values": {"values": [1]}}}),
        json!({"service_apdex": {"values": {"values": [{"value": "many"}]}}}),
    ] {
        let error = decode(data.clone()).unwrap_err();
        assert_eq!(error.class, ErrorClass::Malformed, "{data}");
    }
    for data in [
        json!({"service_apdex": null}),
        json!({"service_apdex": {"values": null}}),
        json!({"service_apdex": {"values": {"values": []}}}),
        json!({"service_apdex": {"values": {"values": [{"value": null}]}}}),
    ] {
        assert_eq!(
            decode(data.clone()).unwrap().without_data(),
            ["service_apdex"],
            "{data}"
        );
    }
    assert!(decode(json!({})).unwrap().series.is_empty());
}

#[test]
fn an_expression_within_a_query_is_understood_too() {
    let text = r#"query($duration: Duration!) {
        e: execExpression(expression: "service_percentile{p='50,99'}", entity: { scope: Service, serviceName: "a", normal: true }, duration: $duration) {
            type error results { metric { labels { key value } } values { id v: value } }
        }
    }"#;
    let query = Query::parse(text.to_owned()).unwrap();
    let (asked, added) = query.asking(EVERYTHING);
    assert_eq!(asked, text);
    let recording = Recording::of("oap-10.4.0", "exec_expression.json");
    let window = recording.exchange("percentile_two").window().unwrap();
    let decode = |answer: Value| {
        decode_query(
            &query,
            &added,
            json!({ "e": answer }),
            &window,
            Gaps::Skip,
            &MetricTypes::new(),
        )
    };
    let values = |label: &str, second: Value| json!({"metric": {"labels": [{"key": "p", "value": label}]}, "values": [{"id": "1795424760000", "v": "100"}, {"id": "1795424820000", "v": second}]});
    let answer = decode(json!({"type": "TIME_SERIES_VALUES", "error": null, "results": [values("50", json!("90")), values("99", json!(null))]})).unwrap();
    let names: Vec<_> = answer
        .series
        .iter()
        .map(|series| (series.name.as_str(), kinds(series)))
        .collect();
    assert_eq!(
        names,
        [("p=50", "DD".to_owned()), ("p=99", "Dg".to_owned())]
    );
    assert_eq!(
        at_path(&answer.result, answer.series[1].path.as_ref().unwrap()),
        &json!([{"id": "1795424760000", "v": "100"}])
    );

    let error =
        decode(json!({"type": "UNKNOWN", "error": "Metric: [x] does not exist.", "results": []}))
            .unwrap_err();
    assert_eq!(error.class, ErrorClass::UnknownMetric);
    let nothing =
        decode(json!({"type": "TIME_SERIES_VALUES", "error": null, "results": []})).unwrap();
    assert_eq!(nothing.without_data(), ["e"]);
}

/// Every recorded expression on one line each: what came of it, its series point by point, what conditions see.
#[test]
fn every_recorded_expression_is_decoded() {
    for server in SERVERS {
        let recording = Recording::of(server, "exec_expression.json");
        let mut lines = String::new();
        for exchange in recording.exchanges() {
            let data = exchange.data();
            let Some(answer) = data.get("execExpression") else {
                continue;
            };
            let answer: ExpressionResult = serde_json::from_value(answer.clone()).unwrap();
            let expression = exchange.variable("expression").as_str().unwrap();
            let decoded =
                decode_expression(expression, &answer, &exchange.window().unwrap(), Gaps::Skip);
            writeln!(
                lines,
                "{}: {expression}\n  {}",
                exchange.name(),
                told(&decoded)
            )
            .unwrap();
        }
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../data/snapshots"}, {
            insta::assert_snapshot!(format!("expressions_{server}"), lines);
        });
    }
}

fn told(decoded: &Result<Answer, SourceError>) -> String {
    let answer = match decoded {
        Ok(answer) => answer,
        Err(error) => return format!("{}: {}", error.class.name(), error.message),
    };
    let series: Vec<String> = answer
        .series
        .iter()
        .map(|series| format!("{} {}", series.name, kinds(series)))
        .collect();
    let notes: Vec<String> = answer
        .notes
        .iter()
        .map(|note| format!("\n  note: {note}"))
        .collect();
    format!(
        "{}\n  {}{}",
        series.join(" | "),
        answer.result,
        notes.concat()
    )
}

#[test]
fn a_point_is_where_its_series_says() {
    for server in SERVERS {
        let recording = Recording::of(server, "exec_expression.json");
        for name in ["apdex_gappy", "percentile_all", "top_n"] {
            for gaps in [Gaps::Skip, Gaps::Zero] {
                let exchange = recording.exchange(name);
                let answer: ExpressionResult =
                    serde_json::from_value(exchange.data()["execExpression"].clone()).unwrap();
                let expression = exchange.variable("expression").as_str().unwrap();
                let answer =
                    decode_expression(expression, &answer, &exchange.window().unwrap(), gaps)
                        .unwrap();
                for series in &answer.series {
                    let list = at_path(&answer.result, series.path.as_ref().unwrap())
                        .as_array()
                        .unwrap();
                    let seen: Vec<f64> = list
                        .iter()
                        .map(|element| element.get("value").unwrap_or(element).as_f64().unwrap())
                        .collect();
                    assert_eq!(
                        seen,
                        series.values().collect::<Vec<_>>(),
                        "{name} on {server}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_division_by_nothing_is_an_error_and_not_a_number() {
    let recording = Recording::of("oap-10.4.0", "exec_expression.json");
    let window = recording.exchange("apdex").window().unwrap();
    let answer = |value: &str| {
        let result = json!({"type": "TIME_SERIES_VALUES", "results": [{"metric": {"labels": []}, "values": [{"id": "1795424760000", "value": value}]}]});
        decode_expression(
            "a/b",
            &serde_json::from_value(result).unwrap(),
            &window,
            Gaps::Skip,
        )
    };
    for value in ["\u{221e}", "Infinity", "NaN"] {
        let error = answer(value).unwrap_err();
        assert_eq!(error.class, ErrorClass::BadQuery);
        assert!(error.message.contains("at 09:06"), "{error}");
    }
    assert_eq!(answer("many").unwrap_err().class, ErrorClass::Malformed);
    assert_eq!(answer("0,5").unwrap().result["values"], json!([0.5]));
}

#[test]
fn a_sum_of_nothing_is_doubted() {
    let recording = Recording::of("oap-10.4.0", "exec_expression.json");
    let window = recording.exchange("apdex").window().unwrap();
    let check = |expression: &str, value: Value, expected: &str| {
        let result = json!({"type": "SINGLE_VALUE", "results": [{"metric": null, "values": [{"id": null, "value": value}]}]});
        let answer = decode_expression(
            expression,
            &serde_json::from_value(result).unwrap(),
            &window,
            Gaps::Skip,
        )
        .unwrap();
        assert_eq!(kinds(only(&answer)), expected, "{expression}");
        assert_eq!(answer.notes.is_empty(), expected != "O", "{expression}");
    };
    check("sum(service_cpm)", json!("0"), "O");
    check("count(service_apdex >= 9900)", json!("0"), "O");
    check("sum(service_cpm)", json!("5"), "D");
    check("avg(service_apdex)", json!("0"), "D");
    check("avg(service_apdex)", json!(null), "g");
}

#[test]
fn every_recorded_query_passes_the_strict_check_or_is_known_not_to() {
    let mut refused = BTreeMap::new();
    for server in SERVERS {
        for file in [
            "read_metrics_values.json",
            "read_others.json",
            "exec_expression.json",
            "failures.json",
            "preflight.json",
        ] {
            for exchange in Recording::of(server, file).exchanges() {
                let Some(text) = exchange.answer["request"]["body"]["query"].as_str() else {
                    continue;
                };
                if let Err(faults) = Query::parse(text.to_owned()) {
                    refused.insert(exchange.name().to_owned(), faults[0].message.clone());
                }
            }
        }
    }
    // Operations of our own have variables of their own: expressions, entities and names are not templated queries.
    refused.retain(|_, message| !message.starts_with("nothing fills in the variable"));
    let refused: Vec<(&str, &str)> = refused
        .iter()
        .map(|(name, message)| (name.as_str(), message.as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            (
                "graphql_syntax",
                "the query doesn't parse at line 1, column 9: Unexpected end of input; Expected Name"
            ),
            (
                "normal_absent",
                "`service_apdex`: an entity of the scope `Service` needs `normal`"
            ),
            (
                "operation_name",
                "the query has several operations; one is sent, and nothing says which"
            ),
        ]
    );
}

const SCHEMA: &str = include_str!("../../queries/schema.graphql");

/// The fields of the schema's types, as `name: type`; the values of its enums.
fn members(schema: &Document<'_, String>) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut types = BTreeMap::new();
    for definition in &schema.definitions {
        let Definition::TypeDefinition(definition) = definition else {
            continue;
        };
        let (name, members) = match definition {
            TypeDefinition::Object(object) => (
                &object.name,
                object
                    .fields
                    .iter()
                    .map(|f| (f.name.clone(), f.field_type.to_string()))
                    .collect(),
            ),
            TypeDefinition::InputObject(input) => (
                &input.name,
                input
                    .fields
                    .iter()
                    .map(|f| (f.name.clone(), f.value_type.to_string()))
                    .collect(),
            ),
            TypeDefinition::Enum(of) => (
                &of.name,
                of.values
                    .iter()
                    .map(|v| (v.name.clone(), String::new()))
                    .collect(),
            ),
            TypeDefinition::Scalar(scalar) => (&scalar.name, BTreeMap::new()),
            TypeDefinition::Interface(_) | TypeDefinition::Union(_) => continue,
        };
        types.insert(name.clone(), members);
    }
    types
}

fn introspected(of: &Value) -> String {
    match of["kind"].as_str().unwrap_or_default() {
        "NON_NULL" => format!("{}!", introspected(&of["ofType"])),
        "LIST" => format!("[{}]", introspected(&of["ofType"])),
        _ => of["name"].as_str().unwrap_or("?").to_owned(),
    }
}

#[test]
fn the_schema_is_what_both_servers_have() {
    let schema = parse_schema::<String>(SCHEMA).unwrap().into_static();
    let types = members(&schema);
    let mut seen = BTreeSet::new();
    for server in SERVERS {
        for exchange in Recording::of(server, "preflight.json").exchanges() {
            let data = exchange.data();
            let Some(described) = data
                .get("__type")
                .filter(|described| described["name"].is_string())
            else {
                continue;
            };
            let name = described["name"].as_str().unwrap();
            let Some(ours) = types.get(name) else {
                continue;
            };
            seen.insert(name.to_owned());
            let lists = ["fields", "inputFields", "enumValues"];
            let theirs: BTreeMap<&str, String> = lists
                .iter()
                .filter_map(|list| described.get(list)?.as_array())
                .flatten()
                .map(|member| {
                    (
                        member["name"].as_str().unwrap(),
                        introspected(&member["type"]),
                    )
                })
                .collect();
            for (member, kind) in ours {
                let their_kind = theirs
                    .get(member.as_str())
                    .unwrap_or_else(|| panic!("{server} has no {name}.{member}"));
                // Ours may be the looser one.
                let same = kind.is_empty()
                    || kind.trim_end_matches('!') == their_kind.trim_end_matches('!');
                assert!(
                    same && kind.len() <= their_kind.len().max(1),
                    "{name}.{member} is {their_kind} on {server}, here {kind}"
                );
            }
            for member in theirs.keys().filter(|member| !ours.contains_key(**member)) {
                let marked = SCHEMA.contains(&format!("# 10.x: {member}: "));
                assert!(
                    marked && server == "oap-10.4.0",
                    "{name}.{member} of {server} is neither in the schema nor marked"
                );
            }
        }
    }
    let expected = [
        "Duration",
        "Entity",
        "ExpressionResult",
        "ExpressionResultType",
        "HealthStatus",
        "IntValues",
        "KVInt",
        "MQEValue",
        "MQEValues",
        "MetricDefinition",
        "MetricsCondition",
        "MetricsType",
        "MetricsValues",
        "NullableValue",
        "Scope",
        "Service",
        "Step",
        "TimeInfo",
    ];
    assert_eq!(
        seen.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn both_servers_have_every_query_of_the_schema() {
    let schema = parse_schema::<String>(SCHEMA).unwrap().into_static();
    for server in SERVERS {
        let data = Recording::of(server, "preflight.json")
            .exchange("query_fields")
            .data();
        let theirs: BTreeSet<&str> = data["__type"]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|field| field["name"].as_str())
            .collect();
        for field in members(&schema)["Query"].keys() {
            assert!(theirs.contains(field.as_str()), "{server} has no `{field}`");
        }
    }
}
