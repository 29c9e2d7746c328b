//! What every request passes: an id, a limit of time, who may be heard at all, and that it is counted and logged once.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::App;
use super::problem::{Cause, Kind, Problem};
use super::runs::LONGEST_WAIT;

/// What tells requests apart in logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a caller.
const LONGEST_ID: usize = 64;

/// Nothing takes longer than the longest wait that a caller may ask for, and some time for its answer.
const LONGEST: Duration = LONGEST_WAIT.saturating_add(Duration::from_secs(15));

/// Passes a request on, and its answer back.
pub(super) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let seen = Seen::of(&request);

    let heard = app
        .access
        .refuse_strangers(request.headers(), request.uri());
    let mut response = match heard {
        Err(problem) => problem.into_response(),
        Ok(()) => answer(request, next).await,
    };

    let took = begun.elapsed();
    app.metrics
        .answered(&seen.method, seen.route(), response.status().as_u16(), took);
    seen.log(&id, &response, took);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn answer(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(LONGEST, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(Panicked(said(panic.as_ref()))).into_response(),
        Err(_) => Problem::new(
            Kind::Unavailable,
            "the answer took too long to be made; /readyz and the service's log say more",
        )
        .into_response(),
    }
}

/// A handler's panic, which is a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// What is remembered of a request once it is gone.
struct Seen {
    method: Method,
    path: Option<MatchedPath>,
}

impl Seen {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            path: request.extensions().get().cloned(),
        }
    }

    /// The route's template: never what a caller made up.
    fn route(&self) -> &str {
        self.path.as_ref().map_or("", MatchedPath::as_str)
    }

    fn log(&self, id: &HeaderValue, response: &Response, took: Duration) {
        let (method, route) = (&self.method, self.route());
        let (id, status) = (id.to_str().unwrap_or_default(), response.status());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let Some(Cause(cause)) = response.extensions().get() {
            let causes = chain(cause.as_ref());
            error!(request.id = id, %method, route, status = status.as_u16(), took_ms, error = causes, "request `{id}` failed: {causes}");
        } else if status == StatusCode::SERVICE_UNAVAILABLE && route != "/readyz" {
            warn!(request.id = id, %method, route, status = status.as_u16(), took_ms, "request `{id}` could not be answered");
        } else {
            debug!(request.id = id, %method, route, status = status.as_u16(), took_ms, "request `{id}`: {status}");
        }
    }
}

/// An error and what is behind it, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The caller's own id where it is a plain one, so that logs of several services can be read together; else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(byte);
    let given = request.headers().get(&REQUEST_ID).filter(|id| {
        let id = id.as_bytes();
        !id.is_empty() && id.len() <= LONGEST_ID && id.iter().all(is_plain)
    });
    given.cloned().unwrap_or_else(new_id)
}

/// Unique within a process, and most likely among those that ran before it.
fn new_id() -> HeaderValue {
    static PROCESS: LazyLock<String> = LazyLock::new(|| process_id(random()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    HeaderValue::try_from(format!("{}-{number:x}", *PROCESS)).expect("letters and digits")
}

fn random() -> Option<u32> {
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(u32::from_ne_bytes(bytes))
}

/// What tells this process from others: where the machine has no randomness to give, the number that it has there.
fn process_id(random: Option<u32>) -> String {
    match random {
        Some(random) => format!("{random:08x}"),
        None => format!("p{}", std::process::id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_an_id_without_randomness() {
        assert_eq!(process_id(Some(0xa1)), "000000a1");
        let id = process_id(None);
        assert!(id.len() > 1 && HeaderValue::try_from(&id).is_ok(), "{id}");
    }
}
