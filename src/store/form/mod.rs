//! The stored form of a run: what a store writes of it, and how it is read again.
//!
//! Every stored text goes with [`VERSION`], the version of the form that it is written in, so that later versions of the program can
//! read what earlier ones wrote. The structs of the form are its own, and know the domain's types only to convert them:
//! whoever changes a type of the domain finds out here that files hold it.
//!
//! A run is stored in three kinds of pieces, by how often they are written:
//!
//! - its *plan*, once, and once for all runs of the same plan: the spec, with secrets as references, and the languages of its conditions;
//! - its *state*, with every save: phase, counters, schedule;
//! - its *measurements*, each once.

mod measurement;
mod plan;
mod state;
mod values;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::fault::Faults;
use crate::domain::plan::Plan;
use crate::domain::run::{Run, RunId};

pub(super) use measurement::{measurement_of, measurement_text};
pub(super) use plan::{analysis_of, plan_text};
pub(super) use state::{command_of, command_text, state_text};
pub(super) use words::phase_named;

/// The version of the form that is written. Those before it can be read.
pub(super) const VERSION: i64 = 1;

/// What tells a stored run apart, and is never written anew.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: RunId,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) templates: Vec<String>,
}

/// A text of some version of the form.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) version: i64,
    pub(super) text: String,
}

impl Text {
    /// The text, if it is of a version that this program knows.
    fn known(&self) -> Result<&str, FormError> {
        match self.version {
            VERSION => Ok(&self.text),
            version => Err(FormError::Version(version)),
        }
    }
}

/// Why what is stored is no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    /// It is of a version that this program doesn't know.
    #[error(
        "it is stored in form {0}, and this version of Skygate knows none above {VERSION}: use the version that wrote it, or a later one"
    )]
    Version(i64),
    /// It is not what the form says.
    #[error("it is not stored in the form that it should be: {0}")]
    Text(String),
    /// Its spec can be read, and is no longer valid by the rules of this version.
    #[error("its spec is refused by this version of Skygate: {0}")]
    Plan(String),
    /// Its pieces do not belong together.
    #[error("its pieces do not fit together: {0}")]
    Pieces(String),
}

impl FormError {
    pub(super) fn refused(faults: &Faults) -> Self {
        Self::Plan(faults.to_string())
    }
}

impl From<serde_json::Error> for FormError {
    fn from(error: serde_json::Error) -> Self {
        Self::Text(error.to_string())
    }
}

/// A run from its pieces. Its measurements come metric by metric, and in order within each.
pub(super) fn run_of(
    identity: Identity,
    plan: Arc<Plan>,
    state: &Text,
    measurements: &[(usize, Text)],
) -> Result<Run, FormError> {
    let (mut run, kept) = state::run_of(identity, plan, state)?;
    for (metric, text) in measurements {
        let measurement = measurement_of(text)?;
        let metrics = run.metrics.len();
        let state = run.metrics.get_mut(*metric).ok_or_else(|| {
            FormError::Pieces(format!(
                "there is a measurement of metric {metric}, and {metrics} metrics"
            ))
        })?;
        state.measurements.push_back(measurement);
    }
    for (metric, (state, kept)) in run.metrics.iter().zip(kept).enumerate() {
        let found = state.measurements.len();
        if found != kept {
            return Err(FormError::Pieces(format!(
                "metric {metric} keeps {kept} measurements, and {found} are there"
            )));
        }
    }
    Ok(run)
}
