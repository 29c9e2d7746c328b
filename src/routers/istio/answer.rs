//! What the Kubernetes API's refusals mean.

use std::error::Error as _;
use std::time::Duration;

use kube::core::Status;

/// Why the API didn't do as asked.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The kind exists, the object doesn't.
    NoSuchObject,
    /// Nothing of that kind can exist: no CRD defines it.
    NoSuchKind,
    /// The object isn't any more what it was when it was read.
    Conflict,
    /// We are known, and not allowed to: the API's words.
    Forbidden(String),
    /// We aren't known: the API's words.
    Unknown(String),
    /// It wasn't accepted: the API's words.
    Invalid(String),
    /// It may work later.
    Later {
        /// What happened.
        what: String,
        /// How long to leave the API alone, where it said so.
        after: Option<Duration>,
    },
}

impl Refusal {
    pub(super) fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(&status),
            kube::Error::SerdeError(error) => Self::Invalid(format!(
                "the answer is no JSON of the Kubernetes API ({error}); something else seems to listen there"
            )),
            other => Self::Later {
                what: chain(&other),
                after: None,
            },
        }
    }

    fn of_status(status: &Status) -> Self {
        let said = status.message.trim().to_owned();
        let details = status.details.as_ref();
        match status.code {
            404 if details.is_some_and(|details| !details.name.is_empty()) => Self::NoSuchObject,
            404 => Self::NoSuchKind,
            401 => Self::Unknown(said),
            403 => Self::Forbidden(said),
            409 => Self::Conflict,
            408 | 429 | 500.. => {
                let after = details.map_or(0, |details| details.retry_after_seconds);
                Self::Later {
                    what: format!("the Kubernetes API answered {}: {said}", status.code),
                    after: (after > 0).then(|| Duration::from_secs(after.into())),
                }
            }
            code => Self::Invalid(format!("the Kubernetes API answered {code}: {said}")),
        }
    }
}

/// An error with its causes, each said once.
fn chain(error: &kube::Error) -> String {
    let mut text = match error {
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            "no answer from the Kubernetes API".to_owned()
        }
        other => other.to_string(),
    };
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}
