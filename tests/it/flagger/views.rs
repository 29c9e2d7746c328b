//! What Flagger's questions see of a run, and of a record that was kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use skygate::domain::flagger::{FormError, Record, RunView};
use skygate::domain::measurement::{Explanation, Measurement, Phase};
use skygate::domain::plan::{Limits, MetricPlan};
use skygate::domain::run::{Command, Event, Run, step};
use skygate::domain::window::{Step, Window, WindowSpec};

use crate::judging::driver::{at, measured, metric, run_of};

/// `run` after one more measurement of its metric at this index.
fn measure(run: Run, metric: usize, measurement: Measurement, ms: i64) -> Run {
    let (run, _) = step(run, Event::Due, at(ms));
    let event = Event::Measured {
        metric,
        measurement,
    };
    step(run, event, at(ms)).0
}

/// A run of `metrics` that has measured each of them once, as `phases` say, 10 s after it began.
fn run(metrics: Vec<MetricPlan>, phases: &[Phase], window: Option<Window>) -> Run {
    let (mut run, _) = step(run_of(metrics), Event::Due, at(0));
    for (metric, phase) in phases.iter().enumerate() {
        let measurement = Measurement {
            explanation: window.map(|window| Box::new(explained(window))),
            ..measured(1, *phase, 10_000)
        };
        let event = Event::Measured {
            metric,
            measurement,
        };
        (run, _) = step(run, event, at(10_000));
    }
    run
}

fn explained(window: Window) -> Explanation {
    Explanation {
        server: String::new(),
        request: String::new(),
        window: Some(window),
        // The OAP's clock is a minute ahead.
        skew: Some(SignedDuration::from_mins(1)),
        series: Vec::new(),
        decided: None,
        no_data: false,
        error: None,
        notes: Vec::new(),
    }
}

fn window() -> Window {
    let spec = WindowSpec {
        interval: std::time::Duration::from_mins(3),
        step: Step::Minute,
        settle: std::time::Duration::from_secs(90),
    };
    let oap_now: Timestamp = "2027-01-15T08:10:00Z".parse().expect("a moment");
    let choice = Window::choose(&spec, oap_now, jiff::tz::Offset::UTC, None);
    choice.window.expect("a window")
}

fn finite(name: &str) -> MetricPlan {
    MetricPlan {
        limits: Limits {
            count: 5,
            ..Limits::default()
        },
        ..metric(name, Some(60))
    }
}

#[test]
fn an_endless_run_lacks_what_keeps_it_from_being_concluded() {
    let view = RunView::of(&run(vec![metric("apdex", Some(60))], &[], None));
    assert_eq!(view.phase, Phase::Running);
    assert_eq!(view.why, "good measurements: apdex 0 of 0");
    assert!(view.is_endless && !view.evidence);
    assert_eq!(view.lacking, ["metric \"apdex\": no good measurement"]);
    let view = RunView::of(&run(
        vec![metric("apdex", Some(60))],
        &[Phase::Successful],
        None,
    ));
    assert_eq!(view.why, "good measurements: apdex 1 of 1");
    assert!(view.evidence && view.lacking.is_empty());
}

#[test]
fn a_metric_with_an_end_of_its_own_is_waited_for() {
    let metrics = vec![metric("apdex", Some(60)), finite("errors")];
    let view = RunView::of(&run(metrics, &[Phase::Successful, Phase::Successful], None));
    assert!(view.is_endless);
    assert_eq!(view.lacking, ["metric \"errors\": 1 of 5 measurements"]);
    let view = RunView::of(&run(vec![finite("errors")], &[Phase::Successful], None));
    assert!(!view.is_endless);
}

#[test]
fn what_was_found_last_and_was_not_good_is_a_doubt() {
    let tolerant = |name: &str, dry_run: bool| MetricPlan {
        limits: Limits {
            failure: 3,
            ..Limits::default()
        },
        dry_run,
        ..metric(name, Some(60))
    };
    let plan = || {
        vec![
            tolerant("apdex", false),
            tolerant("latency", false),
            tolerant("traffic", true),
        ]
    };
    let doubts = |run: &Run| RunView::of(run).doubts;
    // What has measured nothing lacks evidence, and dry runs say nothing.
    assert_eq!(doubts(&run(plan(), &[], None)), [""; 0]);
    let good = run(plan(), &[Phase::Successful; 3], None);
    let good = measure(good, 2, measured(2, Phase::Failed, 100_000), 100_000);
    assert_eq!(doubts(&good), [""; 0]);
    let refused = Measurement {
        message: "the connection was refused".to_owned(),
        ..measured(2, Phase::Error, 100_000)
    };
    let dark = measure(good, 0, refused, 100_000);
    let dark = measure(dark, 1, measured(2, Phase::Failed, 100_000), 100_000);
    let expected = [
        "the newest measurement of metric \"apdex\" is Error: the connection was refused",
        "the newest measurement of metric \"latency\" is Failed",
    ];
    let view = RunView::of(&dark);
    assert_eq!(
        (view.doubts, view.lacking),
        (expected.map(str::to_owned).to_vec(), Vec::new())
    );
    let light = measure(dark, 0, measured(3, Phase::Successful, 200_000), 200_000);
    assert_eq!(doubts(&light), expected[1..]);
    // No data may count as Successful, and is no evidence even so.
    let empty = Measurement {
        explanation: Some(Box::new(Explanation {
            no_data: true,
            ..explained(window())
        })),
        message: "no data".to_owned(),
        ..measured(3, Phase::Successful, 200_000)
    };
    let empty = measure(light, 1, empty, 200_000);
    let expected =
        "the newest measurement of metric \"latency\" is Successful without evidence: no data";
    assert_eq!(doubts(&empty), [expected]);
    let light = measure(empty, 1, measured(4, Phase::Successful, 300_000), 300_000);
    assert_eq!(doubts(&light), [""; 0]);
    // A metric that has come to an end of its own measures nothing more, and a run that is over neither.
    let count = Limits {
        count: 1,
        failure: 1,
        ..Limits::default()
    };
    let once = MetricPlan {
        limits: count,
        ..metric("errors", Some(60))
    };
    let metrics = vec![once, metric("apdex", Some(60))];
    let view = RunView::of(&run(metrics, &[Phase::Failed, Phase::Successful], None));
    assert_eq!((view.phase, view.doubts), (Phase::Running, Vec::new()));
    let over = run(vec![metric("apdex", Some(60))], &[Phase::Failed], None);
    assert_eq!(doubts(&over), [""; 0]);
}

#[test]
fn what_was_begun_at_the_start_has_judged_nothing() {
    let plan = || vec![metric("apdex", Some(60))];
    let begun = run(plan(), &[], None);
    assert!(!RunView::of(&begun).has_judged);
    // Nor has what waits for data, and nothing is blamed for having had none before there was traffic.
    let waited = Measurement {
        counts: false,
        ..measured(1, Phase::Inconclusive, 10_000)
    };
    let event = Event::Measured {
        metric: 0,
        measurement: waited,
    };
    let (waiting, _) = step(begun, event, at(10_000));
    assert!(!RunView::of(&waiting).has_judged);
    let (told, _) = step(
        waiting.clone(),
        Event::Command(Command::NoTrafficBefore(at(60_000))),
        at(60_000),
    );
    assert_eq!(told.metrics[0].waiting_since, Some(at(60_000)));
    // What is begun later may see something.
    let (again, _) = step(waiting, Event::Due, at(70_000));
    assert!(RunView::of(&again).has_judged);
    for phase in [Phase::Successful, Phase::Failed, Phase::Error] {
        assert!(
            RunView::of(&run(plan(), &[phase], None)).has_judged,
            "{phase}"
        );
    }
}

#[test]
fn a_window_is_seen_on_our_clock() {
    let view = RunView::of(&run(
        vec![metric("apdex", Some(60))],
        &[Phase::Successful],
        Some(window()),
    ));
    let expected: Timestamp = "2027-01-15T08:04:00Z".parse().expect("a moment");
    assert_eq!(view.measured_since, Some(expected));
    // A bad one says nothing, and neither does a dry run.
    let tolerant = MetricPlan {
        limits: Limits {
            failure: 3,
            ..Limits::default()
        },
        ..metric("apdex", Some(60))
    };
    let dry = MetricPlan {
        dry_run: true,
        ..metric("traffic", Some(60))
    };
    let view = RunView::of(&run(
        vec![tolerant, dry],
        &[Phase::Failed, Phase::Successful],
        Some(window()),
    ));
    assert_eq!(view.measured_since, None);
}

#[test]
fn a_run_that_is_over_says_why() {
    let view = RunView::of(&run(
        vec![metric("apdex", Some(60))],
        &[Phase::Failed],
        None,
    ));
    assert_eq!(view.phase, Phase::Failed);
    assert_eq!(view.why, "apdex failed 1 of 1 measurements (limit 0)");
    let (run, _) = step(
        run(vec![metric("apdex", Some(60))], &[Phase::Successful], None),
        Event::Command(Command::Conclude),
        at(60_000),
    );
    let view = RunView::of(&run);
    assert_eq!((view.phase, view.is_endless), (Phase::Successful, false));
    assert_eq!(
        view.why,
        "concluded after 1m; good measurements: apdex 1 of 1"
    );
}

#[test]
fn a_record_that_cannot_be_read_says_so() {
    let check = |kept, expected: FormError| {
        assert_eq!(Record::from_json(&kept), Err(expected));
    };
    check(
        json!({"version": 3, "attempt": null, "history": [], "more": 1}),
        FormError::Newer(3),
    );
    check(
        json!({"version": 1, "attempt": null, "history": [{"at": "2026-11-23T10:13:00Z", "hook": "x", "phase": "",
            "checksum": "", "attempt": null, "status": 200, "text": ""}]}),
        FormError::Damaged("no hook is called `x`".to_owned()),
    );
    let damaged = Record::from_json(&json!([]));
    assert!(matches!(damaged, Err(FormError::Damaged(_))), "{damaged:?}");
    let kept = Record::default().to_json();
    let nothing = json!({"version": 2, "attempt": null, "earlier": [], "history": []});
    assert_eq!(kept, nothing);
}

#[test]
fn a_record_of_the_form_before_is_read() {
    let attempt = json!({"number": 3, "checksum": "v1", "run": "r", "openedAt": "2026-11-23T10:13:00Z", "trafficSince": null,
        "lastIncrease": null, "isUnderWay": false, "measuredSince": null, "end": null, "closedAt": null});
    let kept = json!({"version": 1, "attempt": attempt, "history": []});
    let record = Record::from_json(&kept).expect("a record");
    let attempt = record.attempt.as_ref().expect("an attempt");
    assert_eq!((attempt.number, attempt.args.as_ref()), (3, None));
    assert_eq!(Record::from_json(&record.to_json()), Ok(record));
}
