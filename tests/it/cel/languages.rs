//! Which language a condition is in.

use super::*;

#[test]
fn a_condition_is_in_the_first_language_that_reads_it() {
    let check = |condition: &str, expected: Language| {
        let chosen = Condition::parse(condition).expect(condition).language();
        assert_eq!(chosen, expected, "{condition}");
    };
    for condition in [
        "result.service_apdex.values.values.all(p, double(p.value) >= 9900.0)",
        "result.all(p, p > 1.0)",
        "result.values.exists(p, p.value > 1.0)",
        "result.values.exists_one(p, p.value > 1.0)",
        "result.values.map(p, p.value) == [1.0]",
        "result.values.filter(p, p.value > 1.0).size() == 0",
        "result.size() > 0",
        "size(result) > 0",
        "has(result.a) && result.a > 1.0",
        "double(result.a) > 1.0",
        "result.a != null && result.a > 1.0",
        "result.name.startsWith('x')",
        "result.name.matches('^x')",
        "timestamp(result.at) > timestamp('2024-01-01T00:00:00Z')",
        "5u > 1u",
        "type(result.a) == double",
        "result.?a.orValue(1.0) > 0.5",
        "values.all(v, v >= 9900.0)",
        "series['canary'].all(v, v >= 9900.0)",
    ] {
        check(condition, Language::Cel);
    }
    for condition in [
        "result[0] >= 0.95",
        "result.a > 1.0 && result.b < 2.0",
        "result.a >= 0.99 || result.b == 'ok'",
        "!(result.a > 1.0)",
        "result.a in [1.0, 2.0]",
        "result.a > 1.0 ? result.b > 1.0 : result.c > 1.0",
        "result['a']['b'] == 1.0",
        "result.a + result.b > 2.0",
        "result == true",
        "all(values >= 9900)",
        "all(result.values, {asFloat(.value) >= 9900})",
        "asFloat(result.a) > 1.0",
        "series['canary'][0] > 1.0",
        "isNaN(asFloat(result.a))",
    ] {
        check(condition, Language::Expr);
    }
}

/// What both languages read, they mostly mean alike; these are the exceptions, and why the language can be chosen.
#[test]
fn the_same_text_may_have_two_answers() {
    let result =
        json!({"i": 5, "l": [1, 2, 3], "s": "abc", "n": null, "m": {"a": 1}, "nan": "NaN"});
    let check = |condition: &str, as_expr: Option<bool>, as_cel: Option<bool>| {
        let outcomes = Language::ALL.map(|language| holds_in(language, condition, &result).ok());
        assert_eq!(outcomes, [as_expr, as_cel], "{condition}");
    };
    let error = None;
    check("5 / 2 == 2.5", Some(true), Some(false));
    check("1 / 0 > 1", Some(true), error);
    check("result.i / 2 == 2.5", Some(true), error);
    check("result.i + 1 == 6", Some(true), error);
    check("result.i / 2.0 == 2.5", Some(true), Some(true));
    check("result.missing == 1", Some(false), error);
    check("'a' in result.missing", Some(false), error);
    check("result.l[-1] == 3", Some(true), error);
    check("result.s[0] == 97", Some(true), error);
    check("1 == '1'", error, Some(false));
    check("true < false", error, Some(false));
    check("1 < 2 && 1 < result.i < 9", Some(true), error);
    check("(result.n > 1) || result.i == 5", error, Some(true));
    check("9223372036854775807 + 1 < 0", Some(true), error);
    check("result.m == {\"a\": 1}", Some(false), Some(true));
    check("string(1000000.0) == \"1e+06\"", Some(true), Some(false));
    check("type(result.i) == \"float\"", Some(true), Some(false));
    check("asFloat(result.nan) > 1.0", Some(false), error);
    check("isNil(result.n)", Some(false), Some(true));
    check("default(result.n, 7) == 7", Some(false), Some(true));
    // Syntax of one language only.
    check("'a' matches '^a'", Some(true), error);
    check("result.s contains 'a' and not false", Some(true), error);
    check("2 ** 3 == 8", Some(true), error);
    check("any(result.l, # > 2)", Some(true), error);
    check("result.missing == nil", Some(true), error);
    check("1_000 == 1000", Some(true), error);
    check("r'\\d' == '\\\\d'", error, Some(true));
    check("b'a' == b'a'", error, Some(true));
    check("result.n == null", error, Some(true));
    check("result.l.all(x, x > 0.0)", error, Some(true));
}

/// A text that reads as expr is expr, and keeps its errors: `1 == '1'` is an error in Argo.
#[test]
fn what_expr_reads_and_refuses_is_not_handed_on() {
    for condition in ["1 == '1'", "true < false", "values > 9"] {
        let error = Condition::parse(condition).expect_err(condition);
        assert_eq!(error.as_cel, None, "{condition}");
        let as_expr = Condition::parse_as(Language::Expr, condition).expect_err(condition);
        assert_eq!(error, as_expr, "{condition}");
    }
}

#[test]
fn what_is_in_neither_language_is_shown_in_both() {
    let check = |condition: &str, brief: &str, shown: &str| {
        let error = Condition::parse(condition).expect_err(condition);
        assert_eq!(format!("{error:#}"), brief);
        assert_eq!(error.shown_in(condition), shown);
    };
    check(
        "result.ok = true",
        "unexpected token Operator(\"=\"); as CEL: unexpected `=`",
        "as expr: unexpected token Operator(\"=\")\n\
         as CEL: unexpected `=`\n  \
           1 | result.ok = true\n    \
             |           ^\n\
         hint: `==` compares",
    );
    check(
        "result.l.all(p, p >= 1.0) and true",
        "no value has a method all; as CEL: unexpected `and`",
        "as expr: no value has a method all\n  \
           1 | result.l.all(p, p >= 1.0) and true\n    \
             |          ^\n\
         as CEL: unexpected `and`\n  \
           1 | result.l.all(p, p >= 1.0) and true\n    \
             |                           ^\n\
         hint: `&&` is and",
    );
    // What one of them reads as a whole is told alone.
    check(
        "size(values) >= '3'",
        "found no matching overload for '_>=_' applied to '(int, string)'",
        "found no matching overload for '_>=_' applied to '(int, string)'\n  \
           1 | size(values) >= '3'\n    \
             |              ^\n\
         hint: `double(…)` reads a text as a number",
    );
    let plain = Condition::parse("result.ok = true").expect_err("no condition");
    assert_eq!(plain.to_string(), "unexpected token Operator(\"=\")");
}
