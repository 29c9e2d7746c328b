//! Why an OAP gave no answer, in three layers: the way to it, HTTP, GraphQL. (MQE's own errors are the fourth: see `answer`.)

use std::error::Error;
use std::io;
use std::time::Duration;

use http::StatusCode;

use super::address::AddressError;
use super::options::OptionsError;
use super::transport::Exchange;
use crate::domain::reading::{ErrorClass, SourceError};

/// Why an OAP gave no answer. Each text says what was given, what was expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OapError {
    /// What a template says is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What the user gave can't be used.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// `oap: name` names nobody.
    #[error(
        "no OAP is known by the name `{name}` ({known}); name it as `NAME=URL`, or give its `address`"
    )]
    UnknownName {
        /// The name.
        name: String,
        /// Those that would do.
        known: String,
    },
    /// A service may call the servers that its operator named, and this is none of them.
    #[error(
        "this service may not call {asked} ({known}); its operator can let it: serve --oap {flag}"
    )]
    NotNamed {
        /// The address or the name, as people may see it.
        asked: String,
        /// Those that it may call.
        known: String,
        /// What would let it.
        flag: String,
    },
    /// No HTTP client could be built.
    #[error(
        "no HTTPS client can be built here: {0}; where a machine has no CA certificates, give a CA bundle"
    )]
    Client(String),
    /// No connection, or a broken one.
    #[error("no answer from `{server}`: {cause}{}", tried(*.tries))]
    Connection {
        /// Its address.
        server: String,
        /// Why, and what to look at.
        cause: String,
        /// How often it was tried.
        tries: u32,
    },
    /// An answer didn't come in time.
    #[error("`{server}` did not answer within {after:?}{}; an OAP answers in some ten milliseconds unless it or its storage is overloaded, or something on the way drops packets", tried(*.tries))]
    Timeout {
        /// Its address.
        server: String,
        /// The time it had.
        after: Duration,
        /// How often it was tried.
        tries: u32,
    },
    /// Everything together took too long: queueing for the OAP, tries and waits between them.
    #[error(
        "gave up on `{server}` after {after:?}, with questions still waiting for their turn; it is overloaded, or too slow for so many"
    )]
    TookTooLong {
        /// Its address.
        server: String,
        /// The time that a reading has.
        after: Duration,
    },
    /// TLS didn't come about.
    #[error("no TLS connection to `{server}`: {cause}")]
    Tls {
        /// Its address.
        server: String,
        /// Why, and what to do.
        cause: String,
    },
    /// A status that is none of GraphQL's.
    #[error("`{server}/graphql` answered {status}{}{said}{}", tried(*.tries), status_hint(*.status))]
    Status {
        /// Its address.
        server: String,
        /// The status.
        status: StatusCode,
        /// The beginning of what it said, led in by a colon; or nothing.
        said: String,
        /// How often it was tried.
        tries: u32,
    },
    /// A redirect, which is never followed.
    #[error(
        "`{server}/graphql` redirects ({status}) to {to}; redirects are not followed, lest a question and its credentials end up elsewhere: give the address that really serves"
    )]
    Redirect {
        /// Its address.
        server: String,
        /// The status.
        status: StatusCode,
        /// Where to, without credentials and query.
        to: String,
    },
    /// More than is read.
    #[error(
        "the answer of `{server}` is larger than {cap} bytes; ask for fewer fields or a shorter interval"
    )]
    TooLarge {
        /// Its address.
        server: String,
        /// The cap.
        cap: usize,
    },
    /// Something else than GraphQL's JSON.
    #[error("`{server}/graphql` answered {what} where JSON of GraphQL was expected; {hint}")]
    NotGraphql {
        /// Its address.
        server: String,
        /// What it was.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// `data: null` and no error. Argo's words.
    #[error("no results returned from SkyWalking query")]
    NoResults,
    /// The clock or the zone is missing from `getTimeInfo`.
    #[error(
        "`{server}` doesn't tell its time (`getTimeInfo` answered {got}), so no window can be chosen"
    )]
    NoTime {
        /// Its address.
        server: String,
        /// What it told.
        got: String,
    },
    /// A field that the server doesn't have.
    #[error("this OAP{} has no field `{field}` in `{on}`{}", parenthesised(.version.as_ref()), undefined_hint(field))]
    UndefinedField {
        /// The field.
        field: String,
        /// The type that lacks it.
        on: String,
        /// What the server calls itself, where it is known.
        version: Option<String>,
    },
    /// GraphQL's `errors`.
    #[error("{text}")]
    Graphql {
        /// What it is about.
        class: ErrorClass,
        /// The first message, explained.
        text: String,
    },
    /// An answer that can't be judged, as `answer` found.
    #[error(transparent)]
    Answer(#[from] SourceError),
    /// What `OapError::without_quotes` leaves of an error about the question itself.
    #[error("{}; more is kept back, for a secret is in what was asked", in_general(*.class))]
    KeptBack {
        /// What it is about.
        class: ErrorClass,
    },
}

impl OapError {
    /// What the rest of the system may do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } | Self::TookTooLong { .. } => {
                ErrorClass::Unreachable
            }
            Self::Address(_)
            | Self::Options(_)
            | Self::UnknownName { .. }
            | Self::NotNamed { .. }
            | Self::Client(_)
            | Self::Tls { .. }
            | Self::Redirect { .. } => ErrorClass::Refused,
            Self::Status { status, .. } => match *status {
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED => ErrorClass::Refused,
                StatusCode::TOO_MANY_REQUESTS => ErrorClass::Unreachable,
                status if is_gateway_failure(status) => ErrorClass::Unreachable,
                _ => ErrorClass::Malformed,
            },
            Self::TooLarge { .. }
            | Self::NotGraphql { .. }
            | Self::NoResults
            | Self::NoTime { .. } => ErrorClass::Malformed,
            Self::UndefinedField { field, .. } => match since(field) {
                Some(_) => ErrorClass::Unsupported,
                None => ErrorClass::BadQuery,
            },
            Self::Graphql { class, .. } | Self::KeptBack { class } => *class,
            Self::Answer(error) => error.class,
        }
    }

    /// Whether the same question may be answered a moment later: connection failures, timeouts, 502 to 504, and nothing else.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => is_gateway_failure(*status),
            Self::Address(_)
            | Self::Options(_)
            | Self::UnknownName { .. }
            | Self::NotNamed { .. }
            | Self::Client(_)
            | Self::TookTooLong { .. }
            | Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::NotGraphql { .. }
            | Self::NoResults
            | Self::NoTime { .. }
            | Self::UndefinedField { .. }
            | Self::Graphql { .. }
            | Self::Answer(_)
            | Self::KeptBack { .. } => false,
        }
    }

    /// Whether nothing can be concluded from it but that the OAP is out of reach for now.
    pub(super) fn is_passing(&self) -> bool {
        self.class() == ErrorClass::Unreachable
    }

    /// The same after so many tries.
    pub(super) fn after_tries(mut self, count: u32) -> Self {
        if let Self::Connection { tries, .. }
        | Self::Timeout { tries, .. }
        | Self::Status { tries, .. } = &mut self
        {
            *tries = count;
        }
        self
    }

    /// The same without a word of the question or of what was said to it. Where a secret was asked with, either may have a part of it.
    pub(super) fn without_quotes(self) -> Self {
        match self {
            Self::UndefinedField { .. }
            | Self::Graphql { .. }
            | Self::NotGraphql { .. }
            | Self::Answer(_)
            | Self::KeptBack { .. } => Self::KeptBack {
                class: self.class(),
            },
            Self::Status {
                server,
                status,
                tries,
                said: _,
            } => Self::Status {
                server,
                status,
                tries,
                said: String::new(),
            },
            // Of the server, the way to it and our own settings alone.
            Self::Address(_)
            | Self::Options(_)
            | Self::UnknownName { .. }
            | Self::NotNamed { .. }
            | Self::Client(_)
            | Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::TookTooLong { .. }
            | Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::NoResults
            | Self::NoTime { .. } => self,
        }
    }

    /// A status that is none of GraphQL's.
    pub(super) fn status(server: &str, exchange: &Exchange) -> Self {
        let server = server.to_owned();
        let status = exchange.status;
        if status.is_redirection() {
            let to = exchange.location.clone();
            return Self::Redirect { server, status, to };
        }
        let said = exchange.said();
        Self::Status {
            server,
            status,
            said,
            tries: 1,
        }
    }

    /// What `reqwest` says of a request that brought no whole answer.
    pub(super) fn transport(server: &str, error: &reqwest::Error) -> Self {
        let server = server.to_owned();
        if let Some(tls) = tls_error(error) {
            let cause = tls_cause(tls);
            return Self::Tls { server, cause };
        }
        let cause = connection_cause(error);
        Self::Connection {
            server,
            cause,
            tries: 1,
        }
    }

    /// What `reqwest` says of a client that can't be built.
    pub(super) fn client(error: &reqwest::Error) -> Self {
        Self::Client(innermost(error))
    }
}

impl From<OapError> for SourceError {
    fn from(error: OapError) -> Self {
        Self {
            class: error.class(),
            message: error.to_string(),
        }
    }
}

/// What an error of `class` is, whatever was asked.
fn in_general(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Unreachable => "the OAP did not answer",
        ErrorClass::Refused => "the OAP refused to answer",
        ErrorClass::Malformed => "the answer is none that can be read",
        ErrorClass::BadQuery => "the OAP says that what is asked is wrong",
        ErrorClass::UnknownMetric => "the OAP knows no such metric",
        ErrorClass::IncompleteEntity => "the entity lacks what its scope needs",
        ErrorClass::WrongKindOfMetric => "a metric is read as one of another kind",
        ErrorClass::Unsupported => "the OAP is too old for what is asked",
    }
}

fn is_gateway_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn tried(tries: u32) -> String {
    if tries > 1 {
        format!(" (tried {tries} times)")
    } else {
        String::new()
    }
}

fn parenthesised(version: Option<&String>) -> String {
    version.map_or_else(String::new, |version| format!(" ({version})"))
}

fn status_hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 | 407 => {
            "; an OAP asks nobody for credentials, so a gateway in front of it does: give basic or bearer credentials that it accepts"
        }
        404 => {
            "; no OAP listens there: `address` is the URL before `/graphql`, with the context path where the OAP has one"
        }
        405 => "; something else than an OAP listens there, for an OAP takes POST",
        429 => {
            "; a gateway limits requests: lower the number of requests at a time, or measure less often"
        }
        400 | 415 => {
            "; an OAP says so of a body that isn't GraphQL's JSON, a gateway of whatever it dislikes"
        }
        500 => "; the log of the OAP, or of the gateway in front of it, says why",
        502..=504 => "; a gateway answers in place of the OAP, which is down or not ready",
        _ => "; something else than an OAP seems to listen there",
    }
}

/// The OAP that brought a field which older ones lack.
fn since(field: &str) -> Option<&'static str> {
    match field {
        "execExpression" | "isEmptyValue" | "readNullableMetricsValue" => Some("9.5"),
        "owner" => Some("10.0"),
        "coldStage" => Some("10.2"),
        _ => None,
    }
}

fn undefined_hint(field: &str) -> String {
    match (field, since(field)) {
        ("execExpression", Some(since)) => {
            format!(": expressions came with {since}; give a `query`, or upgrade the OAP")
        }
        (_, Some(since)) => format!(", which came with {since}; leave it out, or upgrade the OAP"),
        (field, None) if field.starts_with("read") && field.contains("Metrics") => {
            "; if the OAP is a newer one that has dropped the old queries, give an `expression` and an `entity`".to_owned()
        }
        (_, None) => "; correct the query".to_owned(),
    }
}

/// rustls's error within `error`, if that is what it comes from.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` passes over what it carries when it is asked for its source.
        let carried = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

fn tls_cause(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    use rustls::Error as Tls;
    let hint = match error {
        Tls::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "; give the CA bundle that its certificate comes from"
        }
        Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "; give the address under a name that its certificate is for"
        }
        Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "; its certificate needs to be renewed, or a clock is wrong"
        }
        Tls::AlertReceived(_) => "; it may want a client certificate, or another one",
        Tls::InvalidMessage(_) => "; it doesn't seem to speak TLS, so try `http://`",
        _ => "",
    };
    format!("{error}{hint}")
}

fn connection_cause(error: &reqwest::Error) -> String {
    let cause = innermost(error);
    if error.is_connect() && error.is_timeout() {
        return "no connection in time; does the host exist, and does a firewall let us through?"
            .to_owned();
    }
    if cause.contains("lookup address") || cause.contains("resolve") {
        return format!("{cause}; is the host's name right, and known here?");
    }
    if cause.contains("invalid HTTP version") || cause.contains("http2 error") {
        return format!(
            "{cause}; that doesn't look like HTTP: an OAP answers queries on port 12800 (11800 is for agents), and over TLS only behind `https://`"
        );
    }
    if error.is_connect() {
        return format!("{cause}; is the OAP running there, and is that its HTTP port (12800)?");
    }
    cause
}

/// The innermost cause, which says what the outer ones only name; `reqwest`'s own texts hold the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
