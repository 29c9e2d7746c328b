//! What a run does in the situations that Argo's corpus has no word for.

use std::collections::VecDeque;
use std::time::Duration;

use skygate::domain::assess::Struck;
use skygate::domain::measurement::{Decided, Explanation, Measurement, Phase, Side};
use skygate::domain::plan::{Limits, MetricPlan};
use skygate::domain::run::{Command, Effect, Event, Run, Stop};

use super::driver::{Answer, Rig, at, measured, metric, run_of, waiting};

const MINUTE: u64 = 60;

/// A run of `metrics`, played as far as their scripts go.
fn play(run: Run, scripts: &[&str]) -> Rig {
    let mut rig = Rig::new(
        run,
        scripts
            .iter()
            .map(|letters| Answer::script(letters))
            .collect(),
    );
    rig.play();
    rig
}

/// A rig that answers nothing by itself.
fn by_hand(run: Run) -> Rig {
    let scripts = vec![VecDeque::new(); run.metrics.len()];
    Rig::new(run, scripts)
}

fn endless(name: &str) -> MetricPlan {
    metric(name, Some(5 * MINUTE))
}

fn concluding(metrics: Vec<MetricPlan>, minutes: u64) -> Run {
    let mut run = run_of(metrics);
    run.conclude_after = Some(Duration::from_mins(minutes));
    run
}

fn tolerant(plan: MetricPlan, failure: i64) -> MetricPlan {
    let limits = Limits {
        failure,
        ..plan.limits
    };
    MetricPlan { limits, ..plan }
}

fn measure(metric: usize, number: u64) -> Effect {
    Effect::Measure { metric, number }
}

fn answer(rig: &mut Rig, metric: usize, number: u64, phase: Phase, ms: i64) {
    rig.now = at(ms);
    rig.tell(Event::Measured {
        metric,
        measurement: measured(number, phase, ms),
    });
}

fn due(rig: &mut Rig, ms: i64) -> Vec<Effect> {
    rig.now = at(ms);
    rig.tell(Event::Due)
}

#[test]
fn a_run_is_due_when_it_is_created() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    assert_eq!(rig.run.next_due(), Some(at(0)));
    assert_eq!(rig.run.phase, Phase::Pending);
    assert_eq!(due(&mut rig, 20), [measure(0, 1)]);
    assert_eq!(rig.run.phase, Phase::Running);
    assert_eq!(rig.run.started_at, Some(at(20)));
    assert_eq!(rig.run.next_due(), None);
}

#[test]
fn missed_moments_are_not_made_up_for() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 1_000);
    assert_eq!(rig.run.next_due(), Some(at(301_000)));
    // Nobody looked for an hour.
    assert_eq!(due(&mut rig, 3_600_000), [measure(0, 2)]);
    answer(&mut rig, 0, 2, Phase::Successful, 3_601_000);
    assert_eq!(rig.run.next_due(), Some(at(3_901_000)));
    assert_eq!(due(&mut rig, 3_602_000), []);
}

#[test]
fn a_saved_run_says_what_is_outstanding() {
    let mut rig = by_hand(run_of(vec![endless("a"), endless("b")]));
    let effects = due(&mut rig, 0);
    assert_eq!(effects, [measure(0, 1), measure(1, 1)]);
    assert_eq!(rig.run.outstanding(), effects);
    answer(&mut rig, 0, 1, Phase::Successful, 10);
    assert_eq!(rig.run.outstanding(), [measure(1, 1)]);
    // Time goes by, and what is in flight is not begun again.
    assert_eq!(due(&mut rig, 20), []);
}

#[test]
fn a_measurement_that_nobody_waits_for_is_ignored() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    answer(&mut rig, 0, 1, Phase::Failed, 0);
    due(&mut rig, 0);
    for (metric, number, phase) in [
        (0, 2, Phase::Failed),
        (0, 0, Phase::Failed),
        (1, 1, Phase::Failed),
        (0, 1, Phase::Running),
    ] {
        answer(&mut rig, metric, number, phase, 10);
    }
    answer(&mut rig, 0, 1, Phase::Successful, 20);
    answer(&mut rig, 0, 1, Phase::Failed, 30);
    let state = &rig.run.metrics[0];
    assert_eq!((state.taken, state.good, state.counts.total()), (1, 1, 1));
    assert_eq!(rig.run.phase, Phase::Running);
}

#[test]
fn siblings_of_a_bad_metric_are_closed_and_marked() {
    let rig = play(run_of(vec![endless("a"), metric("b", None)]), &["S", "F"]);
    assert_eq!(rig.run.phase, Phase::Failed);
    let [a, b] = &rig.run.metrics[..] else {
        panic!("two metrics");
    };
    assert_eq!(
        (a.phase, a.cut_short),
        (Phase::Successful, Some(Stop::Metric(1)))
    );
    assert_eq!((b.phase, b.cut_short), (Phase::Failed, None));
    assert_eq!(
        b.struck,
        Some(Struck::Failures {
            failed: 1,
            limit: 0
        })
    );
}

#[test]
fn a_sibling_that_is_being_measured_is_waited_for_and_nothing_else_is_begun() {
    let late = MetricPlan {
        initial_delay: Duration::from_secs(1),
        ..endless("late")
    };
    let mut rig = by_hand(run_of(vec![endless("slow"), metric("bad", None), late]));
    due(&mut rig, 0);
    answer(&mut rig, 1, 1, Phase::Failed, 10);
    assert_eq!(rig.run.phase, Phase::Running);
    assert_eq!(rig.run.next_due(), None);
    assert_eq!(due(&mut rig, 2_000), []);
    answer(&mut rig, 0, 1, Phase::Error, 3_000);
    assert_eq!(rig.run.phase, Phase::Failed);
    assert_eq!(rig.run.completed_at, Some(at(3_000)));
    let [slow, _, late] = &rig.run.metrics[..] else {
        panic!("three metrics");
    };
    assert_eq!((slow.phase, slow.counts.error), (Phase::Successful, 1));
    assert_eq!(
        (late.phase, late.cut_short),
        (Phase::Pending, Some(Stop::Metric(1)))
    );
    assert!(!rig.run.has_evidence());
}

#[test]
fn of_several_that_end_badly_at_once_the_first_is_named_whichever_answered_first() {
    for order in [[0, 1], [1, 0]] {
        let metrics = vec![metric("a", None), metric("b", None), endless("c")];
        let mut rig = by_hand(run_of(metrics));
        due(&mut rig, 0);
        answer(&mut rig, 2, 1, Phase::Successful, 10);
        for metric in order {
            answer(&mut rig, metric, 1, Phase::Failed, 20);
        }
        assert_eq!(rig.run.metrics[2].cut_short, Some(Stop::Metric(0)));
        assert_eq!(
            rig.run.message,
            "Metric \"a\" assessed Failed due to failed (1) > failureLimit (0)"
        );
    }
}

#[test]
fn terminating_ends_a_run_at_once() {
    let mut rig = by_hand(run_of(vec![endless("a"), endless("b")]));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 10);
    rig.tell(Event::Command(Command::Terminate));
    assert_eq!(rig.run.phase, Phase::Successful);
    assert_eq!(rig.run.message, "Run Terminated");
    assert_eq!(rig.run.outstanding(), []);
    // What was in flight arrives, and nobody minds.
    answer(&mut rig, 1, 1, Phase::Failed, 20);
    let [a, b] = &rig.run.metrics[..] else {
        panic!("two metrics");
    };
    assert_eq!(
        (a.phase, a.cut_short),
        (Phase::Successful, Some(Stop::Terminated))
    );
    assert_eq!((b.phase, b.taken), (Phase::Pending, 0));
    assert!(!rig.run.has_evidence());
    assert_eq!(
        rig.run.explanation(),
        "terminated; without evidence: no good measurement of b"
    );
}

#[test]
fn a_terminated_run_keeps_the_evidence_it_has() {
    let mut rig = play(run_of(vec![tolerant(endless("apdex"), 1)]), &["SFS"]);
    rig.tell(Event::Command(Command::Terminate));
    assert!(rig.run.has_evidence());
    assert_eq!(
        rig.run.explanation(),
        "terminated; good measurements: apdex 2 of 3"
    );
}

#[test]
fn success_without_a_good_measurement_is_no_evidence() {
    // Argo's rules: three failures are within the limit, the count is reached, so the metric is Successful.
    let plan = MetricPlan {
        limits: Limits {
            count: 3,
            failure: 3,
            ..Limits::default()
        },
        ..endless("apdex")
    };
    let rig = play(run_of(vec![plan]), &["FFF"]);
    assert_eq!(rig.run.phase, Phase::Successful);
    assert!(!rig.run.has_evidence());
    assert_eq!(
        rig.run.explanation(),
        "without evidence: no good measurement of apdex"
    );
}

#[test]
fn a_dry_run_needs_no_evidence() {
    let dry = MetricPlan {
        dry_run: true,
        ..metric("trial", None)
    };
    let rig = play(
        run_of(vec![dry.clone(), metric("apdex", None)]),
        &["F", "S"],
    );
    assert_eq!(rig.run.phase, Phase::Successful);
    assert!(rig.run.has_evidence());
    assert_eq!(rig.run.explanation(), "good measurements: apdex 1 of 1");

    let rig = play(run_of(vec![dry]), &["F"]);
    assert!(rig.run.has_evidence());
    assert_eq!(rig.run.explanation(), "nothing but dry runs");
}

#[test]
fn concluded_with_evidence() {
    let rig = play(concluding(vec![endless("apdex")], 30), &["SSSSSSSS"]);
    assert_eq!(rig.run.phase, Phase::Successful);
    assert_eq!(
        rig.run.message,
        "concluded after 30m: every metric has a good measurement"
    );
    assert_eq!(
        rig.run.explanation(),
        "concluded after 30m; good measurements: apdex 6 of 6"
    );
    // The measurement that would have been due at that moment is not taken.
    assert_eq!(rig.run.metrics[0].taken, 6);
    assert_eq!(rig.run.metrics[0].cut_short, Some(Stop::Concluded));
    assert_eq!(rig.run.completed_at, Some(at(30 * 60_000)));
}

#[test]
fn concluded_without_evidence() {
    let rig = play(
        concluding(vec![endless("a"), tolerant(endless("b"), 9)], 12),
        &["SSS", "FFF"],
    );
    assert_eq!(rig.run.phase, Phase::Inconclusive);
    let message = "concluded after 12m: metric \"b\": no good measurement";
    assert_eq!(rig.run.message, message);
    assert_eq!(rig.run.explanation(), message);
    assert_eq!(rig.run.summary().inconclusive, 1);
    assert_eq!(rig.run.summary().successful, 1);
}

#[test]
fn a_streak_is_not_reached_by_running_out_of_time() {
    let plan = MetricPlan {
        limits: Limits {
            consecutive_success: 3,
            failure: 5,
            ..Limits::default()
        },
        ..endless("apdex")
    };
    let rig = play(concluding(vec![plan], 12), &["SFS"]);
    assert_eq!(rig.run.phase, Phase::Inconclusive);
    assert_eq!(
        rig.run.message,
        "concluded after 12m: metric \"apdex\": consecutiveSuccess (1) < consecutiveSuccessLimit (3)"
    );
}

#[test]
fn concluding_waits_for_what_is_being_measured() {
    let mut rig = by_hand(concluding(vec![endless("apdex")], 1));
    due(&mut rig, 0);
    assert_eq!(rig.run.next_due(), Some(at(60_000)));
    assert_eq!(due(&mut rig, 61_000), []);
    assert_eq!((rig.run.phase, rig.run.next_due()), (Phase::Running, None));
    answer(&mut rig, 0, 1, Phase::Successful, 70_000);
    assert_eq!(rig.run.phase, Phase::Successful);
    assert_eq!(rig.run.completed_at, Some(at(70_000)));

    // A limit that it strikes comes before the conclusion.
    let mut rig = by_hand(concluding(vec![endless("apdex")], 1));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Failed, 70_000);
    assert_eq!(rig.run.phase, Phase::Failed);
    assert_eq!(rig.run.metrics[0].cut_short, None);
}

#[test]
fn a_run_that_waits_for_its_conclusion_wants_no_waking() {
    let mut rig = by_hand(concluding(
        vec![endless("slow"), metric("retried", None)],
        1,
    ));
    due(&mut rig, 0);
    answer(&mut rig, 1, 1, Phase::Error, 55_000);
    // The retry would be due after the end.
    assert_eq!(rig.run.next_due(), Some(at(60_000)));
    due(&mut rig, 65_000);
    assert_eq!(rig.run.next_due(), None);
    answer(&mut rig, 0, 1, Phase::Successful, 66_000);
    assert_eq!(rig.run.phase, Phase::Inconclusive);
}

#[test]
fn a_run_with_an_end_of_its_own_is_not_concluded() {
    let counted = MetricPlan {
        limits: Limits {
            count: 3,
            ..Limits::default()
        },
        ..endless("counted")
    };
    let rig = play(concluding(vec![counted.clone()], 1), &["SSS"]);
    assert_eq!(rig.run.metrics[0].taken, 3);
    assert_eq!(
        (rig.run.phase, rig.run.message.as_str()),
        (Phase::Successful, "")
    );

    // Beside an endless one it ends when that one is concluded.
    let rig = play(
        concluding(vec![counted, endless("endless")], 7),
        &["SS", "SS"],
    );
    assert_eq!(rig.run.metrics[0].cut_short, Some(Stop::Concluded));
    assert_eq!(rig.run.completed_at, Some(at(7 * 60_000)));
}

#[test]
fn a_run_that_slept_through_its_end_is_concluded_on_what_it_has() {
    let mut rig = by_hand(concluding(vec![endless("apdex")], 30));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 10);
    assert_eq!(due(&mut rig, 40 * 60_000), []);
    assert_eq!(rig.run.phase, Phase::Successful);
}

#[test]
fn waiting_for_data_is_outside_of_everything() {
    let plan = MetricPlan {
        limits: Limits {
            count: 3,
            consecutive_success: 3,
            ..Limits::default()
        },
        ..metric("apdex", Some(MINUTE))
    };
    let rig = play(run_of(vec![plan]), &["SWSWWS"]);
    assert_eq!(rig.run.phase, Phase::Successful);
    let state = &rig.run.metrics[0];
    assert_eq!((state.taken, state.good), (6, 3));
    assert_eq!(
        (state.counts.total(), state.counts.consecutive_success),
        (3, 3)
    );
    assert_eq!(state.measurements.len(), 6);
    // Asked again after the metric's own interval.
    let moments: Vec<f64> = rig.timeline.iter().map(|entry| entry.0).collect();
    assert_eq!(moments, [0., 60., 120., 180., 240., 300.]);
}

#[test]
fn waiting_without_an_interval_asks_again_after_ten_seconds() {
    let rig = play(run_of(vec![metric("apdex", None)]), &["WWS"]);
    assert_eq!(rig.run.phase, Phase::Successful);
    let moments: Vec<f64> = rig.timeline.iter().map(|entry| entry.0).collect();
    assert_eq!(moments, [0., 10., 20.]);
}

#[test]
fn no_data_for_long_enough_ends_a_metric() {
    let rig = play(run_of(vec![endless("apdex")]), &["SWWWW"]);
    assert_eq!(rig.run.phase, Phase::Inconclusive);
    assert_eq!(
        rig.run.message,
        "Metric \"apdex\" assessed Inconclusive due to no data for 10m"
    );
    assert_eq!(rig.run.explanation(), "apdex had no data for 10m");
    assert_eq!(rig.run.summary().inconclusive, 1);
    assert_eq!(rig.run.metrics[0].counts.inconclusive, 0);
    assert_eq!(rig.run.metrics[0].taken, 4);
}

#[test]
fn data_ends_the_waiting_and_an_error_does_not() {
    let minutely = || run_of(vec![metric("apdex", Some(4 * MINUTE))]);
    // Without data at 0, 4 and 12 minutes, with some at 8.
    assert_eq!(play(minutely(), &["WWSW"]).run.phase, Phase::Running);
    // An error at 4 minutes is tried again 10 s later.
    let rig = play(minutely(), &["WEWWW"]);
    assert_eq!(rig.run.phase, Phase::Inconclusive);
    assert_eq!(
        rig.run.metrics[0].struck,
        Some(Struck::NoData {
            waited: Duration::from_secs(12 * 60 + 10)
        })
    );
}

#[test]
fn a_run_that_only_waited_has_no_evidence() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    due(&mut rig, 0);
    rig.tell(Event::Measured {
        metric: 0,
        measurement: waiting(1, 10),
    });
    assert_eq!(rig.run.metrics[0].waiting_since, Some(at(10)));
    rig.tell(Event::Command(Command::Terminate));
    assert_eq!(rig.run.phase, Phase::Successful);
    assert!(!rig.run.has_evidence());
}

#[test]
fn not_before_is_set_once() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    assert!(rig.run.accepts_not_before(at(5)));
    rig.tell(Event::Command(Command::NotBefore(at(5))));
    assert_eq!(rig.run.not_before, Some(at(5)));
    assert!(rig.run.accepts_not_before(at(5)));
    assert!(!rig.run.accepts_not_before(at(6)));
    rig.tell(Event::Command(Command::NotBefore(at(6))));
    assert_eq!(rig.run.not_before, Some(at(5)));

    let mut rig = play(run_of(vec![metric("apdex", None)]), &["S"]);
    assert!(!rig.run.accepts_not_before(at(5)));
    rig.tell(Event::Command(Command::NotBefore(at(5))));
    assert_eq!(rig.run.not_before, None);
}

#[test]
fn traffic_that_came_later_than_was_taken_for_is_never_earlier() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    for (told, expected) in [(5, 5), (9, 9), (7, 9)] {
        rig.tell(Event::Command(Command::NoTrafficBefore(at(told))));
        assert_eq!(rig.run.not_before, Some(at(expected)));
    }
    rig.tell(Event::Command(Command::Terminate));
    rig.tell(Event::Command(Command::NoTrafficBefore(at(20))));
    assert_eq!(rig.run.not_before, Some(at(9)));
}

#[test]
fn an_endless_run_can_be_concluded_at_once() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 1_000);
    assert_eq!(rig.run.lacking(), Vec::<String>::new());
    rig.now = at(90_500);
    rig.tell(Event::Command(Command::Conclude));
    assert_eq!(rig.run.phase, Phase::Successful);
    assert_eq!(rig.run.completed_at, Some(at(90_500)));
    assert_eq!(
        rig.run.explanation(),
        "concluded after 1m30s; good measurements: apdex 1 of 1"
    );
    assert_eq!(rig.run.metrics[0].cut_short, Some(Stop::Concluded));
}

#[test]
fn what_is_concluded_without_evidence_is_inconclusive() {
    let mut rig = by_hand(run_of(vec![endless("apdex")]));
    assert_eq!(rig.run.lacking(), ["metric \"apdex\": no good measurement"]);
    rig.tell(Event::Command(Command::Conclude));
    assert_eq!(rig.run.phase, Phase::Inconclusive);
    assert_eq!(
        rig.run.message,
        "concluded after 0s: metric \"apdex\": no good measurement"
    );
}

#[test]
fn a_conclusion_waits_for_what_is_in_flight() {
    let mut rig = by_hand(run_of(vec![tolerant(endless("apdex"), 0)]));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 1_000);
    due(&mut rig, 301_000);
    rig.tell(Event::Command(Command::Conclude));
    assert_eq!(rig.run.phase, Phase::Running);
    assert_eq!(rig.run.next_due(), None);
    // What it waited for has the last word.
    answer(&mut rig, 0, 2, Phase::Failed, 302_000);
    assert_eq!(rig.run.phase, Phase::Failed);
}

#[test]
fn nobody_concludes_a_run_with_an_end_of_its_own() {
    let finite = MetricPlan {
        limits: Limits {
            count: 2,
            ..Limits::default()
        },
        ..endless("apdex")
    };
    let mut rig = by_hand(run_of(vec![finite]));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 1_000);
    rig.tell(Event::Command(Command::Conclude));
    assert!(!rig.run.is_endless());
    assert_eq!(rig.run.phase, Phase::Running);
    assert_eq!(rig.run.next_due(), Some(at(301_000)));
    assert_eq!(rig.run.conclude_after, None);
}

#[test]
fn a_streak_that_was_asked_for_is_not_reached_by_a_conclusion() {
    let streak = MetricPlan {
        limits: Limits {
            consecutive_success: 2,
            ..Limits::default()
        },
        ..endless("apdex")
    };
    let mut rig = by_hand(run_of(vec![streak]));
    due(&mut rig, 0);
    answer(&mut rig, 0, 1, Phase::Successful, 1_000);
    assert_eq!(
        rig.run.lacking(),
        ["metric \"apdex\": consecutiveSuccess (1) < consecutiveSuccessLimit (2)"]
    );
    rig.tell(Event::Command(Command::Conclude));
    assert_eq!(rig.run.phase, Phase::Inconclusive);
}

#[test]
fn an_ended_run_says_why_in_one_line() {
    let check = |limits: Limits, letters: &str, expected: &str| {
        let plan = MetricPlan {
            limits,
            ..metric("apdex", Some(MINUTE))
        };
        let rig = play(run_of(vec![plan]), &[letters]);
        assert_eq!(rig.run.explanation(), expected);
    };
    let limits = Limits::default();
    check(limits, "SS", "");
    check(
        Limits {
            failure: 3,
            ..limits
        },
        "SFFSFSF",
        "apdex failed 4 of 7 measurements (limit 3)",
    );
    check(
        Limits {
            failure: 9,
            consecutive_failure: 2,
            ..limits
        },
        "SFSFF",
        "apdex failed 2 times in a row (limit 2)",
    );
    check(
        limits,
        "SI",
        "apdex was inconclusive in 1 of 2 measurements (limit 0)",
    );
    check(
        limits,
        "SEEEEE",
        "apdex could not be measured 5 times in a row (limit 4)",
    );
    check(
        Limits {
            count: 3,
            failure: 2,
            consecutive_success: 3,
            ..limits
        },
        "SFS",
        "apdex did not succeed 3 times in a row within 3 measurements",
    );
}

#[test]
fn the_line_ends_with_what_the_last_measurement_said() {
    let script = vec![Answer {
        message: "why".to_owned(),
        ..Answer::new(Phase::Failed)
    }];
    let mut rig = Rig::new(run_of(vec![metric("apdex", None)]), vec![script.into()]);
    rig.play();
    assert_eq!(
        rig.run.explanation(),
        "apdex failed 1 of 1 measurements (limit 0); the last: why"
    );

    let script = vec![Answer {
        value: "9611".to_owned(),
        ..Answer::new(Phase::Failed)
    }];
    let mut rig = Rig::new(run_of(vec![metric("apdex", None)]), vec![script.into()]);
    rig.play();
    assert_eq!(
        rig.run.explanation(),
        "apdex failed 1 of 1 measurements (limit 0); the last: 9611"
    );
}

#[test]
fn the_line_prefers_the_reason_of_the_condition_that_decided() {
    let decided = Decided {
        side: Side::Success,
        condition: "all(values >= 9900)".to_owned(),
        holds: false,
        reason: "1 of 3 points below 9900: 12:04 9611".to_owned(),
        points: vec![(0, 1)],
    };
    let explanation = Explanation {
        server: String::new(),
        request: String::new(),
        window: None,
        skew: None,
        series: Vec::new(),
        decided: Some(decided),
        no_data: false,
        error: None,
        notes: Vec::new(),
    };
    let mut rig = by_hand(run_of(vec![metric("apdex", None)]));
    due(&mut rig, 0);
    rig.tell(Event::Measured {
        metric: 0,
        measurement: Measurement {
            value: "[9950,9611,9970]".to_owned(),
            explanation: Some(Box::new(explanation)),
            ..measured(1, Phase::Failed, 0)
        },
    });
    assert_eq!(
        rig.run.explanation(),
        "apdex failed 1 of 1 measurements (limit 0); the last: 1 of 3 points below 9900: 12:04 9611"
    );
    // Argo's sentence stays as Argo writes it.
    assert_eq!(
        rig.run.message,
        "Metric \"apdex\" assessed Failed due to failed (1) > failureLimit (0)"
    );
}
