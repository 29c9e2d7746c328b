//! What follows from a rollout's state alone: verdicts, the end of steps, the end of the rollout.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::duration::short;
use super::super::measurement::Phase;
use super::super::metric_run::after;
use super::Weight;
use super::machine::cut;
use super::spec::Step;
use super::state::{
    Aborted, Analysis, AnalysisKey, AnalysisKind, Pause, PauseReason, Promotion, Rollout, Waived,
};

/// How many analyses of each kind of end are kept that no longer matter.
const MOST_EARLIER: usize = 5;

impl Rollout {
    /// Draws the consequences, until nothing more follows without another event.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.judge(now);
        self.mind_blindness(now);
        if self.is_stepping() && self.blind_since.is_none() {
            self.start_background(now);
            if !self.is_paused && !self.awaits_sight() {
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
        let Some(limit) = self.settings.abort_when_blind else {
            return;
        };
        if !self.is_stepping() || !self.has_traffic() {
            return;
        }
        let is_too_long = |since: Timestamp| now >= after(since, limit);
        let lost = if self.blind_since.is_some_and(is_too_long) {
            "the service"
        } else if self.out_of_sight_since().is_some_and(is_too_long) {
            "an analysis"
        } else {
            return;
        };
        let limit = short(limit);
        self.abort(&format!("{lost} was out of sight for {limit}"), now);
    }

    /// Whether the canary has traffic, or is about to.
    pub fn has_traffic(&self) -> bool {
        self.weight > Weight::NONE || self.routed > Weight::NONE
    }

    /// A stepper that knows a hook runs it; one that knows none leaves it to somebody else.
    fn mind_settings(&mut self, now: Timestamp) {
        match (&self.promotion, &self.settings.hook) {
            (Promotion::Hook { .. }, None) => self.promotion = Promotion::Unconfirmed,
            (Promotion::Unconfirmed, Some(_)) => self.promotion = Promotion::first_try(now),
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
    /// A canary whose steps name no weight cannot have evidence before: it gets all traffic first, and waits for evidence then.
    fn finish(&mut self, now: Timestamp) {
        if self.is_waiting_for(PauseReason::InconclusiveAnalysisRun) {
            return;
        }
        if self.lacks_evidence() {
            if self.shares().next().is_none() {
                self.want(Weight::ALL);
            }
            self.wait_for(PauseReason::NoEvidence, now);
            return;
        }
        self.pauses.clear();
        self.want(Weight::ALL);
        if !self.is_at(Weight::ALL) {
            return;
        }
        self.drop_analyses();
        self.promotion = Promotion::Unconfirmed;
    }

    /// Whether the analysis beside the steps has not measured anything good, and nobody said to go on without.
    fn lacks_evidence(&self) -> bool {
        let has_evidence = |analysis: &Analysis| analysis.evidence;
        self.spec.analysis.is_some()
            && self.waived == Waived::Nothing
            && !self.background.as_ref().is_some_and(has_evidence)
    }

    /// Whether its steps keep all of a weighted share from the canary: whoever tries it gets there in another way.
    fn is_dark_launch(&self) -> bool {
        let mut shares = self.shares();
        shares.next() == Some(Weight::NONE) && shares.all(|weight| weight == Weight::NONE)
    }

    /// The weights that its steps name.
    fn shares(&self) -> impl Iterator<Item = Weight> {
        self.spec.steps.iter().filter_map(|step| match step {
            Step::SetWeight(weight) => Some(*weight),
            Step::Pause(_) | Step::Analysis(_) => None,
        })
    }

    /// The analysis beside the steps begins with its step, and not before the canary has traffic: what is measured until then is
    /// the version before, or nothing, and neither says anything of this one. In a dark launch its traffic comes by other ways.
    fn start_background(&mut self, now: Timestamp) {
        let Some(background) = &self.spec.analysis else {
            return;
        };
        let has_traffic = self.traffic_since.is_some() || self.is_dark_launch();
        let is_due = self.step >= background.starting_step && has_traffic;
        if self.background.is_none() && is_due && self.waived != Waived::Everything {
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
        let since = (kind == AnalysisKind::Background).then_some(now);
        Some(Analysis {
            name: self.analysis_name(&key),
            key,
            asked_at: now,
            args,
            not_before: self.traffic_since.or(since),
            run: None,
            phase,
            message,
            evidence: false,
            is_ended: false,
            out_of_sight_since: None,
        })
    }

    /// A run that is lost before it was over is begun anew.
    pub(super) fn renew_lost(&mut self) {
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
        self.waived = Waived::Nothing;
        self.promotion = Promotion::NotDue;
        // Set again even where it stays as it is: the routes are told that this is the end, unless they were.
        if !self.is_promoted() {
            self.is_routed = false;
        }
    }

    /// Back to the first step, as if nothing of this revision had been done.
    pub(super) fn restart(&mut self) {
        self.step = 0;
        self.want(Weight::NONE);
        // Set again even where it stays as it is: that moment is the first of this attempt's traffic.
        self.is_routed = false;
        self.traffic_since = None;
        self.pauses.clear();
        self.aborted = None;
        self.waived = Waived::Nothing;
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
    pub fn is_at(&self, weight: Weight) -> bool {
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

    /// Keeps the newest analyses of each kind of end, and all that may still run.
    fn forget_earlier(&mut self) {
        let (mut good, mut bad) = (0, 0);
        let mut kept: Vec<Analysis> = Vec::with_capacity(self.earlier.len());
        for mut analysis in self.earlier.drain(..).rev() {
            // Nothing follows from it any more.
            analysis.out_of_sight_since = None;
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
}
