//! What holds in whatever order Flagger may call, and whatever its runs come to.

use proptest::collection::vec;
use proptest::prelude::*;
use skygate::domain::flagger::{Effect, Hook};
use skygate::domain::measurement::Phase;
use skygate::domain::run::Command;

use super::desk::{Desk, at, call};

#[derive(Clone, Debug)]
enum Op {
    Call {
        hook: usize,
        version: usize,
        phase: usize,
        is_start: bool,
        is_other_judge: bool,
        is_saved_only: bool,
    },
    Sleep(i64),
    MeasureWell,
    MeasureInVain,
    End(Phase),
    Forget,
}

const VERSIONS: [&str; 2] = ["v1", "v2"];
const PHASES: [&str; 4] = ["Progressing", "Failed", "Succeeded", "Elsewhere"];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let phase = prop_oneof![
        Just(Phase::Successful),
        Just(Phase::Failed),
        Just(Phase::Error),
        Just(Phase::Inconclusive),
    ];
    let op = prop_oneof![
        20 => (0..8usize, 0..2usize, 0..4usize, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
            |(hook, version, phase, is_start, is_other_judge, is_saved_only)| Op::Call { hook, version, phase, is_start, is_other_judge, is_saved_only }
        ),
        5 => (1..100i64).prop_map(Op::Sleep),
        5 => Just(Op::MeasureWell),
        2 => Just(Op::MeasureInVain),
        3 => phase.prop_map(Op::End),
        1 => Just(Op::Forget),
    ];
    vec(op, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_order_of_calls_gets_a_wrong_yes(ops in ops()) {
        let mut desk = Desk::default();
        let mut seen = 0;
        for op in ops {
            let has_run = desk.record.attempt.as_ref().is_some_and(|it| desk.runs.contains_key(&it.run.0));
            match op {
                Op::Sleep(seconds) => desk.now += seconds,
                Op::MeasureWell if has_run && !desk.run().phase.is_over() => desk.measure_well(),
                Op::End(phase) if has_run => desk.end_run(phase, "so it came"),
                Op::MeasureInVain if has_run && !desk.run().phase.is_over() => desk.measure_in_vain(),
                Op::MeasureWell | Op::MeasureInVain | Op::End(_) => {}
                Op::Forget => {
                    if let Some(attempt) = &desk.record.attempt {
                        desk.runs.remove(&attempt.run.0);
                    }
                }
                Op::Call { hook, version, phase, is_start, is_other_judge, is_saved_only } => {
                    let hook = Hook::ALL[hook];
                    let mut call = call(VERSIONS[version]);
                    PHASES[phase].clone_into(&mut call.phase);
                    if is_other_judge {
                        call.args.insert("service-name".to_owned(), "y".to_owned());
                    }
                    call.message = is_start.then(|| "Starting canary analysis for reviews.bookinfo".to_owned());
                    let before = desk.record.attempt.clone();
                    let live = before.clone().filter(|it| it.closed_at.is_none());
                    // Of a version that the live one has followed upon.
                    let is_late = live.as_ref().is_some_and(|it| it.checksum != VERSIONS[version])
                        && desk.record.earlier.iter().any(|it| it.checksum == VERSIONS[version]);
                    let run = before.as_ref().and_then(|it| desk.runs.get(&it.run.0)).cloned();
                    let decision = desk.decision(hook, &call);
                    let again = desk.decision(hook, &call);
                    prop_assert_eq!(&again, &decision);
                    let (status, text) = (decision.answer.status(), decision.answer.text.clone());
                    prop_assert!([200, 403].contains(&status));
                    prop_assert!(!text.is_empty() && !text.contains('\n') && text.chars().count() <= 500);
                    if hook == Hook::ConfirmPromotion {
                        let is_concluded = decision.effects.iter().any(|it| matches!(it, Effect::Tell(_, Command::Conclude)));
                        let is_good = run.as_ref().is_some_and(|it| it.lacking.is_empty() && it.doubts.is_empty());
                        prop_assert!(!is_concluded || is_good, "{}", text);
                    }
                    if is_saved_only {
                        desk.save(&decision);
                    } else {
                        desk.perform(decision);
                    }

                    if let Some(live) = live.filter(|_| is_late && hook != Hook::PreRollout) {
                        let after = desk.record.attempt.as_ref().expect("it is still there");
                        prop_assert_eq!((&after.run, after.closed_at), (&live.run, None), "{}", hook);
                    }
                    let open = before.filter(|it| it.closed_at.is_none() && it.checksum == VERSIONS[version]);
                    let contradicts = open.as_ref().is_some_and(|it| it.args.as_ref() != Some(&call.args));
                    match hook {
                        Hook::Rollout | Hook::ConfirmTrafficIncrease | Hook::ConfirmPromotion if contradicts => {
                            let mut after = desk.record.attempt.clone().expect("it is still there");
                            let mut before = open.clone().expect("it was there");
                            // Whatever is asked, the run is looked at.
                            (after.measured_since, before.measured_since) = (None, None);
                            (after.end, before.end) = (None, None);
                            prop_assert_eq!((status, after), (403, before), "{}: {}", hook, text);
                            continue;
                        }
                        Hook::PreRollout if contradicts && status == 200 => {
                            let after = desk.record.attempt.as_ref().expect("begun");
                            prop_assert_eq!(after.args.as_ref(), Some(&call.args));
                        }
                        Hook::ConfirmRollout | Hook::PreRollout | Hook::Rollout | Hook::ConfirmTrafficIncrease
                        | Hook::ConfirmPromotion | Hook::PostRollout | Hook::Rollback | Hook::Event => {}
                    }
                    let phase_of_run = run.as_ref().map(|run| run.phase)
                        .or(open.as_ref().and_then(|it| it.end.as_ref()).map(|end| end.phase));
                    let ended = open.as_ref().and_then(|it| it.end.as_ref()).map_or(phase_of_run, |end| Some(end.phase));
                    match hook {
                        Hook::Rollback => {
                            let must = open.is_some() && ended == Some(Phase::Failed);
                            prop_assert_eq!(status == 200, must, "{}", text);
                        }
                        Hook::ConfirmPromotion => {
                            prop_assert!(status == 403 || ended == Some(Phase::Successful), "{}", text);
                        }
                        Hook::PreRollout | Hook::Rollout | Hook::ConfirmTrafficIncrease if status == 200 => {
                            let attempt = desk.record.attempt.as_ref().expect("begun");
                            let allowed = open.as_ref().filter(|it| it.number == attempt.number).and_then(|it| it.last_increase.or(it.traffic_since));
                            if let Some(last) = allowed.filter(|_| hook == Hook::ConfirmTrafficIncrease && has_run) {
                                // A measurement of what it takes was good, or it may take all traffic anyway.
                                let is_measured = attempt.measured_since.is_some_and(|since| since >= last);
                                prop_assert!(is_measured || attempt.is_promotable, "{}", text);
                            }
                            prop_assert_eq!(&attempt.checksum, VERSIONS[version]);
                            prop_assert!(attempt.closed_at.is_none());
                        }
                        Hook::ConfirmTrafficIncrease => {
                            // The first call of an attempt is never refused.
                            let is_first = open.is_none_or(|it| it.traffic_since.is_none());
                            prop_assert!(!is_first || is_late, "{}", text);
                        }
                        Hook::ConfirmRollout | Hook::PostRollout | Hook::Event => prop_assert_eq!(status, 200),
                        Hook::PreRollout | Hook::Rollout => {}
                    }
                    if let Some(attempt) = &desk.record.attempt {
                        prop_assert!(attempt.number >= seen, "numbers only grow");
                        seen = attempt.number;
                        prop_assert!(attempt.opened_at <= at(desk.now));
                        prop_assert!(attempt.last_increase.is_none_or(|last| attempt.traffic_since.is_some_and(|since| since <= last)));
                    }
                    // However often it is asked, what is remembered of it has an end.
                    prop_assert!(desk.record.earlier.iter().all(|it| it.closed_at.is_some()));
                    prop_assert!(desk.record.earlier.len() <= 9 && desk.record.history.len() <= 280);
                }
            }
            // What no attempt waits for any more has been told to end.
            let attempt = desk.record.attempt.as_ref().filter(|it| it.closed_at.is_none());
            for (id, run) in &desk.runs {
                let is_waited_for = attempt.is_some_and(|it| it.run.0 == *id);
                prop_assert!(is_waited_for || run.phase.is_over(), "{} goes on", id);
            }
        }
    }
}
