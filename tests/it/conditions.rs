//! Conditions: the corpus of Argo's behaviour, the short form, reasons, hints, and the guard.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Value, json};
use skygate::domain::condition::{Condition, ConditionError, Language, Scope};
use skygate::domain::reading::{PathStep, Point, PointKind, Series};

/// Cases of the corpus in which we differ from Argo, and why.
const DIFFERENT: &[(&str, &str)] = &[(
    "more-028",
    "`now()` is refused: a condition is judged on what was measured, and the domain has no clock",
)];

fn corpus() -> Vec<Value> {
    let corpus = include_str!("../data/conformance/conditions.json");
    let cases: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    cases
        .into_iter()
        .filter(|case| case.get("id").is_some())
        .collect()
}

fn evaluate(condition: &str, result: &Value) -> Result<bool, ConditionError> {
    let scope = Scope {
        result,
        series: &[],
        zone: Offset::UTC,
        step: skygate::domain::window::Step::default(),
    };
    Condition::parse(condition)?.holds(&scope)
}

fn outcome(case: &Value) -> Value {
    let condition = case["condition"].as_str().expect("a case has a condition");
    match evaluate(condition, &case["result"]) {
        Ok(holds) => Value::Bool(holds),
        Err(_) => Value::from("error"),
    }
}

#[test]
fn conditions_mean_what_they_mean_in_argo() {
    let cases = corpus();
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| outcome(case) != case["expect"])
        .filter(|case| !DIFFERENT.iter().any(|(id, _)| case["id"] == *id))
        .map(|case| {
            format!(
                "{}: `{}` on {}: expected {}, got {} ({:?})",
                case["id"],
                case["condition"],
                case["result"],
                case["expect"],
                outcome(case),
                evaluate(case["condition"].as_str().unwrap_or(""), &case["result"])
            )
        })
        .collect();
    assert!(cases.len() > 300, "the corpus is all there");
    assert!(
        wrong.is_empty(),
        "{} cases differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn listed_differences_are_different() {
    let cases = corpus();
    for (id, reason) in DIFFERENT {
        let case = cases
            .iter()
            .find(|case| case["id"] == *id)
            .expect("a listed case exists");
        assert_ne!(
            outcome(case),
            case["expect"],
            "{id} is listed ({reason}) but agrees"
        );
    }
}

/// Where there is data, an error that Argo shows has the same words here.
#[test]
fn errors_have_the_words_of_argo() {
    let corpus = include_str!("../data/conformance/evaluate_result.json");
    let cases: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    let mut checked = 0;
    for case in cases
        .iter()
        .filter(|case| case["expect"]["phase"] == "Error")
    {
        let message = case["expect"]["message"]
            .as_str()
            .expect("an error has a message");
        if message.contains("metric result is nil or empty") {
            continue;
        }
        let side = if message.contains("failureCondition") {
            "failureCondition"
        } else {
            "successCondition"
        };
        let condition = case[side].as_str().expect("the condition is there");
        let error = evaluate(condition, &case["result"]).expect_err(condition);
        let expected = format!("could not evaluate {side} \"{condition}\": {error}");
        assert_eq!(message, expected, "{}", case["id"]);
        checked += 1;
    }
    assert!(checked >= 5, "the corpus is all there");
}

/// Where Go is at odds with itself, or where its answer would let a version pass for want of data, we differ on purpose.
#[test]
fn accidents_of_go_are_not_repeated() {
    let check = |condition: &str, expected: Result<bool, &str>| {
        let outcome = evaluate(condition, &json!({"l": [1, 2]})).map_err(|error| error.message);
        assert_eq!(outcome, expected.map_err(str::to_owned), "{condition}");
    };
    // Go sorts what is missing to an empty list, of which everything is true.
    check(
        "all(sort(result.missing), # > 1)",
        Err("invalid argument for sort (type <nil>)"),
    );
    // Go's compiler leaves a boolean behind that takes the place of the left operand.
    check("1 == findLastIndex(result.l, # > 1)", Ok(true));
    // Go takes the mean of integers for an integer and then finds that it is none.
    check("mean(1, 2) == 1.5", Ok(true));
    check("mean(1, 3) == 2", Ok(true));
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
    let scope = Scope {
        result,
        series,
        zone: Offset::UTC,
        step: skygate::domain::window::Step::default(),
    };
    let condition = Condition::parse(condition).expect("a condition");
    let reason = condition.reason(&scope);
    (reason.text, reason.points)
}

#[test]
fn the_short_form_is_about_the_numbers_of_a_series() {
    let (result, one) = apdex();
    let check = |condition: &str, expected: bool| {
        let scope = Scope {
            result: &result,
            series: &one,
            zone: Offset::UTC,
            step: skygate::domain::window::Step::default(),
        };
        let outcome = Condition::parse(condition).and_then(|condition| condition.holds(&scope));
        assert_eq!(outcome, Ok(expected), "{condition}");
    };
    check("all(values >= 9400)", true);
    check("all(values >= 9900)", false);
    check("any(values > 9940)", true);
    check("none(values > 9999)", true);
    check("one(values > 9940)", true);
    check("all(9400 <= values && values < 9951)", true);
    check("all(9400 <= values < 9951)", true);
    check("count(values < 9900) == 3", true);
    check("count(values) == 5", true);
    check("len(values) == 5", true);
    check("avg(values) == mean(values)", true);
    check("9719 < avg(values) < 9720", true);
    check("min(values) == 9433 && max(values) == 9950", true);
    check("median(values) == 9702 && sum(values) == 48596", true);
    check("any(values > mean(values))", true);
    check("all(values in [9950, 9611, 9702, 9433, 9900])", true);
    check("all(abs(values - values[0]) < 600)", true);
    check("all(not (values < 9000))", true);
    check("map(values / 100)[0] == 99.5", true);
    check("any(values == values[-1])", true);
    check("values[-1] == 9900", true);
    check("values | all(# > 9000)", true);
    check("all(values, # > 9000)", true);
    check(
        "all(values > 9000) && any(values < 9500) || none(values < 1)",
        true,
    );
    check("all(values > 9000 && any(values < 9500))", true);
    check("series[\"service_apdex\"] == values", true);
    check("all(series[\"service_apdex\"] > 9000)", true);
    check("let slow = filter(values < 9900); len(slow) == 3", true);
}

#[test]
fn several_series_are_asked_for_by_name() {
    let both = [
        series("canary", None, &[Some(1.0), Some(2.0)]),
        series("baseline", None, &[Some(3.0)]),
    ];
    let check = |condition: &str, expected: Result<bool, (&str, Option<&str>)>| {
        let scope = Scope {
            result: &Value::Null,
            series: &both,
            zone: Offset::UTC,
            step: skygate::domain::window::Step::default(),
        };
        let outcome = Condition::parse(condition)
            .and_then(|condition| condition.holds(&scope))
            .map_err(|error| (error.message, error.hint));
        let expected =
            expected.map_err(|(message, hint)| (message.to_owned(), hint.map(str::to_owned)));
        assert_eq!(outcome, expected, "{condition}");
    };
    check(
        "avg(series[\"canary\"]) < avg(series['baseline'])",
        Ok(true),
    );
    check(
        "all(values > 1)",
        Err((
            "values is ambiguous: the result has 2 series, `canary`, `baseline`",
            Some("`series[\"canary\"]` is one of them"),
        )),
    );
    check(
        "all(series[\"nope\"] > 1)",
        Err((
            "no series `nope`; the result has `canary`, `baseline`",
            None,
        )),
    );
    check(
        "all(series[\"canary\"] > series[\"baseline\"])",
        Err(("one call asks about one series", None)),
    );
    check(
        "all(series > 1)",
        Err((
            "series stands before a name in brackets",
            Some("`series[\"canary\"]`; `values` is the only series"),
        )),
    );
}

#[test]
fn a_reason_names_the_points_that_decided() {
    let (result, series) = apdex();
    let check = |condition: &str, text: &str, points: &[usize]| {
        let points: Vec<(usize, usize)> = points.iter().map(|point| (0, *point)).collect();
        assert_eq!(
            explained(condition, &result, &series),
            (text.to_owned(), points),
            "{condition}"
        );
    };
    let below = "3 of 5 points below 9900: 12:04 9611, 12:05 9702, 12:07 9433";
    check(
        "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})",
        below,
        &[1, 2, 4],
    );
    check(
        "all(result.service_apdex.values.values, {.value != nil && asFloat(.value) >= 9900})",
        below,
        &[1, 2, 4],
    );
    check(
        "all(result.service_apdex.values.values, {let v = asFloat(.value); v >= 9900})",
        below,
        &[1, 2, 4],
    );
    check(
        "all(result.service_apdex.values.values, {9900 <= asFloat(.value)})",
        below,
        &[1, 2, 4],
    );
    check("all(values >= 9900)", below, &[1, 2, 4]);
    check("none(values < 9900)", below, &[1, 2, 4]);
    check("not any(values < 9900)", below, &[1, 2, 4]);
    check("any(values < 9900)", below, &[1, 2, 4]);
    check("max(values) > 1 && all(values >= 9900)", below, &[1, 2, 4]);
    check("let v = values; all(v, # >= 9900)", below, &[1, 2, 4]);
    check("all(values >= 9900) ? true : false", "", &[]);
    check(
        "all(values >= 9000)",
        "5 of 5 points at least 9000: 12:03 9950, 12:04 9611, 12:05 9702, 12:07 9433, 12:08 9900",
        &[0, 1, 2, 4, 5],
    );
    check("any(values > 9999)", "none of 5 points above 9999", &[]);
    check("none(values > 9999)", "none of 5 points above 9999", &[]);
    check(
        "count(values < 9700) == 0",
        "2 of 5 points below 9700, not 0: 12:04 9611, 12:07 9433",
        &[1, 4],
    );
    check(
        "count(values < 9700) >= 1",
        "2 of 5 points below 9700: 12:04 9611, 12:07 9433",
        &[1, 4],
    );
    check(
        "avg(values) >= 9900",
        "avg(values) is 9719.2, not >= 9900",
        &[],
    );
    check(
        "9900 <= avg(values)",
        "avg(values) is 9719.2, not >= 9900",
        &[],
    );
    check(
        "avg(values) < 9900",
        "avg(values) is 9719.2, below 9900",
        &[],
    );
    check(
        "min(values) >= 9900",
        "min(values) is 9433 at 12:07, not >= 9900",
        &[4],
    );
    check(
        "avg(values) >= max(values)",
        "avg(values) is 9719.2, not >= max(values) (9950)",
        &[],
    );
    check(
        "avg(values) >= 9900 || max(values) > 10000",
        "avg(values) is 9719.2, not >= 9900; max(values) is 9950 at 12:03, not > 10000",
        &[0],
    );
}

#[test]
fn a_reason_without_times_counts_elements() {
    let check = |condition: &str, result: Value, expected: &str| {
        assert_eq!(
            explained(condition, &result, &[]).0,
            expected,
            "{condition}"
        );
    };
    check(
        "all(result, # < 3)",
        json!([1, 5, 2, 9]),
        "2 of 4 points at least 3: #1 5, #3 9",
    );
    check(
        "all(result, # < 0)",
        json!([1, 2, 3, 4, 5, 6, 7]),
        "7 of 7 points at least 0: #0 1, #1 2, #2 3, #3 4, #4 5, …",
    );
    check(
        "all(result, .ok)",
        json!([{"ok": true}, {"ok": false}]),
        "1 of 2 elements where .ok is false: #1",
    );
    check(
        "all(result, # == 'UP')",
        json!(["UP", "DOWN"]),
        "1 of 2 elements other than 'UP': #1 \"DOWN\"",
    );
    check(
        "all(result, # in [200, 201])",
        json!([200, 500]),
        "1 of 2 elements not in [200, 201]: #1 500",
    );
    check(
        "all(result, all(.xs, # > 0))",
        json!([{"xs": [1]}, {"xs": [2, -3]}]),
        "1 of 2 points at most 0: #1 -3",
    );
    check("all(result, # > 1)", json!([]), "result is empty");
    check(
        "result.status == 'UP'",
        json!({"status": "DOWN"}),
        "result.status is \"DOWN\", not 'UP'",
    );
    check(
        "result.status != 'UP'",
        json!({"status": "UP"}),
        "result.status is \"UP\"",
    );
    check(
        "result.status in ['UP', 'OK']",
        json!({"status": "DOWN"}),
        "result.status is \"DOWN\", not in ['UP', 'OK']",
    );
    check("result.ok", json!({"ok": false}), "result.ok is false");
    check(
        "result.a >= 1 && result.b >= 1",
        json!({"a": 1, "b": 0.5}),
        "result.b is 0.5, not >= 1",
    );
    check(
        "1 < result.a < 3",
        json!({"a": 5}),
        "result.a is 5, not < 3",
    );
    check(
        "result.a / result.b >= 0.99",
        json!({"a": 2, "b": 3}),
        "result.a / result.b is 0.666667, not >= 0.99",
    );
    check(
        "result >= 9900",
        json!(9_899.999_999_9),
        "result is 9899.9999999, not >= 9900",
    );
    check("true", json!(1), "");
}

#[test]
fn a_reason_for_an_error_says_what_is_there() {
    let check = |condition: &str, result: Value, message: &str, reason: &str| {
        let error = evaluate(condition, &result).expect_err(condition);
        assert_eq!(error.message, message, "{condition}");
        assert_eq!(explained(condition, &result, &[]).0, reason, "{condition}");
    };
    check(
        "all(result.service_apdx.values.values, {asFloat(.value) >= 9900})",
        apdex().0,
        "cannot fetch values from <nil>",
        "result.service_apdx is missing; result has `service_apdex`",
    );
    check(
        "result.a.b > 1",
        json!({"a": null, "c": 1}),
        "cannot fetch b from <nil>",
        "result.a is null",
    );
    check(
        "result.x.y > 1",
        json!({"a": 1, "b": 2}),
        "cannot fetch y from <nil>",
        "result.x is missing; result has `a`, `b`",
    );
    check(
        "result.x > 1",
        json!({}),
        "invalid operation: <nil> > int",
        "result.x is missing; result is empty",
    );
    check(
        "all(result, .valeu > 1)",
        json!([{"value": 1}]),
        "invalid operation: <nil> > int",
        ".valeu is missing; the element has `value`",
    );
    check(
        "all(result.list, # > 1)",
        json!({"lists": []}),
        "all takes a list, not <nil>",
        "result.list is missing; result has `lists`",
    );
    check(
        "asFloat(result.x) > 1",
        json!({"y": 1}),
        "asFloat() not supported on <nil> <nil>",
        "result.x is missing; result has `y`",
    );
    check(
        "result.a > 9900",
        json!({"a": "10000"}),
        "invalid operation: string > int",
        "result.a is the text \"10000\": `asFloat(result.a)` is the number 10000",
    );
    check(
        "result > 9900",
        json!("10000"),
        "invalid operation: > (mismatched types string and int)",
        "`asFloat(…)` reads a text as a number",
    );
    check(
        "result.a.value > 1",
        json!({"a": [{"value": 1}]}),
        "invalid operation: int(string)",
        "result.a is a list: `[0].value` of it, or `all(…, {.value …})`",
    );
}

#[test]
fn slips_are_recognised() {
    let check = |condition: &str, message: &str, hint: &str| {
        let error = Condition::parse_as(Language::Expr, condition).expect_err(condition);
        assert_eq!(
            (error.message.as_str(), error.hint.as_deref()),
            (message, Some(hint)),
            "{condition}"
        );
    };
    check(
        "result.ok = true",
        "unexpected token Operator(\"=\")",
        "`==` compares",
    );
    check(
        "result.a > 1 & result.b > 1",
        "unexpected token Operator(\"&\")",
        "`&&` is and",
    );
    check(
        "result.a > 1 | result.b > 1",
        "unexpected token Operator(\".\")",
        "`||` is or; `|` hands a value to a call, as in `result | len()`",
    );
    check(
        "result <> 1",
        "unexpected token Operator(\">\")",
        "`!=` is not equal",
    );
    check(
        "result > 1 AND result < 3",
        "unexpected token Identifier(\"AND\")",
        "operators are written in lower case: `and`",
    );
    check(
        "results[0] > 1",
        "unknown name results",
        "did you mean `result`?",
    );
    check("result == null", "unknown name null", "did you mean `nil`?");
    check(
        "result == True",
        "unknown name True",
        "did you mean `true`?",
    );
    check(
        "asfloat(result) > 1",
        "unknown name asfloat",
        "did you mean `asFloat`?",
    );
    check(
        "now() > 1",
        "unknown name now",
        "there is no function `now`",
    );
    check(
        "result.all(p, p > 1)",
        "no value has a method all",
        "it is a function: `all(…)`",
    );
    check(
        "values >= 9900",
        "invalid operation: >= (mismatched types []interface {} and int)",
        "`values` is a list: `all(values >= 1)`, `any(…)`, `count(…)`, `avg(values) >= 1`",
    );
    check(
        "all(result)",
        "expected at least 2 arguments",
        "`all(list, {…})`, or `all(values …)` for the numbers of the only series",
    );
    check(
        "result.0 == 1",
        "unexpected token Number(\".0\")",
        "elements are selected with brackets: `[0]`",
    );
    check(
        "result matches '\\d'",
        "invalid char escape",
        "a literal in backticks takes backslashes as they are",
    );
}

#[test]
fn errors_have_their_place() {
    let check = |condition: &str, at: usize| {
        let error = Condition::parse(condition).expect_err(condition);
        assert_eq!(error.at, at, "{condition}: {error}");
    };
    check("result >", 8);
    check("result.a >= 1 && nosuch < 3", 17);
    check("all(result, {.value >= 1)", 24);
    check("result == 'é' + x", 17);
}

#[test]
fn what_is_written_for_cel_is_left_to_it() {
    for condition in [
        "result.all(p, p > 1.0)",
        "result.size() > 0",
        "size(result) > 0",
        "has(result.a)",
        "double(result.a) > 1.0",
        "result.a == null",
        "result.a.startsWith('x')",
        "timestamp(result.a) > timestamp('2024-01-01T00:00:00Z')",
        "[1, 2].exists(x, x > 1)",
        "5u > 1u",
    ] {
        let chosen = Condition::parse(condition).expect(condition);
        assert_eq!(chosen.language(), Language::Cel, "{condition}");
    }
}

/// No input may panic, overflow the stack, or take long: each is tried on a thread with the stack of a worker, in a debug build.
mod guard {
    use std::sync::Arc;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const STACK: usize = 2 * 1024 * 1024;

    /// Parses, evaluates, explains, prints and drops; the message of whatever error there is.
    fn survive(source: &str) -> Option<String> {
        let (result, series) = apdex();
        let scope = Scope {
            result: &result,
            series: &series,
            zone: Offset::UTC,
            step: skygate::domain::window::Step::default(),
        };
        let condition = match Condition::parse(source) {
            Ok(condition) => condition,
            Err(error) => {
                assert!(!error.shown_in(source).is_empty());
                return Some(error.message);
            }
        };
        let outcome = condition.holds(&scope);
        let reason = condition.reason(&scope);
        assert!(
            !reason.text.contains('\n'),
            "a reason is one line: {:?}",
            reason.text
        );
        assert!(!format!("{:?}", condition.clone()).is_empty());
        outcome.err().map(|error| error.message)
    }

    fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = thread::Builder::new().stack_size(STACK).spawn(work);
        thread.expect("a thread").join().expect("the work survives")
    }

    #[test]
    fn nesting_is_bounded() {
        let around = |open: &str, inner: &str, close: &str, times: usize| {
            format!("{}{inner}{}", open.repeat(times), close.repeat(times))
        };
        on_a_small_stack(move || {
            let shapes = [
                ("(", "1", ")"),
                ("[", "1", "]"),
                ("{a:", "1", "}"),
                ("!", "true", ""),
                ("not ", "true", ""),
                ("-", "result", ""),
                ("+", "result", ""),
                ("1 ** ", "1", ""),
                ("1 + (", "1", ")"),
                ("len(", "'a'", ")"),
                ("max(1, ", "1", ")"),
                ("[1][", "0", "]"),
                ("any([1], {", "true", "})"),
                ("any([1], ", "true", ")"),
                (
                    "all(result.service_apdex.values.values, any([.value], ",
                    "# != nil",
                    "))",
                ),
                ("reduce([1, 2], #acc + ", "1", ")"),
                ("true ? 1 : ", "2", ""),
                ("if true { 1 } else ", "{ 2 }", ""),
                ("if ", "true", " { true } else { false }"),
                ("let a = 1; (", "1", ")"),
                ("result?.", "a", ""),
                ("", "result", ".a"),
                ("", "result", "?.a"),
                ("", "result", "[0]"),
                ("", "result", "[1:]"),
                ("", "[1]", " | map(#)"),
                ("", "1", " + 1"),
                ("", "1", " < 1"),
                ("", "true", " && true"),
                ("", "result.a", " && result.a"),
                ("", "true", " or false"),
                ("", "nil", " ?? nil"),
                ("", "1", " in [1]"),
                ("", "1", "; 1"),
                ("", "true", " ? true : false"),
            ];
            for (open, inner, close) in shapes {
                for times in [5, 20, 30, 60, 63, 64, 65, 100, 300, 4_000, 40_000] {
                    survive(&around(open, inner, close, times));
                }
            }
        });
    }

    #[test]
    fn limits_say_which_they_are() {
        let check = |source: String, expected: &str| {
            let message = on_a_small_stack({
                let source = source.clone();
                move || survive(&source)
            });
            assert_eq!(message.as_deref(), Some(expected), "{source:.60}");
        };
        let steps = "step budget exceeded: more than 2,000,000 steps";
        let size = "memory budget exceeded: more than 1,000,000 elements or bytes";
        check(
            " ".repeat(5_000),
            "the condition has 5000 bytes, more than 4096",
        );
        check(
            format!("{}1{}", "(".repeat(100), ")".repeat(100)),
            "nested more than 64 deep",
        );
        check("len(1..99999999999) > 0".to_owned(), size);
        check("all(1..900000, {none(1..9, {# > 10})})".to_owned(), size);
        check("all(1..1000, {all(1..1000, {true})})".to_owned(), size);
        check(
            "let l = 1..1000; all(l, {all(l, {none(l, # > 1000)})})".to_owned(),
            steps,
        );
        check("len(repeat('ab', 999999)) > 0".to_owned(), size);
        check("reduce(1..60, {#acc + #acc}, 'ab') == ''".to_owned(), size);
        check(
            "reduce(1..1000, [#acc], 1) == nil".to_owned(),
            "lists and maps nested too deep",
        );
        check(
            "reduce(1..1000, {{a: #acc}}, 1) == nil".to_owned(),
            "lists and maps nested too deep",
        );
        check(
            "let s = repeat('a', 500000); all(1..100000, {s contains 'b'} == false)".to_owned(),
            "unexpected token Operator(\"==\")",
        );
        check(
            "let s = repeat('a', 500000); none(1..100000, {s contains 'b'})".to_owned(),
            steps,
        );
        check(
            "let s = repeat('a', 500000); none(1..100000, {s matches '(a*)*b'})".to_owned(),
            steps,
        );
        check(
            "none(1..100000, {'a' matches 'b' + string(#)})".to_owned(),
            steps,
        );
        check(
            "let l = map(1..2000, #); len(map(1..100, {uniq(l)})) > 0".to_owned(),
            steps,
        );
        check(
            "result.a matches '(\\\\pL{100}){100}'".to_owned(),
            "error parsing regexp: `(\\pL{100}){100}` needs more than 131072 bytes",
        );
    }

    #[test]
    fn a_long_chain_is_no_deep_tree() {
        let check = |part: &str, joint: &str, expected: Result<bool, &str>| {
            let source = vec![part; 300].join(joint);
            let outcome = on_a_small_stack(move || evaluate(&source, &json!({"a": true})));
            assert_eq!(
                outcome.map_err(|error| error.message),
                expected.map_err(str::to_owned),
                "{part}{joint}"
            );
        };
        check("result.a", " && ", Ok(true));
        check("!result.a", "||", Ok(false));
        check("1", " <= ", Ok(true));
        check("1", " + ", Err("nested more than 64 deep"));
    }

    const TOKENS: [&str; 84] = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ":",
        "?",
        "?.",
        "??",
        ".",
        "..",
        "#",
        "#index",
        "#acc",
        "|",
        "||",
        "&&",
        "!",
        "not",
        "in",
        "=",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "and",
        "or",
        "matches",
        "contains",
        "startsWith",
        "let x =",
        "x",
        "if",
        "else",
        "0",
        "1",
        "2.5",
        "-1",
        "9223372036854775807",
        "1e308",
        "'a'",
        "\"b\"",
        "`c`",
        "'",
        "nil",
        "true",
        "false",
        "result",
        "values",
        "series[\"service_apdex\"]",
        ".value",
        ".service_apdex",
        "all(",
        "any(",
        "count(",
        "map(",
        "filter(",
        "reduce(",
        "sortBy(",
        "groupBy(",
        "sum(",
        "len(",
        "asFloat(",
        "max(",
        "split(",
        "sort(",
        "repeat(",
        "fromJSON(",
        "take(",
        "$env",
        "/*",
        "é",
        "\u{0}",
    ];

    fn soup() -> impl Strategy<Value = String> {
        let token = proptest::sample::select(TOKENS.to_vec());
        proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.join(" "))
    }

    /// Conditions that parse more often than not.
    fn grown() -> impl Strategy<Value = String> {
        let leaf = proptest::sample::select(vec![
            "1",
            "0",
            "-1",
            "2.5",
            "'a'",
            "'9611'",
            "nil",
            "true",
            "result",
            "result.service_apdex",
            "values",
            "[1, 2]",
            "{a: 1}",
            "1..9",
            "#",
            ".value",
            "1e308",
            "9223372036854775807",
            "repeat('ab', 1000)",
            "'['",
        ])
        .prop_map(str::to_owned);
        leaf.prop_recursive(6, 40, 3, |inner| {
            let operator = proptest::sample::select(vec![
                "+", "-", "*", "/", "%", "**", "==", "<", ">=", "in", "not in", "&&", "or", "??",
                "..", "contains", "matches",
            ]);
            let unary = proptest::sample::select(vec![
                "len",
                "abs",
                "int",
                "float",
                "string",
                "asFloat",
                "asInt",
                "isNaN",
                "sort",
                "uniq",
                "flatten",
                "max",
                "mean",
                "median",
                "sum",
                "toJSON",
                "fromJSON",
                "keys",
                "values",
                "first",
                "last",
                "reverse",
                "upper",
                "bitnot",
                "duration",
                "date",
                "toPairs",
                "fromPairs",
                "not",
                "-",
                "toBase64",
                "fromBase64",
                "join",
            ]);
            let binary = proptest::sample::select(vec![
                "take",
                "get",
                "repeat",
                "split",
                "splitAfter",
                "concat",
                "min",
                "bitshl",
                "bitushr",
                "trim",
                "indexOf",
                "default",
            ]);
            let each = proptest::sample::select(vec![
                "all",
                "any",
                "none",
                "one",
                "filter",
                "map",
                "find",
                "findLastIndex",
                "count",
                "sum",
                "groupBy",
                "sortBy",
                "reduce",
            ]);
            prop_oneof![
                (inner.clone(), operator, inner.clone())
                    .prop_map(|(l, o, r)| format!("({l}) {o} ({r})")),
                (unary, inner.clone()).prop_map(|(f, x)| format!("{f}({x})")),
                (binary, inner.clone(), inner.clone())
                    .prop_map(|(f, x, y)| format!("{f}({x}, {y})")),
                (each.clone(), inner.clone(), inner.clone())
                    .prop_map(|(f, x, y)| format!("{f}({x}, {{{y}}})")),
                (each, inner.clone()).prop_map(|(f, x)| format!("{f}({x})")),
                (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("({x})[{y}]")),
                (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("({x})[{y}:]")),
                (inner.clone(), inner).prop_map(|(x, y)| format!("let v = {x}; v == {y}")),
            ]
        })
    }

    fn survives_each(sources: impl Strategy<Value = String>) {
        let config = ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = proptest::test_runner::TestRunner::new(config).run(&sources, |source| {
            let source: Arc<str> = source.into();
            let work = Arc::clone(&source);
            let thread = thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || survive(&work));
            let joined = thread.expect("a thread").join();
            prop_assert!(joined.is_ok(), "panicked on {source}");
            Ok(())
        });
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[test]
    fn soups_of_tokens_are_survived() {
        survives_each(soup());
    }

    #[test]
    fn soups_of_characters_are_survived() {
        survives_each(".{0,60}");
    }

    #[test]
    fn grown_conditions_are_survived() {
        survives_each(grown());
    }

    #[test]
    fn an_evaluation_depends_on_its_input_alone() {
        proptest!(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }, |(source in grown())| {
            prop_assert_eq!(survive(&source), survive(&source));
        });
    }
}
