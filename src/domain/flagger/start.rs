//! The run that an attempt is judged by: what it is called, and what it is counted under.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Attempt, Call};
use crate::domain::run::{Run, RunId};
use crate::domain::run_name::shortened;

/// The longest end of a name: a dash and the number of an attempt.
const LONGEST_END: usize = 21;

/// The label of a run that says which attempt it judges.
const ATTEMPT: &str = "flagger-attempt";

/// The run that an attempt is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its id.
    pub run: RunId,
    /// Its name.
    pub name: String,
    /// What tells people and programs where it comes from.
    pub labels: BTreeMap<String, String>,
    /// The moment before which its version took no traffic.
    pub not_before: Timestamp,
}

impl Start {
    pub(super) fn of(call: &Call, attempt: &Attempt) -> Self {
        let template = call.template.as_ref().map_or("", |template| &template.name);
        let labels = [
            ("flagger-canary", call.canary.clone()),
            ("flagger-namespace", call.namespace.clone()),
            ("flagger-checksum", attempt.checksum.clone()),
            (ATTEMPT, attempt.number.to_string()),
        ];
        Self {
            run: attempt.run.clone(),
            name: format!("{}-{}", series(&call.canary, template), attempt.number),
            labels: labels
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            not_before: attempt.traffic_since.unwrap_or(attempt.opened_at),
        }
    }
}

/// What a run is counted under: its name, and for one of Flagger's what the names of all attempts at that canary by that template begin with.
pub fn counted_as(run: &Run) -> &str {
    let attempt = run.labels.get(ATTEMPT);
    let series = attempt.and_then(|number| run.name.strip_suffix(number)?.strip_suffix('-'));
    series.unwrap_or(&run.name)
}

/// `reviews-apdex`: what the names of the runs of a canary and a template begin with.
fn series(canary: &str, template: &str) -> String {
    shortened(format!("{canary}-{template}"), LONGEST_END)
}
