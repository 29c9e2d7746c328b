//! The run that an attempt is judged by: what it is called, and what it is counted under.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Attempt, Call};
use crate::domain::run::{Run, RunId};

/// The longest name that a run may have, in bytes.
const LONGEST_NAME: usize = 253;

/// The longest end of a name: a dash and the number of an attempt.
const LONGEST_END: usize = 21;

/// What stands for the rest of a name that is too long: a dash and a hash of all of it.
const LENGTH_OF_HASH: usize = 17;

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
    let all = format!("{canary}-{template}");
    if all.len() <= LONGEST_NAME - LONGEST_END {
        return all;
    }
    let end = all.floor_char_boundary(LONGEST_NAME - LONGEST_END - LENGTH_OF_HASH);
    format!("{}-{:016x}", &all[..end], hash(&all))
}

/// FNV-1a: short, and the same in every version of this program.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_ends_in_a_hash() {
        assert_eq!(series("reviews", "apdex"), "reviews-apdex");
        let long = "r".repeat(253);
        let (one, other) = (series(&long, "apdex"), series(&long, "apdey"));
        assert_eq!(one.len() + LONGEST_END, LONGEST_NAME);
        assert_ne!(one, other);
        assert_eq!(one, series(&long, "apdex"));
        // Names are bytes to a store, and characters to people.
        assert!(series(&"é".repeat(126), "apdex").len() + LONGEST_END <= LONGEST_NAME);
    }
}
