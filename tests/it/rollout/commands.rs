//! What people can do to a rollout.

use serde_json::json;
use skygate::domain::measurement::Phase;
use skygate::domain::rollout::{Command, Event, Outcome, Posted, Seen, Settings};

use super::driver::{Stage, canary, hook};

fn play() -> Stage {
    Stage::new(&canary(), Settings::default())
}

/// What the history tells about the last command.
fn told(stage: &Stage) -> String {
    let last = stage.rollout.history.back().expect("there is a history");
    last.note.clone()
}

#[test]
fn promoting_ends_a_pause() {
    let mut stage = play();
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    stage.see_background(Phase::Running, true);
    stage.say(Command::Promote);
    assert_eq!(stage.weights, [20, 60, 100]);
    assert!(stage.rollout.history.iter().any(|it| it.note == "promote"));
}

#[test]
fn promoting_skips_a_step_that_is_no_pause() {
    // A weight that cannot be routed.
    let mut stage = play();
    stage.say(Command::Abort);
    stage.feed_only(Event::Command(Posted {
        number: 2,
        command: Command::Retry,
        seen: None,
    }));
    assert_eq!(stage.rollout.step, 0);
    stage.feed_only(Event::Command(Posted {
        number: 3,
        command: Command::Promote,
        seen: None,
    }));
    // The weight of the step that was skipped is the one in force.
    assert_eq!(
        (stage.rollout.step, stage.rollout.weight.percent()),
        (1, 20)
    );

    // An analysis.
    let mut stage = Stage::new(
        &json!({"steps": [{"analysis": {"templates": [{"templateName": "smoke"}]}}, {"pause": {}}]}),
        Settings::default(),
    );
    assert_eq!(stage.rollout.step, 0);
    stage.say(Command::Promote);
    assert_eq!(stage.rollout.step, 1);
    assert_eq!(stage.ended, ["reviews-v2-1-0"]);
}

#[test]
fn promoting_ends_a_pause_by_hand_and_the_step() {
    let mut stage = Stage::new(
        &json!({"steps": [{"analysis": {"templates": [{"templateName": "smoke"}]}}, {"pause": {}}]}),
        Settings::default(),
    );
    stage.say(Command::Pause);
    stage.say(Command::Promote);
    assert_eq!(stage.line(), "Paused 1 [100, 0] CanaryPauseStep");
}

#[test]
fn a_pause_by_hand_freezes_the_steps() {
    let mut stage = Stage::new(
        &json!({"steps": [{"setWeight": 20}, {"pause": {"duration": 60}}, {"setWeight": 60}, {"pause": {}}]}),
        Settings::default(),
    );
    stage.say(Command::Pause);
    assert_eq!(stage.line(), "Paused 1 [80, 20] manually paused");
    stage.pass(3_600);
    assert_eq!(stage.rollout.step, 1);
    stage.say(Command::Resume);
    assert_eq!(stage.line(), "Paused 3 [40, 60] CanaryPauseStep");
    stage.say(Command::Resume);
    assert_eq!(
        told(&stage),
        "resume: refused, revision 1 is not paused by hand: promote ends a pause step"
    );
}

#[test]
fn aborting_sends_all_traffic_back_until_somebody_retries() {
    let mut stage = play();
    stage.say(Command::Abort);
    assert_eq!(
        stage.line(),
        "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1"
    );
    assert_eq!(stage.ended, ["reviews-v2-1"]);
    assert_eq!(stage.outcome(), Some(Outcome::Aborted));
    let aborted = stage.rollout.aborted.clone();

    for command in [Command::Promote, Command::Abort, Command::Pause] {
        stage.say(command);
        assert!(told(&stage).contains("refused"), "{}", told(&stage));
    }
    stage.pass(10_000);
    assert_eq!(stage.rollout.aborted, aborted, "it is stamped once");
    assert_eq!(stage.weights, [20, 0]);

    stage.say(Command::Retry);
    assert_eq!(stage.line(), "Paused 1 [80, 20] CanaryPauseStep");
    assert_eq!(stage.rollout.revision.number, 1);
    assert_eq!(stage.started, ["reviews-v2-1", "reviews-v2-1.1"]);
    assert_eq!(stage.rollout.traffic_since, Some(stage.now));
}

#[test]
fn only_what_was_aborted_is_retried() {
    let mut stage = play();
    stage.say(Command::Retry);
    assert_eq!(
        told(&stage),
        "retry: refused, there is nothing to retry: revision 1 was not aborted"
    );
    assert_eq!(stage.rollout.attempt, 1);
}

#[test]
fn promoting_in_full_skips_everything() {
    let mut stage = play();
    stage.say(Command::PromoteFull);
    assert_eq!(stage.weights, [20, 100]);
    assert_eq!(stage.ended, ["reviews-v2-1"]);
    assert_eq!(stage.outcome(), Some(Outcome::Unconfirmed));
}

#[test]
fn promoting_in_full_lifts_an_abort_and_a_pause_by_hand() {
    let mut stage = play();
    stage.say(Command::Pause);
    stage.say(Command::Abort);
    stage.say(Command::PromoteFull);
    assert_eq!(stage.weights, [20, 0, 100]);
    assert_eq!(stage.started, ["reviews-v2-1"], "nothing is analysed");
    assert_eq!(stage.outcome(), Some(Outcome::Unconfirmed));
}

#[test]
fn a_command_is_taken_in_once() {
    let canary = json!({"steps": [{"pause": {}}, {"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]});
    let mut stage = Stage::new(&canary, Settings::default());
    let promote = |number| {
        Event::Command(Posted {
            number,
            command: Command::Promote,
            seen: None,
        })
    };
    stage.feed(promote(1));
    assert_eq!(stage.rollout.step, 2);
    stage.feed(promote(1));
    assert_eq!(stage.rollout.step, 2);
    stage.feed(promote(2));
    assert_eq!(stage.rollout.step, 4);
    assert_eq!(stage.rollout.commands_taken, 2);
}

#[test]
fn a_command_is_not_for_a_rollout_that_has_moved_on() {
    let canary = json!({"steps": [{"pause": {}}, {"setWeight": 20}, {"pause": {}}]});
    let mut stage = Stage::new(&canary, Settings::default());
    let at_the_first_pause = Some(Seen {
        revision: 1,
        step: 0,
    });
    stage.say_seen(Command::Promote, at_the_first_pause);
    assert_eq!(stage.rollout.step, 2);
    stage.say_seen(Command::Promote, at_the_first_pause);
    assert_eq!(stage.rollout.step, 2);
    assert_eq!(
        told(&stage),
        "promote: refused, the rollout has moved on: it is at step 2 of revision 1 now; look at it and say it again"
    );
}

/// Said once too often, it would otherwise take all traffic back to the old version.
#[test]
fn promoting_a_step_never_says_that_the_canary_is_stable() {
    let canary = json!({"steps": [{"setWeight": 100}, {"pause": {}}]});
    let mut stage = Stage::new(&canary, Settings::default());
    assert_eq!(stage.rollout.meant_by_promote(), Command::Promote);
    assert!(
        stage
            .rollout
            .accepts(Command::Confirm, None, stage.now)
            .is_err()
    );
    stage.say(Command::Promote);
    assert_eq!(stage.outcome(), Some(Outcome::Unconfirmed));
    stage.say(Command::Promote);
    assert!(told(&stage).contains("the rollout has moved on"));
    assert_eq!(stage.weights, [100]);
    assert_eq!(stage.rollout.meant_by_promote(), Command::Confirm);
    stage.say(Command::Confirm);
    assert_eq!(stage.weights, [100, 0]);
}

#[test]
fn a_promoted_rollout_knows_only_abort_and_retry() {
    let mut stage = Stage::new(&json!({}), hook());
    stage.hook_ends(true, "");
    assert_eq!(stage.line(), "Healthy 0 [100, 0]");
    for command in [
        Command::Promote,
        Command::PromoteFull,
        Command::Confirm,
        Command::Pause,
        Command::Retry,
    ] {
        assert!(
            stage.rollout.accepts(command, None, stage.now).is_err(),
            "{command}"
        );
    }
    stage.say(Command::Abort);
    assert_eq!(
        stage.line(),
        "Degraded 0 [100, 0] RolloutAborted: Rollout aborted update to revision 1"
    );
    stage.say(Command::Retry);
    assert_eq!(stage.line(), "Healthy 0 [100, 0]");
    assert_eq!(stage.weights, [100, 0, 0], "nothing goes to the canary");
}

#[test]
fn there_is_nothing_to_skip_while_the_last_weight_is_set() {
    let mut stage = Stage::new(&json!({"steps": [{"pause": {}}]}), Settings::default());
    stage.feed_only(Event::Command(Posted {
        number: 1,
        command: Command::Promote,
        seen: None,
    }));
    assert_eq!(stage.rollout.step, 1);
    let refusal = stage
        .rollout
        .accepts(Command::Promote, None, stage.now)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "all steps of revision 1 are done: there is nothing left to skip"
    );
}
