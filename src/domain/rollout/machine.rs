//! The one function that moves a rollout.

use jiff::Timestamp;

use super::super::measurement::Phase;
use super::super::metric_run::after;
use super::Weight;
use super::event::{Effect, Event, HookKey};
use super::outstanding::A_MOMENT;
use super::room::forget_oldest;
use super::state::{Analysis, Promotion, Rollout, Transition, Trouble};

/// How much of the history is kept.
const LONGEST_HISTORY: usize = 200;

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
                let current = self.background.iter_mut().chain(&mut self.step_analysis);
                for analysis in current.filter(|it| it.run.is_some() && it.may_run()) {
                    analysis.out_of_sight_since = Some(now);
                }
                // No hook runs yet: whoever said abort meanwhile means that.
                if self.promotion == Promotion::Unconfirmed && self.settings.hook.is_some() {
                    self.promotion = Promotion::first_try(after(now, A_MOMENT));
                }
            }
            Event::Begun { spec, version } => return self.begin(spec, &version, now),
            Event::Routed { weight } => self.routed(weight, now),
            Event::TakenBack => {
                // Also where all steps were done by the record: whoever took the traffic back had not heard that this was saved,
                // and so has not begun the hook.
                if self.aborted.is_none() && !self.is_promoted() {
                    let reason = "traffic was taken back while the service was out of sight";
                    self.abort(reason, now);
                }
            }
            Event::Displaced { found } => return self.displaced(found),
            Event::Restored => {
                return "the service had lost this rollout, and has it back".to_owned();
            }
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
                    analysis.out_of_sight_since = None;
                }
            }
            Event::AnalysisOutOfSight { key, message } => {
                let is_it = |it: &Analysis| it.key == key && it.may_run();
                if let Some(analysis) = self.any_analysis(is_it) {
                    let message = cut(message);
                    let note = format!("cannot see the analysis {}: {message}", analysis.name);
                    let told = std::mem::replace(&mut analysis.message, message);
                    analysis.out_of_sight_since.get_or_insert(now);
                    if told != analysis.message {
                        return note;
                    }
                }
            }
            Event::AnalysisGone { run } => {
                let is_it = |it: &Analysis| it.run.as_ref() == Some(&run) && it.may_run();
                if let Some(analysis) = self.any_analysis(is_it) {
                    analysis.is_ended = true;
                    "the service has no such run any more".clone_into(&mut analysis.message);
                }
                self.renew_lost();
            }
            Event::AnalysisEnded { key } => {
                let is_it = |it: &&mut Analysis| it.key == key;
                if let Some(analysis) = self.earlier.iter_mut().find(is_it) {
                    analysis.is_ended = true;
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
                if self.is_stepping() || self.promotion.waits(now) {
                    self.abort("the stepper was interrupted", now);
                }
            }
        }
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

    fn any_analysis(&mut self, is_it: impl Fn(&Analysis) -> bool) -> Option<&mut Analysis> {
        self.background
            .iter_mut()
            .chain(&mut self.step_analysis)
            .chain(&mut self.earlier)
            .find(|analysis| is_it(analysis))
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
        forget_oldest(&mut self.history);
    }
}

/// The beginning of a text that may be long.
pub(super) fn cut(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
