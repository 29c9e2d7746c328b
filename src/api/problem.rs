//! Every failure that a client can see: RFC 9457, `application/problem+json`.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::fault::{Fault, Faults};
use crate::ports::StoreError;
use crate::secrets::without_url_credentials;
use crate::wire::PROBLEM_TYPE;

/// So many faults are told of in one answer.
const MOST_FAULTS: usize = 200;

/// What kind of failure it is; its type, title and status follow from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request can't be read: syntax, a parameter, a header.
    Malformed,
    /// No token, or one that nobody has.
    Unauthorized,
    /// A token that may not do this.
    Forbidden,
    /// There is no such thing, or no such path.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed,
    /// The request took too long to arrive, or its answer to be made.
    TimedOut,
    /// What is there contradicts it.
    Conflict,
    /// What it was meant for has changed since its caller saw it.
    Changed,
    /// It is longer than what is read.
    TooLarge,
    /// It is in a form that is not read here.
    UnsupportedMediaType,
    /// It came by a name that this service doesn't have: a page in somebody's browser may have sent it.
    Misdirected,
    /// It can be read, and what it says is wrong.
    Invalid,
    /// The same idempotency key came with another request before.
    KeyReused,
    /// There are too many runs or requests under way.
    TooMany,
    /// This program's own fault.
    Internal,
    /// What the service stands on is in trouble, or it is shutting down.
    Unavailable,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TimedOut,
        Self::Conflict,
        Self::Changed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Misdirected,
        Self::Invalid,
        Self::KeyReused,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The status of an answer that tells of it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Invalid | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Its name in a `type`: never changes, programs go by it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::TimedOut => "timed-out",
            Self::Conflict => "conflict",
            Self::Changed => "changed",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::Misdirected => "misdirected",
            Self::Invalid => "invalid",
            Self::KeyReused => "idempotency-key-reused",
            Self::TooMany => "too-many",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    /// The same for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::Unauthorized => "A token is needed",
            Self::Forbidden => "The token does not allow this",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "The path has other methods",
            Self::TimedOut => "It took too long",
            Self::Conflict => "It contradicts what is there",
            Self::Changed => "It has changed meanwhile",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedMediaType => "The body is in a form that is not read here",
            Self::Misdirected => "The request was meant for somebody else",
            Self::Invalid => "What the request says is not valid",
            Self::KeyReused => "The idempotency key belongs to another request",
            Self::TooMany => "Too much is under way",
            Self::Internal => "Something failed inside the service",
            Self::Unavailable => "The service cannot do this for now",
        }
    }
}

/// A failure, told to a client.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    faults: Vec<Fault>,
    /// Boxed: most problems have none, and every handler returns what could be a problem.
    header: Option<Box<(HeaderName, HeaderValue)>>,
    cause: Option<Cause>,
}

/// What was behind a failure of the service's own: for its log, never for clients.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) Arc<dyn Error + Send + Sync>);

/// The body of an answer that tells of a failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView<'a> {
    /// What kind of failure it is, for programs: `urn:skygate:problem:` and a name.
    #[serde(rename = "type")]
    kind: String,
    /// The same for people.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What was wrong with this request, and what to do.
    detail: String,
    /// Each thing that is wrong with a document, where it has any.
    faults: Vec<FaultView<'a>>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultView<'a> {
    /// Where: `spec.metrics[0].interval`, the name of a parameter; empty for the whole.
    #[schema(value_type = String)]
    path: Cow<'a, str>,
    /// What was found, and what was expected.
    #[schema(value_type = String)]
    message: Cow<'a, str>,
    /// What to do about it.
    #[schema(value_type = Option<String>)]
    hint: Option<Cow<'a, str>>,
}

impl Problem {
    /// A failure of this kind; `detail` says what was given, what was expected and what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            faults: Vec::new(),
            header: None,
            cause: None,
        }
    }

    /// There is no run of that id.
    pub fn no_run(id: &str) -> Self {
        let id = crate::domain::fault::shown(id);
        Self::new(
            Kind::NotFound,
            format!("no run {id}; it may have been deleted, or forgotten some time after its end"),
        )
    }

    /// A document that can be read is wrong in these ways.
    pub fn invalid(faults: Faults) -> Self {
        Self::of_faults(Kind::Invalid, faults)
    }

    /// A document or its parameters can't be read for these reasons.
    pub fn malformed(faults: Faults) -> Self {
        Self::of_faults(Kind::Malformed, faults)
    }

    /// A failure of the service's own: `cause` is for its log.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Cause(Arc::new(cause))),
            ..Self::new(
                Kind::Internal,
                "the service's log says more, under the id in this answer's header x-request-id",
            )
        }
    }

    /// The same request may succeed after this time.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.header = Some(Box::new((
            RETRY_AFTER,
            HeaderValue::from(time.as_secs().max(1)),
        )));
        self
    }

    /// Says how to prove who one is.
    #[must_use]
    pub(super) fn challenge(mut self, challenge: &'static str) -> Self {
        self.header = Some(Box::new((
            WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        )));
        self
    }

    /// The same in other words.
    #[must_use]
    pub(super) fn saying(mut self, detail: &str) -> Self {
        detail.clone_into(&mut self.detail);
        self
    }

    /// The same with its faults as `word` puts them.
    #[must_use]
    pub(super) fn rewording(mut self, word: impl FnMut(Fault) -> Fault) -> Self {
        self.faults = self.faults.into_iter().map(word).collect();
        if let [only] = self.faults.as_slice() {
            self.detail = only.to_string();
        }
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All of it in one line, for callers that read no JSON.
    pub(super) fn line(&self) -> String {
        let line = match self.faults.as_slice() {
            [] | [_] => self.detail.clone(),
            several => {
                let several: Vec<String> = several.iter().map(Fault::to_string).collect();
                several.join("; ")
            }
        };
        without_url_credentials(&line).replace('\n', " ")
    }

    fn of_faults(kind: Kind, faults: Faults) -> Self {
        let faults = faults.into_vec();
        let detail = match faults.as_slice() {
            [only] => only.to_string(),
            several => format!("{} faults", several.len()),
        };
        Self {
            faults,
            ..Self::new(kind, detail)
        }
    }

    fn view(&self) -> ProblemView<'_> {
        ProblemView {
            kind: format!("{PROBLEM_TYPE}{}", self.kind.name()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: without_url_credentials(&self.detail).into_owned(),
            // The detail tells how many there are.
            faults: self
                .faults
                .iter()
                .take(MOST_FAULTS)
                .map(|fault| FaultView {
                    path: without_url_credentials(&fault.path),
                    message: without_url_credentials(&fault.message),
                    hint: fault.hint.as_deref().map(without_url_credentials),
                })
                .collect(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound(id) => Self::no_run(&id.0),
            StoreError::Changed { key, .. } => Self::new(
                Kind::Conflict,
                format!("{key} was changed by somebody else meanwhile; read it again"),
            ),
            StoreError::Broken(_) => Self {
                cause: Some(Cause(Arc::new(error))),
                ..Self::new(
                    Kind::Unavailable,
                    "the store cannot be used for now; /readyz and the service's log say more",
                )
            }
            .retry_after(Duration::from_secs(5)),
            StoreError::SecretSupplied(name) => Self::new(
                Kind::Invalid,
                format!(
                    "the argument {} is a secret, and its value would be kept with the run: name the secret instead",
                    crate::domain::fault::shown(name)
                ),
            ),
            StoreError::Exists(_) | StoreError::LeaseLost(_) | StoreError::Unreadable(..) => {
                Self::internal(error)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Numbers and texts: nothing in it can't be written.
        let body = serde_json::to_vec(&self.view()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some((name, value)) = self.header.map(|header| *header) {
            headers.insert(name, value);
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_can_be_told_apart() {
        let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let titles: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.title()).collect();
        let all = Kind::ALL.len();
        assert_eq!((names.len(), titles.len()), (all, all));
        assert!(Kind::ALL.iter().all(|kind| kind.status().as_u16() >= 400));
    }

    #[test]
    fn what_failed_inside_is_for_the_log_alone() {
        let problem = Problem::from(StoreError::Broken("disk /var/x is full".to_owned()));
        let shown = serde_json::to_string(&problem.view()).unwrap();
        assert!(!shown.contains("/var/x"), "{shown}");
        assert!(problem.cause.is_some());
    }

    #[test]
    fn credentials_in_an_address_are_not_repeated() {
        let fault = Fault::new("address", "found `http://jane:s3cret@oap/`");
        let problem = Problem::invalid(Faults::from(fault));
        let shown = serde_json::to_string(&problem.view()).unwrap();
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
