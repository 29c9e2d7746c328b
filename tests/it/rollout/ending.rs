//! How a rollout ends, what follows it, and what becomes of it when nobody can see it.

use std::time::Duration;

use serde_json::json;
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{
    Command, Difference, Effect, Event, Outcome, Posted, Promotion, Rollout, Settings, Version,
};

use super::driver::{Stage, at, canary, hook, spec, weight};

/// A rollout whose canary has all traffic.
fn at_the_end(settings: Settings) -> Stage {
    let mut stage = Stage::new(&canary(), settings);
    stage.see_background(Phase::Running, true);
    stage.say(Command::Promote);
    assert_eq!(stage.weights, [20, 60, 100]);
    stage
}

#[test]
fn the_weights_return_once_the_hook_has_made_the_canary_stable() {
    let mut stage = at_the_end(hook());
    assert_eq!(
        stage.line(),
        "Progressing 3 [0, 100] waiting for the on-promote hook"
    );
    assert_eq!(stage.ended, ["reviews-v2-1"]);
    assert_eq!(stage.outcome(), None);
    stage.hook_ends(true, "deployment.apps/reviews patched\n");
    assert_eq!(stage.line(), "Healthy 3 [100, 0]");
    assert_eq!(stage.outcome(), Some(Outcome::Promoted));
    assert_eq!(stage.rollout.stable, Some(Version::named("v2")));
    assert_eq!(stage.rollout.hook_output, "deployment.apps/reviews patched");
}

#[test]
fn the_hook_waits_until_all_traffic_is_routed() {
    let mut stage = at_the_end(hook());
    let runs_hook = |stage: &Stage| {
        let is_it = |effect: &Effect| matches!(effect, Effect::RunHook { .. });
        stage.effects.iter().any(is_it)
    };
    assert!(runs_hook(&stage));
    stage.feed_only(Event::TakenOver(hook()));
    assert!(!runs_hook(&stage), "who knows what is routed?");
    stage.feed(Event::Tick);
    assert!(runs_hook(&stage));
}

#[test]
fn a_hook_that_fails_is_tried_again_and_leaves_the_traffic_where_it_is() {
    let mut stage = at_the_end(hook());
    stage.hook_ends(false, "");
    assert_eq!(stage.outcome(), None);
    stage.pass(9);
    assert!(
        !stage
            .effects
            .iter()
            .any(|it| matches!(it, Effect::RunHook { .. }))
    );
    stage.wake();
    stage.hook_ends(false, "connecting\nno route to host\n");
    stage.pass(19);
    stage.wake();
    assert_eq!(stage.now, at(30));
    stage.hook_ends(false, "connecting\nno route to host\n");
    assert_eq!(
        stage.line(),
        "Degraded 3 [0, 100] PromotionFailed: the on-promote hook failed (try 3 of 3): no route to host"
    );
    assert_eq!(stage.outcome(), Some(Outcome::PromotionFailed));
    assert_eq!(stage.weights, [20, 60, 100]);

    // Three ways out of it.
    let mut again = stage.clone();
    again.say(Command::Retry);
    again.wake();
    again.hook_ends(true, "");
    assert_eq!(again.outcome(), Some(Outcome::Promoted));
    let mut by_hand = stage.clone();
    by_hand.say(Command::Confirm);
    assert_eq!(by_hand.line(), "Healthy 3 [100, 0]");
    stage.say(Command::Abort);
    assert_eq!(stage.outcome(), Some(Outcome::Aborted));
}

#[test]
fn an_answer_of_another_try_of_the_hook_changes_nothing() {
    let mut stage = at_the_end(hook());
    let Some(Effect::RunHook { key }) = stage.effects.first().cloned() else {
        panic!("{:?}", stage.effects);
    };
    stage.hook_ends(false, "");
    let late = |is_success| Event::HookEnded {
        key: key.clone(),
        is_success,
        output: String::new(),
    };
    for event in [late(true), late(false)] {
        let before = stage.rollout.clone();
        stage.feed(event);
        assert_eq!(stage.rollout, before);
    }
}

#[test]
fn nothing_goes_back_to_the_old_version_while_the_hook_runs() {
    let mut stage = at_the_end(Settings {
        abort_when_blind: Some(Duration::from_mins(1)),
        router: None,
        ..hook()
    });
    for command in [
        Command::Abort,
        Command::Pause,
        Command::Promote,
        Command::PromoteFull,
        Command::Confirm,
    ] {
        let refusal = stage.rollout.accepts(command, None, stage.now).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "revision 1 is being made the stable version: wait for the on-promote hook to end"
        );
    }
    stage.feed(Event::Blind { since: stage.now });
    stage.pass(3_600);
    stage.feed(Event::Interrupted);
    assert_eq!(stage.weights, [20, 60, 100]);
}

#[test]
fn without_a_hook_somebody_says_that_the_canary_is_stable() {
    let mut stage = at_the_end(Settings::default());
    assert_eq!(
        stage.line(),
        "Healthy 3 [0, 100] all traffic goes to the canary: make `v2` the stable version, then say so with `rollout promote`"
    );
    assert_eq!(stage.outcome(), Some(Outcome::Unconfirmed));
    let refusal = stage
        .rollout
        .compare(&spec(&canary()), &Version::named("v3"));
    assert_eq!(
        refusal.unwrap_err().to_string(),
        "revision 1 has all traffic as the canary: promote it once it is the stable version, or abort it"
    );
    stage.begin(&canary(), "v3");
    assert_eq!(stage.rollout.revision.number, 1);
    assert_eq!(stage.weights, [20, 60, 100]);

    stage.say(stage.rollout.meant_by_promote());
    assert_eq!(stage.line(), "Healthy 3 [100, 0]");
    assert_eq!(stage.outcome(), Some(Outcome::Promoted));
    stage.begin(&canary(), "v3");
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    assert_eq!(stage.rollout.revision.number, 2);
}

#[test]
fn a_stepper_that_knows_a_hook_runs_it_and_one_that_knows_none_does_not() {
    let mut stage = at_the_end(Settings::default());
    stage.feed(Event::TakenOver(hook()));
    assert!(matches!(
        stage.rollout.promotion,
        Promotion::Hook { number: 1, .. }
    ));
    stage.feed(Event::TakenOver(Settings::default()));
    assert_eq!(stage.rollout.promotion, Promotion::Unconfirmed);
    assert_eq!(stage.outcome(), Some(Outcome::Unconfirmed));
}

#[test]
fn the_first_version_ever_is_stable_at_once() {
    let first = Version::named("v1");
    let stage = Stage::of(Rollout::new(
        "bookinfo",
        spec(&canary()),
        first.clone(),
        Some(first),
        hook(),
        at(0),
    ));
    assert_eq!(stage.line(), "Healthy 3 [100, 0]");
    assert_eq!(stage.started, [""; 0]);
    assert_eq!(stage.outcome(), Some(Outcome::Promoted));
}

/// Whoever has had traffic and no evidence waits with what the last step gave it.
#[test]
fn a_last_weight_of_nothing_is_kept_without_evidence() {
    let mut canary = canary();
    canary["steps"][2] = json!({"setWeight": 0});
    let mut stage = Stage::new(&canary, Settings::default());
    stage.say(Command::Promote);
    assert_eq!(stage.line(), "Paused 3 [100, 0] NoEvidence");
    assert_eq!(stage.weights, [20, 0]);
    stage.see_background(Phase::Running, true);
    assert_eq!(stage.weights, [20, 0, 100]);
}

#[test]
fn another_version_begins_anew() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.pass(60);
    stage.begin(&canary(), "v3");
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    assert_eq!(stage.rollout.revision.number, 2);
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v3-2"]);
    assert_eq!(stage.ended, ["reviews-v2-1"]);

    stage.say(Command::Abort);
    stage.begin(&canary(), "v4");
    assert_eq!(
        stage.line(),
        "Paused 1 [80, 20] CanaryPauseStep",
        "the abort is over"
    );
    assert_eq!(stage.rollout.revision.number, 3);
    assert_eq!(stage.rollout.attempt, 1);
}

#[test]
fn the_same_version_with_other_steps_begins_anew() {
    let mut stage = Stage::new(&canary(), Settings::default());
    let mut other = canary();
    other["steps"][0] = json!({"setWeight": 30});
    let compare = |stage: &Stage, canary: &serde_json::Value| {
        let v2 = Version::named("v2");
        stage
            .rollout
            .compare(&spec(canary), &v2)
            .expect("nothing is in its way")
    };
    assert_eq!(compare(&stage, &canary()), Difference::None);
    assert_eq!(compare(&stage, &other), Difference::Steps);
    stage.begin(&canary(), "v2");
    assert_eq!(stage.rollout.attempt, 1);
    stage.begin(&other, "v2");
    assert_eq!(stage.line(), "Paused 1 [70, 30] CanaryPauseStep");
    assert_eq!(
        (stage.rollout.revision.number, stage.rollout.attempt),
        (1, 2)
    );
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1.1"]);
}

#[test]
fn going_back_to_the_stable_version_skips_the_steps() {
    let mut stage = at_the_end(hook());
    stage.hook_ends(true, "");
    stage.begin(&canary(), "v3");
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    stage.begin(&canary(), "v2");
    assert_eq!(stage.line(), "Healthy 3 [100, 0]");
    assert_eq!(stage.rollout.revision.number, 3);
}

#[test]
fn out_of_sight_the_weight_is_held() {
    let mut stage = Stage::new(
        &json!({"steps": [{"setWeight": 20}, {"pause": {"duration": 60}}, {"setWeight": 60}, {"pause": {}}]}),
        Settings::default(),
    );
    stage.feed(Event::Blind { since: at(10) });
    stage.pass(3_600);
    assert_eq!(stage.weights, [20]);
    stage.feed(Event::Sighted);
    assert_eq!(stage.weights, [20, 60]);
}

#[test]
fn out_of_sight_for_too_long_the_traffic_goes_back() {
    let settings = Settings {
        abort_when_blind: Some(Duration::from_mins(10)),
        router: None,
        hook: None,
    };
    let mut stage = Stage::new(&canary(), settings.clone());
    stage.now = at(100);
    stage.feed(Event::Blind { since: at(40) });
    stage.feed(Event::Blind { since: at(90) });
    assert_eq!(stage.weights, [20]);
    let saved = stage.rollout.clone();
    stage.wake();
    assert_eq!(stage.now, at(640));
    assert_eq!(stage.weights, [20, 0]);
    assert_eq!(
        stage.line(),
        "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1: the service was out of sight for 10m"
    );

    // None of that could be saved. The record that is found when the service is back comes to the same.
    let mut found = Stage {
        rollout: saved,
        ..stage.clone()
    };
    found.rollout.blind_since = None;
    found.feed(Event::Blind { since: at(40) });
    found.feed(Event::TakenOver(settings));
    found.feed(Event::Sighted);
    assert_eq!(found.outcome(), Some(Outcome::Aborted));
}

#[test]
fn nothing_is_aborted_out_of_sight_that_has_no_traffic() {
    let settings = Settings {
        abort_when_blind: Some(Duration::from_secs(1)),
        router: None,
        hook: None,
    };
    let mut stage = Stage::new(&json!({"steps": [{"pause": {}}]}), settings);
    stage.feed(Event::Blind { since: at(0) });
    stage.pass(1_000);
    assert_eq!(stage.rollout.aborted, None);
}

#[test]
fn an_interrupted_stepper_may_abort() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.feed(Event::Interrupted);
    assert_eq!(
        stage.line(),
        "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1: the stepper was interrupted"
    );
}

#[test]
fn who_takes_over_sees_to_the_weight_again() {
    let mut stage = Stage::new(&canary(), Settings::default());
    let before = stage.rollout.clone();
    stage.feed(Event::TakenOver(Settings::default()));
    assert_eq!(stage.weights, [20, 20]);
    stage.see_background(Phase::Pending, false);
    assert_eq!(stage.rollout, before);
}

/// What it was good for says nothing of what it has come to since.
#[test]
fn who_takes_over_looks_at_the_analysis_before_it_goes_on() {
    let canary = json!({
        "steps": [{"setWeight": 20}, {"pause": {"duration": 60}}],
        "analysis": {"templates": [{"templateName": "apdex"}]},
    });
    let mut stage = Stage::new(&canary, Settings::default());
    stage.see_background(Phase::Running, true);
    stage.now = at(600);
    stage.feed(Event::TakenOver(Settings::default()));
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    let mut failed = stage.clone();
    failed.see_background(Phase::Failed, true);
    assert_eq!(failed.weights, [20, 20, 0]);
    assert_eq!(failed.outcome(), Some(Outcome::Aborted));
    stage.see_background(Phase::Running, true);
    assert_eq!(stage.weights, [20, 20, 100]);
    assert_eq!(stage.outcome(), Some(Outcome::Unconfirmed));
}

/// More traffic that was about to come waits for the same; what the canary has, and less, does not.
#[test]
fn who_takes_over_gives_the_canary_no_more_before_that() {
    let mut stage = Stage::new(&canary(), Settings::default());
    stage.posted += 1;
    stage.feed_only(Event::Command(Posted {
        number: stage.posted,
        command: Command::Promote,
        seen: None,
    }));
    let more = Effect::SetWeight {
        weight: weight(60),
        change: 2,
    };
    assert!(stage.effects.contains(&more), "{:?}", stage.effects);
    stage.feed_only(Event::TakenOver(Settings::default()));
    assert!(!stage.effects.contains(&more), "{:?}", stage.effects);
    let mut aborted = stage.clone();
    aborted.feed(Event::Interrupted);
    assert_eq!(aborted.weights, [20, 0]);
    stage.see_background(Phase::Running, false);
    assert_eq!(stage.weights, [20, 60]);
}

#[test]
fn an_abort_counts_wherever_no_try_of_the_hook_is_under_way() {
    let mut stage = at_the_end(hook());
    assert!(
        stage
            .rollout
            .accepts(Command::Abort, None, stage.now)
            .is_err()
    );
    stage.hook_ends(false, "");
    let mut between = stage.clone();
    between.say(Command::Abort);
    assert_eq!(between.outcome(), Some(Outcome::Aborted));
    for _ in 0..2 {
        stage.wake();
        stage.hook_ends(false, "");
    }
    assert_eq!(stage.outcome(), Some(Outcome::PromotionFailed));
    // Both said before anybody took them in.
    for command in [Command::Retry, Command::Abort] {
        stage.posted += 1;
        stage.feed_only(Event::Command(Posted {
            number: stage.posted,
            command,
            seen: None,
        }));
    }
    stage.feed(Event::Tick);
    assert_eq!(stage.outcome(), Some(Outcome::Aborted));
    assert_eq!(stage.weights, [20, 60, 100, 0]);
}

/// It was accepted while nobody stepped, so no hook was at work.
#[test]
fn an_abort_that_waits_for_a_stepper_with_a_hook_counts() {
    let mut stage = at_the_end(Settings::default());
    assert_eq!(stage.rollout.promotion, Promotion::Unconfirmed);
    stage.feed_only(Event::TakenOver(hook()));
    stage.say(Command::Abort);
    assert_eq!(stage.outcome(), Some(Outcome::Aborted));
    assert_eq!(stage.weights, [20, 60, 100, 0]);
}

#[test]
fn an_interrupt_between_two_tries_of_the_hook_may_abort() {
    let mut stage = at_the_end(hook());
    stage.hook_ends(false, "");
    stage.feed(Event::Interrupted);
    assert_eq!(stage.outcome(), Some(Outcome::Aborted));
}
