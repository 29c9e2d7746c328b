//! Why a condition holds or doesn't.

use serde_json::{Value, json};

use super::{apdex, evaluate, explained};

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
    check("all(values >= 9900) ? true : false", below, &[1, 2, 4]);
    check(
        "if all(values >= 9900) { true } else { false }",
        below,
        &[1, 2, 4],
    );
    check("all(values >= 9900) ?: false", below, &[1, 2, 4]);
    check("max(values) < 1 ?: all(values >= 9900)", below, &[1, 2, 4]);
    check("count(values) == 6", "count(values) is 5, not 6", &[]);
    check(
        "values[0] == 1; false",
        "values[0] == 1; false is false",
        &[],
    );
    check("false", "", &[]);
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
        "result.version matches \"^v2\"",
        json!({"version": "v1.9"}),
        "result.version is \"v1.9\", which does not match \"^v2\"",
    );
    check(
        "result.version not contains 'rc'",
        json!({"version": "v2-rc1"}),
        "result.version is \"v2-rc1\", which contains 'rc'",
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

/// What is missing is equal to nothing, and a default stands in for it: neither is an error.
#[test]
fn a_reason_says_what_is_missing() {
    let result = json!({"service_apdex": 2, "a": null, "n": 3});
    let check = |condition: &str, reason: &str| {
        assert_eq!(explained(condition, &result, &[]).0, reason, "{condition}");
    };
    let missing = "result.service_apdx is missing; result has `service_apdex`";
    check("result.service_apdx == 1", missing);
    check("1 == result.service_apdx", missing);
    check("result.a == 1", "result.a is null");
    check("result.a != nil", "result.a is nil");
    check(
        "(result.service_apdx ?? 0) > 1",
        &format!("{missing}; its default is 0, not > 1"),
    );
    check("(result.n + 1) * 2 > 9", "(result.n + 1) * 2 is 8, not > 9");
    check(
        "string(result.service_apdex) + string(result.service_apdex) + 'abcdefgh' matches '^v'",
        "string(result.service_apdex) + string(result.service_apdex) … is \"22abcdefgh\", which does not match '^v'",
    );
}
