//! A call while it is decided about: all that is known of its canary, and what becomes of that.

use jiff::Timestamp;

use super::{
    Answer, Attempt, Call, Decision, Effect, Entry, Hook, Record, RunView, Standing, Start,
};
use crate::domain::fault::listed;
use crate::domain::run::{Command, RunId};

/// A call while it is decided about.
pub(super) struct Asked<'a> {
    pub(super) call: &'a Call,
    pub(super) run: Option<&'a RunView>,
    fresh: RunId,
    pub(super) now: Timestamp,
    pub(super) record: Record,
    ends: Option<(RunId, Command)>,
    pub(super) effects: Vec<Effect>,
    pub(super) may_change: bool,
}

impl<'a> Asked<'a> {
    /// `call` at `now`, with all that is known of its canary.
    pub(super) fn of(
        call: &'a Call,
        record: Record,
        run: Option<&'a RunView>,
        fresh: RunId,
        now: Timestamp,
    ) -> Self {
        let mut asked = Self {
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
        asked
    }
}

impl Asked<'_> {
    /// What comes of it as a call of `hook`.
    pub(super) fn decided(mut self, hook: Hook) -> Decision {
        let answer = match self.contradiction(hook) {
            Some(refusal) => refusal,
            None => self.answer(hook),
        };
        self.tell_of_traffic();
        self.answered(hook, answer)
    }

    /// What the run of the attempt at the call's version has come to; `None` where there is no such attempt or its run is not there.
    pub(super) fn standing(&mut self) -> Option<Standing> {
        let run = self.run;
        let attempt = self.record.current(self.call)?;
        let end = attempt.end.clone();
        end.or_else(|| run.map(Standing::of))
    }

    /// The attempt at the call's version. Where there is none it begins, and that of another version is over.
    pub(super) fn attempt(&mut self) -> &mut Attempt {
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
    pub(super) fn start(&mut self) -> RunId {
        let call = self.call;
        let start = Start::of(call, self.attempt());
        let run = start.run.clone();
        self.effects.push(Effect::Start(start));
        run
    }

    /// Closes the attempt that is open, whatever its version, and has its run end as `command` says.
    pub(super) fn close(&mut self, command: Command) {
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

    fn answered(mut self, hook: Hook, mut answer: Answer) -> Decision {
        let ignored = self.ignored(hook).names();
        if !ignored.is_empty() && !is_bound(hook) {
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
        let entry = Entry::of(hook, self.call, &answer, attempt, self.now);
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

    /// The refusal of a call whose arguments contradict those of its attempt: whoever takes the answer for theirs would be judged by others.
    fn contradiction(&mut self, hook: Hook) -> Option<Answer> {
        let is_flowing = self.record.current(self.call)?.has_flowed();
        // That is another attempt, which begins with arguments of its own.
        if !is_bound(hook) || (hook == Hook::PreRollout && is_flowing) {
            return None;
        }
        let ignored = self.ignored(hook);
        let mut answer = Answer::no(ignored.refusal()?);
        let (canary, namespace) = (&self.call.canary, &self.call.namespace);
        let anew = format!(
            "`skygate canaries delete {canary} -n {namespace}` lets the next call begin anew"
        );
        answer.add(&if ignored.others.is_empty() {
            format!("; take it out of the hook's metadata; if the template has it by now, {anew}")
        } else {
            format!(
                "; a second judge needs a template of its own name; if they were edited, {anew}"
            )
        });
        Some(answer)
    }

    /// The arguments of the call that its attempt's run does not have, or has with another value. What is left out is no contradiction.
    fn ignored(&mut self, hook: Hook) -> Ignored {
        let mut ignored = Ignored::default();
        let (call, run) = (self.call, self.run);
        match hook {
            Hook::Event | Hook::PostRollout => return ignored,
            Hook::ConfirmRollout
            | Hook::PreRollout
            | Hook::Rollout
            | Hook::ConfirmTrafficIncrease
            | Hook::ConfirmPromotion
            | Hook::Rollback => {}
        }
        let attempt = self.record.current(call);
        let Some(begun_with) = attempt.and_then(|attempt| attempt.args.as_ref()) else {
            return ignored;
        };
        for (name, value) in &call.args {
            let begun_with = begun_with.get(name);
            let is_other = match run.map(|run| run.args.get(name)) {
                // What the run has by the template's default counts like what it was begun with.
                Some(Some(Some(own))) => own != value,
                // A secret's value is nobody's to compare.
                Some(Some(None)) => begun_with != Some(value),
                Some(None) => {
                    ignored.unknown.push(format!("args.{name}"));
                    false
                }
                // Nobody knows the template's defaults any more.
                None => begun_with.is_some_and(|begun_with| begun_with != value),
            };
            if is_other {
                ignored.others.push(format!("args.{name}"));
            }
        }
        ignored
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

/// The names of arguments that a call has in vain.
#[derive(Default)]
struct Ignored {
    /// Those that the attempt's run has with another value.
    others: Vec<String>,
    /// Those that it does not have: its template declares none of that name.
    unknown: Vec<String>,
}

impl Ignored {
    /// All of them.
    fn names(self) -> Vec<String> {
        let mut names = self.others;
        names.extend(self.unknown);
        names.sort();
        names
    }

    /// What is wrong with them, if there are any.
    fn refusal(&self) -> Option<String> {
        let shown = |names: &[String]| listed(names.iter().map(String::as_str));
        let (others, unknown) = (shown(&self.others), shown(&self.unknown));
        match (self.others.is_empty(), self.unknown.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("this attempt is judged with other {others}")),
            (true, false) => Some(format!("no such argument of the template: {unknown}")),
            (false, false) => Some(format!(
                "this attempt is judged with other {others}; no such argument of the template: {unknown}"
            )),
        }
    }
}

/// Whether the answer to a hook is no one's but the judge's whose arguments the attempt was begun with.
fn is_bound(hook: Hook) -> bool {
    match hook {
        Hook::PreRollout
        | Hook::Rollout
        | Hook::ConfirmTrafficIncrease
        | Hook::ConfirmPromotion => true,
        Hook::ConfirmRollout | Hook::PostRollout | Hook::Rollback | Hook::Event => false,
    }
}
