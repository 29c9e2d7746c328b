//! While the service is out of sight: the weight is held, until the dead-man's limit takes the canary's traffic away.

use tokio::sync::mpsc;
use tracing::{debug, info};

use super::play::{Play, is_unrepeatable};
use super::scene::Away;
use super::service::ServiceError;
use super::tasks::Report;
use super::{StepperError, interrupted};
use crate::domain::rollout::{Effect, Event, Rollout, Weight, step};

/// How the dark ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dark {
    /// The service is back, and the lease is still ours.
    Over,
    /// Somebody interrupted.
    Interrupted,
}

impl Play<'_> {
    /// Waits for the service. Nothing is begun meanwhile but what takes all traffic from the canary, once that is due.
    ///
    /// There is nobody to record an abort, so an interrupt only ends the waiting.
    pub(super) async fn in_the_dark(
        &mut self,
        mut away: Away,
        interrupts: &mut mpsc::Receiver<()>,
    ) -> Result<Dark, StepperError> {
        self.tasks.drop_waiting();
        self.tasks.knock(&self.stepper.service, self.fence);
        // The change of weight that was made without the service.
        let mut made = None;
        loop {
            if let Some(rollout) = self.rollout.clone() {
                self.hold(&rollout, &away, made);
            }
            tokio::select! {
                biased;
                () = interrupted(interrupts) => return Ok(Dark::Interrupted),
                report = self.tasks.next() => match report {
                    Report::Beat(Ok(_)) => return Ok(Dark::Over),
                    Report::Beat(Err(ServiceError::Lost(why) | ServiceError::Held(why))) => {
                        return Err(StepperError::Lost(why));
                    }
                    Report::Beat(Err(error)) => {
                        away.why = error.to_string();
                        self.tasks.knock(&self.stepper.service, self.fence);
                    }
                    Report::Did { effect, event } => {
                        self.tasks.succeeded(&effect);
                        if let Effect::SetWeight { weight: Weight::NONE, change } = effect {
                            info!("all traffic goes to the stable version");
                            made = Some(change);
                        }
                        if is_unrepeatable(&event) {
                            self.kept.push(event);
                        }
                    }
                    Report::Trouble { effect, why, after } => {
                        debug!(?effect, %why, "is tried again");
                        self.tasks.retry(effect, after, &self.stepper.clock);
                    }
                    Report::Again(effect)
                    | Report::Looked { effect, .. }
                    | Report::Ended { effect, .. } => {
                        self.tasks.ended(&effect);
                    }
                    Report::Fenced(why) => return Err(StepperError::Fenced(why)),
                    Report::News(_) => {}
                },
            }
        }
    }

    /// Begins what may be begun in the dark.
    fn hold(&mut self, rollout: &Rollout, away: &Away, made: Option<u64>) {
        let since = away.since;
        let now = self.stepper.clock.now();
        let (rollout, effects) = step(rollout.clone(), Event::Blind { since }, now);
        let may_be_done = |effect: &Effect| match effect {
            Effect::SetWeight { weight, change } => {
                *weight == Weight::NONE && rollout.aborted.is_some() && made != Some(*change)
            }
            Effect::WakeAt { .. } => true,
            Effect::StartAnalysis { .. }
            | Effect::SetNotBefore { .. }
            | Effect::Watch { .. }
            | Effect::EndAnalysis { .. }
            | Effect::RunHook { .. }
            | Effect::Done { .. } => false,
        };
        let effects: Vec<Effect> = effects.into_iter().filter(may_be_done).collect();
        self.act_in_the_dark(&rollout, &effects, away);
    }
}
