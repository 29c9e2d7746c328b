//! What Flagger's questions see of a run, and of a record that was kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use skygate::domain::flagger::{FormError, Record, RunView};
use skygate::domain::measurement::{Explanation, Measurement, Phase};
use skygate::domain::plan::{Limits, MetricPlan};
use skygate::domain::run::{Command, Event, Run, step};
use skygate::domain::window::{Step, Window, WindowSpec};

use crate::judging::driver::{at, measured, metric, run_of};

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
