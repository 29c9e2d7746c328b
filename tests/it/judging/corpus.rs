//! Argo's behaviour as recorded in `tests/data/conformance`.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use regex::Regex;
use serde_json::{Value, json};
use skygate::domain::assess::{Counts, assess};
use skygate::domain::condition::{Condition, Scope};
use skygate::domain::judge::{not_evaluated, phase_of};
use skygate::domain::measurement::{Phase, Side};
use skygate::domain::plan::{Limits, MetricPlan};
use skygate::domain::run::{Command, Event, Run};
use skygate::domain::verdict::Summary;

use super::driver::{Answer, Rig, metric, phase, run_of, seconds};

/// The corpus compares times with this tolerance, in seconds: its clock moves on a millisecond with every reconcile.
const TOLERANCE: f64 = 0.1;

fn cases(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/tests/data/conformance/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).expect("the corpus is in the repository");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    cases
        .into_iter()
        .filter(|case| case.get("id").is_some())
        .collect()
}

fn id(case: &Value) -> &str {
    case["id"].as_str().expect("each case has an id")
}

/// Replays `cases`; each must come out as it says, but for `exceptions`, which must not.
fn replay(
    cases: &[Value],
    exceptions: &[(&str, &str)],
    outcome: impl Fn(&Value) -> Result<(), String>,
) {
    let mut wrong = Vec::new();
    for case in cases {
        let exception = exceptions.iter().find(|(other, _)| *other == id(case));
        match (outcome(case), exception) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Err(difference), None) => wrong.push(format!("{}: {difference}", id(case))),
            (Ok(()), Some((_, reason))) => {
                wrong.push(format!("{} is no exception any more: {reason}", id(case)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (exception, _) in exceptions {
        assert!(
            cases.iter().any(|case| id(case) == *exception),
            "{exception}"
        );
    }
}

fn compare(what: &str, ours: &Value, expected: &Value) -> Result<(), String> {
    if ours == expected {
        return Ok(());
    }
    Err(format!("{what}: {ours} instead of {expected}"))
}

/// Argo's reading of an `IntOrString`: text that is no number is 0.
fn int_or_string(value: Option<&Value>, otherwise: i64) -> i64 {
    match value {
        None => otherwise,
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_i64().expect("a number"),
    }
}

fn limits_of(spec: &Value) -> Limits {
    Limits {
        count: int_or_string(spec.get("count"), 0),
        failure: int_or_string(spec.get("failureLimit"), 0),
        inconclusive: int_or_string(spec.get("inconclusiveLimit"), 0),
        consecutive_error: int_or_string(spec.get("consecutiveErrorLimit"), 4),
        consecutive_success: int_or_string(spec.get("consecutiveSuccessLimit"), 0),
        consecutive_failure: 0,
    }
}

/// Whole seconds, `60s`; a negative time is none.
fn duration_of(value: &Value) -> Option<Duration> {
    let text = value.as_str()?;
    let seconds: i64 = text.strip_suffix('s')?.parse().expect("whole seconds");
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn metric_of(spec: &Value, analysis: &Value) -> MetricPlan {
    let name = spec["name"].as_str().expect("a name");
    let rules = |field: &str| analysis[field].as_array().cloned().unwrap_or_default();
    let concerns = |rule: &Value| {
        let pattern = rule["metricName"].as_str().expect("a pattern");
        Regex::new(pattern)
            .expect("a regular expression")
            .is_match(name)
    };
    let retention = rules("measurementRetention")
        .iter()
        .rfind(|rule| concerns(rule))
        .and_then(|rule| rule["limit"].as_i64())
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0)
        .unwrap_or(10);
    MetricPlan {
        interval: duration_of(&spec["interval"]),
        initial_delay: duration_of(&spec["initialDelay"]).unwrap_or_default(),
        limits: limits_of(spec),
        dry_run: rules("dryRun").iter().any(concerns),
        retention,
        ..metric(name, None)
    }
}

/// The run and the scripts of a case, not yet begun.
fn rig_of(case: &Value) -> Rig {
    let spec = &case["spec"];
    let metrics: Vec<MetricPlan> = spec["metrics"]
        .as_array()
        .expect("metrics")
        .iter()
        .map(|metric| metric_of(metric, spec))
        .collect();
    let script = |metric: &MetricPlan| -> VecDeque<Answer> {
        case["metricSequences"][&metric.name]
            .as_array()
            .map(|answers| answers.iter().map(Answer::from_json).collect())
            .unwrap_or_default()
    };
    let scripts = metrics.iter().map(script).collect();
    Rig::new(run_of(metrics), scripts)
}

#[test]
fn metrics_are_assessed_as_argo_does() {
    let cases = cases("metric_status.json");
    replay(&cases, &[], |case| {
        let expect = &case["expect"];
        let limits = limits_of(&case["metric"]);
        let has_interval = case["metric"].get("interval").is_some();
        let terminating = case["terminating"].as_bool().expect("a bool");
        let assess = |counts: &Counts, last, terminating| {
            let (phase, struck) = assess(&limits, has_interval, counts, last, terminating);
            let message = struck.map_or_else(String::new, |struck| struck.to_string());
            (phase, json!({"phase": phase.name(), "message": message}))
        };
        let said = json!({"phase": expect["phase"], "message": expect["message"]});
        if case.get("counters").is_some() {
            let last = phase(case["lastPhase"].as_str().expect("a phase"));
            let (_, ours) = assess(&counts_of(&case["counters"]), Some(last), terminating);
            return compare("assessed", &ours, &said);
        }
        let measurements = case["measurements"].as_array().expect("a list");
        let mut counts = Counts::default();
        let (mut last, mut taken) = (None, 0);
        let (_, mut ours) = assess(&counts, last, terminating);
        for (i, measurement) in measurements.iter().enumerate() {
            let measured = phase(measurement.as_str().expect("a phase"));
            counts.record(measured);
            last = Some(measured);
            taken += 1;
            let is_last = i + 1 == measurements.len();
            let (phase, said) = assess(&counts, last, terminating && is_last);
            ours = said;
            if phase.is_over() {
                break;
            }
        }
        compare("assessed", &ours, &said)?;
        compare("taken", &json!(taken), &expect["taken"])?;
        compare("counters", &counters(&counts), &expect["counters"])
    });
}

fn counts_of(json: &Value) -> Counts {
    let counter = |name: &str| json[name].as_u64().unwrap_or(0);
    Counts {
        successful: counter("successful"),
        failed: counter("failed"),
        inconclusive: counter("inconclusive"),
        error: counter("error"),
        count: counter("count"),
        consecutive_error: counter("consecutiveError"),
        consecutive_success: counter("consecutiveSuccess"),
        consecutive_failure: 0,
    }
}

fn counters(counts: &Counts) -> Value {
    json!({
        "successful": counts.successful,
        "failed": counts.failed,
        "inconclusive": counts.inconclusive,
        "error": counts.error,
        "count": counts.count,
        "consecutiveError": counts.consecutive_error,
        "consecutiveSuccess": counts.consecutive_success,
    })
}

#[test]
fn runs_end_as_argos_do() {
    // Argo starts a run whose spec is wrong and ends it as Error; here there is no such run: checking refuses it.
    let (refused, cases): (Vec<Value>, Vec<Value>) = cases("run_status.json")
        .into_iter()
        .partition(|case| case["expect"]["dryRunSummary"].is_null());
    let refused: Vec<&str> = refused.iter().map(id).collect();
    assert_eq!(
        refused,
        [
            "rs-080-dup-metric",
            "rs-085-unresolved-arg",
            "rs-088-unresolved-dry"
        ]
    );

    let exceptions = [(
        "rs-063-term-inflight-fail",
        "a terminated run drops what is in flight: our sources answer in one go and have nothing to say when stopped",
    )];
    replay(&cases, &exceptions, |case| {
        let mut rig = rig_of(case);
        let terminate = case["terminate"].as_bool().expect("a bool");
        let is_scripted = case["metricSequences"]
            .as_object()
            .is_some_and(|scripts| !scripts.is_empty());
        if is_scripted || !terminate {
            rig.play();
        }
        if terminate {
            rig.tell(Event::Command(Command::Terminate));
        }
        let expect = &case["expect"];
        compare(
            "run",
            &status_of(&rig.run, expect),
            &without_timeline(expect),
        )?;
        compare_timeline(&rig, expect["timeline"].as_array().expect("a list"))
    });
}

/// A run in the corpus's words.
fn status_of(run: &Run, expect: &Value) -> Value {
    let summary = |summary: Summary| {
        json!({
            "count": summary.count,
            "successful": summary.successful,
            "failed": summary.failed,
            "inconclusive": summary.inconclusive,
            "error": summary.error,
        })
    };
    let metrics: serde_json::Map<String, Value> = run
        .metrics()
        .filter(|(_, state)| state.taken > 0 || state.in_flight.is_some())
        .map(|(plan, state)| {
            let mut status = counters(&state.counts);
            status["phase"] = json!(state.phase.name());
            status["message"] = json!(state.message);
            status["dryRun"] = json!(plan.dry_run);
            (plan.name.clone(), status)
        })
        .collect();
    let mut status = json!({
        "phase": run.phase.name(),
        "message": run.message,
        "runSummary": summary(run.summary()),
        "dryRunSummary": summary(run.dry_run_summary()),
        "metrics": metrics,
    });
    if expect.get("completedAtSet").is_some() {
        status["completedAtSet"] = json!(run.completed_at.is_some());
    }
    status
}

fn without_timeline(expect: &Value) -> Value {
    let mut expect = expect.clone();
    expect
        .as_object_mut()
        .expect("an object")
        .remove("timeline");
    expect
}

/// Each metric's measurements in their order: at one instant the order of the metrics means nothing.
fn compare_timeline(rig: &Rig, expected: &[Value]) -> Result<(), String> {
    let mut ours = rig.timeline.clone();
    ours.sort_by(|a, b| a.1.cmp(&b.1));
    let mut expected = expected.to_vec();
    expected.sort_by_key(|entry| entry[1].as_str().map(str::to_owned));
    let is_same = |(ours, expected): (&(f64, String, Phase), &Value)| {
        (ours.0 - expected[0].as_f64().expect("seconds")).abs() < TOLERANCE
            && expected[1] == json!(ours.1)
            && expected[2] == json!(ours.2.name())
    };
    if ours.len() == expected.len() && ours.iter().zip(&expected).all(is_same) {
        return Ok(());
    }
    Err(format!("timeline: {ours:?} instead of {expected:?}"))
}

#[test]
fn the_schedule_is_argos() {
    let cases: Vec<Value> = cases("schedule.json")
        .into_iter()
        .filter(|case| case["kind"] == "timeline")
        .collect();
    replay(&cases, &[], |case| {
        let mut rig = rig_of(case);
        rig.play();
        let run = &rig.run;
        let expect = &case["expect"];
        compare("phase", &json!(run.phase.name()), &expect["phase"])?;
        if let Some(message) = expect.get("message") {
            compare("message", &json!(run.message), message)?;
        }
        if let Some(completed) = expect.get("completedAtSeconds").and_then(Value::as_f64) {
            let ours = run.completed_at.map_or(f64::NAN, seconds);
            if (ours - completed).abs() >= TOLERANCE || ours.is_nan() {
                return Err(format!("completed at {ours} instead of {completed}"));
            }
        }
        if let Some(measured) = expect["measuredAtSeconds"].as_object() {
            for (name, moments) in measured {
                let moments = moments.as_array().expect("a list");
                let ours: Vec<f64> = rig
                    .timeline
                    .iter()
                    .filter(|(_, of, _)| of == name)
                    .map(|(moment, _, _)| *moment)
                    .collect();
                let is_same = |(ours, expected): (&f64, &Value)| {
                    (ours - expected.as_f64().expect("seconds")).abs() < TOLERANCE
                };
                if ours.len() != moments.len() || !ours.iter().zip(moments).all(is_same) {
                    return Err(format!(
                        "{name} measured at {ours:?} instead of {moments:?}"
                    ));
                }
            }
        }
        let Some(values) = expect.get("retainedValues") else {
            return Ok(());
        };
        let state = &run.metrics[0];
        let ours: Vec<&str> = state
            .measurements
            .iter()
            .map(|m| m.value.as_str())
            .collect();
        compare("retained", &json!(ours), values)?;
        compare("retained", &json!(ours.len()), &expect["retained"])?;
        compare("count", &json!(state.counts.count), &expect["count"])?;
        compare("error", &json!(state.counts.error), &expect["error"])
    });
}

#[test]
fn two_conditions_make_one_phase_as_argo_has_it() {
    let cases = cases("evaluate_result.json");
    replay(&cases, &[], |case| {
        let (phase, message) = evaluate(case);
        let expect = &case["expect"];
        compare("phase", &json!(phase.name()), &expect["phase"])?;
        let expected = expect["message"].as_str().expect("a text");
        // What stands after the last colon is the engine's own detail, but for the text about a result of nothing.
        let is_exact = expected.is_empty() || expected.contains("metric result is nil or empty");
        let told = |text: &str| match text.rsplit_once("\": ") {
            Some((told, _)) if !is_exact => told.to_owned(),
            Some(_) | None => text.to_owned(),
        };
        compare("message", &json!(told(&message)), &json!(told(expected)))
    });
}

/// The phase and message of a case. Argo parses a condition when it evaluates it; here that is done before the run, with the same text.
fn evaluate(case: &Value) -> (Phase, String) {
    let result = &case["result"];
    let parse = |side: Side| match case[side.name()].as_str() {
        None | Some("") => Ok(None),
        Some(source) => Condition::parse(source)
            .map(Some)
            .map_err(|error| not_evaluated(side, source, &error, result)),
    };
    let (success, failure) = match (parse(Side::Success), parse(Side::Failure)) {
        (Ok(success), Ok(failure)) => (success, failure),
        (Err(message), _) | (Ok(_), Err(message)) => return (Phase::Error, message),
    };
    let scope = Scope {
        result,
        series: &[],
        zone: Offset::UTC,
        step: skygate::domain::window::Step::default(),
        now: Timestamp::UNIX_EPOCH,
    };
    let judgement = phase_of(success.as_ref(), failure.as_ref(), &scope);
    (judgement.phase, judgement.message)
}
