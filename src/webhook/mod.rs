//! Calls of somebody's URL, signed as Standard Webhooks has it: for routers and hooks alike.

mod signing;

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::{Certificate, Client, Response, Url, redirect};
use ring::digest;
use serde_json::Value;

pub use signing::SigningKeys;

use crate::domain::fault::shown;
use crate::ports::Clock;
use crate::secrets::without_url_credentials;

/// So much of an answer is read, in bytes.
const MOST_SAID: usize = 64 * 1024;

/// How a webhook is called.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Where to. Credentials in it become an `Authorization` header and are shown nowhere.
    pub url: String,
    /// What requests are signed with; `None`: they aren't.
    pub keys: Option<SigningKeys>,
    /// How long one try may take, its answer included.
    pub timeout: Duration,
    /// PEM certificates that are trusted in addition to the system's.
    pub ca_bundle: Option<Vec<u8>>,
}

impl WebhookOptions {
    /// The usual, for `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            keys: None,
            timeout: Duration::from_secs(10),
            ca_bundle: None,
        }
    }
}

/// Why a webhook cannot be called at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebhookError(pub String);

/// Calls one URL.
pub struct Sender {
    url: Url,
    /// The URL as people may see it.
    shown: String,
    keys: Option<SigningKeys>,
    timeout: Duration,
    client: Client,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.shown)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// How long the receiver asked to be left alone.
    pub after: Option<Duration>,
    /// What it said, where it refused.
    pub said: String,
    /// All of that for people: `` `https://…` answered 409 Conflict: `…` ``.
    pub shown: String,
}

impl Sender {
    /// A sender by these options, on `clock`.
    pub fn new(options: WebhookOptions, clock: &dyn Clock) -> Result<Self, WebhookError> {
        let shown = without_url_credentials(&options.url).into_owned();
        let invalid = |what: String| WebhookError(format!("the webhook `{shown}` {what}"));
        let url =
            Url::parse(&options.url).map_err(|error| invalid(format!("is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(invalid("is none of `http://…` and `https://…`".to_owned()));
        }
        install_crypto();
        // Redirects are not followed, lest weights and their signature end up elsewhere.
        let mut builder = Client::builder()
            .user_agent(concat!("skygate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(options.timeout.min(Duration::from_secs(5)));
        if url.scheme() == "http" {
            // A machine without any certificates can still use it.
            builder = builder.tls_certs_only([]);
        } else if let Some(pem) = &options.ca_bundle {
            let roots = Certificate::from_pem_bundle(pem)
                .map_err(|error| invalid(format!("has a CA bundle that can't be read: {error}")))?;
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder
            .build()
            .map_err(|error| invalid(format!("can't be called from here: {}", causes(&error))))?;
        Ok(Self {
            url,
            keys: options.keys,
            timeout: clock.deadline(options.timeout),
            client,
            shown,
        })
    }

    /// The URL as people may see it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Sends `body` once, at `now`; the error says why nothing came back.
    pub async fn post(&self, id: &str, now: Timestamp, body: &Value) -> Result<Answer, String> {
        let (timestamp, body) = (now.as_second(), body.to_string());
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp);
        if let Some(keys) = &self.keys {
            request = request.header("webhook-signature", keys.sign(id, timestamp, &body));
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let (status, after) = (answer.status(), retry_after(answer.headers(), now));
        let said = if status.is_success() {
            String::new()
        } else {
            said(answer).await
        };
        let url = &self.shown;
        let text = match said.trim() {
            "" => String::new(),
            text => format!(": {}", shown(text)),
        };
        Ok(Answer {
            shown: format!("`{url}` answered {status}{text}"),
            status,
            after,
            said,
        })
    }

    fn no_answer(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            format!("`{}` did not answer within {:?}", self.shown, self.timeout)
        } else {
            format!("no answer from `{}`: {}", self.shown, causes(error))
        }
    }
}

/// What a receiver knows a message by: the same for the same `of`.
pub fn message_id(of: &str) -> String {
    use fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, of.as_bytes());
    let mut id = String::from("msg_");
    for byte in &digest.as_ref()[..16] {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// Makes ring the process's one provider of cryptography. Fails only where one is installed already, which is as well.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// `Retry-After`: seconds, or a moment.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// The beginning of an answer; a length that was announced is a promise, not a bound.
async fn said(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        let room = MOST_SAID - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == MOST_SAID {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// The causes of an error of reqwest's, whose own text repeats the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        next = cause.source();
    }
    match texts.last() {
        None => "the request broke off".to_owned(),
        Some(last) => last.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_to_be_left_alone() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let check = |text: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        };
        check("7", Some(7));
        check("Mon, 23 Nov 2026 09:00:30 GMT", Some(30));
        check("Mon, 23 Nov 2026 08:00:00 GMT", Some(0));
        check("soon", None);
    }
}
