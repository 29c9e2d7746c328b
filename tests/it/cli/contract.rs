//! Exit codes, and results that programs read.

use serde_json::Value;

use super::APDEX;
use super::process::{Ended, Oap, command, finish, skygate};

/// One metric, five expressions a minute apart, whatever the service.
const PERCENTILE: &str = "api/examples/percentile.yaml";

fn simulated(file: &str, script: &str, more: &[&str]) -> Ended {
    let script = format!("checkout={script}");
    let mut args = vec!["run", "-f", file, "--arg", "service-name=checkout"];
    args.extend(["--simulate", &script, "--speed", "1200"]);
    args.extend(more);
    skygate(&args)
}

fn check(ended: &Ended, code: i32, verdict: &str) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(ended.stdout.starts_with(verdict), "{ended:#?}");
}

#[test]
fn successful_is_0() {
    let ended = simulated(PERCENTILE, "healthy", &[]);
    check(&ended, 0, "Successful: good measurements: p99 5 of 5\n");
}

#[test]
fn failed_is_1() {
    let ended = simulated(APDEX, "degraded", &[]);
    check(
        &ended,
        1,
        "Failed: apdex failed 4 of 4 measurements (limit 3); the last: 3 of 3 points below 9900: ",
    );
}

#[test]
fn usage_is_2() {
    let ended = skygate(&["run"]);
    check(&ended, 2, "");
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("--file <FILE>"), "{ended:?}");
}

#[test]
fn inconclusive_is_3() {
    let ended = simulated(APDEX, "absent", &[]);
    check(&ended, 3, "Inconclusive: apdex had no data for ");
    assert!(ended.stdout.contains("no point with data"), "{ended:#?}");
}

#[test]
fn error_is_4() {
    let ended = simulated(APDEX, "malformed", &[]);
    check(
        &ended,
        4,
        "Error: apdex could not be measured 5 times in a row (limit 4); the last: ",
    );
    assert!(
        ended.stdout.contains("where JSON of GraphQL was expected"),
        "{ended:#?}"
    );
}

#[test]
fn still_running_is_5() {
    let ended = simulated(APDEX, "healthy", &["--timeout", "6m"]);
    check(&ended, 5, "Running: not over at --timeout\n");
}

#[test]
fn an_outage_that_passes_is_no_verdict() {
    let ended = simulated(PERCENTILE, "healthy,outage@3m+2m", &[]);
    check(&ended, 0, "Successful");
}

#[test]
fn concluded_with_evidence() {
    let ended = simulated(APDEX, "healthy", &["--conclude-after", "8m"]);
    check(
        &ended,
        0,
        "Successful: concluded after 8m; good measurements: apdex ",
    );
}

#[test]
fn a_run_as_json_is_an_analysis_run() {
    let ended = simulated(APDEX, "degraded", &["-o", "json", "--quiet"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let run: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(run["apiVersion"], "argoproj.io/v1alpha1");
    assert_eq!(run["kind"], "AnalysisRun");
    assert_eq!(run["metadata"]["name"], "apdex");
    assert_eq!(run["metadata"]["namespace"], "default");
    assert_eq!(run["metadata"]["uid"].as_str().map(str::len), Some(36));

    let template = std::fs::read_to_string(APDEX).expect("an example");
    let template: Value = serde_norway::from_str(&template).expect("YAML");
    assert_eq!(run["spec"]["metrics"], template["spec"]["metrics"]);
    assert_eq!(
        run["spec"]["args"],
        serde_json::json!([{ "name": "service-name", "value": "checkout" }])
    );

    let status = &run["status"];
    assert_eq!(status["phase"], "Failed");
    assert_eq!(
        status["message"],
        "Metric \"apdex\" assessed Failed due to failed (4) > failureLimit (3)"
    );
    assert_eq!(status["runSummary"]["failed"], 1);
    for field in ["startedAt", "completedAt", "explanation"] {
        assert!(status[field].is_string(), "{field}: {status:#}");
    }
    let [result] = status["metricResults"]
        .as_array()
        .expect("a list")
        .as_slice()
    else {
        panic!("{status:#}")
    };
    assert_eq!(result["phase"], "Failed");
    assert_eq!(
        (&result["count"], &result["failed"]),
        (&4.into(), &4.into())
    );
    let measurements = result["measurements"].as_array().expect("a list");
    assert_eq!(measurements.len(), 4);
    for measurement in measurements {
        let why = &measurement["explanation"];
        assert!(
            why["query"]
                .as_str()
                .is_some_and(|it| it.contains("\"checkout\""))
        );
        assert_eq!(why["window"]["buckets"], 3);
        assert_eq!(why["decidedBy"], "successCondition");
        assert_eq!(why["holds"], false);
        assert!(
            why["reason"]
                .as_str()
                .is_some_and(|it| it.contains("points below 9900"))
        );
        assert_eq!(why["series"][0]["points"].as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn yaml_says_what_json_says() {
    let fields = |run: &Value| -> Vec<String> {
        let mut fields = Vec::new();
        names(run, "", &mut fields);
        fields
    };
    let ended = simulated(PERCENTILE, "healthy", &["-o", "json"]);
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let ended = simulated(PERCENTILE, "healthy", &["-o", "yaml"]);
    let yaml: Value = serde_norway::from_str(&ended.stdout).expect("YAML");
    assert_eq!(fields(&json), fields(&yaml));
    assert_eq!(yaml["status"]["phase"], "Successful");
    assert_eq!(yaml["status"]["evidence"], true);
}

fn names(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names(value, &format!("{path}.{name}"), into);
            }
        }
        Value::Array(items) => {
            for item in items {
                names(item, &format!("{path}[]"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.push(path.to_owned());
        }
    }
}

#[test]
fn a_measurement_as_json() {
    let oap = Oap::start(&["checkout=frustrated"]);
    let args = [
        "measure",
        "-f",
        APDEX,
        "--arg",
        "service-name=checkout",
        "-o",
        "json",
        "--oap",
    ];
    let ended = skygate(&[args.as_slice(), &[&oap.url]].concat());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let measured: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(measured["phase"], "Failed");
    assert_eq!(measured["metrics"][0]["name"], "apdex");
    let point = &measured["metrics"][0]["explanation"]["series"][0]["points"][0];
    assert_eq!(
        (&point["value"], &point["kind"]),
        (&0.0.into(), &"Data".into())
    );
    assert_eq!(point["decided"], true);
}

#[test]
fn settings_may_come_from_the_environment() {
    let oap = Oap::start(&["checkout=healthy"]);
    let mut command = command(&["measure", "--arg", "service-name=checkout"]);
    command.env("SKYGATE_FILE", APDEX);
    command.env(
        "SKYGATE_OAP",
        format!("other=http://localhost:1,{}", oap.url),
    );
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn a_name_for_an_oap_may_be_a_templates_address() {
    let oap = Oap::start(&["checkout=healthy"]);
    let named = format!("http://oap.istio-system:12800={}", oap.url);
    let ended = skygate(&[
        "measure",
        "-f",
        APDEX,
        "--arg",
        "service-name=checkout",
        "--oap",
        &named,
    ]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn every_shell_is_completed() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = skygate(&["completions", shell]);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{shell}"
        );
        assert!(ended.stdout.contains("simulate-oap"), "{shell}");
        assert!(
            !ended
                .stdout
                .contains(|c: char| c.is_control() && !"\n\t".contains(c))
        );
    }
}
