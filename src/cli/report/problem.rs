//! That there is no result, for programs: the document that a service would answer with, and the exit code.

use serde::Serialize;

use crate::cli::outcome::{Failure, Outcome};

/// What is wrong, in the words of RFC 9457. It has no `status`, which is a result's, so that nobody mistakes one for the other.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    detail: String,
    exit_code: u8,
    faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Fault {
    /// Where in the template or the arguments; empty where it is in neither.
    path: String,
    message: String,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn of(failure: &Failure) -> Self {
        let faults: Vec<Fault> = failure
            .parts()
            .map(|(path, message, hint)| Fault {
                path: path.to_owned(),
                message,
                hint: hint.map(ToOwned::to_owned),
            })
            .collect();
        let (kind, title) = match failure.outcome() {
            Outcome::Usage => ("urn:skygate:problem:invalid", "What was given is not valid"),
            Outcome::Successful
            | Outcome::Failed
            | Outcome::Inconclusive
            | Outcome::Error
            | Outcome::TimedOut
            | Outcome::Interrupted => ("urn:skygate:problem:error", "Nothing could be judged"),
        };
        Self {
            kind,
            title,
            detail: match faults.as_slice() {
                [only] if only.path.is_empty() => only.message.clone(),
                [only] => format!("{}: {}", only.path, only.message),
                faults => format!("{} faults", faults.len()),
            },
            exit_code: failure.outcome().code(),
            faults,
        }
    }
}
