//! The way to one OAP: a POST under tower's layers, tried again where that may help, shared by those who ask the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Response, Url};
use tokio::sync::Semaphore;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tracing::debug;

use super::address::Address;
use super::error::OapError;
use super::options::Options;
use crate::domain::backoff::Backoff;
use crate::domain::reading::said;
use crate::ports::Clock;

/// For how long a question is asked again, on our clock.
pub(super) const RETRY_FOR: Duration = Duration::from_secs(30);

/// The first wait between two tries and the longest; each is twice the one before it.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(5),
};

/// So much of what a server said is kept, in bytes: far more than is ever shown, so that no secret is cut within what is.
const MOST_SAID: usize = 64 * 1024;

/// An answer as it came, whatever it is.
#[derive(Debug)]
pub(super) struct Exchange {
    /// When the question was sent, on our clock.
    sent: Timestamp,
    /// When the answer had come.
    received: Timestamp,
    pub(super) status: StatusCode,
    pub(super) content_type: String,
    /// Where a redirect leads to, without credentials and query.
    pub(super) location: String,
    pub(super) body: Vec<u8>,
}

impl Exchange {
    /// The moment on our clock that the answer is most likely about.
    pub(super) fn midpoint(&self) -> Timestamp {
        let half = self.received.duration_since(self.sent) / 2;
        self.sent.checked_add(half).unwrap_or(self.received)
    }

    /// The text if people may read it, led in by a colon; nothing of a page or of binary. It is cut once its secrets are hidden.
    pub(super) fn said(&self) -> String {
        let readable =
            self.content_type.starts_with("text/plain") || self.content_type.contains("json");
        let kept = self.body.len().min(MOST_SAID);
        let text = String::from_utf8_lossy(&self.body[..kept]);
        if !readable || text.trim().is_empty() {
            return String::new();
        }
        format!(": `{}`", said(&text))
    }
}

/// The way to one OAP.
pub(super) struct Transport {
    wire: Arc<Wire>,
    under_way: Mutex<HashMap<Arc<str>, WeakShared<Flight>>>,
}

/// A question under way; it goes on as long as anybody waits for it.
type Flight = BoxFuture<'static, Result<Arc<Exchange>, OapError>>;

impl Transport {
    pub(super) fn new(
        address: &Address,
        headers: HeaderMap,
        client: Client,
        options: &Options,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let timeout = clock.deadline(options.timeout);
        let post = Arc::new(Post {
            client,
            url: address.graphql(),
            server: address.shown().into(),
            headers,
            cap: options.response_cap,
            clock: Arc::clone(&clock),
        });
        // The cap is outermost: a question that waits for its turn isn't late yet.
        let stack = ServiceBuilder::new()
            .concurrency_limit(options.concurrency.min(Semaphore::MAX_PERMITS))
            .timeout(timeout)
            .service(service_fn(move |body| Arc::clone(&post).send(body)));
        Self {
            wire: Arc::new(Wire {
                stack: BoxCloneSyncService::new(stack),
                server: address.shown().into(),
                timeout,
                clock,
                trouble: Mutex::default(),
            }),
            under_way: Mutex::default(),
        }
    }

    /// Its address as people may see it.
    pub(super) fn server(&self) -> &str {
        &self.wire.server
    }

    /// How the latest try failed; `None` where it didn't.
    pub(super) fn trouble(&self) -> Option<OapError> {
        self.wire.trouble().clone()
    }

    /// Sends `body`, or waits with those who have sent the same and have no answer yet.
    pub(super) async fn ask(&self, body: String) -> Result<Arc<Exchange>, OapError> {
        self.join(body.into()).await
    }

    fn join(&self, body: Arc<str>) -> Shared<Flight> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = under_way.get(&body).and_then(WeakShared::upgrade);
        if let Some(flight) = found.filter(|flight| flight.peek().is_none()) {
            return flight;
        }
        under_way.retain(|_, flight| flight.upgrade().is_some());
        let wire = Arc::clone(&self.wire);
        let asked = Arc::clone(&body);
        let flight = async move { wire.ask(asked).await }.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            under_way.insert(body, weak);
        }
        flight
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.wire.server)
    }
}

/// Asks and asks again.
struct Wire {
    stack: BoxCloneSyncService<Arc<str>, Exchange, BoxError>,
    server: Arc<str>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    /// How the latest try failed, until one succeeds.
    trouble: Mutex<Option<OapError>>,
}

impl Wire {
    fn trouble(&self) -> MutexGuard<'_, Option<OapError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, body: Arc<str>) -> Result<Arc<Exchange>, OapError> {
        let begun = self.clock.now();
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.try_once(Arc::clone(&body)).await {
                Ok(exchange) => {
                    *self.trouble() = None;
                    return Ok(Arc::new(exchange));
                }
                Err(error) => error,
            };
            *self.trouble() = Some(error.clone());
            let wait = BACKOFF.after(tries, &body);
            let spent = self.clock.now().duration_since(begun);
            let too_late = spent.saturating_add(signed(wait)) > signed(RETRY_FOR);
            if too_late || !error.may_pass() {
                return Err(error.after_tries(tries));
            }
            // The class alone: the text may repeat what was sent, and an address may hold a secret of the template's.
            let class = error.class().name();
            debug!(tries, class, "asking again in {wait:?}");
            self.clock.sleep(wait).await;
        }
    }

    async fn try_once(&self, body: Arc<str>) -> Result<Exchange, OapError> {
        let exchange = self.stack.clone().oneshot(body).await;
        let exchange = exchange.map_err(|error| self.failure(error))?;
        if matches!(exchange.status.as_u16(), 502..=504) {
            return Err(OapError::status(&self.server, &exchange));
        }
        Ok(exchange)
    }

    /// The layers pass on what the innermost service said, and `Timeout` adds a word of its own.
    fn failure(&self, error: BoxError) -> OapError {
        let server = || self.server.as_ref().to_owned();
        match error.downcast::<OapError>() {
            Ok(error) => *error,
            Err(error) if error.is::<Elapsed>() => OapError::Timeout {
                server: server(),
                after: self.timeout,
                tries: 1,
            },
            Err(error) => OapError::Connection {
                server: server(),
                cause: error.to_string(),
                tries: 1,
            },
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// The innermost service: one POST, its answer read up to the cap.
struct Post {
    client: Client,
    url: String,
    server: Arc<str>,
    headers: HeaderMap,
    cap: usize,
    clock: Arc<dyn Clock>,
}

impl Post {
    async fn send(self: Arc<Self>, body: Arc<str>) -> Result<Exchange, OapError> {
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let request = request.body(body.as_ref().to_owned());
        let sent = self.clock.now();
        let response = request.send().await.map_err(|error| self.failure(&error))?;
        let received = self.clock.now();
        debug!(
            bytes = body.len(),
            status = response.status().as_u16(),
            took_ms = received.duration_since(sent).as_millis(),
            "it answered {}",
            response.status()
        );
        Ok(Exchange {
            sent,
            received,
            status: response.status(),
            content_type: text(response.headers(), &CONTENT_TYPE).to_ascii_lowercase(),
            location: location(&response),
            body: self.read(response).await?,
        })
    }

    /// Reads the answer piece by piece: a length that was announced is a promise, not a bound.
    async fn read(&self, mut response: Response) -> Result<Vec<u8>, OapError> {
        let too_large = || OapError::TooLarge {
            server: self.server.as_ref().to_owned(),
            cap: self.cap,
        };
        let announced = response.content_length().unwrap_or(0);
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > self.cap {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(announced);
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| self.failure(&error))?
        {
            if body.len() + piece.len() > self.cap {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn failure(&self, error: &reqwest::Error) -> OapError {
        OapError::transport(&self.server, error)
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// `Location` without what may be secret in it.
fn location(response: &Response) -> String {
    let given = text(response.headers(), &LOCATION);
    let Ok(mut url) = response.url().join(&given).or_else(|_| Url::parse(&given)) else {
        return "nowhere".to_owned();
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    format!("`{url}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_are_spread() {
        for (tries, longest) in [
            (1, 250),
            (2, 500),
            (3, 1_000),
            (5, 4_000),
            (6, 5_000),
            (900, 5_000),
        ] {
            let longest = Duration::from_millis(longest);
            for body in ["a", "b", "c"] {
                let wait = BACKOFF.after(tries, body);
                assert!(
                    wait >= longest / 2 && wait < longest,
                    "{tries} {body}: {wait:?}"
                );
                assert_eq!(wait, BACKOFF.after(tries, body));
            }
        }
        assert_ne!(BACKOFF.after(1, "a"), BACKOFF.after(1, "b"));
    }
}
