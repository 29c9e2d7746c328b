//! What a person is told who wrote something that is no condition.

use serde_json::json;
use skygate::domain::condition::{Condition, Language};

use super::evaluate;

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
        "all(values => 9900)",
        "unexpected token Operator(\"=\")",
        "at least is written `>=`",
    );
    check(
        "result.a is 1",
        "unexpected token Identifier(\"is\")",
        "`==` compares",
    );
    check("", "unexpected token EOF", "the condition is empty");
    check(
        "any([result[0] > 1",
        "unexpected token EOF",
        "`[` is not closed",
    );
    check(
        "service_apdex > 1",
        "unknown name service_apdex",
        "a condition knows `result`, `values` and `series[\"…\"]`; a member is `result.service_apdex`",
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
        "all(result.list, value > 1)",
        "unknown name value",
        "a member of the element is `.value`",
    );
    check(
        "all(value > 1)",
        "unknown name value",
        "did you mean `values`?",
    );
    check(
        "today() > 1",
        "unknown name today",
        "there is no function `today`",
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

/// What cannot be known before there is a result.
#[test]
fn slips_are_recognised_by_their_values() {
    let result = json!({"list": [{"value": 1}], "numbers": [1], "map": {"a": 1}, "n": 5});
    let check = |condition: &str, message: &str, hint: &str| {
        let error = evaluate(condition, &result).expect_err(condition);
        assert_eq!(
            (error.message.as_str(), error.hint.as_deref()),
            (message, Some(hint)),
            "{condition}"
        );
    };
    check(
        "result.list > 9",
        "invalid operation: []interface {} > int",
        "result.list is a list: `all(result.list, {asFloat(.value) >= 1})`",
    );
    check(
        "result.numbers > 9",
        "invalid operation: []interface {} > int",
        "result.numbers is a list: `all(result.numbers, {asFloat(#) >= 1})`",
    );
    check(
        "all(result.map, # > 1)",
        "all takes a list, not map[string]interface {}",
        "result.map is a map: `values(result.map)` are what it has",
    );
    check(
        "result.n",
        "expected bool, but got float64",
        "a condition compares: `result.n >= 1`",
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
