//! What steps and analyses do to a rollout.

use std::time::Duration;

use serde_json::{Value, json};
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{AnalysisKind, Command, Effect, Event, Posted, Promotion, Settings};
use skygate::domain::run::RunId;

use super::driver::{Stage, at, canary, weight};

fn play(canary: &Value) -> Stage {
    Stage::new(canary, Settings::default())
}

/// A rollout that stands at a step analysis, with an analysis beside it.
fn at_analysis() -> Stage {
    play(&json!({
        "steps": [
            {"setWeight": 20},
            {"analysis": {"templates": [{"templateName": "smoke"}]}},
            {"setWeight": 60},
            {"pause": {}},
        ],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    }))
}

const STEP: AnalysisKind = AnalysisKind::Step(1);

/// The table of outcomes in `rollout-steps.md`: what each phase of each kind of analysis does.
#[test]
fn analyses_do_what_argos_do() {
    let check = |kind: AnalysisKind, phase: Phase, expected: &str| {
        let mut stage = at_analysis();
        stage.see(kind, phase, phase == Phase::Successful);
        assert_eq!(stage.line(), expected, "{kind} {phase}");
    };
    let waiting = "Progressing 1 [80, 20] waiting for all steps to complete";
    let next = "Paused 3 [40, 60] CanaryPauseStep";
    let inconclusive = "Paused 1 [80, 20] InconclusiveAnalysisRun";
    let of_step = "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1: Step-based analysis phase error/failed";
    let beside = "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1: Background analysis phase error/failed";
    let why = ": Metric \"apdex\" assessed Failed";

    check(STEP, Phase::Successful, next);
    check(STEP, Phase::Failed, &format!("{of_step}{why}"));
    check(STEP, Phase::Error, of_step);
    check(STEP, Phase::Inconclusive, inconclusive);
    check(STEP, Phase::Running, waiting);
    check(AnalysisKind::Background, Phase::Successful, waiting);
    check(
        AnalysisKind::Background,
        Phase::Failed,
        &format!("{beside}{why}"),
    );
    check(AnalysisKind::Background, Phase::Error, beside);
    check(AnalysisKind::Background, Phase::Inconclusive, inconclusive);
    check(AnalysisKind::Background, Phase::Running, waiting);
}

#[test]
fn a_weight_is_routed_before_its_step_is_done() {
    let mut stage = play(&canary());
    stage.begin_only(&canary(), "v3");
    let wanted = |stage: &Stage| {
        stage.effects.iter().find_map(|effect| match effect {
            Effect::SetWeight { weight, .. } => Some(weight.percent()),
            _ => None,
        })
    };
    assert_eq!(wanted(&stage), Some(20));
    assert_eq!(stage.rollout.step, 0);

    // Another weight than that, late or by another hand, is no end of the step.
    stage.feed_only(Event::Routed { weight: weight(60) });
    assert_eq!((wanted(&stage), stage.rollout.step), (Some(20), 0));
    stage.feed_only(Event::Unroutable {
        message: "the API server does not answer".to_owned(),
    });
    assert_eq!((wanted(&stage), stage.rollout.step), (Some(20), 0));
    assert!(stage.rollout.trouble.is_some());
    stage.feed_only(Event::Routed { weight: weight(20) });
    assert_eq!((wanted(&stage), stage.rollout.step), (None, 1));
    assert_eq!(stage.rollout.trouble, None);
}

#[test]
fn a_pause_is_over_once_its_end_is_past() {
    let mut stage = play(&json!({"steps": [{"setWeight": 20}, {"pause": {"duration": 60}}]}));
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    stage.pass(59);
    assert_eq!(stage.rollout.step, 1);
    stage.pass(1);
    assert_eq!(stage.rollout.step, 1, "its end is not past");
    stage.wake();
    assert_eq!(stage.rollout.step, 2);
    assert_eq!(stage.now, at(60) + std::time::Duration::from_millis(1));
}

#[test]
fn a_pause_of_no_time_passes_at_the_next_look() {
    let mut stage =
        play(&json!({"steps": [{"pause": {"duration": 0}}, {"setWeight": 20}, {"pause": {}}]}));
    assert_eq!(stage.rollout.step, 0);
    stage.wake();
    assert_eq!(stage.line(), "Paused 2 [80, 20] CanaryPauseStep");
}

#[test]
fn weights_that_are_there_already_take_no_time() {
    let stage = play(
        &json!({"steps": [{"setWeight": 0}, {"setWeight": 20}, {"setWeight": 20}, {"pause": {}}]}),
    );
    assert_eq!(stage.weights, [0, 20]);
    assert_eq!(stage.rollout.step, 3);
}

#[test]
fn without_steps_all_traffic_goes_over_at_once() {
    let stage = play(&json!({}));
    assert_eq!(stage.weights, [100]);
    assert!(
        stage
            .rollout
            .status()
            .1
            .starts_with("all traffic goes to the canary")
    );
}

#[test]
fn the_analysis_beside_the_steps_waits_for_its_step() {
    let mut canary = canary();
    canary["analysis"]["startingStep"] = json!(2);
    let mut stage = play(&canary);
    assert_eq!(stage.started, [""; 0]);
    stage.say(Command::Promote);
    assert_eq!(stage.started, ["reviews-v2-1"]);
}

#[test]
fn the_analysis_beside_the_steps_starts_although_paused_by_hand() {
    let mut stage = play(&canary());
    stage.begin_only(&canary(), "v3");
    stage.posted += 1;
    stage.feed_only(Event::Command(Posted {
        number: stage.posted,
        command: Command::Pause,
        seen: None,
    }));
    // Its weight was being set by then.
    stage.feed(Event::Routed { weight: weight(20) });
    assert_eq!(stage.line(), "Paused 0 [80, 20] manually paused");
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v3-2"]);
}

#[test]
fn a_successful_analysis_beside_the_steps_is_not_run_again() {
    let mut stage = play(&canary());
    stage.see_background(Phase::Successful, true);
    stage.say(Command::Promote);
    assert_eq!(stage.started, ["reviews-v2-1"]);
    assert_eq!(stage.weights, [20, 60, 100]);
}

#[test]
fn the_analysis_beside_the_steps_aborts_even_during_a_pause_by_hand() {
    let mut stage = play(&canary());
    stage.say(Command::Pause);
    stage.see_background(Phase::Failed, false);
    assert_eq!(stage.weights, [20, 0]);
    assert!(stage.rollout.aborted.is_some());
}

#[test]
fn an_inconclusive_analysis_holds_the_weight() {
    let mut stage = play(&json!({
        "steps": [{"setWeight": 20}, {"pause": {"duration": 60}}, {"setWeight": 60}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    }));
    stage.see_background(Phase::Inconclusive, false);
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    // The pause runs out, but nothing follows.
    stage.wake();
    assert_eq!(stage.line(), "Paused 2 [80, 20] InconclusiveAnalysisRun");
    stage.pass(100_000);
    assert_eq!(stage.weights, [20]);
    // Somebody goes on: the step that was reached is done, and judged by a fresh run.
    stage.say(Command::Promote);
    assert_eq!(stage.line(), "Paused 3 [40, 60] CanaryPauseStep");
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1.1"]);
    stage.see_background(Phase::Failed, false);
    assert_eq!(stage.weights, [20, 60, 0]);
}

#[test]
fn an_inconclusive_analysis_is_promoted_past_a_pause() {
    let mut stage = play(&canary());
    stage.see_background(Phase::Inconclusive, false);
    assert_eq!(stage.rollout.step, 1);
    stage.say(Command::Promote);
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1.1"]);
    assert_eq!(
        stage.line(),
        "Paused 3 [40, 60] NoEvidence",
        "the pause counts as done"
    );
}

#[test]
fn an_inconclusive_step_is_promoted_to_the_next_one() {
    let mut stage = at_analysis();
    stage.see(STEP, Phase::Inconclusive, false);
    stage.say(Command::Promote);
    assert_eq!(stage.line(), "Paused 3 [40, 60] CanaryPauseStep");
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1-1"]);
}

#[test]
fn evidence_is_asked_for_before_the_end() {
    let mut stage = play(&canary());
    stage.say(Command::Promote);
    assert_eq!(stage.line(), "Paused 3 [40, 60] NoEvidence");
    // Being under way is no evidence, nor is an end without a good measurement.
    stage.see_background(Phase::Running, false);
    stage.see_background(Phase::Successful, false);
    assert_eq!(stage.line(), "Paused 3 [40, 60] NoEvidence");
    assert_eq!(stage.weights, [20, 60]);
    // Somebody promotes it all the same.
    stage.say(Command::Promote);
    assert_eq!(stage.weights, [20, 60, 100]);
}

#[test]
fn the_rollout_goes_on_when_the_evidence_comes() {
    let mut stage = play(&canary());
    stage.say(Command::Promote);
    stage.see_background(Phase::Running, true);
    assert_eq!(stage.weights, [20, 60, 100]);
    assert_eq!(stage.ended, ["reviews-v2-1"]);
}

#[test]
fn a_canary_without_traffic_gets_it_before_it_has_evidence() {
    let mut stage = play(&json!({"analysis": {"templates": [{"templateName": "apdex"}]}}));
    assert_eq!(stage.weights, [100]);
    assert_eq!(stage.line(), "Paused 0 [0, 100] NoEvidence");
    stage.see_background(Phase::Running, true);
    assert!(stage.outcome().is_some());
}

#[test]
fn a_step_is_not_done_by_a_run_that_measured_nothing() {
    let mut stage = at_analysis();
    stage.see(STEP, Phase::Successful, false);
    assert_eq!(stage.line(), "Paused 1 [80, 20] NoEvidence");
    stage.pass(1_000);
    assert_eq!(stage.weights, [20]);
    stage.say(Command::Promote);
    assert_eq!(stage.line(), "Paused 3 [40, 60] CanaryPauseStep");
}

#[test]
fn no_step_analysis_begins_while_the_other_one_is_inconclusive() {
    let mut stage = play(&json!({
        "steps": [
            {"setWeight": 20},
            {"pause": {"duration": 60}},
            {"analysis": {"templates": [{"templateName": "smoke"}]}},
        ],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    }));
    stage.see_background(Phase::Inconclusive, false);
    stage.wake();
    assert_eq!(stage.rollout.step, 2);
    assert_eq!(stage.started, ["reviews-v2-1"]);
    stage.say(Command::Promote);
    assert_eq!(
        stage.started,
        ["reviews-v2-1", "reviews-v2-1.1", "reviews-v2-1-2.1"]
    );
}

#[test]
fn a_refused_analysis_aborts() {
    let mut stage = play(&canary());
    stage.begin_only(&canary(), "v3");
    stage.feed_only(Event::Routed { weight: weight(20) });
    let background = stage.rollout.background.as_ref().expect("it is wanted");
    let key = background.key.clone();
    stage.feed(Event::AnalysisRefused {
        key,
        message: "no AnalysisTemplate `apdex`".to_owned(),
    });
    assert_eq!(
        stage.line(),
        "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: no AnalysisTemplate `apdex`"
    );
}

#[test]
fn a_lost_run_is_begun_anew() {
    let mut stage = at_analysis();
    stage.feed(Event::AnalysisGone {
        run: RunId("reviews-v2-1".to_owned()),
    });
    stage.feed(Event::AnalysisGone {
        run: RunId("reviews-v2-1-1".to_owned()),
    });
    assert_eq!(
        stage.started,
        [
            "reviews-v2-1",
            "reviews-v2-1-1",
            "reviews-v2-1.1",
            "reviews-v2-1-1.2"
        ]
    );
    assert_eq!(stage.rollout.step, 1);
    // What is known of a run that was over stays known.
    stage.see(STEP, Phase::Successful, true);
    let before = stage.rollout.clone();
    stage.feed(Event::AnalysisGone {
        run: RunId("reviews-v2-1-1.2".to_owned()),
    });
    assert_eq!(stage.rollout, before);
}

#[test]
fn an_ended_run_stays_ended() {
    let mut stage = play(&canary());
    stage.see_background(Phase::Failed, false);
    let before = stage.rollout.clone();
    stage.feed(Event::AnalysisSeen {
        run: RunId("reviews-v2-1".to_owned()),
        phase: Phase::Running,
        message: String::new(),
        evidence: true,
    });
    assert_eq!(stage.rollout, before);
}

#[test]
fn an_analysis_that_is_no_longer_wanted_is_ended_even_if_its_run_is_unknown() {
    let mut stage = play(&canary());
    stage.begin_only(&canary(), "v3");
    stage.feed_only(Event::Routed { weight: weight(20) });
    // The service was asked, and has not answered when somebody aborts.
    stage.feed_only(Event::Interrupted);
    let key = stage
        .rollout
        .earlier
        .last()
        .expect("it was dropped")
        .key
        .clone();
    let of = |run: Option<&str>| Effect::EndAnalysis {
        key: key.clone(),
        run: run.map(|run| RunId(run.to_owned())),
    };
    assert!(stage.effects.contains(&of(None)), "{:?}", stage.effects);
    // Its answer comes after all.
    stage.feed_only(Event::AnalysisStarted {
        key: key.clone(),
        run: RunId("r".to_owned()),
    });
    assert!(stage.effects.contains(&of(Some("r"))));
    stage.feed(Event::AnalysisEnded { key });
    assert!(stage.outcome().is_some());
}

/// Nobody gives it a share, so what it is tried with is its evidence; what was there before it began is not.
#[test]
fn a_dark_launch_is_judged_from_its_beginning() {
    let mut stage = play(&json!({
        "steps": [{"setWeight": 0}, {"pause": {"duration": 60}}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    }));
    let background = stage.rollout.background.as_ref().expect("it runs");
    assert_eq!(background.not_before, Some(at(0)));
    stage.wake();
    assert_eq!(stage.line(), "Paused 2 [100, 0] NoEvidence");
    stage.see_background(Phase::Running, true);
    assert_eq!(stage.line().split(' ').nth(2), Some("[0,"));
}

/// Without steps all traffic comes first, and the evidence after it.
#[test]
fn without_steps_evidence_is_waited_for_with_all_traffic() {
    let mut stage = play(&json!({"analysis": {"templates": [{"templateName": "apdex"}]}}));
    assert_eq!(stage.line(), "Paused 0 [0, 100] NoEvidence");
    let background = stage.rollout.background.as_ref().expect("it runs");
    assert_eq!(background.not_before, stage.rollout.traffic_since);
    stage.see_background(Phase::Running, true);
    assert_eq!(stage.rollout.promotion, Promotion::Unconfirmed);
}

/// The router is away, and somebody goes on from step to step all the same.
#[test]
fn steps_that_name_weights_never_lead_to_all_traffic_without_evidence() {
    let mut stage = play(&json!({
        "steps": [{"pause": {}}, {"setWeight": 20}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    }));
    for _ in 0..3 {
        stage.posted += 1;
        stage.feed_only(Event::Command(Posted {
            number: stage.posted,
            command: Command::Promote,
            seen: None,
        }));
    }
    stage.feed(Event::Tick);
    assert_eq!(stage.line(), "Paused 3 [80, 20] NoEvidence");
    stage.see_background(Phase::Running, true);
    assert_eq!(stage.weights, [0, 20, 100]);
}

#[test]
fn an_analysis_that_cannot_be_seen_holds_the_steps_and_then_aborts() {
    let settings = Settings {
        abort_when_blind: Some(Duration::from_mins(1)),
        ..Settings::default()
    };
    let canary = json!({
        "steps": [{"setWeight": 20}, {"pause": {"duration": 30}}, {"setWeight": 60}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    });
    let mut stage = Stage::new(&canary, settings);
    let out_of_sight = Event::AnalysisOutOfSight {
        key: stage
            .rollout
            .background
            .as_ref()
            .expect("it runs")
            .key
            .clone(),
        message: "no answer".to_owned(),
    };
    stage.feed(out_of_sight);
    let told = &stage.rollout.history.back().expect("it is told").note;
    assert_eq!(told, "cannot see the analysis reviews-v2-1: no answer");
    stage.pass(40);
    assert_eq!(stage.weights, [20]);
    let mut seen = stage.clone();
    seen.see_background(Phase::Running, true);
    assert_eq!(seen.weights, [20, 60]);
    stage.wake();
    assert_eq!(stage.now, at(60));
    assert_eq!(
        stage.line(),
        "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1: an analysis was out of sight for 1m"
    );
}
