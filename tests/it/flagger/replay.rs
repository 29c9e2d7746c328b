//! Every call that a real Flagger made through a failed attempt and a good one of the same version after it.

use serde_json::Value;
use skygate::domain::flagger::{Call, Hook};
use skygate::domain::measurement::Phase;
use skygate::domain::run::Command;

use super::desk::Desk;

struct Recorded {
    hook: Hook,
    call: Call,
}

fn recorded() -> Vec<Recorded> {
    let text = std::fs::read_to_string("tests/data/flagger/calls.jsonl").expect("a recording");
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let hook = Hook::named(line["hook"].as_str().expect("a name")).expect("a hook");
            let body = line["body"].to_string();
            let call = Call::read(hook, body.as_bytes(), &[]).expect("a call");
            Recorded { hook, call }
        })
        .collect()
}

/// The answers to all but the events, as `hook status`. The run is bad in the first attempt and good in the second.
fn answers(calls: &[Recorded]) -> (Vec<String>, Desk) {
    let mut desk = Desk::default();
    let mut answers = Vec::new();
    for (index, Recorded { hook, call }) in calls.iter().enumerate() {
        desk.now = i64::try_from(index).expect("a few calls") * 5;
        if *hook == Hook::Rollout {
            let attempt = desk.record.attempt.as_ref().map(|attempt| attempt.number);
            let rounds = answers.iter().filter(|line| *line == "rollout 200").count();
            match attempt {
                Some(1) if rounds == 1 => {
                    desk.end_run(Phase::Failed, "apdex failed 4 of 4 measurements (limit 3)");
                }
                Some(_) => desk.measure_well(),
                None => {}
            }
        }
        let (mut status, _) = desk.answer(*hook, call);
        if *hook == Hook::ConfirmPromotion && status == 403 {
            // It was concluded, and is asked again at once.
            status = desk.answer(*hook, call).0;
        }
        if *hook == Hook::Event {
            assert_eq!(status, 200);
        } else {
            answers.push(format!("{hook} {status}"));
        }
    }
    (answers, desk)
}

#[test]
fn a_failed_attempt_and_a_good_one_after_it() {
    let (answers, desk) = answers(&recorded());
    assert_eq!(
        answers,
        [
            "confirm-rollout 200",
            "rollback 403",
            "pre-rollout 200",
            "confirm-traffic-increase 200",
            "rollback 403",
            "rollout 200",
            "confirm-traffic-increase 200",
            "rollback 403",
            // The run has failed. The recording goes on as if nobody had asked for a rollback.
            "rollout 403",
            "rollback 200",
            "rollout 403",
            "rollback 200",
            "post-rollout 200",
            "confirm-rollout 200",
            "rollback 403",
            "pre-rollout 200",
            "confirm-traffic-increase 200",
            "rollback 403",
            "rollout 200",
            "confirm-traffic-increase 200",
            "rollback 403",
            "rollout 200",
            "confirm-traffic-increase 200",
            "confirm-promotion 200",
            "post-rollout 200",
        ]
    );
    let attempt = desk.record.attempt.as_ref().expect("an attempt");
    assert_eq!(attempt.number, 2);
    assert!(attempt.closed_at.is_some());
    assert_eq!(desk.runs.len(), 2);
    let of_second: Vec<&Command> = desk
        .told
        .iter()
        .filter(|(run, _)| *run == attempt.run.0)
        .map(|(_, command)| command)
        .collect();
    assert!(matches!(
        of_second[..],
        [Command::NoTrafficBefore(_), Command::Conclude]
    ));
}

#[test]
fn what_is_asked_twice_is_answered_alike() {
    let mut calls = recorded();
    // A retry of each question that changes nothing by itself.
    let repeatable = [
        Hook::ConfirmRollout,
        Hook::PreRollout,
        Hook::Rollback,
        Hook::PostRollout,
    ];
    let mut twice = Vec::new();
    for Recorded { hook, call } in calls.drain(..) {
        if repeatable.contains(&hook) {
            twice.push(Recorded {
                hook,
                call: call.clone(),
            });
        }
        twice.push(Recorded { hook, call });
    }
    let (told, desk) = answers(&twice);
    let (once, _) = answers(&recorded());
    let mut told = told.into_iter();
    for line in once {
        assert_eq!(told.next().as_ref(), Some(&line));
        if repeatable
            .iter()
            .any(|hook| line.starts_with(&format!("{hook} ")))
        {
            assert_eq!(told.next().as_ref(), Some(&line));
        }
    }
    assert_eq!(desk.runs.len(), 2);
}

/// Where the second attempt begins: at the second `confirm-rollout`.
fn second_attempt(calls: &[Recorded]) -> usize {
    let asked = |(_, it): &(usize, &Recorded)| it.hook == Hook::ConfirmRollout;
    let mut asked = calls.iter().enumerate().filter(asked);
    asked.nth(1).expect("two attempts").0
}

#[test]
fn whatever_is_lost_nothing_goes_back_for_the_attempt_before() {
    let all = recorded();
    let second = second_attempt(&all);
    let is_end = |it: &Recorded| {
        it.hook == Hook::PostRollout || (it.hook == Hook::Event && it.call.phase == "Failed")
    };
    // Each call by itself; then both that tell of the end; then those and all but the last that could.
    let mut losses: Vec<Vec<usize>> = (0..all.len()).map(|index| vec![index]).collect();
    let ends: Vec<usize> = (0..all.len()).filter(|it| is_end(&all[*it])).collect();
    losses.push(ends.iter().copied().filter(|it| *it < second).collect());
    losses.push(
        ends.iter()
            .copied()
            .chain([second])
            .filter(|it| *it <= second)
            .collect(),
    );
    for lost in losses {
        let kept = recorded().into_iter().enumerate();
        let kept: Vec<(usize, Recorded)> =
            kept.filter(|(index, _)| !lost.contains(index)).collect();
        let before = kept
            .iter()
            .filter(|(index, it)| *index < second && it.hook != Hook::Event);
        let before = before.count();
        let calls: Vec<Recorded> = kept.into_iter().map(|(_, it)| it).collect();
        // One of the last loss' events, "Confirm-rollout check … passed", still says that nothing is under way.
        let (answers, _) = answers(&calls);
        let of_second = &answers[before..];
        assert!(
            !of_second.contains(&"rollback 200".to_owned()),
            "without {lost:?}: {answers:?}"
        );
    }
}
