//! Whether the service lives, and whether it can do its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::App;
use super::problem::{Kind, Problem};

/// How long the store may take to answer before the service counts as not ready.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// How many callers may wait at a time: fewer than there are connections, of which probes need some.
const MOST_WAITING: usize = 3_000;

/// How the service does, as its parts know it.
#[derive(Debug)]
pub struct Health {
    stopping: watch::Sender<bool>,
    is_engine_running: AtomicBool,
    waiting: AtomicUsize,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            stopping: watch::Sender::new(false),
            is_engine_running: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Health {
    /// The service stops: it is ready no more, and whoever waits is answered at once.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether it stops.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Resolves once it stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            // The sender lives as long as the service does.
            let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        }
    }

    /// How many callers wait for news of a run.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counts one more caller who waits, until what is returned is dropped.
    pub(super) fn waits(&self) -> Waits<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(self)
    }

    /// Refuses one more caller who would wait where so many do that others might find no connection.
    pub(super) fn refuse_to_wait(&self) -> Result<(), Problem> {
        if self.waiting() < MOST_WAITING {
            return Ok(());
        }
        let problem = Problem::new(
            Kind::TooMany,
            format!(
                "{MOST_WAITING} callers wait already, which is as many as this service takes; ask without waiting"
            ),
        );
        Err(problem.retry_after(Duration::from_secs(10)))
    }
}

/// The engine works as long as this exists.
#[derive(Debug)]
pub(super) struct EngineRuns(Arc<App>);

impl EngineRuns {
    pub(super) fn of(app: Arc<App>) -> Self {
        app.health.is_engine_running.store(true, Ordering::Relaxed);
        Self(app)
    }
}

impl Drop for EngineRuns {
    fn drop(&mut self) {
        let is_running = &self.0.health.is_engine_running;
        is_running.store(false, Ordering::Relaxed);
    }
}

/// A caller waits as long as this exists.
#[derive(Debug)]
pub(super) struct Waits<'a>(&'a Health);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    status: &'static str,
}

/// Whether the service can do its work, and what keeps it from that.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// What is wrong, one line each.
    problems: Vec<String>,
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    operation_id = "isAlive",
    responses((status = 200, description = "It does", body = Alive))
)]
pub(super) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether the service can take requests, and what is wrong if it cannot.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    operation_id = "isReady",
    responses(
        (status = 200, description = "It can", body = Ready),
        (status = 503, description = "It cannot, and why", body = Ready),
    )
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let mut problems = Vec::new();
    if app.health.is_stopping() {
        problems.push("the service is shutting down".to_owned());
    }
    if !app.health.is_engine_running.load(Ordering::Relaxed) {
        problems.push("the engine is not running: no run is judged".to_owned());
    }
    let asked = tokio::time::timeout(STORE_WITHIN, app.ports.store.probe()).await;
    match asked {
        Ok(Ok(())) => {}
        // Paths and causes are for the log.
        Ok(Err(failure)) => {
            tracing::warn!(error = %failure, "the store failed a readiness check: {failure}");
            problems.push("the store fails; the service's log says why".to_owned());
        }
        Err(_) => problems.push(format!("the store did not answer within {STORE_WITHIN:?}")),
    }
    let status = if problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = problems.is_empty();
    (status, Json(Ready { ready, problems }))
}
