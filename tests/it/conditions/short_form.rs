//! `values` and `series`.

use serde_json::Value;
use skygate::domain::condition::Condition;

use super::{apdex, scope, series};

#[test]
fn the_short_form_is_about_the_numbers_of_a_series() {
    let (result, one) = apdex();
    let check = |condition: &str, expected: bool| {
        let scope = scope(&result, &one);
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
        let scope = scope(&Value::Null, &both);
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
    let around = "the short form asks about `values`, and cannot see the element around it";
    for condition in [
        "none([500], all(series[\"canary\"] < #))",
        "all([1, 2], count(series[\"canary\"] >= # * 10) == 2)",
        "all([{\"n\": 1}], any(series[\"canary\"] > .n))",
        "reduce([1, 2], any(series[\"canary\"] > #acc), 0)",
    ] {
        let error = Condition::parse(condition).expect_err(condition);
        assert_eq!(error.message, around, "{condition}");
    }
    check(
        "any([500], {let it = #; all(series[\"canary\"] < it)})",
        Ok(true),
    );
    check(
        "all([[1]], count(#, # > series[\"canary\"][0]) == 0)",
        Ok(true),
    );
    check(
        "all(series > 1)",
        Err((
            "series stands before a name in brackets",
            Some("`series[\"canary\"]`; `values` is the only series"),
        )),
    );
}
