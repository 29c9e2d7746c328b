//! What a call is answered, and what it means for the attempt and its run.

use jiff::Timestamp;

use super::{Attempt, Call, Entry, Hook, Record, RunView, Start};
use crate::domain::fault::listed;
use crate::domain::measurement::Phase;
use crate::domain::run::{Command, RunId};

/// The longest answer, in characters: Flagger puts it into a Kubernetes event, whose text is short.
const LONGEST_ANSWER: usize = 500;

/// The phases in which Flagger works on no version of a canary.
const AT_REST: [&str; 4] = ["Initialized", "Waiting", "Succeeded", "Failed"];

/// Those that come before a canary is gone.
const LEAVING: [&str; 2] = ["Terminating", "Terminated"];

/// What Flagger calls a rollout that came to a good end.
const SUCCEEDED: &str = "Succeeded";

/// What comes of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do before the record is saved: once it is, nothing in it remembers that run.
    pub ends: Option<(RunId, Command)>,
    /// What is remembered from now on, the answer included.
    pub record: Record,
    /// What to do once the record is saved.
    pub effects: Vec<Effect>,
    /// What Flagger is told.
    pub answer: Answer,
    /// Whether the effects may change the answer within moments, so that it is worth deciding again before Flagger's patience ends.
    pub may_change: bool,
    /// The arguments of the call that are not those which the attempt's run was started with. That run's hold.
    pub ignored: Vec<String>,
}

/// What Flagger is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Yes: for a rollback that means that it must go back.
    pub yes: bool,
    /// Why, in one line.
    pub text: String,
}

/// What is to be done about a call. Doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// See whether the template and its arguments are valid and the OAP answers; where not, [`refuse`].
    Check,
    /// Start the run where there is none of that id. Where the template or its arguments are invalid, [`refuse`] before anything is saved.
    Start(Start),
    /// Tell a run something.
    Tell(RunId, Command),
}

impl Answer {
    /// The status that Flagger takes for it: never above 202 for yes, never 429 or a 5xx for no.
    pub fn status(&self) -> u16 {
        if self.yes { 200 } else { 403 }
    }

    fn yes(text: impl AsRef<str>) -> Self {
        Self {
            yes: true,
            text: one_line(text.as_ref()),
        }
    }

    fn no(text: impl AsRef<str>) -> Self {
        Self {
            yes: false,
            text: one_line(text.as_ref()),
        }
    }

    /// Adds to the text what must be read, and cuts what is before it where both are too long.
    fn add(&mut self, more: &str) {
        let more = cut(more, LONGEST_ANSWER / 2);
        let room = LONGEST_ANSWER - more.chars().count();
        self.text = cut(&self.text, room) + &more;
    }
}

/// Decides what `call` of `hook` is answered at `now`. `run` is the one of the record's newest attempt, if it is still kept,
/// and `fresh` what the next one may be called.
pub fn decide(
    hook: Hook,
    call: &Call,
    record: Record,
    run: Option<&RunView>,
    fresh: RunId,
    now: Timestamp,
) -> Decision {
    let mut asked = Asked {
        call,
        run,
        fresh,
        now,
        record,
        ends: None,
        effects: Vec::new(),
        may_change: false,
    };
    match (asked.record.open(), run) {
        (Some(attempt), Some(run)) => attempt.observe(run),
        // Nobody asks about the run of an attempt that is over.
        (None, _) => asked.run = None,
        (Some(_), None) => {}
    }
    let answer = match hook {
        Hook::ConfirmRollout => asked.confirm_rollout(),
        Hook::PreRollout => asked.pre_rollout(),
        Hook::Rollout => asked.rollout(),
        Hook::ConfirmTrafficIncrease => asked.confirm_traffic_increase(),
        Hook::ConfirmPromotion => asked.confirm_promotion(),
        Hook::PostRollout => asked.post_rollout(),
        Hook::Rollback => asked.rollback(),
        Hook::Event => asked.event(),
    };
    asked.decided(hook, answer)
}

/// Decides that `call` is refused for `why`, whatever the attempt and its run have come to: its template isn't valid, say.
pub fn refuse(hook: Hook, call: &Call, mut record: Record, why: &str, now: Timestamp) -> Decision {
    let answer = Answer::no(why);
    let attempt = record.current(call).map(|attempt| attempt.number);
    record.note(entry(hook, call, &answer, attempt, now));
    Decision {
        ends: None,
        record,
        effects: Vec::new(),
        answer,
        may_change: false,
        ignored: Vec::new(),
    }
}

/// A call while it is decided about.
struct Asked<'a> {
    call: &'a Call,
    run: Option<&'a RunView>,
    fresh: RunId,
    now: Timestamp,
    record: Record,
    ends: Option<(RunId, Command)>,
    effects: Vec<Effect>,
    may_change: bool,
}

/// What an attempt's run has come to, as far as is known.
struct Standing {
    phase: Phase,
    why: String,
    evidence: bool,
}

impl Standing {
    /// `Failed: apdex failed 4 of 4 measurements …`.
    fn text(&self) -> String {
        match self.why.as_str() {
            "" => self.phase.to_string(),
            why => format!("{}: {why}", self.phase),
        }
    }
}

impl Asked<'_> {
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

    /// Flagger asks this while the version takes no traffic, until all who are asked say yes.
    fn pre_rollout(&mut self) -> Answer {
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
        let answer = self.begun();
        if let Some(attempt) = self.record.current(self.call) {
            attempt.is_prepared = true;
        }
        answer
    }

    /// Flagger asks this in every round of a version that takes traffic.
    fn rollout(&mut self) -> Answer {
        if let Some(successor) = self.record.successor(self.call) {
            return superseded(successor);
        }
        let answer = self.begun();
        if let Some(attempt) = self.record.current(self.call) {
            attempt.is_under_way = true;
        }
        answer
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
        let (attempt, last_increase) = match current {
            Some(attempt) => match attempt.last_increase {
                // Where there is no run although there was to be one, its caller has had no answer either.
                Some(last) if standing.is_some() || attempt.has_flowed() => (attempt, last),
                Some(_) | None => return self.allow_first_traffic(standing.is_some()),
            },
            None => return self.allow_first_traffic(standing.is_some()),
        };
        let since = last_increase.strftime("%H:%M:%SZ").to_string();
        let Some(standing) = standing else {
            self.start();
            return Answer::no("the run that judges this version was gone; it starts again");
        };
        let is_measured = attempt.is_measured_since(last_increase);
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
        let is_prepared = self
            .record
            .current(self.call)
            .is_some_and(|it| it.is_prepared);
        if has_run && has_found {
            self.close(Command::Terminate);
            text = "the first traffic is allowed; what was found before it says nothing of it, so another run begins";
        }
        let now = self.now;
        let attempt = self.attempt();
        attempt.is_prepared = is_prepared;
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
            (Phase::Successful, _) if standing.evidence => Answer::yes(standing.text()),
            (Phase::Successful, _) => Answer::no(format!(
                "not every metric has a good measurement; {}",
                standing.text()
            )),
            (Phase::Pending | Phase::Running, Some(view))
                if view.is_endless && view.lacking.is_empty() =>
            {
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

    /// An event tells in passing that no version is under way, just before `post-rollout` does, or where that is lost or not asked for.
    fn event(&mut self) -> Answer {
        let phase = self.call.phase.as_str();
        if AT_REST.contains(&phase) || LEAVING.contains(&phase) {
            self.end();
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

    /// What the run of the attempt at the call's version has come to; `None` where there is no such attempt or its run is not there.
    fn standing(&mut self) -> Option<Standing> {
        let run = self.run;
        let attempt = self.record.current(self.call)?;
        if let Some(end) = &attempt.end {
            return Some(Standing {
                phase: end.phase,
                why: end.why.clone(),
                evidence: end.evidence,
            });
        }
        run.map(|run| Standing {
            phase: run.phase,
            why: run.why.clone(),
            evidence: run.evidence,
        })
    }

    /// The attempt at the call's version. Where there is none it begins, and that of another version is over.
    fn attempt(&mut self) -> &mut Attempt {
        if self.record.current(self.call).is_none() {
            self.close(Command::Terminate);
            self.run = None;
            self.record.begin(self.call, self.fresh.clone(), self.now);
        }
        self.record
            .attempt
            .as_mut()
            .expect("it was looked at or begun above")
    }

    /// Starts the run of the attempt at the call's version, and gives its id.
    fn start(&mut self) -> RunId {
        let call = self.call;
        let start = Start::of(call, self.attempt());
        let run = start.run.clone();
        self.effects.push(Effect::Start(start));
        run
    }

    /// Closes the attempt that is open, whatever its version, and has its run end as `command` says.
    fn close(&mut self, command: Command) {
        let is_over = self.run.is_none_or(|run| run.phase.is_over());
        let now = self.now;
        let Some(attempt) = self.record.open() else {
            return;
        };
        attempt.closed_at = Some(now);
        if !is_over {
            self.ends = Some((attempt.run.clone(), command));
        }
        // Whatever is asked from now on is about another run.
        self.run = None;
    }

    fn decided(mut self, hook: Hook, mut answer: Answer) -> Decision {
        self.tell_of_traffic();
        let ignored = self.ignored(hook);
        if !ignored.is_empty() {
            let names = listed(ignored.iter().map(String::as_str));
            answer.add(&format!(
                "; not used: {names}, with which the attempt was not begun"
            ));
        }
        let is_about = |attempt: &&Attempt| {
            attempt.checksum == self.call.checksum
                && (hook == Hook::PostRollout || attempt.closed_at.is_none_or(|at| at == self.now))
        };
        let attempt = self.record.attempt.as_ref().filter(is_about);
        let attempt = attempt.map(|attempt| attempt.number);
        let entry = entry(hook, self.call, &answer, attempt, self.now);
        self.record.note(entry);
        Decision {
            ends: self.ends,
            record: self.record,
            effects: self.effects,
            answer,
            may_change: self.may_change,
            ignored,
        }
    }

    /// The arguments of the call that its attempt's run does not have, or has with another value. What is left out is no contradiction.
    fn ignored(&mut self, hook: Hook) -> Vec<String> {
        let call = self.call;
        match hook {
            Hook::Event | Hook::PostRollout => return Vec::new(),
            Hook::ConfirmRollout
            | Hook::PreRollout
            | Hook::Rollout
            | Hook::ConfirmTrafficIncrease
            | Hook::ConfirmPromotion
            | Hook::Rollback => {}
        }
        let attempt = self.record.current(call);
        let Some(begun_with) = attempt.and_then(|attempt| attempt.args.as_ref()) else {
            return Vec::new();
        };
        let given = call.args.iter();
        given
            .filter(|(name, value)| begun_with.get(*name) != Some(value))
            .map(|(name, _)| format!("args.{name}"))
            .collect()
    }

    /// Tells the run since when its version takes traffic, unless it knows: also where that was lost before.
    fn tell_of_traffic(&mut self) {
        let (run, call) = (self.run, self.call);
        let Some(attempt) = self.record.current(call) else {
            return;
        };
        let (Some(view), Some(since)) = (run, attempt.traffic_since) else {
            return;
        };
        if !view.phase.is_over() && view.not_before < Some(since) {
            let command = Command::NoTrafficBefore(since);
            self.effects
                .push(Effect::Tell(attempt.run.clone(), command));
        }
    }
}

/// What is answered about a version that no hook has begun an attempt at.
const UNKNOWN: &str = "no attempt at this version is under way: `pre-rollout`, `rollout` and `confirm-traffic-increase` begin one";

/// What is added where the answer to the first increase may have been lost, and nothing would show it.
const STUCK: &str = "; had Flagger not heard that it was allowed, only a `pre-rollout` hook would show it, and this Canary calls none";

/// What is answered about a version whose place the attempt of that number has taken: what Flagger said of it before arrives late.
fn superseded(successor: u64) -> Answer {
    Answer::no(format!(
        "attempt {successor}, at another version, has taken the place of this one; `pre-rollout` begins this one again"
    ))
}

fn entry(hook: Hook, call: &Call, answer: &Answer, attempt: Option<u64>, now: Timestamp) -> Entry {
    let told = call.message.as_deref().filter(|_| hook == Hook::Event);
    Entry {
        at: now,
        hook,
        phase: call.phase.clone(),
        checksum: call.checksum.clone(),
        attempt,
        status: answer.status(),
        text: told.map_or_else(|| answer.text.clone(), one_line),
    }
}

/// `text` as one line that is not too long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    cut(&words.join(" "), LONGEST_ANSWER)
}

/// `text`, or as much of it as so many characters hold.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}
