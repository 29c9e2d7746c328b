//! A rollout's stored form: JSON that carries a version.
//!
//! It holds the document that the rollout was read from, and reads it again: what a spec means is decided in one place.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::fault::Faults;
use super::Weight;
use super::spec::RolloutSpec;
use super::state::{
    Aborted, Analysis, Pause, Promotion, Revision, Rollout, Settings, Transition, Trouble, Version,
    Waived,
};
use super::status::RolloutPhase;
use super::stored;

/// The version of the stored form.
pub const RECORD_VERSION: u64 = 1;

/// Why a stored form cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It carries no version: it is something else.
    #[error("no stored rollout: it carries no version")]
    NoVersion,
    /// Something newer wrote it.
    #[error(
        "the rollout was stored in version {0}; up to {RECORD_VERSION} can be read: use the newer skygate"
    )]
    Newer(u64),
    /// It carries a version that is known and is not what was stored in it.
    #[error("malformed stored rollout: {0}")]
    Malformed(String),
    /// The document in it is not accepted any more.
    #[error("the stored rollout's document is not accepted: {0}")]
    Document(#[source] Faults),
}

impl Rollout {
    /// Its stored form. What it looks like from outside is in it too, for whoever only reads.
    pub fn to_record(&self) -> Value {
        let record = Record::of(self);
        serde_json::to_value(record).expect("every part of a record is JSON")
    }

    /// The rollout that was stored.
    pub fn from_record(record: &Value) -> Result<Self, RecordError> {
        let version = record.get("version").and_then(Value::as_u64);
        match version {
            None | Some(0) => return Err(RecordError::NoVersion),
            Some(newer) if newer > RECORD_VERSION => return Err(RecordError::Newer(newer)),
            Some(_) => {}
        }
        let record = Record::deserialize(record)
            .map_err(|error| RecordError::Malformed(error.to_string()))?;
        record.into_rollout()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    version: u64,
    namespace: String,
    name: String,
    /// Not read back: they follow from the rest.
    #[serde(skip_deserializing, default = "progressing")]
    phase: RolloutPhase,
    #[serde(skip_deserializing)]
    message: String,
    #[serde(skip_deserializing)]
    steps: usize,
    created_at: Timestamp,
    revision: Revision,
    former: Vec<Revision>,
    stable: Option<Version>,
    attempt: u32,
    step: usize,
    #[serde(with = "stored::weight")]
    weight: Weight,
    changes: u64,
    #[serde(with = "stored::weight")]
    routed: Weight,
    is_routed: bool,
    traffic_since: Option<Timestamp>,
    pauses: Vec<Pause>,
    is_paused: bool,
    aborted: Option<Aborted>,
    waived: Waived,
    promotion: Promotion,
    hook_output: String,
    background: Option<Analysis>,
    step_analysis: Option<Analysis>,
    earlier: Vec<Analysis>,
    blind_since: Option<Timestamp>,
    trouble: Option<Trouble>,
    commands_taken: u64,
    settings: Settings,
    history: VecDeque<Transition>,
    document: Value,
}

fn progressing() -> RolloutPhase {
    RolloutPhase::Progressing
}

impl Record {
    fn of(rollout: &Rollout) -> Self {
        let (phase, message) = rollout.status();
        let Rollout {
            namespace,
            name,
            spec,
            settings,
            created_at,
            revision,
            former,
            stable,
            attempt,
            step,
            weight,
            changes,
            routed,
            is_routed,
            traffic_since,
            pauses,
            is_paused,
            aborted,
            waived,
            promotion,
            hook_output,
            background,
            step_analysis,
            earlier,
            blind_since,
            trouble,
            commands_taken,
            history,
        } = rollout.clone();
        Self {
            version: RECORD_VERSION,
            phase,
            message,
            steps: spec.steps.len(),
            document: spec.document.clone(),
            namespace,
            name,
            created_at,
            revision,
            former,
            stable,
            attempt,
            step,
            weight,
            changes,
            routed,
            is_routed,
            traffic_since,
            pauses,
            is_paused,
            aborted,
            waived,
            promotion,
            hook_output,
            background,
            step_analysis,
            earlier,
            blind_since,
            trouble,
            commands_taken,
            settings,
            history,
        }
    }

    fn into_rollout(self) -> Result<Rollout, RecordError> {
        let Self {
            version: _,
            namespace,
            name,
            phase: _,
            message: _,
            steps: _,
            created_at,
            revision,
            former,
            stable,
            attempt,
            step,
            weight,
            changes,
            routed,
            is_routed,
            traffic_since,
            pauses,
            is_paused,
            aborted,
            waived,
            promotion,
            hook_output,
            background,
            step_analysis,
            earlier,
            blind_since,
            trouble,
            commands_taken,
            settings,
            history,
            document,
        } = self;
        let spec = RolloutSpec::read(&document).map_err(RecordError::Document)?;
        if step > spec.steps.len() {
            let steps = spec.steps.len();
            let message = format!("it is at step {step} of {steps}");
            return Err(RecordError::Malformed(message));
        }
        Ok(Rollout {
            namespace,
            name,
            spec: Arc::new(spec),
            settings,
            created_at,
            revision,
            former,
            stable,
            attempt,
            step,
            weight,
            changes,
            routed,
            is_routed,
            traffic_since,
            pauses,
            is_paused,
            aborted,
            waived,
            promotion,
            hook_output,
            background,
            step_analysis,
            earlier,
            blind_since,
            trouble,
            commands_taken,
            history,
        })
    }
}
