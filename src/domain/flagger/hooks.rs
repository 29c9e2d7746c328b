//! What each hook means for the attempt, and what it is answered.

use jiff::SignedDuration;

use super::asked::Asked;
use super::{Answer, Attempt, Effect, Hook, RunView};
use crate::domain::measurement::Phase;
use crate::domain::run::Command;

/// The phases in which Flagger works on no version of a canary.
const AT_REST: [&str; 4] = ["Initialized", "Waiting", "Succeeded", "Failed"];

/// Those that come before a canary is gone.
const LEAVING: [&str; 2] = ["Terminating", "Terminated"];

/// How the event begins that Flagger sends in every round that it asks `pre-rollout` in, and in no other.
const STARTING: &str = "Starting canary analysis for ";

/// What Flagger calls a rollout that came to a good end.
const SUCCEEDED: &str = "Succeeded";

/// For how long an event may be held up on its way: it is one of the attempt before where it was sent within that before this one began.
const LONGEST_ON_THE_WAY: SignedDuration = SignedDuration::from_mins(5);

impl Asked<'_> {
    /// What it is answered as a call of `hook`, and what that changes.
    pub(super) fn answer(&mut self, hook: Hook) -> Answer {
        match hook {
            Hook::ConfirmRollout => self.confirm_rollout(),
            Hook::PreRollout => self.pre_rollout(),
            Hook::Rollout => self.rollout(),
            Hook::ConfirmTrafficIncrease => self.confirm_traffic_increase(),
            Hook::ConfirmPromotion => self.confirm_promotion(),
            Hook::PostRollout => self.post_rollout(),
            Hook::Rollback => self.rollback(),
            Hook::Event => self.event(),
        }
    }

    /// The checksum is still the previous version's, so no attempt is looked for. But Flagger asks this only between two rollouts:
    /// whatever attempt is open has lost its end, and must not be taken for the next one's.
    fn confirm_rollout(&mut self) -> Answer {
        if AT_REST.contains(&self.call.phase.as_str()) && self.record.successor(self.call).is_none()
        {
            self.close(Command::Terminate);
        }
        self.effects.push(Effect::Check);
        Answer::yes("the template and its arguments are valid, and the OAP answers")
    }

    /// Flagger asks this while the version takes no traffic, until all who are asked say yes; and again where a promotion was refused
    /// after the only iteration.
    fn pre_rollout(&mut self) -> Answer {
        self.take_back_traffic();
        let answer = self.begun();
        if let Some(attempt) = self.record.current(self.call) {
            attempt.is_witnessed = true;
        }
        answer
    }

    /// The version takes no traffic as yet, whatever was allowed.
    fn take_back_traffic(&mut self) {
        match self.record.current(self.call) {
            // Another attempt at the same version, and the end of the one before never arrived.
            Some(attempt) if attempt.has_flowed() => self.close(Command::Terminate),
            // It was allowed to take traffic and took none: the answer was lost, or somebody else said no.
            Some(attempt) => {
                attempt.traffic_since = None;
                attempt.last_increase = None;
            }
            None => {}
        }
    }

    /// Flagger asks this in every round of a version that takes traffic, or has come through its first iteration.
    fn rollout(&mut self) -> Answer {
        if let Some(successor) = self.record.successor(self.call) {
            return superseded(successor);
        }
        let before = self.leave_stale_run();
        // Where the attempt begins with it, the traffic of now is what is judged first.
        let is_first = self.record.current(self.call).is_none();
        let mut answer = self.begun();
        if let Some(before) = before {
            answer.add(&format!(
                "; what was found before there was anything to judge says nothing of it: {before}"
            ));
        }
        let now = self.now;
        if let Some(attempt) = self.record.current(self.call) {
            attempt.is_under_way = true;
            if is_first {
                attempt.traffic_since = Some(now);
            }
        }
        answer
    }

    /// Ends the attempt whose run came to nothing while other hooks of the first round were answered, a load test's for twenty minutes,
    /// say: no `confirm-traffic-increase` has begun another. Gives what that run had found.
    fn leave_stale_run(&mut self) -> Option<String> {
        let attempt = self.record.current(self.call)?;
        if attempt.traffic_since.is_some() || attempt.is_under_way {
            return None;
        }
        let standing = self.standing()?;
        match standing.phase {
            Phase::Inconclusive | Phase::Error => {
                self.close(Command::Terminate);
                Some(standing.text())
            }
            Phase::Pending | Phase::Running | Phase::Successful | Phase::Failed => None,
        }
    }

    /// Makes sure that the version has a run, and says how it stands.
    fn begun(&mut self) -> Answer {
        let Some(standing) = self.standing() else {
            return Answer::yes(format!("the run {} begins", self.start()));
        };
        match standing.phase {
            Phase::Failed | Phase::Error => Answer::no(standing.text()),
            Phase::Pending | Phase::Running | Phase::Successful | Phase::Inconclusive => {
                Answer::yes(standing.text())
            }
        }
    }

    fn confirm_traffic_increase(&mut self) -> Answer {
        if let Some(successor) = self.record.successor(self.call) {
            return superseded(successor);
        }
        let standing = self.standing();
        let now = self.now;
        let current = self.record.current(self.call);
        let (attempt, last_change) = match current {
            // Where the attempt began with traffic, that is what was changed last.
            Some(attempt) => match attempt.last_increase.or(attempt.traffic_since) {
                // Where there is no run although there was to be one, its caller has had no answer either; but traffic flows where
                // Flagger has asked what it only asks then.
                Some(last)
                    if standing.is_some() || attempt.is_under_way || attempt.has_flowed() =>
                {
                    (attempt, last)
                }
                Some(_) | None => return self.allow_first_traffic(standing.is_some()),
            },
            None => return self.allow_first_traffic(standing.is_some()),
        };
        let since = last_change.strftime("%H:%M:%SZ").to_string();
        let Some(standing) = standing else {
            self.start();
            return Answer::no("the run that judges this version was gone; it starts again");
        };
        let is_measured = attempt.is_measured_since(last_change);
        match standing.phase {
            Phase::Failed | Phase::Error | Phase::Inconclusive => Answer::no(standing.text()),
            Phase::Pending | Phase::Running | Phase::Successful if is_measured => {
                attempt.last_increase = Some(now);
                attempt.is_under_way = true;
                Answer::yes(standing.text())
            }
            Phase::Pending | Phase::Running => Answer::no(format!(
                "no good measurement since the last increase at {since}; {}{}",
                standing.text(),
                if attempt.may_be_stuck() { STUCK } else { "" }
            )),
            // The promotion that was allowed has not come to its end: there is nothing more to be measured for it.
            Phase::Successful if attempt.is_promotable => Answer::yes(standing.text()),
            Phase::Successful if standing.is_terminated => standing.cut_off(self.call),
            Phase::Successful => Answer::no(format!(
                "the run is over, without a good measurement since the last increase at {since}; \
                 a template without `count` goes on until the promotion"
            )),
        }
    }

    /// The version has taken no traffic yet: what is to be judged begins now. What its run has come to so far says nothing about
    /// that, good or bad, so a run that has found anything gives way to another.
    fn allow_first_traffic(&mut self, has_run: bool) -> Answer {
        let mut text = "the first traffic is allowed";
        let is_stale = |run: &RunView| run.phase.is_over() || run.has_judged;
        // Of a run that is kept no longer only its end is known.
        let has_found = self.run.map_or(has_run, is_stale);
        let is_witnessed = self
            .record
            .current(self.call)
            .is_some_and(|it| it.is_witnessed);
        if has_run && has_found {
            self.close(Command::Terminate);
            text = "the first traffic is allowed; what was found before it says nothing of it, so another run begins";
        }
        let now = self.now;
        let attempt = self.attempt();
        attempt.is_witnessed = is_witnessed;
        attempt.traffic_since = Some(now);
        attempt.last_increase = Some(now);
        if !has_run || has_found {
            self.start();
        }
        Answer::yes(text)
    }

    fn confirm_promotion(&mut self) -> Answer {
        let Some(attempt) = self.record.current(self.call) else {
            return Answer::no(UNKNOWN);
        };
        attempt.is_under_way = true;
        let run = attempt.run.clone();
        let Some(standing) = self.standing() else {
            return Answer::no("the run that judges this version has not begun");
        };
        match (standing.phase, self.run) {
            (Phase::Successful, _) if standing.is_terminated => standing.cut_off(self.call),
            (Phase::Successful, _) if standing.evidence => {
                if let Some(attempt) = self.record.current(self.call) {
                    attempt.is_promotable = true;
                }
                Answer::yes(standing.text())
            }
            (Phase::Successful, _) => Answer::no(format!(
                "not every metric has a good measurement; {}",
                standing.text()
            )),
            (Phase::Pending | Phase::Running, Some(view))
                if view.is_endless && view.lacking.is_empty() =>
            {
                // Concluded, it could never come to be good again.
                if !view.doubts.is_empty() {
                    let doubts = view.doubts.join("; ");
                    return Answer::no(format!("{doubts}; {}", standing.text()));
                }
                self.effects.push(Effect::Tell(run, Command::Conclude));
                self.may_change = true;
                Answer::no(format!("the run is being concluded; {}", standing.text()))
            }
            (Phase::Pending | Phase::Running, Some(view)) => {
                Answer::no(format!("the run is under way; {}", view.lacking.join(", ")))
            }
            (
                Phase::Pending
                | Phase::Running
                | Phase::Failed
                | Phase::Error
                | Phase::Inconclusive,
                _,
            ) => Answer::no(standing.text()),
        }
    }

    fn rollback(&mut self) -> Answer {
        if self.record.current(self.call).is_none() {
            return Answer::no(UNKNOWN);
        }
        match self.standing() {
            Some(standing) if standing.phase == Phase::Failed => Answer::yes(standing.text()),
            Some(standing) => Answer::no(standing.text()),
            None => Answer::no("the run that judges this version has not begun"),
        }
    }

    fn post_rollout(&mut self) -> Answer {
        let is_of_call = |attempt: &&Attempt| attempt.checksum == self.call.checksum;
        // It may have been over before: the event that comes with it was first.
        let newest = self.record.attempt.as_ref().filter(is_of_call);
        let answer = newest.map_or_else(
            || Answer::yes("no attempt at this version was under way"),
            |attempt| Answer::yes(format!("attempt {} is over", attempt.number)),
        );
        self.end();
        answer
    }

    /// An event tells in passing that no version is under way, just before `post-rollout` does, or where that is lost or not asked for;
    /// or that a version begins anew, where no `pre-rollout` does.
    fn event(&mut self) -> Answer {
        let phase = self.call.phase.as_str();
        let message = self.call.message.as_deref().unwrap_or_default();
        // Flagger's clock may differ from ours; by more than this nothing is held up on its way.
        let is_late = |attempt: &mut Attempt| {
            let sent = self.call.sent_at;
            let late = sent.map(|sent| attempt.opened_at.duration_since(sent));
            late.is_some_and(|late| late.is_positive() && late <= LONGEST_ON_THE_WAY)
        };
        if self.record.current(self.call).is_some_and(is_late) {
            return Answer::yes("noted; it was sent before this attempt began");
        }
        if AT_REST.contains(&phase) || LEAVING.contains(&phase) {
            self.end();
        } else if message.starts_with(STARTING) {
            self.take_back_traffic();
        }
        if let Some(attempt) = self.record.current(self.call) {
            attempt.is_witnessed = true;
        }
        Answer::yes("noted")
    }

    /// Ends the attempt at the call's version. That of another version is none of the call's business.
    fn end(&mut self) {
        if self.record.current(self.call).is_none() {
            return;
        }
        let is_endless = self.run.is_some_and(|run| run.is_endless);
        let command = if self.call.phase == SUCCEEDED && is_endless {
            Command::Conclude
        } else {
            Command::Terminate
        };
        self.close(command);
    }
}

/// What is answered about a version that no hook has begun an attempt at.
const UNKNOWN: &str = "no attempt at this version is under way: `pre-rollout`, `rollout` and `confirm-traffic-increase` begin one";

/// What is added where the answer to the first increase may have been lost, and nothing would show it.
const STUCK: &str = "; had Flagger not heard that it was allowed, only a `pre-rollout` or `event` hook would show it";

/// What is answered about a version whose place the attempt of that number has taken: what Flagger said of it before arrives late.
fn superseded(successor: u64) -> Answer {
    Answer::no(format!(
        "attempt {successor}, at another version, has taken the place of this one; `pre-rollout` begins this one again"
    ))
}
