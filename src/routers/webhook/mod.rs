//! The router for everything else: weights as a POST to a URL, signed as Standard Webhooks has it.
//!
//! ```text
//! POST …
//! webhook-id: msg_…          the same for the same change, however often it is sent
//! webhook-timestamp: 1764…   seconds; of this try
//! webhook-signature: v1,…    HMAC-SHA256 of `id.timestamp.body`, one for each key
//!
//! {"type":"rollout.weights","namespace":"bookinfo","rollout":"reviews","revision":"v2","step":3,"change":5,"fence":7,
//!  "weights":{"stable":80,"canary":20}}
//! ```
//!
//! Any 2xx means done. 409 means that the receiver has seen a higher `fence` for this rollout; `{"fence": 9}` may say which.

mod signing;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::{Certificate, Client, Response, Url, redirect};
use ring::digest;
use serde_json::{Value, json};

pub use signing::SigningKeys;

use crate::domain::fault::shown;
use crate::domain::routes::Owner;
use crate::ports::{Clock, Observed, RouterError, Shift, Shifted, TrafficRouter};
use crate::secrets::without_url_credentials;

/// For how long a shift is sent again, on our clock.
const RETRY_FOR: Duration = Duration::from_secs(30);

/// The first wait between two tries and the longest; each is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

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

/// Sends the weights to a URL.
pub struct WebhookRouter {
    owner: Owner,
    url: Url,
    /// The URL as people may see it.
    shown: String,
    keys: Option<SigningKeys>,
    timeout: Duration,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for WebhookRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookRouter({})", self.shown)
    }
}

impl WebhookRouter {
    /// A router of `owner`'s traffic.
    pub fn new(
        owner: Owner,
        options: WebhookOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RouterError> {
        let shown = without_url_credentials(&options.url).into_owned();
        let invalid = |what: String| RouterError::Invalid(format!("the webhook `{shown}` {what}"));
        let url =
            Url::parse(&options.url).map_err(|error| invalid(format!("is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(invalid("is none of `http://…` and `https://…`".to_owned()));
        }
        super::install_crypto();
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
            owner,
            url,
            keys: options.keys,
            timeout: clock.deadline(options.timeout),
            client,
            clock,
            shown,
        })
    }

    fn body(&self, shift: &Shift) -> String {
        json!({
            "type": "rollout.weights",
            "namespace": self.owner.namespace,
            "rollout": self.owner.name,
            "revision": shift.revision,
            "step": shift.step,
            "change": shift.change,
            "fence": shift.fence,
            "weights": {
                "stable": shift.canary.rest().percent(),
                "canary": shift.canary.percent(),
            },
        })
        .to_string()
    }

    /// What the receiver knows a change by: it is the same whenever the same lease sends the same change.
    fn id(&self, shift: &Shift) -> String {
        let of = format!(
            "{}\n{}\n{}\n{}",
            self.owner, shift.fence, shift.change, shift.canary
        );
        let digest = digest::digest(&digest::SHA256, of.as_bytes());
        let mut id = String::from("msg_");
        for byte in &digest.as_ref()[..16] {
            use fmt::Write as _;
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    async fn send(&self, id: &str, body: &str) -> Result<(), Trouble> {
        let timestamp = self.clock.now().as_second();
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp);
        if let Some(keys) = &self.keys {
            request = request.header("webhook-signature", keys.sign(id, timestamp, body));
        }
        let answer = request.body(body.to_owned()).send().await;
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            return Ok(());
        }
        Err(self.refused(status, &headers, &said(answer).await))
    }

    fn no_answer(&self, error: &reqwest::Error) -> Trouble {
        let what = if error.is_timeout() {
            format!("`{}` did not answer within {:?}", self.shown, self.timeout)
        } else {
            format!("no answer from `{}`: {}", self.shown, causes(error))
        };
        Trouble::Later { what, after: None }
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, said: &str) -> Trouble {
        let url = &self.shown;
        let text = if said.trim().is_empty() {
            String::new()
        } else {
            format!(": {}", shown(said.trim()))
        };
        let answered = format!("`{url}` answered {status}{text}");
        let error = match status.as_u16() {
            409 => {
                let found = serde_json::from_str(said).ok();
                let found = found.and_then(|answer: Value| answer.get("fence")?.as_u64());
                RouterError::Fenced {
                    what: format!(
                        "{answered}; a newer stepper of `{}` has been there",
                        self.owner
                    ),
                    found,
                }
            }
            408 | 425 | 429 | 500.. => {
                return Trouble::Later {
                    what: answered,
                    after: retry_after(headers, self.clock.now()),
                };
            }
            300..=399 => RouterError::Invalid(format!(
                "{answered}; redirects are not followed, so give the address that really serves"
            )),
            401 | 403 => RouterError::Forbidden {
                what: format!(
                    "{answered}; the secret here and there may differ, or credentials be missing from the URL"
                ),
                allow: None,
            },
            404 | 410 => RouterError::NotFound(answered),
            _ => RouterError::Invalid(answered),
        };
        Trouble::Final(error)
    }
}

/// What became of one try.
enum Trouble {
    /// It may go better later.
    Later {
        what: String,
        /// How long the receiver asked to be left alone.
        after: Option<Duration>,
    },
    Final(RouterError),
}

#[async_trait]
impl TrafficRouter for WebhookRouter {
    /// A webhook is told, not asked.
    async fn observe(&self) -> Result<Observed, RouterError> {
        Ok(Observed::default())
    }

    async fn set(&self, shift: &Shift) -> Result<Shifted, RouterError> {
        let (id, body) = (self.id(shift), self.body(shift));
        let begun = self.clock.now();
        let mut wait = FIRST_WAIT;
        let mut tries = 0;
        loop {
            tries += 1;
            let (what, after) = match self.send(&id, &body).await {
                Ok(()) => return Ok(Shifted::Written),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Later { what, after }) => (what, after),
            };
            let next = after.unwrap_or(wait);
            let spent = self.clock.now().duration_since(begun);
            let spent = Duration::try_from(spent).unwrap_or_default();
            if spent.saturating_add(next) > RETRY_FOR {
                let what = format!("{what} (tries: {tries})");
                return Err(RouterError::Unreachable { what, after });
            }
            self.clock.sleep(next).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
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
