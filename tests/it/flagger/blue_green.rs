//! A/B and blue/green: Flagger counts iterations and asks for no increase.

use skygate::domain::flagger::{Call, Hook};
use skygate::domain::measurement::Phase;
use skygate::domain::run::Command;

use super::desk::{Desk, at, call};

const ROUND: i64 = 60;

/// More rounds than any rollout here takes.
const MOST_ROUNDS: usize = 20;

/// Flagger, as far as it rolls a version out so.
struct Flagger {
    /// What the Canary has for the start of its first iteration: `pre-rollout`, or `event` alone.
    begin: Hook,
    /// The round from which on there is something to be found.
    from: usize,
    /// How many iterations the Canary wants, and how many are done.
    wanted: usize,
    done: usize,
    answers: Vec<String>,
}

impl Flagger {
    fn new(wanted: usize) -> Self {
        Self {
            begin: Hook::PreRollout,
            from: 4,
            wanted,
            done: 0,
            answers: Vec::new(),
        }
    }

    /// One whose Canary has `begin`, and finds something from the round `from` on.
    fn beginning_with(begin: Hook, from: usize, wanted: usize) -> Self {
        Self {
            begin,
            from,
            ..Self::new(wanted)
        }
    }

    /// Whether the answer is yes. What may change within moments is waited for.
    fn ask(&mut self, desk: &mut Desk, hook: Hook) -> bool {
        let start = "Starting canary analysis for reviews.bookinfo".to_owned();
        let call = Call {
            message: (hook == Hook::Event).then_some(start),
            ..call("v1")
        };
        let decision = desk.decision(hook, &call);
        let may_change = decision.may_change;
        let mut status = decision.answer.status();
        desk.perform(decision);
        if may_change {
            status = desk.status(hook, "v1");
        }
        self.answers.push(format!("{hook} {status}"));
        status == 200
    }

    /// One round; how the rollout came out, once it has.
    fn advance(&mut self, desk: &mut Desk) -> Option<&'static str> {
        if self.ask(desk, Hook::Rollback) {
            return Some("Failed");
        }
        let hook = match self.done {
            0 => self.begin,
            _ => Hook::Rollout,
        };
        let is_good = self.ask(desk, hook);
        assert!(is_good, "{:?}", self.answers);
        if self.done < self.wanted {
            self.done += 1;
        } else if !self.ask(desk, Hook::ConfirmPromotion) {
            self.done = self.wanted - 1;
        } else if self.done == self.wanted {
            // All traffic goes to the new version, and it is asked once more.
            self.done += 1;
        } else {
            return Some("Succeeded");
        }
        None
    }

    /// Rolls the version out. `found` is what there is to be found.
    fn roll_out(&mut self, desk: &mut Desk, found: fn(&mut Desk)) -> &'static str {
        let end = self.end(desk, found);
        end.unwrap_or_else(|| panic!("no end: {:?}", self.answers))
    }

    /// How the rollout comes out, where it does.
    fn end(&mut self, desk: &mut Desk, found: fn(&mut Desk)) -> Option<&'static str> {
        for round in 1..=MOST_ROUNDS {
            if round >= self.from {
                found(desk);
            }
            if let Some(phase) = self.advance(desk) {
                return Some(phase);
            }
            desk.now += ROUND;
        }
        None
    }
}

fn find_good(desk: &mut Desk) {
    if !desk.run().phase.is_over() {
        desk.measure_well();
    }
}

fn find_bad(desk: &mut Desk) {
    desk.end_run(Phase::Failed, "apdex failed 4 of 4 measurements (limit 3)");
}

/// The run comes to a good end by itself, by a `count`.
fn find_enough(desk: &mut Desk) {
    find_good(desk);
    desk.end_run(Phase::Successful, "good measurements: apdex 5 of 5");
}

fn find_nothing(desk: &mut Desk) {
    desk.end_run(Phase::Inconclusive, "apdex had no data for 10m");
}

/// Somebody ends the run, good as it is so far.
fn terminate(desk: &mut Desk) {
    find_good(desk);
    desk.run().is_terminated = true;
    desk.end_run(Phase::Successful, "terminated");
}

fn tell_of_the_end(desk: &mut Desk, phase: &str) {
    let mut call = call("v1");
    phase.clone_into(&mut call.phase);
    assert_eq!(desk.answer(Hook::PostRollout, &call).0, 200);
}

#[test]
fn a_good_version_is_promoted_however_few_iterations_there_are() {
    for wanted in [1, 2, 5] {
        let (mut desk, mut flagger) = (Desk::default(), Flagger::new(wanted));
        assert_eq!(flagger.roll_out(&mut desk, find_good), "Succeeded");
        tell_of_the_end(&mut desk, "Succeeded");
        let attempt = desk.record.attempt.as_ref().expect("an attempt");
        assert_eq!((attempt.number, desk.runs.len()), (1, 1), "{wanted}");
        assert_eq!(desk.commands(), [Command::Conclude], "{wanted}");
    }
    // The only iteration is begun again as long as the promotion is refused.
    let (mut desk, mut flagger) = (Desk::default(), Flagger::new(1));
    flagger.roll_out(&mut desk, find_good);
    let answers: Vec<&str> = flagger.answers.iter().map(String::as_str).collect();
    let begin = ["rollback 403", "pre-rollout 200"];
    let refused = ["rollback 403", "rollout 200", "confirm-promotion 403"];
    let allowed = ["rollback 403", "rollout 200", "confirm-promotion 200"];
    let expected: [&[&str]; 5] = [&begin, &refused, &begin, &allowed, &allowed];
    assert_eq!(answers, expected.concat());
}

/// Whatever the only iteration is begun again with, and whenever its run ends.
#[test]
fn a_refused_promotion_begins_no_other_attempt() {
    for begin in [Hook::PreRollout, Hook::Event] {
        for from in 3..=6 {
            for found in [find_good, find_enough] {
                let mut flagger = Flagger::beginning_with(begin, from, 1);
                let mut desk = Desk::default();
                assert_eq!(flagger.roll_out(&mut desk, found), "Succeeded");
                let attempt = desk.record.attempt.as_ref().expect("an attempt");
                let counts = (attempt.number, desk.runs.len());
                assert_eq!(counts, (1, 1), "{begin} from {from}");
            }
        }
    }
}

#[test]
fn what_a_person_must_decide_holds_the_version() {
    for (begin, wanted) in [
        (Hook::PreRollout, 1),
        (Hook::Event, 1),
        (Hook::PreRollout, 2),
    ] {
        for from in 3..=6 {
            for found in [find_nothing, terminate] {
                let mut flagger = Flagger::beginning_with(begin, from, wanted);
                let mut desk = Desk::default();
                assert_eq!(flagger.end(&mut desk, found), None, "{begin} from {from}");
                let attempt = desk.record.attempt.as_ref().expect("an attempt");
                let counts = (attempt.number, desk.runs.len());
                assert_eq!(counts, (1, 1), "{begin} from {from}");
                // Whatever is tried again later, it is no other attempt's.
                assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 403);
            }
        }
    }
}

#[test]
fn a_bad_version_goes_back_and_may_be_tried_again() {
    // However much is lost of its end, the next attempt has a run of its own.
    for (wanted, is_told) in [(1, true), (1, false), (3, true), (3, false)] {
        let (mut desk, mut flagger) = (Desk::default(), Flagger::new(wanted));
        assert_eq!(flagger.roll_out(&mut desk, find_bad), "Failed");
        assert_eq!(desk.runs.len(), 1, "{wanted}");
        if is_told {
            tell_of_the_end(&mut desk, "Failed");
        }
        desk.now += ROUND;
        // Flagger asks for a rollback first, and would take the one of before for this attempt's.
        if is_told {
            assert_eq!(desk.status(Hook::Rollback, "v1"), 403);
        }
        assert_eq!(desk.status(Hook::PreRollout, "v1"), 200);
        let mut again = Flagger::new(wanted);
        assert_eq!(again.roll_out(&mut desk, find_good), "Succeeded");
        let attempt = desk.record.attempt.as_ref().expect("an attempt");
        assert_eq!((attempt.number, desk.runs.len()), (2, 2), "{wanted}");
    }
}

/// Another hook of the first round may take long, and nothing has traffic meanwhile: what its run comes to says nothing.
#[test]
fn a_run_that_came_to_nothing_before_the_first_iteration_gives_way_to_another() {
    // Its run may be forgotten by then.
    for (phase, is_forgotten) in [
        (Phase::Inconclusive, false),
        (Phase::Error, false),
        (Phase::Inconclusive, true),
    ] {
        let mut desk = Desk::default();
        desk.ask(Hook::PreRollout, "v1");
        desk.now = 1_140;
        desk.end_run(phase, "apdex had no data for 10m");
        desk.ask(Hook::Rollback, "v1");
        if is_forgotten {
            desk.runs.clear();
        }
        let (status, text) = desk.ask(Hook::Rollout, "v1");
        let expected = format!(
            "the run run-2 begins; what was found before there was anything to judge says nothing of it: {phase}: apdex had no data for 10m"
        );
        assert_eq!((status, text), (200, expected));
        let run = desk.run().clone();
        assert_eq!(
            (run.phase, run.not_before),
            (Phase::Running, Some(at(1_140)))
        );
        let attempt = desk.record.attempt.as_ref().expect("an attempt");
        assert_eq!(
            (attempt.number, attempt.traffic_since),
            (2, Some(at(1_140)))
        );
        // What is found now decides.
        desk.now += ROUND;
        desk.end_run(phase, "apdex had no data for 10m");
        for _ in 0..2 {
            desk.ask(Hook::Rollout, "v1");
            assert_eq!(desk.status(Hook::ConfirmPromotion, "v1"), 403);
        }
        let number = desk.record.attempt.as_ref().map(|it| it.number);
        assert_eq!(number, Some(2), "{phase}");
    }
    // A verdict is kept, and so is whatever traffic was allowed for.
    for phase in [Phase::Failed, Phase::Successful] {
        let mut desk = Desk::default();
        desk.ask(Hook::PreRollout, "v1");
        desk.end_run(phase, "so it came");
        desk.ask(Hook::Rollout, "v1");
        assert_eq!(desk.runs.len(), 1, "{phase}");
    }
    for phase in [Phase::Inconclusive, Phase::Error] {
        let mut desk = Desk::default();
        desk.ask(Hook::PreRollout, "v1");
        desk.ask(Hook::ConfirmTrafficIncrease, "v1");
        desk.end_run(phase, "so it came");
        desk.ask(Hook::Rollout, "v1");
        assert_eq!(desk.runs.len(), 1, "{phase}");
    }
}
