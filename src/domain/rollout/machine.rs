//! The one function that moves a rollout.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::duration::short;
use super::super::measurement::Phase;
use super::super::metric_run::after;
use super::Weight;
use super::command::Difference;
use super::event::{Effect, Event, HookKey};
use super::spec::{RolloutSpec, Step};
use super::state::{
    Aborted, Analysis, AnalysisKey, AnalysisKind, Pause, PauseReason, Promotion, Revision, Rollout,
    Transition, Trouble, Version,
};

/// How much of the history is kept.
const LONGEST_HISTORY: usize = 200;

/// How many analyses of each kind of end are kept that no longer matter.
const MOST_EARLIER: usize = 5;

/// How many former revisions are kept.
const MOST_FORMER: usize = 10;

/// How much of a message is kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// How much of what the hook says is kept, in characters: the end of it.
const LONGEST_OUTPUT: usize = 4_000;

/// The longest time between two tries of the hook.
const LONGEST_RETRY: std::time::Duration = std::time::Duration::from_mins(5);

/// Moves `rollout` by one event. Pure: the same input gives the same output.
///
/// The effects are all that is to be done now, not only what this event added: the same as [`Rollout::outstanding`] gives.
pub fn step(mut rollout: Rollout, event: Event, now: Timestamp) -> (Rollout, Vec<Effect>) {
    let note = rollout.take_in(event, now);
    rollout.settle(now);
    rollout.note(note, now);
    let effects = rollout.outstanding(now);
    (rollout, effects)
}

impl Rollout {
    /// Takes in what happened, and says what the history should tell about it.
    fn take_in(&mut self, event: Event, now: Timestamp) -> String {
        match event {
            Event::Tick => {}
            Event::TakenOver(settings) => {
                self.settings = settings;
                self.is_routed = false;
                self.blind_since = None;
                self.trouble = None;
            }
            Event::Begun { spec, version } => return self.begin(spec, version, now),
            Event::Routed { weight } => self.routed(weight, now),
            Event::Unroutable { message } => {
                let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
                let message = cut(message);
                self.trouble = Some(Trouble { since, message });
            }
            Event::AnalysisStarted { key, run } => {
                let found = self.any_analysis(|analysis| analysis.key == key);
                if let Some(analysis) = found {
                    analysis.run.get_or_insert(run);
                }
            }
            Event::AnalysisRefused { key, message } => {
                let waits = |it: &Analysis| it.key == key && it.run.is_none() && it.may_run();
                if let Some(analysis) = self.any_analysis(waits) {
                    analysis.phase = Phase::Error;
                    analysis.message = cut(message);
                }
            }
            Event::AnalysisSeen {
                run,
                phase,
                message,
                evidence,
            } => {
                let is_it = |it: &Analysis| it.run.as_ref() == Some(&run) && !it.phase.is_over();
                if let Some(analysis) = self.any_analysis(is_it) {
                    analysis.phase = phase;
                    analysis.message = cut(message);
                    analysis.evidence = evidence;
                }
            }
            Event::AnalysisGone { run } => {
                let is_it = |it: &Analysis| it.run.as_ref() == Some(&run) && it.may_run();
                if let Some(analysis) = self.any_analysis(is_it) {
                    analysis.is_ended = true;
                    analysis.message = "the service has no such run any more".to_owned();
                }
                self.renew_lost();
            }
            Event::AnalysisEnded { key } => {
                let is_it = |it: &&mut Analysis| it.key == key;
                if let Some(analysis) = self.earlier.iter_mut().find(is_it) {
                    analysis.is_ended = true;
                }
            }
            Event::NotBeforeSet { run } => {
                let moment = self.traffic_since;
                let is_it = |it: &Analysis| it.run.as_ref() == Some(&run);
                if let Some(analysis) = self.any_analysis(is_it) {
                    analysis.not_before = moment;
                }
            }
            Event::HookEnded {
                key,
                is_success,
                output,
            } => return self.hook_ended(&key, is_success, &output, now),
            Event::Command(posted) => return self.obey(posted, now),
            Event::Blind { since } => {
                self.blind_since = Some(self.blind_since.map_or(since, |it| it.min(since)));
            }
            Event::Sighted => self.blind_since = None,
            Event::Interrupted => {
                if self.is_stepping() {
                    self.abort("the stepper was interrupted", now);
                }
            }
        }
        String::new()
    }

    fn begin(&mut self, spec: Arc<RolloutSpec>, version: Version, now: Timestamp) -> String {
        match self.compare(&spec, &version) {
            Err(refusal) => return format!("revision `{}`: refused, {refusal}", version.name),
            Ok(Difference::None) => return String::new(),
            Ok(Difference::Steps) => self.attempt += 1,
            Ok(Difference::Version) => {
                let next = Revision {
                    number: self.revision.number + 1,
                    version,
                    begun_at: now,
                };
                self.former
                    .push(std::mem::replace(&mut self.revision, next));
                let surplus = self.former.len().saturating_sub(MOST_FORMER);
                self.former.drain(..surplus);
                self.attempt = 1;
            }
        }
        self.is_paused = spec.is_paused;
        self.spec = spec;
        self.restart();
        String::new()
    }

    fn routed(&mut self, weight: Weight, now: Timestamp) {
        self.routed = weight;
        self.is_routed = true;
        self.trouble = None;
        if weight > Weight::NONE && self.aborted.is_none() && !self.is_promoted() {
            self.traffic_since.get_or_insert(now);
        }
    }

    fn hook_ended(
        &mut self,
        key: &HookKey,
        is_success: bool,
        output: &str,
        now: Timestamp,
    ) -> String {
        let Promotion::Hook { number, .. } = self.promotion else {
            return String::new();
        };
        if *key != self.hook_key(number) {
            return String::new();
        }
        let output = output.trim();
        let surplus = output.chars().count().saturating_sub(LONGEST_OUTPUT);
        self.hook_output = output.chars().skip(surplus).collect();
        if is_success {
            self.confirm();
            return "on-promote hook: done".to_owned();
        }
        let policy = self.settings.hook.clone().unwrap_or_default();
        let tries = policy.tries.max(1);
        let message = format!("the on-promote hook failed (try {number} of {tries})");
        let message = match output.lines().next_back() {
            Some(last) => cut(format!("{message}: {last}")),
            None => message,
        };
        self.promotion = if number < tries {
            let doubled = 1_u32.checked_shl(number - 1).unwrap_or(u32::MAX);
            let pause = policy
                .retry_after
                .saturating_mul(doubled)
                .min(LONGEST_RETRY);
            Promotion::Hook {
                number: number + 1,
                begins_at: after(now, pause),
            }
        } else {
            Promotion::HookFailed {
                message: message.clone(),
            }
        };
        message
    }

    pub(super) fn hook_key(&self, number: u32) -> HookKey {
        HookKey {
            revision: self.revision.number,
            attempt: self.attempt,
            number,
        }
    }

    /// Draws the consequences, until nothing more follows without another event.
    fn settle(&mut self, now: Timestamp) {
        self.judge(now);
        self.mind_blindness(now);
        if self.is_stepping() && self.blind_since.is_none() {
            self.start_background(now);
            if !self.is_paused {
                while self.advance(now) {
                    self.start_background(now);
                }
            }
            // An analysis that cannot even be asked for is an error at once.
            self.judge(now);
        }
        self.mind_settings(now);
        if self.is_promoted() || self.aborted.is_some() {
            self.step = if self.is_promoted() {
                self.spec.steps.len()
            } else {
                0
            };
            self.pauses.clear();
            self.want(Weight::NONE);
            self.drop_analyses();
        }
        self.forget_earlier();
    }

    /// What the analyses mean for the rollout.
    fn judge(&mut self, now: Timestamp) {
        if !self.is_stepping() {
            return;
        }
        let verdicts: Vec<(&str, Phase, String)> = self
            .analyses()
            .map(|analysis| {
                let kind = match analysis.key.kind {
                    AnalysisKind::Background => "Background",
                    AnalysisKind::Step(_) => "Step-based",
                };
                (kind, analysis.phase, analysis.message.clone())
            })
            .collect();
        for (kind, phase, message) in verdicts {
            match phase {
                Phase::Failed | Phase::Error => {
                    let mut reason = format!("{kind} analysis phase error/failed");
                    if !message.is_empty() {
                        reason = format!("{reason}: {message}");
                    }
                    self.abort(&reason, now);
                    return;
                }
                Phase::Inconclusive => self.wait_for(PauseReason::InconclusiveAnalysisRun, now),
                Phase::Pending | Phase::Running | Phase::Successful => {}
            }
        }
    }

    /// Takes the canary's traffic away where nobody has been able to judge it for too long.
    fn mind_blindness(&mut self, now: Timestamp) {
        let (Some(since), Some(limit)) = (self.blind_since, self.settings.abort_when_blind) else {
            return;
        };
        let has_traffic = self.weight > Weight::NONE || self.routed > Weight::NONE;
        if self.is_stepping() && has_traffic && now >= after(since, limit) {
            let limit = short(limit);
            self.abort(&format!("the service was out of sight for {limit}"), now);
        }
    }

    /// A stepper that knows a hook runs it; one that knows none leaves it to somebody else.
    fn mind_settings(&mut self, now: Timestamp) {
        match (&self.promotion, &self.settings.hook) {
            (Promotion::Hook { .. }, None) => self.promotion = Promotion::Unconfirmed,
            (Promotion::Unconfirmed, Some(_)) => {
                self.promotion = Promotion::Hook {
                    number: 1,
                    begins_at: now,
                };
            }
            (Promotion::Hook { .. }, Some(_))
            | (Promotion::Unconfirmed, None)
            | (Promotion::NotDue | Promotion::HookFailed { .. }, _) => {}
        }
    }

    /// Works on the current step; whether it came to its end.
    fn advance(&mut self, now: Timestamp) -> bool {
        let spec = Arc::clone(&self.spec);
        let is_over = match spec.steps.get(self.step) {
            None => {
                self.finish(now);
                false
            }
            Some(Step::SetWeight(weight)) => {
                if self.is_waiting_for(PauseReason::InconclusiveAnalysisRun) {
                    return false;
                }
                self.want(*weight);
                self.is_at(*weight)
            }
            Some(Step::Pause(duration)) => {
                self.wait_for(PauseReason::CanaryPauseStep, now);
                let end = duration.and_then(|it| Some(after(self.pause_step_since()?, it)));
                end.is_some_and(|end| now > end)
            }
            Some(Step::Analysis(_)) => self.await_step_analysis(now),
        };
        if is_over {
            self.leave_step();
        }
        is_over
    }

    /// Whether the analysis that is the current step lets the rollout go on.
    fn await_step_analysis(&mut self, now: Timestamp) -> bool {
        let Some(analysis) = &self.step_analysis else {
            if !self.is_waiting_for(PauseReason::InconclusiveAnalysisRun) {
                let kind = AnalysisKind::Step(self.step);
                self.step_analysis = self.new_analysis(kind, now);
            }
            return false;
        };
        if analysis.phase != Phase::Successful {
            return false;
        }
        if !analysis.evidence {
            self.wait_for(PauseReason::NoEvidence, now);
            return false;
        }
        !self.is_waiting_for(PauseReason::InconclusiveAnalysisRun)
    }

    /// All steps are done: all traffic goes to the canary, once there is evidence that it may.
    ///
    /// A canary that has had no traffic cannot have evidence: it gets all of it first, and waits for evidence then.
    fn finish(&mut self, now: Timestamp) {
        if self.is_waiting_for(PauseReason::InconclusiveAnalysisRun) {
            return;
        }
        let lacks_evidence = self.lacks_evidence();
        if lacks_evidence && self.weight > Weight::NONE {
            self.wait_for(PauseReason::NoEvidence, now);
            return;
        }
        self.pauses.clear();
        self.want(Weight::ALL);
        if lacks_evidence || !self.is_at(Weight::ALL) {
            return;
        }
        self.drop_analyses();
        self.promotion = Promotion::Unconfirmed;
    }

    /// Whether the analysis beside the steps has not measured anything good, and nobody said to go on without.
    fn lacks_evidence(&self) -> bool {
        let has_evidence = |analysis: &Analysis| analysis.evidence;
        self.spec.analysis.is_some()
            && !self.is_full
            && !self.is_waived
            && !self.background.as_ref().is_some_and(has_evidence)
    }

    fn start_background(&mut self, now: Timestamp) {
        let Some(background) = &self.spec.analysis else {
            return;
        };
        if self.background.is_none() && !self.is_full && self.step >= background.starting_step {
            self.background = self.new_analysis(AnalysisKind::Background, now);
        }
    }

    /// An analysis of the current attempt, to be asked for.
    fn new_analysis(&self, kind: AnalysisKind, now: Timestamp) -> Option<Analysis> {
        let key = AnalysisKey {
            revision: self.revision.number,
            attempt: self.attempt,
            kind,
        };
        let resolved = self.arguments(self.site(kind)?);
        let (args, phase, message) = match resolved {
            Ok(args) => (args, Phase::Pending, String::new()),
            Err(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                (Vec::new(), Phase::Error, cut(faults.join("; ")))
            }
        };
        Some(Analysis {
            name: self.analysis_name(&key),
            key,
            asked_at: now,
            args,
            not_before: self.traffic_since,
            run: None,
            phase,
            message,
            evidence: false,
            is_ended: false,
        })
    }

    /// A run that is lost before it was over is begun anew.
    fn renew_lost(&mut self) {
        let is_lost = |analysis: &Analysis| analysis.is_ended;
        if self.background.as_ref().is_some_and(is_lost) {
            self.renew_background();
        }
        if self.step_analysis.as_ref().is_some_and(is_lost) {
            self.attempt += 1;
            self.earlier.extend(self.step_analysis.take());
        }
    }

    pub(super) fn renew_background(&mut self) {
        self.attempt += 1;
        self.earlier.extend(self.background.take());
    }

    /// Goes on to the next step, whether the current one came to its end or not.
    pub(super) fn leave_step(&mut self) {
        let spec = Arc::clone(&self.spec);
        let Some(step) = spec.steps.get(self.step) else {
            return;
        };
        if let Step::SetWeight(weight) = step {
            self.want(*weight);
        }
        self.step += 1;
        self.earlier.extend(self.step_analysis.take());
        self.pauses
            .retain(|pause| pause.reason == PauseReason::InconclusiveAnalysisRun);
    }

    pub(super) fn abort(&mut self, reason: &str, now: Timestamp) {
        self.aborted.get_or_insert(Aborted {
            at: now,
            reason: reason.to_owned(),
        });
        self.is_full = false;
        self.promotion = Promotion::NotDue;
    }

    /// Back to the first step, as if nothing of this revision had been done.
    pub(super) fn restart(&mut self) {
        self.step = 0;
        self.want(Weight::NONE);
        self.traffic_since = None;
        self.pauses.clear();
        self.aborted = None;
        self.is_full = false;
        self.is_waived = false;
        self.promotion = Promotion::NotDue;
        self.hook_output.clear();
        self.drop_analyses();
    }

    /// The canary is the stable version now.
    pub(super) fn confirm(&mut self) {
        self.stable = Some(self.revision.version.clone());
        self.promotion = Promotion::NotDue;
    }

    pub(super) fn drop_analyses(&mut self) {
        self.earlier.extend(self.background.take());
        self.earlier.extend(self.step_analysis.take());
    }

    pub(super) fn want(&mut self, weight: Weight) {
        if self.weight != weight {
            self.weight = weight;
            self.changes += 1;
        }
    }

    /// Whether the canary gets `weight`, for sure.
    pub(super) fn is_at(&self, weight: Weight) -> bool {
        self.is_routed && self.routed == weight
    }

    fn wait_for(&mut self, reason: PauseReason, now: Timestamp) {
        if !self.is_waiting_for(reason) {
            self.pauses.push(Pause { reason, since: now });
        }
    }

    pub(super) fn pause_step_since(&self) -> Option<Timestamp> {
        let is_it = |pause: &&Pause| pause.reason == PauseReason::CanaryPauseStep;
        self.pauses.iter().find(is_it).map(|pause| pause.since)
    }

    fn any_analysis(&mut self, is_it: impl Fn(&Analysis) -> bool) -> Option<&mut Analysis> {
        self.background
            .iter_mut()
            .chain(&mut self.step_analysis)
            .chain(&mut self.earlier)
            .find(|analysis| is_it(analysis))
    }

    /// Keeps the newest analyses of each kind of end, and all that may still run.
    fn forget_earlier(&mut self) {
        let (mut good, mut bad) = (0, 0);
        let mut kept: Vec<Analysis> = Vec::with_capacity(self.earlier.len());
        for analysis in self.earlier.drain(..).rev() {
            let count = if analysis.phase == Phase::Successful {
                &mut good
            } else {
                &mut bad
            };
            if analysis.may_run() || *count < MOST_EARLIER {
                *count += 1;
                kept.push(analysis);
            }
        }
        kept.reverse();
        self.earlier = kept;
    }

    /// Adds to the history, if something changed that people look at.
    fn note(&mut self, note: String, now: Timestamp) {
        let (phase, message) = self.status();
        let transition = Transition {
            at: now,
            revision: self.revision.number,
            step: self.step,
            weight: self.routed,
            phase,
            message,
            note: cut(note),
        };
        let is_news = self.history.back().is_none_or(|last| {
            !transition.note.is_empty()
                || Transition {
                    at: last.at,
                    note: last.note.clone(),
                    ..transition.clone()
                } != *last
        });
        if is_news {
            self.history.push_back(transition);
        }
        while self.history.len() > LONGEST_HISTORY {
            self.history.pop_front();
        }
    }
}

fn cut(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
