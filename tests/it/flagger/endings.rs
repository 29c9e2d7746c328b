//! How an attempt comes to its end, whatever is lost on the way, and what arrives too late to end anything.

use jiff::SignedDuration;
use skygate::domain::flagger::{Call, Hook, Left, Record};
use skygate::domain::measurement::Phase;

use super::desk::{Desk, at, call};

/// What Flagger says of a version in another phase than `Progressing`.
fn in_phase(checksum: &str, phase: &str) -> Call {
    let mut call = call(checksum);
    phase.clone_into(&mut call.phase);
    call
}

/// A version that takes traffic, with a good measurement of it; its run is in `phase`.
fn roll(desk: &mut Desk, checksum: &str, phase: Phase) {
    assert_eq!(desk.status(Hook::PreRollout, checksum), 200);
    desk.now += 10;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, checksum), 200);
    desk.now += 60;
    desk.measure_well();
    desk.now += 10;
    assert_eq!(desk.status(Hook::Rollout, checksum), 200);
    if phase.is_over() {
        desk.end_run(phase, "apdex failed 4 of 4 measurements (limit 3)");
    }
}

fn rolling(checksum: &str, phase: Phase) -> Desk {
    let mut desk = Desk::default();
    roll(&mut desk, checksum, phase);
    desk
}

fn number(desk: &Desk) -> Option<u64> {
    desk.record.attempt.as_ref().map(|attempt| attempt.number)
}

fn is_open(desk: &Desk) -> bool {
    let attempt = desk.record.attempt.as_ref();
    attempt.is_some_and(|attempt| attempt.closed_at.is_none())
}

#[test]
fn an_event_ends_the_attempt_whose_post_rollout_is_lost() {
    for (phase, ends) in [
        ("Failed", true),
        ("Succeeded", true),
        ("Terminating", true),
        ("Progressing", false),
        ("WaitingPromotion", false),
        ("Promoting", false),
        ("Finalising", false),
        ("SomethingNew", false),
    ] {
        let mut desk = rolling("v1", Phase::Running);
        let (status, _) = desk.answer(Hook::Event, &in_phase("v1", phase));
        assert_eq!((status, is_open(&desk)), (200, !ends), "{phase}");
        assert_eq!(desk.runs["run-1"].phase.is_over(), ends, "{phase}");
    }
    // The same version once more, without a word in between: nothing of the attempt before decides.
    let mut desk = rolling("v1", Phase::Failed);
    desk.answer(Hook::Event, &in_phase("v1", "Failed"));
    desk.now += 30;
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(number(&desk), Some(2));
    // Where it does arrive after all, it says what is known already.
    let mut desk = rolling("v1", Phase::Failed);
    desk.answer(Hook::Event, &in_phase("v1", "Failed"));
    let over = desk.answer(Hook::PostRollout, &in_phase("v1", "Failed"));
    assert_eq!(over, (200, "attempt 1 is over".to_owned()));
    let last = desk.record.history.back().expect("a call");
    assert_eq!((last.hook, last.attempt), (Hook::PostRollout, Some(1)));
}

/// Flagger tries the same version again within moments; its event of the attempt before may have been held up on the way.
#[test]
fn an_event_that_was_sent_before_the_attempt_ends_nothing() {
    let mut desk = rolling("v1", Phase::Failed);
    let mut event = in_phase("v1", "Failed");
    event.sent_at = Some(at(desk.now));
    desk.answer(Hook::PostRollout, &in_phase("v1", "Failed"));
    desk.now += 30;
    roll(&mut desk, "v1", Phase::Running);
    let late = desk.answer(Hook::Event, &event);
    assert_eq!(
        late,
        (
            200,
            "noted; it was sent before this attempt began".to_owned()
        )
    );
    assert!(is_open(&desk));
    let before = desk.record.clone();
    event.sent_at = Some(at(desk.now));
    desk.answer(Hook::Event, &event);
    assert!(!is_open(&desk));
    // A clock that is far off says nothing.
    desk.record = before;
    event.sent_at = Some(at(-3_600));
    desk.answer(Hook::Event, &event);
    assert!(!is_open(&desk));
}

/// `rollout` is asked only of a version that takes traffic: where an attempt begins with it, what follows is no first traffic.
#[test]
fn an_attempt_that_begins_with_traffic_wants_a_measurement() {
    let mut desk = Desk::default();
    assert_eq!(desk.status(Hook::Rollout, "v1"), 200);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    desk.now += 10;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    // Nor where its run is gone, or was never started.
    desk.runs.clear();
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    desk.measure_well();
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(number(&desk), Some(1));
}

#[test]
fn a_run_that_somebody_ended_promotes_nothing() {
    let mut desk = rolling("v1", Phase::Running);
    desk.run().is_terminated = true;
    desk.end_run(Phase::Successful, "terminated");
    let (status, why) = desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!(status, 403);
    assert!(
        why.starts_with("somebody ended the run before its time"),
        "{why}"
    );
    assert!(
        why.contains("`skygate canaries delete reviews -n bookinfo`"),
        "{why}"
    );
    // Nor once the run itself is forgotten.
    desk.runs.clear();
    desk.now += 60;
    let (status, again) = desk.ask(Hook::ConfirmPromotion, "v1");
    assert_eq!((status, again), (403, why));
    // What it measured counts for the traffic of then, and for no more.
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.now += 60;
    let (status, why) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
    assert_eq!(status, 403);
    assert!(
        why.starts_with("somebody ended the run before its time"),
        "{why}"
    );
}

/// Where Flagger cannot carry out the promotion that it was allowed, it asks everything again, round after round.
#[test]
fn a_promotion_that_was_allowed_may_be_tried_again() {
    let mut desk = rolling("v1", Phase::Running);
    assert_eq!(
        desk.status(Hook::ConfirmPromotion, "v1"),
        403,
        "it is concluded first"
    );
    assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 200);
    for _ in 0..2 {
        desk.now += 60;
        for hook in [
            Hook::Rollout,
            Hook::ConfirmTrafficIncrease,
            Hook::ConfirmPromotion,
        ] {
            assert_eq!(desk.status(hook, "v1"), 200, "{hook}");
        }
        assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    }
    // A run that ends by itself has not been asked about: it has to measure what an increase changed.
    let mut desk = rolling("v1", Phase::Running);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.now += 60;
    desk.end_run(Phase::Successful, "");
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
}

#[test]
fn the_end_of_another_version_ends_nothing() {
    for hook in [Hook::PostRollout, Hook::Event] {
        for phase in ["Failed", "Succeeded"] {
            let mut desk = rolling("v2", Phase::Failed);
            assert_eq!(desk.answer(hook, &in_phase("v1", phase)).0, 200);
            assert!(is_open(&desk), "{hook} {phase}");
            assert_eq!(desk.status(Hook::Rollback, "v2"), 200, "{hook} {phase}");
        }
    }
}

#[test]
fn what_is_said_of_an_older_version_ends_no_newer_run() {
    // The older one was superseded while it was under way, or had come to its end.
    for is_ended in [false, true] {
        let mut desk = rolling("v1", Phase::Running);
        if is_ended {
            desk.answer(Hook::PostRollout, &in_phase("v1", "Failed"));
        }
        desk.now += 10;
        roll(&mut desk, "v2", Phase::Running);
        let expected = desk.record.attempt.clone();
        for (hook, phase, status) in [
            (Hook::Rollout, "Progressing", 403),
            (Hook::ConfirmTrafficIncrease, "Progressing", 403),
            (Hook::ConfirmPromotion, "WaitingPromotion", 403),
            (Hook::Rollback, "Progressing", 403),
            (Hook::ConfirmRollout, "Succeeded", 200),
            (Hook::PostRollout, "Failed", 200),
            (Hook::Event, "Failed", 200),
        ] {
            let (found, text) = desk.answer(hook, &in_phase("v1", phase));
            assert_eq!(found, status, "{hook}: {text}");
            let (mut now, mut before) = (desk.record.attempt.clone(), expected.clone());
            // Whatever is asked, the run is looked at.
            for attempt in [&mut now, &mut before].into_iter().flatten() {
                attempt.measured_since = None;
            }
            assert_eq!(now, before, "{hook}");
            assert_eq!(desk.run().phase, Phase::Running, "{hook}");
        }
        let (_, why) = desk.ask(Hook::Rollout, "v1");
        assert!(why.starts_with("attempt 2, at another version"), "{why}");
    }
}

#[test]
fn flagger_may_go_back_to_an_older_version() {
    // In the middle of the newer one, or once that is over.
    for is_ended in [false, true] {
        let mut desk = rolling("v1", Phase::Failed);
        desk.answer(Hook::PostRollout, &in_phase("v1", "Failed"));
        roll(&mut desk, "v2", Phase::Running);
        if is_ended {
            desk.answer(Hook::Event, &in_phase("v2", "Failed"));
            desk.answer(Hook::ConfirmRollout, &in_phase("v2", "Failed"));
        }
        desk.now += 10;
        assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
        roll(&mut desk, "v1", Phase::Running);
        assert_eq!(number(&desk), Some(3));
        assert!(desk.runs["run-2"].phase.is_over());
        assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
        // Now the other one is late.
        assert_eq!(desk.status(Hook::Rollout, "v2"), 403);
        assert_eq!(desk.status(Hook::Rollout, "v1"), 200);
        assert_eq!(number(&desk), Some(3));
    }
}

#[test]
fn a_canary_without_pre_rollout_begins_with_what_it_asks_first() {
    for first in [Hook::ConfirmTrafficIncrease, Hook::Rollout] {
        let mut desk = Desk::default();
        for (turn, version) in (1..).zip(["v1", "v1", "v2", "v1"]) {
            assert_eq!(desk.status(Hook::Rollback, version), 403, "{turn}");
            assert_eq!(desk.status(first, version), 200, "{turn}");
            assert_eq!(number(&desk), Some(turn));
            desk.now += 10;
            desk.answer(Hook::PostRollout, &in_phase(version, "Failed"));
        }
    }
}

#[test]
fn a_first_increase_that_may_not_have_been_heard_says_what_would_show_it() {
    const HINT: &str = "only a `pre-rollout` or `event` hook would show it";
    let mut desk = Desk::default();
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.now = 60;
    let (status, why) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
    assert_eq!((status, why.contains(HINT)), (403, true), "{why}");
    // A round of a version that takes traffic shows that it was heard.
    desk.ask(Hook::Rollout, "v1");
    let (_, why) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
    assert!(!why.contains(HINT), "{why}");
    // And with that hook there is nothing to be told.
    let mut desk = Desk::default();
    desk.ask(Hook::PreRollout, "v1");
    desk.measure_well();
    desk.now = 10;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(number(&desk), Some(2));
    desk.now = 70;
    let (status, why) = desk.ask(Hook::ConfirmTrafficIncrease, "v1");
    assert_eq!((status, why.contains(HINT)), (403, false), "{why}");
}

#[test]
fn an_event_shows_that_a_first_increase_was_not_heard() {
    let event = |message: &str| Call {
        message: Some(message.to_owned()),
        ..call("v1")
    };
    let starting = event("Starting canary analysis for reviews.bookinfo");
    let mut desk = Desk::default();
    desk.answer(Hook::Event, &starting);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.answer(
        Hook::Event,
        &event("Halt reviews.bookinfo advancement waiting for traffic increase approval x"),
    );
    desk.now = 60;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 403);
    desk.now = 120;
    desk.answer(Hook::Event, &starting);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(desk.run().not_before, Some(at(120)));
    assert_eq!((number(&desk), desk.runs.len()), (Some(1), 1));
    // Once it takes traffic, that is another attempt at it.
    desk.now = 180;
    desk.ask(Hook::Rollout, "v1");
    desk.end_run(Phase::Failed, "it was bad");
    desk.answer(Hook::Event, &starting);
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    assert_eq!(number(&desk), Some(2));
}

#[test]
fn the_past_is_kept_within_bounds() {
    let mut desk = Desk::default();
    let mut event = call("v");
    event.message = Some("Advance reviews.bookinfo canary weight 30".to_owned());
    for version in 0..40 {
        let checksum = format!("v{version}");
        event.checksum.clone_from(&checksum);
        desk.ask(Hook::PreRollout, &checksum);
        for _ in 0..100 {
            desk.answer(Hook::Event, &event);
        }
        desk.answer(Hook::PostRollout, &in_phase(&checksum, "Failed"));
        desk.now += 10;
        for _ in 0..100 {
            desk.answer(Hook::ConfirmRollout, &in_phase(&checksum, "Failed"));
        }
    }
    let record = &desk.record;
    let numbers: Vec<u64> = record.attempts().map(|it| it.number).collect();
    assert_eq!(numbers, (31..=40).rev().collect::<Vec<_>>());
    let calls = |of| record.calls(of).count();
    let counts: Vec<usize> = numbers.iter().map(|number| calls(Some(*number))).collect();
    assert_eq!(counts, [50, 20, 20, 20, 20, 20, 20, 20, 20, 20]);
    assert_eq!(calls(None), 50);
    assert_eq!(record.history.len(), 280);
    let last = record.calls(Some(31)).next().expect("a call");
    assert_eq!(last.hook, Hook::PostRollout);
}

#[test]
fn what_is_old_is_forgotten() {
    let mut desk = Desk::default();
    for version in ["v1", "v2", "v3"] {
        roll(&mut desk, version, Phase::Running);
        desk.answer(Hook::PostRollout, &in_phase(version, "Succeeded"));
        desk.now += 10;
        desk.answer(Hook::ConfirmRollout, &in_phase(version, "Succeeded"));
        desk.now += 1_000;
    }
    let closed: Vec<_> = desk.record.attempts().map(|it| it.closed_at).collect();
    let after = |closed: Option<jiff::Timestamp>| {
        let moment = closed.expect("it is over");
        moment
            .checked_add(SignedDuration::from_secs(11))
            .expect("a moment")
    };
    let mut record = desk.record.clone();
    assert_eq!(record.forget(at(0)), Left::All);
    assert_eq!(record, desk.record);
    assert_eq!(record.forget(after(closed[2])), Left::Less);
    assert_eq!(
        (record.earlier.len(), record.calls(Some(1)).count()),
        (1, 0)
    );
    assert_eq!(record.calls(None).count(), 2);
    assert_eq!(Record::from_json(&record.to_json()), Ok(record.clone()));
    assert_eq!(record.forget(after(closed[0])), Left::Nothing);
    // Of one that is open the last thing that was heard counts.
    let mut record = rolling("v1", Phase::Running).record;
    assert_eq!(record.forget(at(70)), Left::All);
    assert_eq!(record.forget(at(3_000)), Left::Nothing);
}
