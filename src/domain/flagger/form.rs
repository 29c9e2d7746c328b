//! A record as it is kept: JSON with a version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attempt, Entry, Hook, Record, Standing};
use crate::domain::measurement::Phase;
use crate::domain::run::RunId;

/// The form that is written.
const VERSION: u64 = 2;

/// Why a kept record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A later version of this program wrote it.
    #[error("it is in form {0}; this version of skygate reads up to form {VERSION}")]
    Newer(u64),
    /// It isn't what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordForm {
    version: u64,
    attempt: Option<AttemptForm>,
    #[serde(default)]
    earlier: Vec<AttemptForm>,
    history: Vec<EntryForm>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttemptForm {
    number: u64,
    checksum: String,
    run: String,
    #[serde(default)]
    args: Option<BTreeMap<String, String>>,
    opened_at: Timestamp,
    #[serde(default)]
    is_witnessed: bool,
    traffic_since: Option<Timestamp>,
    last_increase: Option<Timestamp>,
    is_under_way: bool,
    #[serde(default)]
    is_promotable: bool,
    measured_since: Option<Timestamp>,
    end: Option<EndForm>,
    closed_at: Option<Timestamp>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndForm {
    phase: String,
    why: String,
    evidence: bool,
    #[serde(default)]
    is_terminated: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryForm {
    at: Timestamp,
    hook: String,
    phase: String,
    checksum: String,
    attempt: Option<u64>,
    status: u16,
    text: String,
}

impl Record {
    /// The record as it is kept.
    pub fn to_json(&self) -> Value {
        let form = RecordForm {
            version: VERSION,
            attempt: self.attempt.as_ref().map(AttemptForm::of),
            earlier: self.earlier.iter().map(AttemptForm::of).collect(),
            history: self.history.iter().map(EntryForm::of).collect(),
        };
        serde_json::to_value(form).expect("texts, numbers and moments are JSON")
    }

    /// A record that was kept.
    pub fn from_json(kept: &Value) -> Result<Self, FormError> {
        if let Some(version) = kept.get("version").and_then(Value::as_u64)
            && version > VERSION
        {
            return Err(FormError::Newer(version));
        }
        let form =
            RecordForm::deserialize(kept).map_err(|error| FormError::Damaged(error.to_string()))?;
        Ok(Self {
            attempt: form.attempt.map(AttemptForm::attempt).transpose()?,
            earlier: form
                .earlier
                .into_iter()
                .map(AttemptForm::attempt)
                .collect::<Result<_, _>>()?,
            history: form
                .history
                .into_iter()
                .map(EntryForm::entry)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl AttemptForm {
    fn of(attempt: &Attempt) -> Self {
        let Attempt {
            number,
            checksum,
            run,
            args,
            opened_at,
            is_witnessed,
            traffic_since,
            last_increase,
            is_under_way,
            is_promotable,
            measured_since,
            end,
            closed_at,
        } = attempt;
        Self {
            number: *number,
            checksum: checksum.clone(),
            run: run.0.clone(),
            args: args.clone(),
            opened_at: *opened_at,
            is_witnessed: *is_witnessed,
            traffic_since: *traffic_since,
            last_increase: *last_increase,
            is_under_way: *is_under_way,
            is_promotable: *is_promotable,
            measured_since: *measured_since,
            end: end.as_ref().map(|end| EndForm {
                phase: end.phase.name().to_owned(),
                why: end.why.clone(),
                evidence: end.evidence,
                is_terminated: end.is_terminated,
            }),
            closed_at: *closed_at,
        }
    }

    fn attempt(self) -> Result<Attempt, FormError> {
        Ok(Attempt {
            number: self.number,
            checksum: self.checksum,
            run: RunId(self.run),
            args: self.args,
            opened_at: self.opened_at,
            is_witnessed: self.is_witnessed,
            traffic_since: self.traffic_since,
            last_increase: self.last_increase,
            is_under_way: self.is_under_way,
            is_promotable: self.is_promotable,
            measured_since: self.measured_since,
            end: self.end.map(EndForm::end).transpose()?,
            closed_at: self.closed_at,
        })
    }
}

impl EndForm {
    fn end(self) -> Result<Standing, FormError> {
        Ok(Standing {
            phase: phase(&self.phase)?,
            why: self.why,
            evidence: self.evidence,
            is_terminated: self.is_terminated,
        })
    }
}

impl EntryForm {
    fn of(entry: &Entry) -> Self {
        Self {
            at: entry.at,
            hook: entry.hook.name().to_owned(),
            phase: entry.phase.clone(),
            checksum: entry.checksum.clone(),
            attempt: entry.attempt,
            status: entry.status,
            text: entry.text.clone(),
        }
    }

    fn entry(self) -> Result<Entry, FormError> {
        let hook = Hook::named(&self.hook)
            .ok_or_else(|| FormError::Damaged(format!("no hook is called `{}`", self.hook)))?;
        Ok(Entry {
            at: self.at,
            hook,
            phase: self.phase,
            checksum: self.checksum,
            attempt: self.attempt,
            status: self.status,
            text: self.text,
        })
    }
}

fn phase(name: &str) -> Result<Phase, FormError> {
    [
        Phase::Successful,
        Phase::Failed,
        Phase::Error,
        Phase::Inconclusive,
    ]
    .into_iter()
    .find(|phase| phase.name() == name)
    .ok_or_else(|| FormError::Damaged(format!("`{name}` is no phase of a run that is over")))
}
