//! Each hook, for each state that the run of an attempt may be in.

use skygate::domain::flagger::{Effect, Hook, refuse};
use skygate::domain::measurement::Phase;
use skygate::domain::run::Command;

use super::desk::{Desk, UNREACHABLE, at, call};

const RUNNING: Phase = Phase::Running;

/// A version `v1` that takes traffic since 10 s, at 60 s.
fn rolling() -> Desk {
    let mut desk = Desk::default();
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    desk.now = 10;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.now = 60;
    desk
}

/// The same with a good measurement of that traffic, whose run is in `phase`.
fn rolling_with(phase: Phase) -> Desk {
    let mut desk = rolling();
    desk.measure_well();
    desk.now = 70;
    if phase.is_over() {
        desk.end_run(phase, "apdex failed 4 of 4 measurements (limit 3)");
    }
    desk
}

#[test]
fn what_each_hook_answers_in_each_phase() {
    let phases = [
        Phase::Pending,
        RUNNING,
        Phase::Successful,
        Phase::Failed,
        Phase::Error,
        Phase::Inconclusive,
    ];
    let check = |hook: Hook, expected: [u16; 6]| {
        for (phase, expected) in phases.into_iter().zip(expected) {
            let mut desk = rolling_with(phase);
            desk.run().phase = phase;
            // A run that only starts to be concluded has no verdict yet: the one that follows is another test's.
            assert_eq!(desk.status(hook, "v1"), expected, "{hook} while {phase}");
        }
    };
    check(Hook::ConfirmRollout, [200; 6]);
    check(Hook::Rollout, [200, 200, 200, 403, 403, 200]);
    check(Hook::ConfirmTrafficIncrease, [200, 200, 200, 403, 403, 403]);
    check(Hook::ConfirmPromotion, [403, 403, 200, 403, 403, 403]);
    check(Hook::Rollback, [403, 403, 403, 200, 403, 403]);
    check(Hook::PostRollout, [200; 6]);
    check(Hook::Event, [200; 6]);
    // Before it takes traffic: afterwards a pre-rollout is another attempt's.
    for (phase, expected) in phases.into_iter().zip([200, 200, 200, 403, 403, 200]) {
        let mut desk = Desk::default();
        desk.ask(Hook::PreRollout, "v1");
        desk.run().phase = phase;
        assert_eq!(
            desk.status(Hook::PreRollout, "v1"),
            expected,
            "pre-rollout while {phase}"
        );
    }
}

#[test]
fn no_is_a_line_that_says_why() {
    let mut desk = rolling_with(Phase::Failed);
    let why = "Failed: apdex failed 4 of 4 measurements (limit 3)";
    assert_eq!(desk.ask(Hook::Rollout, "v1"), (403, why.to_owned()));
    assert_eq!(desk.ask(Hook::Rollback, "v1"), (200, why.to_owned()));
    let mut desk = rolling_with(Phase::Inconclusive);
    desk.run().why = format!("apdex\n\thad no data\r\n{}", "x".repeat(9_000));
    let (status, text) = desk.ask(Hook::Rollout, "v1");
    assert_eq!((status, text.chars().count()), (200, 500));
    assert!(text.starts_with("Inconclusive: apdex had no data xxx") && text.ends_with('…'));
}

#[test]
fn confirm_rollout_looks_up_no_run() {
    let mut desk = Desk::default();
    let before = call("v0");
    let decision = desk.decision(Hook::ConfirmRollout, &before);
    assert_eq!(decision.effects, [Effect::Check]);
    desk.perform(decision);
    assert_eq!(desk.record.attempt, None);
    // Not even the one of an attempt under way.
    let mut desk = rolling_with(Phase::Failed);
    assert_eq!(desk.status(Hook::ConfirmRollout, "v1"), 200);
    assert_eq!(desk.status(Hook::Rollout, "v1"), 403);
}

#[test]
fn a_refusal_is_remembered_and_changes_nothing_else() {
    let desk = rolling();
    let refused = refuse(
        Hook::Rollout,
        &call("v1"),
        desk.record.clone(),
        "no template `apdex`\nin namespace `bookinfo`",
        at(60),
    );
    assert_eq!(refused.answer.status(), 403);
    assert_eq!(
        refused.answer.text,
        "no template `apdex` in namespace `bookinfo`"
    );
    assert_eq!(refused.record.attempt, desk.record.attempt);
    assert_eq!(refused.effects, []);
    let entry = refused.record.history.back().expect("an entry");
    assert_eq!((entry.hook, entry.status), (Hook::Rollout, 403));
}

#[test]
fn the_first_hook_of_a_version_starts_its_run_once() {
    for hook in [
        Hook::PreRollout,
        Hook::Rollout,
        Hook::ConfirmTrafficIncrease,
    ] {
        let mut desk = Desk {
            now: 5,
            ..Desk::default()
        };
        let decision = desk.decision(hook, &call("v1"));
        let Some(Effect::Start(start)) = decision.effects.first() else {
            panic!("{hook}: {decision:?}")
        };
        assert_eq!(start.name, "reviews-apdex-1");
        let mut long = call("v1");
        long.canary = "r".repeat(253);
        let Some(Effect::Start(start_of_long)) = &desk.decision(hook, &long).effects.pop() else {
            panic!("{hook}: none")
        };
        assert!(start_of_long.name.len() <= 253 && start_of_long.name.ends_with("-1"));
        assert_eq!(start.not_before, at(5));
        assert_eq!(start.labels["flagger-checksum"], "v1");
        assert_eq!(start.labels["flagger-attempt"], "1");
        desk.perform(decision);
        desk.now = 15;
        desk.ask(Hook::Rollout, "v1");
        assert_eq!(desk.runs.len(), 1, "{hook}");
    }
    for hook in [
        Hook::ConfirmRollout,
        Hook::ConfirmPromotion,
        Hook::PostRollout,
        Hook::Rollback,
        Hook::Event,
    ] {
        let mut desk = Desk::default();
        desk.ask(hook, "v1");
        assert!(
            desk.runs.is_empty() && desk.record.attempt.is_none(),
            "{hook}"
        );
    }
}

#[test]
fn a_crash_before_a_run_is_started_is_made_up_for() {
    let mut desk = Desk::default();
    let decision = desk.decision(Hook::PreRollout, &call("v1"));
    desk.save(&decision);
    assert!(desk.runs.is_empty());
    desk.now = 10;
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    let names: Vec<&String> = desk.runs.keys().collect();
    assert_eq!(names, ["run-1"]);
}

#[test]
fn the_first_increase_is_the_runs_not_before() {
    let desk = rolling();
    assert_eq!(desk.commands(), [Command::NoTrafficBefore(at(10))]);
    assert_eq!(desk.runs["run-1"].not_before, Some(at(10)));
    // Lost by a crash between the record and the run, it is told again with the next call, whichever that is.
    let mut desk = rolling();
    desk.run().not_before = Some(at(0));
    desk.ask(Hook::Rollback, "v1");
    assert_eq!(desk.run().not_before, Some(at(10)));
    let told = desk.told.len();
    desk.ask(Hook::Rollout, "v1");
    assert_eq!(desk.told.len(), told);
}

#[test]
fn more_traffic_wants_a_good_measurement_of_what_there_is() {
    let mut desk = rolling();
    let (status, why) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
    assert_eq!(
        (status, why.as_str()),
        (
            403,
            "no good measurement since the last increase at 10:13:10Z; Running: good measurements: apdex 0 of 0"
        )
    );
    // A window that began before is no evidence of the traffic since.
    desk.run().measured_since = Some(at(9));
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    desk.measure_well();
    desk.now = 120;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    // And the same for every step.
    desk.now = 130;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    desk.measure_well();
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    // Measurements that are kept no longer have been seen.
    desk.now = 140;
    desk.measure_well();
    desk.ask(Hook::Rollout, "v1");
    desk.run().measured_since = None;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
}

/// Two hooks by one template are asked in one round, and Flagger begins a round at once after one that took longer than its interval.
#[test]
fn an_increase_that_is_asked_for_again_at_once_is_refused() {
    // The first one, another after it, and one whose run has come to its end by itself.
    let mut first = Desk::default();
    first.ask(Hook::PreRollout, "v1");
    let mut another = rolling_with(RUNNING);
    another.now = 130;
    let mut last = rolling_with(Phase::Successful);
    last.now = 130;
    for desk in [&mut first, &mut another, &mut last] {
        assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
        let allowed = desk.record.attempt.clone();
        assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
        assert_eq!(desk.record.attempt, allowed);
        // All that a round asks before it.
        for (hook, status) in [
            (Hook::Rollback, 403),
            (Hook::Rollout, 200),
            (Hook::ConfirmTrafficIncrease, 403),
        ] {
            assert_eq!(desk.status(hook, "v1"), status, "{hook}");
        }
        desk.now += 1;
        assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    }
}

#[test]
fn a_run_that_was_over_before_the_last_increase_allows_no_other() {
    let mut desk = rolling_with(RUNNING);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.end_run(Phase::Successful, "good measurements: apdex 5 of 5");
    desk.now = 80;
    let (status, why) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
    assert_eq!(status, 403);
    assert!(
        why.contains("a template without `count` goes on until the promotion"),
        "{why}"
    );
    assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 200);
}

#[test]
fn what_was_found_before_there_was_traffic_is_left_behind() {
    let found = [
        (Phase::Successful, false),
        (Phase::Failed, false),
        (Phase::Error, false),
        (Phase::Inconclusive, false),
        // Its run has ended, and is kept no longer.
        (Phase::Failed, true),
        // It is still under way.
        (RUNNING, false),
    ];
    for (phase, is_forgotten) in found {
        let mut desk = Desk::default();
        desk.ask(Hook::PreRollout, "v1");
        desk.now = 650;
        desk.measure_well();
        if phase.is_over() {
            desk.end_run(phase, "the load test was slow");
        }
        desk.ask(Hook::Rollback, "v1");
        if is_forgotten {
            desk.runs.clear();
        }
        desk.now = 700;
        let (status, text) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
        assert_eq!(status, 200, "{phase}: {text}");
        assert!(text.ends_with("so another run begins"), "{phase}: {text}");
        let run = desk.run().clone();
        assert_eq!((run.phase, run.not_before), (RUNNING, Some(at(700))));
        assert!(!run.evidence, "{phase}");
        assert_eq!(desk.record.attempt.as_ref().map(|it| it.number), Some(2));
        let mut others = desk.runs.iter().filter(|(id, _)| **id != "run-2");
        assert!(others.all(|(_, run)| run.phase.is_over()), "{phase}");
        // Nothing of it decides what comes then.
        assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
        assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
        assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 403);
    }
}

#[test]
fn a_promotion_concludes_an_endless_run() {
    let mut desk = rolling_with(RUNNING);
    let decision = desk.decision(Hook::ConfirmPromotion, &call("v1"));
    assert!(decision.may_change);
    assert_eq!(decision.answer.status(), 403);
    desk.perform(decision);
    assert_eq!(desk.commands().last(), Some(&Command::Conclude));
    let (status, text) = desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!(
        (status, text.as_str()),
        (200, "Successful: concluded after 5m")
    );
}

/// What was good once is no evidence of now: the OAP is gone, say.
#[test]
fn a_promotion_waits_until_what_was_found_last_is_good() {
    let mut desk = rolling_with(RUNNING);
    desk.measure_in_vain();
    for _ in 0..2 {
        let (status, why) = desk.ask(Hook::ConfirmPromotion, "v1");
        let expected = format!("{UNREACHABLE}; Running: good measurements: apdex 0 of 0");
        assert_eq!((status, why), (403, expected));
        assert_eq!(desk.commands(), [Command::NoTrafficBefore(at(10))]);
    }
    // It is concluded once it is good again.
    desk.measure_well();
    desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!(desk.commands().last(), Some(&Command::Conclude));
    assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 200);
}

#[test]
fn a_promotion_wants_evidence() {
    // Nothing measured: it isn't concluded, since then it could never come to be good.
    let mut desk = rolling();
    let (status, why) = desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!(
        (status, why.as_str()),
        (
            403,
            "the run is under way; metric \"apdex\": no good measurement"
        )
    );
    assert_eq!(desk.run().phase, RUNNING);
    // An end of its own that has not come.
    let mut desk = rolling_with(RUNNING);
    desk.run().is_endless = false;
    desk.run().lacking = vec!["metric \"apdex\": 3 of 5 measurements".to_owned()];
    let (status, why) = desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!(
        (status, why.contains("3 of 5 measurements")),
        (403, true),
        "{why}"
    );
    assert_eq!(desk.commands(), [Command::NoTrafficBefore(at(10))]);
    // Successful, as Argo calls it, with nothing behind it.
    let mut desk = rolling();
    desk.end_run(Phase::Successful, "terminated; without evidence");
    let (status, why) = desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!(status, 403);
    assert!(
        why.starts_with("not every metric has a good measurement; "),
        "{why}"
    );
    // A version that nobody has asked about before.
    let mut desk = rolling_with(Phase::Successful);
    assert_eq!(desk.status(Hook::ConfirmPromotion, "v2"), 403);
}

#[test]
fn post_rollout_ends_the_attempt_and_its_run() {
    let finished = |phase: &str, desk: &mut Desk| {
        let mut call = call("v1");
        phase.clone_into(&mut call.phase);
        assert_eq!(
            desk.answer(Hook::PostRollout, &call),
            (200, "attempt 1 is over".to_owned())
        );
        assert_eq!(desk.answer(Hook::PostRollout, &call).0, 200);
    };
    let mut desk = rolling_with(RUNNING);
    finished("Failed", &mut desk);
    assert_eq!(desk.commands().last(), Some(&Command::Terminate));
    let mut desk = rolling_with(RUNNING);
    finished("Succeeded", &mut desk);
    assert_eq!(desk.commands().last(), Some(&Command::Conclude));
    let mut desk = rolling_with(RUNNING);
    desk.run().is_endless = false;
    finished("Succeeded", &mut desk);
    assert_eq!(desk.commands().last(), Some(&Command::Terminate));
    let mut desk = rolling_with(Phase::Successful);
    finished("Succeeded", &mut desk);
    assert_eq!(desk.commands(), [Command::NoTrafficBefore(at(10))]);
}

#[test]
fn nothing_rolls_back_for_an_earlier_attempt() {
    let mut desk = rolling_with(Phase::Failed);
    assert_eq!(desk.status(Hook::Rollback, "v1"), 200);
    assert_eq!(desk.status(Hook::Rollback, "v2"), 403);
    desk.ask(Hook::PostRollout, "v1");
    desk.now = 100;
    // The same version again: Flagger asks for a rollback before anything else.
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(desk.run().phase, RUNNING);
    assert_eq!(desk.record.attempt.as_ref().map(|it| it.number), Some(2));
    assert_eq!(desk.runs.len(), 2);
}

#[test]
fn a_lost_post_rollout_is_made_up_for() {
    // By confirm-rollout, which comes between two rollouts only.
    let mut desk = rolling_with(Phase::Failed);
    let mut between = call("v1");
    "Failed".clone_into(&mut between.phase);
    desk.answer(Hook::ConfirmRollout, &between);
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    // By pre-rollout, which comes before traffic only.
    for phase in [Phase::Failed, Phase::Successful, RUNNING] {
        let mut desk = rolling_with(phase);
        desk.ask(Hook::Rollout, "v1");
        assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
        assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
        assert_eq!(desk.runs.len(), 2);
        assert!(desk.runs["run-1"].phase.is_over());
        assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    }
}

#[test]
fn traffic_that_was_allowed_and_did_not_come_is_allowed_again() {
    let mut desk = rolling();
    // Somebody else said no, or the answer was lost: Flagger begins anew, and nothing could have been measured.
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(desk.run().not_before, Some(at(60)));
    assert_eq!(desk.runs.len(), 1);
    // The same where the crash came before the run was started.
    let mut desk = Desk::default();
    let decision = desk.decision(Hook::ConfirmTrafficIncrease, &call("v1"));
    desk.save(&decision);
    desk.now = 10;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(desk.run().not_before, Some(at(10)));
}

#[test]
fn another_version_supersedes_the_one_before() {
    for hook in [
        Hook::PreRollout,
        Hook::Rollout,
        Hook::ConfirmTrafficIncrease,
    ] {
        let mut desk = rolling_with(RUNNING);
        assert_eq!(desk.status(hook, "v2"), 200);
        assert_eq!(
            desk.told.last(),
            Some(&("run-1".to_owned(), Command::Terminate)),
            "{hook}"
        );
        assert_eq!(desk.runs.len(), 2);
        let attempt = desk.record.attempt.as_ref().expect("an attempt");
        assert_eq!((attempt.number, attempt.checksum.as_str()), (2, "v2"));
        // What Flagger still says of the old one changes nothing.
        assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
        assert_eq!(desk.status(Hook::Event, "v1"), 200);
        assert_eq!(desk.record.attempt.as_ref().map(|it| it.number), Some(2));
    }
}

#[test]
fn a_verdict_outlives_its_run() {
    let mut desk = rolling_with(Phase::Failed);
    desk.ask(Hook::Rollout, "v1");
    desk.runs.clear();
    assert_eq!(desk.status(Hook::Rollback, "v1"), 200);
    assert_eq!(desk.status(Hook::Rollout, "v1"), 403);
    assert!(desk.runs.is_empty());
}

#[test]
fn a_run_that_is_gone_is_never_taken_for_good() {
    let mut desk = rolling_with(RUNNING);
    desk.ask(Hook::Rollout, "v1");
    desk.runs.clear();
    assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 403);
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    assert_eq!(desk.run().not_before, Some(at(10)));
}

#[test]
fn events_and_answers_are_remembered_for_a_while() {
    let mut desk = rolling();
    let mut event = call("v1");
    event.message = Some("Advance reviews.bookinfo canary weight 30".to_owned());
    desk.answer(Hook::Event, &event);
    let told: Vec<(Hook, u16, &str)> = desk
        .record
        .history
        .iter()
        .map(|entry| (entry.hook, entry.status, entry.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Hook::PreRollout, 200, "the run run-1 begins"),
            (
                Hook::ConfirmTrafficIncrease,
                200,
                "the first traffic is allowed"
            ),
            (
                Hook::Event,
                200,
                "Advance reviews.bookinfo canary weight 30"
            ),
        ]
    );
    assert!(
        desk.record
            .history
            .iter()
            .all(|entry| entry.attempt == Some(1))
    );
    for _ in 0..500 {
        desk.answer(Hook::Event, &event);
    }
    assert_eq!(desk.record.history.len(), 50);
}
