//! Results as people read them.

use super::APDEX;
use super::process::{Oap, skygate, stable};

const SERVICE: &str = "service-name=canary|reviews|bookinfo|cp-cluster-1|-";

#[test]
fn measured_and_found_good() {
    let oap = Oap::started(super::process::command(&[
        "simulate-oap",
        "--listen",
        "127.0.0.1:0",
        "--zone",
        "+0530",
    ]));
    let ended = skygate(&["measure", "-f", APDEX, "--arg", SERVICE, "--oap", &oap.url]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 0
    --- stdout
    metric      apdex
    measured    DATE TIME UTC
    oap         http://127.0.0.1:PORT (zone +HH:MM, clock SKEW)
    window      DATE HH:MM to HH:MM +HH:MM: 3 minutes
                DATE HH:MM to HH:MM UTC
    query       query queryData($duration: Duration!) {
                  service_apdex: readMetricsValues(
                    condition: { name: "service_apdex", entity: { scope: Service, serviceName: "canary|reviews|bookinfo|cp-cluster-1|-", normal: true } },
                    duration: $duration) {
                      label values { values { value } }
                    }
                }
    points      service_apdex
                HH:MM (HH:MM UTC)  10000  <- decided
                HH:MM (HH:MM UTC)  10000  <- decided
                HH:MM (HH:MM UTC)  10000  <- decided
    condition   successCondition: all(result.service_apdex.values.values, {asFloat(.value) >= 9900})
                holds
    verdict     Successful: 3 of 3 points at least 9900: HH:MM 10000, HH:MM 10000, HH:MM 10000
    --- stderr
    "#);
}

#[test]
fn a_run_that_fails() {
    let script = format!("{}=frustrated", SERVICE.trim_start_matches("service-name="));
    let ended = skygate(&[
        "run",
        "-f",
        APDEX,
        "--arg",
        SERVICE,
        "--simulate",
        &script,
        "--speed",
        "1200",
    ]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 1
    --- stdout
    Failed: apdex failed 4 of 4 measurements (limit 3); the last: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0

    METRIC  PHASE   GOOD  FAILED       INCONCLUSIVE  ERRORS  TAKEN
    apdex   Failed  0     4 (limit 3)  0 (limit 0)   0       4

    metric      apdex
    measured    DATE TIME UTC, as #4
    oap         http://127.0.0.1:PORT (zone +HH:MM, clock SKEW)
    window      DATE HH:MM to HH:MM UTC: 3 minutes
    query       query queryData($duration: Duration!) {
                  service_apdex: readMetricsValues(
                    condition: { name: "service_apdex", entity: { scope: Service, serviceName: "canary|reviews|bookinfo|cp-cluster-1|-", normal: true } },
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
    --- stderr
    warning: metric `apdex`: a measurement every 5m looks at 3m: 2m of every 5m are never looked at
    warning: metric `apdex`: has no count: without --conclude-after it runs until a limit strikes
    asking http://127.0.0.1:PORT, simulated
      apdex: a query every 5m, over 3 minutes settled for 1m30s
    TIME apdex #1 Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0 [good 0, failed 1 (limit 3)]
    TIME apdex #2 Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0 [good 0, failed 2 (limit 3)]
    TIME apdex #3 Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0 [good 0, failed 3 (limit 3)]
    TIME apdex #4 Failed: 3 of 3 points below 9900: HH:MM 0, HH:MM 0, HH:MM 0 [good 0, failed 4 (limit 3)]
    "#);
}

#[test]
fn an_expression_without_data() {
    let oap = Oap::start(&["checkout=healthy"]);
    let ended = skygate(&[
        "measure",
        "-f",
        "api/examples/percentile.yaml",
        "--arg",
        "service-name=chekout",
        "--oap",
        &oap.url,
    ]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 3
    --- stdout
    metric      p99
    measured    DATE TIME UTC
    oap         http://127.0.0.1:PORT (zone +HH:MM, clock SKEW)
    window      DATE HH:MM to HH:MM UTC: 3 minutes
    expression  service_percentile{p='99'}
    entity      serviceName "chekout", normal true
    points      service_percentile{p='99'}
                none: the answer has no point for it
    result      {"type":"TIME_SERIES_VALUES","values":[]}
    note        no series came back: there is no data, or the metric has none of the labels
    note        this OAP has never seen a service `chekout`; the nearest that it knows is `checkout`
    verdict     Inconclusive: no data: series `service_percentile{p='99'}` has no point with data in HH:MM–HH:MM (OAP time +0000)
    in a run    not counted: with `noData: Wait` it waits for data, up to 10m
    --- stderr
    "#);
}

#[test]
fn buckets_of_another_version() {
    let oap = Oap::start(&["checkout=healthy"]);
    let ended = skygate(&[
        "measure",
        "-f",
        "api/examples/percentile.yaml",
        "--arg",
        "service-name=checkout",
        "--oap",
        &oap.url,
        "--not-before",
        "1m",
    ]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 3
    --- stdout
    metric      p99
    measured    DATE TIME UTC
    oap         http://127.0.0.1:PORT (clock SKEW)
    expression  service_percentile{p='99'}
    entity      serviceName "checkout", normal true
    points      service_percentile{p='99'}
                HH:MM UTC  -  stale: before this version took traffic
                HH:MM UTC  -  stale: before this version took traffic
                HH:MM UTC  -  stale: before this version took traffic
    verdict     Inconclusive: no data: every bucket of the window began before notBefore, when the version took no traffic yet
    in a run    not counted: with `noData: Wait` it waits for data, up to 10m
    --- stderr
    "#);
}

#[test]
fn valid_with_warnings() {
    let ended = skygate(&["validate", "-f", APDEX, "--arg", SERVICE]);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 0
    --- stdout
    valid: `apdex` in namespace `default`, 1 metric
      apdex: a query every 5m, over 3 minutes settled for 1m30s
    warning: metric `apdex`: a measurement every 5m looks at 3m: 2m of every 5m are never looked at
    warning: metric `apdex`: has no count: without --conclude-after it runs until a limit strikes
    --- stderr
    "#);
}

#[test]
fn valid_but_not_for_this_oap() {
    let oap = Oap::start(&["checkout=healthy"]);
    let template = std::fs::read_to_string(APDEX).expect("an example");
    let template = template.replace("\"service_apdex\"", "\"service_apdx\"");
    let args = [
        "validate",
        "-f",
        "-",
        "--arg",
        "service-name=chekout",
        "--oap",
        &oap.url,
    ];
    let ended = super::process::skygate_reading(&args, &template);
    insta::assert_snapshot!(ended.transcript(), @r#"
    exit code 4
    --- stdout
    valid: `apdex` in namespace `default`, 1 metric
      apdex: a query every 5m, over 3 minutes settled for 1m30s
    warning: metric `apdex`: a measurement every 5m looks at 3m: 2m of every 5m are never looked at
    warning: metric `apdex`: has no count: without --conclude-after it runs until a limit strikes

    apdex, asked of http://127.0.0.1:PORT:
      the OAP is 10.4.0-b272da3
      its zone is +HH:MM, its clock is as ours
      error: the OAP knows no metric named `service_apdx`; did you mean `service_apdex`?
      warning: this OAP has never seen a service `chekout`; the nearest that it knows is `checkout`
    --- stderr
    "#);
}

#[test]
fn the_demo_is_a_story_with_a_good_and_a_bad_end() {
    let ended = skygate(&["demo", "--speed", "600"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = stable(&ended.stdout);
    let parts = [
        "  service  http://127.0.0.1:PORT\n",
        "== Version 2:",
        "\nStatus:          ✔ Healthy\n",
        "\n  Step:          10/10\n  SetWeight:     100\n  ActualWeight:  100\n",
        "revision:1",
        "✔ Successful",
        "\n`v2` is the stable version after ",
        "== Version 3:",
        "\nStatus:          ✖ Degraded\n",
        "failed (4) > failureLimit (3)\n",
        "\n  SetWeight:     0\n  ActualWeight:  0\n",
        "revision:2",
        "✖ Failed",
        "\n`v3` was taken back after ",
        "\nVersion 2 has all of the traffic; version 3 has none any more.\n",
    ];
    let mut rest = told.as_str();
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("`{part}` is missing, or comes too early, in\n{told}");
        };
        rest = after;
    }
    // What happened meanwhile is told in lines where there is no terminal.
    for line in [
        "step 10/10, weight 100: ",
        " apdex Failed: ",
        "weight 0: Degraded",
    ] {
        assert!(ended.stderr.contains(line), "{line} in {}", ended.stderr);
    }
}
