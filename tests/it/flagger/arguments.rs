//! Calls with other arguments than their attempt was begun with: another judge's, or those of a Canary that was edited.

use skygate::domain::flagger::{Call, Hook};
use skygate::domain::measurement::Phase;
use skygate::domain::run::Command;

use super::desk::{Desk, call};

/// A call with another value for an argument of the attempt, and with an argument that the template has not.
fn other(checksum: &str) -> Call {
    let mut other = call(checksum);
    other.args.insert("service-name".to_owned(), "y".to_owned());
    other.args.insert("more".to_owned(), "z".to_owned());
    other
}

/// A version that takes traffic, with a good measurement of it, judged with the arguments of [`call`].
fn rolling() -> Desk {
    let mut desk = Desk::default();
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    desk.now = 10;
    assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
    desk.now = 70;
    desk.measure_well();
    desk.now = 80;
    assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
    desk
}

/// Two hooks of one Canary by one template: the run of the first judge must not answer for the second.
#[test]
fn a_second_judge_gets_no_yes_from_the_run_of_the_first() {
    const REFUSAL: &str = "this attempt is judged with other `args.service-name`; no such argument of the template: `args.more`; a second judge needs a template of its own name; \
        if they were edited, `skygate canaries delete reviews -n bookinfo` lets the next call begin anew";
    for hook in [
        Hook::Rollout,
        Hook::ConfirmTrafficIncrease,
        Hook::ConfirmPromotion,
    ] {
        let mut desk = rolling();
        let before = desk.record.attempt.clone();
        let decision = desk.decision(hook, &other("v1"));
        assert_eq!(decision.ignored, ["args.more", "args.service-name"]);
        assert_eq!((&decision.ends, &decision.effects[..]), (&None, &[][..]));
        desk.perform(decision);
        let last = desk.record.history.back().expect("a call");
        assert_eq!((last.status, last.text.as_str()), (403, REFUSAL), "{hook}");
        assert_eq!(desk.record.attempt, before, "{hook}");
        // The first judge is none the worse for it.
        assert_eq!(desk.status(Hook::ConfirmTrafficIncrease, "v1"), 200);
        desk.ask(Hook::ConfirmPromotion, "v1");
        assert_eq!(desk.commands().last(), Some(&Command::Conclude));
    }
    // Before there is traffic the second is asked in the same round.
    let mut desk = Desk::default();
    assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
    let before = desk.record.attempt.clone();
    let (status, text) = desk.answer(Hook::PreRollout, &other("v1"));
    assert_eq!((status, text.as_str()), (403, REFUSAL));
    assert_eq!((&desk.record.attempt, desk.runs.len()), (&before, 1));
    // Whatever names there are, the way out is told.
    let mut many = call("v1");
    let names = (0..20).map(|number| (format!("{}{number}", "x".repeat(200)), "y".to_owned()));
    many.args.extend(names);
    let (_, text) = desk.answer(Hook::PreRollout, &many);
    assert!(text.chars().count() <= 500, "{text}");
    assert!(text.ends_with("lets the next call begin anew"), "{text}");
}

#[test]
fn what_is_left_out_is_no_contradiction() {
    let mut desk = rolling();
    let mut fewer = call("v1");
    fewer.args.clear();
    assert_eq!(desk.decision(Hook::Rollback, &fewer).ignored, [""; 0]);
    for hook in [Hook::Rollout, Hook::ConfirmTrafficIncrease] {
        assert_eq!(desk.answer(hook, &fewer).0, 200, "{hook}");
    }
    // Nor is anything where nobody knows any more what the attempt was begun with.
    let attempt = desk.record.attempt.as_mut().expect("an attempt");
    attempt.args = None;
    assert_eq!(desk.answer(Hook::Rollout, &other("v1")).0, 200);
}

#[test]
fn what_the_run_has_by_default_is_no_contradiction() {
    let with = |name: &str, value: &str| {
        let mut call = call("v1");
        call.args.insert(name.to_owned(), value.to_owned());
        call
    };
    let mut desk = rolling();
    let (status, text) = desk.answer(Hook::Rollout, &with("threshold", "9900"));
    assert_eq!(status, 200, "{text}");
    let (status, text) = desk.answer(Hook::Rollout, &with("threshold", "9000"));
    assert!(
        status == 403 && text.starts_with("this attempt is judged with other `args.threshold`; "),
        "{text}"
    );
    // Nor is a secret's value told by comparing it.
    let (status, text) = desk.answer(Hook::Rollout, &with("password", "p"));
    assert!(
        status == 403 && text.starts_with("this attempt is judged with other `args.password`; "),
        "{text}"
    );
    let (status, text) = desk.answer(Hook::Rollout, &with("more", "z"));
    let expected = "no such argument of the template: `args.more`; take it out of the hook's metadata; \
        if the template has it by now, `skygate canaries delete reviews -n bookinfo` lets the next call begin anew";
    assert_eq!((status, text.as_str()), (403, expected));
    // Where the run is gone only what the attempt was begun with can contradict.
    desk.ask(Hook::Rollout, "v1");
    desk.runs.clear();
    for (name, value, is_other) in [
        ("threshold", "9900", false),
        ("threshold", "9000", false),
        ("more", "z", false),
        ("service-name", "y", true),
    ] {
        let decision = desk.decision(Hook::Rollout, &with(name, value));
        assert_eq!(!decision.ignored.is_empty(), is_other, "{name}: {value}");
    }
}

#[test]
fn a_secret_that_the_attempt_was_begun_with_is_no_contradiction() {
    let mut call = call("v1");
    call.args.insert("password".to_owned(), "p".to_owned());
    let mut desk = Desk::default();
    for hook in [Hook::PreRollout, Hook::Rollout] {
        assert_eq!(desk.answer(hook, &call).0, 200, "{hook}");
    }
    call.args.insert("password".to_owned(), "q".to_owned());
    assert_eq!(desk.answer(Hook::Rollout, &call).0, 403);
}

#[test]
fn another_attempt_has_arguments_of_its_own() {
    // The same version once more, whose end before was lost; and another one.
    for version in ["v1", "v2"] {
        let mut desk = rolling();
        desk.ask(Hook::Rollout, "v1");
        let other = other(version);
        assert_eq!(desk.answer(Hook::PreRollout, &other).0, 200, "{version}");
        let attempt = desk.record.attempt.as_ref().expect("an attempt");
        assert_eq!(
            (attempt.number, attempt.args.as_ref()),
            (2, Some(&other.args))
        );
        assert_eq!(desk.answer(Hook::PreRollout, &other).0, 200, "{version}");
        assert_eq!(desk.status(Hook::PreRollout, version), 403, "{version}");
    }
}

/// Whoever must go back does, whoever asks; the rest moves no traffic.
#[test]
fn what_moves_no_traffic_forward_only_tells_of_it() {
    let mut desk = rolling();
    desk.end_run(Phase::Failed, "it was bad");
    let told = "; not used: `args.more`, `args.service-name`, with which the attempt was not begun";
    let (status, text) = desk.answer(Hook::Rollback, &other("v1"));
    assert_eq!((status, text), (200, format!("Failed: it was bad{told}")));
    // However much else there is to say.
    let mut desk = rolling();
    desk.run().why = "x".repeat(900);
    let (_, text) = desk.answer(Hook::ConfirmRollout, &other("v1"));
    assert!(text.ends_with(told), "{text}");
    let (_, text) = desk.answer(Hook::Rollback, &other("v1"));
    assert_eq!((text.chars().count(), text.ends_with(told)), (500, true));
    for hook in [Hook::Event, Hook::PostRollout] {
        let (status, text) = desk.answer(hook, &other("v1"));
        assert_eq!(
            (status, text.contains("args.")),
            (200, false),
            "{hook}: {text}"
        );
    }
}
