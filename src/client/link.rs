//! The way to one service: requests, answers, and the same again where that may help.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, SERVER,
};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use reqwest::{Response, Url};
use serde::Serialize;
use serde_json::Value;
use tracing::debug;

use super::error::{ClientError, Problem, innermost};
use super::options::{Absence, Checked, Options, OptionsError};
use crate::domain::backoff::Backoff;
use crate::ports::Clock;

/// The first wait between two tries and the longest; each is twice the one before it.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    /// The parts of the path below `/api/v1`.
    path: Vec<String>,
    parameters: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
    /// How much longer than others it may take.
    patience: Duration,
    /// Whether it is sent again although it may have arrived.
    may_repeat: bool,
}

impl Call {
    pub(super) fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        Self {
            method,
            path: path.map(str::to_owned).into(),
            parameters: Vec::new(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            patience: Duration::ZERO,
            may_repeat: true,
        }
    }

    pub(super) fn parameter(mut self, name: &'static str, value: String) -> Self {
        self.parameters.push((name, value));
        self
    }

    /// A value that no header can carry is left out.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn key(self, key: &str) -> Self {
        self.header(IDEMPOTENCY_KEY, key)
    }

    pub(super) fn body(mut self, form: &'static str, body: Vec<u8>) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(form));
        self.body = body;
        self
    }

    /// Texts and numbers with plain keys: nothing in a body can't be written.
    pub(super) fn json(self, body: &impl Serialize) -> Self {
        self.body(
            "application/json",
            serde_json::to_vec(body).unwrap_or_default(),
        )
    }

    pub(super) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn once(mut self) -> Self {
        self.may_repeat = false;
        self
    }
}

/// An answer that is no failure.
#[derive(Debug)]
pub(super) struct Answer {
    asked: String,
    pub(super) etag: Option<String>,
    version: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// The document in it.
    pub(super) fn document(&self) -> Result<Value, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.unreadable(format!("it is no JSON: {error}")))
    }

    /// That it is none that this version can read.
    pub(super) fn unreadable(&self, why: String) -> ClientError {
        ClientError::Unreadable {
            asked: self.asked.clone(),
            why,
            version: self.version.clone(),
        }
    }
}

/// The way to one service.
pub(super) struct Link {
    checked: Checked,
    timeout: Duration,
    patience: Duration,
    cap: usize,
    clock: Arc<dyn Clock>,
    absence: Option<Absence>,
    is_told: AtomicBool,
}

impl Link {
    pub(super) fn new(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OptionsError> {
        Ok(Self {
            checked: Checked::new(options)?,
            timeout: options.timeout,
            patience: options.patience,
            cap: options.response_cap,
            clock,
            absence: options.absence.clone(),
            is_told: AtomicBool::new(false),
        })
    }

    pub(super) fn server(&self) -> &str {
        &self.checked.shown
    }

    /// Asks, and asks again what may pass for as long as patience lasts.
    pub(super) async fn call(&self, call: Call) -> Result<Answer, ClientError> {
        let url = self.url(&call);
        let asked = format!("{} {}{}", call.method, self.server(), shown_path(&call));
        let begun = self.clock.now();
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, has_arrived) = match self.try_once(&call, url.clone(), &asked).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => (failure.error, failure.has_arrived),
            };
            let backoff = BACKOFF.after(tries, &asked);
            let wait = error
                .retry_after()
                .map_or(backoff, |after| after.max(backoff));
            let spent = self.clock.now().duration_since(begun);
            let is_too_late = spent.saturating_add(signed(wait)) > signed(self.patience);
            let is_answered = error.problem().is_some();
            let may_help = error.is_passing() && (call.may_repeat || !has_arrived || is_answered);
            if is_too_late || !may_help {
                return Err(error.after_tries(tries));
            }
            if let Some(absence) = &self.absence
                && !self.is_told.swap(true, Ordering::Relaxed)
            {
                absence.tell(&error);
            }
            debug!(tries, error = %error, "asking again in {wait:?}");
            self.clock.sleep(wait).await;
        }
    }

    fn url(&self, call: &Call) -> Url {
        let mut url = self.checked.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(&call.path);
        }
        if !call.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.parameters);
        }
        url
    }

    async fn try_once(&self, call: &Call, url: Url, asked: &str) -> Result<Answer, Failed> {
        let timeout = self.clock.deadline(self.timeout) + call.patience;
        let exchange = tokio::time::timeout(timeout, self.exchange(call, url, asked)).await;
        exchange.unwrap_or_else(|_| {
            Err(Failed::after_arrival(ClientError::Timeout {
                server: self.server().to_owned(),
                after: timeout,
                tries: 1,
            }))
        })
    }

    async fn exchange(&self, call: &Call, url: Url, asked: &str) -> Result<Answer, Failed> {
        let request = self
            .checked
            .http
            .request(call.method.clone(), url)
            .headers(self.checked.headers.clone())
            .headers(call.headers.clone())
            .body(call.body.clone());
        let response = request.send().await.map_err(|error| Failed {
            has_arrived: !error.is_connect(),
            error: self.unreachable(&error),
        })?;
        self.judge(response, asked)
            .await
            .map_err(Failed::after_arrival)
    }

    async fn judge(&self, response: Response, asked: &str) -> Result<Answer, ClientError> {
        let status = response.status();
        let headers = response.headers().clone();
        let text = |name: HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        if status.is_redirection() {
            return Err(ClientError::Redirect {
                asked: asked.to_owned(),
                status,
                to: without_secrets(&response, &text(LOCATION).unwrap_or_default()),
            });
        }
        let body = self.read(response, asked).await?;
        let form = text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let is_json = form.contains("json");
        if status.is_success() && (is_json || body.is_empty()) {
            return Ok(Answer {
                asked: asked.to_owned(),
                etag: text(ETAG),
                version: text(SERVER).map(|name| name.replacen('/', " ", 1)),
                body,
            });
        }
        let document = serde_json::from_slice::<Value>(&body).ok();
        let document = document.filter(|_| is_json && !status.is_success());
        let problem = document.and_then(|it| Problem::read(asked.to_owned(), status, &it));
        if let Some(mut problem) = problem {
            problem.retry_after = text(RETRY_AFTER)
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs);
            return Err(ClientError::Problem(Box::new(problem)));
        }
        Err(ClientError::NotSkygate {
            asked: asked.to_owned(),
            found: found(status, &form),
            status,
            tries: 1,
        })
    }

    /// Reads the answer piece by piece: a length that was announced is a promise, not a bound.
    async fn read(&self, mut response: Response, asked: &str) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if body.len() + piece.len() > self.cap {
                return Err(ClientError::TooLarge {
                    asked: asked.to_owned(),
                    cap: self.cap,
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let cause = if error.is_connect() && error.is_timeout() {
            "no connection in time".to_owned()
        } else {
            innermost(error)
        };
        ClientError::Unreachable {
            server: self.server().to_owned(),
            cause,
            tries: 1,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.server())
    }
}

/// A try that failed.
struct Failed {
    error: ClientError,
    /// Whether the request may have arrived.
    has_arrived: bool,
}

impl Failed {
    fn after_arrival(error: ClientError) -> Self {
        Self {
            error,
            has_arrived: true,
        }
    }
}

/// `/api/v1/runs/…`, without parameters.
fn shown_path(call: &Call) -> String {
    let parts = call.path.iter().map(|part| {
        let shown = crate::domain::fault::shown(part);
        format!("/{}", shown.trim_matches('`'))
    });
    format!("/api/v1{}", parts.collect::<String>())
}

fn found(status: StatusCode, form: &str) -> String {
    match form.split(';').next().unwrap_or_default().trim() {
        "" => format!("{status} and nothing more"),
        form => format!("{status} with {form}"),
    }
}

/// `Location` without what may be secret in it.
fn without_secrets(response: &Response, given: &str) -> String {
    let Ok(mut url) = response.url().join(given) else {
        return "nowhere".to_owned();
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    format!("`{url}`")
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
