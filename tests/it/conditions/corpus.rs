//! What Argo and Go's expr make of conditions.

use serde_json::{Value, json};

use super::evaluate;

/// `true`, `false` or `"error"`.
fn outcome(condition: &str, result: &Value) -> Value {
    match evaluate(condition, result) {
        Ok(holds) => Value::Bool(holds),
        Err(_) => Value::from("error"),
    }
}

#[test]
fn conditions_mean_what_they_mean_in_argo() {
    let corpus = include_str!("../../data/conformance/conditions.json");
    let cases: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    let mut checked = 0;
    for case in cases.iter().filter(|case| case.get("id").is_some()) {
        let condition = case["condition"].as_str().expect("it has a condition");
        assert_eq!(
            outcome(condition, &case["result"]),
            case["expect"],
            "{case}: {:?}",
            evaluate(condition, &case["result"])
        );
        checked += 1;
    }
    assert!(checked > 300, "the corpus is all there");
}

/// A condition of `expr.json`, its result, and what follows.
struct Case<'a> {
    condition: &'a str,
    result: &'a Value,
    rest: &'a [Value],
}

fn cases<'a>(corpus: &'a Value, part: &str) -> Vec<Case<'a>> {
    let cases = corpus[part].as_array().expect("a list of cases");
    let case = |case: &'a Value| {
        let parts = case.as_array().map(Vec::as_slice);
        let Some([Value::String(condition), Value::Number(index), rest @ ..]) = parts else {
            panic!("{case} is no case");
        };
        let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
        Case {
            condition,
            result: &corpus["results"][index.expect("an index")],
            rest,
        }
    };
    cases.iter().map(case).collect()
}

/// Every function, operator and form of Go's expr in conditions that were made at random.
#[test]
fn conditions_mean_what_they_mean_in_go() {
    let corpus = include_str!("../../data/conformance/expr.json");
    let corpus: Value = serde_json::from_str(corpus).expect("the corpus is JSON");
    let cases = cases(&corpus, "cases");
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| outcome(case.condition, case.result) != case.rest[0])
        .map(|case| {
            let Case {
                condition,
                result,
                rest,
            } = case;
            let here = evaluate(condition, result);
            format!(
                "`{condition}` on {result}: {} in Go, {here:?} here",
                rest[0]
            )
        })
        .collect();
    assert!(cases.len() > 2_000, "the corpus is all there");
    assert!(
        wrong.is_empty(),
        "{} cases differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Where Go is at odds with itself, or where its answer would let a version pass for want of data, we differ on purpose.
#[test]
fn accidents_of_go_are_not_repeated() {
    let corpus = include_str!("../../data/conformance/expr.json");
    let corpus: Value = serde_json::from_str(corpus).expect("the corpus is JSON");
    let differences = cases(&corpus, "differences");
    assert!(!differences.is_empty());
    for case in differences {
        let [go, here, Value::String(why)] = case.rest else {
            panic!("a difference has both outcomes and a reason");
        };
        assert_ne!(go, here, "{} is no difference", case.condition);
        let outcome = outcome(case.condition, case.result);
        assert_eq!(outcome, *here, "{}: {why}", case.condition);
    }
}

/// Where there is data, an error that Argo shows has the same words here.
#[test]
fn errors_have_the_words_of_argo() {
    let corpus = include_str!("../../data/conformance/evaluate_result.json");
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

#[test]
fn base_64_may_have_lines() {
    let condition = "fromBase64(\"aGVs\\r\\nbG8=\\n\") == 'hello'";
    assert_eq!(evaluate(condition, &json!(null)), Ok(true));
}

/// A condition has no clock: it is told when the measurement was made.
#[test]
fn now_is_the_moment_of_the_measurement() {
    let check = |condition: &str| {
        assert_eq!(evaluate(condition, &json!({})), Ok(true), "{condition}");
    };
    check("now() == date('2026-11-23T09:12:30Z')");
    check("now() - date('2026-11-23 09:10:00') == duration('2m30s')");
    check("now(timezone('Europe/Zurich')).Hour() == 10");
    check("string(now()) == '2026-11-23 09:12:30 +0000 UTC'");
}
