//! Why a service gave no answer that helps.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::domain::fault::Fault;
use crate::wire::PROBLEM_TYPE;

/// Why a service gave no answer that helps. Each text says what was asked of whom, and what came; [`ClientError::hint`] what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No connection, or one that broke.
    #[error("no answer from `{server}`: {cause}{}", tried(*.tries))]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why.
        cause: String,
        /// How often it was tried.
        tries: u32,
    },
    /// An answer didn't come in time.
    #[error("`{server}` did not answer within {after:?}{}", tried(*.tries))]
    Timeout {
        /// Its URL.
        server: String,
        /// The time it had.
        after: Duration,
        /// How often it was tried.
        tries: u32,
    },
    /// A redirect, which is never followed.
    #[error("`{asked}` redirects ({status}) to {to}; redirects are not followed")]
    Redirect {
        /// What was asked.
        asked: String,
        /// The status.
        status: StatusCode,
        /// Where to, without what may be secret.
        to: String,
    },
    /// More than is read.
    #[error("the answer to `{asked}` is larger than {cap} bytes")]
    TooLarge {
        /// What was asked.
        asked: String,
        /// The cap.
        cap: usize,
    },
    /// Something that no service of ours says.
    #[error("`{asked}` answered {found}{} where JSON of a skygate service was expected", tried(*.tries))]
    NotSkygate {
        /// What was asked.
        asked: String,
        /// What came.
        found: String,
        /// Its status.
        status: StatusCode,
        /// How often it was tried.
        tries: u32,
    },
    /// What it said, this version cannot read.
    #[error("what `{asked}` answered cannot be read by this version ({}): {why}", env!("CARGO_PKG_VERSION"))]
    Unreadable {
        /// What was asked.
        asked: String,
        /// Where and why not.
        why: String,
        /// What the service calls itself, where it is known.
        version: Option<String>,
    },
    /// It refused, and says why.
    #[error("{}{}", .0.what(), tried(.0.tries))]
    Problem(Box<Problem>),
}

/// What a service says of a request that it refused: RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was asked: the method and the URL.
    pub asked: String,
    /// The status of the answer.
    pub status: StatusCode,
    /// What kind of failure it is, for programs: the last part of its `type`.
    pub kind: String,
    /// The same for people.
    pub title: String,
    /// What was wrong with this request.
    pub detail: String,
    /// Each thing that is wrong with a document, where it has any.
    pub faults: Vec<Fault>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// How often it was tried.
    pub tries: u32,
}

impl Problem {
    /// Reads a body of `application/problem+json`, of which every part but the `type` may be missing: without one of ours it is
    /// somebody else's, a gateway's for instance, and says nothing of what was asked about.
    pub(super) fn read(asked: String, status: StatusCode, body: &Value) -> Option<Self> {
        let text = |field: &str| {
            let text = body.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let fault = |fault: &Value| {
            let text = |field: &str| fault.get(field)?.as_str().map(str::to_owned);
            Some(Fault {
                path: text("path").unwrap_or_default(),
                message: text("message")?,
                hint: text("hint"),
            })
        };
        let kind = body.get("type")?.as_str()?.strip_prefix(PROBLEM_TYPE)?;
        let faults = body.get("faults").and_then(Value::as_array);
        Some(Self {
            asked,
            status,
            kind: kind.to_owned(),
            title: text("title"),
            detail: text("detail"),
            faults: faults.into_iter().flatten().filter_map(fault).collect(),
            retry_after: None,
            tries: 1,
        })
    }

    fn what(&self) -> String {
        let Self {
            asked,
            status,
            title,
            detail,
            ..
        } = self;
        let why = match (title.as_str(), detail.as_str()) {
            ("", "") => return format!("`{asked}` answered {status}"),
            (why, "") | ("", why) => why.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        format!("`{asked}` answered {}: {why}", status.as_u16())
    }
}

impl ClientError {
    /// The same, with the file that each of its faults is in.
    #[must_use]
    pub fn in_file(self, file: &str) -> Self {
        let Self::Problem(problem) = self else {
            return self;
        };
        let faults = problem.faults.iter().map(|fault| Fault {
            path: match fault.path.as_str() {
                "" => file.to_owned(),
                path => format!("{file}: {path}"),
            },
            ..fault.clone()
        });
        Self::Problem(Box::new(Problem {
            faults: faults.collect(),
            ..*problem
        }))
    }

    /// What the service said, where it said anything.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::NotSkygate { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// Whether what was asked about does not exist.
    pub fn is_not_found(&self) -> bool {
        self.problem()
            .is_some_and(|problem| problem.status == StatusCode::NOT_FOUND)
    }

    /// Whether somebody else has changed what was to be changed, so that it has to be read again.
    pub fn is_conflict(&self) -> bool {
        self.problem().is_some_and(|problem| {
            [StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED].contains(&problem.status)
        })
    }

    /// Whether nothing can be concluded from it but that the service cannot be reached, or is too busy, for now.
    pub fn is_passing(&self) -> bool {
        let is_passing = |status: StatusCode| matches!(status.as_u16(), 429 | 502..=504);
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::NotSkygate { status, .. } => is_passing(*status),
            Self::Problem(problem) => is_passing(problem.status),
            Self::Redirect { .. } | Self::TooLarge { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } => "is `skygate serve` running there?",
            Self::Timeout { .. } => "is it overloaded, or does something on the way drop packets?",
            Self::Redirect { .. } => "give the URL that really serves",
            Self::TooLarge { .. } => "ask for less: fewer runs a page, or less retention",
            Self::NotSkygate { status, .. } if matches!(status.as_u16(), 502..=504) => {
                "a gateway answers in place of the service, which is down or not ready"
            }
            Self::NotSkygate { .. } => "is that the URL of `skygate serve`, before its `/api/v1`?",
            Self::Unreadable { version, .. } => {
                let version = version.as_deref().unwrap_or("of another version");
                return Some(format!(
                    "the service is {version}: use a `skygate` of the same version"
                ));
            }
            Self::Problem(problem) => match problem.status.as_u16() {
                401 => "give a token of the service's: a file of it, or the variable SKYGATE_TOKEN",
                403 => "the service's operator has tokens that may: `read`, `run` or `admin`",
                _ => return None,
            },
        };
        Some(hint.to_owned())
    }

    /// When to ask again, as far as the service said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.problem()?.retry_after
    }

    /// The same after so many tries.
    pub(super) fn after_tries(mut self, count: u32) -> Self {
        match &mut self {
            Self::Unreachable { tries, .. }
            | Self::Timeout { tries, .. }
            | Self::NotSkygate { tries, .. } => *tries = count,
            Self::Problem(problem) => problem.tries = count,
            Self::Redirect { .. } | Self::TooLarge { .. } | Self::Unreadable { .. } => {}
        }
        self
    }
}

fn tried(tries: u32) -> String {
    if tries > 1 {
        format!(" (tried {tries} times)")
    } else {
        String::new()
    }
}

/// The innermost cause, which says what the outer ones only name; `reqwest`'s own texts hold the URL.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_says_what_was_asked_and_what_came() {
        let check = |body: Value, expected: &str| {
            let asked = "POST http://a/api/v1/runs".to_owned();
            let problem = Problem::read(asked, StatusCode::UNPROCESSABLE_ENTITY, &body).unwrap();
            assert_eq!(ClientError::Problem(problem.into()).to_string(), expected);
        };
        check(
            json!({"type": "urn:skygate:problem:invalid", "title": "Not valid", "detail": "no"}),
            "`POST http://a/api/v1/runs` answered 422: Not valid: no",
        );
        check(
            json!({"type": "urn:skygate:problem:invalid", "title": 1, "faults": "?"}),
            "`POST http://a/api/v1/runs` answered 422 Unprocessable Entity",
        );
    }

    #[test]
    fn what_is_not_of_our_type_is_no_problem_of_ours() {
        for body in [
            json!({}),
            json!({"title": "no route", "status": 404}),
            json!({"type": "about:blank"}),
            json!({"type": "urn:other:problem:not-found"}),
            json!({"type": 7}),
        ] {
            let problem = Problem::read(String::new(), StatusCode::NOT_FOUND, &body);
            assert_eq!(problem, None, "{body}");
        }
    }

    #[test]
    fn faults_are_read_as_they_were_told() {
        let body = json!({
            "type": "urn:skygate:problem:invalid",
            "faults": [{"path": "spec", "message": "bad", "hint": null}, {"message": "b", "hint": "c"}, 7],
        });
        let problem = Problem::read(String::new(), StatusCode::BAD_REQUEST, &body).unwrap();
        assert_eq!(problem.kind, "invalid");
        assert_eq!(
            problem.faults,
            [Fault::new("spec", "bad"), Fault::new("", "b").hint("c")]
        );
    }
}
