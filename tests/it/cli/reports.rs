//! Results in the forms that pipelines read: JUnit, Markdown, annotations.

use std::io::Write as _;
use std::process::Command;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};
use regex::Regex;

use super::APDEX;
use super::process::{Ended, Oap, command, finish, prepared, skygate, skygate_reading, stable};

const TRAFFIC: &str = "api/examples/errors-and-traffic.yaml";

/// A run of `file` against a simulated checkout.
fn run(file: &str, script: &str, more: &[&str]) -> Ended {
    let script = format!("checkout={script}");
    let mut args = vec!["run", "-q", "-f", file, "--arg", "service-name=checkout"];
    args.extend(["--simulate", &script, "--speed", "1200"]);
    args.extend(more);
    skygate(&args)
}

/// The report in `xml`, once it has been held against the schema and against what a schema cannot say.
fn junit(xml: &str) -> Report {
    hold_against_schema(xml);
    // The crate reads only moments with a zone, which other readers refuse.
    let moment = Regex::new(r#" timestamp="[^"]*""#).expect("a pattern of ours");
    let readable = moment.replace_all(xml, "");
    // Nor does it know references by number.
    let readable = readable.replace("&#58;", ":").replace("&#35;", "#");
    let report = Report::deserialize_from_str(&readable).expect("a JUnit report");
    for suite in &report.test_suites {
        let count = |is: fn(&TestCaseStatus) -> bool| {
            suite
                .test_cases
                .iter()
                .filter(|case| is(&case.status))
                .count()
        };
        let kind = |status: &TestCaseStatus| match status {
            TestCaseStatus::NonSuccess { kind, .. } => Some(*kind),
            TestCaseStatus::Success { .. } | TestCaseStatus::Skipped { .. } => None,
        };
        assert_eq!(suite.tests, suite.test_cases.len(), "{xml}");
        let failures = suite.test_cases.iter().map(|case| kind(&case.status));
        let errors = failures
            .clone()
            .filter(|it| *it == Some(NonSuccessKind::Error));
        let failures = failures.filter(|it| *it == Some(NonSuccessKind::Failure));
        assert_eq!(
            (suite.failures, suite.errors),
            (failures.count(), errors.count())
        );
        assert_eq!(
            suite.skipped,
            count(|status| matches!(status, TestCaseStatus::Skipped { .. }))
        );
    }
    report
}

/// By `xmllint`, where there is one.
fn hold_against_schema(xml: &str) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(xml.as_bytes()).expect("room for it");
    let mut lint = Command::new("xmllint");
    lint.args([
        "--noout",
        "--nonet",
        "--schema",
        "tests/data/junit/report.xsd",
    ]);
    let mut lint = prepared(lint);
    lint.arg(file.path());
    match lint.output() {
        Ok(output) => assert!(output.status.success(), "{output:?}\n{xml}"),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "skipped the schema: xmllint, of Debian's libxml2-utils, did not start: {error}"
            );
        }
    }
}

/// The only suite's cases, each as `name: kind type: message`.
fn cases(xml: &str) -> Vec<String> {
    let report = junit(xml);
    let [suite] = report.test_suites.as_slice() else {
        panic!("{report:?}")
    };
    suite
        .test_cases
        .iter()
        .map(|case| stable(&told(case)))
        .collect()
}

fn told(case: &TestCase) -> String {
    let name = case.name.as_str();
    let (what, kind, message, body) = match &case.status {
        TestCaseStatus::Success { .. } => return format!("{name}: passed"),
        TestCaseStatus::NonSuccess {
            kind,
            ty,
            message,
            description,
            ..
        } => {
            let what = match kind {
                NonSuccessKind::Failure => "failure",
                NonSuccessKind::Error => "error",
            };
            (what, ty, message, description)
        }
        TestCaseStatus::Skipped {
            message,
            ty,
            description,
        } => ("skipped", ty, message, description),
    };
    let text = |text: &Option<quick_junit::XmlString>| {
        text.as_ref()
            .map_or(String::new(), |text| text.as_str().to_owned())
    };
    // Some readers show the body alone.
    assert!(
        what == "skipped" || text(body).starts_with(&text(message)),
        "{case:?}"
    );
    format!("{name}: {what} {}: {}", text(kind), text(message))
}

#[test]
fn each_end_has_its_place_in_junit() {
    let check = |ended: &Ended, code, expected: &[&str]| {
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert_eq!(cases(&ended.stdout), expected, "{}", ended.stdout);
    };
    let form = ["-o", "junit"];
    check(
        &run("api/examples/percentile.yaml", "healthy", &form),
        0,
        &["p99: passed"],
    );
    check(
        &run(APDEX, "frustrated", &form),
        1,
        &[
            "apdex: failure Failed: apdex failed 4 of 4 measurements (limit 3); \
             the last: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0",
        ],
    );
    let timed_out = [form.as_slice(), &["--timeout", "6m"]].concat();
    check(
        &run(APDEX, "healthy", &timed_out),
        5,
        &["apdex: error Running: not over at --timeout"],
    );
    check(
        &run(TRAFFIC, "healthy:1", &form),
        0,
        &[
            "good-answers: passed",
            "traffic: skipped : dry run: Failed: traffic failed 1 of 1 measurements (limit 0); \
             the last: 3 of 3 points below 10: HH:MM 1, HH:MM 1, HH:MM 1",
        ],
    );
    let absent = run(TRAFFIC, "absent", &form);
    assert_eq!(absent.code, Some(3), "{absent:#?}");
    let told = cases(&absent.stdout);
    assert!(
        told[0].starts_with("good-answers: error Inconclusive: "),
        "{told:?}"
    );
    let away = run("api/examples/percentile.yaml", "malformed", &form);
    assert_eq!(away.code, Some(4), "{away:#?}");
    let told = cases(&away.stdout);
    assert!(told[0].starts_with("p99: error Error: "), "{told:?}");
}

#[test]
fn what_another_metric_ended_is_skipped() {
    let template = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: two}
spec:
  args: [{name: service-name}]
  metrics:
  - &metric
    name: bad <one> & \"only\"
    interval: 1m
    successCondition: all(values < 0)
    provider: &provider
      skywalking:
        interval: 3m
        expression: service_cpm
        entity: { serviceName: \"{{args.service-name}}\", normal: true }
  - name: patient
    interval: 1m
    initialDelay: 1h
    successCondition: all(values > 0)
    provider: *provider
";
    let args = [
        "run",
        "-q",
        "-f",
        "-",
        "--arg",
        "service-name=checkout",
        "--simulate",
        "checkout=healthy",
        "--speed",
        "1200",
        "-o",
        "junit",
    ];
    let ended = skygate_reading(&args, template);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let told = cases(&ended.stdout);
    assert!(
        told[0].starts_with("bad <one> & \"only\": failure Failed: "),
        "{told:?}"
    );
    assert_eq!(
        told[1],
        "patient: skipped : bad <one> & \"only\" ended the run before"
    );
}

#[test]
fn a_suite_tells_of_the_run() {
    let ended = run(APDEX, "degraded", &["-o", "junit"]);
    let report = junit(&ended.stdout);
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), "apdex");
    let property = |name: &str| {
        let property = suite.properties.iter().find(|it| it.name.as_str() == name);
        property.expect(name).value.as_str()
    };
    assert_eq!(property("namespace"), "default");
    assert_eq!(property("id").len(), 36);
    assert_eq!(property("phase"), "Failed");
    assert!(property("explanation").starts_with("apdex failed 4 of 4 "));
    let case = &suite.test_cases[0];
    assert_eq!(case.classname.as_deref(), Some("apdex"));
    let took = case.time.expect("it took some time");
    // Four measurements, five minutes apart, on the simulation's clock.
    assert!((14 * 60..18 * 60).contains(&took.as_secs()), "{took:?}");
    let lines = case.system_out.as_deref().expect("measurements");
    let lines: Vec<String> = lines.lines().map(stable).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (number, line) in (1..).zip(lines) {
        let begin = format!("DATETTIME #{number} Failed: 3 of 3 points below 9900: ");
        assert!(line.starts_with(&begin), "{line}");
    }
}

#[test]
fn a_summary_begins_with_the_verdict() {
    let ended = run(APDEX, "frustrated", &["-o", "markdown"]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 1
    --- stdout
    ## Failed: apdex

    apdex failed 4 of 4 measurements (limit 3); the last: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0

    | Metric | Phase | Good | Failed | Inconclusive | Errors | Taken |
    | --- | --- | --: | --: | --: | --: | --: |
    | apdex | Failed | 0 | 4 (limit 3) | 0 (limit 0) | 0 | 4 |

    ### apdex: measurement 4

    Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0

    `successCondition`:

    ```text
    all(result.service_apdex.values.values, {asFloat(.value) >= 9900})
    ```

    | Series | Bucket | Value |  |
    | --- | --- | --: | --- |
    | service\_apdex | HH:MM UTC | **0** | decided |
    | service\_apdex | HH:MM UTC | **0** | decided |
    | service\_apdex | HH:MM UTC | **0** | decided |

    <details><summary>How it was measured</summary>

    ```text
    metric      apdex
    measured    DATE TIME UTC, as #4
    oap         http://127.0.0.1:PORT (zone +HH:MM, clock SKEW)
    window      DATE HH:MM to HH:MM UTC: 3 minutes
    query       query queryData($duration: Duration!) {
                  service_apdex: readMetricsValues(
                    condition: { name: "service_apdex", entity: { scope: Service, serviceName: "checkout", normal: true } },
                    duration: $duration) {
                      label values { values { value } }
                    }
                }
    points      service_apdex
                HH:MM UTC  0  <- decided
                HH:MM UTC  0  <- decided
                HH:MM UTC  0  <- decided
    condition   successCondition: all(result.service_apdex.values.values, {asFloat(.value) >= 9900})
                does not hold
    verdict     Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0
    ```

    </details>

    --- stderr
    "#);
    let ended = run(TRAFFIC, "healthy:1", &["-o", "markdown"]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 0
    --- stdout
    ## Successful: errors-and-traffic

    good measurements: good-answers 5 of 5

    | Metric | Phase | Good | Failed | Inconclusive | Errors | Taken |
    | --- | --- | --: | --: | --: | --: | --: |
    | good-answers | Successful | 5 | 0 (limit 1) | 0 (limit 0) | 0 | 5 |
    | traffic | Failed (dry run) | 0 | 1 (limit 0) | 0 (limit 0) | 0 | 1 |

    ### traffic (dry run): measurement 1

    Failed: 3 of 3 points below 10: HH:MM 1, HH:MM 1, HH:MM 1

    `successCondition`:

    ```text
    all(values >= 10)
    ```

    | Series | Bucket | Value |  |
    | --- | --- | --: | --- |
    | service\_cpm | HH:MM UTC | **1** | decided |
    | service\_cpm | HH:MM UTC | **1** | decided |
    | service\_cpm | HH:MM UTC | **1** | decided |

    <details><summary>How it was measured</summary>

    ```text
    metric      traffic
    measured    DATE TIME UTC
    oap         http://127.0.0.1:PORT (zone +HH:MM, clock SKEW)
    window      DATE HH:MM to HH:MM UTC: 3 minutes
    expression  service_cpm
    entity      serviceName "checkout", normal true
    points      service_cpm
                HH:MM UTC  1  <- decided
                HH:MM UTC  1  <- decided
                HH:MM UTC  1  <- decided
    condition   successCondition: all(values >= 10)
                does not hold
    verdict     Failed: 3 of 3 points below 10: HH:MM 1, HH:MM 1, HH:MM 1
    ```

    </details>

    --- stderr
    "#);
}

#[test]
fn annotations_are_errors_where_they_end_the_step() {
    let check = |ended: &Ended, code, expected: &str| {
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert_eq!(stable(&ended.stdout), expected, "{ended:#?}");
    };
    let points = "3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0";
    let failed = format!(
        "title=Skygate%3A apdex Failed::apdex failed 4 of 4 measurements (limit 3); the last: {points}\n"
    );
    let form = ["-o", "github"];
    check(
        &run(APDEX, "frustrated", &form),
        1,
        &format!("::error {failed}"),
    );
    let allowed = ["-o", "github", "--fail-on", "error"];
    check(
        &run(APDEX, "frustrated", &allowed),
        0,
        &format!("::warning {failed}"),
    );
    let timed_out = ["-o", "github", "--timeout", "6m"];
    check(
        &run(APDEX, "healthy", &timed_out),
        5,
        "::error title=Skygate%3A apdex Running::not over at --timeout\n",
    );
    check(
        &run(TRAFFIC, "healthy:1", &form),
        0,
        "::warning title=Skygate%3A errors-and-traffic Failed%2C a dry run::traffic failed 1 of 1 measurements \
         (limit 0); the last: 3 of 3 points below 10: HH:MM 1, HH:MM 1, HH:MM 1\n\
         ::notice title=Skygate%3A errors-and-traffic Successful::good measurements: good-answers 5 of 5\n",
    );
}

#[test]
fn a_measurement_has_all_forms_too() {
    let oap = Oap::start(&["checkout=frustrated"]);
    let measured = |form| {
        let args = [
            "measure",
            "-f",
            APDEX,
            "--arg",
            "service-name=checkout",
            "--oap",
            &oap.url,
        ];
        let ended = skygate(&[args.as_slice(), &["-o", form]].concat());
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.stdout
    };
    assert_eq!(
        cases(&measured("junit")),
        ["apdex: failure Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0"]
    );
    assert!(
        measured("markdown").starts_with("## Failed: apdex\n\napdex: 3 of 3 points below 9900: ")
    );
    assert_eq!(
        stable(&measured("github")),
        "::error title=Skygate%3A apdex Failed::apdex: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0\n"
    );
}

#[test]
fn one_run_may_have_several_forms() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let (xml, md, json) = (
        file("skygate.xml"),
        file("skygate.md"),
        file("skygate.json"),
    );
    let ended = run(
        APDEX,
        "degraded",
        &[
            "-o",
            &format!("junit={xml}"),
            "-o",
            &format!("markdown={md}"),
            "-o",
            &format!("json={json}"),
        ],
    );
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended.stdout.starts_with("Failed: apdex failed 4 of 4 "),
        "{ended:#?}"
    );
    let read = |path: &str| std::fs::read_to_string(path).expect("a file");
    assert_eq!(cases(&read(&xml)).len(), 1);
    assert!(read(&md).starts_with("## Failed: apdex\n"));
    let run: serde_json::Value = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!(run["status"]["phase"], "Failed");
}

#[test]
fn places_are_tried_before_anything_is_asked() {
    let oap = Oap::start(&["checkout=healthy"]);
    let check = |more: &[&str], expected: &str| {
        let args = [
            "-f",
            APDEX,
            "--arg",
            "service-name=checkout",
            "--oap",
            &oap.url,
        ];
        for name in ["run", "measure"] {
            let ended = skygate(&[&[name], args.as_slice(), more].concat());
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (Some(2), ""),
                "{ended:#?}"
            );
            assert!(ended.stderr.contains(expected), "{ended:#?}");
            assert!(!ended.stderr.contains("asking"), "{ended:#?}");
        }
    };
    check(
        &["-o", "junit=no/such/folder.xml"],
        "failed to create no/such/folder.xml",
    );
    check(
        &["--result-file", "no/such/folder"],
        "failed to create no/such/folder",
    );
    check(
        &["-o", "text", "-o", "json"],
        "-o names two forms for stdout",
    );
    check(
        &["-o", "xml"],
        "one of text, json, yaml, junit, markdown, github was expected",
    );
    check(
        &["--fail-on", "unsure"],
        "possible values: failed, error, inconclusive",
    );
}

#[test]
fn a_template_that_is_invalid_is_reported_too() {
    let ended = skygate_reading(
        &["run", "-f", "-", "-o", "junit"],
        "kind: AnalysisTemplate\n",
    );
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let report = junit(&ended.stdout);
    assert_eq!((report.tests, report.errors), (1, 1));
    let mut command = command(&["run", "-f", "-", "-o", "github"]);
    command.env("GITHUB_ACTIONS", "true");
    let ended = finish(command, "kind: AnalysisTemplate\n");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(
        ended.stdout.starts_with("::error title=Skygate::stdin"),
        "{ended:#?}"
    );
    let ended = skygate_reading(
        &["run", "-f", "-", "-o", "text"],
        "kind: AnalysisTemplate\n",
    );
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:#?}"
    );
}

#[test]
fn faults_are_a_problem_for_programs() {
    const TEMPLATE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: wrong}
spec:
  metrics:
  - name: a
    intervall: 1m
    provider: {skywalking: {interval: 3m, query: \"{x}\"}}
  - name: a
    provider: {skywalking: {interval: 3m, query: \"{x}\"}}
";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faults.txt");
    let of_text = format!("text={}", file.display());
    for name in ["run", "measure"] {
        let args = [name, "-f", "-", "-o", "json", "-o", &of_text];
        let ended = skygate_reading(&args, TEMPLATE);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let problem: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!(problem["type"], "urn:skygate:problem:invalid", "{problem}");
        assert_eq!(problem["exitCode"], 2);
        // What a script asks of a run is not there, and is not mistaken.
        assert_eq!(problem["status"]["phase"], serde_json::Value::Null);
        let faults = problem["faults"].as_array().expect("faults");
        let fault = &faults[0];
        let path = fault["path"].as_str().expect("a path");
        assert!(path.ends_with("spec.metrics[0].intervall"), "{fault}");
        assert!(fault.to_string().contains("`interval`"), "{fault}");
        // The same as people are told, in a file for them as well.
        let text = std::fs::read_to_string(&file).expect("a file");
        assert_eq!(text, ended.stderr);
        for fault in faults {
            let message = fault["message"].as_str().expect("a message");
            assert!(text.contains(message), "{message} in {text}");
        }
        let yaml = skygate_reading(&[name, "-f", "-", "-o", "yaml"], TEMPLATE);
        let same: serde_json::Value = serde_norway::from_str(&yaml.stdout).expect("YAML");
        assert_eq!(same, problem);
    }
    // What is wrong before a template is read, too.
    let ended = skygate(&["run", "-f", "no/such.yaml", "-o", "json"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let problem: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(
        detail.starts_with("failed to read no/such.yaml: "),
        "{detail}"
    );
    // A service that is away is no fault of whoever asks.
    let away = ["--server", "http://127.0.0.1:9", "--server-patience", "1ms"];
    let args = ["run", "-f", APDEX, "--arg", "service-name=a", "-o", "json"];
    let ended = skygate(&[args.as_slice(), away.as_slice()].concat());
    assert_eq!(ended.code, Some(4), "{ended:#?}");
    let problem: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(problem["type"], "urn:skygate:problem:error", "{problem}");
    assert_eq!(problem["exitCode"], 4);
}

#[test]
fn no_place_is_written_to_twice_or_read_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let template = std::fs::read_to_string(APDEX).expect("a template");
    let (file, link, token) = (path("apdex.yaml"), path("link.yaml"), path("token"));
    std::fs::write(&file, &template).expect("room");
    std::fs::write(&token, "secret").expect("room");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let other = path("new.xml");
    let roundabout = folder
        .path()
        .join("../")
        .join(folder.path().file_name().expect("a name"));
    let roundabout = roundabout.join("new.xml").display().to_string();
    let check = |more: &[&str], expected: &str| {
        for name in ["run", "measure"] {
            let args = [name, "-f", &file, "--arg", "service-name=checkout"];
            let ended = skygate(&[args.as_slice(), more].concat());
            assert_eq!(ended.code, Some(2), "{ended:#?}");
            assert_eq!(ended.stdout, "");
            assert!(ended.stderr.contains(expected), "{expected}: {ended:#?}");
            assert!(!ended.stderr.contains("asking"), "{ended:#?}");
        }
        let kept = std::fs::read_to_string(&file).expect("it is there");
        assert_eq!(kept, template, "{more:?}");
        assert!(!std::fs::exists(&other).expect("a folder"), "{more:?}");
    };
    let to = |form: &str, file: &str| format!("{form}={file}");
    check(
        &["-o", &to("junit", &other), "-o", &to("json", &other)],
        "-o json would be written over -o junit",
    );
    check(
        &["-o", &to("junit", &other), "-o", &to("json", &roundabout)],
        "-o json would be written over -o junit",
    );
    check(
        &["-o", &to("junit", &other), "--result-file", &other],
        "--result-file would be written over -o junit",
    );
    for input in [&file, &link] {
        check(
            &["-o", &to("markdown", &other), "-o", &to("json", input)],
            "-o json would be written over",
        );
    }
    check(
        &["--result-file", &token, "--oap-token-file", &token],
        "--result-file would be written over",
    );
    assert_eq!(std::fs::read_to_string(&token).expect("a file"), "secret");
}

/// Files have names that no path tells of.
#[test]
fn links_of_both_kinds_lead_to_one_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let template = std::fs::read_to_string(APDEX).expect("a template");
    let (file, same_file) = (path("apdex.yaml"), path("same.yaml"));
    std::fs::write(&file, &template).expect("room");
    std::fs::hard_link(&file, &same_file).expect("a link");
    let (xml, same_xml) = (path("skygate.xml"), path("same.xml"));
    std::fs::write(&xml, "of before").expect("room");
    std::fs::hard_link(&xml, &same_xml).expect("a link");
    let (new, dangling) = (path("new"), path("dangling"));
    std::os::unix::fs::symlink("new", &dangling).expect("a link");
    let check = |more: &[&str], expected: &str| {
        let args = ["run", "-f", &file, "--arg", "service-name=checkout"];
        let ended = skygate(&[args.as_slice(), more].concat());
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(expected), "{expected}: {ended:#?}");
        assert!(!ended.stderr.contains("asking"), "{ended:#?}");
        let kept = std::fs::read_to_string(&file).expect("it is there");
        assert_eq!(kept, template, "{more:?}");
    };
    let to = |form: &str, file: &str| format!("{form}={file}");
    check(
        &["-o", &to("junit", &xml), "--result-file", &same_xml],
        "--result-file would be written over -o junit",
    );
    check(
        &["-o", &to("markdown", &xml), "-o", &to("json", &same_xml)],
        "-o json would be written over -o markdown",
    );
    check(
        &["-o", &to("junit", &new), "--result-file", &dangling],
        "--result-file would be written over -o junit",
    );
    check(
        &["-o", &to("junit", &same_file)],
        "which is read\n\nhint: give it another file",
    );
    // So does stdout, where it is a file.
    let stdout = std::fs::File::create(path("stdout")).expect("a file");
    let mut command = command(&["run", "-f", &file, "--result-file", &path("stdout")]);
    let output = command.stdout(stdout).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let expected = "--result-file would be written over what goes to stdout";
    assert!(stderr.contains(expected), "{stderr}");
}

/// A place that can be opened, and never written to.
const FULL: &str = "/dev/full";

#[test]
fn a_report_that_cannot_be_written_hides_no_bad_end() {
    if !std::fs::exists(FULL).unwrap_or(false) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("skygate.md");
    let (full, kept) = (
        format!("junit={FULL}"),
        format!("markdown={}", file.display()),
    );
    let percentile = "api/examples/percentile.yaml";
    let check = |ended: &Ended, code| {
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        let told = ended.stderr.matches("failed to write to /dev/full").count();
        assert_eq!(told, 1, "{ended:#?}");
        // The other reports are there.
        assert!(!ended.stdout.is_empty());
        let summary = std::fs::read_to_string(&file).expect("a file");
        assert!(summary.starts_with("## "), "{summary}");
    };
    let forms = ["-o", &full, "-o", &kept];
    check(&run(APDEX, "degraded", &forms), 1);
    check(&run(percentile, "healthy", &forms), 4);
    let allowed = [forms.as_slice(), &["--fail-on", "none"]].concat();
    check(&run(APDEX, "degraded", &allowed), 4);
    let timed_out = [forms.as_slice(), &["--timeout", "1m"]].concat();
    check(&run(APDEX, "healthy", &timed_out), 5);
    let word = ["--result-file", FULL, "-o", &kept];
    check(&run(APDEX, "degraded", &word), 1);
    // Nor does it hide what is wrong.
    let ended = skygate(&["run", "-f", "no/such.yaml", "-o", &full]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("failed to write to /dev/full"));
    assert!(ended.stderr.contains("failed to read no/such.yaml"));
}

#[test]
fn what_a_template_says_is_in_its_reports_as_it_is() {
    let said = "::add-mask::a ##vso[task.complete]";
    let template = format!(
        "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{name: obeyed}}
spec:
  metrics:
  - name: \"{said}\"
    count: 1
    successCondition: |
      all(values < 0) or `
      {said}` == \"\"
    provider:
      skywalking:
        interval: 3m
        expression: service_cpm
        entity: {{ serviceName: checkout, normal: true }}
"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("ASCII").to_owned();
    let (xml, md) = (file("skygate.xml"), file("skygate.md"));
    let args = [
        "run",
        "-f",
        "-",
        "--simulate",
        "checkout=healthy",
        "--speed",
        "1200",
        "-o",
        &format!("junit={xml}"),
        "-o",
        &format!("markdown={md}"),
        "-o",
        "junit",
    ];
    let ended = skygate_reading(&args, &template);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let read = |path: &str| std::fs::read_to_string(path).expect("a file");
    assert_eq!(read(&xml), ended.stdout);
    // A reader of XML finds it, and a log that obeys lines does not.
    let report = junit(&ended.stdout);
    let case = &report.test_suites[0].test_cases[0];
    assert_eq!(case.name.as_str(), said);
    let TestCaseStatus::NonSuccess { description, .. } = &case.status else {
        panic!("{case:?}")
    };
    let body = description.as_ref().expect("a body").as_str();
    let is_said = |text: &str| text.lines().any(|line| line.trim().starts_with(said));
    assert!(is_said(body), "{body}");
    assert!(!is_said(&ended.stdout), "{}", ended.stdout);
    // In Markdown a block of code has it as it is.
    assert!(is_said(&read(&md)), "{}", read(&md));
}
