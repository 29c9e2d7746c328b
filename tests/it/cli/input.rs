//! Bad input: each gets an error that says what to do, or a measurement that is an Error and says why.

use std::fs;

use super::APDEX;
use super::process::{Ended, Oap, command, finish, skygate, skygate_reading, stable};

fn apdex() -> String {
    fs::read_to_string(APDEX).expect("an example")
}

/// What `validate` says of `template` on stderr.
fn faults(template: &str, args: &[&str]) -> String {
    let ended = skygate_reading(&[&["validate", "-f", "-"], args].concat(), template);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:#?}"
    );
    stable(&ended.stderr)
}

#[test]
fn malformed_yaml() {
    insta::assert_snapshot!(faults("kind: [AnalysisTemplate\nspec: x", &[]), @"error: stdin: kind[1]: malformed YAML: did not find expected ',' or ']' at line 2 column 5, while parsing a flow sequence at line 1 column 7");
}

#[test]
fn unknown_fields_all_at_once() {
    let template = apdex()
        .replace("failureLimit", "failurelimit")
        .replace(
            "        interval: 3m",
            "        interval: 3m\n        setle: 0s",
        )
        .replace("  metrics:", "  metricks: []\n  metrics:");
    insta::assert_snapshot!(faults(&template, &["--arg", "service-name=a"]), @r#"
    error: stdin: spec.metrics[0].provider.skywalking.setle: unknown field, did you mean `settle`?
    error: stdin: spec.metrics[0].failurelimit: unknown field, did you mean `failureLimit`?
    error: stdin: spec.metricks: unknown field, did you mean `metrics`?
    "#);
}

#[test]
fn a_missing_argument_and_one_too_many() {
    insta::assert_snapshot!(faults(&apdex(), &[]), @r#"
    error: spec.args[0]: args.service-name was not resolved: argument `service-name` was not supplied and has no default

    hint: supply it: --arg service-name=VALUE
    "#);
    insta::assert_snapshot!(faults(&apdex(), &["--arg", "service=a"]), @r#"
    error: spec.args[0]: args.service-name was not resolved: argument `service-name` was not supplied and has no default

    hint: supply it: --arg service-name=VALUE

    error: args.service: no argument is named `service`; the template declares `service-name`
    "#);
    insta::assert_snapshot!(
        faults(&apdex(), &["--arg", "service-name=a", "--arg", "service-name=b"]), @"error: --arg: `service-name` is given twice");
    insta::assert_snapshot!(faults(&apdex(), &["--arg", "service-name"]), @r#"
    error: invalid value 'service-name' for '--arg <NAME=VALUE>': NAME=VALUE was expected

    For more information, try '--help'.
    "#);
}

#[test]
fn conditions_and_durations_that_mean_nothing() {
    let template = apdex()
        .replace("asFloat(", "asFlot(")
        .replace("interval: 5m", "interval: 5 minutes")
        .replace("$duration: Duration!", "$duration Duration!");
    insta::assert_snapshot!(faults(&template, &["--arg", "service-name=a"]), @r#"
    error: spec.metrics[0].interval: invalid interval string: time: unknown unit " minutes" in duration "5 minutes"

    hint: durations are written 90s, 5m or 1h30m

    error: spec.metrics[0].successCondition: unknown name asFlot; as CEL: unexpected `}`

    hint: did you mean `asFloat`?

    error: spec.metrics[0].provider.skywalking.query: the query doesn't parse at line 1, column 27: Unexpected `Duration[Name]`; Expected :
    "#);
}

#[test]
fn files_that_are_none() {
    let complaint = |args: &[&str]| {
        let ended = skygate(&[&["run"], args].concat());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:#?}"
        );
        stable(&ended.stderr)
    };
    insta::assert_snapshot!(complaint(&["-f", "nowhere.yaml"]), @r#"
    error: failed to read nowhere.yaml
      caused by: No such file or directory (os error 2)
    "#);
    insta::assert_snapshot!(complaint(&["-f", "api/examples"]), @r#"
    error: api/examples is a folder; a file was expected

    hint: name its files: -f api/examples/… -f api/examples/…
    "#);
    insta::assert_snapshot!(complaint(&["-f", "README.md"]), @"error: README.md: malformed YAML: mapping values are not allowed in this context at line 5 column 43");
    insta::assert_snapshot!(complaint(&["-f", "/dev/zero"]), @"error: /dev/zero: the text has 4194305 bytes; at most 4194304 are read");
    insta::assert_snapshot!(complaint(&["-f", APDEX, "-f", "Cargo.toml", "-f", "/dev/null"]), @"error: Cargo.toml: [0]: malformed JSON: expected value at line 1 column 2");
    insta::assert_snapshot!(faults("", &[]), @"error: no AnalysisTemplate and no ClusterAnalysisTemplate in `stdin`");
    insta::assert_snapshot!(faults("kind: Deployment\nmetadata: {name: x}\n", &[]), @r#"
    note: stdin: passed over Deployment `x`: it is no AnalysisTemplate
    error: no AnalysisTemplate and no ClusterAnalysisTemplate in `stdin`
    "#);
}

#[test]
fn flags_that_mean_nothing() {
    let complaint = |args: &[&str]| {
        let given = ["measure", "-f", APDEX, "--arg", "service-name=a"];
        let ended = skygate(&[given.as_slice(), args].concat());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:#?}"
        );
        ended.stderr
    };
    insta::assert_snapshot!(complaint(&["--metric", "p99"]), @"error: --metric: no metric `p99`; there are `apdex`");
    insta::assert_snapshot!(complaint(&["--template", "apdx"]), @"error: --template: no template `apdx` in what was given; there are `apdex`");
    insta::assert_snapshot!(complaint(&["--at", "yesterday"]), @r#"
    error: invalid value 'yesterday' for '--at <TIME>': a moment such as 2026-11-23T09:12:00Z, or how long ago such as 15m, was expected

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(complaint(&["--at", "2999-01-01T00:00:00Z"]), @"error: --at: is in the future; nothing was measured then yet");
    insta::assert_snapshot!(complaint(&["--oap", "localhost:12800"]), @r#"
    error: --oap gives no address
      caused by: `localhost:12800` is no `http` or `https` URL; an OAP's address looks like `http://oap.istio-system:12800`
    "#);
    insta::assert_snapshot!(complaint(&["--namespace", ""]), @r#"
    error: a value is required for '--namespace <NAMESPACE>' but none was supplied

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(complaint(&["--oap-timeout", "10"]), @r#"
    error: invalid value '10' for '--oap-timeout <DURATION>': time: missing unit in duration "10"; a duration such as 30s, 5m or 1h30m was expected

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(complaint(&["--oap-token-file", "nowhere"]), @r#"
    error: failed to read nowhere
      caused by: No such file or directory (os error 2)
    "#);
    insta::assert_snapshot!(complaint(&["--log", "a=b=c"]), @r#"error: `a=b=c` is not a log filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5"#);
}

#[test]
fn an_oap_that_nobody_named() {
    let template = apdex().replace("address: http://oap.istio-system:12800", "oap: production");
    let args = [
        "measure",
        "-f",
        "-",
        "--arg",
        "service-name=a",
        "--oap",
        "staging=http://localhost:1",
    ];
    let ended = skygate_reading(&args, &template);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.stderr, @r#"
    error: metric `apdex`: no OAP is known by the name `production` (named are `staging`); name it as `NAME=URL`, or give its `address`

    hint: --oap URL asks one OAP whatever the templates name, --oap NAME=URL the one that they call NAME
    "#);
}

/// What `measure` makes of `template` for the service `checkout`.
fn measured(oap: &Oap, template: &str, service: &str) -> Ended {
    let service = format!("service-name={service}");
    let args = ["measure", "-f", "-", "--oap", &oap.url, "--arg", &service];
    skygate_reading(&args, template)
}

fn verdict(ended: &Ended) -> String {
    let start = ended
        .stdout
        .find("verdict ")
        .unwrap_or_else(|| panic!("{ended:#?}"));
    stable(ended.stdout[start..].trim_end())
}

#[test]
fn wrong_metrics_services_and_fields_are_errors_with_a_way_out() {
    let oap = Oap::start(&["checkout=healthy"]);
    let check = |template: &str, service: &str, code: i32| {
        let ended = measured(&oap, template, service);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        verdict(&ended)
    };
    let metric = apdex().replace("\"service_apdex\"", "\"service_apdx\"");
    insta::assert_snapshot!(check(&metric, "checkout", 4), @"verdict     Error: the OAP knows no metric named `service_apdx`; did you mean `service_apdex`?");
    let field = apdex().replace("label values", "lable values");
    insta::assert_snapshot!(check(&field, "checkout", 4), @"verdict     Error: this OAP (10.4.0-b272da3) has no field `lable` in `MetricsValues`; correct the query");
    let labelled = apdex().replace("\"service_apdex\"", "\"service_percentile\"");
    insta::assert_snapshot!(check(&labelled, "checkout", 4), @"verdict     Error: `service_percentile` is a labelled metric, which `readMetricsValues` cannot read: use `readLabeledMetricsValues`, or an `expression` such as `service_percentile{p='99'}`");
    let condition = apdex().replace("result.service_apdex", "result.apdex");
    insta::assert_snapshot!(check(&condition, "checkout", 4), @r#"verdict     Error: could not evaluate successCondition "all(result.apdex.values.values, {asFloat(.value) >= 9900})": cannot fetch values from <nil> (hint: result.apdex is missing; result has `service_apdex`)"#);
    insta::assert_snapshot!(check(&apdex(), "chekout", 3), @r#"
    verdict     Inconclusive: no data: series `service_apdex` has no point with data in HH:MM–HH:MM (OAP time +0000)
    in a run    not counted: with `noData: Wait` it waits for data, up to 10m
    "#);
}

/// However hostile, an argument is a service's name and nothing else: one that nobody has seen.
#[test]
fn hostile_arguments_stay_values() {
    let oap = Oap::start(&["checkout=healthy"]);
    for hostile in [
        "\"",
        "\"}}) { x } #",
        "{{ args.service-name }}",
        "a\nb\r\t",
        "\\\"\\u0022",
        "'; DROP TABLE services; --",
        "${HOME} $(id) `id`",
        "служба|сервис|\u{202e}",
    ] {
        let ended = measured(&oap, &apdex(), hostile);
        assert_eq!(ended.code, Some(3), "{hostile:?}: {ended:#?}");
        assert!(
            ended.stdout.contains("no point with data"),
            "{hostile:?}: {ended:#?}"
        );
        assert!(!ended.stdout.contains('\r'), "{hostile:?}: {ended:#?}");
    }
}

#[test]
fn arguments_that_no_name_can_be_are_refused() {
    let with_default = |value: &str| {
        let value = format!("  - name: service-name\n    value: \"{value}\"\n");
        apdex().replace("  - name: service-name\n", &value)
    };
    insta::assert_snapshot!(faults(&with_default(&"x".repeat(1 << 20)), &[]), @"error: spec.args[0]: the value of argument `service-name` has 1048576 bytes; at most 65536 are allowed");

    // Neither does anybody call a service so.
    insta::assert_snapshot!(faults(&with_default(r"a\0b"), &[]), @"error: spec.args[0]: the value of argument `service-name` holds the control character U+0000");
    insta::assert_snapshot!(faults(&apdex(), &["--arg", "service-name=\u{1b}[2J"]), @"error: spec.args[0]: the value of argument `service-name` holds the control character U+001B");
}

#[test]
fn several_files_make_one_analysis() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.yaml");
    let other = apdex()
        .replace("name: apdex", "name: other")
        .replace("failureLimit: 3", "failurelimit: 3");
    fs::write(&path, &other).expect("a file");
    let path = path.to_str().expect("a path in ASCII");
    let ended = skygate(&[
        "validate",
        "-f",
        APDEX,
        "-f",
        path,
        "--arg",
        "service-name=a",
    ]);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(stable(&ended.stderr), @"error: TMP/other.yaml: spec.metrics[0].failurelimit: unknown field, did you mean `failureLimit`?");

    fs::write(path, other.replace("failurelimit", "failureLimit")).expect("a file");
    let ended = skygate(&[
        "validate",
        "-f",
        APDEX,
        "-f",
        path,
        "--arg",
        "service-name=a",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        ended
            .stdout
            .starts_with("valid: `apdex-other` in namespace `default`, 2 metrics\n")
    );
}

#[test]
fn variables_that_nobody_filled_in_are_not_set() {
    let mut command = command(&["validate", "-f", APDEX, "--arg", "service-name=a"]);
    for name in [
        "SKYGATE_OAP",
        "SKYGATE_NAMESPACE",
        "SKYGATE_SECRETS",
        "SKYGATE_OAP_TOKEN_FILE",
    ] {
        command.env(name, "");
    }
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        ended.stdout.contains("in namespace `default`"),
        "{ended:#?}"
    );
}

#[test]
fn a_simulation_asks_no_oap_of_the_environment() {
    let script = "checkout=degraded";
    let args = [
        "run",
        "-f",
        APDEX,
        "--arg",
        "service-name=checkout",
        "--simulate",
        script,
    ];
    let mut command = command(&[&args[..], &["--speed", "1200"]].concat());
    command.env("SKYGATE_OAP", "http://127.0.0.1:9");
    command.env("SKYGATE_OAP_INSECURE", "1");
    let ended = finish(command, "");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
}
