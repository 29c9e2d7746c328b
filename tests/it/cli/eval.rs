//! `skygate eval`: the value, the reason and the code; and many conditions, a line each.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::process::{Ended, LIMIT, command, lines_of, skygate_reading, wait};

/// An answer to the reference template's query.
fn apdex() -> String {
    json!({"service_apdex": {"label": null, "values": {"values": [
        {"value": 9950}, {"value": 9433}, {"value": 9_990},
    ]}}})
    .to_string()
}

fn eval(args: &[&str], result: &str) -> Ended {
    skygate_reading(&[&["eval", "-r", "-"], args].concat(), result)
}

/// Evaluates `condition` on the answer, to a code and what it prints.
fn check(args: &[&str], code: i32, stdout: &str) {
    let ended = eval(args, &apdex());
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(code), stdout, ""),
        "{args:?}"
    );
}

#[test]
fn a_condition_in_each_spelling_has_a_value_and_a_reason() {
    let below = "false\n1 of 3 points below 9900: #1 9433\n";
    for condition in [
        "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})",
        "all(values >= 9900)",
        "all(series[\"service_apdex\"] >= 9900)",
        "result.service_apdex.values.values.all(p, double(p.value) >= 9900.0)",
    ] {
        check(&["-c", condition], 1, below);
    }
    check(
        &["-c", "min(values) > 9000"],
        0,
        "true\nmin(values) is 9433, above 9000\n",
    );
    check(&["-c", "true"], 0, "true\n");
    check(&["-c", "-1 > 0"], 1, "false\n-1 is -1, not > 0\n");
}

#[test]
fn two_conditions_make_a_phase() {
    let (high, low) = ("all(values >= 9900)", "any(values < 9000)");
    check(
        &["--success", "all(values > 9000)", "--failure", low],
        0,
        "Successful\nsuccessCondition holds: 3 of 3 points above 9000: #0 9950, #1 9433, #2 9990\n",
    );
    check(
        &["--success", high],
        1,
        "Failed\nsuccessCondition does not hold: 1 of 3 points below 9900: #1 9433\n",
    );
    check(
        &["--success", "true", "--failure", "any(values < 9500)"],
        1,
        "Failed\nfailureCondition holds: 1 of 3 points below 9500: #1 9433\n",
    );
    check(
        &["--success", high, "--failure", low],
        3,
        "Inconclusive\nneither condition holds; successCondition: 1 of 3 points below 9900: #1 9433\n",
    );
    // As in a template, an empty one is none.
    check(
        &["--success", high, "--failure", ""],
        1,
        "Failed\nsuccessCondition does not hold: 1 of 3 points below 9900: #1 9433\n",
    );
    let ended = eval(&["--success", high, "--failure", "nope > 1"], &apdex());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "Error\n"));
    assert!(ended.stderr.contains("the failureCondition"), "{ended:?}");
}

#[test]
fn an_error_shows_its_place_and_what_may_help() {
    let ended = eval(
        &["--language", "expr", "-c", "all(valus >= 9900)"],
        &apdex(),
    );
    insta::assert_snapshot!(ended.transcript(), @r"
    exit code 4
    --- stdout
    --- stderr
    error: could not evaluate the condition
    unknown name valus
      1 | all(valus >= 9900)
        |     ^
    hint: did you mean `values`?
    ");
    let ended = eval(
        &["-c", "result.service_apdx.values.values[0] > 1"],
        &apdex(),
    );
    insta::assert_snapshot!(ended.transcript(), @r"
    exit code 4
    --- stdout
    --- stderr
    error: could not evaluate the condition
    cannot fetch values from <nil>
      1 | result.service_apdx.values.values[0] > 1
        | ^
    hint: result.service_apdx is missing; result has `service_apdex`
    ");
    let ended = eval(&["-c", "all(values > 1"], &apdex());
    insta::assert_snapshot!(ended.transcript(), @r"
    exit code 4
    --- stdout
    --- stderr
    error: could not evaluate the condition
    as expr: unexpected token EOF
    as CEL: missing ')' at '<EOF>'
      1 | all(values > 1
        |               ^
    hint: `(` is not closed
    ");
}

#[test]
fn a_language_can_be_asked_for() {
    let code = |language, condition| eval(&["--language", language, "-c", condition], "5").code;
    assert_eq!(code("expr", "5 / 2 == 2.5"), Some(0));
    assert_eq!(code("cel", "5 / 2 == 2"), Some(0));
    assert_eq!(code("cel", "all(values > 1)"), Some(4));
    assert_eq!(code("lua", "true"), Some(2));
}

#[test]
fn programs_read_json_or_yaml() {
    let parsed = |args: &[&str], code| {
        let ended = eval(&[args, &["-o", "json"]].concat(), &apdex());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).expect("JSON")
    };
    assert_eq!(
        parsed(&["-c", "all(values >= 9900)"], 1),
        json!({"value": false, "reason": "1 of 3 points below 9900: #1 9433", "error": null, "hint": null})
    );
    assert_eq!(
        parsed(&["-c", "result.apdex[0] > 1"], 4),
        json!({"value": null, "reason": "", "error": "cannot fetch 0 from <nil>", "hint": "result.apdex is missing; result has `service_apdex`"})
    );
    assert_eq!(
        parsed(&["--failure", "any(values > 9990)"], 0),
        json!({"phase": "Successful", "reason": "failureCondition does not hold: none of 3 points above 9990", "error": null, "hint": null})
    );
    let ended = eval(&["-c", "true", "-o", "yaml"], "1");
    assert_eq!(
        ended.stdout,
        "value: true\nreason: ''\nerror: null\nhint: null\n"
    );
}

#[test]
fn a_series_without_data_is_noted() {
    let ended = eval(&["-c", "all(values > 1)"], r#"{"a": []}"#);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.starts_with("note: series `a` has no data"),
        "{ended:?}"
    );
}

#[test]
fn bad_input_is_usage() {
    let check = |args: &[&str], stdin: &str, expected: &str| {
        let ended = skygate_reading(&[&["eval"], args].concat(), stdin);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(expected), "{ended:?}");
    };
    check(&["-c", "true", "-r", "-"], "{", "stdin is not JSON");
    check(&["-c", "true", "-r", "-"], "", "stdin is not JSON");
    check(
        &["-c", "true", "-r", "no/such"],
        "",
        "failed to read no/such",
    );
    check(&["-c", "true", "-r", "tests"], "", "failed to read tests");
    check(&["--batch", "no/such"], "", "failed to read no/such");
    check(&["-c", "true"], "", "--result");
    check(&["-r", "-"], "1", "--condition");
    check(
        &["-c", "true", "--success", "true", "-r", "-"],
        "1",
        "cannot be used with",
    );
    check(&["-c", "true", "--batch", "-"], "", "cannot be used with");
}

/// The lines that a batch answers with.
fn batch(args: &[&str], lines: &str) -> Vec<Value> {
    let ended = skygate_reading(&[&["eval", "--batch", "-"], args].concat(), lines);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let answers = ended.stdout.lines();
    answers
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// Each case has its answer, in order, whatever it holds besides.
#[test]
fn a_batch_of_the_whole_corpus() {
    let corpus = include_str!("../../data/conformance/conditions.json");
    let cases: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    let cases: Vec<&Value> = cases
        .iter()
        .filter(|case| case.get("id").is_some())
        .collect();
    let mut lines = String::new();
    for case in &cases {
        writeln!(lines, "{case}").expect("a string takes everything");
    }
    let answers = batch(&[], &lines);
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(case["id"], answer["id"]);
        let value = answer.get("value").cloned();
        let outcome = value.unwrap_or_else(|| Value::from("error"));
        assert_eq!(outcome, case["expect"], "{case} {answer}");
        assert!(answer.get("error").is_none_or(Value::is_string), "{answer}");
    }
}

#[test]
fn a_bad_line_has_an_error_and_the_others_go_on() {
    let long = "x".repeat(17 * 1024 * 1024);
    let lines = [
        r#"{"id": 1, "condition": "result > 1", "result": 2}"#,
        "",
        "not JSON",
        r#"{"id": "b", "condition": "result >", "result": 2, "language": "expr"}"#,
        r#"{"id": "c", "result": 2}"#,
        r#"{"id": "d", "condition": 5, "result": 2}"#,
        r#"{"id": "e", "condition": "true"}"#,
        r#"{"id": "f", "condition": "true", "result": null, "language": "lua"}"#,
        "[1]",
        &long,
        r#"{"condition": "size(result) == 1", "result": [1], "language": "cel"}"#,
        r#"{"id": {"a": 1}, "condition": "result.a > 1", "result": {"a": "x"}}"#,
        r#"{"id": "http://u:p@h/", "condition": "result > 'http://u:p@h/'", "result": 1}"#,
        r#"{"id": "last", "condition": "all(values > 1)", "result": {"a": [2, 3]}, "language": null}"#,
    ];
    let answers = batch(&[], &lines.join("\n"));
    let expected = [
        json!({"id": 1, "value": true}),
        json!({"id": null, "line": 3, "error": "the line is not JSON: expected ident at line 1 column 2"}),
        json!({"id": "b", "error": "unexpected token EOF"}),
        json!({"id": "c", "error": "`condition` is missing"}),
        json!({"id": "d", "error": "`condition` is no text"}),
        json!({"id": "e", "error": "`result` is missing"}),
        json!({"id": "f", "error": "`language` is \"lua\"; \"expr\" or \"cel\" was expected"}),
        json!({"id": null, "line": 9, "error": "the line is JSON, but no object"}),
        json!({"id": null, "line": 10, "error": "the line is longer than 16777216 bytes"}),
        json!({"id": null, "line": 11, "value": true}),
        json!({"id": {"a": 1}, "error": "invalid operation: string > int"}),
        json!({"id": "http://u:p@h/", "error": "invalid operation: > (mismatched types float64 and string); `asFloat(…)` reads a text as a number"}),
        json!({"id": "last", "value": true}),
    ];
    assert_eq!(answers, expected);
    assert_eq!(batch(&[], ""), Vec::<Value>::new());
}

#[test]
fn a_language_for_lines_that_name_none() {
    let line = |language: &str| {
        format!("{{\"id\": 1, \"condition\": \"5 / 2 == 2\", \"result\": 1{language}}}\n")
    };
    let lines = [line(""), line(", \"language\": \"expr\"")].concat();
    let answers = batch(&["--language", "cel"], &lines);
    assert_eq!(answers[0]["value"], true);
    assert_eq!(answers[1]["value"], false);
}

/// A program may hold a conversation: the answer to a line doesn't wait for the next.
#[test]
fn a_batch_answers_line_by_line() {
    let mut command = command(&["eval", "--batch", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the process starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    let answers = lines_of(child.stdout.take().expect("it was piped"));
    for id in 1..=2 {
        writeln!(
            stdin,
            "{{\"id\": {id}, \"condition\": \"result > 1\", \"result\": {id}}}"
        )
        .expect("it reads");
        let answer = answers.recv_timeout(LIMIT).expect("an answer");
        assert_eq!(answer, format!("{{\"id\":{id},\"value\":{}}}", id > 1));
    }
    drop(stdin);
    assert_eq!(wait(&mut child, &command), Some(0));
}
