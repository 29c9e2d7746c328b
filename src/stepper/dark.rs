//! While the service is out of sight: the weight is held, until the dead-man's limit takes the canary's traffic away.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info};

use super::play::{Play, is_unrepeatable, promoting};
use super::scene::Away;
use super::service::ServiceError;
use super::tasks::Report;
use super::{OnInterrupt, StepperError, interrupted};
use crate::domain::rollout::{Effect, Event, Rollout, Weight, step};

/// For how long, in real time, whoever interrupted waits at most for traffic to go back.
pub(super) const ABORT_WITHIN: Duration = Duration::from_secs(30);

/// How the dark ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dark {
    /// The service is back, and the lease is still ours.
    Over,
    /// Somebody interrupted.
    Interrupted,
    /// Somebody interrupted, and the stable version has all traffic.
    Aborted,
}

impl Play<'_> {
    /// Waits for the service. Nothing is begun meanwhile but what takes all traffic from the canary, once that is due.
    ///
    /// An interrupt ends the waiting; where it is to abort, the router is told to take the traffic back, as there is nobody to record it.
    pub(super) async fn in_the_dark(
        &mut self,
        mut away: Away,
        interrupts: &mut mpsc::Receiver<()>,
    ) -> Result<Dark, StepperError> {
        self.tasks.drop_waiting();
        self.tasks.knock(&self.stepper.service, self.fence);
        // How the rollout looks without the service: it is told nothing twice.
        let mut dark = self.rollout.clone();
        if let Some(deadline) = self.gives_up_at {
            return self
                .abort_in_the_dark(dark, &away, deadline, interrupts)
                .await;
        }
        loop {
            if let Some(rollout) = dark.take() {
                dark = Some(self.hold(rollout, &away));
            }
            tokio::select! {
                biased;
                () = interrupted(interrupts) => {
                    if self.stepper.orders.on_interrupt == OnInterrupt::Hold {
                        return Ok(Dark::Interrupted);
                    }
                    let deadline = Instant::now() + ABORT_WITHIN;
                    self.gives_up_at = Some(deadline);
                    return self.abort_in_the_dark(dark, &away, deadline, interrupts).await;
                }
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
                        if matches!(event, Event::Routed { weight: Weight::NONE }) {
                            info!("all traffic goes to the stable version");
                        }
                        if matches!(event, Event::Routed { .. }) {
                            dark = self.seen_in_the_dark(dark, event);
                        } else if is_unrepeatable(&event) {
                            self.kept.push(event);
                        }
                    }
                    Report::Trouble { effect, why, after } => {
                        debug!(?effect, %why, "is tried again");
                        if matches!(effect, Effect::SetWeight { .. }) {
                            let event = Event::Unroutable { message: why };
                            dark = self.seen_in_the_dark(dark, event);
                        }
                        self.tasks.retry(effect, after, &self.stepper.clock);
                    }
                    Report::Again(effect)
                    | Report::Looked { effect, .. }
                    | Report::Ended { effect, .. } => {
                        self.tasks.ended(&effect);
                    }
                    Report::Fenced(why) => return Err(StepperError::Fenced(why)),
                    Report::News(_) | Report::Observed { .. } => {}
                },
            }
        }
    }

    /// Takes all traffic from the canary; whoever takes over learns of it from the router. `dark` is how the rollout looks without the service.
    async fn abort_in_the_dark(
        &mut self,
        dark: Option<Rollout>,
        away: &Away,
        deadline: Instant,
        interrupts: &mut mpsc::Receiver<()>,
    ) -> Result<Dark, StepperError> {
        let since = away.since;
        let now = self.stepper.clock.now();
        let Some(rollout) = dark else {
            return Err(StepperError::NotAborted(away.why.clone()));
        };
        let (rollout, _) = step(rollout, Event::Blind { since }, now);
        let (mut rollout, _) = step(rollout, Event::Interrupted, now);
        if rollout.aborted.is_none() {
            return match promoting(&rollout) {
                Some(error) => Err(error),
                None => Ok(Dark::Interrupted),
            };
        }
        self.tasks.drop_waiting();
        let mut trouble = "the router does not answer".to_owned();
        loop {
            let effects = rollout.outstanding(self.stepper.clock.now());
            let effects: Vec<Effect> = effects.into_iter().filter(takes_all_traffic).collect();
            self.act_in_the_dark(&rollout, &effects, away);
            if effects.is_empty() {
                return Ok(Dark::Aborted);
            }
            tokio::select! {
                biased;
                () = interrupted(interrupts) => return Err(StepperError::NotAborted(trouble)),
                // Before the deadline: what has been done by then counts.
                report = self.tasks.next() => match report {
                    Report::Did { effect, event } => {
                        self.tasks.succeeded(&effect);
                        if event == Event::TakenBack {
                            return Ok(Dark::Aborted);
                        }
                        if matches!(event, Event::Routed { .. }) {
                            rollout = step(rollout, event, self.stepper.clock.now()).0;
                        }
                    }
                    Report::Trouble { effect, why, after } => {
                        trouble = why;
                        self.tasks.retry(effect, after, &self.stepper.clock);
                    }
                    Report::Again(effect)
                    | Report::Looked { effect, .. }
                    | Report::Ended { effect, .. } => self.tasks.ended(&effect),
                    Report::Fenced(why) => return Err(StepperError::Fenced(why)),
                    Report::News(_) | Report::Beat(_) | Report::Observed { .. } => {}
                },
                () = tokio::time::sleep_until(deadline) => {
                    return Err(StepperError::NotAborted(trouble));
                }
            }
        }
    }

    /// Begins what may be begun in the dark, and gives the rollout as it is then.
    fn hold(&mut self, rollout: Rollout, away: &Away) -> Rollout {
        let since = away.since;
        let now = self.stepper.clock.now();
        let (rollout, effects) = step(rollout, Event::Blind { since }, now);
        let is_aborted = rollout.aborted.is_some();
        let may_be_done = |effect: &Effect| {
            matches!(effect, Effect::WakeAt { .. }) || is_aborted && takes_all_traffic(effect)
        };
        let effects: Vec<Effect> = effects.into_iter().filter(may_be_done).collect();
        self.act_in_the_dark(&rollout, &effects, away);
        rollout
    }

    fn seen_in_the_dark(&self, dark: Option<Rollout>, event: Event) -> Option<Rollout> {
        let now = self.stepper.clock.now();
        dark.map(|rollout| step(rollout, event, now).0)
    }
}

fn takes_all_traffic(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::SetWeight {
            weight: Weight::NONE,
            ..
        }
    )
}
