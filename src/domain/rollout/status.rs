//! What a rollout looks like from outside: its phase and message, and its object as `kubectl` would show it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{Promotion, Rollout, Waived};

/// Argo's phases of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RolloutPhase {
    /// It goes on by itself.
    Progressing,
    /// It waits for time to pass, or for somebody.
    Paused,
    /// All is done.
    Healthy,
    /// It did not work out.
    Degraded,
}

impl RolloutPhase {
    /// Argo's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
        }
    }
}

impl fmt::Display for RolloutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Rollout {
    /// Its phase, and what there is to say about it, in Argo's words where Argo has some.
    pub fn status(&self) -> (RolloutPhase, String) {
        let number = self.revision.number;
        if let Some(aborted) = &self.aborted {
            let message = format!("RolloutAborted: Rollout aborted update to revision {number}");
            let message = match aborted.reason.as_str() {
                "" => message,
                reason => format!("{message}: {reason}"),
            };
            return (RolloutPhase::Degraded, message);
        }
        if let Promotion::HookFailed { message } = &self.promotion {
            return (
                RolloutPhase::Degraded,
                format!("PromotionFailed: {message}"),
            );
        }
        if self.is_paused {
            return (RolloutPhase::Paused, "manually paused".to_owned());
        }
        if let Some(pause) = self.pauses.first() {
            return (RolloutPhase::Paused, pause.reason.name().to_owned());
        }
        if self.is_promoted() {
            return (RolloutPhase::Healthy, String::new());
        }
        match &self.promotion {
            Promotion::Unconfirmed => {
                let message = format!(
                    "all traffic goes to the canary: make `{}` the stable version, then say so with `rollout promote`",
                    self.revision.version.name
                );
                (RolloutPhase::Healthy, message)
            }
            Promotion::Hook { .. } => {
                let message = "waiting for the on-promote hook".to_owned();
                (RolloutPhase::Progressing, message)
            }
            Promotion::NotDue | Promotion::HookFailed { .. } => {
                let message = "waiting for all steps to complete".to_owned();
                (RolloutPhase::Progressing, message)
            }
        }
    }

    /// Its object, with what would be its status in a cluster: what `valueFrom.fieldRef` reads.
    pub fn object(&self) -> Value {
        let mut object = self.spec.document.clone();
        let (phase, message) = self.status();
        let pauses: Vec<Value> = self
            .pauses
            .iter()
            .map(|pause| json!({"reason": pause.reason.name(), "startTime": pause.since.to_string()}))
            .collect();
        object["metadata"]["namespace"] = json!(self.namespace);
        object["status"] = json!({
            "phase": phase.name(),
            "message": message,
            "currentStepIndex": self.step,
            "currentPodHash": self.revision.version.name,
            "stableRS": self.stable.as_ref().map(|version| &version.name),
            "pauseConditions": pauses,
            "abort": self.aborted.is_some(),
            "abortedAt": self.aborted.as_ref().map(|aborted| aborted.at.to_string()),
            "promoteFull": self.waived == Waived::Everything,
            "canary": {"weights": {
                "canary": {"weight": self.routed.percent()},
                "stable": {"weight": self.routed.rest().percent()},
            }},
        });
        object
    }
}
