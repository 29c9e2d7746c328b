//! A rollout as people look at it.

use serde_json::json;
use skygate::domain::measurement::{Decided, Explanation, Measurement, Phase, Side};
use skygate::domain::reading::{Point, PointKind, Series};
use skygate::domain::rollout::desk::Letter;
use skygate::domain::rollout::{
    Around, Command, Event, HookPolicy, Latest, MetricSummary, Posted, RunSummary, Settings,
    Stepping, Version, draw,
};
use skygate::domain::run::RunId;

use crate::judging::driver::{self, measured, run_of};

use super::driver::{Stage, at, canary, hook, spec};

fn metric(name: &str, counts: [u64; 4], latest: Option<Latest>) -> MetricSummary {
    let [successful, failed, inconclusive, error] = counts;
    MetricSummary {
        name: name.to_owned(),
        phase: Phase::Running,
        successful,
        failed,
        inconclusive,
        error,
        latest,
    }
}

fn run(name: &str, phase: Phase, metrics: Vec<MetricSummary>) -> RunSummary {
    RunSummary {
        run: RunId(name.to_owned()),
        phase,
        metrics,
    }
}

fn with(stage: &Stage, runs: &[RunSummary], waiting: &[Letter], stepping: Stepping<'_>) -> String {
    let around = Around {
        runs,
        waiting,
        stepping,
    };
    draw(&stage.rollout, &around, stage.now)
}

fn letter(command: Command, by: &str, seconds: i64) -> Letter {
    Letter {
        posted: Posted {
            number: 1,
            command,
            seen: None,
        },
        by: by.to_owned(),
        at: at(seconds),
    }
}

fn shown(stage: &Stage, runs: &[RunSummary]) -> String {
    with(stage, runs, &[], Stepping::Here)
}

#[test]
fn under_way() {
    let mut stage = Stage::new(&canary(), hook());
    stage.rollout.stable = Some(Version {
        name: "v1".to_owned(),
        image: Some("registry/reviews:v1".to_owned()),
    });
    stage.rollout.revision.version.image = Some("registry/reviews:v2".to_owned());
    stage.pass(725);
    let latest = Latest {
        at: at(700),
        phase: Phase::Successful,
        values: "9950, 10000, 9980".to_owned(),
        condition: "all(values >= 9900)".to_owned(),
    };
    let runs = [run(
        "reviews-v2-1",
        Phase::Running,
        vec![
            metric("apdex", [4, 1, 0, 1], Some(latest)),
            metric("errors", [0; 4], None),
        ],
    )];
    insta::assert_snapshot!(shown(&stage, &runs), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ॥ Paused
    Message:         CanaryPauseStep
    Strategy:        Canary
      Step:          1/3
      SetWeight:     20
      ActualWeight:  20
    Images:          registry/reviews:v2 (canary)
                     registry/reviews:v1 (stable)

    NAME                  KIND         STATUS        AGE  INFO
    ⟳ reviews             Rollout      ॥ Paused      12m
    └──# revision:1                                       v2,canary
       └──α reviews-v2-1  AnalysisRun  ◌ Running     12m  ✔ 4,✖ 1,⚠ 1
          ├──apdex        Metric       ✔ Successful  25s  9950, 10000, 9980 against all(values >= 9900)
          └──errors       Metric       ◌ Running
    ");
}

#[test]
fn rolled_back_and_begun_again() {
    let mut stage = Stage::new(&canary(), hook());
    stage.pass(300);
    stage.see_background(Phase::Failed, false);
    stage.pass(60);
    stage.say(Command::Retry);
    stage.pass(30);
    stage.say(Command::Abort);
    stage.begin(&canary(), "v3");
    stage.pass(8);
    let bad = Latest {
        at: at(300),
        phase: Phase::Failed,
        values: "3 of 3 points below 9900:\n23:55 3333, 23:56 2500, 23:57 5000".to_owned(),
        condition: "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})".to_owned(),
    };
    let runs = [
        run(
            "reviews-v2-1",
            Phase::Failed,
            vec![metric("apdex", [1, 4, 0, 0], Some(bad))],
        ),
        run(
            "reviews-v2-1.1",
            Phase::Successful,
            vec![metric("apdex", [0; 4], None)],
        ),
    ];
    insta::assert_snapshot!(shown(&stage, &runs), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ॥ Paused
    Message:         CanaryPauseStep
    Strategy:        Canary
      Step:          1/3
      SetWeight:     20
      ActualWeight:  20

    NAME                    KIND         STATUS        AGE    INFO
    ⟳ reviews               Rollout      ॥ Paused      6m38s
    ├──# revision:2                                           v3,canary
    │  └──α reviews-v3-2    AnalysisRun  ◷ Pending     8s
    └──# revision:1                                           v2
       ├──α reviews-v2-1    AnalysisRun  ✖ Failed      6m38s  ✔ 1,✖ 4
       │  └──apdex          Metric       ✖ Failed      98s    3 of 3 points below 9900: 23:55 3333, 23:56 2500, 23:57 5000 against all(result.service_apdex.values.values, {asFloat(.v…
       └──α reviews-v2-1.1  AnalysisRun  ✔ Successful  38s
          └──apdex          Metric       ◌ Running
    ");
}

#[test]
fn promoted() {
    let mut stage = Stage::new(&json!({"steps": [{"setWeight": 20}]}), hook());
    stage.hook_ends(true, "");
    stage.pass(20_000);
    stage.feed(Event::Begun {
        spec: spec(&canary()),
        version: Version::named("v3"),
    });
    insta::assert_snapshot!(shown(&stage, &[]), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ॥ Paused
    Message:         CanaryPauseStep
    Strategy:        Canary
      Step:          1/3
      SetWeight:     20
      ActualWeight:  20

    NAME                  KIND         STATUS     AGE    INFO
    ⟳ reviews             Rollout      ॥ Paused   5h33m
    ├──# revision:2                                      v3,canary
    │  └──α reviews-v3-2  AnalysisRun  ◷ Pending  0s
    └──# revision:1                                      v2,stable
    ");
    let mut stage = Stage::new(&json!({"steps": [{"setWeight": 20}]}), hook());
    stage.hook_ends(true, "");
    insta::assert_snapshot!(shown(&stage, &[]), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ✔ Healthy
    Strategy:        Canary
      Step:          1/1
      SetWeight:     100
      ActualWeight:  100

    NAME             KIND     STATUS     AGE  INFO
    ⟳ reviews        Rollout  ✔ Healthy  0s
    └──# revision:1                           v2,stable
    ");
}

#[test]
fn in_trouble_and_out_of_sight() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.feed_only(Event::TakenOver(Settings::default()));
    stage.feed_only(Event::Unroutable {
        message: "the API server does not answer".to_owned(),
    });
    stage.feed_only(Event::Blind { since: at(30) });
    stage.now = at(90);
    insta::assert_snapshot!(shown(&stage, &[]), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ॥ Paused
    Message:         CanaryPauseStep
    Trouble:         the API server does not answer (for 90s)
    Out of sight:    for 60s; the weight is held
    Strategy:        Canary
      Step:          1/3
      SetWeight:     20
      ActualWeight:  20

    NAME                  KIND         STATUS     AGE  INFO
    ⟳ reviews             Rollout      ॥ Paused   90s
    └──# revision:1                                    v2,canary
       └──α reviews-v2-1  AnalysisRun  ◷ Pending  90s
    ");
}

#[test]
fn a_pause_that_somebody_has_just_ended_is_one_no_more() {
    let stage = Stage::new(&json!({"steps": [{"pause": {}}]}), Settings::default());
    let by = Stepping::By {
        holder: "host/17/ab",
        seen_at: at(-4),
    };
    let promote = [letter(Command::Promote, "", -2)];
    let shown = with(&stage, &[], &promote, by);
    let head: Vec<&str> = shown.lines().take(6).collect();
    insta::assert_snapshot!(head.join("\n"), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ◌ Progressing
    Message:         waiting for rollout to unpause
    Stepper:         host/17/ab, seen 4s ago
    Waiting:         promote (posted 2s ago)
    ");
    let shown = with(&stage, &[], &[letter(Command::Abort, "", 0)], by);
    assert!(shown.contains("Status:          ॥ Paused\n"), "{shown}");
}

/// The lines above the strategy.
fn head(shown: &str) -> String {
    let head = shown
        .lines()
        .take_while(|line| !line.starts_with("Strategy"));
    head.collect::<Vec<_>>().join("\n")
}

#[test]
fn nobody_steps_it_and_that_is_said() {
    let mut stage = Stage::new(&json!({"steps": [{"pause": {}}]}), Settings::default());
    stage.pass(100);
    let waiting = [
        letter(Command::Promote, "jane", 88),
        letter(Command::Pause, "", 97),
    ];
    insta::assert_snapshot!(head(&with(&stage, &[], &waiting, Stepping::Nobody)), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ॥ Paused
    Message:         CanaryPauseStep
    Stepper:         none, nothing moves: run `skygate rollout run -f …`
    Waiting:         promote (posted 12s ago by jane)
                     pause (posted 3s ago)
    ");
    // One that is over needs nobody, until somebody wants something of it.
    stage.say(Command::Abort);
    let over = with(&stage, &[], &[], Stepping::Nobody);
    assert!(!over.contains("Stepper:"), "{over}");
    let over = with(
        &stage,
        &[],
        &[letter(Command::Retry, "", 99)],
        Stepping::Nobody,
    );
    assert!(
        over.contains("Stepper:         none, nothing moves"),
        "{over}"
    );
}

#[test]
fn a_lack_of_evidence_says_what_ends_it() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.say(Command::Promote);
    let shown = shown(&stage, &[]);
    insta::assert_snapshot!(head(&shown), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ॥ Paused
    Message:         NoEvidence
                     nothing good was measured yet: it goes on once that is, or with `rollout promote`
    ");
}

#[test]
fn what_a_failed_hook_said_at_last_is_shown() {
    let mut stage = Stage::new(
        &json!({"steps": [{"setWeight": 20}]}),
        Settings {
            hook: Some(HookPolicy {
                tries: 1,
                ..HookPolicy::default()
            }),
            abort_when_blind: None,
            router: None,
        },
    );
    stage.hook_ends(false, "1\n2\n3\n4\n5\nno quota\nasked for 3");
    insta::assert_snapshot!(head(&shown(&stage, &[])), @r"
    Name:            reviews
    Namespace:       bookinfo
    Status:          ✖ Degraded
    Message:         PromotionFailed: the on-promote hook failed (try 1 of 1): asked for 3
    Hook said:       3
                     4
                     5
                     no quota
                     asked for 3
    ");
}

#[test]
fn a_run_is_summed_up() {
    let series = |name: &str, values: &[f64]| Series {
        name: name.to_owned(),
        path: None,
        points: values
            .iter()
            .map(|value| Point {
                at: None,
                value: Some(*value),
                kind: PointKind::Data,
            })
            .collect(),
    };
    let explanation = |series| Explanation {
        server: String::new(),
        request: String::new(),
        window: None,
        skew: None,
        series,
        decided: Some(Decided {
            side: Side::Success,
            condition: "all(values >= 9900)".to_owned(),
            holds: true,
            reason: String::new(),
            points: Vec::new(),
        }),
        no_data: false,
        error: None,
        notes: Vec::new(),
    };
    let check = |measured: Measurement, values: &str, condition: &str| {
        let mut run = run_of(vec![driver::metric("apdex", Some(60))]);
        run.metrics[0].counts.successful = 3;
        run.metrics[0].measurements.push_back(measured);
        let summary = RunSummary::of(&run);
        assert_eq!(summary.metrics[0].successful, 3);
        let latest = summary.metrics[0].latest.as_ref().expect("it was measured");
        assert_eq!((&*latest.values, &*latest.condition), (values, condition));
    };
    let plain = || measured(1, Phase::Successful, 0);
    let explained = |series| Measurement {
        explanation: Some(Box::new(explanation(series))),
        ..plain()
    };
    let condition = "all(values >= 9900)";
    let long: Vec<f64> = (1..=10_u8).map(f64::from).collect();
    check(
        explained(vec![series("a", &[9950.0, 0.5])]),
        "9950, 0.5",
        condition,
    );
    check(
        explained(vec![
            series("a", &[1.0]),
            series("b", &[2.0]),
            series("c", &[]),
        ]),
        "a: 1; b: 2",
        condition,
    );
    check(
        explained(vec![series("a", &long)]),
        "3, 4, 5, 6, 7, 8, 9, 10",
        condition,
    );
    check(
        Measurement {
            message: "no data in service_apdex".to_owned(),
            ..explained(vec![series("a", &[])])
        },
        "no data in service_apdex",
        "",
    );
    check(
        Measurement {
            value: "[1]".to_owned(),
            ..plain()
        },
        "[1]",
        "",
    );
}
