//! CEL as a language of conditions, and which language a text is in.

mod guard;
mod languages;
mod reasons;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Value, json};
use skygate::domain::condition::{Condition, ConditionError, Language, Scope};
use skygate::domain::reading::{PathStep, Point, PointKind, Series};
use skygate::domain::window::Step;

fn holds_in(language: Language, condition: &str, result: &Value) -> Result<bool, ConditionError> {
    Condition::parse_as(language, condition)?.holds(&scope(result, &[]))
}

fn holds(condition: &str, result: &Value) -> Result<bool, ConditionError> {
    holds_in(Language::Cel, condition, result)
}

fn scope<'a>(result: &'a Value, series: &'a [Series]) -> Scope<'a> {
    Scope {
        result,
        series,
        zone: Offset::UTC,
        step: Step::Minute,
        now: Timestamp::UNIX_EPOCH,
    }
}

/// A series with a point a minute from 12:04 on.
fn series(name: &str, path: &[&str], values: &[Option<f64>]) -> Series {
    let start: Timestamp = "2024-05-01T12:04:00Z".parse().expect("a time");
    let points = values.iter().zip(0_i64..).map(|(value, minute)| Point {
        at: Some(start + jiff::SignedDuration::from_mins(minute)),
        value: *value,
        kind: match value {
            Some(_) => PointKind::Data,
            None => PointKind::Gap,
        },
    });
    let steps = path.iter().map(|key| PathStep::Key((*key).to_owned()));
    Series {
        name: name.to_owned(),
        path: (!path.is_empty()).then(|| steps.collect()),
        points: points.collect(),
    }
}

/// The seed's result: texts, as OAP gives them, and a gap at 12:07.
fn apdex() -> (Value, Vec<Series>) {
    let values = ["9950", "9611", "9702", "9433", "9900"];
    let list: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
    let result = json!({"service_apdex": {"label": null, "values": {"values": list}}});
    let points = [
        Some(9950.0),
        Some(9611.0),
        Some(9702.0),
        None,
        Some(9433.0),
        Some(9900.0),
    ];
    let path = ["service_apdex", "values", "values"];
    (result, vec![series("service_apdex", &path, &points)])
}

#[test]
fn the_result_is_json_with_doubles_for_numbers() {
    let result = json!({
        "i": 5, "f": 5.0, "neg": -3, "big": 9_007_199_254_740_993_u64, "s": "12", "t": true, "n": null,
        "l": [1, 2.5, "x", null, [1], {"a": 1}], "m": {"a": {"b": [10, 20]}}, "é": 1,
    });
    let check = |condition: &str| {
        assert_eq!(holds(condition, &result), Ok(true), "{condition}");
    };
    check("type(result.i) == double && result.i == result.f && result.i == 5");
    check("result.i / 2.0 == 2.5 && result.i + 1.0 == 6.0 && -result.neg == 3.0");
    check("result.big == 9007199254740992.0 && result.i > 4 && result.i < 5.5 && result.i in [5]");
    check("result.n == null && result.t && result.s == '12' && double(result.s) == 12.0");
    check("result.l == [1.0, 2.5, 'x', null, [1.0], {'a': 1.0}]");
    check("[1, 2.5, 'x', null, [1], {'a': 1}] == result.l");
    check("result.l != [1.0] && result.m != {'a': 1.0} && {'a': {'b': [10, 20]}} == result.m");
    check(
        "size(result.l) == 6 && result.l[0] == 1.0 && result.l[1.0] == 2.5 && result.l[5].a == 1",
    );
    check("result.m.a.b[1] == 20.0 && result['m']['a'].b == [10.0, 20.0] && result['é'] == 1.0");
    check("'i' in result && !('j' in result) && size(result) == 10 && size(result.s) == 2");
    check("has(result.n) && !has(result.x) && has(result.m.a) && !has(result.m.b)");
    check("result.m.a.b.all(x, x >= 10.0) && result.m.all(k, k == 'a') && type(result.m) == map");
    check("result.m.a.b.map(x, x * 2.0) == [20.0, 40.0] && type(result.l) == list");
    check("result.m.a.b.filter(x, x > 10.0) + [30.0] == [20.0, 30.0]");
    check("result.m.a.b.exists_one(x, x > 10.0) && result.m.a.b.map(x, x > 10.0, x) == [20.0]");
    check(
        "result.?x.?y.orValue(7.0) == 7.0 && result.?i.orValue(7.0) == 5.0 && result[?'i'].hasValue()",
    );
    check("result.?i.optMap(x, x + 1.0).orValue(0.0) == 6.0");
    check("result.s.startsWith('1') && result.s.endsWith('2') && result.s.contains('12')");
    check(
        "result.s.matches('^[0-9]+$') && matches(result.s, '2$') && !result.s.matches('^' + '2')",
    );
    check("string(result.i) == '5' && int(result.i) == 5 && 'a' + result.s == 'a12'");
    check(
        "timestamp('2024-05-01T12:00:00Z') - timestamp('2024-05-01T11:00:00Z') > duration('59m')",
    );
    check(
        "timestamp('2024-05-01T12:34:00Z').getMinutes() == 34 && duration('90s').getMinutes() == 1",
    );
}

#[test]
fn helpers_look_at_what_they_are_given() {
    let result = json!({"i": 5.9, "s": "12.5", "n": null, "m": {"a": 1}, "l": [1], "nan": "NaN"});
    let check = |condition: &str, expected: Result<bool, &str>| {
        let outcome = holds(condition, &result).map_err(|error| error.message);
        assert_eq!(outcome, expected.map_err(str::to_owned), "{condition}");
    };
    check(
        "asFloat(result.s) == 12.5 && asFloat(3) == 3.0 && asFloat(result.i) == 5.9",
        Ok(true),
    );
    check(
        "asInt(result.i) == 5 && asInt('7') == 7 && asInt(3u) == 3",
        Ok(true),
    );
    check(
        "isNaN(asFloat(result.nan)) && !isNaN(result.i) && !isNaN(1)",
        Ok(true),
    );
    check("isInf(1.0 / 0.0) && !isInf(result.i)", Ok(true));
    check(
        "isNil(result.n) && isNil(null) && !isNil(result.i) && !isNil(result)",
        Ok(true),
    );
    check(
        "isNil(result.x) && isNil(result.m.b.c) && isNil(result['x']) && isNil(result.l[1])",
        Ok(true),
    );
    check(
        "default(result.x, 3.0) == 3.0 && default(result.n, 3.0) == 3.0",
        Ok(true),
    );
    check(
        "default(result.m.a, 3.0) == 1.0 && default(result.m.x.y, 'z') == 'z'",
        Ok(true),
    );
    check(
        "default(result.l[0], 3.0) == 1.0 && default(1.0 / 2.0, 3.0) == 0.5",
        Ok(true),
    );
    check(
        "asFloat('x') > 1.0",
        Err("asFloat: cannot read `x` as a number"),
    );
    check(
        "asInt('1.5') > 1",
        Err("asInt: cannot read `1.5` as a number"),
    );
    check("asInt(1e30) > 1", Err("asInt: the number is too large"));
    check(
        "isNaN(result.s)",
        Err("found no matching overload for 'isNaN' applied to '(string)'"),
    );
}

#[test]
fn values_are_those_of_the_only_series() {
    let (result, one) = apdex();
    let two = [
        series("canary", &[], &[Some(1.0), None, Some(2.0)]),
        series("p=99", &[], &[Some(3.0)]),
    ];
    let check =
        |condition: &str, series: &[Series], expected: Result<bool, (&str, Option<&str>)>| {
            let outcome = Condition::parse_as(Language::Cel, condition)
                .and_then(|condition| condition.holds(&scope(&result, series)))
                .map_err(|error| (error.message, error.hint));
            let expected =
                expected.map_err(|(message, hint)| (message.to_owned(), hint.map(str::to_owned)));
            assert_eq!(outcome, expected, "{condition}");
        };
    check(
        "values == [9950.0, 9611.0, 9702.0, 9433.0, 9900.0]",
        &one,
        Ok(true),
    );
    check(
        "values.all(v, v >= 9400.0) && size(values) == 5",
        &one,
        Ok(true),
    );
    check(
        "series['service_apdex'] == values && series.size() == 1",
        &one,
        Ok(true),
    );
    check("values.exists(values, values > 9940.0)", &one, Ok(true));
    check(
        "series['canary'] == [1.0, 2.0] && series['p=99'] == [3.0]",
        &two,
        Ok(true),
    );
    check(
        "series.all(name, series[name].all(v, v > 0.0))",
        &two,
        Ok(true),
    );
    check("'canary' in series && !has(series.stable)", &two, Ok(true));
    check(
        "values.all(v, v > 1.0)",
        &two,
        Err((
            "values is ambiguous: the result has 2 series, `canary`, `p=99`",
            Some("`series[\"canary\"]` is one of them"),
        )),
    );
    check(
        "series['canari'].all(v, v > 1.0)",
        &two,
        Err(("no series `canari`; the result has `canary`, `p=99`", None)),
    );
    check(
        "values.all(v, v > 1.0)",
        &[],
        Err(("the result has no series", None)),
    );
}

/// CEL's own rule, which surprises whoever comes from another language: an error beside a part that decides is overlooked.
#[test]
fn errors_are_overlooked_where_another_part_decides() {
    let result = json!({"n": null, "l": [null, -1], "m": [null, 1]});
    let check = |condition: &str, expected: Result<bool, &str>| {
        let outcome = holds(condition, &result).map_err(|error| error.message);
        assert_eq!(outcome, expected.map_err(str::to_owned), "{condition}");
    };
    let mismatch = "found no matching overload for '_>_' applied to '(null_type, double)'";
    check("result.n > 1.0 || true", Ok(true));
    check("true || result.n > 1.0", Ok(true));
    check("result.n > 1.0 && false", Ok(false));
    check("result.n > 1.0 && true", Err(mismatch));
    check("result.n > 1.0 || false", Err(mismatch));
    check("result.l.all(x, x > 0.0)", Ok(false));
    check("result.m.all(x, x > 0.0)", Err(mismatch));
    check("result.m.exists(x, x > 0.0)", Ok(true));
    check("result.l.exists(x, x > 0.0)", Err(mismatch));
}

#[test]
fn errors_tell_where_and_what_is_there() {
    let result = json!({
        "service_apdex": {"values": [{"value": "9950"}, {"vaule": "9433"}]}, "s": "10000", "n": null, "l": [1], "x": 1,
    });
    let check = |condition: &str, at: usize, message: &str, hint: Option<&str>| {
        let error = holds(condition, &result).expect_err(condition);
        assert_eq!(
            (error.at, error.message.as_str(), error.hint.as_deref()),
            (at, message, hint),
            "{condition}"
        );
    };
    check(
        "result.service_apdx.values.all(p, true)",
        6,
        "no such key: service_apdx",
        Some("result.service_apdx is missing; result has `service_apdex`"),
    );
    check(
        "result.x > 0 && result.service_apdex.values.all(p, double(p.value) > 1.0)",
        59,
        "no such key: value",
        Some("p.value is missing; p has `vaule`"),
    );
    check(
        "result.s > 9900",
        9,
        "found no matching overload for '_>_' applied to '(string, int)'",
        Some("result.s is the text \"10000\": `double(result.s)` is the number 10000"),
    );
    check(
        "result.x + 1 > 1.0",
        9,
        "found no matching overload for '_+_' applied to '(double, int)'",
        Some(
            "arithmetic takes two numbers of one kind; those of a result are doubles: `2.0`, not `2`",
        ),
    );
    check(
        "2.0 - result.l > 1.0",
        4,
        "found no matching overload for '_-_' applied to '(double, list)'",
        Some("a list is asked with `list.all(x, …)` or `list.exists(x, …)`"),
    );
    check(
        "result.n > 1.0",
        9,
        "found no matching overload for '_>_' applied to '(null_type, double)'",
        Some("`default(…, 0.0)` stands in for what is null or missing"),
    );
    for (index, shown) in [("-1", "-1"), ("7u", "7"), ("2.0", "2")] {
        let message = format!("index out of bounds: {shown}");
        check(&format!("result.l[{index}] > 1.0"), 8, &message, None);
        check(&format!("[1.0][{index}] > 1.0"), 5, &message, None);
    }
    for list in ["result.l", "[1.0]"] {
        check(
            &format!("{list}['x'] > 1.0"),
            list.len(),
            "found no matching overload for '_[_]' applied to '(list, string)'",
            None,
        );
    }
    check("result.l[1] > 1.0", 8, "index out of bounds: 1", None);
    check("result.x.y > 1.0", 8, "a double has no members", None);
    check("1 / (2 - 2) > 0", 2, "division by zero", None);
    check(
        "9223372036854775807 + 1 > 0",
        20,
        "integer overflow in add",
        None,
    );
    check("result.x", 6, "expected bool, but got double", None);
    check(
        "result.l.all(x, x)",
        16,
        "expected bool, but got double",
        None,
    );
    check(
        "double(result.service_apdex) > 1.0",
        0,
        "found no matching overload for 'double' applied to '(map)'",
        None,
    );
    check(
        "timestamp(result.s) > timestamp(0)",
        0,
        "timestamp: expected a time like 2024-05-01T12:00:00Z, found `10000`",
        None,
    );
}

#[test]
fn names_and_types_are_checked_at_parsing() {
    let check = |condition: &str, at: usize, message: &str, hint: Option<&str>| {
        let error = Condition::parse_as(Language::Cel, condition).expect_err(condition);
        assert_eq!(
            (error.at, error.message.as_str(), error.hint.as_deref()),
            (at, message, hint),
            "{condition}"
        );
    };
    check(
        "results.a > 1",
        0,
        "undeclared reference to 'results'",
        Some("did you mean `result`?"),
    );
    check(
        "result.l.all(x, y > 1)",
        16,
        "undeclared reference to 'y'",
        Some("a condition knows `result`, `values` and `series[\"…\"]`"),
    );
    check(
        "[1].all(x, x > 0) && x > 0",
        21,
        "undeclared reference to 'x'",
        Some("a condition knows `result`, `values` and `series[\"…\"]`"),
    );
    check(
        "length(result) > 1",
        0,
        "undeclared reference to 'length'",
        Some("there is no function `length`"),
    );
    check(
        "asfloat(result) > 1",
        0,
        "undeclared reference to 'asfloat'",
        Some("did you mean `asFloat`?"),
    );
    check(
        "result.startWith('a')",
        7,
        "undeclared reference to 'startWith'",
        Some("did you mean `startsWith`?"),
    );
    check(
        "startsWith(result, 'a')",
        0,
        "undeclared reference to 'startsWith'",
        Some("it is a method: `value.startsWith(…)`"),
    );
    check(
        "result.double() > 1",
        7,
        "undeclared reference to 'double'",
        Some("it is a function: `double(…)`"),
    );
    check(
        "all(values > 1)",
        0,
        "all is not called like this",
        Some("as in `list.all(x, x > 1.0)`"),
    );
    check(
        "values >= 9900",
        7,
        "found no matching overload for '_>=_' applied to '(list, int)'",
        Some("`values` is a list: `values.all(v, v >= 1.0)`, `values.exists(v, …)`"),
    );
    check(
        "series['a'] > 1.0",
        12,
        "found no matching overload for '_>_' applied to '(list, double)'",
        Some("a list is asked with `list.all(x, …)` or `list.exists(x, …)`"),
    );
    check(
        "values",
        0,
        "expected bool, but got list",
        Some("`values` is a list: `values.all(v, v >= 1.0)`, `values.exists(v, …)`"),
    );
    check("size(result)", 0, "expected bool, but got int", None);
    check(
        "1 + 1.0 > 1.0",
        2,
        "found no matching overload for '_+_' applied to '(int, double)'",
        Some(
            "arithmetic takes two numbers of one kind; those of a result are doubles: `2.0`, not `2`",
        ),
    );
    check(
        "size(values) > '3'",
        13,
        "found no matching overload for '_>_' applied to '(int, string)'",
        Some("`double(…)` reads a text as a number"),
    );
    check(
        "result && size(values)",
        10,
        "expected bool, but got int",
        None,
    );
    check(
        "result.a.matches('[')",
        17,
        "error parsing regexp: unclosed character class: `[`",
        None,
    );
    check(
        "result.a{b: 1} == null",
        8,
        "no type `result.a` can be made",
        None,
    );
    check("result >", 8, "unexpected end", None);
    check("result = 1", 7, "unexpected `=`", Some("`==` compares"));
    check(
        "result.a > 1 and result.b > 1",
        13,
        "unexpected `and`",
        Some("`&&` is and"),
    );
    check("'é' + +", 7, "unexpected `+`", None);
    check(
        "result ==\n  'abc",
        12,
        "unexpected `'`",
        Some("a text ends with the quote that it began with"),
    );
    check(
        "result == 99999999999999999999",
        10,
        "invalid int literal",
        None,
    );
    check("has(result)", 4, "invalid argument to has() macro", None);
    check("for > 1", 0, "reserved identifier: for", None);
}

/// Maps are gone through in the order of their keys, although the crate's own are in an order of chance.
#[test]
fn the_order_of_a_map_is_that_of_its_keys() {
    let result = json!({"m": {"c": 1, "a": 2, "b": 3}});
    for _ in 0..20 {
        assert_eq!(
            holds("result.m.map(k, k) == ['a', 'b', 'c']", &result),
            Ok(true)
        );
        assert_eq!(
            holds(
                "{'z': 1, 'y': 2, 'x': 3, 'w': 4}.map(k, k) == ['w', 'x', 'y', 'z']",
                &result
            ),
            Ok(true)
        );
    }
}
