//! Why a condition in CEL holds or doesn't.

use super::*;

#[test]
fn a_reason_names_the_points_that_decided() {
    let (result, series) = apdex();
    let check = |condition: &str, expected: &str, points: &[usize]| {
        let condition = Condition::parse_as(Language::Cel, condition).expect(condition);
        let reason = condition.reason(&scope(&result, &series));
        assert_eq!(reason.text, expected, "{}", condition.source());
        let expected: Vec<(usize, usize)> = points.iter().map(|point| (0, *point)).collect();
        assert_eq!(reason.points, expected, "{}", condition.source());
    };
    let below = "3 of 5 points below 9900: 12:05 9611, 12:06 9702, 12:08 9433";
    check(
        "result.service_apdex.values.values.all(p, double(p.value) >= 9900.0)",
        below,
        &[1, 2, 4],
    );
    check("values.all(v, v >= 9900.0)", below, &[1, 2, 4]);
    check(
        "series['service_apdex'].all(v, 9900.0 <= v)",
        below,
        &[1, 2, 4],
    );
    check(
        "series.service_apdex.all(v, !(v < 9900.0))",
        below,
        &[1, 2, 4],
    );
    check(
        "result['service_apdex'].values['values'].all(p, double(p.value) >= 9900.0)",
        below,
        &[1, 2, 4],
    );
    check(
        "size(values) == 5 && values.all(v, v > 1.0 && v >= 9900.0)",
        below,
        &[1, 2, 4],
    );
    check(
        "values.all(v, v >= 9000.0)",
        "5 of 5 points at least 9000: 12:04 9950, 12:05 9611, 12:06 9702, 12:08 9433, 12:09 9900",
        &[0, 1, 2, 4, 5],
    );
    check(
        "values.exists(v, v > 9940.0)",
        "1 of 5 points above 9940: 12:04 9950",
        &[0],
    );
    check(
        "!values.exists(v, v > 9940.0)",
        "1 of 5 points above 9940: 12:04 9950",
        &[0],
    );
    check(
        "values.exists(v, v > 9999.0)",
        "none of 5 points above 9999",
        &[],
    );
    check(
        "values.exists_one(v, v < 9500.0)",
        "1 of 5 points below 9500: 12:08 9433",
        &[4],
    );
    check(
        "values.filter(v, v < 9500.0).size() == 0",
        "1 of 5 points below 9500, not 0: 12:08 9433",
        &[4],
    );
    check(
        "size(values.filter(v, v < 9500.0)) <= 1",
        "1 of 5 points below 9500: 12:08 9433",
        &[4],
    );
    check("[].all(x, x > 1.0)", "[] is empty", &[]);
    check(
        "values.all(v, values.exists(w, w > v))",
        "none of 5 points above 9950",
        &[],
    );
}

#[test]
fn a_reason_of_plain_values_shows_them() {
    let result = json!({"a": 0.5, "b": 2, "s": "abc", "n": null, "l": [1, 2], "m": {"ok": false}, "long": 1.0 / 3.0});
    let check = |condition: &str, expected: &str| {
        let condition = Condition::parse_as(Language::Cel, condition).expect(condition);
        let reason = condition.reason(&scope(&result, &[]));
        assert_eq!(reason.text, expected, "{}", condition.source());
        assert_eq!(reason.points, []);
    };
    check("result.a >= 0.95", "result.a is 0.5, not >= 0.95");
    check("0.95 <= result.a", "result.a is 0.5, not >= 0.95");
    check("result.b >= 1.0", "result.b is 2, at least 1");
    check(
        "result.a > 0.1 && result.b > 1.0",
        "result.a is 0.5, above 0.1; result.b is 2, above 1",
    );
    check(
        "result.a > 1.0 || result.b > 5.0",
        "result.a is 0.5, not > 1; result.b is 2, not > 5",
    );
    check("result.a > 0.1 && result.b > 5.0", "result.b is 2, not > 5");
    check("result.b == result.a", "result.b is 2, not result.a (0.5)");
    check("result.s == 'abd'", "result.s is \"abc\", not \"abd\"");
    check("result.n == null", "result.n is null");
    check(
        "result.s in ['x', 'y']",
        "result.s is \"abc\", not in [\"x\", \"y\"] (a list of 2)",
    );
    check("result.m.ok", "result.m.ok is false");
    check("!result.m.ok && has(result.x)", "has(result.x) is false");
    check(
        "result.s.startsWith('b')",
        "result.s.startsWith(\"b\") is false",
    );
    check(
        "result.s.matches('^b')",
        "result.s.matches(\"^b\") is false",
    );
    check(
        "result.a > 1.0 ? result.b > 1.0 : result.b > 3.0",
        "result.b is 2, not > 3",
    );
    check(
        "default(result.x.y, 1.0) > 2.0",
        "default(result.x.y, 1.0) is 1, not > 2",
    );
    check(
        "(result.a + result.b) * 2.0 > 10.0",
        "(result.a + result.b) * 2.0 is 5, not > 10",
    );
    check("result.long > 1.0", "result.long is 0.333333, not > 1");
    check(
        "result.l == [1.0]",
        "result.l is a list of 2, not [1.0] (a list of 1)",
    );
    check(
        "duration('90s') > duration('2m')",
        "duration(\"90s\") is 90s, not > duration(\"2m\") (120s)",
    );
    check("result.l.all(x, x > 1.0)", "1 of 2 points at most 1: #0 1");
    check(
        "result.l.map(x, x * 2.0).all(y, y > 3.0)",
        "1 of 2 points at most 3: #0 2",
    );
    check(
        "result.m.all(k, result.m[k])",
        "1 of 1 elements where result.m[k] is false: #0 \"ok\"",
    );
    check("true", "");
}

#[test]
fn a_reason_for_an_error_is_what_was_seen() {
    let result = json!({"service_apdex": 1, "s": "5", "n": null});
    let check = |condition: &str, expected: &str| {
        let condition = Condition::parse_as(Language::Cel, condition).expect(condition);
        assert_eq!(condition.reason(&scope(&result, &[])).text, expected);
    };
    check(
        "result.service_apdx > 1.0",
        "result.service_apdx is missing; result has `service_apdex`",
    );
    check(
        "result.s > 1.0",
        "result.s is the text \"5\": `double(result.s)` is the number 5",
    );
    check(
        "result.n > 1.0",
        "found no matching overload for '_>_' applied to '(null_type, double)'",
    );
}
