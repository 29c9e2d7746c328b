//! What people want of a rollout.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::measurement::Phase;
use super::super::metric_run::after;
use super::Weight;
use super::outstanding::A_MOMENT;
use super::spec::Step;
use super::state::{Analysis, PauseReason, Promotion, Rollout, Waived};

/// What somebody wants of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Go on: end the pause, or else the step.
    Promote,
    /// The canary, which has all traffic, is the stable version now: the traffic may return to there.
    Confirm,
    /// Go on to the end at once, whatever analyses say.
    PromoteFull,
    /// Send all traffic back to the stable version.
    Abort,
    /// Begin again after an abort, or run the hook again.
    Retry,
    /// Go no further until told to.
    Pause,
    /// Go on after [`Command::Pause`], and end no step by it.
    Resume,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 7] = [
        Self::Promote,
        Self::Confirm,
        Self::PromoteFull,
        Self::Abort,
        Self::Retry,
        Self::Pause,
        Self::Resume,
    ];

    /// The command of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    /// Its name on the command line and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Confirm => "confirm",
            Self::PromoteFull => "promote --full",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A command as the service keeps it for whoever holds the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its number among the rollout's commands, from 1: one that was taken in is not taken in again.
    pub number: u64,
    /// What is wanted.
    pub command: Command,
    /// What whoever wants it had seen; `None`: they did not say. A command is not for a rollout that has moved on since.
    pub seen: Option<Seen>,
}

/// Where a rollout was when somebody looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The revision's number.
    pub revision: u64,
    /// The step.
    pub step: usize,
}

/// Why a command or a revision is not for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rollout is no longer where it was seen.
    #[error(
        "the rollout has moved on: it is at step {step} of revision {revision} now; look at it and say it again"
    )]
    MovedOn {
        /// Where it is now.
        revision: u64,
        /// Where it is now.
        step: usize,
    },
    /// It was aborted.
    #[error("revision {0} was aborted: retry it, roll out another version, or promote it in full")]
    Aborted(u64),
    /// There is no abort to take back and no hook to run again.
    #[error("there is nothing to retry: revision {0} was not aborted")]
    NotAborted(u64),
    /// It was aborted already.
    #[error("revision {0} is aborted already")]
    AbortedAlready(u64),
    /// It is the stable version.
    #[error("revision {0} is the stable version already")]
    Promoted(u64),
    /// All steps are done, and the last weight is being set.
    #[error("all steps of revision {0} are done: there is nothing left to skip")]
    NothingToSkip(u64),
    /// The hook runs.
    #[error("revision {0} is being made the stable version: wait for the on-promote hook to end")]
    BeingPromoted(u64),
    /// The canary has not got all traffic, so it cannot be the stable version.
    #[error("revision {0} does not have all traffic yet: promote it")]
    NotAtTheEnd(u64),
    /// The hook failed.
    #[error(
        "revision {0} has all traffic and could not be made the stable version: retry the on-promote hook, promote once it is the stable version, or abort"
    )]
    PromotionFailed(u64),
    /// Nobody has said that the canary is stable.
    #[error(
        "revision {0} has all traffic as the canary: promote it once it is the stable version, or abort it"
    )]
    Unconfirmed(u64),
    /// It goes on by itself, or waits for something else.
    #[error("revision {0} is not paused by hand: promote ends a pause step")]
    NotPaused(u64),
    /// It is paused already.
    #[error("revision {0} is paused by hand already")]
    PausedAlready(u64),
}

impl Rollout {
    /// What people mean who say `promote` now, looking at this rollout. Whoever posts the command decides that, not whoever takes it
    /// in later: said twice, the first time for a step, it must not come to mean that the canary is the stable version.
    pub fn meant_by_promote(&self) -> Command {
        match self.promotion {
            Promotion::HookFailed { .. } | Promotion::Unconfirmed => Command::Confirm,
            Promotion::NotDue | Promotion::Hook { .. } => Command::Promote,
        }
    }

    /// Whether `command` would do anything at `now`.
    pub fn accepts(
        &self,
        command: Command,
        seen: Option<Seen>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let number = self.revision.number;
        let is_here = |seen: Seen| seen.revision == number && seen.step == self.step;
        if !seen.is_none_or(is_here) {
            return Err(Refusal::MovedOn {
                revision: number,
                step: self.step,
            });
        }
        match command {
            Command::Promote => self.accepts_promotion(number),
            Command::Confirm => self.accepts_confirmation(number),
            Command::Pause if self.is_paused => Err(Refusal::PausedAlready(number)),
            Command::Pause if self.aborted.is_some() => Err(Refusal::Aborted(number)),
            Command::PromoteFull | Command::Pause if self.is_promoted() => {
                Err(Refusal::Promoted(number))
            }
            Command::PromoteFull | Command::Pause => self.refuse_at_the_end(),
            Command::Abort if self.aborted.is_some() => Err(Refusal::AbortedAlready(number)),
            Command::Abort if self.promotion.waits(now) => Ok(()),
            Command::Abort => match self.promotion {
                // The stable version is being replaced: nobody knows what traffic would meet there.
                Promotion::Hook { .. } => Err(Refusal::BeingPromoted(number)),
                Promotion::NotDue | Promotion::HookFailed { .. } | Promotion::Unconfirmed => Ok(()),
            },
            Command::Retry if self.aborted.is_some() => Ok(()),
            Command::Retry => match self.promotion {
                Promotion::HookFailed { .. } => Ok(()),
                Promotion::NotDue | Promotion::Hook { .. } | Promotion::Unconfirmed => {
                    Err(Refusal::NotAborted(number))
                }
            },
            Command::Resume if self.is_paused => Ok(()),
            Command::Resume => Err(Refusal::NotPaused(number)),
        }
    }

    fn accepts_promotion(&self, number: u64) -> Result<(), Refusal> {
        if self.aborted.is_some() {
            return Err(Refusal::Aborted(number));
        }
        if self.is_promoted() {
            return Err(Refusal::Promoted(number));
        }
        match self.promotion {
            Promotion::Hook { .. } => Err(Refusal::BeingPromoted(number)),
            // It was meant for a step, and must not become what takes the canary's traffic away.
            Promotion::HookFailed { .. } | Promotion::Unconfirmed => Err(Refusal::MovedOn {
                revision: number,
                step: self.step,
            }),
            Promotion::NotDue => {
                let is_done = self.step >= self.spec.steps.len();
                if is_done && self.pauses.is_empty() && !self.is_paused {
                    return Err(Refusal::NothingToSkip(number));
                }
                Ok(())
            }
        }
    }

    fn accepts_confirmation(&self, number: u64) -> Result<(), Refusal> {
        match self.promotion {
            Promotion::HookFailed { .. } | Promotion::Unconfirmed => Ok(()),
            Promotion::Hook { .. } => Err(Refusal::BeingPromoted(number)),
            Promotion::NotDue if self.is_promoted() => Err(Refusal::Promoted(number)),
            Promotion::NotDue => Err(Refusal::NotAtTheEnd(number)),
        }
    }

    /// Does what was asked for, and says so for the history.
    pub(super) fn obey(&mut self, posted: Posted, now: Timestamp) -> String {
        if posted.number <= self.commands_taken {
            return String::new();
        }
        self.commands_taken = posted.number;
        let command = posted.command;
        if let Err(refusal) = self.accepts(command, posted.seen, now) {
            return format!("{command}: refused, {refusal}");
        }
        match command {
            Command::Promote => self.promote(),
            Command::Confirm => self.confirm(),
            Command::PromoteFull => self.promote_in_full(),
            Command::Abort => self.abort("", now),
            Command::Retry => self.retry(now),
            Command::Pause => self.is_paused = true,
            Command::Resume => self.is_paused = false,
        }
        command.to_string()
    }

    fn promote(&mut self) {
        self.is_paused = false;
        if self.pauses.is_empty() {
            self.leave_step();
            return;
        }
        let lacks_evidence = self.is_waiting_for(PauseReason::NoEvidence);
        self.pauses.clear();
        if self.background.as_ref().is_some_and(is_inconclusive) {
            self.renew_background();
        }
        match self.spec.steps.get(self.step) {
            Some(Step::Pause(_)) => self.leave_step(),
            Some(Step::Analysis(_)) if self.is_verdict_missing() => self.leave_step(),
            None if lacks_evidence => self.waived = Waived::Evidence,
            Some(Step::Analysis(_) | Step::SetWeight(_)) | None => {}
        }
    }

    /// Whether the step's analysis has ended without telling whether to go on.
    fn is_verdict_missing(&self) -> bool {
        self.step_analysis
            .as_ref()
            .is_some_and(|analysis| analysis.phase.is_over())
    }

    fn promote_in_full(&mut self) {
        self.aborted = None;
        self.waived = Waived::Everything;
        self.is_paused = false;
        self.pauses.clear();
        self.step = self.spec.steps.len();
        self.want(Weight::ALL);
        self.drop_analyses();
    }

    fn retry(&mut self, now: Timestamp) {
        self.attempt += 1;
        if self.aborted.is_some() {
            self.restart();
        } else {
            // Whoever said abort together with this, and later, means that.
            self.promotion = Promotion::first_try(after(now, A_MOMENT));
        }
    }
}

fn is_inconclusive(analysis: &Analysis) -> bool {
    analysis.phase == Phase::Inconclusive
}
